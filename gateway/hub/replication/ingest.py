"""Ingest: from what a broker delivers to what is durable and may be acknowledged.

Each call of `take` is one transaction: segments are stored verbatim, watermarks advance, what became readable is
indexed, affected consignments are marked. Only after it has committed may anybody be told.

Any number of workers may take deliveries of one gateway: each gateway's row is locked, in one order everywhere, before
anything of its log is read.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Row, func, select

from gateway.core.messages import EPOCHS_PER_ACK, Ack, EpochAck
from gateway.hub.database.schema import epochs, gateways
from gateway.hub.database.store import Store, read_generation
from gateway.hub.record.archive import Archive
from gateway.hub.record.quarantine import set_aside
from gateway.hub.replication.authenticity import Delivery, Refusal, sort_deliveries
from gateway.hub.replication.chain import Arrival, EpochLog
from gateway.hub.replication.custody import register_waiting
from gateway.hub.replication.epochs import EpochName, are_named, open_epochs, read_waiting_children
from gateway.hub.replication.gateway_keys import adopt_successors, retire_predecessors, warn_of_key
from gateway.hub.replication.generations import Witness
from gateway.hub.replication.intake import Intake
from gateway.hub.replication.repetition import find_repeated
from gateway.hub.signals.dirty import mark_carried


@dataclass(frozen=True, slots=True)
class Receipt:
    """An acknowledgement that is now due to a gateway."""

    gateway: str
    ack: Ack


class Ingest:
    """Takes deliveries into the archive. Blocking: call it from a thread.

    archive  is shown what was stored, where judging goes on in the same process
    """

    def __init__(
        self,
        store: Store,
        now_ms: Callable[[], int],
        witness: Witness | None = None,
        archive: Archive | None = None,
    ) -> None:
        self._store = store
        self._archive = archive
        self._now_ms = now_ms
        self._witness = witness

    def note_progress(self) -> None:
        """Write the witness if it is behind: to be called when nothing has come for a while."""
        if self._witness is not None and self._witness.is_behind:
            self._witness.note(self._store, self._now_ms())

    def take(self, deliveries: Sequence[Delivery]) -> list[Receipt]:
        """Store what is authentic, set aside what is not; return what to acknowledge, also for what is here already."""
        now_ms = self._now_ms()
        with self._store.read() as connection:
            repeated = find_repeated(connection, deliveries)
            new = [delivery for delivery in deliveries if delivery not in repeated]
            authentic, refusals = sort_deliveries(connection, new)
        arrivals = _by_epoch(authentic)
        for name in repeated.values():
            arrivals.setdefault(name, [])
        with self._store.write() as connection:
            _lock_gateways(connection, {delivery.gateway for delivery in deliveries})
            for refusal in sorted(refusals, key=lambda refusal: (refusal.delivery.gateway, refusal.delivery.data)):
                _refuse(connection, refusal, now_ms)
            adopt_successors(connection, authentic, now_ms)
            intake = _place(connection, arrivals, now_ms)
            acks = read_acks(connection, arrivals)
        if self._archive is not None:
            self._archive.remember(intake.readable)
        register_waiting(self._store, self._now_ms)
        if self._witness is not None:
            self._witness.note(self._store, now_ms)
        return [Receipt(ack.gateway, ack) for ack in acks]


def take_within(connection: Connection, deliveries: Sequence[Delivery], now_ms: int) -> None:
    """Store what the hub itself has sealed, within the caller's transaction; raises SegmentError for anything else.

    To be called for one portion after the other: only one is in memory.
    """
    authentic, refusals = sort_deliveries(connection, deliveries)
    if refusals:
        raise refusals[0].error
    _lock_gateways(connection, {delivery.gateway for delivery in deliveries})
    _place(connection, _by_epoch(authentic), now_ms)


def _by_epoch(authentic: Sequence[Arrival]) -> dict[EpochName, list[Arrival]]:
    arrivals: dict[EpochName, list[Arrival]] = {}
    for arrival in authentic:
        name = (arrival.segment.gateway, arrival.segment.header.epoch)
        arrivals.setdefault(name, []).append(arrival)
    return arrivals


def _place(connection: Connection, arrivals: dict[EpochName, list[Arrival]], now_ms: int) -> Intake:
    intake = Intake(connection, now_ms)
    _take_logs(intake, arrivals)
    intake.finish()
    mark_carried(connection, intake.spans, now_ms)
    return intake


def read_acks(connection: Connection, touched: Collection[EpochName]) -> list[Ack]:
    """Return what the hub holds of some logs: of each the epochs just touched and the newest, oldest first."""
    columns = (epochs.c.id, epochs.c.gateway, epochs.c.epoch, epochs.c.next_offset, epochs.c.head)
    gateways_touched = sorted({gateway for gateway, _ in touched})
    asked = connection.execute(select(*columns).where(are_named(epochs.c.gateway, epochs.c.epoch, touched))).all()
    newest = connection.execute(
        select(*columns)
        .join(gateways, gateways.c.name == epochs.c.gateway)
        .where(gateways.c.name.in_(gateways_touched), epochs.c.id >= func.coalesce(_FIRST_NAMED, 0))
    ).all()
    rows: dict[str, dict[int, Any]] = {gateway: {} for gateway in gateways_touched}
    for row in (*asked, *sorted(newest, key=lambda row: -row.id)):
        if len(rows[row.gateway]) < EPOCHS_PER_ACK:
            rows[row.gateway][row.id] = row
    generation = read_generation(connection)
    return [
        Ack(generation, gateway, [_to_epoch_ack(found[epoch_id]) for epoch_id in sorted(found)])
        for gateway, found in rows.items()
    ]


def _to_epoch_ack(row: Row[Any]) -> EpochAck:
    return EpochAck(bytes(row.epoch), row.next_offset, bytes(row.head))


_OTHERS = epochs.alias()
_FIRST_NAMED = (
    select(_OTHERS.c.id)
    .where(_OTHERS.c.gateway == gateways.c.name)
    .order_by(_OTHERS.c.id.desc())
    .limit(1)
    .offset(EPOCHS_PER_ACK - 1)
    .correlate(gateways)
    .scalar_subquery()
)
"""The oldest of a gateway's EPOCHS_PER_ACK newest epochs, None if it has fewer."""


def _lock_gateways(connection: Connection, names: set[str]) -> None:
    """Let one worker at a time extend a gateway's log: an epoch may wait for another one that is just being stored."""
    if connection.dialect.name != "sqlite":
        # Sorted before they are locked: two workers never wait for each other.
        locked = select(gateways.c.name).where(gateways.c.name.in_(names)).order_by(gateways.c.name)
        connection.execute(locked.with_for_update(key_share=True))


def _take_logs(intake: Intake, arrivals: dict[EpochName, list[Arrival]]) -> None:
    if not arrivals:
        return
    logs: dict[EpochName, EpochLog] = {}
    states = open_epochs(intake.connection, arrivals, intake.now_ms)
    for name in sorted(arrivals):
        logs[name] = log = EpochLog(intake, *name, states[name])
        log.place(arrivals[name])
    _advance_children(intake, logs)
    for (gateway, _), log in logs.items():
        log.save()
        if log.has_begun:
            retire_predecessors(intake.connection, gateway, log.epoch, intake.now_ms)
        intake.note_progress(gateway, log.newest_sealed_at_ms)


def _advance_children(intake: Intake, logs: dict[EpochName, EpochLog]) -> None:
    """Let epochs go on that waited for a segment which has just been chained."""
    grown = [name for name, log in logs.items() if log.has_grown]
    while grown:
        intake.flush()
        children = read_waiting_children(intake.connection, grown)
        states = open_epochs(intake.connection, children, intake.now_ms) if children else {}
        grown = []
        for name in sorted(children):
            log = logs.setdefault(name, EpochLog(intake, *name, states[name]))
            log.advance()
            if log.has_grown:
                grown.append(name)


def _refuse(connection: Connection, refusal: Refusal, now_ms: int) -> None:
    if refusal.error.code in ("key_revoked", "key_retired"):
        warn_of_key(connection, refusal.delivery.gateway, refusal.error, now_ms)
    set_aside(
        connection,
        source="log",
        gateway=refusal.delivery.gateway,
        code=refusal.error.code,
        reason=refusal.error.reason,
        data=refusal.delivery.data,
        now_ms=now_ms,
    )
