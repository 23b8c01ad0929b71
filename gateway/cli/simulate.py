"""``coldchain simulate``: simulated loggers, in a process that shares no code with the gateway."""

from __future__ import annotations

import contextlib
import signal
import subprocess
import sys
from pathlib import Path

import click

_FILE = click.Path(dir_okay=False, path_type=Path)


@click.group(no_args_is_help=True)
def command() -> None:
    """Simulated loggers in boxes on a trip, on a virtual Bluetooth.

    The gateway's radio code runs on it unchanged: it only finds another D-Bus.

    \b
    Examples:
      coldchain simulate check trip.toml
      coldchain simulate run trip.toml --bus unix:path=/tmp/bus --truth truth.jsonl
    """  # noqa: D301  \b is click's mark for "keep these lines", not an escape


@command.command(no_args_is_help=True)
@click.argument("scenario", type=_FILE)
@click.option("--bus", help="Where to listen, as unix:path=FILE; give it to the gateway as DBUS_SYSTEM_BUS_ADDRESS.")
@click.option(
    "--radio",
    default="bluez",
    show_default=True,
    help="bluez: a fake one at --bus. bumble:usb:0: a real dongle, for one logger. bumble:virtual:vhci: beside Linux.",
)
@click.option("--box", multiple=True, metavar="CODE", help="Only this box; may be repeated.")
@click.option("--truth", required=True, type=_FILE, help="Write what really happened into this file, as JSON lines.")
@click.option("--seed", type=int, default=1, show_default=True, help="Of everything random.")
@click.option("--shim-dir", type=_FILE, help="Put a bluetoothctl for PATH into this folder (bleak asks its version).")
def run(
    scenario: Path, bus: str | None, radio: str, box: tuple[str, ...], truth: Path, seed: int, shim_dir: Path | None
) -> int:
    """Play SCENARIO: physics, loggers, radio; until Ctrl-C.

    It prints READY when Bluetooth clients can connect. Time is real, unless COLDCHAIN_CLOCK_JSON says
    otherwise: {"start": "2026-03-10T08:00:00+01:00", "rate": 240, "anchor_ns": ..., "stop": ...}.

    \b
    Examples:
      coldchain simulate run trip.toml --bus unix:path=/tmp/bus --truth truth.jsonl &
      DBUS_SYSTEM_BUS_ADDRESS=unix:path=/tmp/bus coldchain vehicle --settings vehicle.toml
      coldchain simulate run trip.toml --radio bumble:usb:0 --box BOX-1 --truth truth.jsonl
    """  # noqa: D301  \b is click's mark for "keep these lines", not an escape
    shim = () if shim_dir is None else ("--shim-dir", str(shim_dir))
    listen = () if bus is None else ("--bus", bus)
    boxes = [argument for code in box for argument in ("--box", code)]
    where = ("--radio", radio, *listen, *boxes)
    return _start("run", str(scenario), *where, "--truth", str(truth), "--seed", str(seed), *shim)


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


def _start(job: str, *arguments: str) -> int:
    """Run the simulator as a child and return its exit status. SIGTERM is passed on; Ctrl-C reaches it by itself."""
    child = subprocess.Popen([sys.executable, "-m", "firmware_sim", job, *arguments])  # noqa: S603  our own module
    signal.signal(signal.SIGTERM, lambda *_: child.terminate())
    while True:
        with contextlib.suppress(KeyboardInterrupt):
            return child.wait()
