"""What goes wrong with a logger, each as a scenario words it, and what a receiver then hears."""

import struct
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from typing import Any

import pytest
from bleak import BleakClient, BleakScanner
from bleak.backends.device import BLEDevice
from bleak.backends.scanner import AdvertisementData
from pydantic import TypeAdapter, ValidationError

from firmware_sim import scenario
from firmware_sim.faults import Fault
from firmware_sim.reference.formats import LOGGER_SERVICE
from firmware_sim.scenario import ScenarioError

Until = Callable[[Callable[[], object]], Awaitable[None]]
FindDevice = Callable[[Any], Awaitable[BLEDevice]]
Make = Callable[..., Any]
START = datetime.fromisoformat("2026-03-10T08:00:00+01:00")
RUUVI = 0x0499
NUS_RX = "6e400002-b5a3-f393-e0a9-e50e24dcca9e"
NUS_TX = "6e400003-b5a3-f393-e0a9-e50e24dcca9e"


def at(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


def during(kind: str, begins: float, ends: float, **more: object) -> Any:  # noqa: ANN401 - one of many tables
    return fault({"kind": kind, "from": at(begins), "to": at(ends), **more})


def once(kind: str, seconds: float, **more: object) -> Any:  # noqa: ANN401 - one of many tables
    return fault({"kind": kind, "at": at(seconds), **more})


def fault(table: dict[str, object]) -> Any:  # noqa: ANN401 - one of many tables
    return TypeAdapter(Fault).validate_python(table)


@pytest.fixture
def make(make_bench: Make) -> Make:
    def build(*faults: object, **changes: object) -> Any:  # noqa: ANN401 - see conftest.py
        return make_bench(**{"heartbeat_s": 10.0, "tx_interval_s": 10.0, "faults": list(faults), **changes})

    return build


def seconds(bench: Any, measurement: Any) -> float:  # noqa: ANN401 - see conftest.py
    return (measurement.at_ms - bench.start_ms) / 1000


def test_a_stuck_sensor_counts_on(make: Make) -> None:
    bench = make(during("stuck", 100, 200))
    bench.run(30)
    stuck = {m.take.temperature_mc for m in bench.measurements if 100 <= seconds(bench, m) < 200}
    free = {m.take.temperature_mc for m in bench.measurements if seconds(bench, m) >= 200}
    assert len(stuck) == 1
    assert len(free) > 1
    assert [m.take.counter for m in bench.measurements] == list(range(30))
    assert list(bench.logger.faults()) == [
        (bench.start_ms + 100_000, "stuck_begins"),
        (bench.start_ms + 200_000, "stuck_ends"),
    ]


def test_a_jump_lasts_one_measurement(make: Make) -> None:
    bench = make(once("jump", 100, by_c=40.0))
    bench.run(20)
    warm = [m for m in bench.measurements if m.take.temperature_mc > 30_000]
    assert len(warm) == 1
    assert 100 <= seconds(bench, warm[0]) < 110


def test_a_sensor_that_gives_no_value(make: Make) -> None:
    bench = make(during("no_value", 100, 150))
    bench.run(20)
    without = [m for m in bench.measurements if m.take.temperature_mc is None]
    assert len(without) == 5
    assert all(struct.unpack(">h", m.payload[1:3]) == (-32_768,) for m in without)


@pytest.mark.parametrize("maker", ["ruuvi", "reference", "bluemaestro", "thermobeacon"])
def test_a_reboot_starts_counter_and_clock_again(make: Make, maker: str) -> None:
    bench = make(once("reboot", 100), maker=maker, first_number=500)
    bench.run(30)
    boots = [m.boot for m in bench.measurements]
    assert set(boots) == {0, 1}
    first = boots.index(1)
    assert [m.number for m in bench.measurements[first:]] == list(range(30 - first))
    assert bench.measurements[first - 1].number == 500 + first - 1
    assert bench.logger.firmware.uptime_ms(bench.now_ms) < 230_000
    assert list(bench.logger.faults()) == [(bench.start_ms + 100_000, "reboot")]


async def test_a_reboot_loses_the_link_and_falls_silent(make: Make, device_of: FindDevice, until: Until) -> None:
    bench = make(once("reboot", 100))
    device = await device_of(bench)
    async with BleakClient(device) as client:
        assert client.is_connected
        bench.turn(bench.start_ms + 100_000)
        await until(lambda: not client.is_connected)
    assert bench.logger.firmware.payload is None or bench.logger.firmware.boot == 1


def test_a_weak_battery_reboots_in_the_cold(make: Make) -> None:
    warm, cold = make(brown_out_mv=2600), make(brown_out_mv=2945, address="C0:FF:EE:00:00:99", battery_age_days=0.0)
    warm.run(20)
    cold.turn(cold.start_ms + 200_000)
    assert len(warm.measurements) == 20
    assert not cold.measurements  # 3000 mV sag by 60 at 5 degrees
    assert cold.logger.firmware.boot >= 10
    assert {told for _, told in cold.logger.faults()} == {"brown_out"}


async def test_a_frozen_advertisement_repeats_its_counter(make: Make, until: Until) -> None:
    bench = make(during("frozen", 100, 200))
    counters: list[int] = []

    def hear(_device: object, data: AdvertisementData) -> None:
        counters.append(int.from_bytes(data.manufacturer_data[RUUVI][16:18], "big"))

    async with BleakScanner(hear, bluez={"filters": {"DuplicateData": True}}):
        for turn in range(25):
            bench.run(1)
            await until(lambda turn=turn: len(counters) == turn + 1)
    assert counters[:10] == list(range(10))
    assert counters[10:20] == [9] * 10
    assert counters[20:] == list(range(20, 25))


@pytest.mark.parametrize("maker", ["ruuvi", "reference"])
async def test_something_foreign_under_the_same_identifier(make: Make, until: Until, maker: str) -> None:
    bench = make(during("foreign", 0, 10_000), maker=maker)
    heard: list[bytes] = []

    def hear(_device: object, data: AdvertisementData) -> None:
        heard.append(data.manufacturer_data.get(RUUVI) or data.service_data[LOGGER_SERVICE])

    async with BleakScanner(hear):
        for turn in range(5):
            bench.run(1)
            await until(lambda turn=turn: len(heard) >= 2 * (turn + 1))
    own = [m.payload for m in bench.measurements]
    assert heard[::2] == own
    assert all(foreign[0] != own[0][0] and foreign not in own for foreign in heard[1::2])


@pytest.mark.parametrize(
    ("more", "frames", "has_end"),
    [
        ({"truncates_after": 4}, 4, False),
        ({"loses_frame": 0}, 9, True),
        ({"corrupts_frame": 1}, 10, True),
    ],
)
async def test_a_bad_log_and_then_a_good_one(
    make: Make, device_of: FindDevice, until: Until, more: dict[str, int], frames: int, *, has_end: bool
) -> None:
    bench = make(during("bad_log", 0, 100_000, downloads=1, **more), memory_interval_s=300)
    device = await device_of(bench)
    bench.run(80)
    got: list[bytes] = []

    async def download() -> None:
        got.clear()
        now_s = int(bench.now_ms // 1000)
        await client.write_gatt_char(NUS_RX, struct.pack(">BBBII", 0x3A, 0x3A, 0x11, now_s, now_s - 86_400))

    async with BleakClient(device) as client:
        await client.start_notify(NUS_TX, lambda _, data: got.append(bytes(data)))
        await download()
        await until(lambda: len(got) == frames)
        assert got[-1].endswith(b"\xff" * 8) is has_end
        spoiled = list(got)
        await download()
        await until(lambda: got and got[-1].endswith(b"\xff" * 8))
    assert len(got) == 10
    assert spoiled != got


async def test_a_log_that_loses_its_link(make: Make, device_of: FindDevice, until: Until) -> None:
    bench = make(during("bad_log", 0, 100_000, disconnects_after=2), maker="bluemaestro", model="13")
    device = await device_of(bench)
    bench.run(60)
    got: list[bytes] = []
    async with BleakClient(device) as client:
        await client.start_notify(NUS_TX, lambda _, data: got.append(bytes(data)))
        await client.write_gatt_char(NUS_RX, b"*logall")
        await until(lambda: not client.is_connected)
    assert len(got) == 2


def test_metal_and_distance_lose_packets(make: Make) -> None:
    near = make(path=scenario.RadioPath(distance_m=1.0))
    far = make(path=scenario.RadioPath(distance_m=30.0, metal_walls=2), address="C0:FF:EE:00:00:99")
    heard = [sum(bench.logger._receive() is not None for _ in range(1000)) for bench in (near, far)]
    assert heard[0] > 990
    assert heard[1] < 500


@pytest.mark.parametrize(
    ("table", "place"),
    [
        ({"kind": "melts", "at": at(0)}, "boxes.0.logger.faults.0: "),
        ({"kind": "reboot"}, "boxes.0.logger.faults.0.at: "),
        ({"kind": "jump", "at": at(0), "by_c": "much"}, "boxes.0.logger.faults.0.by_c: "),
        ({"kind": "stuck", "from": at(5), "to": at(5)}, "boxes.0.logger.faults.0.to: "),
        ({"kind": "bad_log", "from": at(5), "to": at(6), "truncates_after": -1}, "boxes.0.logger.faults.0.truncates_"),
    ],
)
def test_a_mistaken_fault_is_named(table: dict[str, object], place: str) -> None:
    logger = {"address": "C0:FF:EE:00:00:01", "faults": [table]}
    box = {
        "code": "B",
        "kind": "none",
        "place": "cabin",
        "payload": {"mass_kg": 1, "temperature_c": 5},
        "logger": logger,
    }
    tables = {
        "clock": {"start": at(0), "stop": at(300)},
        "weather": {"curve": [{"at": at(0), "temperature_c": -5.0}]},
        "places": {"cabin": {}},
        "boxes": [box],
    }
    with pytest.raises(ScenarioError, match=place):
        scenario.parse(tables)


def test_faults_know_their_keys() -> None:
    with pytest.raises(ValidationError):
        once("reboot", 0, hard=True)
