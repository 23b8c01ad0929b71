"""Each way in which Bluetooth fails in the field, as a misbehaving peer on the fake BlueZ: it is noticed, recovered
from step by step, put on record, and the loggers are heard again.

The same on a real BlueZ: tests/bluez. Where the record is complete afterwards: test_complete_after.py.
"""

from __future__ import annotations

import asyncio
import dataclasses
import os
import random
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path

import pytest
from bleak.args.bluez import OrPattern
from bleak.assigned_numbers import AdvertisementDataType
from dbus_fast import BusType, Message
from dbus_fast.aio import MessageBus

from firmware_sim.bluez import FakeBluez, Settings
from gateway.core.configuration import Logger, LoggerKind
from gateway.vehicle import adapters, bluez_control, download, recovery
from gateway.vehicle import radio as module
from gateway.vehicle.adapters import AdapterScan
from gateway.vehicle.hearing import AdapterHealth, Hearing, RadioHealth
from gateway.vehicle.loggers.families import FAMILIES, Family
from gateway.vehicle.loggers.measurement import Measurement, Packet
from gateway.vehicle.loggers.memory import MemoryRequest
from gateway.vehicle.radio import Radio, RadioError
from gateway.vehicle.recovery import Step
from gateway.vehicle.settings import RadioSettings
from tests.vehicle.fakes import HandClock
from tests.vehicle.samples import T0, TAG
from tests.vehicle.tags import Tag, payload

Until = Callable[[Callable[[], object]], Awaitable[None]]
OTHER = "C0:FF:EE:00:00:02"
MEMORY = [(900, 4.5), (600, 5.5), (300, -6.5)]


@pytest.fixture(autouse=True)
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """What takes minutes in a van takes tenths of a second here."""
    monkeypatch.setattr(module, "LOOK_S", 0.05)
    monkeypatch.setattr(module, "MISSING_S", 0.0)
    monkeypatch.setattr(module, "LOST_S", 0.1)
    monkeypatch.setattr(module, "SERVICE_APART_S", 0.0)
    monkeypatch.setattr(recovery, "RESET_AFTER_S", 0.05)
    monkeypatch.setattr(recovery, "SERVICE_AFTER_S", 0.1)
    monkeypatch.setattr(recovery, "RESET_APART_S", 0.05)
    monkeypatch.setattr(recovery, "SERVICE_APART_S", 0.05)
    monkeypatch.setattr(adapters, "RESTART_MAX_S", 0.02)
    monkeypatch.setattr(adapters, "PROBE_S", 0.1)


class Listener:
    """A radio, what it heard and what it put on record."""

    def __init__(self, settings: RadioSettings, loggers: list[Logger]) -> None:
        self.heard: list[tuple[str, Measurement]] = []
        self.faults: list[tuple[str, dict[str, int]]] = []
        self.radio = Radio(settings, self._hear, self._note, rng=random.Random(1))  # noqa: S311  jitter, no secret
        self.radio.enrol(loggers)

    def _hear(self, address: str, measurement: Measurement) -> None:
        self.heard.append((address, measurement))

    def _note(self, code: str, detail: Mapping[str, int]) -> None:
        self.faults.append((code, dict(detail)))

    @property
    def codes(self) -> list[str]:
        return [code for code, _ in self.faults]


@asynccontextmanager
async def listening(
    *addresses: str, scanning: str = "active", silence_s: float = 0.1, **settings: object
) -> AsyncIterator[Listener]:
    checked = RadioSettings.model_validate({"scanning": scanning, **settings})
    loggers = [Logger(address=address, box="BOX-1") for address in addresses or (TAG,)]
    listener = Listener(checked.model_copy(update={"silence_s": silence_s}), loggers)
    task = asyncio.create_task(listener.radio.scan())
    try:
        yield listener
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


class Voice:
    """Lets a tag advertise new measurements for as long as somebody waits."""

    def __init__(self, tag: Tag) -> None:
        self.tag = tag
        self.counter = 0

    def speak(self) -> None:
        self.counter += 1
        self.tag.advertise(self.counter)

    async def heard_by(self, listener: Listener, until: Until) -> None:
        before = len(listener.heard)
        await until(lambda: self.speak() or len(listener.heard) > before)


class Pulse:
    """How long this process stood still at most between two beats."""

    def __init__(self) -> None:
        self.longest_s = 0.0
        self._last_s = float("inf")

    def beat(self) -> None:
        now_s = time.monotonic()
        self.longest_s = max(self.longest_s, now_s - self._last_s)
        self._last_s = now_s


# --- a scan that falls silent


@pytest.mark.parametrize(
    ("cure", "steps"),
    [
        ("scan", [Step.SCAN]),
        ("power", [Step.SCAN, Step.RESET]),
        ("service", [Step.SCAN, Step.RESET, Step.SERVICE]),
    ],
)
async def test_a_mute_adapter_is_set_right_step_by_step(
    bluez: FakeBluez, until: Until, monkeypatch: pytest.MonkeyPatch, cure: str, steps: list[Step]
) -> None:
    if Step.RESET not in steps:  # a machine that pauses makes a silence longer than it was
        monkeypatch.setattr(recovery, "RESET_AFTER_S", 3600.0)
    if Step.SERVICE not in steps:
        monkeypatch.setattr(recovery, "SERVICE_AFTER_S", 3600.0)
    bluez.systemd = "permits"
    async with listening() as listener:
        voice = Voice(Tag(bluez, TAG))
        await until(lambda: listener.radio.health.scanning)
        await voice.heard_by(listener, until)
        bluez.fall_silent(until=cure)
        await until(lambda: listener.radio.health.restarts)
        await voice.heard_by(listener, until)
        health = listener.radio.health
        assert list(dict.fromkeys(listener.codes))[: len(steps)] == steps
        assert (health.resets > 0, health.service_restarts > 0) == (Step.RESET in steps, Step.SERVICE in steps)
        for code, detail in listener.faults:
            assert detail.get("done", 1) == 1, code


async def test_where_nothing_helps_it_says_so_and_goes_on_trying(bluez: FakeBluez, until: Until) -> None:
    bluez.systemd = "refuses"
    async with listening() as listener:
        voice = Voice(Tag(bluez, TAG))
        await until(lambda: listener.radio.health.scanning)
        bluez.scan_is_silent = True
        await until(lambda: "radio_down" in listener.codes)
        assert listener.radio.health.adapters["hci0"].is_down
        assert (Step.SERVICE, {"done": 0}) in listener.faults
        bluez.scan_is_silent = False
        await until(lambda: voice.speak() or "radio_down_over" in listener.codes)
        assert listener.heard
    assert listener.codes.count("radio_down") == 1


async def test_foreign_devices_are_signs_of_life(bluez: FakeBluez, until: Until) -> None:
    stranger = bluez.add_device("C0:FF:EE:00:00:99")
    pulse = Pulse()
    async with listening(silence_s=2.0) as listener:
        await until(lambda: listener.radio.health.scanning)
        for count in range(120):
            pulse.beat()
            stranger.advertise(manufacturer_data={0x004C: bytes([count])})
            await asyncio.sleep(0.02)
        if pulse.longest_s < 1.0:  # a machine that paused for longer has not spoken either
            await until(lambda: listener.radio.health.foreign == 120)
            assert listener.radio.health.restarts == 0


async def test_the_service_is_restarted_by_a_command(bluez: FakeBluez, until: Until, tmp_path: Path) -> None:
    done = tmp_path / "done"
    async with listening(restart_bluetooth=["/bin/sh", "-c", f"touch {done}"]) as listener:
        await until(lambda: listener.radio.health.scanning)
        bluez.scan_is_silent = True
        await until(done.exists)
        await until(lambda: (Step.SERVICE, {"done": 1}) in listener.faults)


@pytest.mark.parametrize("command", [["/nonexistent"], ["/bin/false"]])
async def test_a_command_that_fails_is_no_success(bluez: FakeBluez, until: Until, command: list[str]) -> None:
    async with listening(restart_bluetooth=command) as listener:
        await until(lambda: listener.radio.health.scanning)
        bluez.scan_is_silent = True
        await until(lambda: (Step.SERVICE, {"done": 0}) in listener.faults)


# --- passive scanning: a silence may mean that nobody is there


async def test_a_passive_scan_without_loggers_around_is_no_fault(bluez: FakeBluez, until: Until) -> None:
    stranger = bluez.add_device("C0:FF:EE:00:00:99")
    count, pulse = iter(range(1_000_000)), Pulse()
    async with listening(scanning="auto") as listener:
        health = listener.radio.health
        data = lambda: next(count).to_bytes(4, "big")  # noqa: E731  new each time
        await until(
            lambda: (
                pulse.beat()
                or stranger.advertise(manufacturer_data={0x004C: data()})
                or (health.adapters.get("hci0") and health.adapters["hci0"].probes >= 3)
            )
        )
        if pulse.longest_s < adapters.PROBE_S / 2:  # a probe during which the machine paused hears nobody
            assert listener.codes == []
            assert health.restarts == 0


async def test_monitors_that_let_nothing_through_are_given_up(
    bluez: FakeBluez, until: Until, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(adapters, "_ANYBODY", [])
    monkeypatch.setattr(Family, "patterns", lambda _self: [(0xFF, b"\xff\xff")])
    async with listening(scanning="auto") as listener:
        voice = Voice(Tag(bluez, TAG))
        health = listener.radio.health
        await until(lambda: voice.speak() or health.restarts >= adapters.DEAF_PROBES)
        await until(lambda: health.mode == "active" and health.scanning)
        await voice.heard_by(listener, until)


@pytest.mark.parametrize("kind", [LoggerKind.RUUVITAG, LoggerKind.REFERENCE, LoggerKind.THERMOBEACON])
async def test_monitors_are_few_enough_and_ask_for_what_bluez_can_compare(bluez: FakeBluez, kind: LoggerKind) -> None:
    def patterns(*loggers: Logger) -> list[OrPattern]:
        hearing = Hearing(RadioHealth(), lambda *_: None)
        hearing.enrol(loggers)
        control = bluez_control.BluezControl("never")
        scan = AdapterScan(
            "hci0",
            RadioSettings(),
            control,
            hearing,
            AdapterHealth(),
            lambda *_: None,
            lambda: None,
            random.Random(1),  # noqa: S311  jitter
        )
        return scan._patterns()

    assert len(patterns()) <= adapters.PATTERNS_MAX
    own = patterns(Logger(address=TAG, kind=kind, box="BOX-1"))
    assert any(
        pattern.ad_data_type is AdvertisementDataType.FLAGS and pattern.content_of_pattern == b"\x06" for pattern in own
    )
    assert any(pattern.ad_data_type is not AdvertisementDataType.FLAGS for pattern in own)


async def test_a_passive_scan_that_is_mute_is_set_right(bluez: FakeBluez, until: Until) -> None:
    async with listening(scanning="passive") as listener:
        voice = Voice(Tag(bluez, TAG))
        await until(lambda: listener.radio.health.scanning)
        bluez.fall_silent(until="power")
        await voice.heard_by(listener, until)
        assert Step.RESET in listener.codes
        assert listener.radio.health.mode == "passive"


class TestWithoutExperimentalFeatures:
    @pytest.fixture
    def bluez_settings(self) -> Settings:
        return Settings(experimental=False)

    async def test_a_daemon_restarted_with_them_is_listened_to_passively(
        self, bluez: FakeBluez, until: Until, caplog: pytest.LogCaptureFixture
    ) -> None:
        caplog.set_level("INFO")
        async with listening(scanning="auto") as listener:
            await until(lambda: listener.radio.health.mode == "active")
        assert "scans actively: BlueZ has no advertisement monitors" in caplog.text


# --- a daemon that refuses, hangs, dies


@pytest.mark.parametrize("member", ["StartDiscovery", "SetDiscoveryFilter"])
async def test_a_call_that_hangs(bluez: FakeBluez, until: Until, monkeypatch: pytest.MonkeyPatch, member: str) -> None:
    monkeypatch.setattr(adapters, "START_TIMEOUT_S", 0.1)
    bluez.hang(member, times=2)
    async with listening() as listener:
        await until(lambda: listener.radio.health.restarts >= 2)
        await Voice(Tag(bluez, TAG)).heard_by(listener, until)


@pytest.mark.parametrize("error", ["InProgress", "NotReady", "Failed"])
async def test_a_scan_that_is_refused_until_the_adapter_is_reset(bluez: FakeBluez, until: Until, error: str) -> None:
    bluez.fail("StartDiscovery", f"org.bluez.Error.{error}", times=None)
    async with listening() as listener:
        await until(lambda: Step.RESET in listener.codes)
        bluez.heal()
        await Voice(Tag(bluez, TAG)).heard_by(listener, until)


async def test_stopping_is_refused(bluez: FakeBluez, until: Until) -> None:
    async with listening() as listener:
        voice = Voice(Tag(bluez, TAG))
        await until(lambda: listener.radio.health.scanning)
        bluez.fail("StopDiscovery", "org.bluez.Error.InProgress", times=3)
        bluez.fall_silent(until="scan")
        await voice.heard_by(listener, until)


async def test_an_adapter_that_is_off_is_switched_on(bluez: FakeBluez, until: Until) -> None:
    async with listening() as listener:
        voice = Voice(Tag(bluez, TAG))
        await until(lambda: listener.radio.health.scanning)
        bluez.power_off()
        await voice.heard_by(listener, until)
        assert listener.radio.health.resets


async def test_a_daemon_that_does_not_answer_at_all_is_restarted(
    bluez: FakeBluez, until: Until, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bluez_control, "TIMEOUT_S", 0.2)
    bluez.systemd = "permits"
    async with listening() as listener:
        await until(lambda: listener.radio.health.scanning)
        for member in ("Introspect", "StartDiscovery", "StopDiscovery"):
            bluez.hang(member, times=None)
        await until(lambda: (Step.SERVICE, {"done": 1}) in listener.faults)
        await Voice(Tag(bluez, TAG)).heard_by(listener, until)


async def test_a_daemon_killed_behind_its_bus_and_back_between_two_looks(bluez: FakeBluez, until: Until) -> None:
    async with listening(silence_s=60) as listener:
        await until(lambda: listener.radio.health.scanning)
        bluez.crash_daemon()
        bluez.restart_daemon()
        await until(lambda: bluez.is_scanning)
        await Voice(Tag(bluez, TAG)).heard_by(listener, until)


# --- adapters


async def test_an_adapter_unplugged_and_back(bluez: FakeBluez, until: Until) -> None:
    async with listening() as listener:
        voice = Voice(Tag(bluez, TAG))
        await until(lambda: listener.radio.health.scanning)
        await voice.heard_by(listener, until)
        bluez.unplug()
        await until(lambda: "adapter_missing" in listener.codes)
        assert not listener.radio.health.scanning
        assert listener.radio.present() == []
        bluez.plug("hci0")
        await voice.heard_by(listener, until)
        await until(lambda: "adapter_missing_over" in listener.codes)


@asynccontextmanager
async def two_adapters(bluez: FakeBluez, until: Until, **settings: object) -> AsyncIterator[tuple[Listener, Tag, Tag]]:
    bluez.plug("hci1")
    async with listening(silence_s=60, **settings) as listener:
        await until(lambda: len(listener.radio.health.adapters) == 2)
        await until(lambda: all(one.scanning for one in listener.radio.health.adapters.values()))
        yield listener, Tag(bluez, TAG, MEMORY), Tag(bluez, TAG, MEMORY, adapter="hci1")


async def test_what_two_adapters_hear_is_one_reading(bluez: FakeBluez, until: Until) -> None:
    async with two_adapters(bluez, until) as (listener, near, far):
        for number in range(1, 20):
            near.advertise(number)
            far.advertise(number)
        await until(lambda: listener.radio.health.heard == 38)
        assert [measurement.counter for _, measurement in listener.heard] == list(range(1, 20))


async def test_the_slower_adapter_tells_of_a_packet_when_the_faster_one_told_of_the_next(
    bluez: FakeBluez, until: Until
) -> None:
    async with two_adapters(bluez, until) as (listener, near, far):
        near.advertise(1)
        near.advertise(2)
        far.advertise(1)
        far.advertise(2)
        near.advertise(3)
        await until(lambda: listener.radio.health.heard == 5)
        assert [measurement.counter for _, measurement in listener.heard] == [1, 2, 3]


@pytest.mark.parametrize(("here", "there", "used"), [(-90, -50, "far"), (-50, -90, "near")])
async def test_the_adapter_that_hears_best_connects(
    bluez: FakeBluez, until: Until, here: int, there: int, used: str
) -> None:
    async with two_adapters(bluez, until) as (listener, near, far):
        near.device.advertise(manufacturer_data={0x0499: payload(1)}, rssi=here)
        far.device.advertise(manufacturer_data={0x0499: payload(1)}, rssi=there)
        await until(lambda: listener.radio.health.heard == 2)
        answer = await listener.radio.read_memory(ask(), HandClock())
        assert answer.complete
        assert (len(near.requests), len(far.requests)) == ((1, 0) if used == "near" else (0, 1))


async def test_an_adapter_that_fails_to_connect_leaves_it_to_the_other(bluez: FakeBluez, until: Until) -> None:
    async with two_adapters(bluez, until) as (listener, near, far):
        near.device.advertise(manufacturer_data={0x0499: payload(1)}, rssi=-60)
        far.device.advertise(manufacturer_data={0x0499: payload(1)}, rssi=-65)
        await until(lambda: listener.radio.health.heard == 2)
        bluez.fail("Connect", "org.bluez.Error.Failed", times=None, path=near.device.path)
        with pytest.raises(RadioError, match="hci0"):
            await listener.radio.read_memory(ask(), HandClock())
        assert (await listener.radio.read_memory(ask(), HandClock())).complete
        assert far.requests


async def test_one_adapter_goes_on_without_the_other(bluez: FakeBluez, until: Until) -> None:
    async with two_adapters(bluez, until) as (listener, _near, far):
        bluez.unplug("hci0")
        await until(lambda: "adapter_missing" in listener.codes)
        await Voice(far).heard_by(listener, until)
        assert listener.radio.health.scanning


async def test_only_the_named_adapter_is_used(bluez: FakeBluez, until: Until) -> None:
    bluez.plug("hci1")
    async with listening(adapters=["hci1"]) as listener:
        await until(lambda: listener.radio.health.scanning)
        assert list(listener.radio.health.adapters) == ["hci1"]
        await Voice(Tag(bluez, TAG, adapter="hci1")).heard_by(listener, until)


# --- connections


def ask(address: str = TAG) -> MemoryRequest:
    return MemoryRequest(address, 0, T0, 300)


@asynccontextmanager
async def one_tag(bluez: FakeBluez, until: Until, **settings: object) -> AsyncIterator[tuple[Listener, Tag]]:
    async with listening(silence_s=60, **settings) as listener:
        await until(lambda: listener.radio.health.scanning)
        tag = Tag(bluez, TAG, MEMORY)
        tag.advertise(1)
        await until(lambda: listener.heard)
        yield listener, tag


@contextmanager
def impatient() -> Iterator[None]:
    """For the conversation that goes wrong; the one after it has the time that a busy machine needs."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "CONNECT_TIMEOUT_S", 0.2)
        patch.setattr(module, "CONNECT_LIMIT_S", 0.4)
        patch.setattr(module, "DISCONNECT_TIMEOUT_S", 0.2)
        patch.setattr(download, "GATT_TIMEOUT_S", 0.3)
        patch.setattr(download, "IDLE_TIMEOUT_S", 0.3)
        yield


@pytest.mark.parametrize("member", ["Connect", "StartNotify", "AcquireNotify", "WriteValue", "Disconnect"])
async def test_a_call_that_hangs_ends_the_conversation_and_the_next_one_succeeds(
    bluez: FakeBluez, until: Until, member: str
) -> None:
    async with one_tag(bluez, until) as (listener, tag):
        bluez.hang(member)
        with impatient(), suppress(RadioError):
            await listener.radio.read_memory(ask(), HandClock())
        bluez.heal()
        answer = await listener.radio.read_memory(ask(), HandClock())
        assert answer.complete
        assert len(answer.told.records) == 3
        await until(lambda: not tag.device.is_connected)


async def test_the_daemon_dies_in_mid_download_without_a_word(bluez: FakeBluez, until: Until) -> None:
    async with one_tag(bluez, until) as (listener, tag):
        tag.frames_before_silence = 3
        with impatient(), suppress(RadioError):
            reading = asyncio.create_task(listener.radio.read_memory(ask(), HandClock()))
            await until(lambda: tag.requests or reading.done())
            bluez.crash_daemon()
            assert not (await reading).complete
        tag.frames_before_silence = None
        bluez.restart_daemon()
        voice = Voice(tag)
        voice.counter = 1
        await voice.heard_by(listener, until)
        assert (await listener.radio.read_memory(ask(), HandClock())).complete


async def test_a_link_that_a_killed_process_left_behind_is_ended(bluez: FakeBluez, until: Until) -> None:
    tag = Tag(bluez, TAG)
    async with listening() as listener:
        await until(lambda: listener.radio.health.scanning)
        await until(lambda: tag.advertise(1) or listener.heard)
    other = await MessageBus(bus_type=BusType.SYSTEM).connect()
    await other.call(
        Message(destination="org.bluez", path=tag.device.path, interface="org.bluez.Device1", member="Connect")
    )
    other.disconnect()
    assert tag.device.is_connected
    before = len(bluez.calls)
    async with listening(silence_s=60):
        await until(lambda: not tag.device.is_connected)
    assert (tag.device.path, "Disconnect") in [(call.path, call.member) for call in list(bluez.calls)[before:]]


class TestSlowToLetGo:
    @pytest.fixture
    def bluez_settings(self) -> Settings:
        return Settings(disconnect_delay_s=0.3)

    async def test_no_more_connections_at_once_than_stated(self, bluez: FakeBluez, until: Until) -> None:
        addresses = [f"C0:FF:EE:00:01:{number:02X}" for number in range(6)]
        now, most = 0, 0

        def count(is_connected: bool) -> None:  # noqa: FBT001  the fake's hook
            nonlocal now, most
            now += 1 if is_connected else -1
            most = max(most, now)

        async with listening(*addresses, connections=3, silence_s=60) as listener:
            await until(lambda: listener.radio.health.scanning)
            for address in addresses:
                tag = Tag(bluez, address, MEMORY)
                tag.device.on_connected = count
                tag.advertise(1)
            await until(lambda: len(listener.heard) == len(addresses))
            answers = await asyncio.gather(
                *(listener.radio.read_memory(ask(address), HandClock()) for address in addresses)
            )
        assert all(answer.complete for answer in answers)
        assert most == 3


# --- foreign advertisements


@pytest.fixture
def decoded(monkeypatch: pytest.MonkeyPatch) -> list[Packet]:
    """What any decoder was given."""
    given: list[Packet] = []

    class Counting:
        def __init__(self, decoder: object) -> None:
            self._decoder = decoder

        def decode(self, packet: Packet) -> Measurement:
            given.append(packet)
            return self._decoder.decode(packet)  # type: ignore[attr-defined]

    for kind, family in list(FAMILIES.items()):
        counting = dataclasses.replace(family, make=lambda key, make=family.make: Counting(make(key)))
        monkeypatch.setitem(FAMILIES, kind, counting)
    return given


async def test_foreign_advertisements_are_never_decoded(bluez: FakeBluez, until: Until, decoded: list[Packet]) -> None:
    async with listening(silence_s=60) as listener:
        await until(lambda: listener.radio.health.scanning)
        for number in range(200):
            stranger = bluez.add_device(f"D0:00:00:00:00:{number:02X}")
            stranger.advertise(manufacturer_data={0x004C: os.urandom(20)})
            bluez.add_device(f"D1:00:00:00:00:{number:02X}").advertise(manufacturer_data={0x0499: payload(number)})
        own = Tag(bluez, TAG)
        own.device.advertise(manufacturer_data={0x004C: b"a telephone that took its address"})
        own.advertise(1)
        await until(lambda: listener.heard)
        assert (listener.radio.health.foreign, len(decoded)) == (401, 1)


def test_every_kind_is_told_apart_before_it_is_decoded(decoded: list[Packet]) -> None:
    """No kind's decoder sees a packet that does not bear its identifier, even from the logger's own address."""
    heard: list[object] = []
    for kind in LoggerKind:
        hearing = Hearing(RadioHealth(), lambda *told: heard.append(told))
        hearing.enrol([Logger(address=TAG, kind=kind, box="BOX-1")])
        ear = hearing._ears[TAG]
        foreign = Packet(TAG, "", -60, {0x004C: b"\x10\x05abc"}, {"0000fe2c-0000-1000-8000-00805f9b34fb": b"x"}, ())
        assert ear.recognise(foreign) is None
    assert (decoded, heard) == ([], [])
