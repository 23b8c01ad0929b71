"""A receiver behind the real gpsd, fed over a pseudo-terminal; and one that says strange things."""

from __future__ import annotations

import asyncio
import json
import os
import random
import shutil
import signal
import tty
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta

import pytest

from gateway.core.errors import InputError
from gateway.vehicle.gpsd import DELAY_MS, GpsReceiver, parse_report
from gateway.vehicle.settings import GpsdSettings
from gateway.vehicle.stops import Fix
from tests.servers.ports import free_port
from tests.vehicle.conftest import Until

GPSD = shutil.which("gpsd", path=f"{os.environ['PATH']}:/usr/sbin")
BEGAN = datetime(2026, 3, 10, 7, 0, tzinfo=UTC)
TPV = {"class": "TPV", "mode": 3, "time": "2026-03-10T07:00:00.000Z", "ept": 0.005, "lat": 60.39, "lon": 5.34, "eph": 9}


def line(**changes: object) -> bytes:
    return json.dumps({**TPV, **changes}).encode()


def nmea(body: str) -> bytes:
    check = 0
    for letter in body:
        check ^= ord(letter)
    return f"${body}*{check:02X}\r\n".encode()


def sentences(at: datetime) -> bytes:
    """What a simple receiver says once a second, at 60°23.40' N 5°20.40' E."""
    clock = at.strftime("%H%M%S.00")
    rmc = f"GPRMC,{clock},A,6023.4000,N,00520.4000,E,0.0,0.0,{at:%d%m%y},,,A"
    gga = f"GPGGA,{clock},6023.4000,N,00520.4000,E,1,09,0.9,20.0,M,45.0,M,,"
    gsa = "GPGSA,A,3,04,05,09,12,24,25,29,31,32,,,,1.8,0.9,1.5"
    return nmea(rmc) + nmea(gga) + nmea(gsa)


@asynccontextmanager
async def running_gpsd() -> AsyncIterator[int]:
    assert GPSD is not None
    port = free_port()
    master, slave = os.openpty()
    tty.setraw(slave)
    process = await asyncio.create_subprocess_exec(
        GPSD, "-N", "-n", "-b", "-S", str(port), os.ttyname(slave), stderr=asyncio.subprocess.DEVNULL
    )

    async def feed() -> None:
        at = BEGAN
        while True:
            os.write(master, sentences(at))
            at += timedelta(seconds=1)
            await asyncio.sleep(0.1)

    feeding = asyncio.create_task(feed())
    try:
        yield port
    finally:
        feeding.cancel()
        process.send_signal(signal.SIGTERM)
        await process.wait()
        os.close(master)
        os.close(slave)


def listen(port: int, *, position: bool) -> tuple[GpsReceiver, list[int], list[Fix]]:
    times: list[int] = []
    fixes: list[Fix] = []
    receiver = GpsReceiver(
        ("127.0.0.1", port),
        position=position,
        on_time=lambda at_ms, _error_ms: times.append(at_ms),
        on_fix=fixes.append,
        rng=random.Random(1),  # noqa: S311  jitter
    )
    return receiver, times, fixes


@pytest.mark.skipif(GPSD is None, reason="gpsd is not installed")
@pytest.mark.parametrize("position", [True, False])
async def test_the_real_gpsd_tells_time_and_only_on_request_the_position(until: Until, *, position: bool) -> None:
    async with running_gpsd() as port:
        receiver, times, fixes = listen(port, position=position)
        listening = asyncio.create_task(receiver.run())
        try:
            await until(lambda: len(times) >= 3)
        finally:
            listening.cancel()
    assert datetime.fromtimestamp(times[-1] / 1000, UTC).date() == BEGAN.date()
    assert times[-1] % 1000 == 0
    assert bool(fixes) is position
    assert all(abs(fix.latitude - 60.39) < 0.001 and abs(fix.longitude - 5.34) < 0.001 for fix in fixes)


async def test_a_gpsd_that_comes_late_goes_and_talks_nonsense_is_listened_to_again(until: Until) -> None:
    port = free_port()
    receiver, times, _ = listen(port, position=False)
    listening = asyncio.create_task(receiver.run())
    answers = [b"x" * 200_000, b"\xff\x00\n[]\n{\n" + line(time="yesterday") + b"\n", line() + b"\n"]

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readline()
        writer.write(answers.pop(0) if answers else line() + b"\n")
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", port)
    try:
        await until(lambda: times)
    finally:
        listening.cancel()
        server.close()
        await server.wait_closed()


def test_a_report_of_a_fix_is_time_with_its_error_and_position() -> None:
    report = parse_report(line(), position=True)
    assert report is not None
    assert report.at_ms == round(BEGAN.timestamp() * 1000)
    assert report.error_ms == DELAY_MS + 5
    assert report.fix == Fix(60.39, 5.34, 9)
    assert "60.39" not in repr(report)


@pytest.mark.parametrize(
    "bad",
    [
        line(mode=1),
        line(mode=0),
        line(mode=None),
        line(**{"class": "SKY"}),
        b"",
        b"{",
        b"[]",
        b"7",
        b'{"class":"TPV"}',
    ],
)
def test_what_is_no_fix_says_nothing(bad: bytes) -> None:
    assert parse_report(bad, position=True) is None


@pytest.mark.parametrize("changes", [{"lat": 91}, {"lon": "5"}, {"lat": None}, {"lat": True}])
def test_a_position_that_cannot_be_is_none(changes: dict[str, object]) -> None:
    report = parse_report(line(**changes), position=True)
    assert report is not None
    assert report.fix is None


@pytest.mark.parametrize("text", [None, 5, "soon", "2026-03-10T07:00:00"])
def test_a_time_that_cannot_be_is_none(text: object) -> None:
    report = parse_report(line(time=text), position=False)
    assert report is not None
    assert report.at_ms is None


def test_the_setting_says_where_gpsd_is_and_position_is_off() -> None:
    assert GpsdSettings().host_and_port is None
    settings = GpsdSettings(address="127.0.0.1:2947")
    assert (settings.host_and_port, settings.position) == (("127.0.0.1", 2947), False)
    assert GpsdSettings(address="[::1]:2947").host_and_port == ("::1", 2947)


@pytest.mark.parametrize(
    "settings", [{"position": True}, {"address": "gps"}, {"address": ":1"}, {"address": "a:70000"}]
)
def test_settings_that_cannot_work_are_refused(settings: dict[str, object]) -> None:
    with pytest.raises((ValueError, InputError)):
        GpsdSettings.model_validate(settings)
