"""The day that the demonstration plays: what its boxes must do, from the physics alone."""

from itertools import pairwise
from pathlib import Path

import pytest

import firmware_sim
from firmware_sim import scenario, world

DAY = Path(firmware_sim.__file__).parent / "scenarios" / "day.toml"
MINUTES = range(301)


def minute(hour: int, minutes: int) -> int:
    return (hour - 8) * 60 + minutes


@pytest.fixture(scope="module")
def trip() -> scenario.Scenario:
    return scenario.load(DAY)


@pytest.fixture(scope="module")
def traces(trip: scenario.Scenario) -> dict[str, list[float]]:
    """Each box's logger temperature at each minute."""
    return {box.code: [box.at(60 * m).temperature_c for m in MINUTES] for box in world.build(trip)}


def test_span_and_loggers(trip: scenario.Scenario) -> None:
    assert (trip.clock.stop - trip.clock.start).total_seconds() == 5 * 3600
    assert trip.clock.rate == 240
    assert [box.code for box in trip.boxes] == [f"BOX-{number}" for number in range(1, 7)]
    assert [box.logger.memory for box in trip.boxes] == [True] * 5 + [False]


def test_room_temperature_box(traces: dict[str, list[float]]) -> None:
    assert min(traces["BOX-1"]) > 19
    assert max(traces["BOX-1"]) < 22


@pytest.mark.parametrize("code", ["BOX-2", "BOX-3", "BOX-6"])
def test_cold_boxes_hold(traces: dict[str, list[float]], code: str) -> None:
    assert min(traces[code]) > 3.5
    assert max(traces[code]) < 6.5


def test_blood_culture_gets_cold(traces: dict[str, list[float]]) -> None:
    trace = traces["BOX-4"]
    assert trace[0] == pytest.approx(21, abs=0.5)
    assert min(trace) < 3
    assert all(after <= before for before, after in pairwise(trace))


def test_vaccine_box_has_one_excursion_and_returns(traces: dict[str, list[float]]) -> None:
    trace = traces["BOX-5"]
    warm = [m for m in MINUTES if trace[m] > 8]
    assert 4 < trace[0] < 5
    assert len(warm) >= 45
    assert warm == list(range(warm[0], warm[-1] + 1))
    assert 10 < max(trace) < 15
    assert minute(9, 40) < warm[0]
    assert warm[-1] < minute(11, 0)
    assert all(value < 7 for value in trace[minute(11, 0) :])
    assert all(3.5 < value < 6.5 for value in trace[: minute(9, 40)])


def test_mishaps_do_not_overlap(trip: scenario.Scenario) -> None:
    away = trip.boxes[2].carried_away[0]
    down, kill = trip.events
    lid = trip.boxes[4].lid_open[0]
    dies_at = trip.boxes[5].logger.dies_at
    assert (away.ends_at - away.begins_at).total_seconds() == 25 * 60
    assert away.begins_at <= trip.clock.start.replace(hour=10, minute=30) <= away.ends_at
    assert dies_at == trip.clock.start.replace(hour=10, minute=50)
    assert (down.ends_at - down.begins_at).total_seconds() == 40 * 60
    assert max(away.ends_at, lid.ends_at, dies_at) < down.begins_at < down.ends_at < kill.at < trip.clock.stop
