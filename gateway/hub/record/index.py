"""The index of the archive: which chained segments hold observations of a logger in an hour.

A row says for one logger, one hour and BLOCK following segments of one epoch which of them hold any: a bit for each.
A vehicle that seals each 30 s adds some three rows an hour for a logger, however often the bits in them are set. Bits
are only ever added, so the order in which segments arrive does not matter.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from sqlalchemy import Connection, bindparam, func, select, update

from gateway.core.contents import Content
from gateway.hub.database.schema import epochs, logger_hours
from gateway.hub.database.store import insert_for
from gateway.hub.signals.dirty import Span

HOUR_MS = 3_600_000
BLOCK = 60
"""Segments to a row: as many bits as a signed number of 64 bits holds, in round figures half an hour."""

Place = tuple[int, int]
"""A segment: its epoch's id and its offset."""
Places = dict[tuple[int, int], int]
"""Segments: (epoch's id, block) → bits."""
NOTHING = (-1, 0)
"""No epoch, of which nothing is passed over."""
Entries = dict[tuple[str, int, int, int], int]
"""Rows: (logger, hour, epoch's id, block) → bits."""


def spans_of(content: Content) -> list[Span]:
    """Return from when to when a segment holds observations of each logger."""
    first: dict[str, int] = {}
    last: dict[str, int] = {}
    for observation in content.observations:
        logger, at_ms = observation.logger, observation.measured_at_ms
        if logger not in first:
            first[logger] = last[logger] = at_ms
        elif at_ms > last[logger]:
            last[logger] = at_ms
        elif at_ms < first[logger]:
            first[logger] = at_ms
    return [Span(logger, first_ms, last[logger]) for logger, first_ms in first.items()]


def hours_of(content: Content, spans: Iterable[Span]) -> set[tuple[str, int]]:
    """Return the (logger, hour) pairs that the index must know of a segment."""
    hours: set[tuple[str, int]] = set()
    for span in spans:
        hour = span.first_ms // HOUR_MS
        if span.last_ms // HOUR_MS > hour + 1:  # a memory's days: the hours between may be empty
            return {(o.logger, o.measured_at_ms // HOUR_MS) for o in content.observations}
        hours |= {(span.logger, hour), (span.logger, span.last_ms // HOUR_MS)}
    return hours


def note_segment(entries: Entries, place: Place, hours: Iterable[tuple[str, int]]) -> None:
    """Add a segment to entries that are yet to be written."""
    epoch_id, position = place
    block, bit = position // BLOCK, 1 << position % BLOCK
    for logger, hour in hours:
        key = (logger, hour, epoch_id, block)
        entries[key] = entries.get(key, 0) | bit


def write_entries(connection: Connection, entries: Mapping[tuple[str, int, int, int], int]) -> None:
    """Add entries to the index."""
    if not entries:
        return
    insert = insert_for(connection, logger_hours)
    keys = ["logger", "hour", "epoch_id", "block"]
    both = logger_hours.c.places.bitwise_or(insert.excluded.places)
    rows = [(*key, bits) for key, bits in sorted(entries.items())]
    connection.execute(
        insert.on_conflict_do_update(index_elements=keys, set_={"places": both}),
        [dict(zip((*keys, "places"), row, strict=True)) for row in rows],
    )


def move_segment(
    connection: Connection, place: Place, before: Iterable[tuple[str, int]], after: Iterable[tuple[str, int]]
) -> None:
    """Say of a segment that its readings are in other (logger, hour) pairs than was thought."""
    epoch_id, position = place
    now = set(after)
    gone = [
        {"of_logger": logger, "of_hour": hour, "of_epoch": epoch_id, "of_block": position // BLOCK}
        for logger, hour in sorted(set(before) - now)
    ]
    if gone:
        connection.execute(_FORGET, [{**key, "others": ~(1 << position % BLOCK)} for key in gone])
    entries: Entries = {}
    note_segment(entries, place, now)
    write_entries(connection, entries)


def find_places(
    connection: Connection, loggers: Iterable[str], from_ms: int, to_ms: int, passed: tuple[int, int] = NOTHING
) -> Places:
    """Return the segments that may hold observations of the loggers with from_ms <= time < to_ms.

    `passed`: an epoch, and a block of it before which nothing is asked for; see `passed_in`.
    """
    found: Places = {}
    hours = {"first": from_ms // HOUR_MS, "last": (to_ms - 1) // HOUR_MS}
    asked = {"loggers": sorted(set(loggers)), **hours, "passed_epoch": passed[0], "passed_block": passed[1]}
    for epoch_id, block, bits in connection.execute(_FIND, asked):
        found[epoch_id, block] = found.get((epoch_id, block), 0) | bits
    return found


def find_projected_hours(connection: Connection, loggers: Iterable[str], from_hour: int) -> list[tuple[str, int, int]]:
    """Return (logger, epoch's id, its last hour) of what is projected, from an hour on."""
    rows = connection.execute(_FIND_PROJECTED, {"loggers": sorted(set(loggers)), "first": from_hour})
    return [(logger, epoch_id, hour) for logger, epoch_id, hour in rows]


def passed_in(seen: Places) -> tuple[int, int]:
    """Return the epoch last seen, and its last block seen: what an epoch adds later is never in a block before it.

    It is so as long as the same hours are asked for, and no times have been corrected.
    """
    if not seen:
        return NOTHING
    epoch_id, _ = next(reversed(seen))
    return epoch_id, max(block for epoch, block in seen if epoch == epoch_id)


def without(places: Places, seen: Places) -> Places:
    """Return the segments that are not among `seen`."""
    left = {key: bits & ~seen.get(key, 0) for key, bits in places.items()}
    return {key: bits for key, bits in left.items() if bits}


def join(places: Places, more: Places) -> None:
    """Add segments to `places`."""
    for key, bits in more.items():
        places[key] = places.get(key, 0) | bits


def place_bits(place: Place) -> Places:
    """Return one segment as a set of them."""
    return {(place[0], place[1] // BLOCK): 1 << place[1] % BLOCK}


def overlaps(places: Places, others: Places) -> bool:
    """Whether a segment is among both."""
    return any(bits & others.get(key, 0) for key, bits in places.items())


def each_place(places: Places) -> Iterator[Place]:
    """Yield the segments, in order of epochs and offsets."""
    for (epoch_id, block), bits in sorted(places.items()):
        for place in range(BLOCK):
            if bits >> place & 1:
                yield epoch_id, block * BLOCK + place


def count_places(places: Places) -> int:
    """Return how many segments these are."""
    return sum(bits.bit_count() for bits in places.values())


_FIND = select(logger_hours.c.epoch_id, logger_hours.c.block, logger_hours.c.places).where(
    logger_hours.c.logger.in_(bindparam("loggers", expanding=True)),
    logger_hours.c.hour >= bindparam("first"),
    logger_hours.c.hour <= bindparam("last"),
    (logger_hours.c.epoch_id != bindparam("passed_epoch")) | (logger_hours.c.block >= bindparam("passed_block")),
)

_FIND_PROJECTED = (
    select(logger_hours.c.logger, logger_hours.c.epoch_id, func.max(logger_hours.c.hour))
    .join(epochs, epochs.c.id == logger_hours.c.epoch_id)
    .where(
        logger_hours.c.logger.in_(bindparam("loggers", expanding=True)),
        logger_hours.c.hour >= bindparam("first"),
        logger_hours.c.block * BLOCK < epochs.c.projected_offset,
    )
    .group_by(logger_hours.c.logger, logger_hours.c.epoch_id)
)

_FORGET = (
    update(logger_hours)
    .where(
        logger_hours.c.logger == bindparam("of_logger"),
        logger_hours.c.hour == bindparam("of_hour"),
        logger_hours.c.epoch_id == bindparam("of_epoch"),
        logger_hours.c.block == bindparam("of_block"),
    )
    .values(places=logger_hours.c.places.bitwise_and(bindparam("others")))
)
