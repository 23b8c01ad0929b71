"""Boxes that came without a vehicle: what a gateway at the reception still has to read out of their loggers.

A gateway that stands at a reception is told of every box, and reads what is missing of each logger that it hears. Here
is told how far it is: what a verdict lacks, less what the logger's memory has been asked for and did not hold.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, select

from gateway.core.assignments import tenures_in
from gateway.core.configuration import Consignment, Logger, LoggerKind
from gateway.core.exposure import to_ms
from gateway.core.records import AnyRecord, MemoryRead
from gateway.core.verdicts import Judgement
from gateway.hub.breaches.vigils import subtract
from gateway.hub.database.schema import epochs, gateways, logger_hours, memory_reads
from gateway.hub.database.store import insert_for
from gateway.hub.record.index import HOUR_MS
from gateway.hub.registry.configurations import AFTER_RECEIPT_MS

ALIVE_MS = 5 * 60_000
"""A gateway seals every 30 s; one from which nothing came for so long reads nothing out."""
JUST_NOW_MS = 10 * 60_000
"""In the first minutes of an hour what was heard in the last one is as fresh: the index goes by hours."""


WITH_MEMORY = frozenset({LoggerKind.RUUVITAG, LoggerKind.REFERENCE, LoggerKind.BLUEMAESTRO})
"""Kinds whose memory gateways can read; see gateway.vehicle.loggers.memories, which has the conversations."""


@dataclass(frozen=True, slots=True)
class ReadOut:
    """How far a consignment's loggers are read out.

    is_heard   whether a gateway at a reception hears one of them
    fetched    readings that came out of memories so far, of `expected`
    """

    is_heard: bool
    fetched: int
    expected: int


def note_reads(connection: Connection, gateway: str, records: Iterable[AnyRecord]) -> None:
    """Keep which stretches of loggers' memories one segment of a gateway says were asked for."""
    for record in records:
        if isinstance(record, MemoryRead):
            row = insert_for(connection, memory_reads).values(
                logger=record.logger,
                gateway=gateway,
                to_ms=record.to_ms,
                from_ms=record.from_ms,
                at_ms=record.at_ms,
                records=record.records,
                complete=record.complete,
            )
            changes = {name: row.excluded[name] for name in ("from_ms", "at_ms", "records", "complete")}
            connection.execute(row.on_conflict_do_update(index_elements=["logger", "gateway", "to_ms"], set_=changes))


def read_readout(
    connection: Connection,
    consignment: Consignment,
    loggers: Sequence[Logger],
    judged: Sequence[Judgement],
    now_ms: int,
) -> ReadOut | None:
    """Return how far a consignment is read out; None where nothing is missing, or nobody can tell it any more."""
    received_ms = None if consignment.received_at is None else to_ms(consignment.received_at)
    here = _reception(connection, now_ms)
    if not here or (received_ms is not None and now_ms - received_ms > AFTER_RECEIPT_MS):
        return None
    until_ms = now_ms if received_ms is None else received_ms
    rides = list(_rides(consignment, loggers, until_ms))
    gaps = _joined((gap.begins_ms, gap.ends_ms) for one in judged for gap in one.gaps) if judged else [(0, until_ms)]
    missing = sum(
        max(0, ends_ms - begins_ms) // ride.interval_ms
        for ride in rides
        for gap in gaps
        for begins_ms, ends_ms in _left(connection, ride, gap)
    )
    if not missing:
        return None
    fetched = max((judgement.figures.backfilled for judgement in judged), default=0)
    is_heard = _is_heard(connection, here, {ride.logger for ride in rides}, now_ms)
    return ReadOut(is_heard, fetched, fetched + missing)


@dataclass(frozen=True, slots=True)
class _Ride:
    """A logger with a memory, while it rode with something."""

    logger: str
    interval_ms: int
    from_ms: int
    to_ms: int


def _rides(consignment: Consignment, loggers: Sequence[Logger], until_ms: int) -> Iterable[_Ride]:
    readable = {
        logger.address: logger.memory_interval_s * 1000
        for logger in loggers
        if logger.kind in WITH_MEMORY and logger.memory_interval_s is not None
    }
    for carriage in {carriage for item in consignment.items for carriage in consignment.carriage_of(item)}:
        begins_ms = to_ms(carriage.begins)
        ends_ms = until_ms if carriage.ends is None else min(until_ms, to_ms(carriage.ends))
        for tenure in tenures_in(loggers, carriage.box, begins_ms, max(begins_ms + 1, ends_ms)):
            if tenure.logger in readable:
                to = ends_ms if tenure.until_ms is None else min(ends_ms, tenure.until_ms)
                yield _Ride(tenure.logger, readable[tenure.logger], max(begins_ms, tenure.from_ms), to)


def _left(connection: Connection, ride: _Ride, gap: tuple[int, int]) -> Iterable[tuple[int, int]]:
    """Yield what of a gap in a ride the logger has not been asked for, or has not told whole."""
    begins_ms, ends_ms = max(gap[0], ride.from_ms), min(gap[1], ride.to_ms)
    if begins_ms >= ends_ms:
        return
    table = memory_reads.c
    told = connection.execute(
        select(table.from_ms, table.to_ms)
        .where(table.logger == ride.logger, table.complete, table.to_ms > begins_ms, table.from_ms < ends_ms)
        .order_by(table.from_ms)
    ).all()
    for left_begins_ms, left_ends_ms in subtract((begins_ms, ends_ms), [(row.from_ms, row.to_ms) for row in told]):
        yield left_begins_ms, ends_ms if left_ends_ms is None else left_ends_ms


def _joined(spans: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
    """Return spans without overlaps, in order."""
    joined: list[tuple[int, int]] = []
    for begins_ms, ends_ms in sorted(spans):
        if joined and begins_ms <= joined[-1][1]:
            joined[-1] = (joined[-1][0], max(joined[-1][1], ends_ms))
        else:
            joined.append((begins_ms, ends_ms))
    return joined


def _reception(connection: Connection, now_ms: int) -> list[str]:
    """Return the gateways at a reception that are there: their logs have come lately."""
    table = gateways.c
    wanted = select(table.name).where(
        table.reception, table.revoked_at_ms.is_(None), table.sealed_at_ms > now_ms - ALIVE_MS
    )
    return list(connection.execute(wanted).scalars())


def _is_heard(connection: Connection, here: Sequence[str], loggers: Iterable[str], now_ms: int) -> bool:
    entry = logger_hours.c
    wanted = (
        select(entry.logger)
        .join(epochs, epochs.c.id == entry.epoch_id)
        .where(
            entry.logger.in_(sorted(loggers)),
            entry.hour >= (now_ms - JUST_NOW_MS) // HOUR_MS,
            epochs.c.gateway.in_(here),
        )
        .limit(1)
    )
    return connection.execute(wanted).first() is not None
