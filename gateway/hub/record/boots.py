"""Boots: what the hub learns of gateways' clocks while it takes their logs.

A segment with times that its gateway did not trust is noted with its boot; so is each moment at which a boot's clock
was trusted, and what bounds the boot from outside: it began no earlier than what its card held already, and nothing in
it is later than its arrival here. `redating` turns that into times.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

import msgspec
from sqlalchemy import Connection, func, insert, select, update

from gateway.core.contents import Content
from gateway.core.dating import UNDATED, Dating, Mark, Range, redate_all
from gateway.core.records import ClockCorrection, Health, Stop
from gateway.core.segments import Segment
from gateway.hub.database.schema import boots, clock_marks, gateways, stops, untrusted_segments
from gateway.hub.database.store import insert_or_skip

MARKS_MAX = 64
"""Trusted moments kept of one boot, the first ones: more says nothing new, or is an attack."""
NARROWER = 0.9
"""Bounds are applied again when they leave less than this share of what they left before: a boot whose segments keep
arriving is not dated anew each time."""
BEGAN = "began"

encode_dating = msgspec.msgpack.Encoder().encode
decode_dating = msgspec.msgpack.Decoder(Dating).decode


@dataclass(frozen=True, slots=True)
class _Boot:
    id: int
    earliest_ms: int | None
    latest_ms: int | None
    dating: Dating | None

    @property
    def range(self) -> Range | None:
        return as_range(self.earliest_ms, self.latest_ms)


def as_range(earliest_ms: int | None, latest_ms: int | None) -> Range | None:
    """Return the range of two bounds; None if one is missing or they contradict each other."""
    if earliest_ms is None or latest_ms is None or earliest_ms > latest_ms:
        return None
    return Range(earliest_ms, latest_ms)


def take_content(
    connection: Connection, segment: Segment, segment_id: int, content: Content, received_at_ms: int
) -> Content:
    """Note what a segment that was just chained says of its boot; return its content as it is to be read now."""
    _note_clock(connection, segment.gateway, content)
    untrusted, marks = has_untrusted(content), _marks(content)
    began = [record for record in content.records if isinstance(record, ClockCorrection) and record.source == BEGAN]
    if not (untrusted or marks or any(record.before_ms for record in began)):
        _note_stops(connection, segment.gateway, segment_id, content.records, UNDATED)
        return content
    boot = _open_boot(connection, segment)
    is_due = _add_marks(connection, boot, marks)
    boot = _narrow(boot, content, began, received_at_ms)
    if untrusted:
        connection.execute(insert(untrusted_segments).values(segment_id=segment_id, boot_id=boot.id))
        is_due = is_due or boot.dating is None or _is_narrower(boot)
    connection.execute(
        update(boots)
        .where(boots.c.id == boot.id)
        .values(earliest_ms=boot.earliest_ms, latest_ms=boot.latest_ms, due=boots.c.due | is_due)
    )
    if marks:  # it bounds the boots before it
        _rouse(connection, segment.gateway)
    dating = boot.dating or UNDATED
    _note_stops(connection, segment.gateway, segment_id, content.records, dating)
    return dated(content, dating)


def dated(content: Content, dating: Dating) -> Content:
    """Return a content with the times that a dating gives its observations."""
    return replace(content, observations=redate_all(content.observations, dating))


def has_untrusted(content: Content) -> bool:
    """Whether a dating would change anything."""
    return any(not observation.clock_trusted for observation in content.observations) or any(
        isinstance(record, Stop) and not record.clock_trusted for record in content.records
    )


def read_datings(connection: Connection, segment_ids: Iterable[int]) -> dict[int, Dating]:
    """Return the dating in force of those of the segments that need one."""
    rows = connection.execute(
        select(untrusted_segments.c.segment_id, boots.c.dating)
        .join(boots, boots.c.id == untrusted_segments.c.boot_id)
        .where(untrusted_segments.c.segment_id.in_(list(segment_ids)))
    )
    return {row.segment_id: UNDATED if row.dating is None else decode_dating(bytes(row.dating)) for row in rows}


def read_marks(connection: Connection, boot_id: int) -> tuple[Mark, ...]:
    """Return the trusted moments of a boot, in order."""
    mark = clock_marks.c
    rows = connection.execute(
        select(mark.monotonic_ms, mark.at_ms, mark.error_ms)
        .where(mark.boot_id == boot_id)
        .order_by(mark.monotonic_ms, mark.at_ms)
    )
    return tuple(Mark(*row) for row in rows)


def stop_rows(gateway: str, segment_id: int, records: Iterable[object], dating: Dating) -> list[dict[str, object]]:
    """Return the rows of the stops among a segment's records, dated."""
    rows: list[dict[str, object]] = []
    for number, record in enumerate(records):
        if not isinstance(record, Stop):
            continue
        found = None if record.clock_trusted else dating.date(record.monotonic_ms, record.at_ms)
        rows.append(
            {
                "segment_id": segment_id,
                "number": number,
                "gateway": gateway,
                "act": record.act[:16],
                "place": record.place[:80],
                "is_site": record.is_site,
                "at_ms": record.at_ms if found is None else found.at_ms,
                "error_ms": 0 if found is None else found.error_ms,
                "trusted": record.clock_trusted if found is None else found.trusted,
            }
        )
    return rows


def _note_stops(
    connection: Connection, gateway: str, segment_id: int, records: Iterable[object], dating: Dating
) -> None:
    rows = stop_rows(gateway, segment_id, records, dating)
    if rows:
        connection.execute(insert(stops), rows)


def _note_clock(connection: Connection, gateway: str, content: Content) -> None:
    """Remember what the gateway last said of its clock."""
    said: dict[str, object] = {}
    for record in content.records:
        if isinstance(record, ClockCorrection):
            said = {"clock_trusted": record.clock_trusted, "clock_error_ms": record.error_ms}
            said |= {"clock_reference": record.reference[:16], "clock_at_ms": record.at_ms}
        elif isinstance(record, Health):
            said |= {"clock_trusted": record.clock_trusted, "clock_at_ms": record.at_ms}
            said["clock_error_ms"] = record.counters.get("clock_error_ms", 0)
    if said:
        connection.execute(update(gateways).where(gateways.c.name == gateway).values(**said))


def _marks(content: Content) -> list[Mark]:
    return [
        Mark(record.monotonic_ms, record.at_ms, record.error_ms)
        for record in content.records
        if isinstance(record, ClockCorrection) and record.clock_trusted and record.error_ms >= 0
    ]


def _open_boot(connection: Connection, segment: Segment) -> _Boot:
    name, boot = segment.gateway, segment.header.boot
    insert_or_skip(connection, boots, gateway=name, boot=boot, earliest_ms=None, latest_ms=None)
    row = connection.execute(select(boots).where(boots.c.gateway == name, boots.c.boot == boot)).one()
    dating = None if row.dating is None else decode_dating(bytes(row.dating))
    return _Boot(row.id, row.earliest_ms, row.latest_ms, dating)


def _add_marks(connection: Connection, boot: _Boot, marks: list[Mark]) -> bool:
    """Keep new marks; say whether there were any."""
    if not marks:
        return False
    known = select(func.count()).select_from(clock_marks).where(clock_marks.c.boot_id == boot.id)
    room = MARKS_MAX - int(connection.execute(known).scalar_one())
    added = [
        insert_or_skip(
            connection,
            clock_marks,
            boot_id=boot.id,
            monotonic_ms=mark.monotonic_ms,
            at_ms=mark.at_ms,
            error_ms=mark.error_ms,
        )
        for mark in marks[: max(0, room)]
    ]
    return any(added)


def _narrow(boot: _Boot, content: Content, began: list[ClockCorrection], received_at_ms: int) -> _Boot:
    """Take what a segment says of the offset: it arrived after all that is in it, and after what the card held."""
    moments = [o.monotonic_ms for o in content.observations if not o.clock_trusted]
    moments += [r.monotonic_ms for r in content.records if isinstance(r, ClockCorrection | Stop)]
    floors = [record.before_ms - record.monotonic_ms for record in began if record.before_ms > 0]
    ceilings = [received_at_ms - max(moments)] if moments else []
    earliest = [bound for bound in (boot.earliest_ms, *floors) if bound is not None]
    latest = [bound for bound in (boot.latest_ms, *ceilings) if bound is not None]
    return replace(boot, earliest_ms=max(earliest, default=None), latest_ms=min(latest, default=None))


def _is_narrower(boot: _Boot) -> bool:
    """Whether the bounds now say notably more than what is applied. A mark says more than any bounds."""
    if boot.dating is None or boot.dating.marks:
        return False
    applied, now = boot.dating.range, boot.range
    return now is not None and (applied is None or now.width_ms < applied.width_ms * NARROWER)


def _rouse(connection: Connection, gateway: str) -> None:
    """Let the boots be dated again that have untrusted segments and no mark of their own."""
    has_segments = select(untrusted_segments.c.boot_id).distinct()
    has_marks = select(clock_marks.c.boot_id).distinct()
    connection.execute(
        update(boots)
        .where(boots.c.gateway == gateway, boots.c.id.in_(has_segments), boots.c.id.not_in(has_marks))
        .values(due=True)
    )
