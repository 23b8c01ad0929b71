"""Trips: the readings of a consignment's loggers while they carried it, and how complete they are."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, func, select

from gateway.core.assignments import tenures_in
from gateway.core.configuration import Carriage, Consignment, Logger
from gateway.core.exposure import to_ms
from gateway.core.readings import Reading, merge_observations
from gateway.hub.database.schema import epochs, gateways, logger_hours
from gateway.hub.judgement.watch import carried_span
from gateway.hub.record.archive import Archive
from gateway.hub.record.index import HOUR_MS

SEAL_MS = 30_000
BEHIND_MS = 3 * SEAL_MS
"""A vehicle seals every 30 s; what is three seals old may still be on its way, more is a backlog."""


@dataclass(frozen=True, slots=True)
class Trip:
    """One logger's part: readings with calibration applied, in order of time, within [from_ms, to_ms)."""

    logger: str
    box: str
    from_ms: int
    to_ms: int
    readings: tuple[Reading, ...]
    repeated: int
    conflicts: int


@dataclass(frozen=True, slots=True)
class Ride:
    """A logger in a box while that carried something, within [from_ms, to_ms).

    offset_c  what is added to what it says
    is_over   whether it ended by itself, and not because nothing is known of later
    """

    logger: str
    box: str
    from_ms: int
    to_ms: int
    offset_c: float
    is_over: bool


def rides_in(carried: Iterable[Carriage], loggers: Sequence[Logger], until_ms: int) -> Iterator[Ride]:
    """Yield the ride of each logger in each of the stretches, each once; open ones end at `until_ms`."""
    stretches: dict[tuple[str, int, int], bool] = {}
    for carriage in carried:
        begins_ms, is_stated = to_ms(carriage.begins), carriage.ends is not None
        ends_ms = max(begins_ms, until_ms if carriage.ends is None else to_ms(carriage.ends))
        stretches[carriage.box, begins_ms, ends_ms] = is_stated
    for (box, begins_ms, ends_ms), is_stated in stretches.items():
        for tenure in tenures_in(loggers, box, begins_ms, max(begins_ms + 1, ends_ms)):
            yield Ride(
                logger=tenure.logger,
                box=tenure.box,
                from_ms=max(begins_ms, tenure.from_ms),
                to_ms=ends_ms if tenure.until_ms is None else min(ends_ms, tenure.until_ms),
                offset_c=tenure.offset_c,
                is_over=is_stated or tenure.until_ms is not None,
            )


def read_trips(archive: Archive, carried: Iterable[Carriage], loggers: Sequence[Logger], until_ms: int) -> list[Trip]:
    """Return the trip of each logger in each of the stretches, in order of time; open ones end at `until_ms`."""
    trips = [_read_trip(archive, ride) for ride in rides_in(carried, loggers, until_ms)]
    return sorted(trips, key=lambda trip: (trip.from_ms, trip.logger))


def until_ms(consignment: Consignment, now_ms: int) -> int:
    """Return when an open carriage ends: at the receipt, or now."""
    return now_ms if consignment.received_at is None else to_ms(consignment.received_at)


def _read_trip(archive: Archive, ride: Ride) -> Trip:
    merged = merge_observations(archive.observations(ride.logger, ride.from_ms, ride.to_ms), offset_c=ride.offset_c)
    return Trip(
        logger=ride.logger,
        box=ride.box,
        from_ms=ride.from_ms,
        to_ms=ride.to_ms,
        readings=merged.readings,
        repeated=merged.repeated,
        conflicts=len(merged.conflicts),
    )


def behind_ms(connection: Connection, consignment: Consignment, loggers: Sequence[Logger], now_ms: int) -> int:
    """Return how far the archive is behind for a consignment: 0 while everything due has arrived.

    Counted from what the gateways that heard its loggers have delivered without a hole; while nobody has delivered
    anything of them, from what any gateway has.
    """
    span = carried_span(consignment, now_ms)
    if span is None:
        return 0
    delivered_ms = _delivered_ms(connection, [logger.address for logger in loggers], span)
    if delivered_ms is None:
        delivered_ms = connection.execute(select(func.max(gateways.c.sealed_at_ms))).scalar()
    if delivered_ms is None:
        delivered_ms = span[0]
    late_ms = min(span[1], now_ms) - delivered_ms
    return late_ms if late_ms > BEHIND_MS else 0


def _delivered_ms(connection: Connection, addresses: Sequence[str], span: tuple[int, int]) -> int | None:
    heard = (
        select(epochs.c.gateway)
        .join(logger_hours, logger_hours.c.epoch_id == epochs.c.id)
        .where(
            logger_hours.c.logger.in_(addresses),
            logger_hours.c.hour >= span[0] // HOUR_MS,
            logger_hours.c.hour <= span[1] // HOUR_MS,
        )
    )
    found = connection.execute(select(func.max(gateways.c.sealed_at_ms)).where(gateways.c.name.in_(heard))).scalar()
    return None if found is None else int(found)
