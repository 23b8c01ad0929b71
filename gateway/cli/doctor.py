"""``coldchain doctor``: what keeps a vehicle from working."""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path

import click

from gateway.cli.settings_file import settings_option
from gateway.clock import open_clock
from gateway.settings import load_settings
from gateway.vehicle.checkup import Finding, State, check_up
from gateway.vehicle.settings import VehicleSettings

SOMETHING_IS_WRONG = 1
_COLOURS = {State.GOOD: "green", State.ODD: "yellow", State.WRONG: "red"}


@click.command()
@settings_option("The vehicle's TOML file")
def command(path: Path | None) -> int:
    """Check what a vehicle needs: Bluetooth, adapter, BlueZ, broker, hub, enrolment, loggers, clock, disk.

    Each line says how something stands and, behind the arrow, what to do. The exit status is 1 if something is
    wrong. A running vehicle may go on meanwhile.

    \b
    Example:
      coldchain doctor --settings vehicle.toml
    """  # noqa: D301  \b is click's mark for "keep these lines", not an escape
    settings = load_settings(VehicleSettings, path)
    logging.disable(logging.ERROR)  # the findings say it, in better words
    findings = asyncio.run(check_up(settings, open_clock(settings.clock)))
    for finding in findings:
        click.echo(line_of(finding))
    return SOMETHING_IS_WRONG if any(finding.state is State.WRONG for finding in findings) else 0


def line_of(finding: Finding) -> str:
    """Return one line."""
    advice = f" → {finding.advice}" if finding.advice else ""
    word = click.style(f"{finding.state.value:<6}", fg=_COLOURS[finding.state])
    return f"{word}{finding.subject:<13} {finding.text}{advice}"
