"""Live events, and the state of the hub itself."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import asdict
from typing import Annotated

from fastapi import APIRouter, Header, Query
from fastapi.sse import EventSourceResponse, ServerSentEvent
from pydantic import BaseModel
from sqlalchemy import Connection, func, select

from gateway.hub.access.roles import Right
from gateway.hub.api.access import HubRooms, needs
from gateway.hub.api.bounds import NUMBER_MAX
from gateway.hub.api.problems import documented
from gateway.hub.database.schema import quarantine
from gateway.hub.projection.portions import count_waiting, oldest_waiting_ms
from gateway.hub.rooms import Rooms
from gateway.hub.signals.events import Event, newest_event, read_events

router = APIRouter(tags=["live"])

PAGE = 200
POLL_S = 5.0
"""Real seconds after which events are looked for unasked: another process may have written one."""


class Lag(BaseModel):
    """How far the projection to InfluxDB is behind: segments that wait, and for how long the oldest has."""

    waiting_segments: int
    oldest_waits_ms: int


class HubState(BaseModel):
    """What the hub holds. `quarantined` counts by reason what could not be processed.

    `needs` counts the loggers in boxes that need a battery or a calibration, now or within 30 days.
    `projection` is null where there is no InfluxDB.
    """

    now_ms: int
    demonstration: bool
    archive: dict[str, int]
    quarantined: dict[str, int]
    needs: dict[str, int]
    projection: Lag | None


@router.get("/status", dependencies=needs(Right.READ_FLEET), responses=documented(401, 403))
def show_status(rooms: HubRooms) -> HubState:
    """Show what the hub holds and what it had to set aside."""
    now_ms = rooms.clock.now_ms()
    with rooms.store.read() as connection:
        rows = connection.execute(
            select(quarantine.c.code, func.sum(quarantine.c.times).label("n")).group_by(quarantine.c.code)
        ).all()
        lag = _lag(connection, now_ms) if rooms.settings.influx.url else None
    return HubState(
        now_ms=now_ms,
        demonstration=rooms.settings.demonstration,
        archive=asdict(rooms.archive.counts()),
        quarantined={row.code: int(row.n) for row in rows},
        needs={need.value: count for need, count in sorted(rooms.fleet.needs().items())},
        projection=lag,
    )


def _lag(connection: Connection, now_ms: int) -> Lag:
    oldest_ms = oldest_waiting_ms(connection)
    waits_ms = 0 if oldest_ms is None else max(0, now_ms - oldest_ms)
    return Lag(waiting_segments=count_waiting(connection), oldest_waits_ms=waits_ms)


@router.get(
    "/events",
    response_class=EventSourceResponse,
    dependencies=needs(Right.LOOK_UP),
    responses=documented(401, 403),
)
async def stream_events(
    rooms: HubRooms,
    last_event_id: Annotated[int | None, Header(ge=0, le=NUMBER_MAX)] = None,
    after: Annotated[
        int | None, Query(ge=0, le=NUMBER_MAX, description="the same as Last-Event-ID, for a first connection")
    ] = None,
) -> AsyncIterator[ServerSentEvent]:
    """Stream live events: breach, alert, judgement, consignment, gateway. Resumes after Last-Event-ID."""
    start = last_event_id if last_event_id is not None else after
    newest = await asyncio.to_thread(_newest, rooms) if start is None else start
    while not rooms.closing.is_set():
        heard = rooms.bells.told.rings
        page = await asyncio.to_thread(_page, rooms, newest)
        for event in page:
            newest = event.id
            yield ServerSentEvent(raw_data=event.data, event=event.kind, id=str(event.id))
        if not page:
            await rooms.bells.told.wait(heard, POLL_S)


def _newest(rooms: Rooms) -> int:
    with rooms.store.read() as connection:
        return newest_event(connection)


def _page(rooms: Rooms, after: int) -> list[Event]:
    with rooms.store.read() as connection:
        return read_events(connection, after, PAGE)
