"""The projection to InfluxDB."""

from __future__ import annotations

from gateway.hub.events import Bell
from gateway.hub.rooms import Rooms


async def run_projection(rooms: Rooms, work: Bell) -> None:
    """Project for ever."""
    del rooms, work
