"""Portions: the chained segments that are not projected yet, read and decoded, epoch by epoch in turn."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from itertools import groupby
from operator import attrgetter
from typing import Any

from sqlalchemy import Connection, Row, bindparam, func, select, update

from gateway.core.contents import Content, decode_content
from gateway.core.dating import UNDATED, Dating
from gateway.core.errors import SegmentError
from gateway.core.segments import Position, parse_segment
from gateway.hub.database.schema import epochs, segments
from gateway.hub.record.archive import Archive
from gateway.hub.record.boots import dated, has_untrusted, read_datings
from gateway.hub.record.index import Place, Places, join, place_bits

SEGMENTS_MAX = 500
"""Segments in one step: 25,000 readings at 50 each, a few MiB."""
SEGMENTS_OF_EPOCH_MAX = 100
"""So that a vehicle that was away for a month does not make the others wait."""

_Row = Row[Any, Any, Any, Any]
_pending = epochs.c.projected_offset < epochs.c.next_offset


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A segment that decoded when it came and does not now: the database is damaged."""

    gateway: str
    verbatim: bytes
    reason: str


@dataclass(frozen=True, slots=True)
class Portion:
    """The next segments of one epoch: offsets from `begin` up to, without, `end`; `places` are the readable ones."""

    epoch_id: int
    gateway: str
    begin: int
    end: int
    places: Places
    contents: tuple[tuple[Position, Content], ...]
    unreadable: tuple[Unreadable, ...]


@dataclass(frozen=True, slots=True)
class _Stretch:
    epoch_id: int
    gateway: str
    begin: int
    end: int


def read_portions(
    connection: Connection, archive: Archive, after_epoch: int, ahead: Mapping[int, int] | None = None
) -> list[Portion]:
    """Return what waits, beginning behind an epoch's id and going round, at most SEGMENTS_MAX segments.

    `ahead` says of epochs, by id, up to which offset they are under way already. What the archive remembers is not
    decoded again.
    """
    stretches = _find(connection, after_epoch, ahead or {})
    asked = {"epochs": [stretch.epoch_id for stretch in stretches]}
    rows: dict[int, list[_Row]] = {
        epoch_id: list(found)
        for epoch_id, found in groupby(connection.execute(_WAITING, asked), key=attrgetter("epoch_id"))
    }
    known = archive.recall((row.epoch_id, row.position) for found in rows.values() for row in found)
    return [_read(connection, stretch, rows.get(stretch.epoch_id, ()), known) for stretch in stretches]


def advance(connection: Connection, portions: Iterable[Portion]) -> None:
    """Move the cursors behind the portions, unless they were set back meanwhile."""
    rows = [
        {"of": portion.epoch_id, "begin": portion.begin, "end": portion.end}
        for portion in sorted(portions, key=lambda portion: portion.epoch_id)  # the order in which ingest takes them
    ]
    if rows:
        connection.execute(_ADVANCE, rows)


def rewind(connection: Connection) -> None:
    """Set every cursor back to the beginning."""
    connection.execute(update(epochs).where(epochs.c.projected_offset > 0).values(projected_offset=0))


def count_waiting(connection: Connection) -> int:
    """Return how many segments wait to be projected."""
    behind = func.sum(epochs.c.next_offset - epochs.c.projected_offset)
    return int(connection.execute(select(func.coalesce(behind, 0)).where(_pending)).scalar_one())


def oldest_waiting_ms(connection: Connection) -> int | None:
    """Return when the first of the segments that wait arrived; None if none waits."""
    first = (segments.c.epoch_id == epochs.c.id) & (segments.c.position == epochs.c.projected_offset)
    arrived = select(func.min(segments.c.received_at_ms)).select_from(epochs).join(segments, first).where(_pending)
    return connection.execute(arrived).scalar()


def _find(connection: Connection, after_epoch: int, ahead: Mapping[int, int]) -> list[_Stretch]:
    stretches: list[_Stretch] = []
    left = SEGMENTS_MAX
    for turn in (epochs.c.id > after_epoch, epochs.c.id <= after_epoch):
        rows = connection.execute(
            select(epochs.c.id, epochs.c.gateway, epochs.c.projected_offset, epochs.c.next_offset)
            .where(_pending, turn)
            .order_by(epochs.c.id)
            .limit(left + len(ahead))
        ).all()
        for row in rows:
            begin = max(row.projected_offset, ahead.get(row.id, 0))
            take = min(left, SEGMENTS_OF_EPOCH_MAX, row.next_offset - begin)
            if take > 0:
                stretches.append(_Stretch(row.id, row.gateway, begin, begin + take))
                left -= take
            if left == 0:
                return stretches
    return stretches


def _read(
    connection: Connection,
    stretch: _Stretch,
    rows: Iterable[_Row],
    known: Mapping[Place, tuple[Position, Content]],
) -> Portion:
    contents, unreadable = [], []
    places: Places = {}
    for row in rows:
        place = (stretch.epoch_id, row.position)
        if not stretch.begin <= row.position < stretch.end:
            continue
        join(places, place_bits(place))
        try:
            contents.append(known.get(place) or _decode(connection, stretch.gateway, row))
        except SegmentError as error:
            unreadable.append(Unreadable(stretch.gateway, bytes(row.verbatim), str(error)))
    return Portion(
        epoch_id=stretch.epoch_id,
        gateway=stretch.gateway,
        begin=stretch.begin,
        end=stretch.end,
        places=places,
        contents=tuple(contents),
        unreadable=tuple(unreadable),
    )


def _decode(connection: Connection, gateway: str, row: _Row) -> tuple[Position, Content]:
    segment = parse_segment(gateway, bytes(row.verbatim))
    content = decode_content(segment.body or b"")
    if has_untrusted(content):
        content = _settled(content, read_datings(connection, [row.id]).get(row.id, UNDATED))
    return segment.header.position, content


def _settled(content: Content, dating: Dating) -> Content:
    """Leave out what nothing dates for certain yet: its points would stay where they do not belong.

    When it is dated, the epoch's cursor goes back and what is left out here is written (see `redating`).
    """
    if not dating.marks:
        return replace(content, observations=tuple(o for o in content.observations if o.clock_trusted))
    return dated(content, dating)


_WAITING = (
    select(segments.c.id, segments.c.epoch_id, segments.c.position, segments.c.verbatim)
    .join(epochs, epochs.c.id == segments.c.epoch_id)
    .where(
        epochs.c.id.in_(bindparam("epochs", expanding=True)),
        segments.c.position >= epochs.c.projected_offset,
        # Twice as many: so many may be under way already.
        segments.c.position < epochs.c.projected_offset + 2 * SEGMENTS_OF_EPOCH_MAX,
        segments.c.position < epochs.c.next_offset,
        segments.c.content == "readable",
    )
    .order_by(segments.c.epoch_id, segments.c.position)
)

_ADVANCE = (
    update(epochs)
    .where(epochs.c.id == bindparam("of"), epochs.c.projected_offset == bindparam("begin"))
    .values(projected_offset=bindparam("end"))
)
