"""A breach overtakes a backlog: flagged over HTTP while the log that shows it waits, confirmed when that is there."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest
from sqlalchemy import select

from gateway.clock import ClockSettings
from gateway.core.configuration import Box, Consignment, Logger
from gateway.core.contents import Content
from gateway.core.profiles import Profile
from gateway.hub.breaches.keeping import read_breaches
from gateway.hub.database import schema
from gateway.hub.processes.app import create_app
from gateway.hub.replication.ingest import Delivery
from gateway.hub.rooms import Rooms, open_rooms
from gateway.hub.settings import HubSettings
from gateway.keys import load_or_create_key
from gateway.vehicle.alarm import Alarm
from gateway.vehicle.memos import FlagState
from gateway.vehicle.segment_rows import Row
from gateway.vehicle.storage import Storage
from tests.vehicle.carried import BEGINS, PROFILE
from tests.vehicle.fakes import HandClock
from tests.vehicle.samples import BOOT, NOW, T0, TAG, VAN, observe
from tests.waiting import LIMIT_S

CALM, HOT = 60, 20
"""Segments of one reading, every 30 s: the breach lies behind half an hour that is still to be sent."""


@pytest.fixture
async def rooms(tmp_path: Path) -> AsyncIterator[Rooms]:
    later = datetime.fromtimestamp(T0 / 1000 + 7200, UTC)
    clock = ClockSettings(start=later, anchor_ns=time.monotonic_ns(), quality="declared")
    opened = open_rooms(HubSettings(data_dir=tmp_path / "hub", demonstration=True, clock=clock))
    opened.registry.put_profile(Profile.model_validate(PROFILE), "test")
    opened.registry.put_box(Box(code="BOX-1"), "test")
    opened.registry.put_logger(Logger(address=TAG, box="BOX-1"), "test")
    item = {"code": "I1", "kind": "sample", "examinations": [{"code": "K", "profile": "cold"}]}
    carriage = {"box": "BOX-1", "begins": BEGINS}
    opened.registry.put_consignment(
        Consignment.model_validate({"code": "C1", "items": [item], "carriage": [carriage]}), "test"
    )
    yield opened
    opened.store.close()


def seal_backlog(storage: Storage) -> tuple[Row, ...]:
    for number in range(CALM + HOT):
        temperature_mc = 5000 if number < CALM else 35_000
        storage.outbox.seal(
            Content((observe(number, temperature_mc=temperature_mc),)),
            sealed_at_ms=T0 + number * 30_000,
            config_version=1,
        )
    return storage.outbox.pending(1 << 30, -1, NOW)


def breaches(rooms: Rooms) -> list[tuple[str, str, str]]:
    with rooms.store.read() as connection:
        return [(one.key, str(one.rule), str(one.state)) for one in read_breaches(connection)]


def alerts(rooms: Rooms) -> list[str]:
    with rooms.store.read() as connection:
        return list(connection.execute(select(schema.alerts.c.kind)).scalars())


async def flag_offline(rooms: Rooms, storage: Storage, token: str) -> None:
    """Let the vehicle judge what it sealed and post what it finds; of its log the hub has nothing."""
    clock = HandClock()
    clock.passed_ms = (CALM + HOT) * 30_000
    (configuration,) = await asyncio.to_thread(rooms.configurations.refresh)
    transport, headers = httpx.ASGITransport(create_app(rooms)), {"Authorization": f"Bearer {token}"}
    async with httpx.AsyncClient(transport=transport, base_url="http://hub", headers=headers) as client:
        alarm = Alarm(VAN, client, storage, clock)
        alarm.adopt(configuration)
        task = asyncio.create_task(alarm.run())
        async with asyncio.timeout(LIMIT_S):
            while not await storage.disk.run(storage.memos.flags, FlagState.DELIVERED):  # noqa: ASYNC110  no event
                await asyncio.sleep(0.01)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_a_breach_overtakes_a_backlog_and_is_confirmed_when_the_log_catches_up(
    rooms: Rooms, tmp_path: Path
) -> None:
    key = load_or_create_key(tmp_path / "gateway.key")
    token = rooms.enrolment.enrol(VAN, rooms.enrolment.issue_code(VAN, "test"), key.public_bytes)
    storage = Storage.open(tmp_path / "vehicle", VAN, key, max_bytes=1 << 30, boot=BOOT)
    backlog = seal_backlog(storage)
    await flag_offline(rooms, storage, token)
    ((flagged, rule, state),) = breaches(rooms)
    assert (rule, state, alerts(rooms)) == ("hot", "provisional", ["breach"])
    assert rooms.archive.counts().chained == 0

    await asyncio.to_thread(rooms.ingest.take, [Delivery(VAN, row.data) for row in backlog[:CALM]])
    await asyncio.to_thread(rooms.watch.judge_marked)
    assert breaches(rooms) == [(flagged, "hot", "provisional")]

    await asyncio.to_thread(rooms.ingest.take, [Delivery(VAN, row.data) for row in backlog[CALM:]])
    await asyncio.to_thread(rooms.watch.judge_marked)
    assert breaches(rooms) == [(flagged, "hot", "confirmed")]
    assert alerts(rooms) == ["breach"]
    storage.close()
