"""Ingest: from what a broker delivers to what is durable and may be acknowledged.

Each call of `take` is one transaction: segments are stored verbatim, watermarks advance, what became readable is
indexed, affected consignments are marked. Only after it has committed may anybody be told.

Any number of workers may take deliveries of one gateway: each gateway's row is locked, in one order everywhere, before
anything of its log is read.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache

from sqlalchemy import Connection, select, update

from gateway.core.errors import SegmentError
from gateway.core.messages import EPOCHS_PER_ACK, Ack, EpochAck
from gateway.core.segments import check_segment, parse_segment
from gateway.hub.chain import Arrival, EpochLog, read_content, read_waiting_children
from gateway.hub.dirty import Span, mark_carried
from gateway.hub.generations import Witness
from gateway.hub.quarantine import set_aside
from gateway.hub.schema import epochs, gateway_keys, gateways
from gateway.hub.store import Store, read_generation
from gateway.keys import VerifyKey

MOMENT_MS_MAX = (1 << 63) - 1
VERSION_MAX = (1 << 31) - 1
"""What the columns hold; the wire form has room for more."""


@dataclass(frozen=True, slots=True)
class Delivery:
    """One message of a gateway's log topic."""

    gateway: str
    data: bytes


@dataclass(frozen=True, slots=True)
class Receipt:
    """An acknowledgement that is now due to a gateway."""

    gateway: str
    ack: Ack


@dataclass(frozen=True, slots=True)
class _Refusal:
    delivery: Delivery
    error: SegmentError


class Ingest:
    """Takes deliveries into the archive. Blocking: call it from a thread."""

    def __init__(self, store: Store, now_ms: Callable[[], int], witness: Witness | None = None) -> None:
        self._store = store
        self._now_ms = now_ms
        self._witness = witness

    def take(self, deliveries: Sequence[Delivery]) -> list[Receipt]:
        """Store what is authentic, set aside what is not; return what to acknowledge, also for duplicates."""
        now_ms = self._now_ms()
        with self._store.read() as connection:
            keys = read_keys(connection, {delivery.gateway for delivery in deliveries})
        arrivals: dict[str, list[Arrival]] = {}
        refusals: list[_Refusal] = []
        for delivery in deliveries:
            try:
                arrival = authenticate(delivery, keys)
            except SegmentError as error:
                refusals.append(_Refusal(delivery, error))
            else:
                arrivals.setdefault(delivery.gateway, []).append(arrival)
        with self._store.write() as connection:
            _lock_gateways(connection, {delivery.gateway for delivery in deliveries})
            for refusal in sorted(refusals, key=lambda refusal: (refusal.delivery.gateway, refusal.delivery.data)):
                _refuse(connection, refusal, now_ms)
            taken = [_take_log(connection, gateway, arrivals[gateway], now_ms) for gateway in sorted(arrivals)]
            mark_carried(connection, [span for _, spans in taken for span in spans], now_ms)
            receipts = [receipt for receipt, _ in taken]
        if self._witness is not None:
            self._witness.note(self._store, now_ms)
        return receipts


def authenticate(delivery: Delivery, keys: dict[str, list[bytes]]) -> Arrival:
    """Parse, check the signature with the gateway's enrolled keys, decode; raises SegmentError."""
    segment = parse_segment(delivery.gateway, delivery.data)
    enrolled = keys.get(delivery.gateway)
    if not enrolled:
        raise SegmentError("gateway_unknown", f"no gateway {delivery.gateway} is enrolled")
    check_segment(segment, lambda signature, message: any(_key(k).check(signature, message) for k in enrolled))
    if segment.header.sealed_at_ms > MOMENT_MS_MAX or segment.header.config_version > VERSION_MAX:
        raise SegmentError("segment_range", "names a moment or a version of the configuration that cannot be")
    content, fault = read_content(segment)
    return Arrival(segment, delivery.data, content, fault)


def read_keys(connection: Connection, names: Iterable[str]) -> dict[str, list[bytes]]:
    """Return the keys that may sign for each of the gateways, newest first."""
    rows = connection.execute(
        select(gateway_keys.c.gateway, gateway_keys.c.public_key)
        .where(gateway_keys.c.gateway.in_(set(names)), gateway_keys.c.revoked_at_ms.is_(None))
        .order_by(gateway_keys.c.enrolled_at_ms.desc())
    )
    keys: dict[str, list[bytes]] = {}
    for row in rows:
        keys.setdefault(row.gateway, []).append(bytes(row.public_key))
    return keys


def read_ack(connection: Connection, gateway: str, touched: Iterable[bytes] = ()) -> Ack:
    """Return what the hub holds of a gateway's log: the epochs just touched and the newest, oldest first."""
    columns = (epochs.c.id, epochs.c.epoch, epochs.c.next_offset, epochs.c.head)
    mine = select(*columns).where(epochs.c.gateway == gateway)
    newest = connection.execute(mine.order_by(epochs.c.id.desc()).limit(EPOCHS_PER_ACK)).all()
    asked = connection.execute(mine.where(epochs.c.epoch.in_(list(touched)[:EPOCHS_PER_ACK]))).all()
    rows = {row.id: row for row in (*asked, *newest)}
    chosen = sorted(list(rows)[:EPOCHS_PER_ACK])
    named = [EpochAck(bytes(rows[i].epoch), rows[i].next_offset, bytes(rows[i].head)) for i in chosen]
    return Ack(read_generation(connection), gateway, named)


def _lock_gateways(connection: Connection, names: set[str]) -> None:
    """Let one worker at a time extend a gateway's log: an epoch may wait for another one that is just being stored."""
    for name in sorted(names):
        locked = select(gateways.c.name).where(gateways.c.name == name)
        connection.execute(locked.with_for_update(key_share=True))


def _take_log(connection: Connection, gateway: str, arrivals: list[Arrival], now_ms: int) -> tuple[Receipt, list[Span]]:
    by_epoch: dict[bytes, list[Arrival]] = {}
    for arrival in arrivals:
        by_epoch.setdefault(arrival.segment.header.epoch, []).append(arrival)
    logs = {}
    for epoch in sorted(by_epoch):
        logs[epoch] = log = EpochLog(connection, gateway, epoch, now_ms)
        log.place(by_epoch[epoch])
    _advance_children(connection, gateway, logs, now_ms)
    spans: list[Span] = []
    for log in logs.values():
        log.save()
        spans += log.spans
    _note_progress(connection, gateway, max(log.newest_sealed_at_ms for log in logs.values()), now_ms)
    return Receipt(gateway, read_ack(connection, gateway, by_epoch)), spans


def _advance_children(connection: Connection, gateway: str, logs: dict[bytes, EpochLog], now_ms: int) -> None:
    """Let epochs go on that waited for a segment which has just been chained."""
    grown = [epoch for epoch, log in logs.items() if log.has_grown]
    while grown:
        children = read_waiting_children(connection, gateway, grown)
        grown = []
        for epoch in children:
            log = logs.setdefault(epoch, EpochLog(connection, gateway, epoch, now_ms))
            log.advance()
            if log.has_grown:
                grown.append(epoch)


def _note_progress(connection: Connection, gateway: str, sealed_at_ms: int, now_ms: int) -> None:
    known = connection.execute(select(gateways.c.sealed_at_ms).where(gateways.c.name == gateway)).scalar() or 0
    # Nothing was sealed after it arrived: a clock in the future must not make the log look complete until then.
    sealed_ms = min(sealed_at_ms, now_ms)
    connection.execute(
        update(gateways)
        .where(gateways.c.name == gateway)
        .values(received_at_ms=now_ms, sealed_at_ms=max(known, sealed_ms) or None)
    )


def _refuse(connection: Connection, refusal: _Refusal, now_ms: int) -> None:
    set_aside(
        connection,
        source="log",
        gateway=refusal.delivery.gateway,
        code=refusal.error.code,
        reason=refusal.error.reason,
        data=refusal.delivery.data,
        now_ms=now_ms,
    )


@lru_cache(maxsize=4096)
def _key(public_key: bytes) -> VerifyKey:
    return VerifyKey(public_key)
