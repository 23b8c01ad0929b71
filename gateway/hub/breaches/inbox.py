"""The inbox: breaches in boxes on no known trip. Each is registered or dismissed, by somebody, with a reason."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import msgspec
from sqlalchemy import Connection, Row, func, or_, select, update

from gateway.core.configuration import Consignment
from gateway.core.errors import InputError
from gateway.core.exposure import to_ms
from gateway.core.identifiers import refuse_identity_number
from gateway.core.standby import is_vigil
from gateway.hub.audit.acts import Act, begin_act, record_act
from gateway.hub.breaches.lifecycle import NotNowError, ReviewEvent
from gateway.hub.breaches.records import WATCH, Author, apply_event
from gateway.hub.breaches.vigils import read_vigil
from gateway.hub.database.schema import breaches, consignments, inbox
from gateway.hub.database.store import insert_or_skip


@dataclass(frozen=True, slots=True)
class Entry:
    """A breach that belongs to nothing registered. `box` is None where a gateway named an unknown consignment.

    resolution  how it was settled: {"how": "registered" | "dismissed", "who": …, …}; None while it waits
    """

    id: int
    breach_id: int
    consignment: str
    box: str | None
    rule: str
    started_at_ms: int
    entered_at_ms: int
    resolved_at_ms: int | None
    resolution: Mapping[str, Any] | None


def is_registered(connection: Connection, code: str) -> bool:
    """Say whether there is a consignment of that code."""
    return connection.execute(select(consignments.c.code).where(consignments.c.code == code)).scalar() is not None


def enter(connection: Connection, breach_id: int, consignment: str, now_ms: int) -> None:
    """Put a breach into the inbox, in the transaction that stores it, if nothing of its code is registered."""
    if not is_vigil(consignment) and is_registered(connection, consignment):
        return
    vigil = read_vigil(connection, consignment)
    box = None if vigil is None else vigil.box
    insert_or_skip(connection, inbox, breach_id=breach_id, box=box, entered_at_ms=now_ms)


def box_of(connection: Connection, breach_id: int) -> str | None:
    """Return the box of a breach that waits, or waited, in the inbox; None for any other."""
    found = connection.execute(select(inbox.c.box).where(inbox.c.breach_id == breach_id)).scalar()
    return None if found is None else str(found)


def is_settled(connection: Connection, breach_id: int) -> bool:
    """Say whether a breach was in the inbox, and no longer waits there."""
    wanted = select(inbox.c.id).where(inbox.c.breach_id == breach_id, inbox.c.resolved_at_ms.is_not(None))
    return connection.execute(wanted).scalar() is not None


def read_inbox(connection: Connection, *, waiting: bool, after: int = 0, limit: int = 500) -> list[Entry]:
    """Return entries by ascending id; only those that wait, if so asked."""
    wanted = _entries().where(inbox.c.id > after).order_by(inbox.c.id).limit(limit)
    if waiting:
        wanted = wanted.where(inbox.c.resolved_at_ms.is_(None))
    return [_to_entry(row) for row in connection.execute(wanted)]


def count_waiting(connection: Connection) -> int:
    """Return how many entries wait."""
    waiting = select(func.count()).select_from(inbox).where(inbox.c.resolved_at_ms.is_(None))
    return int(connection.execute(waiting).scalar_one())


def read_entry(connection: Connection, number: int) -> Entry | None:
    """Return one entry, None if there is none of that number."""
    row = connection.execute(_entries().where(inbox.c.id == number)).first()
    return None if row is None else _to_entry(row)


def check_covers(entry: Entry, consignment: Consignment) -> None:
    """Raise InputError unless a consignment is what an entry is about: of its code, or in its box at its time."""
    if entry.box is None:
        if consignment.code != entry.consignment:
            raise InputError("code", f"the gateway named {entry.consignment}")
    elif not _carries(consignment, entry.box, entry.started_at_ms):
        raise InputError("carriage", f"nothing of it was in {entry.box} when the breach began")


def settle_registered(connection: Connection, consignment: Consignment, who: str, now_ms: int) -> None:
    """Settle what a registration explains, in the transaction of the registration."""
    boxes = {carriage.box for item in consignment.items for carriage in consignment.carriage_of(item)}
    about = or_(breaches.c.consignment == consignment.code, inbox.c.box.in_(boxes))
    rows = connection.execute(_entries().where(inbox.c.resolved_at_ms.is_(None), about)).all()
    for entry in map(_to_entry, rows):
        if entry.box is not None and not _carries(consignment, entry.box, entry.started_at_ms):
            continue
        _settle(connection, entry, {"how": "registered", "who": who, "consignment": consignment.code}, now_ms)
        if entry.box is not None:  # the consignment has breaches of its own
            document = {"reason": "registered", "consignment": consignment.code}
            apply_event(connection, entry.breach_id, ReviewEvent.WITHDRAW, WATCH, document, now_ms)


def dismiss(connection: Connection, number: int, author: Author, reason: str, now_ms: int) -> Entry:
    """Settle an entry that needs no consignment. Raises InputError without a reason, NotNowError if it is settled."""
    refuse_identity_number("reason", reason)
    if not reason.strip():
        raise InputError("reason", "say why nothing needs to be registered")
    begin_act(connection)
    entry = read_entry(connection, number)
    if entry is None:
        raise InputError("id", f"there is no entry {number}")
    if entry.resolved_at_ms is not None:
        raise NotNowError("this entry is settled already")
    document = {"how": "dismissed", "who": author.name, "reason": reason}
    _settle(connection, entry, document, now_ms)
    told = msgspec.json.encode(document).decode()
    record_act(connection, Act(author.name, "dismiss", f"inbox {number}", new=told, reason=reason), now_ms)
    closing = {"reason": "dismissed", "comment": reason}
    apply_event(connection, entry.breach_id, ReviewEvent.WITHDRAW, author, closing, now_ms)
    settled = read_entry(connection, number)
    return entry if settled is None else settled


def _settle(connection: Connection, entry: Entry, resolution: Mapping[str, object], now_ms: int) -> None:
    connection.execute(
        update(inbox)
        .where(inbox.c.id == entry.id)
        .values(resolved_at_ms=now_ms, resolution=msgspec.json.encode(resolution).decode())
    )


def _carries(consignment: Consignment, box: str, at_ms: int) -> bool:
    return any(
        carriage.box == box
        and to_ms(carriage.begins) <= at_ms
        and (carriage.ends is None or at_ms < to_ms(carriage.ends))
        and (consignment.received_at is None or at_ms < to_ms(consignment.received_at))
        for item in consignment.items
        for carriage in consignment.carriage_of(item)
    )


def _entries() -> Any:  # noqa: ANN401  a select of columns of two tables
    return select(inbox, breaches.c.consignment, breaches.c.rule, breaches.c.started_at_ms).join(
        breaches, breaches.c.id == inbox.c.breach_id
    )


def _to_entry(row: Row[Any]) -> Entry:
    resolution = None if row.resolution is None else msgspec.json.decode(row.resolution)
    return Entry(
        id=row.id,
        breach_id=row.breach_id,
        consignment=row.consignment,
        box=row.box,
        rule=row.rule,
        started_at_ms=row.started_at_ms,
        entered_at_ms=row.entered_at_ms,
        resolved_at_ms=row.resolved_at_ms,
        resolution=resolution,
    )
