"""``coldchain export``: a part of the record that proves itself, in one file, or its readings as a table."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import TypedDict, Unpack

import click

from gateway.cli.progress import show_progress
from gateway.clock import open_clock
from gateway.core.errors import InputError
from gateway.hub.database.store import Store, open_existing_store
from gateway.hub.proof.exports import export_log
from gateway.hub.proof.hub_key import load_hub_key
from gateway.hub.settings import HubSettings
from gateway.hub.tabular.exporting import export_readings
from gateway.hub.tabular.forms import Form
from gateway.hub.tabular.selection import Selection
from gateway.importers.local_time import LocalClock, moment_ms, parse_zone
from gateway.output import STDOUT, writing
from gateway.settings import load_settings

_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)


class Options(TypedDict):
    """The options as click hands them over."""

    settings: Path
    consignment: str | None
    gateway: str | None
    form: str | None
    loggers: tuple[str, ...]
    boxes: tuple[str, ...]
    begins: str | None
    ends: str | None
    timezone: str
    output: Path
    force: bool


@click.command(no_args_is_help=True)
@click.option("--settings", type=_FILE, required=True, help="The hub's settings file.")
@click.option("--consignment", metavar="CODE", help="Only this consignment, in its boxes.")
@click.option("--gateway", metavar="NAME", help="Only the log of this gateway; not for tables.")
@click.option("--csv", "form", flag_value=Form.CSV.value, help="A table: commas, points, ISO 8601 with offset.")
@click.option(
    "--excel", "form", flag_value=Form.EXCEL.value, help="A CSV that Excel opens: semicolons, decimal commas."
)
@click.option("--parquet", "form", flag_value=Form.PARQUET.value, help="A table in Parquet; needs the extra [parquet].")
@click.option("--lines", "form", flag_value=Form.LINES.value, help="InfluxDB line protocol, as the hub projects it.")
@click.option("--logger", "loggers", multiple=True, metavar="ADDRESS", help="Tables: this logger; may be repeated.")
@click.option("--box", "boxes", multiple=True, metavar="CODE", help="Tables: what was in this box; may be repeated.")
@click.option("--from", "begins", metavar="TIME", help="Tables: from here on, 2026-03-01 or 2026-03-01T08:00+01:00.")
@click.option("--to", "ends", metavar="TIME", help="Tables: up to, without, this moment.")
@click.option(
    "--timezone", default="UTC", show_default=True, metavar="ZONE", help="Tables: of CSV and of --from, --to."
)
@click.option(
    "--output", type=click.Path(path_type=Path), required=True, help="The file to write; a table: - prints it."
)
@click.option("--force", is_flag=True, help="Replace the file if it is there.")
def command(**options: Unpack[Options]) -> None:
    """Export segments verbatim with keys, documents and a manifest that the hub signs; or readings as a table.

    `coldchain verify FILE --hub-key HEX` proves the first, offline. A table proves nothing: it is for other programs.
    Its readings are merged and calibrated as verdicts see them; loggers, boxes and a consignment add up, and without
    any it is all. The hub may be running meanwhile.

    \b
    Examples:
      coldchain export --settings hub.toml --consignment C-17 --output C-17.zip
      coldchain export --settings hub.toml --excel --consignment C-17 --timezone Europe/Oslo --output C-17.csv
      coldchain export --settings hub.toml --parquet --from 2026-03-01 --to 2026-04-01 --output march.parquet
    """  # noqa: D301  \b is click's mark for "keep these lines", not an escape
    _check(options)
    store = open_existing_store(load_settings(HubSettings, options["settings"]).database_url)
    try:
        form = options["form"]
        told = _prove(store, options) if form is None else _tabulate(store, Form(form), options)
    finally:
        store.close()
    click.echo(told, err=options["output"] == STDOUT)


def _check(options: Options) -> None:
    output = options["output"]
    if options["form"] is None:
        given = {
            "--logger": options["loggers"],
            "--box": options["boxes"],
            "--from": options["begins"],
            "--to": options["ends"],
            "--output -": output == STDOUT,
        }
        for name in [name for name, value in given.items() if value]:
            raise InputError(name, "is for a table: say --csv, --excel, --parquet or --lines")
        if options["consignment"] is not None and options["gateway"] is not None:
            raise InputError("--consignment", "does not go with --gateway")
    elif options["gateway"] is not None:
        raise InputError("--gateway", "does not go with a table")
    if output.is_dir():
        raise InputError("--output", "is a folder", where=str(output))
    if output != STDOUT and output.exists() and not options["force"]:
        raise InputError("--output", "is there already; --force replaces it", where=str(output))


def _prove(store: Store, options: Options) -> str:
    loaded = load_settings(HubSettings, options["settings"])
    with show_progress("segments") as progress:
        manifest = export_log(
            store,
            load_hub_key(loaded.key_file),
            options["output"],
            open_clock(loaded.clock).now_ms(),
            consignment=options["consignment"],
            gateway=options["gateway"],
            progress=progress,
        )
    count = sum(part.next_offset - part.first_offset for part in manifest.parts)
    return f"{options['output']}: {manifest.scope}, {count} segments; hub key {manifest.hub_public_key}"


def _tabulate(store: Store, form: Form, options: Options) -> str:
    zone, name = parse_zone(options["timezone"])
    clock = LocalClock(zone, name)
    selection = Selection(
        loggers=options["loggers"],
        boxes=options["boxes"],
        consignment=options["consignment"],
        from_ms=_moment_ms("--from", options["begins"], clock),
        to_ms=_moment_ms("--to", options["ends"], clock),
    )
    if selection.from_ms is not None and selection.to_ms is not None and selection.to_ms <= selection.from_ms:
        raise InputError("--to", "is not after --from")
    now_ms = open_clock(load_settings(HubSettings, options["settings"]).clock).now_ms()
    output = options["output"]
    with writing(output) as file, show_progress("readings") as progress:
        done = export_readings(store, selection, form, file, now_ms, zone=zone, progress=progress)
    loggers = f"{done.loggers} logger{'' if done.loggers == 1 else 's'}"
    return f"{output}: {done.rows} readings of {loggers}, SHA-256 {done.sha256}"


def _moment_ms(option: str, text: str | None, clock: LocalClock) -> int | None:
    if text is None:
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise InputError(option, f"{text!r} is no time: write 2026-03-01, or 2026-03-01T08:00+01:00") from error
    if moment.tzinfo is not None:
        return moment_ms(moment)
    try:
        return clock.to_ms(moment)
    except ValueError as error:
        raise InputError(option, f"{str(error).partition(';')[0].rstrip('.')}; write it with its offset") from error
