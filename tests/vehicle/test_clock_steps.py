"""A real `coldchain vehicle` whose machine's clock is set back and forth while it records.

libfaketime stands between the process and its wall clock; the clock of the machine that runs the tests is not touched.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from firmware_sim.bluez import FakeBluez
from gateway.core.contents import decode_content
from gateway.core.observations import Observation
from gateway.core.records import ClockCorrection
from gateway.hub.processes.broker import EmbeddedBroker
from gateway.keys import load_or_create_key
from gateway.vehicle.enrolment import Enrolment, save_enrolment
from gateway.vehicle.timekeeping import SANE_FROM_MS
from tests.vehicle.carried import configuration
from tests.vehicle.fakes import HUB_KEY, FakeHub
from tests.vehicle.samples import TAG, VAN
from tests.vehicle.tags import Tag
from tests.waiting import LIMIT_S

HOUR_S = 3600
TOLERANCE_MS = 90_000
"""Stalls of a busy machine; the steps are forty times that."""
FEW = 3
LIBRARY = next(iter(sorted(Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"))), None)

pytestmark = pytest.mark.skipif(LIBRARY is None, reason="libfaketime is not installed (Debian: faketime)")


class WallClock:
    """The vehicle's wall clock: the machine's, set off by so many seconds."""

    def __init__(self, folder: Path) -> None:
        self._file = folder / "offset"
        self.set_off(0)

    def set_off(self, seconds: int) -> None:
        fresh = self._file.with_suffix(".new")
        fresh.write_text(f"{seconds:+d}\n")
        fresh.replace(self._file)

    def environment(self) -> dict[str, str]:
        return {
            "LD_PRELOAD": str(LIBRARY),
            "FAKETIME_TIMESTAMP_FILE": str(self._file),
            "FAKETIME_NO_CACHE": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        }


@asynccontextmanager
async def driving(folder: Path, broker: str, clock: WallClock) -> AsyncIterator[None]:
    settings = folder / "vehicle.toml"
    settings.write_text(
        f'gateway = "{VAN}"\ndata_dir = "{folder}/van"\n[broker]\nurl = "{broker}"\n[hub]\nurl = "http://127.0.0.1:9"\n'
        "[recording]\ninterval_s = 1\nseal_interval_s = 1\n",
        encoding="utf-8",
    )
    with (folder / "log").open("wb") as log:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "gateway.cli", "vehicle", "--settings", str(settings)),
            stdout=asyncio.subprocess.PIPE,
            stderr=log,
            env=os.environ | clock.environment(),
        )
        try:
            assert process.stdout is not None
            assert (await process.stdout.readline()).startswith(b"READY "), (folder / "log").read_text()
            yield
            assert process.returncode is None
        finally:
            if process.returncode is None:
                process.send_signal(signal.SIGTERM)
            await process.wait()
    assert b"Traceback" not in (folder / "log").read_bytes()


async def test_a_clock_set_back_and_forth_loses_and_moves_no_reading(tmp_path: Path, bluez: FakeBluez) -> None:
    clock, tag, said_at_ms = WallClock(tmp_path), Tag(bluez, TAG), dict[int, int]()
    (tmp_path / "van").mkdir()
    save_enrolment(tmp_path / "van", Enrolment(hub_public_key=HUB_KEY.public_bytes.hex(), token="t"))
    key = load_or_create_key(tmp_path / "van" / "gateway.key")
    async with EmbeddedBroker(tmp_path / "broker") as broker, FakeHub(broker.url, key).running() as hub:
        await hub.configure(configuration(version=1).model_dump_json().encode())

        async def record(is_enough: Callable[[list[Observation]], bool]) -> None:
            known = len(observations(hub))
            async with asyncio.timeout(LIMIT_S):
                while not is_enough(observations(hub)[known:]):
                    number = len(said_at_ms) + 1
                    said_at_ms[number] = time.time_ns() // 1_000_000
                    tag.advertise(number)
                    await asyncio.sleep(0.3)

        def is_right(heard: Observation) -> bool:
            return abs(heard.measured_at_ms - said_at_ms[heard.counter or 0]) < TOLERANCE_MS

        async with driving(tmp_path, broker.url, clock):
            await record(lambda heard: len(heard) >= FEW)
            for offset_s in (-2 * HOUR_S, 3 * HOUR_S, -40 * 365 * 24 * HOUR_S):
                clock.set_off(offset_s)
                await record(lambda heard: len(heard) >= FEW)
            clock.set_off(0)
            await record(lambda heard: any(is_right(observation) for observation in heard))
        heard = observations(hub)

    assert len(heard) > 4 * FEW
    assert len({observation.counter for observation in heard}) == len(heard)
    first = heard[0]
    for observation in heard:
        passed_ms = said_at_ms[observation.counter or 0] - said_at_ms[first.counter or 0]
        assert abs(observation.monotonic_ms - first.monotonic_ms - passed_ms) < TOLERANCE_MS
        assert observation.measured_at_ms > SANE_FROM_MS
    steps = [record for record in corrections(hub) if abs(record.at_ms - record.before_ms) > HOUR_S * 1000]
    assert steps, "the steps are on record"


def observations(hub: FakeHub) -> list[Observation]:
    held = [segment for epoch in hub.epochs.values() for segment in epoch if segment.body is not None]
    return [o for segment in held for o in decode_content(segment.body or b"").observations]


def corrections(hub: FakeHub) -> list[ClockCorrection]:
    held = [segment for epoch in hub.epochs.values() for segment in epoch if segment.body is not None]
    records = [record for segment in held for record in decode_content(segment.body or b"").records]
    return [record for record in records if isinstance(record, ClockCorrection)]
