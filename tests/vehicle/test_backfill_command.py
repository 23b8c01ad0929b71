"""`coldchain backfill`: a running vehicle is asked, a stopped one's record is written directly."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import httpx
import pytest

from firmware_sim.bluez import FakeBluez
from gateway.core.contents import Content
from gateway.core.errors import InputError
from gateway.core.messages import sign_envelope
from gateway.core.observations import Source
from gateway.core.records import MemoryRead
from gateway.core.topics import CONFIG
from gateway.keys import load_or_create_key
from gateway.vehicle.driver import PORT_FILE, make_app
from gateway.vehicle.enrolment import Enrolment, save_enrolment
from gateway.vehicle.memory_desk import MemoryDesk
from gateway.vehicle.recorder import Stretch
from gateway.vehicle.storage import Storage
from tests.vehicle.carried import configuration
from tests.vehicle.fakes import HUB_KEY, HandClock
from tests.vehicle.samples import T0, TAG, VAN
from tests.vehicle.tags import Tag
from tests.waiting import LIMIT_S


@dataclass
class Garage:
    """An enrolled vehicle that knows its boxes, without a network."""

    folder: Path

    def __post_init__(self) -> None:
        (self.folder / "van").mkdir()
        self.settings.write_text(
            f'gateway = "{VAN}"\ndata_dir = "{self.folder}/van"\n'
            '[broker]\nurl = "mqtt://127.0.0.1:9"\n[clock]\nquality = "declared"\n[radio]\nscanning = "active"\n'
        )
        save_enrolment(self.folder / "van", Enrolment(hub_public_key=HUB_KEY.public_bytes.hex(), token="t"))
        storage = self.open()
        document = configuration(received_at="2025-07-01T00:00:00Z").model_dump_json().encode()
        storage.memos.keep_configuration(sign_envelope(CONFIG, VAN, document, HUB_KEY.sign))
        storage.close()

    @property
    def settings(self) -> Path:
        return self.folder / "vehicle.toml"

    def open(self) -> Storage:
        key = load_or_create_key(self.folder / "van" / "gateway.key")
        return Storage.open(self.folder / "van", VAN, key, max_bytes=1 << 30)

    def memories(self) -> list[Content]:
        storage = self.open()
        contents = [sealed.content for sealed in storage.outbox.newest_contents()]
        storage.close()
        return [content for content in contents if any(isinstance(record, MemoryRead) for record in content.records)]

    async def start(self, *arguments: str) -> asyncio.subprocess.Process:
        return await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "gateway.cli", *arguments, "--settings", str(self.settings)),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )

    async def backfill(self, *arguments: str) -> tuple[int | None, str, str]:
        process = await self.start("backfill", *arguments)
        async with asyncio.timeout(LIMIT_S):
            output, errors = await process.communicate()
        return process.returncode, output.decode(), errors.decode()

    @asynccontextmanager
    async def drive(self) -> AsyncIterator[asyncio.subprocess.Process]:
        process = await self.start("vehicle")
        assert process.stdout is not None
        try:
            async with asyncio.timeout(LIMIT_S):
                assert (await process.stdout.readline()).startswith(b"READY")
                yield process
        finally:
            process.terminate()
            await process.communicate()


async def broadcast(tag: Tag) -> None:
    counter = 0
    while True:
        counter += 1
        tag.advertise(counter)
        await asyncio.sleep(0.3)


async def test_a_memory_is_read_when_asked_for_with_the_vehicle_and_without(tmp_path: Path, bluez: FakeBluez) -> None:
    garage, tag = Garage(tmp_path), Tag(bluez, TAG, [(1500, 6.1), (1200, 6.2), (900, 6.3)])
    async with garage.drive():
        assert json.loads((tmp_path / "van" / PORT_FILE).read_text()) > 0
        away = await garage.backfill(TAG, "--hours", "1", "--patience", "1")
        assert (away[0], "was not heard" in away[2]) == (1, True), away
        other = await garage.backfill("C0:FF:EE:00:00:09")
        assert (other[0], other[2]) == (
            2,
            "coldchain: logger: C0:FF:EE:00:00:09 is not enrolled, or has no memory that can be read\n",
        )
        broadcasting = asyncio.create_task(broadcast(tag))
        asked = await garage.backfill(TAG.lower(), "--hours", "1")
        assert asked == (0, f"{TAG}: 3 records, 3 of them new\n", "")
    assert not (tmp_path / "van" / PORT_FILE).exists()
    before = len(garage.memories())
    assert before in {1, 2}, "the vehicle also went on with what the first command asked for, at once or with it"

    (tmp_path / "van" / PORT_FILE).write_text("9\n")  # as a vehicle leaves it that lost its power
    direct = await garage.backfill(TAG, "--hours", "1")
    assert direct == (0, f"{TAG}: 3 records, 3 of them new\n", "")
    newest, *others = garage.memories()
    assert len(others) == before
    assert [(o.temperature_mc, o.source) for o in newest.observations if o.source is Source.MEMORY] == [
        (6100, Source.MEMORY),
        (6200, Source.MEMORY),
        (6300, Source.MEMORY),
    ]
    broadcasting.cancel()
    await asyncio.gather(broadcasting, return_exceptions=True)


async def test_a_vehicle_that_was_never_enrolled_says_so(tmp_path: Path) -> None:
    garage = Garage(tmp_path)
    (tmp_path / "van" / "enrolment.json").unlink()
    status, _, errors = await garage.backfill(TAG)
    assert (status, errors.startswith(f"coldchain: enrolment: {VAN} is not enrolled")) == (2, True), errors


class NoBackfill:
    """Knows one logger, never reads."""

    intervals_s = {TAG: 300}  # noqa: RUF012  never changed
    reading: set[str] = set()  # noqa: RUF012  the same
    told: dict[str, MemoryRead] = {}  # noqa: RUF012  the same
    answers = {TAG: 0}  # noqa: RUF012  the same
    troubles: dict[str, list[str]] = {}  # noqa: RUF012  the same

    def __init__(self) -> None:
        self.missed: list[Stretch] = []

    def missing_of(self, _logger: str) -> int:
        return len(self.missed)

    def present(self) -> list[str]:
        return []


def desk() -> tuple[NoBackfill, MemoryDesk, HandClock]:
    backfill, clock = NoBackfill(), HandClock()
    return backfill, MemoryDesk(cast("Any", backfill), cast("Any", backfill), clock, backfill.missed.append), clock


async def ask(
    memories: MemoryDesk, question: dict[str, int] | None = None, client: str = "127.0.0.1"
) -> httpx.Response:
    transport = httpx.ASGITransport(make_app(lambda: pytest.fail("not asked for"), memories), client=(client, 1))
    async with httpx.AsyncClient(transport=transport, base_url="http://van") as caller:
        body = {"from_ms": T0 - 3_600_000, "to_ms": T0, **(question or {})}
        return await caller.post(f"/api/v1/loggers/{TAG}/memory", json=body)


async def test_only_who_is_on_the_machine_may_ask() -> None:
    backfill, memories, _ = desk()
    assert (await ask(memories, client="192.168.1.20")).status_code == 403
    assert backfill.missed == []
    answer = await ask(memories)
    assert (answer.status_code, answer.json()["missing"]) == (202, 1)
    assert backfill.missed == [Stretch(TAG, T0 - 3_600_000, T0)]


@pytest.mark.parametrize(
    ("question", "field"),
    [
        ({"to_ms": T0 - 3_600_000}, "to"),
        ({"from_ms": T0 + 1, "to_ms": T0 + 2}, "from"),
        ({"from_ms": T0 - 32 * 86_400_000}, "from"),
    ],
    ids=["empty", "in the future", "too long"],
)
async def test_what_cannot_be_asked_for_is_refused(question: dict[str, int], field: str) -> None:
    backfill, memories, _ = desk()
    answer = await ask(memories, question)
    assert (answer.status_code, answer.json()["detail"].partition(":")[0]) == (422, field)
    assert backfill.missed == []


async def test_without_a_trusted_clock_no_memory_is_asked() -> None:
    backfill, memories, clock = desk()
    clock.is_trusted = False
    assert (await ask(memories)).json()["detail"].startswith("clock: is not trusted")
    assert backfill.missed == []
    with pytest.raises(InputError):
        memories.show("C0:FF:EE:00:00:09")
