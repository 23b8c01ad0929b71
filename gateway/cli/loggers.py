"""``coldchain loggers``: the loggers as they stand, and what they need."""

from __future__ import annotations

from datetime import datetime, timedelta

import click
from pydantic import TypeAdapter
from rich.box import SIMPLE
from rich.console import Console
from rich.table import Table

from gateway.cli.registrar import Place, with_place
from gateway.core.upkeep import Need
from gateway.hub.views.fleet import LoggerState
from gateway.vehicle.loggers.families import FAMILIES
from gateway.vehicle.loggers.memories import MEMORIES

COLUMNS = ("logger", "box", "maker", "model", "serial", "heard", "battery", "calibration due", "memory", "needs")
SOMETHING_IS_NEEDED = 1
_STATES = TypeAdapter(list[LoggerState])
_WORDS = {
    Need.NOT_CALIBRATED: "certificate",
    Need.CALIBRATION_DUE: "calibration soon",
    Need.CALIBRATION_OVERDUE: "calibration overdue",
    Need.BATTERY_LOW: "battery",
}


@click.command()
@click.option("--all", "everybody", is_flag=True, help="Also those that are in no box.")
@click.option("--json", "as_json", is_flag=True, help="Everything, as JSON.")
@with_place
def command(*, everybody: bool, as_json: bool, place: Place) -> int:
    """List the loggers in boxes: heard last, battery, when the calibration is due, and what they need.

    A calibration is told of 30 days before it is due. The exit status is 1 if a logger needs something.

    \b
    Example:
      coldchain loggers --hub https://hub.example --token-file admin.token
    """  # noqa: D301  \b is click's mark for "keep these lines", not an escape
    with place.open() as registrar:
        states, now = registrar.states(), registrar.now()
    shown = sorted(
        (state for state in states if everybody or state.logger.box is not None),
        key=lambda state: (state.logger.box is None, state.logger.box or "", state.logger.address),
    )
    if as_json:
        click.echo(_STATES.dump_json(shown, indent=2).decode())
    elif (console := Console()).is_terminal:
        console.print(table_of(shown, now))
    else:
        click.echo("\t".join(COLUMNS))
        for state in shown:
            click.echo("\t".join(row_of(state, now)))
    return SOMETHING_IS_NEEDED if any(state.needs for state in shown) else 0


def table_of(states: list[LoggerState], now: datetime) -> Table:
    """Return the table."""
    table = Table(box=SIMPLE)
    for name in COLUMNS:
        table.add_column(name)
    for state in states:
        *plain, needs = row_of(state, now)
        table.add_row(*plain, f"[bold red]{needs}[/]" if needs else "")
    return table


def row_of(state: LoggerState, now: datetime) -> tuple[str, ...]:
    """Return the fields of one logger, in the order of COLUMNS."""
    logger = state.logger
    due = "" if logger.calibration is None else f"{logger.calibration.due_at:%Y-%m-%d}"
    return (
        logger.address,
        logger.box or "",
        FAMILIES[logger.kind].maker,
        logger.model,
        logger.serial,
        "never" if state.heard_at is None else age_of(now - state.heard_at),
        battery_of(state),
        due,
        _memory_of(state),
        ", ".join([*(_WORDS[need] for need in state.needs), *_other_faults(state)]),
    )


def battery_of(state: LoggerState) -> str:
    """Return the battery in words."""
    if state.battery_mv is not None:
        return f"{state.battery_mv / 1000:.2f} V"
    return "low" if Need.BATTERY_LOW in state.needs else ""


def age_of(age: timedelta) -> str:
    """Return an age in words: the coarsest unit that still tells."""
    seconds = max(0, round(age.total_seconds()))
    for unit, length in (("d", 86_400), ("h", 3600), ("min", 60)):
        if seconds >= 2 * length:
            return f"{seconds // length} {unit} ago"
    return f"{seconds} s ago"


def _memory_of(state: LoggerState) -> str:
    logger = state.logger
    if logger.memory_interval_s is None or logger.kind not in MEMORIES:
        return "none"
    return f"{logger.kind.value} log, {logger.memory_interval_s} s"


def _other_faults(state: LoggerState) -> list[str]:
    return [
        f"{code.replace('_', ' ')} since {since:%Y-%m-%d}"
        for code, since in state.faults.items()
        if code != "battery_low"
    ]
