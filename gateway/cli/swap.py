"""``coldchain swap``: one logger for another, the box keeps its history."""

from __future__ import annotations

from datetime import datetime

import click

from gateway.cli.registering import MOMENT, echo_change, read_address, read_moment, with_certificate
from gateway.cli.registrar import Place, Registrar, with_place
from gateway.core.assignments import Swap, SwapReason, swap_of
from gateway.core.configuration import Calibration
from gateway.core.errors import InputError


@click.command(no_args_is_help=True)
@click.argument("old")
@click.argument("new")
@click.option("--reason", type=click.Choice([reason.value for reason in SwapReason]), required=True, help="Why.")
@click.option("--note", default="", help="A word more for the audit trail.")
@click.option("--at", type=MOMENT, help="When it was done, 2026-03-01T07:30, Norwegian time. [default: now]")
@with_certificate
@click.option("--dry-run", is_flag=True, help="Only say what would change.")
@with_place
def command(
    *,
    old: str,
    new: str,
    reason: str,
    note: str,
    at: datetime | None,
    certificate: Calibration | None,
    dry_run: bool,
    place: Place,
) -> None:
    """Let NEW take the place of OLD in its box, because of its battery, its calibration, or a defect.

    The box keeps its history: until then OLD speaks for it, from then on NEW. Lay NEW into the box some time before,
    so that it has the box's temperature when it counts. A NEW that is not enrolled is taken to be of OLD's kind; its
    certificate is its own. Vehicles listen to OLD for 14 more days, to read out what is missing.

    \b
    Example:
      coldchain swap C0:FF:EE:00:00:01 C0:FF:EE:00:00:07 --reason battery --settings /etc/coldchain/hub.toml --dry-run
    """  # noqa: D301  \b is click's mark for "keep these lines", not an escape
    wanted = Swap(
        new=read_address("new", new),
        reason=SwapReason(reason),
        note=note,
        at=read_moment(at),
        calibration=certificate,
    )
    with place.open() as registrar:
        swap(registrar, read_address("old", old), wanted, dry_run=dry_run)


def swap(registrar: Registrar, address: str, wanted: Swap, *, dry_run: bool) -> None:
    """Do it, or say what would be done. Raises InputError naming what is wrong."""
    known = {state.logger.address: state.logger for state in registrar.states()}
    old, new = known.get(address), known.get(wanted.new)
    if old is None:
        raise InputError("old", f"{address} is not enrolled")
    left, came = swap_of(old, new, wanted, registrar.now())
    if not dry_run:
        left, came = registrar.swap(address, wanted)
    echo_change(address, old, left, dry_run=dry_run)
    echo_change(wanted.new, new, came, dry_run=dry_run)
    if came.calibration is None:
        click.echo(f"note: {wanted.new} has no certificate: `coldchain enrol {wanted.new} --certificate …` adds one")
