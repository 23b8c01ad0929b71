"""Live events: rows written in the transaction of what they tell, so that a listener can resume after its last one."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial

import msgspec
from sqlalchemy import Connection, delete, func, insert, select

from gateway.hub.database.locks import wait_for_locks
from gateway.hub.database.schema import events
from gateway.hub.database.store import do_last, inserted_id

KEPT = 10_000
"""Events that a listener can resume from: a day of a busy hub. Whoever was away longer reads the state anew."""
_PRUNE_EVERY = 500


@dataclass(frozen=True, slots=True)
class Event:
    """One event. `data` is JSON."""

    id: int
    kind: str
    data: str


class Bell:
    """Wakes whoever waits for something new. Made in the event loop; may be rung from any thread.

    Take `rings` before looking whether there is work, and wait for more than that: a ring in between is not missed.
    """

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._changed = asyncio.Event()
        self.rings = 0

    def ring(self) -> None:
        """Wake all who wait."""
        self._loop.call_soon_threadsafe(self._ring)

    async def wait(self, after: int, timeout_s: float) -> None:
        """Wait until it has rung more than `after` times, at most so many real seconds."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(timeout_s):
                while self.rings <= after:
                    await self._changed.wait()

    def _ring(self) -> None:
        self.rings += 1
        self._changed.set()
        self._changed = asyncio.Event()


def tell(connection: Connection, kind: str, data: Mapping[str, object], now_ms: int) -> None:
    """Add an event within the caller's transaction."""
    text = msgspec.json.encode(data).decode()
    do_last(connection, partial(_write, {"kind": kind, "data": text, "at_ms": now_ms}))


def _write(row: Mapping[str, object], connection: Connection) -> None:
    """Insert at the very end of the transaction, one transaction at a time.

    Ids must become visible in their order, or a listener would pass over one that is committed later.
    """
    wait_for_locks(connection, "events", [""])
    newest = inserted_id(connection.execute(insert(events).values(**row)))
    if newest % _PRUNE_EVERY == 0:
        connection.execute(delete(events).where(events.c.id <= newest - KEPT))


def read_events(connection: Connection, after: int, limit: int) -> list[Event]:
    """Return the events after an id, oldest first."""
    rows = connection.execute(
        select(events.c.id, events.c.kind, events.c.data).where(events.c.id > after).order_by(events.c.id).limit(limit)
    )
    return [Event(row.id, row.kind, row.data) for row in rows]


def newest_event(connection: Connection) -> int:
    """Return the id of the newest event, 0 if there is none."""
    return int(connection.execute(select(func.max(events.c.id))).scalar_one() or 0)
