"""The interface by which loggers are enrolled, moved, swapped and looked at."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
from sqlalchemy import select

from gateway.hub.database import schema
from gateway.hub.processes.app import create_app
from gateway.hub.rooms import Rooms, open_rooms
from gateway.hub.settings import HubSettings
from tests.hub.vans import LOGGER

NEW = "C0:FF:EE:00:00:02"


@pytest.fixture
async def rooms(tmp_path: Path) -> AsyncIterator[Rooms]:
    opened = open_rooms(HubSettings(data_dir=tmp_path))
    yield opened
    opened.store.close()


@pytest.fixture
async def admin(rooms: Rooms) -> AsyncIterator[httpx.AsyncClient]:
    token = (rooms.settings.data_dir / "admin.token").read_text().strip()
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(create_app(rooms)),
        base_url="http://hub/api/v1",
        headers={"Authorization": f"Bearer {token}"},
    ) as client:
        yield client


async def test_a_logger_is_enrolled_moved_and_swapped(rooms: Rooms, admin: httpx.AsyncClient) -> None:
    first = await admin.put(f"/loggers/{LOGGER}", json={"address": LOGGER, "box": "BOX-1"})
    assert (first.status_code, first.json()["since"]) == (200, None)
    body = {"address": LOGGER, "box": "BOX-2"}
    moved = (await admin.put(f"/loggers/{LOGGER}", json=body, params={"reason": "box was dropped"})).json()
    assert [past["box"] for past in moved["former"]] == ["BOX-1"]
    swapped = (await admin.post(f"/loggers/{LOGGER}/swap", json={"new": NEW, "reason": "battery"})).json()
    assert (swapped["left"]["box"], swapped["came"]["box"]) == (None, "BOX-2")
    states = (await admin.get("/loggers/states")).json()
    assert [(state["logger"]["address"], state["needs"]) for state in states] == [
        (LOGGER, []),
        (NEW, ["not_calibrated"]),
    ]
    assert (await admin.get("/status")).json()["needs"] == {"not_calibrated": 1}
    with rooms.store.read() as connection:
        reasons = connection.execute(select(schema.audit.c.reason).order_by(schema.audit.c.id)).scalars().all()
    assert reasons == ["", "box was dropped", "battery", "battery"]


async def test_what_cannot_be_is_refused_by_name(admin: httpx.AsyncClient) -> None:
    swap = {"new": NEW, "reason": "battery"}
    assert (await admin.post(f"/loggers/{LOGGER}/swap", json=swap)).status_code == 404
    await admin.put(f"/loggers/{LOGGER}", json={"address": LOGGER})
    answer = await admin.post(f"/loggers/{LOGGER}/swap", json=swap)
    assert (answer.status_code, answer.json()["field"]) == (422, "old")
    future = await admin.put(
        f"/loggers/{LOGGER}", json={"address": LOGGER, "box": "BOX-1", "since": "2999-01-01T00:00:00Z"}
    )
    assert (future.status_code, future.json()["field"]) == (422, "since")
    dull = await admin.post(f"/loggers/{LOGGER}/swap", json={"new": NEW, "reason": "boredom"})
    assert (dull.status_code, dull.json()["field"]) == (422, "reason")
