"""Command line: ``python -m firmware_sim run | check``."""

import argparse
import asyncio
import os
import signal
import sys
from pathlib import Path

from firmware_sim import simulator
from firmware_sim.bluez import write_shim
from firmware_sim.bluez.bus import socket_path
from firmware_sim.clock import VARIABLE, ClockError, DomainClock, clock_from
from firmware_sim.peripheral import Radio, RadioError
from firmware_sim.scenario import Scenario, ScenarioError, load

WRONG_INPUT = 2


def main() -> int:
    """Run the command line and return its exit status."""
    arguments = _parser().parse_args()
    file: Path = arguments.scenario
    try:
        scenario = load(file)
        if arguments.command == "check":
            return _check(file, scenario, as_json=arguments.json)
        return _run(scenario, arguments)
    except ScenarioError as error:
        return _complain(f"{file}: {error.field}: {error.reason}")
    except ClockError as error:
        return _complain(f"{VARIABLE}: {error}")
    except OSError as error:
        return _complain(f"{error.filename or file}: {error.strerror or error}")


def _check(file: Path, scenario: Scenario, *, as_json: bool) -> int:
    print(scenario.as_json() if as_json else f"{file}: {len(scenario.boxes)} boxes, well formed")  # noqa: T201 - its job
    return 0


def _run(scenario: Scenario, arguments: argparse.Namespace) -> int:
    clock = clock_from(os.environ)
    scenario = _only(scenario, arguments.box)
    try:
        radio = _radio(scenario, arguments)
    except ValueError as error:
        return _complain(str(error))
    if arguments.shim_dir is not None:
        write_shim(arguments.shim_dir)
    return asyncio.run(_until_stopped(scenario, clock, radio, arguments))


def _only(scenario: Scenario, codes: list[str]) -> Scenario:
    """Return the scenario with the chosen boxes, all where none is chosen; raises ``ScenarioError``."""
    known = {box.code: box for box in scenario.boxes}
    for code in codes:
        if code not in known:
            raise ScenarioError("--box", f"there is no box '{code}', only {', '.join(known)}")
    return scenario.model_copy(update={"boxes": [known[code] for code in codes]}) if codes else scenario


def _radio(scenario: Scenario, arguments: argparse.Namespace) -> Radio:
    """Return the radio that the command line names; raises ``ValueError``."""
    kind, _, rest = arguments.radio.partition(":")
    if kind == "bumble":
        # Bumble takes a second to import, and is needed only here.
        from firmware_sim.bumble_controllers import parse_controllers  # noqa: PLC0415 - see above
        from firmware_sim.bumble_radio import BumbleRadio  # noqa: PLC0415 - see above

        return BumbleRadio(parse_controllers(rest))
    if arguments.radio != "bluez":
        raise ValueError(f"--radio: '{arguments.radio}' is neither bluez nor bumble:TRANSPORT")
    if arguments.bus is None:
        raise ValueError("--bus: needed with --radio bluez")
    try:
        socket_path(arguments.bus)
    except ValueError as error:
        raise ValueError(f"--bus: {error}") from error
    return simulator.bluez_radio(arguments.bus, scenario.radio)


async def _until_stopped(scenario: Scenario, clock: DomainClock, radio: Radio, arguments: argparse.Namespace) -> int:
    task = asyncio.create_task(simulator.run(scenario, clock, radio, arguments.truth, arguments.seed))
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, task.cancel)
    try:
        await task
    except asyncio.CancelledError:
        return 0
    except RadioError as error:
        return _complain(f"--radio: {error}")
    return 0


def _complain(text: str) -> int:
    print(" ".join(text.split()), file=sys.stderr)  # noqa: T201 - one line, whatever the reason holds
    return WRONG_INPUT


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="firmware_sim", description="Simulated loggers on a simulated radio.")
    commands = parser.add_subparsers(dest="command", required=True)
    run = commands.add_parser("run", help="play a scenario; prints READY when Bluetooth clients can connect")
    run.add_argument("scenario", type=Path, help="the scenario, a TOML file")
    run.add_argument("--bus", help="where the fake BlueZ listens: unix:path=/some/where (DBUS_SYSTEM_BUS_ADDRESS)")
    run.add_argument(
        "--radio",
        default="bluez",
        help="bluez (default), or bumble: and an HCI transport of Bumble: bumble:usb:0 is a real dongle, which carries "
        "one logger; bumble:virtual:vhci are virtual controllers beside one that Linux sees",
    )
    run.add_argument("--box", action="append", default=[], metavar="CODE", help="only this box; may be repeated")
    run.add_argument("--truth", required=True, type=Path, help="the file for what really happened (JSON lines)")
    run.add_argument("--seed", type=int, default=1, help="of everything random (default 1)")
    run.add_argument("--shim-dir", type=Path, help="write a bluetoothctl into this folder, to be put on PATH")
    check = commands.add_parser("check", help="check a scenario")
    check.add_argument("scenario", type=Path, help="the scenario, a TOML file")
    check.add_argument("--json", action="store_true", help="print the whole scenario as JSON")
    return parser


if __name__ == "__main__":
    sys.exit(main())
