"""Departures: heads are made each day and leave the hub. What is not delivered waits, is tried again, and is shown.

Nothing else waits for it: not the archive, not the hub's end, and no destination for another.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, and_, func, select, update

from gateway.core.errors import ColdchainError
from gateway.hub.database import schema
from gateway.hub.database.patience import call_apart, keep_trying
from gateway.hub.database.schema import alerts, departures
from gateway.hub.database.store import Store, insert_or_skip
from gateway.hub.proof.heads import DOCUMENT, TIMESTAMP, Written, are_heads_due, write_heads
from gateway.hub.proof.timestamps import request_timestamp
from gateway.hub.rooms import Rooms
from gateway.hub.settings import HubSettings
from gateway.hub.signals.alerts import AlertKind, Resolution, raise_alert, read_open, resolve_alerts
from gateway.hub.times import real_ms, to_datetime
from gateway.hub.upkeep.destinations import Destination, Parcel, open_destinations
from gateway.keys import SigningKey

log = logging.getLogger(__name__)

AUTHORITY = "authority"
"""The destination that answers with a timestamp."""
FOLDER = "heads"
"""In data_dir, where the settings name no folder."""
UNDELIVERED_MS = 12 * 3_600_000
"""Heads that have not reached a destination after so long are told of: by then the next day's are due, and until they
are elsewhere a cut tail may stay unseen."""
LOOK_S = 20.0
"""Real seconds between looks whether a day has begun or something is due again."""
FIRST_PAUSE_MS = 60_000
LONGEST_PAUSE_MS = 3_600_000
"""Between attempts, doubling: a share that is mounted again gets its files within the hour."""
_ALWAYS_MS = 1 << 62
FAILURE_MAX = 300
"""Characters kept of a failure."""

Carry = Callable[[Parcel], bytes | None]
"""Takes a parcel away; returns a timestamp where that is what it was for. Raises ColdchainError."""


@dataclass(frozen=True, slots=True)
class Departure:
    """One file on its way. `done_at_ms` is None while it waits; then `failure` says what the last attempt met."""

    number: int
    at_ms: int
    part: str
    destination: str
    attempts: int
    failure: str
    done_at_ms: int | None


class Departures:
    """Makes heads and delivers them. Blocking, but for `run`."""

    def __init__(self, store: Store, key: SigningKey, settings: HubSettings) -> None:
        self._store = store
        self._key = key
        self._carriers = _open_carriers(settings)

    async def run(self, now_ms: Callable[[], int]) -> None:
        """Make heads each day and deliver, for ever. A destination that hangs holds up only itself."""
        async with asyncio.TaskGroup() as tasks:
            for destination in self._carriers:
                tasks.create_task(self._deliver_to(destination, now_ms), name=f"heads to {destination}")
            while True:
                await keep_trying(lambda: self.write_if_due(now_ms()), "the heads wait")
                await keep_trying(lambda: self.tell_undelivered(now_ms()), "heads wait")
                await asyncio.sleep(LOOK_S)

    async def _deliver_to(self, destination: str, now_ms: Callable[[], int]) -> None:
        while True:
            while (row := await keep_trying(lambda: self._due(destination, real_ms()), "heads wait")) is not None:
                await self._try(row, now_ms)
            await asyncio.sleep(LOOK_S)

    def write_if_due(self, now_ms: int) -> bool:
        """Make the heads of a day that has begun; say whether."""
        if not are_heads_due(self._store, now_ms):
            return False
        self.write(now_ms)
        return True

    def write(self, now_ms: int, who: str = "hub") -> Written:
        """Make heads now."""
        return write_heads(self._store, self._key, now_ms, list(self._carriers), who=who)

    def deliver(self, now_ms: int) -> None:
        """Try once everything that waits, due or not; each destination until it fails."""
        for destination in sorted(self._carriers, key=lambda name: name != AUTHORITY):  # its answer goes to the others
            while (row := self._due(destination, _ALWAYS_MS)) is not None:
                try:
                    answer = self._carriers[destination](_parcel_of(row))
                except ColdchainError as error:
                    self._note_failure(row, str(error))
                    break
                self._note_delivery(row, answer, now_ms)

    def tell_undelivered(self, now_ms: int) -> None:
        """Alert once about each destination that heads have not reached for UNDELIVERED_MS; end what has arrived."""
        with self._store.read() as connection:
            late = _find_late(connection, now_ms)
            waiting = read_open(connection, AlertKind.HEADS_UNDELIVERED)
            told = set(connection.execute(select(alerts.c.key).where(alerts.c.key.in_(map(_key, late)))).scalars())
        stuck = {row.destination for row in late}
        over = [alert.id for alert in waiting if alert.about["destination"] not in stuck]
        if not over and told.issuperset(map(_key, late)):
            return
        with self._store.write() as connection:
            resolve_alerts(connection, over, Resolution.DELIVERED, now_ms)
            for row in late:
                story = {"destination": row.destination, "heads": row.number, "since_ms": row.at_ms}
                about = {**story, "reason": row.failure}
                raise_alert(connection, AlertKind.HEADS_UNDELIVERED, about, now_ms, key=_key(row), source="heads")

    def recent(self, limit: int) -> list[Departure]:
        """Return the departures of the newest heads, and older ones that still wait, oldest first."""
        joined = select(departures, schema.heads.c.at_ms).join(schema.heads)
        with self._store.read() as connection:
            newest = connection.execute(
                select(schema.heads.c.number).order_by(schema.heads.c.number.desc()).limit(limit)
            ).scalars()
            wanted = departures.c.number.in_(list(newest)) | departures.c.done_at_ms.is_(None)
            rows = connection.execute(
                joined.where(wanted).order_by(departures.c.number, departures.c.part, departures.c.destination)
            )
            return [
                Departure(row.number, row.at_ms, row.part, row.destination, row.attempts, row.failure, row.done_at_ms)
                for row in rows
            ]

    async def _try(self, row: Row[tuple[object, ...]], now_ms: Callable[[], int]) -> None:
        carry, parcel = self._carriers[row.destination], _parcel_of(row)
        try:
            answer = await call_apart(lambda: carry(parcel), "heads")
        except ColdchainError as error:
            reason = str(error)
            log.warning("%s did not reach %s: %s", parcel.name, row.destination, reason)
            await keep_trying(lambda: self._note_failure(row, reason), "the heads wait")
        else:
            await keep_trying(lambda: self._note_delivery(row, answer, now_ms()), "the heads wait")

    def _due(self, destination: str, until_ms: int) -> Row[tuple[object, ...]] | None:
        """The oldest departure to a destination, if it is due: what stands before it holds up what follows."""
        columns = (departures, schema.heads.c.at_ms, schema.heads.c.document, schema.heads.c.timestamp)
        with self._store.read() as connection:
            row = connection.execute(
                select(*columns)
                .join(schema.heads)
                .where(departures.c.destination == destination, departures.c.done_at_ms.is_(None))
                .order_by(departures.c.number, departures.c.part)
                .limit(1)
            ).first()
        return None if row is None or row.due_ms > until_ms else row

    def _note_failure(self, row: Row[tuple[object, ...]], reason: str) -> None:
        pause_ms = min(FIRST_PAUSE_MS << min(row.attempts, 10), LONGEST_PAUSE_MS)
        with self._store.write() as connection:
            connection.execute(
                update(departures)
                .where(_is(row))
                .values(attempts=row.attempts + 1, due_ms=real_ms() + pause_ms, failure=reason[:FAILURE_MAX])
            )

    def _note_delivery(self, row: Row[tuple[object, ...]], answer: bytes | None, now_ms: int) -> None:
        with self._store.write() as connection:
            connection.execute(
                update(departures).where(_is(row)).values(attempts=row.attempts + 1, failure="", done_at_ms=now_ms)
            )
            if answer is None:
                return
            connection.execute(update(schema.heads).where(schema.heads.c.number == row.number).values(timestamp=answer))
            for destination in self._carriers:
                if destination != AUTHORITY:
                    insert_or_skip(connection, departures, number=row.number, part=TIMESTAMP, destination=destination)


def _key(row: Row[Any]) -> str:
    return f"heads:{row.destination}:{row.number}"


def _find_late(connection: Connection, now_ms: int) -> Sequence[Row[Any]]:
    """Return the oldest departure to each destination, where that is late."""
    waiting = select(departures.c.destination, func.min(departures.c.number).label("number")).where(
        departures.c.done_at_ms.is_(None)
    )
    oldest = waiting.group_by(departures.c.destination).subquery()
    return connection.execute(
        select(oldest, schema.heads.c.at_ms, func.max(departures.c.failure).label("failure"))
        .join(schema.heads, schema.heads.c.number == oldest.c.number)
        .join(
            departures,
            (departures.c.number == oldest.c.number) & (departures.c.destination == oldest.c.destination),
        )
        .where(schema.heads.c.at_ms <= now_ms - UNDELIVERED_MS)
        .group_by(oldest.c.destination, oldest.c.number, schema.heads.c.at_ms)
        .order_by(oldest.c.destination)
    ).all()


async def run_departures(rooms: Rooms) -> None:
    """Make heads each day and deliver them, for ever."""
    await Departures(rooms.store, rooms.key, rooms.settings).run(rooms.clock.now_ms)


def _open_carriers(settings: HubSettings) -> Mapping[str, Carry]:
    found = open_destinations(settings.heads, settings.data_dir / FOLDER)
    carriers: dict[str, Carry] = {name: partial(_take, destination) for name, destination in found.items()}
    if settings.heads.timestamp_url:
        carriers[AUTHORITY] = partial(_stamp, settings.heads.timestamp_url)
    return carriers


def _take(destination: Destination, parcel: Parcel) -> None:
    destination.take(parcel)


def _stamp(url: str, parcel: Parcel) -> bytes:
    return request_timestamp(url, parcel.data)


def _parcel_of(row: Row[tuple[object, ...]]) -> Parcel:
    written = Written(row.number, row.at_ms, row.document)
    day = to_datetime(row.at_ms).date().isoformat()
    if row.part == DOCUMENT:
        title = f"heads {row.number} of {day}"
        return Parcel(f"{written.name}.json", "application/json", title, written.document.encode())
    title = f"timestamp of heads {row.number} of {day}"
    return Parcel(f"{written.name}.tsr", "application/timestamp-reply", title, bytes(row.timestamp))


def _is(row: Row[tuple[object, ...]]) -> ColumnElement[bool]:
    return and_(
        departures.c.number == row.number,
        departures.c.part == row.part,
        departures.c.destination == row.destination,
    )
