"""``coldchain recalibrate``: what a calibration found out of tolerance would do to verdicts given."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import click
from pydantic import ValidationError

from gateway.cli.progress import show_progress
from gateway.clock import open_clock
from gateway.core.configuration import Calibration
from gateway.core.errors import InputError
from gateway.core.exposure import to_ms
from gateway.hub.database.store import open_existing_store
from gateway.hub.registry.configurations import make_configurations
from gateway.hub.settings import HubSettings
from gateway.hub.views.recalibrations import find_changes, find_riders
from gateway.settings import load_settings

_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)
_DAY = click.DateTime(["%Y-%m-%d"])
CHANGES = 1


@click.command(no_args_is_help=True)
@click.argument("logger")
@click.option("--settings", type=_FILE, required=True, help="The hub's settings file.")
@click.option("--offset", type=float, required=True, metavar="°C", help="To be added to what the logger says.")
@click.option("--uncertainty", type=float, required=True, metavar="°C", help="The uncertainty that was found.")
@click.option("--since", type=_DAY, help="Only trips that ended since this day; the last calibration's date otherwise.")
def command(logger: str, settings: Path, offset: float, uncertainty: float, since: datetime | None) -> int:
    """List the verdicts that would change if LOGGER had been off like this all along.

    Nothing is changed. Exit status 0: none would change; 1: some would, and each is named.

    \b
    Example:
      coldchain recalibrate C0:FF:EE:00:00:02 --offset -0.9 --uncertainty 0.2 --settings hub.toml
    """  # noqa: D301  \b is click's mark for "keep these lines", not an escape
    found = _read_calibration(offset, uncertainty)
    loaded = load_settings(HubSettings, settings)
    store = open_existing_store(loaded.database_url)
    clock = open_clock(loaded.clock)
    configurations = make_configurations(store, clock.now_ms, loaded)
    since_ms = None if since is None else to_ms(since.replace(tzinfo=UTC))
    try:
        with show_progress("consignments") as progress:
            changes = list(
                find_changes(
                    store,
                    configurations,
                    logger,
                    found,
                    codes=sorted(find_riders(store, logger, since_ms=since_ms)),
                    now_ms=clock.now_ms(),
                    progress=progress,
                )
            )
    finally:
        store.close()
    for change in changes:
        now, then = change.before, change.after
        click.echo(f"{now.consignment} {now.item} {now.examination}: {now.verdict} would be {then.verdict}")
    click.echo(f"verdicts that would change: {len(changes)}")
    return CHANGES if changes else 0


def _read_calibration(offset: float, uncertainty: float) -> Calibration:
    """Make a certificate that covers all time: the question is what if it had been so all along."""
    try:
        return Calibration(
            certificate="as found",
            calibrated_at=datetime.min.replace(year=1970, tzinfo=UTC),
            due_at=datetime.max.replace(tzinfo=UTC, microsecond=0),
            offset_c=offset,
            uncertainty_c=uncertainty,
        )
    except ValidationError as error:
        first = error.errors()[0]
        field = {"offset_c": "--offset", "uncertainty_c": "--uncertainty"}.get(str(first["loc"][0]), "calibration")
        raise InputError(field, first["msg"]) from error
