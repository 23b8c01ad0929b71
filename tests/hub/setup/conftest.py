from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from gateway.core.configuration import Box, Calibration, Consignment, Logger
from gateway.hub.access import passwords
from gateway.hub.access.roles import Role
from gateway.hub.processes.app import create_app
from gateway.hub.rooms import Rooms, open_rooms
from gateway.hub.settings import HubSettings
from tests.hub.setup.forms import PASSWORD, Visitor
from tests.hub.vans import LOGGER, Van, iso, observe

CLOCK = {"start": iso(0), "stop": iso(1800), "rate": 1e5, "anchor_ns": 0}


@pytest.fixture
async def rooms(tmp_path: Path, database: str, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Rooms]:
    """A hub with an account for each role, a box with a logger and half an hour of readings at 5 °C."""
    monkeypatch.setattr(passwords, "_hasher", passwords.PasswordHasher(time_cost=1, memory_cost=64))
    settings = {"database": database, "demonstration": True, "clock": CLOCK, "language": "en"}
    opened = open_rooms(HubSettings(data_dir=tmp_path, **settings))  # type: ignore[arg-type]  pydantic reads them
    for role in Role:
        opened.accounts.add(role.value, f"The {role}", [role], "setup", password=PASSWORD)
    calibration = Calibration(certificate="K-1", calibrated_at=iso(-86400), due_at=iso(86400), offset_c=0.1)
    opened.registry.put_box(Box(code="BOX-1", label="EPS 21 l"), "test")
    opened.registry.put_logger(Logger(address=LOGGER, box="BOX-1", calibration=calibration), "test")
    van = Van()
    for i in range(61):
        van.seal(observe(30 * i, 5.0, counter=i))
    opened.enrolment.enrol(van.name, opened.enrolment.issue_code(van.name, "test"), van.key.public_bytes)
    opened.ingest.take(van.deliveries())
    item = {"code": "TUBE-1", "kind": "sample", "examinations": [{"code": "K", "profile": "potassium"}]}
    document = {"code": "SEND-1", "items": [item], "carriage": [{"box": "BOX-1", "begins": iso(0)}]}
    opened.registry.put_consignment(Consignment.model_validate(document), "test")
    opened.watch.judge_marked()
    yield opened
    opened.store.close()


@pytest.fixture
async def visitor(rooms: Rooms) -> AsyncIterator[Visitor]:
    transport = httpx.ASGITransport(create_app(rooms))
    async with httpx.AsyncClient(transport=transport, base_url="http://hub") as client:
        opened = Visitor(client, rooms)
        opened.be(Role.ADMINISTRATOR)
        yield opened
