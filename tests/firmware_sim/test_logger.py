"""A tag joined to the radio, with a clock that the test turns."""

import asyncio
import struct
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from bleak import BleakClient, BleakScanner

Until = Callable[[Callable[[], object]], Awaitable[None]]
RX = "6e400002-b5a3-f393-e0a9-e50e24dcca9e"
TX = "6e400003-b5a3-f393-e0a9-e50e24dcca9e"
HEARTBEAT_MS = 6425


Bench = Any
"""See conftest.py."""


@pytest.fixture
def bench(make_bench: Callable[..., Bench]) -> Bench:
    return make_bench()


async def test_a_stall_loses_advertisements_but_no_measurement(bench: Bench, until: Until) -> None:
    counters: list[int] = []

    def hear(_device: object, advertisement: object) -> None:
        payload = advertisement.manufacturer_data[0x0499]  # type: ignore[attr-defined]
        counters.append(int.from_bytes(payload[16:18], "big"))

    async with BleakScanner(hear):
        first = bench.logger.firmware.due_at_ms
        assert len(bench.turn(first)) == 1
        assert len(bench.turn(first + HEARTBEAT_MS)) == 1
        assert len(bench.turn(first + 100 * HEARTBEAT_MS)) == 99
        assert bench.turn(first + 100 * HEARTBEAT_MS + 100) == []
        assert len(bench.turn(first + 101 * HEARTBEAT_MS)) == 1
        await until(lambda: 101 in counters)
    assert counters == [0, 1, 100, 101]


async def test_while_time_stands_still_the_last_advertisement_repeats(bench: Bench, until: Until) -> None:
    first = bench.logger.firmware.due_at_ms
    async with BleakScanner() as scanner:
        bench.turn(first)
        payload = bench.logger.firmware.payload
        wakes_at_ms = bench.logger.wakes_at_ms(stop_ms=first)
        assert wakes_at_ms == pytest.approx(first + HEARTBEAT_MS, abs=1)
        bench.logger.transmit(first + 10 * HEARTBEAT_MS)
        assert bench.logger.firmware.payload == payload
        await until(lambda: scanner.discovered_devices)


async def test_a_reader_gets_heartbeats_and_the_log(bench: Bench, until: Until) -> None:
    first = bench.logger.firmware.due_at_ms
    frames: list[bytes] = []
    async with BleakScanner() as scanner:
        bench.turn(first)
        await until(lambda: scanner.discovered_devices)
    async with BleakClient(scanner.discovered_devices[0]) as client:
        await client.start_notify(TX, lambda _, data: frames.append(bytes(data)))
        bench.turn(first + 100 * HEARTBEAT_MS)
        assert bench.logger.firmware.payload is not None
        await until(lambda: frames)
        assert frames == [bench.logger.firmware.payload[:18]]
        now_s = bench.now_ms // 1000
        request = struct.pack(">BBBII", 0x3A, 0x3A, 0x11, now_s, now_s - 3600)
        await client.write_gatt_char(RX, request)
        await until(lambda: frames[-1].endswith(b"\xff" * 8))
        assert [frame[:3].hex() for frame in frames[1:]] == ["3a3010", "3a3110", "3a3210"] * 3 + ["3a3a10"]
        await client.write_gatt_char(RX, b"\x3a\x3a")
        await asyncio.sleep(0)
        assert len(frames) == 11
