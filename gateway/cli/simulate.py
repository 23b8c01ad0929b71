"""``coldchain simulate``: simulated loggers, in a process that shares no code with the gateway."""

from __future__ import annotations

import subprocess
import sys

import click

_PASS_ON = {"ignore_unknown_options": True, "allow_interspersed_args": False}


@click.group(no_args_is_help=True)
def command() -> None:
    """Simulated loggers in boxes on a trip, on a virtual Bluetooth.

    The gateway's own radio code runs on it unchanged: start it with the D-Bus address that `run` announces.

    \b
    Examples:
      coldchain simulate check day.toml
      coldchain simulate run day.toml --bus /tmp/bus --truth truth.jsonl
    """  # noqa: D301  \b is click's mark for "keep these lines", not an escape


@command.command(context_settings=_PASS_ON, add_help_option=False)
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def run(arguments: tuple[str, ...]) -> int:
    """Play a scenario: physics, loggers, radio; `run --help` lists the options."""
    return _start("run", arguments)


@command.command(context_settings=_PASS_ON, add_help_option=False)
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def check(arguments: tuple[str, ...]) -> int:
    """Validate a scenario and print it; `check --help` lists the options."""
    return _start("check", arguments)


def _start(job: str, arguments: tuple[str, ...]) -> int:
    """Run the simulator as a child and return its exit status; Ctrl-C reaches it too, so let it end first."""
    child = subprocess.Popen([sys.executable, "-m", "firmware_sim", job, *arguments])  # noqa: S603  our own module
    while True:
        try:
            return child.wait()
        except KeyboardInterrupt:
            continue
