"""The whole vehicle: unmodified bleak on the fake BlueZ, a real broker, a hub that this test plays."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import pytest

from firmware_sim.bluez import FakeBluez
from gateway.core.contents import Content, decode_content
from gateway.core.flags import BreachFlag
from gateway.core.observations import Source
from gateway.core.records import DeviceFault, Health, MemoryRead
from gateway.core.succession import HUB, Successor, hand_over
from gateway.demo.link import Link
from gateway.hub.processes.broker import EmbeddedBroker
from gateway.keys import SigningKey, make_key
from gateway.mqtt import MqttSettings
from gateway.vehicle.enrolment import Enrolment, load_enrolment
from gateway.vehicle.settings import RadioSettings, RecordingSettings, UplinkSettings, VehicleSettings
from gateway.vehicle.storage import Storage
from gateway.vehicle.vehicle import Vehicle
from tests.vehicle.carried import configuration
from tests.vehicle.fakes import HUB_KEY, FakeHub, HandClock
from tests.vehicle.samples import BOOT, TAG, VAN
from tests.vehicle.tags import Tag

Until = Callable[[Callable[[], object]], Awaitable[None]]
ENROLMENT = Enrolment(hub_public_key=HUB_KEY.public_bytes.hex(), token="t")


@dataclass
class World:
    """All around one vehicle; `drive` runs it."""

    folder: Path
    key: SigningKey
    broker: EmbeddedBroker
    hub: FakeHub
    road: Link
    tag: Tag
    until: Until
    clock: HandClock = field(default_factory=lambda: HandClock(rate=600.0))
    flags: list[BreachFlag] = field(default_factory=list)
    counter: int = 0
    enrolment: Enrolment = ENROLMENT

    @asynccontextmanager
    async def drive(self, **recording: int) -> AsyncIterator[Vehicle]:
        settings = VehicleSettings(
            gateway=VAN,
            data_dir=self.folder,
            broker=MqttSettings(url=f"mqtt://127.0.0.1:{self.road.listening_port}", reconnect_max_s=0.1),
            radio=RadioSettings(scanning="active"),  # passive, BlueZ may lose the first one, and no tag repeats here
            recording=RecordingSettings(**{"interval_s": 30, **recording}),
            uplink=UplinkSettings(stall_s=0.5),
        )
        storage = Storage.open(self.folder, VAN, self.key, max_bytes=1 << 30, boot=BOOT)
        transport = httpx.MockTransport(self._take_flag)
        async with httpx.AsyncClient(transport=transport, base_url="http://hub") as client:
            rng = random.Random(1)  # noqa: S311  jitter, no secret
            vehicle = Vehicle(settings, self.enrolment, storage, client, self.clock, rng)
            ready: list[int] = []
            task = asyncio.create_task(vehicle.run(ready.append))
            try:
                await self.until(lambda: ready and vehicle.state().radio.scanning)
                yield vehicle
            finally:
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)
                storage.close()

    def pass_time(self, seconds: float) -> None:
        self.clock.passed_ms += round(seconds * 1000)

    def measure(self, temperature_c: float = 5.0, after_s: float = 30.0) -> None:
        """The logger takes and advertises its next measurement."""
        self.pass_time(after_s)
        self.counter += 1
        self.tag.advertise(self.counter, temperature_c)

    @property
    def contents(self) -> list[Content]:
        return [
            decode_content(segment.body)
            for held in self.hub.epochs.values()
            for segment in held
            if segment.body is not None
        ]

    def delivered(self, source: Source = Source.LIVE) -> list[float]:
        """Temperatures that the hub holds."""
        return [o.temperature_mc / 1000 for c in self.contents for o in c.observations if o.source is source]

    def _take_flag(self, request: httpx.Request) -> httpx.Response:
        self.flags.append(BreachFlag.model_validate_json(request.content))
        return httpx.Response(201)


Enter = Callable[[], AbstractAsyncContextManager[World]]


@pytest.fixture
async def world(tmp_path: Path, key: SigningKey, bluez: FakeBluez, until: Until) -> AsyncIterator[World]:
    async with (
        EmbeddedBroker(tmp_path / "broker") as broker,
        FakeHub(broker.url, key).running() as hub,
        Link("127.0.0.1", broker.port) as road,
    ):
        made = World(tmp_path / "van", key, broker, hub, road, Tag(bluez, TAG), until)
        await hub.configure(configuration(version=1).model_dump_json().encode())
        yield made


async def test_from_the_logger_to_the_hub(world: World, until: Until) -> None:
    async with world.drive() as vehicle:
        await until(lambda: vehicle.state().configuration == 1)
        for temperature_c in (5.0, 5.5, 6.0):
            world.measure(temperature_c)
            await until(lambda: vehicle.state().boxes[0].temperature_c == temperature_c)  # noqa: B023  read at once
        await until(lambda: world.delivered() == [5.0, 5.5, 6.0])
        await until(lambda: vehicle.state().outbox.segments == 0)
        state = vehicle.state()
    assert state.link.up
    assert (state.boxes[0].code, state.boxes[0].state, state.boxes[0].age_s) == ("BOX-1", "ok", 0.0)
    assert state.radio.decoded == 3


async def test_without_a_network_it_records_and_delivers_later(world: World, until: Until) -> None:
    async with world.drive() as vehicle:
        await until(lambda: vehicle.state().configuration == 1)
        world.road.cut()
        await until(lambda: not vehicle.state().link.up)
        for number in range(10):
            world.measure(4.0 + number / 10)
            await until(lambda: vehicle.state().radio.decoded == number + 1)  # noqa: B023  read at once
        await until(lambda: vehicle.state().waiting == 0)
        assert world.delivered() == []
        world.road.mend()
        await until(lambda: len(world.delivered()) == 10)


async def test_a_breach_is_flagged_while_it_happens(world: World, until: Until) -> None:
    async with world.drive() as vehicle:
        await until(lambda: vehicle.state().configuration == 1)
        world.measure(5.0)
        await until(lambda: vehicle.state().radio.decoded == 1)
        world.measure(35.0)
        await until(lambda: vehicle.state().radio.decoded == 2)
        world.measure(36.0)
        await until(lambda: world.flags)
        await until(lambda: vehicle.state().boxes[0].state == "breach")
    (flag,) = world.flags
    assert (flag.consignment, flag.item, flag.rule, flag.kind) == ("C1", "I1", "hot", "forbidden")


async def test_a_box_that_was_away_is_backfilled_from_its_memory(world: World, until: Until) -> None:
    world.tag.memory = [(1020, 6.1), (720, 6.2), (420, 6.3), (170, 6.4)]
    async with world.drive() as vehicle:
        await until(lambda: vehicle.state().configuration == 1)
        world.measure(5.0)
        await until(lambda: vehicle.state().radio.decoded == 1)
        world.measure(7.0, after_s=1200)
        await until(lambda: vehicle.state().backfill.reads == 1)
        await until(lambda: len(world.delivered(Source.MEMORY)) == 4)
        reads = [r for c in world.contents for r in c.records if isinstance(r, MemoryRead)]
        assert [(read.logger, read.complete, read.new_records) for read in reads] == [(TAG, True, 4)]
        assert vehicle.state().backfill.missing == 0


async def test_a_late_start_asks_the_memory_for_the_custody_so_far(world: World, until: Until) -> None:
    world.tag.memory = [(7000, 3.0), (1080, 6.1), (480, 6.3)]
    world.pass_time(1200)  # carried since T0
    async with world.drive() as vehicle:
        await until(lambda: vehicle.state().configuration == 1)
        world.measure(5.0)
        await until(lambda: world.delivered(Source.MEMORY) == [6.1, 6.3])


async def test_a_restart_repeats_no_measurement_and_fetches_what_it_missed(world: World, until: Until) -> None:
    world.tag.memory = [(600, 6.1), (300, 6.3)]
    async with world.drive() as vehicle:
        await until(lambda: vehicle.state().configuration == 1)
        world.measure(5.0)
        await until(lambda: world.delivered() == [5.0])
    world.pass_time(900)
    world.road.cut()  # the configuration comes from the disk
    async with world.drive() as vehicle:
        assert vehicle.state().configuration == 1
        world.tag.advertise(world.counter, 5.0)  # the measurement that is sealed already
        await until(lambda: vehicle.state().radio.decoded == 1)
        world.measure(5.5)
        await until(lambda: vehicle.state().backfill.reads == 1)
        world.road.mend()
        await until(lambda: world.delivered() == [5.0, 5.5])
        await until(lambda: world.delivered(Source.MEMORY) == [6.1, 6.3])


async def test_a_stretch_that_was_not_fetched_is_fetched_after_a_restart(
    world: World, bluez: FakeBluez, until: Until
) -> None:
    world.tag.memory = [(600, 6.1), (300, 6.3)]
    async with world.drive() as vehicle:
        await until(lambda: vehicle.state().configuration == 1)
        world.measure(5.0)
        await until(lambda: vehicle.state().radio.decoded == 1)
        bluez.fail("Connect", "org.bluez.Error.Failed", times=1000)
        world.measure(5.5, after_s=900)
        await until(lambda: vehicle.state().backfill.failures)
        await until(lambda: world.delivered() == [5.0, 5.5])
    bluez.heal()
    async with world.drive() as vehicle:
        world.measure(6.0)
        await until(lambda: world.delivered(Source.MEMORY) == [6.1, 6.3])


async def test_what_was_heard_last_is_sealed_at_the_end(world: World, until: Until) -> None:
    async with world.drive(seal_interval_s=3600, health_interval_s=86400) as vehicle:
        await until(lambda: vehicle.state().configuration == 1)
        world.measure(5.0)
        await until(lambda: vehicle.state().waiting == 1)
    async with world.drive():
        await until(lambda: world.delivered() == [5.0])


async def test_health_is_sealed_but_not_while_time_stands_still(world: World, until: Until) -> None:
    async with world.drive(seal_interval_s=1, health_interval_s=10) as vehicle:
        await until(lambda: count_health(world) == 1)
        sealed = vehicle.state().outbox.sealed
        await asyncio.sleep(0.1)
        assert vehicle.state().outbox.sealed == sealed
        world.pass_time(10)
        await until(lambda: count_health(world) == 2)
        assert vehicle.state().outbox.sealed == sealed + 1


def count_health(world: World) -> int:
    return len([record for content in world.contents for record in content.records if isinstance(record, Health)])


async def test_faults_of_a_logger_are_on_record_and_shown_and_take_no_reading_away(world: World, until: Until) -> None:
    async with world.drive() as vehicle:
        await until(lambda: vehicle.state().configuration == 1)
        world.counter = 30_000
        world.measure(5.0)
        await until(lambda: vehicle.state().radio.decoded == 1)
        world.measure(18.0, after_s=2.0)
        await until(lambda: vehicle.state().radio.decoded == 2)
        world.counter = 0  # it rebooted
        world.measure(18.1)
        await until(lambda: vehicle.state().radio.decoded == 3)
        world.pass_time(1000)
        await until(lambda: vehicle.state().boxes[0].faults == ("silent",))
        await until(lambda: len(faults_of(world)) == 3)
        await until(lambda: len(world.delivered()) == 3)
    assert [fault.code for fault in faults_of(world)] == ["jumped", "rebooted", "silent"]
    assert world.delivered() == [5.0, 18.0, 18.1]


def faults_of(world: World) -> list[DeviceFault]:
    return [r for c in world.contents for r in c.records if isinstance(r, DeviceFault)]


async def test_the_state_is_served(world: World) -> None:
    async with world.drive() as vehicle, httpx.AsyncClient() as client:
        port = vehicle._driver.port
        answer = await client.get(f"http://127.0.0.1:{port}/api/v1/state")
    assert answer.status_code == 200
    document = answer.json()
    assert document["gateway"] == VAN
    assert set(document) >= {"boxes", "link", "outbox", "radio", "backfill", "counters", "clock_trusted", "at_ms"}


async def test_it_follows_the_hub_to_a_new_key_also_with_a_configuration_of_the_old_one(
    world: World, until: Until
) -> None:
    change = hand_over(HUB, HUB_KEY.public_bytes, Successor((following := make_key()).public_bytes), 1, HUB_KEY.sign)
    new = following.with_changes([change])
    async with world.drive() as vehicle:
        await until(lambda: vehicle.state().configuration == 1)
        world.measure(5.0)
        await until(lambda: vehicle.state().outbox.segments == 0 and world.delivered() == [5.0])
        await world.hub.acknowledge(key=new)
        await until(lambda: load_enrolment(world.folder) is not None)
        await world.hub.configure(configuration(version=2).model_dump_json().encode())  # by the old key: a thief
        await until(lambda: vehicle.counters().get("rejected_configurations") == 1)
    learnt = load_enrolment(world.folder)
    assert learnt is not None
    assert learnt.hub_key == new.public_bytes
    world.road.cut()
    world.enrolment = learnt
    async with world.drive() as vehicle:
        assert vehicle.state().configuration == 1, "what the old key signed is on the card, and stays in force"
