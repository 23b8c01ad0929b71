"""The gateway on a real BlueZ, in the virtual machine of tools/bluez-machine. Run by `make test-bluez`, not by pytest
alone: the name keeps it out of the collection.

Linux sees a virtual controller (/dev/vhci) of Bumble's, on whose link the simulated loggers are.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from gateway.core.configuration import Logger, LoggerKind
from gateway.demo.timing import Timing
from gateway.vehicle import recovery
from gateway.vehicle.bluez import BluezError
from gateway.vehicle.bluez_control import BluezControl
from gateway.vehicle.loggers.measurement import Measurement
from gateway.vehicle.loggers.memory import MemoryRecord, MemoryRequest
from gateway.vehicle.radio import Radio
from gateway.vehicle.settings import RadioSettings
from tests.bluez import story

DAEMON = "/usr/libexec/bluetooth/bluetoothd"
RESULTS = Path("/results")
CONTROLLER = Path("/sys/class/bluetooth/hci0")
LOGGERS = [
    Logger(address=story.CHANGING, kind=LoggerKind.RUUVITAG, box="BOX-1"),
    Logger(address=story.CONNECTED, kind=LoggerKind.REFERENCE, box="BOX-2"),
    Logger(address=story.STATIC, kind=LoggerKind.RUUVITAG, box="BOX-3"),
]
Until = Callable[[Callable[[], object]], Awaitable[None]]


async def until(condition: Callable[[], object]) -> None:
    """Wait; the limit only ends a test that has failed, on a machine that is emulated and may be loaded."""
    async with asyncio.timeout(180):
        while not condition():  # noqa: ASYNC110  any condition, no event
            await asyncio.sleep(0.05)


class Daemon:
    """The machine's bluetoothd."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process

    @classmethod
    async def start(cls, *flags: str) -> Daemon:
        """Start it, and wait until its adapter is on."""
        daemon = cls(await asyncio.create_subprocess_exec(DAEMON, "-n", *flags))
        control = BluezControl("never")
        try:
            async with asyncio.timeout(120):
                while not await _is_on(control):  # noqa: ASYNC110  BlueZ has no such event
                    await asyncio.sleep(0.5)
        except BaseException:
            await daemon.kill()
            raise
        finally:
            control.close()
        return daemon

    async def kill(self) -> None:
        if self.process.returncode is None:
            self.process.kill()
        await self.process.wait()

    async def stop(self) -> None:
        if self.process.returncode is None:
            self.process.send_signal(signal.SIGCONT)
            self.process.terminate()
            try:
                async with asyncio.timeout(10):
                    await self.process.wait()
            except TimeoutError:
                await self.kill()


async def _is_on(control: BluezControl) -> bool:
    """Switch the adapter on, if there is one; an emulated machine may be too slow for it the first time."""
    try:
        await control.look()
        await control.reset("hci0")
        return await control.is_powered("hci0")
    except BluezError:
        return False


@asynccontextmanager
async def loggers(folder: Path) -> AsyncIterator[Timing]:
    async with story.simulated_loggers("--radio", "bumble:virtual:vhci", truth=folder / "truth.jsonl") as timing:
        await until(CONTROLLER.exists)
        yield timing


@asynccontextmanager
async def machine(folder: Path, *flags: str) -> AsyncIterator[tuple[Daemon, Timing]]:
    async with loggers(folder) as timing:
        daemon = await Daemon.start(*flags)
        try:
            yield daemon, timing
        finally:
            await daemon.stop()


class Listener:
    """A radio, and what it heard and told."""

    def __init__(self, settings: RadioSettings) -> None:
        self.heard: list[tuple[str, Measurement]] = []
        self.faults: list[str] = []
        self.radio = Radio(
            settings,
            lambda address, measurement: self.heard.append((address, measurement)),
            lambda code, _detail: self.faults.append(code),
            rng=random.Random(1),  # noqa: S311  jitter, no secret
        )
        self.radio.enrol(LOGGERS)

    async def hears_all(self) -> None:
        """Wait until each logger has been heard from now on."""
        del self.heard[:]
        await until(lambda: {address for address, _ in self.heard} >= {story.CHANGING, story.CONNECTED})


@asynccontextmanager
async def listening(**settings: object) -> AsyncIterator[Listener]:
    listener = Listener(RadioSettings.model_validate(settings))
    task = asyncio.create_task(listener.radio.scan())
    try:
        yield listener
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def read(listener: Listener, timing: Timing, address: str) -> tuple[MemoryRecord, ...]:
    """Read a whole memory, trying again as the backfill does."""
    clock = timing.clock()
    for attempt in range(5):
        await until(lambda: address in listener.radio.present())
        request = MemoryRequest(address, timing.start_ms, clock.now_ms(), 300)
        try:
            answer = await listener.radio.read_memory(request, clock)
        except Exception as error:  # noqa: BLE001  shown, and tried again
            print(f"attempt {attempt}: {error}")  # noqa: T201  the report of a failed test shows it
            continue
        if answer.complete and answer.told.records:
            return answer.told.records
    raise AssertionError(f"the memory of {address} was not read")


def remembered(folder: Path, address: str) -> list[tuple[int, int]]:
    """What a logger put into its memory: UTC in ms, hundredths of a degree."""
    lines = map(json.loads, (folder / "truth.jsonl").read_text(encoding="utf-8").splitlines())
    return [
        (line["at_ms"], line["temperature_cc"])
        for line in lines
        if line["kind"] == "memory" and line["logger"] == address
    ]


def check(records: tuple[MemoryRecord, ...], truth: list[tuple[int, int]]) -> None:
    """Each record is what the logger remembers of its time, and none in between is left out."""
    assert len(records) >= 3
    places = []
    for record in records:
        nearest = min(truth, key=lambda known: abs(known[0] - record.at_ms))
        assert abs(nearest[0] - record.at_ms) <= record.error_ms + 1000
        assert abs(nearest[1] * 10 - record.temperature_mc) <= 10
        places.append(truth.index(nearest))
    assert places == list(range(places[0], places[0] + len(places)))


async def test_the_signals_are_those_of_the_fake(tmp_path: Path) -> None:
    """Only recorded here: tests/bluez/test_trace.py and `make test-bluez` compare."""
    async with machine(tmp_path):
        story.save(await story.play(), RESULTS / "trace.json")


@pytest.mark.parametrize(("flags", "mode"), [((), "active"), (("-E",), "passive")])
async def test_scan_connect_backfill(tmp_path: Path, flags: tuple[str, ...], mode: str) -> None:
    async with machine(tmp_path, *flags) as (_, timing), listening() as listener:
        await listener.hears_all()
        assert listener.radio.health.mode == mode
        await until(lambda: len(remembered(tmp_path, story.CHANGING)) >= 6)
        for address in (story.CHANGING, story.CONNECTED):
            check(await read(listener, timing, address), remembered(tmp_path, address))
        await listener.hears_all()
        assert not listener.faults


async def test_two_memories_at_once(tmp_path: Path) -> None:
    async with machine(tmp_path, "-E") as (_, timing), listening() as listener:
        await listener.hears_all()
        await until(lambda: len(remembered(tmp_path, story.CHANGING)) >= 6)
        both = await asyncio.gather(*(read(listener, timing, address) for address in (story.CHANGING, story.CONNECTED)))
        for records, address in zip(both, (story.CHANGING, story.CONNECTED), strict=True):
            check(records, remembered(tmp_path, address))


async def test_a_daemon_that_is_killed_and_comes_back(tmp_path: Path) -> None:
    async with machine(tmp_path, "-E") as (daemon, timing), listening() as listener:
        await listener.hears_all()
        await daemon.kill()
        await until(lambda: not listener.radio.health.scanning)
        again = await Daemon.start("-E")
        try:
            await listener.hears_all()
            check(await read(listener, timing, story.CHANGING), remembered(tmp_path, story.CHANGING))
        finally:
            await again.stop()


async def test_a_daemon_killed_in_mid_connection(tmp_path: Path) -> None:
    async with machine(tmp_path) as (daemon, timing), listening() as listener:
        await listener.hears_all()
        await until(lambda: len(remembered(tmp_path, story.CHANGING)) >= 4)
        reading = asyncio.create_task(read(listener, timing, story.CHANGING))
        await asyncio.sleep(1.5)
        await daemon.kill()
        again = await Daemon.start()
        try:
            check(await reading, remembered(tmp_path, story.CHANGING))
        finally:
            await again.stop()


async def test_a_daemon_that_hangs_is_restarted_by_the_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recovery, "SERVICE_AFTER_S", 5.0)
    restart = tmp_path / "restart"
    pids = tmp_path / "pid"
    restart.write_text(f"#!/bin/sh\nkill -9 $(cat {pids}); sleep 1; {DAEMON} -n -E & echo $! > {pids}\n")
    restart.chmod(0o755)
    async with machine(tmp_path, "-E") as (daemon, _), listening(restart_bluetooth=[str(restart)]) as listener:
        pids.write_text(str(daemon.process.pid))
        await listener.hears_all()
        daemon.process.send_signal(signal.SIGSTOP)
        await until(lambda: recovery.Step.SERVICE in listener.faults)
        await listener.hears_all()
        os.kill(int(pids.read_text()), signal.SIGTERM)


async def test_an_adapter_that_is_switched_off_is_switched_on(tmp_path: Path) -> None:
    async with machine(tmp_path, "-E"), listening(silence_s=5) as listener:
        await listener.hears_all()
        process = await asyncio.create_subprocess_exec("bluetoothctl", "power", "off")
        await process.wait()
        await until(lambda: recovery.Step.RESET in listener.faults)
        await listener.hears_all()


async def test_an_adapter_unplugged_and_back(tmp_path: Path) -> None:
    async with loggers(tmp_path):
        daemon = await Daemon.start("-E")
    try:
        async with listening() as listener:
            await until(lambda: listener.radio.health.reason)
            (tmp_path / "again").mkdir()
            async with loggers(tmp_path / "again"):
                await listener.hears_all()
            await until(lambda: not listener.radio.health.scanning)
    finally:
        await daemon.stop()


async def test_a_link_that_a_killed_process_left_behind(tmp_path: Path) -> None:
    script = (
        "import asyncio, bleak\n"
        "async def main():\n"
        f"    device = await bleak.BleakScanner.find_device_by_address('{story.CHANGING}', 30)\n"
        "    client = bleak.BleakClient(device)\n"
        "    await client.connect()\n"
        "    print('connected', flush=True)\n"
        "    await asyncio.sleep(600)\n"
        "asyncio.run(main())\n"
    )
    async with machine(tmp_path, "-E"):
        process = await asyncio.create_subprocess_exec(sys.executable, "-c", script, stdout=asyncio.subprocess.PIPE)
        assert process.stdout is not None
        assert await process.stdout.readline() == b"connected\n"
        process.kill()
        await process.wait()
        async with listening() as listener:
            await listener.hears_all()


@pytest.mark.parametrize("arguments", [["scan", "--seconds", "8"], ["doctor"]])
async def test_commands(tmp_path: Path, arguments: list[str]) -> None:
    settings = tmp_path / "vehicle.toml"
    settings.write_text(f'gateway = "VAN-1"\ndata_dir = "{tmp_path}/van"\n', encoding="utf-8")
    async with machine(tmp_path, "-E"):
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "gateway.cli", *arguments, "--settings", str(settings), stdout=asyncio.subprocess.PIPE
        )
        output = (await process.communicate())[0].decode()
    print(output)  # noqa: T201  the report of a failed test shows it
    if arguments[0] == "scan":
        assert all(logger.address in output for logger in LOGGERS)
    else:
        assert "BlueZ answers this user" in output
        assert "hci0 is on" in output
