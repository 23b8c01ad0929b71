"""`coldchain doctor`, and `coldchain scan` as a process."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from firmware_sim.bluez import FakeBluez, Settings
from gateway.hub.processes.broker import EmbeddedBroker
from gateway.vehicle import checkup as module
from gateway.vehicle.checkup import (
    Finding,
    State,
    check_bluetooth,
    check_broker,
    check_clock,
    check_disk,
    check_hub,
    check_loggers,
)
from gateway.vehicle.driver import PORT_FILE
from gateway.vehicle.enrolment import Enrolment, save_enrolment
from gateway.vehicle.settings import VehicleSettings
from tests.vehicle.fakes import HUB_KEY, HandClock
from tests.vehicle.samples import TAG, VAN
from tests.vehicle.tags import Tag
from tests.waiting import LIMIT_S

Until = Callable[[Callable[[], object]], Awaitable[None]]


def settings(folder: Path, **sections: object) -> VehicleSettings:
    return VehicleSettings.model_validate({"gateway": VAN, "data_dir": folder / "van", **sections})


def stand(findings: list[Finding]) -> dict[str, State]:
    return {finding.subject: finding.state for finding in findings}


def wrong(findings: list[Finding]) -> Finding:
    (finding,) = (finding for finding in findings if finding.state is State.WRONG)
    assert finding.advice
    return finding


async def test_bluetooth_in_order(bluez: FakeBluez, tmp_path: Path) -> None:
    found = stand(await check_bluetooth(settings(tmp_path)))
    assert set(found) == {"bluetooth", "adapter", "bluez", "passive scan"}
    assert set(found.values()) == {State.GOOD}


async def test_another_adapter_is_proposed(bluez: FakeBluez, tmp_path: Path) -> None:
    finding = wrong(await check_bluetooth(settings(tmp_path, radio={"adapters": ["hci7"]})))
    assert (finding.subject, finding.advice) == ("adapter", "there is hci0: set radio.adapters")


async def test_an_adapter_that_is_off(bluez: FakeBluez, tmp_path: Path) -> None:
    bluez.power_off()
    finding = wrong(await check_bluetooth(settings(tmp_path)))
    assert (finding.subject, finding.text) == ("adapter", "hci0 is off")


async def test_no_bus(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("DBUS_SYSTEM_BUS_ADDRESS", f"unix:path={tmp_path}/none")
    finding = wrong(await check_bluetooth(settings(tmp_path)))
    assert (finding.subject, "D-Bus" in finding.text) == ("bluetooth", True)


async def test_a_daemon_that_is_gone(bluez: FakeBluez, tmp_path: Path) -> None:
    bluez.crash_daemon()
    finding = wrong(await check_bluetooth(settings(tmp_path)))
    assert finding.subject == "bluetooth"


class TestWithoutExperimentalFeatures:
    @pytest.fixture
    def bluez_settings(self) -> Settings:
        return Settings(experimental=False)

    @pytest.mark.parametrize(
        ("scanning", "state"), [("passive", State.WRONG), ("auto", State.ODD), ("active", State.GOOD)]
    )
    async def test_passive_scanning(self, bluez: FakeBluez, tmp_path: Path, scanning: str, state: State) -> None:
        findings = await check_bluetooth(settings(tmp_path, radio={"scanning": scanning}))
        assert stand(findings)["passive scan"] is state


@pytest.mark.parametrize(("version", "state"), [("5.82", "ok"), ("5.50", "wrong"), (None, "note")])
def test_the_version_of_bluez(version: str | None, state: str) -> None:
    assert module._version_finding(version).state == state


async def test_a_broker_that_answers_and_one_that_does_not(tmp_path: Path) -> None:
    async with EmbeddedBroker(tmp_path / "broker") as broker:
        found = await check_broker(settings(tmp_path, broker={"url": broker.url}))
        assert stand(found) == {"broker": State.GOOD}
    finding = wrong(await check_broker(settings(tmp_path, broker={"url": broker.url})))
    assert broker.url in finding.text


async def test_a_hub_that_answers_and_one_that_does_not(tmp_path: Path) -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 303 See Other\r\nLocation: /bench\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    there = settings(tmp_path, hub={"url": f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"})
    assert stand(await check_hub(there)) == {"enrolment": State.WRONG, "hub": State.GOOD}
    there.data_dir.mkdir()
    save_enrolment(there.data_dir, Enrolment(hub_public_key=HUB_KEY.public_bytes.hex(), token="t"))
    assert stand(await check_hub(there)) == {"enrolment": State.GOOD, "hub": State.GOOD}
    server.close()
    await server.wait_closed()
    assert stand(await check_hub(there)) == {"enrolment": State.GOOD, "hub": State.WRONG}


def test_the_clock() -> None:
    clock = HandClock()
    assert check_clock(clock).state is State.GOOD
    clock.is_trusted = False
    assert check_clock(clock).text == "not synchronised"
    clock.step_ms = -clock.now_ms()
    assert check_clock(clock).text == "not set since power came"


def test_the_disk(tmp_path: Path) -> None:
    small = {"max_bytes": 1 << 20}
    assert stand(check_disk(settings(tmp_path, outbox=small))) == {"disk": State.GOOD}
    assert "the log may grow" in wrong(check_disk(settings(tmp_path, outbox={"max_bytes": 1 << 60}))).text
    (tmp_path / "file").touch()
    assert wrong(check_disk(settings(tmp_path / "file", outbox=small))).subject == "disk"


# --- as processes


@asynccontextmanager
async def process(*arguments: str) -> AsyncIterator[asyncio.subprocess.Process]:
    started = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "gateway.cli", *arguments),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env=dict(os.environ),
    )
    try:
        async with asyncio.timeout(LIMIT_S):
            yield started
    finally:
        if started.returncode is None:
            started.kill()
        await started.communicate()


async def test_doctor_says_what_to_do(bluez: FakeBluez, tmp_path: Path) -> None:
    path = tmp_path / "vehicle.toml"
    path.write_text(
        f'gateway = "{VAN}"\ndata_dir = "{tmp_path}/van"\n[radio]\nadapters = ["hci7"]\n'
        '[broker]\nurl = "mqtt://127.0.0.1:1"\n[hub]\nurl = "http://127.0.0.1:1"\n',
        encoding="utf-8",
    )
    async with process("doctor", "--settings", str(path)) as doctor:
        output, errors = await doctor.communicate()
    assert (doctor.returncode, errors) == (1, b"")
    lines = output.decode().splitlines()
    for subject in ("bluetooth", "adapter", "bluez", "broker", "enrolment", "hub", "clock", "disk"):
        assert any(line.split()[1] == subject for line in lines), subject
    assert all("→" in line for line in lines if line.startswith("wrong"))


async def test_scan_prints_a_line_for_each_measurement_and_ends_on_a_signal(bluez: FakeBluez) -> None:
    async with process("scan") as scan:
        assert scan.stdout is not None
        tag = Tag(bluez, TAG)
        reading = asyncio.create_task(scan.stdout.readline())
        while not reading.done():  # it may not listen yet
            tag.advertise(7, -5.0)
            await asyncio.wait([reading], timeout=0.1)
        assert reading.result().decode().split("\t") == [TAG, "ruuvitag", "-5.00", "3.00 V", "-60", "\n"]
        scan.send_signal(signal.SIGINT)
        assert await scan.wait() == 0


async def test_scan_ends_after_its_time(bluez: FakeBluez) -> None:
    async with process("scan", "--seconds", "0.2") as scan:
        assert await scan.communicate() == (b"", b"")
        assert scan.returncode == 0


async def test_scan_once_tells_at_the_end_as_json_too(bluez: FakeBluez) -> None:
    tag = Tag(bluez, TAG)
    async with process("scan", "--once", "--json", "--seconds", "1") as scan:
        waiting = asyncio.create_task(scan.communicate())
        while not waiting.done():  # it may not listen yet
            tag.advertise(7, -5.0)
            await asyncio.wait([waiting], timeout=0.1)
    output, errors = waiting.result()
    (heard,) = json.loads(output)
    age_s = heard.pop("age_s")
    assert (scan.returncode, errors, age_s >= 0) == (0, b"", True)
    told = {"logger": TAG, "kind": "ruuvitag", "maker": "Ruuvi", "temperature_c": -5.0, "rssi_dbm": -60, "note": ""}
    assert heard == told | {"battery_mv": 3000, "battery_pct": None}


async def test_scan_once_that_hears_nothing_says_so(bluez: FakeBluez) -> None:
    async with process("scan", "--once", "--seconds", "0.2") as scan:
        assert await scan.communicate() == (b"", b"coldchain: no logger was heard in 0.2 s\n")
        assert scan.returncode == 1


@asynccontextmanager
async def vehicle_that_says(folder: Path, boxes: list[dict[str, object]]) -> AsyncIterator[VehicleSettings]:
    """Something on this machine that answers as a vehicle whose boxes stand like this."""
    state = {"gateway": VAN, "boxes": [{"label": "", "temperature_c": None, "age_s": None, **box} for box in boxes]}

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        body = json.dumps(state).encode()
        writer.write(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body))
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    found = settings(folder)
    found.data_dir.mkdir()
    (found.data_dir / PORT_FILE).write_text(str(server.sockets[0].getsockname()[1]))
    async with server:
        yield found


async def test_what_loggers_need_is_said_with_what_to_do(tmp_path: Path) -> None:
    boxes: list[dict[str, object]] = [
        {"code": "BOX-1", "state": "ok", "faults": ["battery_low"], "needs": ["calibration_due"]},
        {"code": "BOX-2", "state": "ok"},
    ]
    async with vehicle_that_says(tmp_path, boxes) as asked:
        found = await check_loggers(asked)
    assert [(finding.subject, finding.text) for finding in found] == [
        ("vehicle", "it runs, with 2 boxes"),
        ("loggers", "BOX-1: battery low"),
        ("loggers", "BOX-1: calibration due"),
    ]
    assert ["coldchain swap" in finding.advice for finding in found] == [False, True, True]
    (stopped,) = await check_loggers(asked)
    assert (stopped.subject, stopped.state) == ("vehicle", State.ODD)


async def test_scan_without_bluetooth_names_the_doctor(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("DBUS_SYSTEM_BUS_ADDRESS", f"unix:path={tmp_path}/none")
    async with process("scan", "--seconds", "1") as scan:
        _, errors = await scan.communicate()
    assert scan.returncode == 1
    assert errors.decode().strip().endswith("`coldchain doctor` looks for the reason")
