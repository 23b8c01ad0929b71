from __future__ import annotations

import asyncio
import gc
import logging
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager

import pytest

from firmware_sim.bluez import FakeBluez, Settings
from gateway.core.configuration import Logger
from gateway.vehicle import download
from gateway.vehicle.loggers.measurement import Measurement
from gateway.vehicle.loggers.memory import MemoryRequest
from gateway.vehicle.radio import Radio, RadioError
from gateway.vehicle.settings import RadioSettings
from tests.vehicle.samples import T0, TAG
from tests.vehicle.tags import Tag, payload

Until = Callable[[Callable[[], object]], Awaitable[None]]


class SlowClock:
    """Stands still but for steps that the test foresees, one for each look at the monotonic clock."""

    rate = 1.0

    def __init__(self, *steps_ms: int) -> None:
        self._steps_ms = list(steps_ms)
        self._passed_ms = 0

    def now_ms(self) -> int:
        return T0 + self._passed_ms

    def monotonic_ms(self) -> int:
        before = self._passed_ms
        self._passed_ms += self._steps_ms.pop(0) if self._steps_ms else 0
        return before

    def trusted(self) -> bool:
        return True

    async def sleep(self, seconds: float) -> None:
        raise NotImplementedError


@asynccontextmanager
async def scanning(*loggers: Logger, **settings: object) -> AsyncIterator[tuple[Radio, list[tuple[str, Measurement]]]]:
    heard: list[tuple[str, Measurement]] = []
    radio = Radio(
        RadioSettings.model_validate(settings),
        lambda address, measurement: heard.append((address, measurement)),
        rng=random.Random(1),  # noqa: S311  jitter, no secret
    )
    radio.enrol(loggers or [Logger(address=TAG, box="BOX-1")])
    task = asyncio.create_task(radio.scan())
    try:
        yield radio, heard
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


@pytest.mark.parametrize("mode", ["active", "passive", "auto"])
async def test_an_enrolled_logger_is_heard(bluez: FakeBluez, until: Until, mode: str) -> None:
    async with scanning(scanning=mode) as (radio, heard):
        await until(lambda: radio.health.scanning)
        tag = Tag(bluez, TAG)
        # A monitor for passive scanning may take hold after the scan has begun; tags repeat themselves, too.
        await until(lambda: tag.advertise(7, -5.0) or heard)
        assert radio.present() == [TAG]
    address, measurement = heard[0]
    assert (address, measurement.counter, measurement.temperature_mc) == (TAG, 7, -5000)


async def test_foreign_repeated_and_malformed_ones_are_counted(bluez: FakeBluez, until: Until) -> None:
    async with scanning(scanning="active") as (radio, heard):
        await until(lambda: radio.health.scanning)
        other_maker = bluez.add_device("C0:FF:EE:00:00:02")
        other_maker.advertise(manufacturer_data={0x004C: b"abc"})
        Tag(bluez, "C0:FF:EE:00:00:03").advertise(1)
        tag = Tag(bluez, TAG)
        tag.device.advertise(manufacturer_data={0x0499: b"\x05short"}, rssi=-60)
        tag.advertise(1)
        tag.device.advertise(manufacturer_data={0x0499: payload(1)}, rssi=-80)
        tag.advertise(2)
        await until(lambda: len(heard) == 2)
    health = radio.health
    assert (health.foreign, health.repeated, health.decoded) == (2, 1, 2)
    assert health.malformed == {"ruuvi_length": 1}
    assert health.quarantine[0].payload == b"\x05short"


async def test_other_manufacturers_data_beside_it_does_not_hide_it(bluez: FakeBluez, until: Until) -> None:
    async with scanning(scanning="active") as (radio, heard):
        await until(lambda: radio.health.scanning)
        bluez.add_device(TAG).advertise(manufacturer_data={0x004C: b"abc", 0x0499: payload(3)})
        await until(lambda: heard)


class TestWithoutExperimentalFeatures:
    @pytest.fixture
    def bluez_settings(self) -> Settings:
        return Settings(experimental=False)

    async def test_auto_listens_actively(self, bluez: FakeBluez, until: Until) -> None:
        async with scanning(scanning="auto") as (radio, _):
            await until(lambda: radio.health.scanning)
            assert radio.health.mode == "active"


async def test_a_scan_that_fails_is_tried_again(bluez: FakeBluez, until: Until) -> None:
    bluez.fail("StartDiscovery", "org.bluez.Error.InProgress", times=2)
    async with scanning(scanning="active") as (radio, heard):
        await until(lambda: radio.health.scanning)
        assert radio.health.restarts == 2
        Tag(bluez, TAG).advertise(1)
        await until(lambda: heard)


async def test_a_scan_that_hears_nothing_is_started_anew(bluez: FakeBluez, until: Until) -> None:
    async with scanning(scanning="active", silence_s=1) as (radio, heard):
        await until(lambda: radio.health.scanning)
        bluez.scan_is_silent = True
        await until(lambda: radio.health.restarts)
        bluez.scan_is_silent = False
        await until(lambda: radio.health.scanning)
        Tag(bluez, TAG).advertise(1)
        await until(lambda: heard)


@pytest.fixture
def _forgotten_future(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """Let a future that dbus-fast forgets when a bus dies be logged here.

    Logged later, by a collection while another module is being parsed, it breaks the parser, since writing its
    traceback parses too (CPython issue 106905). A captured warning of bleak's would keep it alive until then.
    """
    caplog.set_level(logging.ERROR, logger="bleak")
    yield
    gc.collect()


@pytest.mark.usefixtures("_forgotten_future")
async def test_the_death_of_the_bus_is_survived(bluez: FakeBluez, until: Until) -> None:
    async with scanning(scanning="active", silence_s=1) as (radio, heard):
        await until(lambda: radio.health.scanning)
        await bluez.stop()
        await until(lambda: not radio.health.scanning)
        await bluez.start()
        await until(lambda: radio.health.scanning)
        Tag(bluez, TAG).advertise(1)
        await until(lambda: heard)


async def test_a_daemon_that_crashes_behind_its_bus_is_noticed(bluez: FakeBluez, until: Until) -> None:
    async with scanning(scanning="active", silence_s=1) as (radio, heard):
        await until(lambda: radio.health.scanning)
        bluez.crash_daemon()
        await until(lambda: not radio.health.scanning)
        bluez.restart_daemon()
        await until(lambda: radio.health.scanning)
        tag = Tag(bluez, TAG)
        await until(lambda: tag.advertise(1) or heard)


async def test_an_adapter_switched_off_and_on_is_used_again(bluez: FakeBluez, until: Until) -> None:
    async with scanning(scanning="active", silence_s=1) as (radio, heard):
        await until(lambda: radio.health.scanning)
        bluez.power_off()
        await until(lambda: not radio.health.scanning)
        bluez.power_on()
        await until(lambda: radio.health.scanning)
        tag = Tag(bluez, TAG)
        await until(lambda: tag.advertise(1) or heard)


def ask(from_ms: int) -> MemoryRequest:
    return MemoryRequest(TAG, from_ms, T0, 300)


@asynccontextmanager
async def one_tag(bluez: FakeBluez, until: Until) -> AsyncIterator[tuple[Radio, Tag]]:
    async with scanning(scanning="active") as (radio, heard):
        await until(lambda: radio.health.scanning)
        tag = Tag(bluez, TAG, memory=[(900, 4.5), (600, 5.5), (300, -6.5)])
        tag.advertise(1)
        await until(lambda: heard)
        yield radio, tag


async def test_a_memory_is_read(bluez: FakeBluez, until: Until) -> None:
    async with one_tag(bluez, until) as (radio, tag):
        answer = await radio.read_memory(ask(T0 - 700_000), SlowClock(0, 200))
        assert not tag.device.is_connected
    assert answer.complete
    assert tag.requests == [(T0 // 1000, T0 // 1000 - 700)]
    assert [(r.at_ms - T0, r.temperature_mc, r.humidity_cpct) for r in answer.told.records] == [
        (-600_000, 5500, 5000),
        (-300_000, -6500, 5000),
    ]
    assert answer.asked.at_ms == T0


async def test_a_request_that_took_too_long_is_repeated(bluez: FakeBluez, until: Until) -> None:
    async with one_tag(bluez, until) as (radio, tag):
        slow_ms = 160_000  # half of it is more than a quarter of five minutes
        answer = await radio.read_memory(ask(0), SlowClock(slow_ms, 0, 1000, 0))
    assert len(tag.requests) == 2
    assert [record.error_ms for record in answer.told.records] == [1590, 1560, 1530]  # and 100 ppm of its age
    assert len(answer.told.records) == 3


async def test_after_a_few_slow_requests_the_error_is_stated(bluez: FakeBluez, until: Until) -> None:
    async with one_tag(bluez, until) as (radio, tag):
        answer = await radio.read_memory(ask(0), SlowClock(200_000, 0, 200_000, 0, 200_000, 0))
    assert len(tag.requests) == download.REQUESTS
    assert [record.error_ms for record in answer.told.records] == [101_090, 101_060, 101_030]


async def test_a_download_that_stalls_is_not_complete(
    bluez: FakeBluez, until: Until, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(download, "IDLE_TIMEOUT_S", 0.5)
    async with one_tag(bluez, until) as (radio, tag):
        tag.frames_before_silence = 3
        answer = await radio.read_memory(ask(0), SlowClock())
    assert not answer.complete
    assert len(answer.told.records) == 1


async def test_a_link_lost_in_mid_download_is_not_complete(bluez: FakeBluez, until: Until) -> None:
    async with one_tag(bluez, until) as (radio, tag):
        tag.device.drop_link_after(notifications=5)
        answer = await radio.read_memory(ask(0), SlowClock())
        assert not answer.complete
        again = await radio.read_memory(ask(0), SlowClock())
        assert again.complete


async def test_a_logger_that_was_never_heard_cannot_be_asked(bluez: FakeBluez) -> None:
    radio = Radio(RadioSettings(), lambda *_: None)
    with pytest.raises(RadioError, match="not been heard"):
        await radio.read_memory(ask(0), SlowClock())


async def test_a_failed_connection_names_its_reason(bluez: FakeBluez, until: Until) -> None:
    async with one_tag(bluez, until) as (radio, _):
        bluez.fail("Connect", "org.bluez.Error.Failed", times=1)
        with pytest.raises(RadioError, match=TAG):
            await radio.read_memory(ask(0), SlowClock())


async def test_an_adapter_that_cannot_do_both_gets_the_scan_paused(bluez: FakeBluez, until: Until) -> None:
    async with one_tag(bluez, until) as (radio, _):
        bluez.fail("Connect", "org.bluez.Error.InProgress", times=1)
        with pytest.raises(RadioError, match="InProgress"):
            await radio.read_memory(ask(0), SlowClock())
        answer = await radio.read_memory(ask(0), SlowClock())
        assert answer.complete
        members = [call.member for call in bluez.calls]
        assert members.index("StopDiscovery") < len(members) - 1 - members[::-1].index("Connect")
        await until(lambda: radio.health.scanning)
