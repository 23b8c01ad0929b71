"""What people did at vehicles becomes what the registry knows: consignments registered there, items that left.

The records are stored with their segment, and registered in a transaction of their own, in whatever order they come:
each consignment concerned is made anew from all that its gateway told. A correction therefore is judged like the first.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import UTC, datetime

import msgspec
from pydantic import ValidationError
from sqlalchemy import Connection, insert, select, update

from gateway.core.configuration import Carriage, Consignment
from gateway.core.custody import (
    CustodyAct,
    CustodyRecord,
    custody_of,
    handed_over,
    registered_consignments,
    without_left,
)
from gateway.core.errors import InputError
from gateway.core.records import AnyRecord, CustodyEvent, Registration, Withdrawal
from gateway.hub.audit.acts import begin_act
from gateway.hub.database.rows import read_registered
from gateway.hub.database.schema import consignment_items, custody
from gateway.hub.database.store import Store
from gateway.hub.record.quarantine import set_aside
from gateway.hub.registry.registry import Registry

WINDOW_MS = 7 * 86_400_000
"""How far before what is new a gateway's acts are read again: longer than anything is packed and corrected."""
_decode = msgspec.msgpack.Decoder(CustodyRecord).decode
_encode = msgspec.msgpack.Encoder().encode


def note_custody(connection: Connection, gateway: str, records: Iterable[AnyRecord]) -> None:
    """Keep the acts among a segment's records until they are registered."""
    rows = [
        {"gateway": gateway, "at_ms": record.at_ms, "record": _encode(record), "waits": True}
        for record in custody_of(records)
    ]
    if rows:
        connection.execute(insert(custody), rows)


def register_waiting(store: Store, now_ms: Callable[[], int]) -> None:
    """Register what waits. What the registry refuses is set aside with its reason."""
    with store.read() as connection:
        waiting = connection.execute(select(custody.c.id).where(custody.c.waits).limit(1)).first()
    if waiting is None:
        return
    registry = Registry(store, now_ms)
    with store.write() as connection:
        begin_act(connection)  # one worker at a time: another may have registered it meanwhile
        rows = connection.execute(select(custody).where(custody.c.waits).order_by(custody.c.id)).all()
        for gateway in sorted({row.gateway for row in rows}):
            fresh = [_decode(bytes(row.record)) for row in rows if row.gateway == gateway]
            _follow(connection, registry, gateway, fresh, now_ms())
        done = [row.id for row in rows]
        connection.execute(update(custody).where(custody.c.id.in_(done)).values(waits=False))


def _follow(connection: Connection, registry: Registry, gateway: str, fresh: list[CustodyRecord], now_ms: int) -> None:
    since_ms = min(record.at_ms for record in fresh) - WINDOW_MS
    stored = select(custody.c.record).where(custody.c.gateway == gateway, custody.c.at_ms >= since_ms)
    told = [_decode(bytes(record)) for record in connection.execute(stored.order_by(custody.c.id)).scalars()]
    undone = {record.id for record in fresh if isinstance(record, Withdrawal)}
    concerned = [record for record in told if record in fresh or record.id in undone]
    for code in sorted(_codes_of(connection, concerned)):
        try:
            consignment = _as_told(connection, code, gateway, told)
            if consignment is not None:
                who = f"{gateway} {_holder_of(concerned)}"
                registry.follow_vehicle(connection, consignment, who)
        except (InputError, ValidationError, ValueError) as error:
            reason = str(error) if isinstance(error, InputError) else type(error).__name__
            data = b"".join(_encode(record) for record in concerned)
            set_aside(
                connection,
                source="content",
                gateway=gateway,
                code="registration",
                reason=f"consignment {code}: {reason}"[:500],
                data=data,
                now_ms=now_ms,
            )


def _codes_of(connection: Connection, records: Iterable[CustodyRecord]) -> set[str]:
    """Return the consignments that acts concern: those named, and those that the items are in."""
    codes: set[str] = set()
    for record in records:
        if isinstance(record, Registration):
            codes.add(record.consignment)
        elif isinstance(record, CustodyEvent) and record.item and record.act == CustodyAct.HANDED_OVER:
            items = select(consignment_items.c.consignment).where(consignment_items.c.item == record.item)
            codes.update([record.consignment] if record.consignment else connection.execute(items).scalars())
    return codes


def _as_told(connection: Connection, code: str, gateway: str, told: list[CustodyRecord]) -> Consignment | None:
    """Return a consignment as its gateway tells it, with what else is known of it; None if there is none."""
    registered = read_registered(connection, code)
    known = None if registered is None else registered.consignment
    own = next((one for one in registered_consignments(told) if one.code == code), None)
    packed = {record.item for record in told if isinstance(record, Registration) and record.consignment == code}
    if known is None:
        return None if own is None else own.model_copy(update={"vehicle": gateway})
    if packed and known.vehicle not in {None, gateway}:
        raise InputError("consignment", f"it was registered at {known.vehicle}")
    if packed and known.vehicle is None:
        raise InputError("consignment", "its code is another consignment's")
    reopened = _reopened(known, told)
    if not packed:
        return without_left(reopened, handed_over(told))
    others = tuple(item for item in reopened.items if item.code not in packed)
    items = (() if own is None else own.items) + others
    if items:
        return known.model_copy(update={"items": items})
    # All of it was undone: it was nowhere, and it is not waited for.
    last_ms = max(record.at_ms for record in told if isinstance(record, Withdrawal))
    gone = tuple(item.model_copy(update={"carriage": (), "declared": ()}) for item in known.items)
    return known.model_copy(update={"items": gone, "received_at": known.received_at or _moment(last_ms)})


def _reopened(consignment: Consignment, told: list[CustodyRecord]) -> Consignment:
    """Return a consignment in which what was handed over, and that undone, is under way again."""
    undone = {record.id for record in told if isinstance(record, Withdrawal)}
    ends = {
        (record.item, _moment(record.at_ms))
        for record in told
        if isinstance(record, CustodyEvent) and record.id in undone and record.item
    }

    def reopen(item: str, carriage: Carriage) -> Carriage:
        is_undone = carriage.ends is not None and (item, carriage.ends) in ends
        return carriage.model_copy(update={"ends": None}) if is_undone else carriage

    items = tuple(
        item.model_copy(update={"carriage": tuple(reopen(item.code, carriage) for carriage in item.carriage)})
        for item in consignment.items
    )
    return consignment if items == consignment.items else consignment.model_copy(update={"items": items})


def _holder_of(records: Iterable[CustodyRecord]) -> str:
    """Return whose badge was scanned last, for the audit trail."""
    return max(((record.at_ms, record.holder) for record in records), default=(0, ""))[1]


def _moment(at_ms: int) -> datetime:
    return datetime.fromtimestamp(at_ms / 1000, UTC)
