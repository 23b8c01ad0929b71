"""Each way in which a logger misbehaves, through the whole vehicle; once it is over, the hub holds all there was."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from firmware_sim.bluez import FakeBluez
from firmware_sim.misbehaviour import BadLog
from firmware_sim.peripheral import Broadcast
from firmware_sim.reference.firmware import ReferenceLogger
from gateway.core.configuration import Configuration, Logger
from gateway.core.observations import Observation, Source
from gateway.core.records import DeviceFault, MemoryRead
from gateway.demo.link import Link
from gateway.hub.processes.broker import EmbeddedBroker
from gateway.keys import SigningKey
from gateway.vehicle import backlog
from gateway.vehicle.vehicle import Vehicle
from tests.vehicle.carried import configuration
from tests.vehicle.fakes import FakeHub
from tests.vehicle.makers import Simulated
from tests.vehicle.samples import T0, TAG
from tests.vehicle.tags import Tag
from tests.vehicle.test_vehicle import World

Until = Callable[[Callable[[], object]], Awaitable[None]]
INTERVAL_S = 60
RESOLUTION_MC = 101  # the coarsest has tenths
AWAY = [4.0 + number / 10 for number in range(40)]
each_kind = pytest.mark.parametrize("kind", ["ruuvitag", "reference", "bluemaestro"])


@dataclass
class Journey:
    """One logger in a box in a van, and what it really measured: (UTC in ms, °C)."""

    world: World
    logger: Simulated
    vehicle: Vehicle
    until: Until
    measured: list[tuple[int, float]] = field(default_factory=list)

    async def hear(self, *temperatures_c: float) -> None:
        """Let it measure within earshot, and the vehicle seal what it heard."""
        for temperature_c in temperatures_c:
            decoded = self.vehicle.state().radio.decoded
            self._measure(temperature_c, aloud=True)
            await self.until(lambda: self.vehicle.state().radio.decoded > decoded)  # noqa: B023  at once
        await self.until(lambda: self.vehicle.state().waiting == 0)

    def carry_away(self, *temperatures_c: float) -> None:
        """Let it measure where nobody hears it."""
        for temperature_c in temperatures_c:
            self._measure(temperature_c, aloud=False)

    def _measure(self, temperature_c: float, *, aloud: bool) -> None:
        due_ms = self.logger.firmware.due_at_ms
        self.world.clock.passed_ms = due_ms - T0
        self.measured.append((due_ms, temperature_c))
        self.logger.measure(temperature_c, aloud=aloud)

    async def be_complete(self, measured: Sequence[tuple[int, float]] | None = None) -> None:
        """Wait until the hub holds these measurements, by default all of them, and nothing that never was."""
        wanted = self.measured if measured is None else measured
        await self.until(lambda: all(any(_tells(one, truth) for one in self.observations) for truth in wanted))
        await self.until(lambda: self.vehicle.state().backfill.missing == 0)
        assert all(any(_tells(one, truth) for truth in self.measured) for one in self.observations)

    @property
    def observations(self) -> list[Observation]:
        return [one for content in self.world.contents for one in content.observations]

    @property
    def faults(self) -> list[DeviceFault]:
        return [one for content in self.world.contents for one in content.records if isinstance(one, DeviceFault)]

    @property
    def reads(self) -> list[MemoryRead]:
        return [one for content in self.world.contents for one in content.records if isinstance(one, MemoryRead)]


def _tells(observation: Observation, truth: tuple[int, float]) -> bool:
    at_ms, temperature_c = truth
    is_then = abs(observation.measured_at_ms - at_ms) <= (observation.time_error_ms or 0) + 1
    return is_then and abs(observation.temperature_mc - temperature_c * 1000) <= RESOLUTION_MC


class Road:
    """Everything around a vehicle, ready for one journey."""

    def __init__(self, world: World, bluez: FakeBluez, hub: FakeHub) -> None:
        self._world, self._bluez, self._hub = world, bluez, hub

    @asynccontextmanager
    async def travel(self, kind: str, **settings: float) -> AsyncIterator[Journey]:
        options = {"heartbeat_s": float(INTERVAL_S), "log_interval_s": float(INTERVAL_S), **settings}
        logger = Simulated(self._bluez, TAG, kind, **options)
        await self._hub.configure(_configuration(kind).model_dump_json().encode())
        async with self._drive() as vehicle:
            yield Journey(self._world, logger, vehicle, self._world.until)
        await logger.served.stop()

    @asynccontextmanager
    async def travel_on(self, journey: Journey) -> AsyncIterator[None]:
        """Start the vehicle again."""
        async with self._drive() as journey.vehicle:
            yield

    @asynccontextmanager
    async def _drive(self) -> AsyncIterator[Vehicle]:
        async with self._world.drive() as vehicle:
            await self._world.until(lambda: vehicle.state().configuration == 1)
            yield vehicle


def _configuration(kind: str) -> Configuration:
    logger = {"address": TAG, "box": "BOX-1", "kind": kind, "memory_interval_s": INTERVAL_S}
    return configuration().model_copy(update={"loggers": (Logger.model_validate(logger),)})


@pytest.fixture
async def road(
    tmp_path: Path, key: SigningKey, bluez: FakeBluez, until: Until, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Road]:
    monkeypatch.setattr(backlog, "FIRST_PAUSE_S", 0.01)
    async with (
        EmbeddedBroker(tmp_path / "broker") as broker,
        FakeHub(broker.url, key).running() as hub,
        Link("127.0.0.1", broker.port) as link,
    ):
        unused = Tag(bluez, "C0:FF:EE:00:00:99")
        yield Road(World(tmp_path / "van", key, broker, hub, link, unused, until), bluez, hub)


FRAMES = {"ruuvitag": 50, "reference": 1, "bluemaestro": 2}
"""One in the midst of the first value: the third kind has its header first, and it alone shows that it was spoilt."""


@pytest.mark.parametrize("what", ["truncates_after", "disconnects_after", "loses_frame", "corrupts_frame"])
@each_kind
async def test_spoilt_downloads_are_repeated_until_the_record_is_complete(
    road: Road, monkeypatch: pytest.MonkeyPatch, kind: str, what: str
) -> None:
    monkeypatch.setattr("gateway.vehicle.download.IDLE_TIMEOUT_S", 0.2)
    has_no_check_sum = kind == "bluemaestro" and what == "corrupts_frame"
    bad = BadLog(**{what: 0 if has_no_check_sum else FRAMES[kind]})
    async with road.travel(kind) as journey:
        await journey.hear(5.0, 5.1)
        journey.carry_away(*AWAY)
        journey.logger.misbehaviour.bad_log, journey.logger.misbehaviour.bad_downloads = bad, 2
        await journey.hear(8.1)
        await journey.be_complete()
        assert journey.logger.misbehaviour.bad_downloads < 2
        assert journey.reads[-1].complete


@each_kind
async def test_an_advertisement_that_freezes_is_no_reading_and_what_it_hid_is_fetched(road: Road, kind: str) -> None:
    async with road.travel(kind) as journey:
        await journey.hear(5.0)
        old = journey.logger.firmware.broadcasts
        for temperature_c in AWAY[:10]:
            journey.carry_away(temperature_c)
            journey.logger.advertise(*old, rssi=-90 if len(journey.measured) % 2 else -50)
        await journey.until(lambda: journey.vehicle.state().radio.heard >= 10)
        assert journey.vehicle.state().radio.decoded == 1
        await journey.hear(8.1)
        await journey.be_complete()


@each_kind
async def test_what_a_full_memory_has_overwritten_is_not_asked_for_again_and_again(road: Road, kind: str) -> None:
    async with road.travel(kind, log_records=20) as journey:
        await journey.hear(5.0)
        journey.carry_away(*AWAY)
        await journey.hear(8.1)
        await journey.be_complete(journey.measured[-20:])
        assert [read.complete for read in journey.reads] == [True]


async def test_another_makers_data_under_the_same_identifier_disturbs_nothing(road: Road) -> None:
    async with road.travel("ruuvitag") as journey:
        await journey.hear(5.0)
        journey.logger.advertise(Broadcast({0x0499: b"\x99nothing of ours"}))
        await journey.until(lambda: journey.vehicle.state().radio.malformed == 1)
        await journey.hear(5.1, 5.2)
        await journey.be_complete()
        assert len(journey.observations) == 3


@pytest.mark.parametrize("kind", ["ruuvitag", "reference"])
async def test_an_old_packet_played_back_is_told_and_is_no_reading(road: Road, kind: str) -> None:
    async with road.travel(kind, first_number=30_000) as journey:
        await journey.hear(5.0)
        old = journey.logger.firmware.broadcasts
        await journey.hear(*AWAY[:3])
        journey.logger.firmware._taken += 2000  # so far on that the old number is no late packet
        await journey.hear(6.0)
        journey.logger.advertise(*old, rssi=-40)
        await journey.until(lambda: journey.faults)
        await journey.hear(6.1)
        await journey.be_complete()
        assert [fault.code for fault in journey.faults] == ["replayed"]


async def test_a_reference_loggers_reboot_is_told_and_both_boots_are_fetched_and_dated(road: Road) -> None:
    async with road.travel("reference") as journey:
        await journey.hear(5.0, 5.1)
        journey.carry_away(*AWAY[:10])
        journey.logger.firmware.reboot(journey.logger.firmware.due_at_ms + 20_000)
        journey.carry_away(*AWAY[10:20])
        await journey.hear(8.1)
        await journey.be_complete()
        assert [fault.code for fault in journey.faults] == ["rebooted"]


async def test_a_restarted_vehicle_still_knows_what_dates_the_boot_before(road: Road) -> None:
    async with road.travel("reference") as journey:
        await journey.hear(5.0, 5.1)
        journey.carry_away(*AWAY[:10])
        journey.logger.firmware.reboot(journey.logger.firmware.due_at_ms + 20_000)
        journey.carry_away(*AWAY[10:20])
    async with road.travel_on(journey):
        await journey.hear(8.1)
        await journey.be_complete()


async def test_a_ruuvitags_reboot_is_told_and_what_it_still_knows_is_fetched(road: Road) -> None:
    async with road.travel("ruuvitag", first_number=30_000) as journey:
        await journey.hear(5.0, 5.1)
        journey.carry_away(*AWAY[:10])
        journey.logger.firmware.reboot(journey.logger.firmware.due_at_ms + 20_000)
        journey.carry_away(*AWAY[10:20])
        await journey.hear(8.1, 8.2)
        await journey.be_complete([*journey.measured[:2], *journey.measured[12:]])
        assert [fault.code for fault in journey.faults] == ["rebooted"]
        assert all(read.complete for read in journey.reads)


async def test_a_clock_that_is_set_wrong_is_told_and_no_record_is_moved_by_it(road: Road) -> None:
    async with road.travel("reference") as journey:
        await journey.hear(5.0)
        firmware = journey.logger.firmware
        assert isinstance(firmware, ReferenceLogger)
        firmware.set_clock(round(journey.logger.now_ms) + 7_200_000, journey.logger.now_ms)
        await journey.hear(5.1)
        journey.carry_away(*AWAY[:10])
        await journey.hear(8.1)
        await journey.be_complete()
        await journey.until(lambda: journey.faults)
        (fault,) = journey.faults
        assert fault.code == "clock_shifted"
        assert abs(fault.detail["shift_ms"] + 7_200_000) < 3000
        assert {one.source for one in journey.observations} == {Source.LIVE, Source.MEMORY}
