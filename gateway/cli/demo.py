"""``coldchain demo``: a day of transport, every process real but the radio."""

from __future__ import annotations

import asyncio
from pathlib import Path

import click
from rich.console import Console

from gateway.core.errors import ColdchainError, InputError
from gateway.demo.board import Board, LiveBoard, PlainBoard, zone_of
from gateway.demo.processes import ChildDied
from gateway.demo.stage import Options, default_scenario, run_demo
from gateway.demo.trip import Trip

NOT_GOOD = 1
PLAIN_WIDTH = 120
_FILE = click.Path(dir_okay=False, path_type=Path)


@click.command()
@click.option("--exit", "ends", is_flag=True, help="End when the day is over, instead of serving the pages.")
@click.option("--json", "json_file", type=_FILE, help="Write the account into this file.")
@click.option("--scenario", type=_FILE, help="Play another day; `coldchain simulate check` says if it is well formed.")
@click.option("--rate", type=click.FloatRange(1, 2000), help="Domain seconds in a real one. [default: the scenario's]")
@click.option(
    "--keep", type=click.Path(file_okay=False, path_type=Path), help="Keep logs, settings and data in this new folder."
)
@click.option("--seed", type=int, default=1, show_default=True, help="Of everything random in the simulation.")
def command(
    json_file: Path | None, scenario: Path | None, rate: float | None, keep: Path | None, seed: int, *, ends: bool
) -> int:
    """Play a day of transport: one van, six boxes, and what goes wrong on the way.

    Hub, vehicle and simulated loggers run as processes of their own. The radio is simulated, everything else is
    what runs in a van and in a laboratory. At the end every reading is compared with what the loggers measured.
    The exit status is 0 if nothing was lost, doubled or altered and each verdict is the expected one, else 1.

    \b
    Examples:
      coldchain demo
      coldchain demo --exit --json account.json
      coldchain demo --keep /tmp/day --scenario trip.toml
    """  # noqa: D301  \b is click's mark for "keep these lines", not an escape
    console = Console(width=None if Console().is_terminal else PLAIN_WIDTH)
    options = Options(scenario or default_scenario(), rate, seed, keep, json_file, ends)
    try:
        is_good = asyncio.run(run_demo(options, console, lambda trip: _open_board(console, trip)))
    except asyncio.CancelledError:
        raise click.Abort from None
    except ColdchainError as error:
        if isinstance(error, InputError):
            raise
        raise click.ClickException(str(error)) from error
    except ChildDied as error:
        console.print(f"coldchain: {error}", style="red", highlight=False, markup=False, soft_wrap=True)
        return NOT_GOOD
    return 0 if is_good else NOT_GOOD


def _open_board(console: Console, trip: Trip) -> Board:
    start = trip.clock.start
    if console.is_terminal:
        return LiveBoard(console, zone_of(start), f"{trip.demo.gateway}, {start:%A} {start.day} {start:%B %Y}")
    return PlainBoard(console, zone_of(start))
