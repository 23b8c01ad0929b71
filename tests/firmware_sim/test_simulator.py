"""The whole simulator as a process of its own, read by bleak as the vehicle would."""

import asyncio
import json
import os
import signal
import struct
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from bleak import BleakClient, BleakScanner
from bleak.backends.device import BLEDevice
from bleak.backends.scanner import AdvertisementData

import firmware_sim
from firmware_sim.__main__ import main
from tests.waiting import LIMIT_S

Until = Callable[[Callable[[], object]], Awaitable[None]]
DAY = Path(firmware_sim.__file__).parent / "scenarios" / "day.toml"
START_S = 1_773_126_000  # 2026-03-10T08:00:00+01:00
RATE = 240
TEMPERATURE = 0x30
NUS_RX = "6e400002-b5a3-f393-e0a9-e50e24dcca9e"
NUS_TX = "6e400003-b5a3-f393-e0a9-e50e24dcca9e"


class Simulated:
    """A running simulator and the truth that it writes."""

    def __init__(self, process: asyncio.subprocess.Process, folder: Path) -> None:
        self.process = process
        self.truth = folder / "truth.jsonl"

    def lines(self, kind: str) -> list[dict[str, Any]]:
        whole, _, _rest = self.truth.read_text(encoding="utf-8").rpartition("\n")
        return [line for line in map(json.loads, whole.splitlines()) if line["kind"] == kind]


@asynccontextmanager
async def simulator(folder: Path, began_s: float, stop_s: float) -> AsyncIterator[Simulated]:
    """Start the day so that its clock shows ``began_s`` now and parks at ``stop_s`` (domain seconds)."""
    clock = {
        "start": "2026-03-10T08:00:00+01:00",
        "rate": RATE,
        "anchor_ns": time.monotonic_ns() - int(began_s / RATE * 1e9),
        "stop": time.strftime("%Y-%m-%dT%H:%M:%S+00:00", time.gmtime(START_S + stop_s)),
    }
    arguments = [
        "run",
        str(DAY),
        "--bus",
        os.environ["DBUS_SYSTEM_BUS_ADDRESS"],
        "--truth",
        str(folder / "truth.jsonl"),
    ]
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "firmware_sim", *arguments),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env={**os.environ, "COLDCHAIN_CLOCK_JSON": json.dumps(clock)},
    )
    try:
        async with asyncio.timeout(LIMIT_S):
            assert process.stdout is not None
            assert await process.stdout.readline() == b"READY\n"
            yield Simulated(process, folder)
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


class Ear:
    """What a scanner heard: (address, counter) with the temperature in thousandths of a degree."""

    def __init__(self) -> None:
        self.heard: dict[tuple[str, int], int] = {}
        self.devices: dict[str, BLEDevice] = {}

    def __call__(self, device: BLEDevice, advertisement: AdvertisementData) -> None:
        form, steps, *_, counter, _address = struct.unpack(">BhHHhhhHBH6s", advertisement.manufacturer_data[0x0499])
        assert form == 5
        self.heard[device.address, counter] = steps * 5
        self.devices[device.address] = device


async def download(device: BLEDevice, now_s: int) -> list[tuple[int, int, int]]:
    """The log as (field, time, value); ``now_s`` is the reader's clock."""
    frames: list[bytes] = []
    ended = asyncio.Event()

    def take(_sender: object, data: bytearray) -> None:
        if len(data) == 11:  # the others are heartbeats
            frames.append(bytes(data))
        if data[3:] == b"\xff" * 8:
            ended.set()

    async with BleakClient(device) as client:
        await client.start_notify(NUS_TX, take)
        await client.write_gatt_char(NUS_RX, struct.pack(">BBBII", 0x3A, 0x3A, 0x11, now_s, START_S))
        await ended.wait()
    values = (struct.unpack(">BBBIi", frame) for frame in frames[:-1])
    return [(field, at_s, value) for _, field, _, at_s, value in values]


def is_parked(run: Simulated, stop_s: float) -> bool:
    """Tell whether each logger has made its last measurement before time stands still."""
    last = {line["logger"]: line["at_ms"] for line in run.lines("measurement")}
    return all(at_ms > (START_S + stop_s) * 1000 - 6500 for at_ms in last.values())


def last_counters(run: Simulated) -> set[tuple[str, int]]:
    return set({line["logger"]: line["counter"] for line in run.lines("measurement")}.items())


async def test_what_is_heard_and_downloaded_is_what_was_measured(
    bus_address: str, tmp_path: Path, until: Until
) -> None:
    stop_s = 1300  # begins at 08:20 with two hundred measurements to make up, then some are heard, then time parks
    async with simulator(tmp_path, began_s=1200, stop_s=stop_s) as run:
        ear = Ear()
        async with BleakScanner(ear):
            await until(lambda: is_parked(run, stop_s) and last_counters(run) <= ear.heard.keys())
        lines = run.lines("measurement")
        measured = {(line["logger"], line["counter"]): line["temperature_mc"] for line in lines}
        assert ear.heard.items() <= measured.items()
        assert max(line["at_ms"] for line in lines) <= (START_S + stop_s) * 1000
        for address in ("C0:FF:EE:00:00:03", "C0:FF:EE:00:00:05"):
            numbers = [line["n"] for line in lines if line["logger"] == address]
            assert numbers == list(range(numbers[0], numbers[0] + len(numbers)))
            assert len(numbers) == pytest.approx(stop_s / 6.425, abs=1)
            log = await download(ear.devices[address], START_S + stop_s)
            kept = [line for line in run.lines("memory") if line["logger"] == address]
            temperatures = [(at_s, value) for field, at_s, value in log if field == TEMPERATURE]
            assert len(log) == 3 * len(kept) == 15
            assert [value for _, value in temperatures] == [line["temperature_cc"] for line in kept]
            assert all(
                abs(at_s * 1000 - line["at_ms"]) <= 1100 for (at_s, _), line in zip(temperatures, kept, strict=True)
            )
        assert await download(ear.devices["C0:FF:EE:00:00:06"], START_S + stop_s) == []


@pytest.mark.parametrize(
    ("minutes", "silent", "events"),
    [
        (145, {3}, ["lid_opened", "carried_away"]),
        (
            171,
            {6},
            ["lid_opened", "carried_away", "lid_opened", "lid_closed", "lid_closed", "brought_back", "logger_died"],
        ),
    ],
)
async def test_who_is_away_or_dead_is_silent(
    bus_address: str, tmp_path: Path, until: Until, minutes: int, silent: set[int], events: list[str]
) -> None:
    async with simulator(tmp_path, began_s=60 * minutes, stop_s=60 * minutes + 1) as run:
        ear = Ear()
        everybody = {f"C0:FF:EE:00:00:{number:02}" for number in set(range(1, 7)) - silent}
        async with BleakScanner(ear):
            await until(lambda: everybody <= ear.devices.keys())
        assert ear.devices.keys() == everybody
        told = sorted((line["at_ms"], line["event"]) for line in run.lines("box"))
        assert [event for _, event in told] == events


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_stops_cleanly_with_a_client_connected(
    bus_address: str, tmp_path: Path, until: Until, number: signal.Signals
) -> None:
    async with simulator(tmp_path, began_s=0, stop_s=18_000) as run:
        ear = Ear()
        scanner = BleakScanner(ear)
        await scanner.start()
        await until(lambda: ear.devices)
        run.process.send_signal(number)
        assert await run.process.wait() == 0
        assert run.process.stderr is not None
        assert await run.process.stderr.read() == b""
    assert not (tmp_path / "bus").exists()


async def test_nothing_was_heard_that_a_killed_simulator_did_not_write(
    bus_address: str, tmp_path: Path, until: Until
) -> None:
    async with simulator(tmp_path, began_s=0, stop_s=18_000) as run:
        ear = Ear()
        scanner = BleakScanner(ear)
        await scanner.start()
        await until(lambda: len(ear.heard) > 50)
        run.process.kill()
        await run.process.wait()
        measured = {(line["logger"], line["counter"]): line["temperature_mc"] for line in run.lines("measurement")}
        assert ear.heard.items() <= measured.items()


def command(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    monkeypatch.setattr(sys, "argv", ["firmware_sim", *arguments])
    return main()


def test_check(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    assert command(monkeypatch, "check", str(DAY), "--json") == 0
    assert len(json.loads(capsys.readouterr().out)["boxes"]) == 6
    assert command(monkeypatch, "check", str(DAY)) == 0
    assert "6 boxes" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "variable", "complaint"),
    [
        (["check", "{bad}"], None, "{bad}: clock: Field required (and 3 more)"),
        (["check", "/nowhere/day.toml"], None, "/nowhere/day.toml: No such file or directory"),
        (["run", "{day}", "--bus", "tcp:host=x", "--truth", "{truth}"], None, "--bus: not a bus address of the form"),
        (["run", "{day}", "--bus", "unix:path=/nowhere/bus", "--truth", "{truth}"], None, "/nowhere/bus: No such file"),
        (["run", "{day}", "--bus", "unix:path={truth}", "--truth", "/nowhere/t"], None, "/nowhere/t: No such file"),
        (
            ["run", "{day}", "--bus", "unix:path={truth}", "--truth", "{truth}"],
            "{}",
            "COLDCHAIN_CLOCK_JSON: start: must be",
        ),
    ],
)
def test_wrong_input_is_one_clear_line(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    arguments: list[str],
    variable: str | None,
    complaint: str,
) -> None:
    bad = tmp_path / "bad.toml"
    bad.write_text("", encoding="utf-8")
    names = {"bad": bad, "day": DAY, "truth": tmp_path / "truth"}
    if variable is not None:
        monkeypatch.setenv("COLDCHAIN_CLOCK_JSON", variable)
    assert command(monkeypatch, *(argument.format(**names) for argument in arguments)) == 2
    error = capsys.readouterr().err
    assert error.startswith(complaint.format(**names))
    assert error.count("\n") == 1
