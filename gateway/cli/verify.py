"""``coldchain verify``: proof that a record is complete, in order, unaltered and signed, or what is wrong."""

from __future__ import annotations

import json
from pathlib import Path

import click

from gateway.cli.progress import show_progress
from gateway.core.errors import InputError
from gateway.core.segments import Check
from gateway.core.verification import Finding
from gateway.hub.database.store import Store, open_existing_store
from gateway.hub.proof.exports import verify_export
from gateway.hub.proof.statements import Kept, read_kept
from gateway.hub.proof.timestamps import read_roots
from gateway.hub.proof.verification import Progress, Report, verify_consignment, verify_store
from gateway.hub.reports.proof import is_report, verify_report
from gateway.hub.settings import HubSettings
from gateway.keys import PinnedKey, check_any
from gateway.settings import load_settings

_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)
NOT_PROVEN = 1


@click.command(no_args_is_help=True)
@click.argument("export", required=False, type=_FILE)
@click.option("--settings", type=_FILE, help="The hub's settings file: verify its store.")
@click.option("--consignment", metavar="CODE", help="Only the stretch of the logs that holds this consignment.")
@click.option("--gateway", metavar="NAME", help="Only the log of this gateway.")
@click.option(
    "--heads",
    "heads_paths",
    type=click.Path(exists=True, path_type=Path),
    multiple=True,
    help="Heads that left the hub earlier: a file, or the folder where they are kept; may be repeated.",
)
@click.option("--tsa-ca", type=_FILE, help="Certificates (PEM) under which timestamps of the heads are checked.")
@click.option(
    "--hub-key",
    "hub_keys",
    metavar="HEX",
    multiple=True,
    help="The hub's public key, as pinned: needed for an export, a report, heads. May be repeated, for earlier keys.",
)
@click.option("--json", "as_json", is_flag=True, help="Write the report as JSON.")
def command(
    export: Path | None,
    settings: Path | None,
    consignment: str | None,
    gateway: str | None,
    heads_paths: tuple[Path, ...],
    tsa_ca: Path | None,
    hub_keys: tuple[str, ...],
    *,
    as_json: bool,
) -> int:
    """Prove that a record is complete, in order, unaltered and signed by enrolled keys.

    With --settings the hub's own store is verified; with EXPORT a file that `coldchain export` or `coldchain report`
    wrote, offline. Of a report any change is found: of its pages, of what is attached, of its seal.
    Exit status 0: proven; 1: not, and every place is named; 2: wrong input.

    \b
    Examples:
      coldchain verify --settings hub.toml
      coldchain verify --settings hub.toml --consignment C-17
      coldchain verify --settings hub.toml --heads /mnt/heads --tsa-ca authority.pem --hub-key 3f9a…
      coldchain verify C-17.zip --hub-key 3f9a…
      coldchain verify C-17.pdf --hub-key 3f9a…
    """  # noqa: D301  \b is click's mark for "keep these lines", not an escape
    _refuse_combinations(export, settings, consignment, gateway, heads=bool(heads_paths), tsa_ca=bool(tsa_ca))
    check = _check_any(hub_keys)
    kept, wrong = _read_heads(heads_paths, check, tsa_ca)
    with show_progress("segments") as progress:
        if export is not None:
            if check is None:
                raise InputError(
                    "--hub-key", "an export or a report is verified with the hub's public key, as you pinned it"
                )
            if is_report(export):
                report = verify_report(export, check)
            else:
                report = verify_export(export, check, progress=progress)
        else:
            store = open_existing_store(load_settings(HubSettings, settings).database_url)
            try:
                report = _verify_store(store, consignment, gateway, kept, check, progress)
                report.add(wrong)
            finally:
                store.close()
    _print_report(report, as_json=as_json)
    return 0 if report.is_proven else NOT_PROVEN


def _verify_store(
    store: Store,
    consignment: str | None,
    gateway: str | None,
    kept: list[Kept],
    check: Check | None,
    progress: Progress | None,
) -> Report:
    if consignment is not None:
        found = verify_consignment(store, consignment, progress=progress)
        if found is None:
            raise InputError("--consignment", f"there is no consignment {consignment!r}")
        return found
    report = verify_store(store, gateway=gateway, heads=[one.heads for one in kept], check=check, progress=progress)
    if gateway and not (report.epochs or report.heads):
        raise InputError("--gateway", f"there is no log of a gateway {gateway!r}")
    report.stamps = sum(one.stamped_at is not None for one in kept)
    report.notes += [f"{one.path.name}: stamped {one.stamped_at}" for one in kept if one.stamped_at]
    return report


def _refuse_combinations(
    export: Path | None,
    settings: Path | None,
    consignment: str | None,
    gateway: str | None,
    *,
    heads: bool,
    tsa_ca: bool,
) -> None:
    """What would be left aside in silence is refused."""
    if (export is None) == (settings is None):
        raise InputError("EXPORT", "name an export, or the hub's store with --settings, one of the two")
    if consignment and (gateway or heads):
        raise InputError("--consignment", "does not go with --gateway or --heads")
    if export and heads:
        raise InputError("--heads", "are compared with the hub's store; an export has a manifest of its own")
    if export and (consignment or gateway):
        raise InputError("--consignment" if consignment else "--gateway", "an export is verified as a whole")
    if tsa_ca and not heads:
        raise InputError("--tsa-ca", "timestamps are of heads: name them with --heads")


def _check_any(texts: tuple[str, ...]) -> Check | None:
    """Return what checks a signature against any of the keys; None without keys."""
    try:
        keys = [PinnedKey(bytes.fromhex(text), keep_former=True) for text in texts]
    except (ValueError, InputError) as error:
        raise InputError("--hub-key", "64 hexadecimal digits are a public key") from error
    return check_any(keys) if keys else None


def _read_heads(paths: tuple[Path, ...], check: Check | None, tsa_ca: Path | None) -> tuple[list[Kept], list[Finding]]:
    if not paths:
        return [], []
    if check is None:
        raise InputError("--hub-key", "heads are checked with the hub's public key, as you pinned it")
    return read_kept(paths, check, [] if tsa_ca is None else read_roots(tsa_ca))


def _print_report(report: Report, *, as_json: bool) -> None:
    tally = report.tally
    if as_json:
        document = {
            "scope": report.scope,
            "proven": report.is_proven,
            "epochs": report.epochs,
            "segments": tally.segments,
            "records": tally.records,
            "dropped_payloads": tally.dropped_payloads - report.removed_payloads,
            "removed_payloads": report.removed_payloads,
            "acts": report.acts,
            "files": report.files,
            "heads": report.heads,
            "stamps": report.stamps,
            "notes": [*report.notes, *tally.resealed],
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
    for note in (*report.notes, *tally.resealed):
        click.echo(f"note: {note}")
    for finding in report.findings:
        click.echo(str(finding))
    if report.wrong > len(report.findings):
        click.echo(f"... and {report.wrong - len(report.findings)} more")
    counts = [(tally.segments, "segment"), (report.epochs, "epoch"), (tally.records, "record")]
    checked = "{} in {}, {}".format(*(_counted(number, noun) for number, noun in counts))
    if report.files:
        checked = f"seal, pages, {report.files} attached files"
    checked += _describe_lacking(tally.dropped_payloads - report.removed_payloads, report.removed_payloads)
    if report.acts:
        checked += f", {report.acts} acts"
    if report.heads:
        checked += f", {report.heads} earlier heads"
    if report.stamps:
        checked += f", {report.stamps} timestamps"
    verdict = "complete, in order, unaltered, signed" if report.is_proven else _counted(report.wrong, "fault")
    click.echo(f"{report.scope}: {checked}: {verdict}")


def _counted(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def _describe_lacking(dropped: int, removed: int) -> str:
    told = f", {dropped} with their payload dropped by the vehicle" if dropped else ""
    return told + (f", {removed} with their payload removed by retention, on record" if removed else "")
