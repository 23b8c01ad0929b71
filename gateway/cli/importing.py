"""``coldchain import``: recordings into the hub's archive."""

from __future__ import annotations

from hashlib import file_digest
from pathlib import Path
from typing import TypedDict, Unpack

import click

from gateway.cli.progress import show_progress
from gateway.clock import open_clock
from gateway.core.errors import InputError
from gateway.hub.database.store import open_existing_store
from gateway.hub.replication.importing import KEPT_BYTES_MAX, File, Importer
from gateway.hub.settings import HubSettings
from gateway.importers.delimited import Mapping, Unit
from gateway.importers.files import open_recording
from gateway.importers.local_time import LocalClock, parse_zone
from gateway.settings import load_settings

NOT_ALL = 1
_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)


class Options(TypedDict):
    """The options as click hands them over."""

    settings: Path
    logger: str | None
    box: str | None
    times: tuple[str, ...]
    temperature: str | None
    unit: str
    timezone: str | None
    encoding: str
    dry_run: bool


@click.command("import", no_args_is_help=True)
@click.argument("files", nargs=-1, required=True, type=_FILE, metavar="FILE...")
@click.option("--settings", type=_FILE, required=True, help="The hub's settings file.")
@click.option("--logger", metavar="ADDRESS", help="Whose readings they are, as enrolled.  [the serial in the file]")
@click.option("--box", metavar="CODE", help="Refuse readings of a time when the logger was not in this box.")
@click.option("--time-column", "times", multiple=True, metavar="NAME", help="CSV: title or number; may be repeated.")
@click.option("--temperature-column", "temperature", metavar="NAME", help="CSV: title or number.")
@click.option("--unit", type=click.Choice([unit.value for unit in Unit]), default="c", show_default=True, help="CSV.")
@click.option("--timezone", metavar="ZONE", help="Of times without an offset: Europe/Oslo, +01:00, UTC.")
@click.option("--encoding", default="utf-8", show_default=True, help="Of the files.")
@click.option("--dry-run", is_flag=True, help="Read and check, and change nothing.")
def command(files: tuple[Path, ...], **options: Unpack[Options]) -> int:
    """Import recordings that loggers wrote, for a box that travelled without a vehicle.

    The logger must be enrolled, in its box at the time. A file that was imported already changes nothing; one that
    cannot be read is set aside, and the next one is taken. Exit status 1: not all could be taken.

    \b
    Example:
      coldchain import trip.txt --logger 150016 --box BOX-1 --timezone Europe/Oslo --settings hub.toml
    """  # noqa: D301  \b is click's mark for "keep these lines", not an escape
    times, temperature, timezone = options["times"], options["temperature"], options["timezone"]
    encoding, box, dry_run = options["encoding"], options["box"], options["dry_run"]
    if bool(times) != (temperature is not None):
        raise InputError("--time-column", "goes with --temperature-column")
    clock = None if timezone is None else LocalClock(*parse_zone(timezone))
    mapping = Mapping(times, temperature, Unit(options["unit"]), clock) if temperature is not None else None
    loaded = load_settings(HubSettings, options["settings"])
    store = open_existing_store(loaded.database_url)
    importer, now_ms, failed = Importer(store, loaded.data_dir), open_clock(loaded.clock).now_ms(), 0
    try:
        for path in files:
            try:
                with show_progress(f"characters read of {path.name}") as progress:
                    recording = open_recording(path, mapping=mapping, clock=clock, encoding=encoding, progress=progress)
            except InputError as error:
                failed += 1
                click.echo(f"coldchain: {error}", err=True)
                if not dry_run:
                    with path.open("rb") as raw:
                        importer.set_aside(raw.read(KEPT_BYTES_MAX), str(error), now_ms)
                continue
            with path.open("rb") as raw:
                file = File(path.name, file_digest(raw, "sha256").hexdigest(), recording.form)
            logger = options["logger"] or recording.serial
            done = importer.take(file, recording.readings, logger, now_ms, box=box, dry_run=dry_run)
            word = "would be imported" if dry_run and done.is_new else "imported" if done.is_new else "was here already"
            click.echo(f"{path}: {done.readings} readings of {logger}: {word}")
    finally:
        store.close()
    return NOT_ALL if failed else 0
