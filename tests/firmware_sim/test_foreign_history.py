"""A foreign judge, ruuvitag-sensor, hears the simulated RuuviTag and downloads its log; it shares no code with us."""

import asyncio
import itertools
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import aclosing, asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from ruuvitag_sensor import ruuvi
from ruuvitag_sensor.adapters.bleak_ble import BleCommunicationBleak
from ruuvitag_sensor.ruuvi import RuuviTagSensor

from firmware_sim.firmware import Measurement
from tests.waiting import LIMIT_S

Until = Callable[[Callable[[], object]], Awaitable[None]]
Make = Callable[..., Any]
KINDS = ("temperature", "humidity", "pressure")
EACH_S = 0.02
INTERVAL_S = 300


@pytest.fixture(autouse=True)
def _on_bleak(monkeypatch: pytest.MonkeyPatch) -> None:
    """It chooses its way to Bluetooth at import, and under CI another one."""
    monkeypatch.setattr(ruuvi, "ble", BleCommunicationBleak())


@asynccontextmanager
async def heard_again_and_again(bench: Any) -> AsyncIterator[None]:  # noqa: ANN401 - see conftest.py
    """Let the tag repeat its advertisement: whoever connects by address scans for it first."""

    async def repeat() -> None:
        for turn in itertools.count():
            bench.logger.port.advertise(bench.logger.firmware.broadcasts[0], -60 + turn % 2 * 20)
            await asyncio.sleep(EACH_S)

    task = asyncio.create_task(repeat())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def kept(measurements: list[Measurement]) -> list[Measurement]:
    return [measurement for measurement in measurements if measurement.take.kept_cc is not None]


def kept_cc(measurements: list[Measurement]) -> list[int]:
    return [cc for measurement in measurements if (cc := measurement.take.kept_cc) is not None]


async def download(bench: Any, start: datetime | None = None) -> list[dict[str, Any]]:  # noqa: ANN401 - see conftest.py
    async with heard_again_and_again(bench), asyncio.timeout(LIMIT_S):
        values = await RuuviTagSensor.download_history(bench.logger.address, start)
    return [dict(value) for value in values]


def of_kind(values: list[dict[str, Any]], kind: str) -> list[tuple[int, float]]:
    return [(value["timestamp"], value[kind]) for value in values if value.get(kind) is not None]


async def test_the_whole_history_is_downloaded(make_bench: Make) -> None:
    bench = make_bench(heartbeat_s=60.0, memory_interval_s=INTERVAL_S)
    bench.run(100)
    remembered = kept(bench.measurements)
    began_s = datetime.now(UTC).timestamp()
    values = await download(bench)
    ended_s = datetime.now(UTC).timestamp()
    assert len(values) == len(KINDS) * len(remembered) == 60
    temperatures = of_kind(values, "temperature")
    assert [round(value * 100) for _, value in temperatures] == [one.take.kept_cc for one in remembered]
    times = [at_s for at_s, _ in temperatures]
    assert all(abs(after - before - INTERVAL_S) <= 1 for before, after in itertools.pairwise(times))
    age_s = (bench.now_ms - remembered[-1].at_ms) / 1000
    assert began_s - 2 <= times[-1] + age_s <= ended_s + 2
    assert all(0 <= value <= 100 for _, value in of_kind(values, "humidity"))
    assert all(_lower_16_bits(90_000) < value < _lower_16_bits(110_000) for _, value in of_kind(values, "pressure"))


async def test_what_was_asked_for_and_no_more_is_sent(make_bench: Make) -> None:
    bench = make_bench(heartbeat_s=60.0, memory_interval_s=INTERVAL_S)
    bench.run(100)
    values = await download(bench, datetime.now(UTC) - timedelta(minutes=42))
    assert len(of_kind(values, "temperature")) in (8, 9)


async def test_a_memory_that_has_wrapped_and_a_tag_that_rebooted(make_bench: Make) -> None:
    bench = make_bench(heartbeat_s=60.0, memory_interval_s=INTERVAL_S, memory_records=6)
    bench.run(100)
    newest = [one.take.kept_cc for one in kept(bench.measurements)][-6:]
    assert [round(value * 100) for _, value in of_kind(await download(bench), "temperature")] == newest
    bench.logger.reboot(bench.now_ms + 1000)
    bench.measurements.clear()
    bench.run(12)
    since_boot = [one.take.kept_cc for one in kept(bench.measurements)]
    assert [round(value * 100) for _, value in of_kind(await download(bench), "temperature")] == since_boot


async def test_below_zero(make_bench: Make) -> None:
    """Ruuvi documents 32 bits with a sign; this judge reads the lower 16 of them, without one."""
    bench = make_bench(heartbeat_s=60.0, memory_interval_s=INTERVAL_S, offset_c=-10.0)
    bench.run(30)
    truth = kept_cc(bench.measurements)
    assert max(truth) < 0
    temperatures = [round(value * 100) for _, value in of_kind(await download(bench), "temperature")]
    assert temperatures == [_lower_16_bits(value) for value in truth]


def _lower_16_bits(value: int) -> int:
    return value % 65_536


async def test_its_broadcasts_are_decoded(make_bench: Make) -> None:
    bench = make_bench(heartbeat_s=2.0)
    bench.run(3)
    truth = bench.measurements[-1].take
    async with (
        heard_again_and_again(bench),
        asyncio.timeout(LIMIT_S),
        aclosing(RuuviTagSensor.get_data_async()) as said,
    ):
        address, values = await anext(said)
    assert address == bench.logger.address
    assert values["data_format"] == 5
    assert values["measurement_sequence_number"] == truth.counter
    assert values["temperature"] == pytest.approx(truth.temperature_mc / 1000, abs=0.0051)
