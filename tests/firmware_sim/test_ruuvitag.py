import random
import struct
from dataclasses import replace
from typing import Any

import pytest

from firmware_sim import battery
from firmware_sim.firmware import Environment, LoggerSettings, Measurement
from firmware_sim.ruuvitag import RuuviTag

START_MS = 1_773_126_000_000
INSIDE = Environment(5.0, 80.0, 100_400.0)
SETTINGS = LoggerSettings("CB:B8:33:4C:88:4F", heartbeat_s=10.0)


def make(seed: int = 1, **changes: object) -> RuuviTag:
    return RuuviTag(replace(SETTINGS, **changes), START_MS, random.Random(seed))  # noqa: S311 - repeatable, not secret


def run(tag: RuuviTag, count: int, environment: Environment = INSIDE) -> list[Measurement]:
    return [tag.measure(environment) for _ in range(count)]


def fields(payload: bytes) -> tuple[Any, ...]:
    return struct.unpack(">BhHHhhhHBH6s", payload)


def test_same_seed_same_tag() -> None:
    assert run(make(), 20) == run(make(), 20)
    assert run(make(), 20) != run(make(seed=2), 20)


def test_measurement_is_advertised_and_known_exactly() -> None:
    tag = make()
    measurement = tag.measure(INSIDE)
    assert measurement.payload == tag.payload
    form, temperature, *_, counter, address = fields(measurement.payload)
    assert (form, counter, address.hex()) == (5, 0, "cbb8334c884f")
    assert measurement.take.temperature_mc == temperature * 5
    assert abs(measurement.take.temperature_mc - 5000) < 100


@pytest.mark.parametrize(("drift_ppm", "expected_ms"), [(0, 1_000_000), (100, 999_900), (-100, 1_000_100)])
def test_oscillator_drifts(drift_ppm: float, expected_ms: int) -> None:
    measurements = run(make(drift_ppm=drift_ppm), 101)
    assert measurements[-1].at_ms - measurements[0].at_ms == pytest.approx(expected_ms, abs=2)


def test_first_measurement_comes_within_a_heartbeat() -> None:
    phases = {make(seed=seed).due_at_ms - START_MS for seed in range(20)}
    assert len(phases) > 10
    assert all(0 <= phase < 10_000 for phase in phases)


def test_counter_wraps_and_the_number_does_not() -> None:
    measurements = run(make(first_number=65_533), 4)
    assert [measurement.number for measurement in measurements] == [65_533, 65_534, 65_535, 65_536]
    assert [measurement.take.counter for measurement in measurements] == [65_533, 65_534, 0, 1]
    assert [fields(measurement.payload)[9] for measurement in measurements] == [65_533, 65_534, 0, 1]


def test_every_five_minutes_are_kept() -> None:
    tag = make()
    kept = [measurement.number for measurement in run(tag, 100) if measurement.take.kept_cc is not None]
    assert kept == [0, 30, 60, 90]
    assert [record.number for record in tag.memory] == kept


def request(now_s: int, start_s: int) -> bytes:
    return struct.pack(">BBBII", 0x3A, 0x3A, 0x11, now_s, start_s)


def served(tag: RuuviTag, now_ms: float, reader_now_s: int) -> dict[int, int]:
    """The temperatures of the log by their served time."""
    frames = list(tag.answer(request(reader_now_s, reader_now_s - 86_400), now_ms))
    assert frames[-1] == bytes.fromhex("3A3A10FFFFFFFFFFFFFFFF")
    values = [struct.unpack(">BBBIi", frame) for frame in frames[:-1]]
    return {at_s: value for _, field, _, at_s, value in values if field == 0x30}


def test_log_serves_what_was_measured_when_it_was() -> None:
    tag = make()
    measurements = [measurement for measurement in run(tag, 100) if measurement.take.kept_cc is not None]
    now_ms = tag.due_at_ms
    log = served(tag, now_ms, now_ms // 1000)
    assert list(log.values()) == [measurement.take.kept_cc for measurement in measurements]
    for measurement, at_s in zip(measurements, log, strict=True):
        assert abs(measurement.at_ms / 1000 - at_s) <= 1


def test_log_believes_the_readers_clock() -> None:
    tag = make()
    run(tag, 100)
    now_ms = tag.due_at_ms
    right, wrong = served(tag, now_ms, now_ms // 1000), served(tag, now_ms, now_ms // 1000 + 3600)
    assert [at_s + 3600 for at_s in right] == list(wrong)


def test_an_old_record_bears_the_drift() -> None:
    tag = make(drift_ppm=1000)
    first, *_ = run(tag, 1001)
    now_ms = tag.due_at_ms
    oldest_s = next(iter(served(tag, now_ms, now_ms // 1000)))
    assert first.at_ms / 1000 - oldest_s == pytest.approx(10, abs=1.5)  # 10,000 s at 0.1 % too fast


def test_no_memory_no_log() -> None:
    tag = make(has_memory=False)
    assert not any(measurement.take.kept_cc for measurement in run(tag, 100))
    assert served(tag, tag.due_at_ms, tag.due_at_ms // 1000) == {}


def test_nonsense_has_no_answer() -> None:
    assert list(make().answer(b"hello", START_MS)) == []


def test_battery_sags_with_age_and_cold() -> None:
    assert battery.voltage_mv(0, 21) == 3000
    assert battery.voltage_mv(450, 21) < 3000
    assert battery.voltage_mv(450, -15) < battery.voltage_mv(450, 21)
    warm, cold = make(), make()
    assert fields(run(warm, 1)[0].payload)[7] >> 5 > fields(run(cold, 1, Environment(-15, 80, 1e5))[0].payload)[7] >> 5


def test_battery_percent() -> None:
    assert [battery.percent(mv) for mv in (1800, 2000, 2500, 3000, 3300)] == [0, 0, 50, 100, 100]
