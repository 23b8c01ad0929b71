"""The table of a report's readings: written, read back exactly, and shared out to the rides that it is made of."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import NoReturn

from gateway.core.errors import InputError
from gateway.core.observations import Source
from gateway.core.readings import Reading
from gateway.hub.reports.document import Ride
from gateway.hub.tabular.forms import COLUMNS, Form, Sink, open_form, unguard_cell
from gateway.hub.tabular.selection import Row
from gateway.hub.times import OSLO
from gateway.hub.views.trips import Trip

READINGS_MAX = 500_000
"""Of one consignment: ten loggers for two weeks at 30 s. Longer ones are for `coldchain export`."""


def write_readings(rows: Sequence[Row], form: Form = Form.CSV) -> bytes:
    """Return the table, in Norwegian time with its offset."""
    file = io.BytesIO()
    with open_form(form, Sink(file), OSLO) as take:
        take(rows)
    return file.getvalue()


def read_readings(table: bytes) -> list[Row]:
    """Return the rows of a table that `write_readings` wrote as CSV; raises InputError for any other."""
    try:
        lines = csv.reader(io.StringIO(table.decode(), newline=""), strict=True)
        if tuple(next(lines, ())) != COLUMNS:
            _refuse("other columns")
        return [_read_row(dict(zip(COLUMNS, line, strict=True))) for line in lines]
    except (ValueError, KeyError, csv.Error) as error:
        raise InputError("readings.csv", f"is not a table of readings: {error}") from error


def trips_of(rides: Iterable[Ride], rows: Iterable[Row]) -> list[Trip]:
    """Return each ride with its readings."""
    by_place: dict[tuple[str, str], list[Reading]] = {}
    for row in rows:
        by_place.setdefault((row.logger, row.box), []).append(row.reading)
    return [
        Trip(
            logger=ride.logger,
            box=ride.box,
            from_ms=ride.from_ms,
            to_ms=ride.to_ms,
            readings=tuple(
                reading
                for reading in by_place.get((ride.logger, ride.box), ())
                if ride.from_ms <= reading.at_ms < ride.to_ms
            ),
            repeated=ride.repeated,
            conflicts=ride.conflicts,
        )
        for ride in rides
    ]


def _read_row(cells: dict[str, str]) -> Row:
    def number(name: str) -> int | None:
        return int(cells[name]) if cells[name] else None

    reading = Reading(
        at_ms=round(datetime.fromisoformat(cells["time"]).timestamp() * 1000),
        temperature_c=float(cells["temperature_c"]),
        interval_s=int(cells["interval_s"]),
        source=Source(cells["source"]),
        clock_trusted=_TRUTH[cells["clock_trusted"]],
        counter=number("counter"),
        light_lux=number("light_lux"),
        shock_g=float(cells["shock_g"]) if cells["shock_g"] else None,
        time_error_ms=int(cells["time_error_ms"]),
    )
    return Row(unguard_cell(cells["logger"]), unguard_cell(cells["box"]), reading)


def _refuse(reason: str) -> NoReturn:
    raise ValueError(reason)


_TRUTH = {"true": True, "false": False}
