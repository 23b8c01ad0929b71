import json

import pytest

from firmware_sim.clock import ClockError, DomainClock, clock_from

START_MS = 1_773_126_000_000
GOOD = {"start": "2026-03-10T08:00:00+01:00", "rate": 240, "anchor_ns": 5, "stop": "2026-03-10T13:00:00+01:00"}


def clock(real_s: float, **changes: object) -> DomainClock:
    made = clock_from({"COLDCHAIN_CLOCK_JSON": json.dumps({**GOOD, **changes})})
    return DomainClock(made.start_ms, made.rate, made.anchor_ns, made.stop_ms, lambda: 5 + int(real_s * 1e9))


def test_runs_faster() -> None:
    assert clock(0).now_ms() == START_MS
    assert clock(10).now_ms() == START_MS + 2_400_000


def test_parks_at_its_stop() -> None:
    parked = clock(1000)
    assert parked.now_ms() == START_MS + 5 * 3_600_000
    assert parked.running_ms() == START_MS + 240_000_000
    assert parked.real_s(2_400) == 0.01


def test_may_have_no_stop() -> None:
    assert clock(1000, stop=None).now_ms() == START_MS + 240_000_000


def test_without_the_variable_it_is_real_time() -> None:
    real = clock_from({})
    assert real.rate == 1.0
    assert real.stop_ms is None
    assert real.now_ms() > START_MS


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"start": "2026-03-10T08:00:00"}, "start: has no offset"),
        ({"start": "today"}, "start: must be a time"),
        ({"start": None}, "start: must be a time"),
        ({"stop": 13}, "stop: must be a time"),
        ({"rate": 0}, "rate: must be a positive"),
        ({"rate": "fast"}, "rate: must be a number"),
        ({"rate": True}, "rate: must be a number"),
        ({"anchor_ns": None}, "anchor_ns: must be a number"),
    ],
)
def test_each_mistake_is_named(changes: object, reason: str) -> None:
    with pytest.raises(ClockError, match=reason):
        clock(0, **changes)


@pytest.mark.parametrize("text", ["{", "[]", "1"])
def test_no_json_object(text: str) -> None:
    with pytest.raises(ClockError, match="JSON"):
        clock_from({"COLDCHAIN_CLOCK_JSON": text})
