"""``coldchain verify``: proof that a record is complete, in order, unaltered and signed, or what is wrong."""

from __future__ import annotations

import json
from pathlib import Path

import click

from gateway.cli.progress import show_progress
from gateway.core.attestations import Heads, read_statement
from gateway.core.errors import InputError
from gateway.core.verification import Extent
from gateway.hub.exports import verify_export
from gateway.hub.settings import HubSettings
from gateway.hub.store import open_existing_store
from gateway.hub.verification import Report, verify_consignment, verify_store
from gateway.keys import VerifyKey
from gateway.settings import load_settings

_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)
NOT_PROVEN = 1


@click.command(no_args_is_help=True)
@click.argument("export", required=False, type=_FILE)
@click.option("--settings", type=_FILE, help="The hub's settings file: verify its store.")
@click.option("--consignment", metavar="CODE", help="Only the stretch of the logs that holds this consignment.")
@click.option("--gateway", metavar="NAME", help="Only the log of this gateway.")
@click.option(
    "--heads", "heads_files", type=_FILE, multiple=True, help="Heads that left the hub earlier; may be repeated."
)
@click.option("--hub-key", metavar="HEX", help="The hub's public key, as pinned: needed for an export and for heads.")
@click.option("--json", "as_json", is_flag=True, help="Write the report as JSON.")
def command(
    export: Path | None,
    settings: Path | None,
    consignment: str | None,
    gateway: str | None,
    heads_files: tuple[Path, ...],
    hub_key: str | None,
    *,
    as_json: bool,
) -> int:
    """Prove that a record is complete, in order, unaltered and signed by enrolled keys.

    With --settings the hub's own store is verified; with EXPORT a file that `coldchain export` wrote, offline.
    Exit status 0: proven; 1: not, and every place is named; 2: wrong input.

    \b
    Examples:
      coldchain verify --settings hub.toml
      coldchain verify --settings hub.toml --consignment C-17
      coldchain verify --settings hub.toml --heads heads-20260310T000000Z.json --hub-key 3f9a…
      coldchain verify C-17.zip --hub-key 3f9a…
    """  # noqa: D301  \b is click's mark for "keep these lines", not an escape
    if (export is None) == (settings is None):
        raise InputError("EXPORT", "name an export, or the hub's store with --settings, one of the two")
    if consignment and (gateway or heads_files):
        raise InputError("--consignment", "does not go with --gateway or --heads")
    key = None if hub_key is None else _read_key(hub_key)
    with show_progress("segments") as progress:
        if export is not None:
            if key is None:
                raise InputError("--hub-key", "an export is verified with the hub's public key, as you pinned it")
            report = verify_export(export, key, progress=progress)
        else:
            store = open_existing_store(load_settings(HubSettings, settings).database_url)
            try:
                if consignment is None:
                    report = verify_store(
                        store, gateway=gateway, heads=_read_heads(heads_files, key), progress=progress
                    )
                else:
                    found = verify_consignment(store, consignment, progress=progress)
                    if found is None:
                        raise InputError("--consignment", f"there is no consignment {consignment!r}")
                    report = found
            finally:
                store.close()
    _print_report(report, as_json=as_json)
    return 0 if report.is_proven else NOT_PROVEN


def _read_key(text: str) -> VerifyKey:
    try:
        return VerifyKey(bytes.fromhex(text))
    except (ValueError, InputError) as error:
        raise InputError("--hub-key", "64 hexadecimal digits are a public key") from error


def _read_heads(files: tuple[Path, ...], key: VerifyKey | None) -> list[Extent]:
    if files and key is None:
        raise InputError("--hub-key", "heads are checked with the hub's public key, as you pinned it")
    return [
        head.to_extent()
        for file in files
        if key is not None
        for head in read_statement(Heads, file.read_bytes(), key.check, where=str(file)).heads
    ]


def _print_report(report: Report, *, as_json: bool) -> None:
    tally = report.tally
    if as_json:
        document = {
            "scope": report.scope,
            "proven": report.is_proven,
            "epochs": report.epochs,
            "segments": tally.segments,
            "records": tally.records,
            "dropped_payloads": tally.dropped_payloads,
            "acts": report.acts,
            "heads": report.heads,
            "wrong": report.wrong,
            "findings": [
                {
                    "fault": finding.fault,
                    "gateway": finding.gateway,
                    "epoch": finding.epoch.hex(),
                    "offset": finding.offset,
                    "reason": finding.reason,
                }
                for finding in report.findings
            ],
        }
        click.echo(json.dumps(document, indent=2))
        return
    for finding in report.findings:
        click.echo(str(finding))
    if report.wrong > len(report.findings):
        click.echo(f"... and {report.wrong - len(report.findings)} more")
    checked = f"{tally.segments} segments in {report.epochs} epochs, {tally.records} records"
    if tally.dropped_payloads:
        checked += f", {tally.dropped_payloads} with their payload dropped by the vehicle"
    if report.acts:
        checked += f", {report.acts} acts"
    if report.heads:
        checked += f", {report.heads} earlier heads"
    verdict = "complete, in order, unaltered, signed" if report.is_proven else f"{report.wrong} faults"
    click.echo(f"{report.scope}: {checked}: {verdict}")
