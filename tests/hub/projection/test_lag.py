from __future__ import annotations

from pathlib import Path

import httpx
import pytest
from sqlalchemy import update

from gateway.hub.database import schema
from gateway.hub.database.store import Store
from gateway.hub.processes.app import create_app
from gateway.hub.projection.portions import oldest_waiting_ms
from gateway.hub.replication.ingest import Ingest
from gateway.hub.rooms import open_rooms
from gateway.hub.settings import HubSettings
from tests.hub.vans import START_MS, Van, observe


def test_the_oldest_that_waits_is_the_first_behind_a_cursor(store: Store, van: Van) -> None:
    with store.read() as connection:
        assert oldest_waiting_ms(connection) is None
    arrivals = iter((START_MS, START_MS + 1000, START_MS + 2000))
    ingest = Ingest(store, lambda: next(arrivals))
    for place in range(3):
        van.seal(observe(place * 30, 5.0, counter=place))
        ingest.take(van.deliveries()[-1:])
    for projected, expected in ((0, START_MS), (2, START_MS + 2000), (3, None)):
        with store.write() as connection:
            connection.execute(update(schema.epochs).values(projected_offset=projected))
            assert oldest_waiting_ms(connection) == expected


@pytest.mark.parametrize("url", ["", "http://127.0.0.1:9"])
async def test_the_status_shows_how_far_the_projection_is_behind(tmp_path: Path, url: str) -> None:
    settings = HubSettings.model_validate(
        {"data_dir": tmp_path, "influx": {"url": url}, "access": {"anonymous": ["inspector"]}}
    )
    rooms = open_rooms(settings)
    transport = httpx.ASGITransport(create_app(rooms))
    async with httpx.AsyncClient(transport=transport, base_url="http://hub/api/v1") as client:
        shown = (await client.get("/status")).json()["projection"]
    rooms.store.close()
    assert shown == ({"waiting_segments": 0, "oldest_waits_ms": 0} if url else None)
