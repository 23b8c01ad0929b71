"""Dirty marks: consignments whose evidence changed and that wait to be judged again."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

from sqlalchemy import Connection, delete, or_, select, union_all, update

from gateway.core.assignments import Tenure
from gateway.hub.database.schema import assignments, carriages, dirty, vigils
from gateway.hub.database.store import insert_for

MARGIN_MS = 3_600_000
"""A reading this long before or after a carriage may still bound a gap at its end."""


@dataclass(frozen=True, slots=True)
class Span:
    """A stretch of time of which something new is known about one logger."""

    logger: str
    first_ms: int
    last_ms: int


@dataclass(frozen=True, slots=True)
class Mark:
    """A dirty mark as it was seen; `marks` grows with each new reason to judge."""

    consignment: str
    marks: int
    marked_at_ms: int


def mark_consignments(connection: Connection, codes: Iterable[str], now_ms: int) -> None:
    """Mark consignments within the transaction of what changed. To be called once, and late, in a transaction."""
    # In one order everywhere, so that two workers never wait for each other.
    rows = [{"consignment": code, "marks": 1, "marked_at_ms": now_ms} for code in sorted(set(codes))]
    if rows:
        insert = insert_for(connection, dirty)
        again = insert.on_conflict_do_update(index_elements=["consignment"], set_={"marks": dirty.c.marks + 1})
        connection.execute(again, rows)


def mark_clean(connection: Connection, codes: Iterable[str], now_ms: int) -> None:
    """Mark those of the consignments that are not marked."""
    rows = [{"consignment": code, "marks": 1, "marked_at_ms": now_ms} for code in sorted(set(codes))]
    if rows:
        connection.execute(insert_for(connection, dirty).on_conflict_do_nothing(), rows)


def mark_carried(connection: Connection, spans: Iterable[Span], now_ms: int) -> None:
    """Mark each consignment that was in the box of one of the loggers during the span, and each vigil over the box."""
    widest: dict[str, Span] = {}
    for span in spans:
        known = widest.get(span.logger, span)
        widest[span.logger] = Span(span.logger, min(known.first_ms, span.first_ms), max(known.last_ms, span.last_ms))
    if not widest:
        return
    tenures = (assignments.c.logger, assignments.c.from_ms, assignments.c.until_ms)
    carried = (carriages.c.consignment, carriages.c.begins_ms, carriages.c.ends_ms)
    watched = (vigils.c.code, vigils.c.begins_ms, vigils.c.ends_ms)
    heard = assignments.c.logger.in_(widest)
    first_ms = min(span.first_ms for span in widest.values()) - MARGIN_MS  # all of a box's past is not looked at
    rows = connection.execute(
        union_all(
            select(*tenures, *carried)
            .join(carriages, carriages.c.box == assignments.c.box)
            .where(heard, or_(carriages.c.ends_ms.is_(None), carriages.c.ends_ms >= first_ms)),
            select(*tenures, *watched)
            .join(vigils, vigils.c.box == assignments.c.box)
            .where(heard, or_(vigils.c.ends_ms.is_(None), vigils.c.ends_ms >= first_ms)),
        )
    )
    mark_consignments(
        connection,
        [
            row.consignment
            for row in rows
            if max(row.begins_ms, row.from_ms) - MARGIN_MS <= widest[row.logger].last_ms
            and (row.ends_ms is None or row.ends_ms + MARGIN_MS >= widest[row.logger].first_ms)
            and (row.until_ms is None or row.until_ms + MARGIN_MS >= widest[row.logger].first_ms)
        ],
        now_ms,
    )


def mark_tenures(connection: Connection, tenures: Iterable[Tenure], now_ms: int) -> None:
    """Mark each consignment that was in a box during one of the stretches of time."""
    by_box: defaultdict[str, list[Tenure]] = defaultdict(list)
    for tenure in tenures:
        by_box[tenure.box].append(tenure)
    if not by_box:
        return
    first_ms = min(tenure.from_ms for there in by_box.values() for tenure in there)
    rows = connection.execute(
        select(carriages).where(
            carriages.c.box.in_(by_box), carriages.c.ends_ms.is_(None) | (carriages.c.ends_ms >= first_ms)
        )
    )
    codes = {
        row.consignment
        for row in rows
        for tenure in by_box[row.box]
        if (row.ends_ms is None or row.ends_ms >= tenure.from_ms)
        and (tenure.until_ms is None or row.begins_ms <= tenure.until_ms)
    }
    mark_consignments(connection, codes, now_ms)


def read_marks(connection: Connection, limit: int) -> list[Mark]:
    """Return the oldest marks."""
    rows = connection.execute(select(dirty).order_by(dirty.c.marked_at_ms, dirty.c.consignment).limit(limit))
    return [Mark(row.consignment, row.marks, row.marked_at_ms) for row in rows]


def read_marks_of(connection: Connection, codes: Iterable[str]) -> list[Mark]:
    """Return the marks of some consignments, oldest first."""
    rows = connection.execute(
        select(dirty).where(dirty.c.consignment.in_(list(codes))).order_by(dirty.c.marked_at_ms, dirty.c.consignment)
    )
    return [Mark(row.consignment, row.marks, row.marked_at_ms) for row in rows]


def clear_mark(connection: Connection, mark: Mark, now_ms: int) -> None:
    """Remove a mark; where something changed since it was seen, its consignment waits from now on."""
    marked = dirty.c.consignment == mark.consignment
    removed = connection.execute(delete(dirty).where(marked, dirty.c.marks == mark.marks))
    if not removed.rowcount:
        # Those that change while they are judged would else stay in front of all others.
        connection.execute(update(dirty).where(marked).values(marked_at_ms=now_ms))
