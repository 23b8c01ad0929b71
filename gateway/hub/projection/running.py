"""The hub's task that projects for ever. What the server does holds up nothing else, not even the hub's end."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

from gateway.hub.database.patience import call_apart
from gateway.hub.projection.projector import Batch, Projector
from gateway.hub.projection.writing import InfluxError, InfluxWriter, Refused
from gateway.hub.rooms import Rooms
from gateway.hub.signals.events import Bell

log = logging.getLogger(__name__)

FIRST_WAIT_S = 1.0
LONGEST_WAIT_S = 60.0
"""A server that has come back is noticed within a minute."""
ASKED_WAIT_MAX_S = 600.0
"""What a server asks for in Retry-After is kept up to so long."""
IDLE_S = 5.0
"""Real seconds after which work is looked for unasked: another process may have stored some, and hours fall due."""


async def run_projection(rooms: Rooms, work: Bell) -> None:
    """Project for ever."""
    writer = InfluxWriter(rooms.settings.influx)
    projector = Projector(rooms.store, rooms.archive, writer, rooms.settings.influx)
    ready: Batch | None = None
    try:
        while True:
            heard = work.rings
            ready = ready or await asyncio.to_thread(projector.prepare, rooms.clock.now_ms())
            if ready is None:
                await work.wait(heard, IDLE_S)
            else:
                ready = await _project(projector, ready, rooms.clock.now_ms)
    finally:
        writer.close()


async def _project(projector: Projector, batch: Batch, now_ms: Callable[[], int]) -> Batch | None:
    """Write one batch and tick it off; return the next one, read meanwhile."""
    writing = asyncio.create_task(_write(projector, batch), name="influx write")
    try:
        following = await asyncio.to_thread(projector.prepare, now_ms(), batch)
        refused = await writing
    finally:
        writing.cancel()
    await asyncio.to_thread(projector.finish, batch, refused, now_ms())
    return following


async def _write(projector: Projector, batch: Batch) -> list[Refused]:
    """Write one batch, however long the server takes."""
    wait_s = FIRST_WAIT_S
    while True:
        try:
            return await call_apart(lambda: projector.write(batch), "influx write")
        except InfluxError as error:
            delay_s = min(max(wait_s, error.retry_after_s), ASKED_WAIT_MAX_S)
            log.warning("InfluxDB takes no points, next attempt in %.0f s: %s", delay_s, error.reason)
            await asyncio.sleep(delay_s)
            wait_s = min(wait_s * 2, LONGEST_WAIT_S)
