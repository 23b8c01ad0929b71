"""The hub's task that projects for ever. What the server does holds up nothing else, not even the hub's end."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

from gateway.hub.events import Bell
from gateway.hub.patience import call_apart
from gateway.hub.projection.projector import Projector
from gateway.hub.projection.writing import InfluxError, InfluxWriter
from gateway.hub.rooms import Rooms

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
    try:
        while True:
            heard = work.rings
            if not await _step(projector, rooms.clock.now_ms):
                await work.wait(heard, IDLE_S)
    finally:
        writer.close()


async def _step(projector: Projector, now_ms: Callable[[], int]) -> bool:
    """Project one batch, however long the server takes; say whether there was one."""
    batch = await asyncio.to_thread(projector.prepare, now_ms())
    if batch is None:
        return False
    wait_s = FIRST_WAIT_S
    while True:
        try:
            refused = await call_apart(lambda: projector.write(batch), "influx write")
        except InfluxError as error:
            delay_s = min(max(wait_s, error.retry_after_s), ASKED_WAIT_MAX_S)
            log.warning("InfluxDB takes no points, next attempt in %.0f s: %s", delay_s, error.reason)
            await asyncio.sleep(delay_s)
            wait_s = min(wait_s * 2, LONGEST_WAIT_S)
        else:
            await asyncio.to_thread(projector.finish, batch, refused, now_ms())
            return True
