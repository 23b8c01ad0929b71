"""Readings: what observations amount to, whoever heard them, however often and in whatever order."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from gateway.core.logger_records import LoggerRecord
from gateway.core.observations import Observation, Source
from gateway.core.readings import HALF_WRAP_MS, Merged, merge_observations
from tests.core.specimens import examples
from tests.core.trips import START_MS, observe, observe_all, steady

HOUR = 60


def memory(minute: float, temperature_c: float) -> Observation:
    return observe(minute, temperature_c, source=Source.MEMORY, interval_s=300)


def minutes(merged: Merged) -> list[float]:
    return [(reading.at_ms - START_MS) / 60_000 for reading in merged.readings]


# --- live ------------------------------------------------------------------------------------------------------------


def test_two_gateways_hear_one_reading() -> None:
    merged = merge_observations([observe(0, 5, counter=7), observe(0.1, 5, counter=7), observe(1, 5, counter=8)])
    assert minutes(merged) == [0, 1]
    assert (merged.repeated, merged.conflicts) == (1, ())


def test_a_repeated_old_value_is_not_a_new_reading() -> None:
    merged = merge_observations([observe(minute, 5, counter=7) for minute in range(60)])
    assert minutes(merged) == [0]
    assert merged.repeated == 59


@pytest.mark.parametrize(("later_ms", "count"), [(HALF_WRAP_MS - 1, 1), (HALF_WRAP_MS, 2)])
def test_a_number_is_the_same_measurement_within_half_a_wrap(later_ms: int, count: int) -> None:
    first = observe(0, 5, counter=7)
    merged = merge_observations([first, replace(first, measured_at_ms=first.measured_at_ms + later_ms)])
    assert len(merged.readings) == count


def test_a_counter_that_wraps_goes_on() -> None:
    counters = [65_533, 65_534, 0, 1]
    merged = merge_observations([observe(place, 5, counter=counter) for place, counter in enumerate(counters)])
    assert [reading.counter for reading in merged.readings] == counters


def test_without_a_counter_the_same_moment_and_value_are_one_reading() -> None:
    merged = merge_observations([observe(0, 5), observe(0, 5), observe(0, 6), observe(1, 5)])
    assert [(reading.at_ms - START_MS, reading.temperature_c) for reading in merged.readings] == [
        (0, 5),
        (0, 6),
        (60_000, 5),
    ]


def test_conflicting_values_of_one_measurement_are_kept_beside_the_one_that_counts() -> None:
    one, other = observe(0, 5, counter=7), observe(0.1, 6, counter=7)
    merged = merge_observations([other, one])
    assert [reading.temperature_c for reading in merged.readings] == [5]
    assert merged.conflicts == ((one, other),)


def test_of_two_stamps_for_one_moment_the_trusted_one_counts() -> None:
    doubtful, sure = observe(0, 5, counter=7, clock_trusted=False), observe(0, 5, counter=7)
    (reading,) = merge_observations([doubtful, sure]).readings
    assert reading.clock_trusted


# --- memory ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("minute", "is_new"), [(2.4, False), (2.5, False), (2.6, True), (-2.5, False), (-2.6, True)])
def test_a_memory_record_is_new_only_if_nothing_lies_within_half_its_interval(minute: float, *, is_new: bool) -> None:
    merged = merge_observations([observe(0, 5), memory(minute, 5)])
    assert len(merged.readings) == 1 + is_new
    assert merged.repeated == (not is_new)


def test_memory_fetched_twice_with_other_seconds_is_there_once() -> None:
    first = [memory(minute, 5) for minute in range(0, 60, 5)]
    again = [memory(minute + 0.02, 5) for minute in range(0, 60, 5)]
    merged = merge_observations([*first, *again])
    assert len(merged.readings) == 12
    assert merged.repeated == 12


def test_memory_fills_a_gap_and_no_more() -> None:
    live = observe_all([*steady(5, 0, 30), *steady(5, 60, 90)])
    merged = merge_observations([*live, *(memory(minute, 5.5) for minute in range(0, 90, 5))])
    assert [
        m for m, reading in zip(minutes(merged), merged.readings, strict=True) if reading.source is Source.MEMORY
    ] == [
        35,
        40,
        45,
        50,
        55,
    ]
    assert {reading.interval_s for reading in merged.readings} == {60, 300}


# --- readings --------------------------------------------------------------------------------------------------------


def test_the_calibration_offset_is_applied_and_the_observation_is_not_altered() -> None:
    observation = observe(0, 5.005)
    (reading,) = merge_observations([observation], offset_c=-0.3).readings
    assert reading.temperature_c == 4.705
    assert observation.temperature_mc == 5005


many = st.lists(
    st.builds(
        observe,
        st.integers(0, 100).map(lambda place: place * 0.5) | st.integers(0, 5).map(lambda place: place * 11 * HOUR),
        st.sampled_from([4.0, 5.0, 6.0]),
        source=st.sampled_from(Source),
        interval_s=st.sampled_from([30, 300]),
        counter=st.none() | st.integers(0, 3),
        clock_trusted=st.booleans(),
    ),
    max_size=25,
)


@examples
@given(many, st.data())
def test_neither_order_nor_repetition_matters(observations: list[Observation], data: st.DataObject) -> None:
    shuffled = data.draw(st.permutations([*observations, *observations]))
    assert merge_observations(shuffled).readings == merge_observations(observations).readings
    assert merge_observations(shuffled).conflicts == merge_observations(observations).conflicts


@examples
@given(many, st.data())
def test_a_record_kept_up_is_the_merge_of_all(observations: list[Observation], data: st.DataObject) -> None:
    record = LoggerRecord()
    for observation in data.draw(st.permutations(observations)):
        record.add([observation])
        if data.draw(st.booleans()):
            record.readings()
    merged = merge_observations(observations)
    assert tuple(record.readings()) == merged.readings
    assert list(record.conflicts) == sorted(known.measured_at_ms for known, _ in merged.conflicts)


@examples
@given(many, st.data())
def test_news_are_what_was_appended_or_a_word_that_all_is_new(
    observations: list[Observation], data: st.DataObject
) -> None:
    record = LoggerRecord()
    known = list(record.readings())
    for observation in data.draw(st.permutations(observations)):
        record.add([observation])
        news = record.take_news()
        known = list(record.readings()) if news is None else [*known, *news]
        assert known == list(record.readings())
