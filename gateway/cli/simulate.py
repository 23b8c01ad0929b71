"""``coldchain simulate``: simulated loggers, in a process that shares no code with the gateway."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import click

from gateway.core.errors import InputError

_FILE = click.Path(dir_okay=False, path_type=Path)
_EXISTING = click.Path(exists=True, dir_okay=False, path_type=Path)
_ONE_OF_EACH = "makers.toml"
_FIRST = "RUUVI"
"""Of its boxes; a real controller carries one."""


class _Group(click.Group):
    """A group that runs `run` where options come without a command."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Put the command in front of its options."""
        if args and args[0].startswith("-") and args[0] not in ctx.help_option_names:
            args = ["run", *args]
        return super().parse_args(ctx, args)


@click.group(cls=_Group, no_args_is_help=True)
def command() -> None:
    """Simulated loggers in boxes on a trip: on a virtual Bluetooth, or on the air from a real dongle.

    The gateway's radio code runs on the virtual one unchanged: it only finds another D-Bus. From a dongle, a real
    Raspberry Pi hears, connects and reads a logger that nobody had to buy.

    \b
    Examples:
      coldchain simulate --radio bumble:usb:0                 a RuuviTag on the air
      coldchain simulate check trip.toml
      coldchain simulate run trip.toml --bus unix:path=/tmp/bus --truth truth.jsonl
      coldchain simulate fleet --settings hub.toml --hub http://127.0.0.1:8080 --rate 3333
    """  # noqa: D301  \b is click's mark for "keep these lines", not an escape


@command.command(no_args_is_help=True)
@click.option("--settings", type=_EXISTING, required=True, help="The hub's settings file: broker, codes, admin.token.")
@click.option("--hub", required=True, metavar="URL", help="Where the hub serves its API.")
@click.option("--broker", metavar="URL", help="Instead of the broker in the settings, as the vehicles reach it.")
@click.option("--gateways", default=1000, show_default=True, type=click.IntRange(1, 100_000))
@click.option("--loggers", default=10, show_default=True, type=click.IntRange(1, 100), help="Boxes in each vehicle.")
@click.option("--readings", default=5, show_default=True, type=click.IntRange(1, 40), help="Per logger and segment.")
@click.option("--interval", default=30, show_default=True, type=click.IntRange(1), help="Seconds between readings.")
@click.option(
    "--rate",
    type=click.FloatRange(0),
    default=0.0,
    show_default=True,
    help="Readings a second of all; 0: as fast as the hub takes.",
)
@click.option(
    "--duration",
    type=click.FloatRange(0, min_open=True),
    default=60.0,
    show_default=True,
    help="Seconds at that rate.",
)
@click.option("--segments", type=click.IntRange(1), help="Segments of each vehicle, instead of a duration.")
@click.option(
    "--connections",
    default=4,
    show_default=True,
    type=click.IntRange(1, 10_000),
    help="To the broker; as many as gateways: each has its own.",
)
@click.option(
    "--carry/--no-carry",
    default=True,
    show_default=True,
    help="Register boxes, loggers and a consignment for each vehicle; without them nothing is judged.",
)
@click.option("--profile", default="storage-2-8", show_default=True, help="Judges every item.")
@click.option("--prefix", default="LOAD", show_default=True, help="Of the vehicles' names.")
@click.option("--json", "as_json", is_flag=True, help="Print the outcome as JSON.")
def fleet(**options: Any) -> int:  # noqa: ANN401  click hands over what is declared above
    """Load a hub with simulated vehicles that speak the real protocol, to size an installation.

    Each has a key, is enrolled and registered over the hub's API with a box for each logger and a consignment, and
    sends signed segments over MQTT. They are sealed first, so that sealing is not measured. Everything stays in the
    hub: use one that was set up for this. The broker must let one user publish for all vehicles.

    Exit status 0: everything was acknowledged.

    \b
    Examples:
      coldchain simulate fleet --settings hub.toml --hub http://127.0.0.1:8080 --gateways 1000 --rate 3333
      coldchain simulate fleet --settings hub.toml --hub http://127.0.0.1:8080 --gateways 100 --segments 200 --json
    """  # noqa: D301  \b is click's mark for "keep these lines", not an escape
    from gateway.cli.fleet import FleetOptions, run_fleet  # noqa: PLC0415  the other commands need none of it

    return run_fleet(FleetOptions(**options))


@command.command()
@click.argument("scenario", type=_FILE, required=False)
@click.option("--bus", help="Where to listen, as unix:path=FILE; give it to the gateway as DBUS_SYSTEM_BUS_ADDRESS.")
@click.option(
    "--radio",
    default="bluez",
    show_default=True,
    help="bluez: a fake one at --bus. bumble:usb:0: a real dongle, for one logger. bumble:virtual:vhci: beside Linux.",
)
@click.option("--box", multiple=True, metavar="CODE", help="Only this box; may be repeated.")
@click.option("--truth", type=_FILE, help="Write what really happened into this file, as JSON lines.")
@click.option("--seed", type=int, default=1, show_default=True, help="Of everything random.")
@click.option("--shim-dir", type=_FILE, help="Put a bluetoothctl for PATH into this folder (bleak asks its version).")
def run(
    scenario: Path | None,
    bus: str | None,
    radio: str,
    box: tuple[str, ...],
    truth: Path | None,
    seed: int,
    shim_dir: Path | None,
) -> int:
    """Play SCENARIO: physics, loggers, radio; until Ctrl-C.

    Without SCENARIO it is one logger of each maker, with what may go wrong with them, and on a real dongle, which
    carries one logger, a RuuviTag (choose another with --box: REFERENCE, BLUEMAESTRO, …).

    It prints READY when Bluetooth clients can connect. Time is real, unless COLDCHAIN_CLOCK_JSON says
    otherwise: {"start": "2026-03-10T08:00:00+01:00", "rate": 240, "anchor_ns": ..., "stop": ...}.

    \b
    Examples:
      coldchain simulate run trip.toml --bus unix:path=/tmp/bus --truth truth.jsonl &
      DBUS_SYSTEM_BUS_ADDRESS=unix:path=/tmp/bus coldchain vehicle --settings vehicle.toml
      coldchain simulate run trip.toml --radio bumble:usb:0 --box BOX-1 --truth truth.jsonl
    """  # noqa: D301  \b is click's mark for "keep these lines", not an escape
    if scenario is None:
        scenario, box = _one_of_each(), box or ((_FIRST,) if _is_real(radio) else ())
    shim = () if shim_dir is None else ("--shim-dir", str(shim_dir))
    listen = () if bus is None else ("--bus", bus)
    boxes = [argument for code in box for argument in ("--box", code)]
    where = ("--radio", radio, *listen, *boxes)
    return _start("run", str(scenario), *where, "--truth", str(truth or os.devnull), "--seed", str(seed), *shim)


@command.command(no_args_is_help=True)
@click.argument("scenario", type=_FILE)
@click.option("--json", "as_json", is_flag=True, help="Print the whole scenario, defaults filled in.")
def check(scenario: Path, *, as_json: bool) -> int:
    """Check SCENARIO: one line with the field and the reason if it is wrong.

    \b
    Example:
      coldchain simulate check trip.toml
    """  # noqa: D301  \b is click's mark for "keep these lines", not an escape
    return _start("check", str(scenario), *(("--json",) if as_json else ()))


def _is_real(radio: str) -> bool:
    return radio.startswith("bumble:") and not radio.startswith("bumble:virtual:")


def _one_of_each() -> Path:
    """A scenario that comes with the simulator, which is found without being imported."""
    spec = find_spec("firmware_sim")
    if spec is None or not spec.submodule_search_locations:
        raise InputError("scenario", "the simulator is not installed; name a scenario file")
    return Path(spec.submodule_search_locations[0]) / "scenarios" / _ONE_OF_EACH


def _start(job: str, *arguments: str) -> int:
    """Run the simulator as a child and return its exit status. SIGTERM is passed on; Ctrl-C reaches it by itself."""
    child = subprocess.Popen([sys.executable, "-m", "firmware_sim", job, *arguments])  # noqa: S603  our own module
    signal.signal(signal.SIGTERM, lambda *_: child.terminate())
    while True:
        with contextlib.suppress(KeyboardInterrupt):
            return child.wait()
