"""What happened on the way besides readings: acts of people, and what became of the vehicles' clocks."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import msgspec
from sqlalchemy import Connection, select

from gateway.core.configuration import Consignment
from gateway.core.contents import decode_content
from gateway.core.custody import CustodyRecord, standing
from gateway.core.errors import ContentError
from gateway.core.exposure import to_ms
from gateway.core.records import ClockCorrection, CustodyEvent, Registration
from gateway.core.segments import parse_segment
from gateway.hub.database.rows import boxes_of
from gateway.hub.database.schema import audit, custody, epochs, segments
from gateway.hub.judgement.watch import carried_span
from gateway.hub.reports.document import ClockEvent, Handling, LogPart

AROUND_MS = 7 * 86_400_000
"""Acts are corrected within a week, so the corrections of what happened on the way are read as well."""
SEGMENTS_READ_MAX = 20_000
"""Segments that are looked through for what happened to clocks: a week of one vehicle, some ten seconds."""
HANDLINGS_MAX = 2_000
_REGISTRY_ACTS = ("register", "update", "receive")

_decode = msgspec.msgpack.Decoder(CustodyRecord).decode


def read_handlings(connection: Connection, consignment: Consignment, until_ms: int) -> list[Handling]:
    """Return what people did with a consignment and its boxes, in order of time."""
    found = [*_at_vehicles(connection, consignment, until_ms), *_at_the_registry(connection, consignment.code)]
    return sorted(found, key=lambda one: (one.at_ms, one.act, one.item, one.box))[:HANDLINGS_MAX]


def read_clock(connection: Connection, parts: Iterable[LogPart]) -> tuple[tuple[ClockEvent, ...], int]:
    """Return what happened to the clocks of the logs' parts, and how many segments were too many to look into."""
    found: list[ClockEvent] = []
    left, unread = SEGMENTS_READ_MAX, 0
    for part in parts:
        last = min(part.last_offset, part.first_offset + left - 1)
        unread += part.last_offset - last
        left -= max(0, last - part.first_offset + 1)
        found += _read_part(connection, part, last)
    return tuple(sorted(found, key=lambda one: (one.at_ms, one.gateway, one.source))), unread


def _read_part(connection: Connection, part: LogPart, last: int) -> Iterator[ClockEvent]:
    wanted = (
        select(segments.c.verbatim)
        .join(epochs, epochs.c.id == segments.c.epoch_id)
        .where(
            epochs.c.gateway == part.gateway,
            epochs.c.epoch == bytes.fromhex(part.epoch),
            segments.c.position.between(part.first_offset, last),
            segments.c.chained,
            segments.c.content == "readable",
        )
        .order_by(segments.c.position)
        .execution_options(yield_per=200)
    )
    for verbatim in connection.execute(wanted).scalars():
        body = parse_segment(part.gateway, bytes(verbatim)).body
        try:
            records = () if body is None else decode_content(body).records
        except ContentError:  # counted and kept in quarantine since it came
            continue
        yield from (
            _to_event(part.gateway, record)
            for record in records
            if isinstance(record, ClockCorrection) and record.source != "began"
        )


def _to_event(gateway: str, record: ClockCorrection) -> ClockEvent:
    return ClockEvent(
        gateway=gateway,
        at_ms=record.at_ms,
        source=record.source,
        offset_ms=record.at_ms - record.before_ms if record.before_ms else None,
        error_ms=record.error_ms,
        reference=record.reference,
        trusted=record.clock_trusted,
    )


def _at_vehicles(connection: Connection, consignment: Consignment, until_ms: int) -> Iterator[Handling]:
    span = carried_span(consignment, until_ms)
    if span is None:
        return
    stored = connection.execute(
        select(custody.c.gateway, custody.c.record)
        .where(custody.c.at_ms.between(span[0] - AROUND_MS, span[1] + AROUND_MS))
        .order_by(custody.c.id)
    ).all()
    items, boxes = {item.code for item in consignment.items}, boxes_of(consignment)
    for gateway in sorted({row.gateway for row in stored}):
        for record in standing(_decode(bytes(row.record)) for row in stored if row.gateway == gateway):
            is_ours = consignment.code == record.consignment or (not record.consignment and record.item in items)
            is_box = not record.item and record.box in boxes and span[0] <= record.at_ms <= span[1]
            if is_ours or is_box:
                yield _to_handling(gateway, record)


def _to_handling(gateway: str, record: CustodyEvent | Registration) -> Handling:
    return Handling(
        at_ms=record.at_ms,
        act=record.act if isinstance(record, CustodyEvent) else "packed",
        box=record.box,
        item=record.item,
        who=f"{gateway} / {record.holder}",
        place=record.place if isinstance(record, CustodyEvent) else "",
        trusted=record.clock_trusted,
    )


def _at_the_registry(connection: Connection, code: str) -> Iterator[Handling]:
    for row in connection.execute(
        select(audit.c.at_ms, audit.c.act, audit.c.who, audit.c.new)
        .where(audit.c.subject == f"consignment {code}", audit.c.act.in_(_REGISTRY_ACTS))
        .order_by(audit.c.id)
    ):
        at_ms = row.at_ms
        if row.act == "receive":
            received_at = Consignment.model_validate_json(row.new).received_at
            at_ms = at_ms if received_at is None else to_ms(received_at)
        yield Handling(at_ms, f"{row.act} at the hub", "", "", row.who, "", trusted=True)
