"""Each kind of harm, done to a record on purpose, is found and counted; a whole record has none."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from gateway.core.observations import Observation, Source
from gateway.demo.reckoning import Custody, LoggerTruth, Measurement, Place, Record, reckon

LOGGER = "C0:FF:EE:00:00:01"
HOUR_MS = 3_600_000
FIRST_NUMBER = 65_000  # the counter wraps on the way

MEASURED = tuple(
    Measurement(FIRST_NUMBER + n, n * 1_285, 5_000 + (n * 37) % 600 * 5) for n in range(5 * HOUR_MS // 1_285)
)
MEMORY = tuple(MEASURED[n] for n in range(0, len(MEASURED), 300_000 // 1_285))
TRUTH = {LOGGER: LoggerTruth(MEASURED, MEMORY)}
CUSTODY = (Custody(LOGGER, 0, 5 * HOUR_MS),)
DEAD = range(2 * HOUR_MS, 2 * HOUR_MS + 1_500_000)  # out of range for 25 minutes


def _live(measurement: Measurement) -> Observation:
    heard_ms = measurement.at_ms + 400
    return Observation(
        LOGGER, Source.LIVE, heard_ms, True, heard_ms, 30, measurement.temperature_mc, measurement.number % 65_535
    )


def _fetched(measurement: Measurement, *, late_ms: int = 20_000) -> Observation:
    at_ms = measurement.at_ms + late_ms
    return Observation(LOGGER, Source.MEMORY, at_ms, True, at_ms, 300, measurement.temperature_mc)


def _record(observations: list[Observation]) -> dict[Place, Observation]:
    return {Place("van", "e1", n // 10, n % 10): observation for n, observation in enumerate(observations)}


@pytest.fixture
def whole() -> dict[Place, Observation]:
    """One live reading each half minute but for the dead stretch, which memory fills."""
    live = [_live(m) for m in MEASURED[::23] if m.at_ms not in DEAD]
    fetched = [_fetched(m) for m in MEMORY if m.at_ms - 300_000 in DEAD or m.at_ms + 300_000 in DEAD]
    return _record(live + fetched)


def test_a_whole_record_is_clean(whole: Record) -> None:
    account = reckon(TRUTH, whole, whole, CUSTODY)
    assert account.is_clean
    assert account.recorded == account.delivered == len(whole)
    assert account.backfilled == 4


def test_a_sealed_observation_that_never_arrived_is_lost(whole: dict[Place, Observation]) -> None:
    gone = Place("van", "e1", 3, 4)
    archived = {place: row for place, row in whole.items() if place != gone}
    account = reckon(TRUTH, whole, archived, CUSTODY)
    assert [finding.what for finding in account.lost] == [f"sealed at {gone}, not at the hub"]
    assert account.delivered == account.recorded - 1


def test_what_only_the_memory_knows_is_lost_during_custody(whole: dict[Place, Observation]) -> None:
    live = {place: row for place, row in whole.items() if row.source is Source.LIVE}
    account = reckon(TRUTH, live, live, CUSTODY)
    assert len(account.lost) == 4
    assert all(finding.at_ms in range(DEAD.start - 300_000, DEAD.stop + 300_000) for finding in account.lost)
    assert reckon(TRUTH, live, live, [Custody(LOGGER, 0, DEAD.start)]).is_clean


def test_a_logger_without_memory_leaves_nothing_behind(whole: dict[Place, Observation]) -> None:
    live = {place: row for place, row in whole.items() if row.source is Source.LIVE}
    assert reckon({LOGGER: LoggerTruth(MEASURED)}, live, live, CUSTODY).is_clean


def test_the_same_observation_sealed_twice_is_one_reading(whole: dict[Place, Observation]) -> None:
    again = {Place("van", "e2", 0, 0): whole[Place("van", "e1", 5, 0)]}
    account = reckon(TRUTH, whole | again, whole | again, CUSTODY)
    assert account.is_clean
    assert account.recorded == len(whole) + 1


def test_one_measurement_as_two_readings_is_duplicated(whole: dict[Place, Observation]) -> None:
    known = whole[Place("van", "e1", 5, 0)]
    uncounted = replace(known, counter=None, measured_at_ms=MEASURED[50 * 23].at_ms)
    record = whole | {Place("van", "e1", 900, 0): uncounted}
    assert [finding.logger for finding in reckon(TRUTH, record, record, CUSTODY).duplicated] == [LOGGER]


def test_a_memory_record_stamped_far_off_is_found(whole: dict[Place, Observation]) -> None:
    record = dict(whole)
    for place, row in whole.items():
        if row.source is Source.MEMORY:
            record[place] = replace(row, measured_at_ms=row.measured_at_ms + 200_000)
    assert not reckon(TRUTH, record, record, CUSTODY).is_clean


@pytest.mark.parametrize("change_mc", [5, -5, 65_536])
def test_an_altered_value_is_found_on_either_way(whole: dict[Place, Observation], change_mc: int) -> None:
    place = Place("van", "e1", 7, 7)
    wrong = whole | {place: replace(whole[place], temperature_mc=whole[place].temperature_mc + change_mc)}
    on_the_way = reckon(TRUTH, whole, wrong, CUSTODY)
    assert on_the_way.altered[0].what == f"not what was sealed at {place}"
    at_the_vehicle = reckon(TRUTH, wrong, wrong, CUSTODY)
    assert len(at_the_vehicle.altered) == 1
    assert "the hub has" in at_the_vehicle.altered[0].what


def test_a_reading_nobody_measured_is_found(whole: dict[Place, Observation]) -> None:
    row = whole[Place("van", "e1", 7, 7)]
    stranger = whole | {Place("van", "e1", 901, 0): replace(row, logger="C0:FF:EE:00:00:02")}
    assert [f.what for f in reckon(TRUTH, stranger, stranger, CUSTODY).altered] == ["no such logger"]
    uncounted = whole | {Place("van", "e1", 901, 0): replace(row, counter=60_000)}
    assert "no such measurement" in reckon(TRUTH, uncounted, uncounted, CUSTODY).altered[0].what
