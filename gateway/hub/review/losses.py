"""Loggers that are lost: somebody says so, and what could only end by their readings ends with that reason.

It can be undone. What its memory holds is judged when it is found and read, as any late reading.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import msgspec
from sqlalchemy import Connection, delete, insert, select

from gateway.core.errors import InputError
from gateway.core.identifiers import refuse_identity_number
from gateway.core.observations import Observation
from gateway.hub.access.callers import Caller
from gateway.hub.audit.acts import Act, begin_act, record_act
from gateway.hub.breaches.keeping import lock_breaches, read_breach
from gateway.hub.breaches.lifecycle import NotNowError, ReviewEvent
from gateway.hub.breaches.records import Author, apply_event, ending_of, read_records
from gateway.hub.database.rows import read_logger
from gateway.hub.database.schema import lost_loggers, review_records
from gateway.hub.database.store import Store
from gateway.hub.judgement.losses import Running, find_affected
from gateway.hub.record.archive import Archive
from gateway.hub.review.choices import LOGGER_LOST
from gateway.hub.review.competence import check_acknowledger, kind_of
from gateway.hub.signals.events import tell

REASON_MAX = 1000
_END_MS = 1 << 53


class UnknownLoggerError(InputError):
    """No such logger is enrolled."""

    def __init__(self, address: str) -> None:
        super().__init__("logger", f"{address} is not enrolled")


@dataclass(frozen=True, slots=True)
class Loss:
    """A logger that is lost: since when, who says so, and why.

    breaches  what ended by saying so, or goes on by taking it back
    """

    logger: str
    at_ms: int
    who: str
    reason: str
    breaches: tuple[int, ...] = ()


class Losses:
    """Reads and acts. Blocking: call it from a thread.

    Acts raise UnknownLoggerError, NotNowError, InputError naming a field, and NotYoursError where a breach would end
    of which somebody else takes care.
    """

    def __init__(self, store: Store, archive: Archive, now_ms: Callable[[], int]) -> None:
        self._store = store
        self._archive = archive
        self._now_ms = now_ms

    def all(self) -> list[Loss]:
        """Return the loggers that are lost, by address."""
        with self._store.read() as connection:
            rows = connection.execute(select(lost_loggers).order_by(lost_loggers.c.logger))
            return [Loss(row.logger, row.at_ms, row.who, row.reason) for row in rows]

    def lose(self, address: str, who: Caller, reason: str) -> Loss:
        """Say that a logger is lost: breaches that run in its box end, unless another logger is in it."""
        _check(reason)
        with self._store.write() as connection:
            now_ms = self._now_ms()
            lock_breaches(connection, {one.consignment for one in self._ended_by(connection, address, now_ms)})
            begin_act(connection)
            if read_logger(connection, address) is None:
                raise UnknownLoggerError(address)
            if _read(connection, address) is not None:
                raise NotNowError(f"{address} is lost already")
            running = self._ended_by(connection, address, now_ms)
            document = {"ending": LOGGER_LOST, "logger": address, "reason": reason}
            for one in running:
                check_acknowledger(who, kind_of(connection, one.consignment, one.item, one.profile))
                _apply(connection, one.id, ReviewEvent.LOSE, who, document, now_ms)
            values = {"logger": address, "at_ms": now_ms, "who": who.name, "reason": reason}
            connection.execute(insert(lost_loggers).values(**values))
            ended = tuple(one.id for one in running)
            _record(connection, "lose_logger", address, ended, who, reason, now_ms)
            return Loss(address, now_ms, who.name, reason, ended)

    def find(self, address: str, who: Caller, reason: str) -> Loss:
        """Say that a lost logger is found again: what ended by its loss goes on, and waits for somebody."""
        _check(reason)
        with self._store.write() as connection:
            lost = _read(connection, address)
            ids = [] if lost is None else _closed_by(connection, lost)
            known = [found for breach_id in ids if (found := read_breach(connection, breach_id)) is not None]
            lock_breaches(connection, {one.consignment for one in known})
            begin_act(connection)
            lost = _read(connection, address)
            if lost is None:
                raise NotNowError(f"{address} is not lost")
            now_ms = self._now_ms()
            for breach_id in ids:
                _apply(connection, breach_id, ReviewEvent.FIND, who, {"logger": address, "reason": reason}, now_ms)
            connection.execute(delete(lost_loggers).where(lost_loggers.c.logger == address))
            _record(connection, "find_logger", address, tuple(ids), who, reason, now_ms)
            return Loss(address, lost.at_ms, lost.who, lost.reason, tuple(ids))

    def _observed(self, logger: str, since_ms: int) -> Sequence[Observation]:
        return self._archive.observations(logger, since_ms, _END_MS)

    def _ended_by(self, connection: Connection, address: str, now_ms: int) -> list[Running]:
        """What runs in the box of a logger, if no other logger that is not lost could tell how it goes on."""
        lost = set(connection.execute(select(lost_loggers.c.logger)).scalars()) | {address}
        affected = find_affected(connection, self._observed, now_ms)
        return [one for box in affected if address in box.loggers and lost >= set(box.loggers) for one in box.running]


def _check(reason: str) -> None:
    if not reason.strip():
        raise InputError("reason", "say it in words")
    if len(reason) > REASON_MAX:
        raise InputError("reason", f"at most {REASON_MAX} characters")
    refuse_identity_number("reason", reason)


def _read(connection: Connection, address: str) -> Loss | None:
    row = connection.execute(select(lost_loggers).where(lost_loggers.c.logger == address)).first()
    return None if row is None else Loss(row.logger, row.at_ms, row.who, row.reason)


def _closed_by(connection: Connection, lost: Loss) -> list[int]:
    """The breaches that the loss has ended, as far as nobody has dealt with them otherwise since."""
    rows = connection.execute(
        select(review_records.c.breach_id, review_records.c.document)
        .where(review_records.c.event == ReviewEvent.LOSE.value, review_records.c.at_ms == lost.at_ms)
        .order_by(review_records.c.breach_id)
    ).all()
    named = [row.breach_id for row in rows if msgspec.json.decode(row.document)["logger"] == lost.logger]
    return [one for one in named if ending_of(read_records(connection, one)) == (ReviewEvent.LOSE, LOGGER_LOST)]


def _apply(
    connection: Connection, breach_id: int, event: ReviewEvent, who: Caller, document: dict[str, str], now_ms: int
) -> None:
    apply_event(connection, breach_id, event, Author(who.name, who.printed_name), document, now_ms)
    tell(connection, "review", {"breach": breach_id, "event": event, "who": who.name}, now_ms)


def _record(
    connection: Connection, act: str, address: str, ids: tuple[int, ...], who: Caller, reason: str, now_ms: int
) -> None:
    told = msgspec.json.encode({"breaches": ids}).decode()
    record_act(connection, Act(who.name, act, f"logger {address}", new=told, reason=reason), now_ms)
    tell(connection, "logger", {"logger": address, "act": act}, now_ms)
