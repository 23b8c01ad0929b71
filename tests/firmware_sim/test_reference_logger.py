"""The reference logger's firmware, and its services as a BlueZ client finds them."""

import asyncio
import random
import struct
import zlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

import pytest
from bleak import BleakClient
from bleak.backends.device import BLEDevice
from bleak.exc import BleakError

from firmware_sim.firmware import Environment, LoggerSettings
from firmware_sim.misbehaviour import BadLog
from firmware_sim.reference.firmware import ReferenceLogger
from firmware_sim.reference.formats import LOG_CONTROL, LOG_DATA, LOG_STATE, LOGGER_SERVICE, Mark, Position

Until = Callable[[Callable[[], object]], Awaitable[None]]
FindDevice = Callable[[Any], Awaitable[BLEDevice]]
Make = Callable[..., Any]
START_MS = 1_773_126_000_000
INSIDE = Environment(5.0, 80.0, 100_400.0)
SETTINGS = LoggerSettings("CB:B8:33:4C:88:4F", heartbeat_s=30.0, log_records=100)
CURRENT_TIME = "00002a2b-0000-1000-8000-00805f9b34fb"
NEVER_SET = 1_000_000_000


def make() -> ReferenceLogger:
    return ReferenceLogger(SETTINGS, START_MS, random.Random(1))  # noqa: S311 - repeatable, not secret


def all_records(logger: ReferenceLogger) -> list[Any]:
    return list(logger.records_from(Position(0, 0), 0))


def test_every_measurement_is_a_record_and_is_broadcast() -> None:
    logger = make()
    measurements = [logger.measure(INSIDE) for _ in range(5)]
    assert [record.number for record in all_records(logger)] == [0, 1, 2, 3, 4]
    for record, measurement in zip(all_records(logger), measurements, strict=True):
        payload = measurement.take.broadcasts[0].service_data[LOGGER_SERVICE]
        head, boot, number, temperature, _battery, clock = struct.unpack("<BB3shBH", payload)
        assert (head, boot, int.from_bytes(number, "little")) == (0x10, 1, record.number)
        assert temperature == record.temperature_cc == measurement.take.kept_cc
        assert clock == record.clock_s < NEVER_SET


def test_the_oldest_records_give_way() -> None:
    logger = make()
    for _ in range(130):
        logger.measure(INSIDE)
    state = logger.state(logger.due_at_ms)
    assert (state.oldest, state.newest, state.stored) == (Position(1, 30), Position(1, 129), 100)


def test_a_reboot_is_told_by_its_counter_and_keeps_the_memory() -> None:
    logger = make()
    for _ in range(10):
        logger.measure(INSIDE)
    logger.set_clock(START_MS, logger.due_at_ms)
    logger.reboot(logger.due_at_ms)
    assert logger.payload is None
    measurement = logger.measure(INSIDE)
    records = all_records(logger)
    assert [record.position for record in records[-2:]] == [Position(1, 9), Position(2, 0)]
    assert records[-1].clock_s <= 30
    assert not records[-1].marks & Mark.CLOCK_SET
    assert measurement.payload[1:5] == b"\x02\x00\x00\x00"


def test_a_step_of_the_clock_is_marked_once() -> None:
    logger = make()
    logger.measure(INSIDE)
    logger.set_clock(START_MS + 60_000, logger.due_at_ms)
    for _ in range(2):
        logger.measure(INSIDE)
    before, stepped, after = all_records(logger)
    assert before.marks == Mark(0)
    assert stepped.marks == Mark.CLOCK_SET | Mark.CLOCK_STEPPED
    assert after.marks == Mark.CLOCK_SET
    assert stepped.clock_s == pytest.approx(START_MS // 1000 + 60, abs=1)
    assert after.clock_s - stepped.clock_s == pytest.approx(30, abs=1)


def test_a_sensor_without_a_value_says_so() -> None:
    logger = make()
    logger.sensor.is_broken = True
    measurement = logger.measure(INSIDE)
    assert measurement.take.temperature_mc is measurement.take.kept_cc is None
    assert all_records(logger)[0].marks == Mark.SENSOR_FAULT
    assert measurement.payload[0] == 0x14
    assert measurement.payload[5:7] == b"\x00\x80"


@pytest.mark.parametrize(("start", "limit", "numbers"), [((1, 3), 0, [3, 4]), ((0, 9), 2, [0, 1]), ((2, 0), 0, [])])
def test_from_a_place_on(start: tuple[int, int], limit: int, numbers: list[int]) -> None:
    logger = make()
    for _ in range(5):
        logger.measure(INSIDE)
    assert [record.number for record in logger.records_from(Position(*start), limit)] == numbers


# --- over the air


@dataclass
class Reader:
    """What a reader gets; it decodes by the document, with code of its own."""

    client: BleakClient
    records: list[tuple[int, ...]] = field(default_factory=list)
    ends: list[tuple[int, ...]] = field(default_factory=list)
    raw: bytes = b""
    bad: int = 0
    frames: int = 0

    async def start(self) -> None:
        await self.client.start_notify(LOG_DATA, self.take)

    async def ask(self, tag: int, boot: int, number: int, limit: int = 0, credit: int = 1000) -> None:
        await self.client.write_gatt_char(LOG_CONTROL, struct.pack("<BBHIIH", 1, tag, boot, number, limit, credit))

    def take(self, _sender: object, data: bytearray) -> None:
        if _crc16(data[:-2]) != int.from_bytes(data[-2:], "little"):
            self.bad += 1
        elif data[0] == 2:
            self.ends.append(struct.unpack("<BBBII", data[:-2]))
        else:
            self.frames += 1
            self.raw += data[3:-2]
            self.records += struct.iter_unpack("<HIIhB", data[3:-2])


def _crc16(data: bytes | bytearray) -> int:
    crc = 0xFFFF
    for byte in data:
        crc ^= byte << 8
        for _ in range(8):
            crc = (crc << 1 ^ 0x1021 if crc & 0x8000 else crc << 1) & 0xFFFF
    return crc


async def test_services_and_values(make_bench: Make, device_of: FindDevice) -> None:
    bench = make_bench(maker="reference", heartbeat_s=30.0)
    device = await device_of(bench)
    assert device.name == "Coldchain 0002"
    async with BleakClient(device) as client:
        read = client.read_gatt_char
        newest = bench.measurements[-1].take.kept_cc
        assert struct.unpack("<h", await read("00002a6e-0000-1000-8000-00805f9b34fb")) == (newest,)
        assert (await read("00002a19-0000-1000-8000-00805f9b34fb"))[0] == 90
        assert await read("00002a25-0000-1000-8000-00805f9b34fb") == b"C0FFEE000002"
        state = struct.unpack("<BHHIHIIIII", await read(LOG_STATE))
        assert state[:7] == (1, 1, 1, 0, 1, 0, 1)
        assert state[8] == 30_000


async def test_the_clock_is_read_and_set(make_bench: Make, device_of: FindDevice) -> None:
    bench = make_bench(maker="reference", heartbeat_s=30.0)
    async with BleakClient(await device_of(bench)) as client:
        assert await client.read_gatt_char(CURRENT_TIME) == bytes(10)
        time = bytes.fromhex("ea07030a07001e020001")
        await client.write_gatt_char(CURRENT_TIME, time)
        assert (await client.read_gatt_char(CURRENT_TIME))[:8] == time[:8]
        assert struct.unpack("<BHHIHIIIII", await client.read_gatt_char(LOG_STATE))[-1] == 1_773_126_030
        with pytest.raises(BleakError, match="Out of Range"):
            await client.write_gatt_char(CURRENT_TIME, bytes.fromhex("ea07021e07001e020001"))


async def test_the_log_is_read_and_resumed(make_bench: Make, device_of: FindDevice, until: Until) -> None:
    bench = make_bench(maker="reference", heartbeat_s=30.0)
    device = await device_of(bench)
    bench.run(99)
    async with BleakClient(device) as client:
        reader = Reader(client)
        await reader.start()
        await reader.ask(7, boot=1, number=40, limit=20)
        await until(lambda: reader.ends)
        assert [number for _, number, *_ in reader.records] == list(range(40, 60))
        await reader.ask(8, boot=1, number=60)
        await until(lambda: len(reader.ends) == 2)
    assert [temperature for *_, temperature, _ in reader.records] == [
        measurement.take.kept_cc for measurement in bench.measurements[40:]
    ]
    assert reader.frames == 2 + 3
    first, second = reader.ends
    assert first == (2, 7, 0, 20, zlib.crc32(reader.raw[: 20 * 13]))
    assert second == (2, 8, 0, 40, zlib.crc32(reader.raw[20 * 13 :]))


async def test_credit_holds_the_frames_back(make_bench: Make, device_of: FindDevice, until: Until) -> None:
    bench = make_bench(maker="reference", heartbeat_s=30.0)
    device = await device_of(bench)
    bench.run(99)
    async with BleakClient(device) as client:
        reader = Reader(client)
        await reader.start()
        await reader.ask(7, boot=1, number=0, credit=2)
        await until(lambda: reader.frames == 2)
        with pytest.raises(BleakError, match="80"):
            await reader.ask(8, boot=1, number=0)
        await client.write_gatt_char(LOG_CONTROL, b"\x02\x09\x05\x00")  # another transfer's credit
        await client.write_gatt_char(LOG_CONTROL, b"\x02\x07\x01\x00")
        await until(lambda: reader.frames == 3)
        await client.write_gatt_char(LOG_CONTROL, b"\x03\x07")
        await until(lambda: reader.ends)
        assert reader.ends[0][:4] == (2, 7, 1, 3 * 18)
        with pytest.raises(BleakError, match="81"):
            await client.write_gatt_char(LOG_CONTROL, b"\x01\x07")


async def test_a_lost_link_frees_the_log(make_bench: Make, device_of: FindDevice, until: Until) -> None:
    bench = make_bench(maker="reference", heartbeat_s=30.0)
    device = await device_of(bench)
    bench.run(50)
    bench.logger.misbehaviour.bad_log = BadLog(disconnects_after=1)
    bench.logger.misbehaviour.bad_downloads = 1
    lost = asyncio.Event()
    async with BleakClient(device, disconnected_callback=lambda _: lost.set()) as client:
        reader = Reader(client)
        await reader.start()
        await reader.ask(7, boot=1, number=0)
        await lost.wait()
    async with BleakClient(device) as client:
        again = Reader(client)
        await again.start()
        await again.ask(8, boot=1, number=18)
        await until(lambda: again.ends)
    assert [number for _, number, *_ in reader.records + again.records] == list(range(51))


@pytest.mark.parametrize(
    ("bad", "good_records", "bad_frames", "count"),
    [
        (BadLog(corrupts_frame=1), 51 - 18, 1, 51),
        (BadLog(loses_frame=0), 51 - 18, 0, 51),
        (BadLog(truncates_after=2), 36, 0, None),
    ],
)
async def test_a_bad_download_can_be_told(
    make_bench: Make,
    device_of: FindDevice,
    until: Until,
    bad: BadLog,
    good_records: int,
    bad_frames: int,
    count: int | None,
) -> None:
    bench = make_bench(maker="reference", heartbeat_s=30.0)
    device = await device_of(bench)
    bench.run(50)
    bench.logger.misbehaviour.bad_log = bad
    async with BleakClient(device) as client:
        reader = Reader(client)
        await reader.start()
        await reader.ask(7, boot=1, number=0)
        await until(lambda: reader.ends or len(reader.records) == good_records)
        await asyncio.sleep(0)
    assert len(reader.records) == good_records
    assert reader.bad == bad_frames
    if count is None:
        assert not reader.ends
    else:
        assert reader.ends[0][3] == count
        assert reader.ends[0][4] != zlib.crc32(reader.raw)
