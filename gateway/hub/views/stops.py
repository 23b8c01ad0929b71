"""Stops of a trip: where the vehicles that carried something stood meanwhile, by names and numbers, not positions."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from sqlalchemy import Connection, select

from gateway.hub.database.schema import epochs, logger_hours, stops
from gateway.hub.record.index import HOUR_MS

LISTED_MAX = 1000
"""Arrivals and departures told of one trip: a stop every ten minutes for three days."""


@dataclass(frozen=True, slots=True)
class StopSeen:
    """A vehicle `arrived` at a place or `left` it. Moments in UTC milliseconds.

    place     a registered site's name, or "stop n", counted anew at each start of the gateway
    error_ms  bound on the error of `at_ms` where it was dated afterwards; 0 where the gateway knew the time
    trusted   whether `at_ms` can be relied upon
    """

    gateway: str
    act: str
    place: str
    is_site: bool
    at_ms: int
    error_ms: int
    trusted: bool


def read_stops(connection: Connection, loggers: Collection[str], span: tuple[int, int]) -> list[StopSeen]:
    """Return the stops within [from, to) of the gateways that heard one of the loggers then, in order of time."""
    entry = logger_hours.c
    heard = (
        select(epochs.c.gateway)
        .join(logger_hours, entry.epoch_id == epochs.c.id)
        .where(entry.logger.in_(loggers), entry.hour.between(span[0] // HOUR_MS, span[1] // HOUR_MS))
    )
    rows = connection.execute(
        select(stops)
        .where(stops.c.gateway.in_(heard), stops.c.at_ms >= span[0], stops.c.at_ms < span[1])
        .order_by(stops.c.at_ms, stops.c.segment_id, stops.c.number)
        .limit(LISTED_MAX)
    )
    return [
        StopSeen(row.gateway, row.act, row.place, row.is_site, row.at_ms, row.error_ms, row.trusted) for row in rows
    ]
