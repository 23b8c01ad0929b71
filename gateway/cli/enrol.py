"""``coldchain enrol``: a logger to a box."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import TypedDict, Unpack

import click
from pydantic import ValidationError

from gateway.cli.registering import MOMENT, echo_change, read_address, read_moment, with_certificate
from gateway.cli.registrar import Place, Registrar, with_place
from gateway.core.assignments import assign
from gateway.core.configuration import Box, Calibration, Logger, LoggerKind
from gateway.core.errors import InputError

_PATH = click.Path(path_type=Path, exists=True, dir_okay=False)
_KINDS = click.Choice([kind.value for kind in LoggerKind])


class Stated(TypedDict):
    """What the options say; None where they say nothing."""

    out: bool
    since: datetime | None
    always: bool
    kind: str | None
    memory_interval: int | None
    model: str | None
    serial: str | None
    bindkey_file: Path | None
    certificate: Calibration | None
    reason: str
    new_box: bool
    dry_run: bool


@click.command(no_args_is_help=True)
@click.argument("logger")
@click.argument("box", required=False)
@click.option("--out", is_flag=True, help="Take it out of its box instead: it rides nowhere from now on.")
@click.option("--since", type=MOMENT, help="Since when, 2026-03-01T07:30, Norwegian time. [default: now]")
@click.option("--always", is_flag=True, help="A first enrolment: it has been in this box from the beginning.")
@click.option("--kind", type=_KINDS, help="`coldchain scan` shows it. [default: as before, else ruuvitag]")
@click.option("--memory-interval", type=click.IntRange(min=0), metavar="S", help="Of its memory; 0: it has none.")
@click.option("--model", help="As on the case.")
@click.option("--serial", help="As on the case.")
@click.option("--bindkey-file", type=_PATH, help="The key of an encrypting BTHome sensor, 32 hexadecimal digits.")
@with_certificate
@click.option("--reason", default="", help="Why, for the audit trail.")
@click.option("--new-box", is_flag=True, help="Register the box too.")
@click.option("--dry-run", is_flag=True, help="Only say what would change.")
@with_place
def command(logger: str, box: str | None, place: Place, **stated: Unpack[Stated]) -> None:
    """Enrol LOGGER (its Bluetooth address) to BOX, move it there, or register its certificate.

    What it measured before stays with the box in which it was then, corrected by the certificate of then. Without BOX
    it stays where it is: only what the options state changes.

    \b
    Examples:
      coldchain enrol C0:FF:EE:00:00:01 BOX-1 --certificate K-118 --calibrated 2026-01-15 --due 2027-01-15 \\
          --offset -0.12 --uncertainty 0.15 --hub https://hub.example --token-file admin.token
      coldchain enrol C0:FF:EE:00:00:01 --out --settings /etc/coldchain/hub.toml
    """  # noqa: D301  \b is click's mark for "keep these lines", not an escape
    with place.open() as registrar:
        enrol(registrar, read_address("logger", logger), box, stated)


def enrol(registrar: Registrar, address: str, box: str | None, stated: Stated) -> None:
    """Do it, or say what would be done. Raises InputError naming what is wrong."""
    known = next((state.logger for state in registrar.states() if state.logger.address == address), None)
    now = registrar.now()
    wanted = _wanted(known, address, box, now, stated)
    after = assign(known, wanted, now)
    is_new_box = wanted.box is not None and all(one.code != wanted.box for one in registrar.boxes())
    if is_new_box and not stated["new_box"]:
        raise InputError("box", f"no box {wanted.box} is registered; --new-box registers it")
    if not stated["dry_run"]:
        if is_new_box:
            registrar.put_box(Box(code=str(wanted.box)))
        after = registrar.put_logger(wanted, stated["reason"])
    echo_change(address, known, after, dry_run=stated["dry_run"])


def _wanted(known: Logger | None, address: str, box: str | None, now: datetime, stated: Stated) -> Logger:
    if stated["out"] and (box is not None or known is None):
        raise InputError("--out", "takes a logger out that is enrolled, and goes with no box")
    if known is None and box is None:
        raise InputError("box", f"{address} is not enrolled: into which box?")
    if known is not None and stated["always"]:
        raise InputError("--always", f"{address} is enrolled already: say --since")
    since = read_moment(stated["since"])
    if since is None and known is None and not stated["always"]:
        since = now
    stays_in = None if known is None or stated["out"] else known.box
    key = stated["bindkey_file"]
    document: dict[str, object] = {} if known is None else known.model_dump(exclude={"since", "former", "bindkey"})
    document |= {"address": address, "box": box or stays_in, "since": since}
    changes = {
        "kind": stated["kind"],
        "memory_interval_s": stated["memory_interval"],
        "model": stated["model"],
        "serial": stated["serial"],
        "calibration": stated["certificate"],
        "bindkey": None if key is None else key.read_text(encoding="utf-8").strip(),
    }
    document |= {name: value for name, value in changes.items() if value is not None}
    if stated["memory_interval"] == 0:
        document["memory_interval_s"] = None
    try:
        return Logger.model_validate(document)
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(str(part) for part in first["loc"]) or "logger"
        raise InputError(field, first["msg"].removeprefix("Value error, ")) from None
