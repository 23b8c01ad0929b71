"""The queue of breaches: what waits, filtered, sorted and in pages. One query, whatever is asked for."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from typing import Any

from sqlalchemy import ColumnElement, Connection, Join, Row, Select, and_, exists, func, or_, select

from gateway import profiles as library
from gateway.core.profiles import Kind
from gateway.hub.breaches.keeping import StoredBreach, to_stored
from gateway.hub.breaches.lifecycle import ReviewState
from gateway.hub.breaches.records import Standing
from gateway.hub.database.rows import read_registered_profile
from gateway.hub.database.schema import (
    assignments,
    breaches,
    carriages,
    consignment_items,
    consignments,
    epochs,
    logger_hours,
    profiles,
    reviews,
    vigils,
)
from gateway.hub.database.store import Store
from gateway.hub.record.index import HOUR_MS

PAGE_SIZE = 50
"""Breaches on a page: what somebody goes through with the keys in one sitting."""
PAGES_MAX = 1000
"""Beyond it a filter helps more than turning pages does."""


class Stage(StrEnum):
    """Which breaches, by how far people are with them.

    WAITING: all that are not closed. One that has ended and that nobody has acknowledged is among them.
    """

    WAITING = "waiting"
    UNACKNOWLEDGED = "unacknowledged"
    RUNNING = "running"
    ACKNOWLEDGED = "acknowledged"
    IN_REVIEW = "in_review"
    CLOSED = "closed"
    ALL = "all"


class Order(StrEnum):
    """What comes first."""

    NEWEST = "newest"
    OLDEST = "oldest"
    LONGEST = "longest"


@dataclass(frozen=True, slots=True)
class Filter:
    """What is asked for; "" and None ask for nothing.

    box, vehicle  that carried it, or heard its loggers, while it lasted
    receiver      who awaits the consignment
    since_ms      begun at or after, and until_ms: before
    assigned_to   the name of an account
    code          part of the code of a consignment or an item
    """

    stage: Stage = Stage.WAITING
    kind: Kind | None = None
    box: str = ""
    vehicle: str = ""
    profile: str = ""
    receiver: str = ""
    since_ms: int | None = None
    until_ms: int | None = None
    assigned_to: str = ""
    code: str = ""


@dataclass(frozen=True, slots=True)
class QueuedBreach:
    """A line of the queue. `kind` is None where it is not known what was carried; `boxes` carried it meanwhile."""

    breach: StoredBreach
    standing: Standing
    kind: Kind | None
    receiver: str
    boxes: tuple[str, ...]
    is_running: bool


@dataclass(frozen=True, slots=True)
class Queue:
    """A page of the queue. `found` counts all that match, `waiting` all that wait, whatever is filtered."""

    lines: Sequence[QueuedBreach]
    found: int
    waiting: int
    page: int

    @property
    def pages(self) -> int:
        """How many pages there are; at least one."""
        return min(PAGES_MAX, max(1, -(-self.found // PAGE_SIZE)))


def read_queue(store: Store, wanted: Filter, order: Order = Order.NEWEST, page: int = 1) -> Queue:
    """Return a page, the last one where there are fewer. Blocking."""
    with store.read() as connection:
        kinds = _kinds_of_profiles(connection)
        conditions = _conditions(wanted, kinds)
        found = _count(connection, conditions)
        waiting = _count(connection, _conditions(Filter(), kinds))
        shown = min(max(1, page), PAGES_MAX, max(1, -(-found // PAGE_SIZE)))
        query = _joined(*_COLUMNS).where(*conditions).order_by(*_ORDERS[order])
        rows = connection.execute(query.limit(PAGE_SIZE).offset((shown - 1) * PAGE_SIZE)).all()
        lines = _to_lines(connection, rows, kinds)
    return Queue(lines, found, waiting, shown)


def read_queued(store: Store, breach_id: int) -> QueuedBreach | None:
    """Return one breach as it stands in the queue, None if there is none of that number. Blocking."""
    with store.read() as connection:
        rows = connection.execute(_joined(*_COLUMNS).where(breaches.c.id == breach_id)).all()
        lines = _to_lines(connection, rows, _kinds_of(connection, rows))
    return lines[0] if lines else None


def read_unclosed(connection: Connection, consignments: Collection[str], limit: int) -> list[QueuedBreach]:
    """Return what is not closed of some consignments, or watches over boxes: what nobody has acknowledged first."""
    conditions = [*_stage(Stage.WAITING), breaches.c.consignment.in_(consignments)]
    first = reviews.c.state != ReviewState.OPEN.value
    query = _joined(*_COLUMNS).where(*conditions).order_by(first, breaches.c.id).limit(limit)
    rows = connection.execute(query).all()
    return _to_lines(connection, rows, _kinds_of(connection, rows)) if rows else []


def read_similar(store: Store, wanted: Filter, other_than: int, limit: int) -> tuple[Sequence[QueuedBreach], int]:
    """Return the newest breaches that match, and how many there are, without one of them. Blocking."""
    with store.read() as connection:
        kinds = _kinds_of_profiles(connection)
        conditions = [*_conditions(wanted, kinds), breaches.c.id != other_than]
        query = _joined(*_COLUMNS).where(*conditions).order_by(*_ORDERS[Order.NEWEST]).limit(limit)
        rows = connection.execute(query).all()
        return _to_lines(connection, rows, kinds), _count(connection, conditions)


def read_vehicles(connection: Connection, breach: StoredBreach) -> list[str]:
    """Return the gateways that heard the loggers of a breach's boxes while it lasted, and the one that flagged it."""
    joined, conditions = _hearings(breach.consignment, breach.started_at_ms, breach.ended_at_ms)
    heard = select(epochs.c.gateway).select_from(joined).where(*conditions).distinct()
    flagged = connection.execute(select(breaches.c.gateway).where(breaches.c.id == breach.id)).scalar()
    return sorted({*connection.execute(heard).scalars(), *([flagged] if flagged else [])})


_COLUMNS = (
    *breaches.c,
    reviews.c.state.label("stage"),
    reviews.c.assigned_to,
    reviews.c.acknowledged_by,
    reviews.c.acknowledged_at_ms,
    reviews.c.closed_at_ms,
    reviews.c.changed_at_ms,
    consignments.c.received_at_ms,
    consignments.c.receiver,
    consignment_items.c.kind.label("item_kind"),
)
_ORDERS: dict[Order, tuple[ColumnElement[Any], ...]] = {
    Order.NEWEST: (breaches.c.started_at_ms.desc(), breaches.c.id.desc()),
    Order.OLDEST: (breaches.c.started_at_ms, breaches.c.id),
    Order.LONGEST: (breaches.c.minutes.desc(), breaches.c.id.desc()),
}


def _joined(*columns: ColumnElement[Any]) -> Select[Any]:
    same_item = (consignment_items.c.item == breaches.c.item) & (
        consignment_items.c.consignment == breaches.c.consignment
    )
    return (
        select(*columns)
        .select_from(breaches)
        .join(reviews, reviews.c.breach_id == breaches.c.id)
        .outerjoin(consignments, consignments.c.code == breaches.c.consignment)
        .outerjoin(consignment_items, same_item)
    )


def _count(connection: Connection, conditions: Sequence[ColumnElement[bool]]) -> int:
    return int(connection.execute(_joined(func.count()).where(*conditions)).scalar_one())


def _conditions(wanted: Filter, kinds: dict[str, Kind]) -> list[ColumnElement[bool]]:
    conditions = _stage(wanted.stage)
    if wanted.kind is not None:
        known = [name for name, kind in kinds.items() if kind is wanted.kind]
        by_profile = and_(consignment_items.c.kind.is_(None), breaches.c.profile.in_(known))
        conditions.append(or_(consignment_items.c.kind == wanted.kind.value, by_profile))
    if wanted.box:
        conditions.append(_in_box(wanted.box))
    if wanted.vehicle:
        conditions.append(_with_vehicle(wanted.vehicle))
    if wanted.profile:
        conditions.append(breaches.c.profile == wanted.profile)
    if wanted.receiver:
        conditions.append(consignments.c.receiver == wanted.receiver)
    if wanted.since_ms is not None:
        conditions.append(breaches.c.started_at_ms >= wanted.since_ms)
    if wanted.until_ms is not None:
        conditions.append(breaches.c.started_at_ms < wanted.until_ms)
    if wanted.assigned_to:
        conditions.append(reviews.c.assigned_to == wanted.assigned_to)
    if wanted.code:
        within = [
            column.icontains(wanted.code, autoescape=True) for column in (breaches.c.consignment, breaches.c.item)
        ]
        conditions.append(or_(*within))
    return conditions


def _stage(stage: Stage) -> list[ColumnElement[bool]]:
    match stage:
        case Stage.WAITING:
            return [reviews.c.state != ReviewState.CLOSED.value]
        case Stage.UNACKNOWLEDGED:
            return [reviews.c.state == ReviewState.OPEN.value]
        case Stage.RUNNING:
            return [
                reviews.c.state != ReviewState.CLOSED.value,
                breaches.c.ended_at_ms.is_(None),
                consignments.c.received_at_ms.is_(None),
            ]
        case Stage.ALL:
            return []
        case one:
            return [reviews.c.state == ReviewState(one.value).value]


def _in_box(box: str) -> ColumnElement[bool]:
    there = exists().where(carriages.c.consignment == breaches.c.consignment, carriages.c.box == box, _meanwhile())
    watched = exists().where(vigils.c.code == breaches.c.consignment, vigils.c.box == box)
    return or_(there, watched)


def _meanwhile() -> ColumnElement[bool]:
    """A carriage overlaps the breach."""
    return and_(
        or_(breaches.c.ended_at_ms.is_(None), carriages.c.begins_ms <= breaches.c.ended_at_ms),
        or_(carriages.c.ends_ms.is_(None), carriages.c.ends_ms >= breaches.c.started_at_ms),
    )


def _with_vehicle(vehicle: str) -> ColumnElement[bool]:
    joined, conditions = _hearings(breaches.c.consignment, breaches.c.started_at_ms, breaches.c.ended_at_ms)
    heard = select(epochs.c.id).select_from(joined).where(*conditions, epochs.c.gateway == vehicle)
    return or_(
        breaches.c.gateway == vehicle,
        consignments.c.vehicle == vehicle,
        heard.correlate(breaches, consignments).exists(),
    )


def _hearings(
    consignment: ColumnElement[str] | str,
    started: ColumnElement[int] | int,
    ended: ColumnElement[int] | int | None,
) -> tuple[Join, list[ColumnElement[bool]]]:
    """Return the join that tells which gateways heard the loggers of a consignment's boxes, and when."""
    joined = (
        carriages.join(assignments, assignments.c.box == carriages.c.box)
        .join(logger_hours, logger_hours.c.logger == assignments.c.logger)
        .join(epochs, epochs.c.id == logger_hours.c.epoch_id)
    )
    conditions = [
        carriages.c.consignment == consignment,
        or_(assignments.c.until_ms.is_(None), assignments.c.until_ms > carriages.c.begins_ms),
        or_(carriages.c.ends_ms.is_(None), assignments.c.from_ms < carriages.c.ends_ms),
        logger_hours.c.hour >= started // HOUR_MS,
    ]
    if ended is not None:
        conditions.append(logger_hours.c.hour <= func.coalesce(ended // HOUR_MS, logger_hours.c.hour))
    return joined, conditions


def _to_lines(
    connection: Connection, rows: Sequence[Row[tuple[object, ...]]], kinds: dict[str, Kind]
) -> list[QueuedBreach]:
    boxes = _boxes_of(connection, {row.consignment for row in rows})
    return [_to_line(row, boxes.get(row.consignment, ()), kinds) for row in rows]


def _to_line(
    row: Row[tuple[object, ...]], carried: Sequence[tuple[str, int, int | None]], kinds: dict[str, Kind]
) -> QueuedBreach:
    there = {
        box
        for box, begins_ms, ends_ms in carried
        if (row.ended_at_ms is None or begins_ms <= row.ended_at_ms)
        and (ends_ms is None or ends_ms >= row.started_at_ms)
    }
    standing = Standing(
        breach_id=row.id,
        state=ReviewState(row.stage),
        assigned_to=row.assigned_to,
        acknowledged_by=row.acknowledged_by,
        acknowledged_at_ms=row.acknowledged_at_ms,
        closed_at_ms=row.closed_at_ms,
        changed_at_ms=row.changed_at_ms,
    )
    return QueuedBreach(
        breach=to_stored(row),
        standing=standing,
        kind=kinds.get(row.profile) if row.item_kind is None else Kind(row.item_kind),
        receiver=row.receiver or "",
        boxes=tuple(sorted(there)),
        is_running=row.ended_at_ms is None and row.received_at_ms is None,
    )


def _boxes_of(connection: Connection, codes: Collection[str]) -> dict[str, list[tuple[str, int, int | None]]]:
    found: dict[str, list[tuple[str, int, int | None]]] = {}
    table = carriages.c
    carried = select(table.consignment, table.box, table.begins_ms, table.ends_ms).where(table.consignment.in_(codes))
    watched = select(vigils.c.code, vigils.c.box, vigils.c.begins_ms, vigils.c.ends_ms).where(vigils.c.code.in_(codes))
    for query in (carried, watched):
        for code, box, begins_ms, ends_ms in connection.execute(query):
            found.setdefault(code, []).append((box, begins_ms, ends_ms))
    return found


def _kinds_of(connection: Connection, rows: Sequence[Row[Any]]) -> dict[str, Kind]:
    """Return what kind of item the profiles are for of breaches whose items are not registered."""
    return _kinds_of_profiles(connection) if any(row.item_kind is None for row in rows) else {}


def _kinds_of_profiles(connection: Connection) -> dict[str, Kind]:
    """Return what kind of item each profile is for, as its newest version says."""
    registered = connection.execute(select(profiles.c.id).distinct()).scalars().all()
    found = {name: read_registered_profile(connection, name) for name in registered}
    return _library_kinds() | {name: profile.kind for name, profile in found.items() if profile is not None}


@cache
def _library_kinds() -> dict[str, Kind]:
    return {name: library.load(name).kind for name in library.names()}
