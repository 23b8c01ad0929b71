from __future__ import annotations

import sys

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core import logger_records
from gateway.core.errors import ForgottenError
from gateway.core.logger_records import COUNTED_MIN, RUNS_MAX, TAIL, Kept, LoggerRecord, PackedObservations
from gateway.core.observations import Observation, Source
from gateway.core.readings import HALF_WRAP_MS, Reading, merge_observations

MINUTE_MS = 60_000


def hear(minute: int, counter: int | None = None, temperature_mc: int = 5000) -> Observation:
    at_ms = minute * MINUTE_MS
    return Observation("A", Source.LIVE, at_ms, True, at_ms, 60, temperature_mc, counter)


observations = st.builds(
    Observation,
    logger=st.just("A"),
    source=st.sampled_from(Source),
    measured_at_ms=st.integers(0, 40).map(lambda half: half * 30_000),
    clock_trusted=st.booleans(),
    monotonic_ms=st.integers(0, 2),
    interval_s=st.sampled_from([30, 300]),
    temperature_mc=st.sampled_from([4000, 5000]),
    counter=st.none() | st.integers(0, 7),
    time_error_ms=st.sampled_from([0, 1000]),
    light_lux=st.none() | st.just(3),
    shock_mg=st.none() | st.just(4),
)


scripts = st.lists(st.tuples(observations, st.booleans()), max_size=40)
in_order = scripts.map(lambda script: sorted(script, key=lambda step: step[0].measured_at_ms))


@given(scripts | in_order, st.sampled_from([300_000, 1 << 40]))
def test_it_is_what_merging_all_at_once_gives(script: list[tuple[Observation, bool]], half_wrap_ms: int) -> None:
    record, told = LoggerRecord(0.5, half_wrap_ms), list[Reading]()
    coming = list[Observation]()
    for observation, is_asked in [*script, *script[:5]]:
        coming.append(observation)
        if is_asked:
            record.add(coming)
            coming = []
            news = record.take_news()
            told = list(record.readings()) if news is None else told + news
            assert told == record.readings()
    record.add(coming)
    whole = merge_observations((o for o, _ in script), offset_c=0.5, half_wrap_ms=half_wrap_ms)
    assert tuple(record.readings()) == whole.readings
    assert record.conflicts == sorted(known.measured_at_ms for known, _ in whole.conflicts)


@given(st.lists(observations, max_size=20))
def test_packing_keeps_what_is_merged_by(several: list[Observation]) -> None:
    packed = PackedObservations()
    for observation in sorted(several, key=lambda one: one.measured_at_ms):
        packed.append(observation, is_reading=True)
        assert observation in packed
    assert merge_observations(packed).readings == merge_observations(several).readings


def test_what_is_new_is_told_once() -> None:
    record = LoggerRecord()
    for minute in range(2000):
        record.add([hear(minute, minute)])
    assert record.take_news() == record.readings()
    record.add([hear(2000, 2000)])
    assert record.take_news() == record.readings()[-1:]
    record.add([hear(1999, 1, 7000)])
    assert record.take_news() is None
    assert record.take_news() == []


def stored(record: LoggerRecord) -> Kept:
    return msgspec.msgpack.decode(msgspec.msgpack.encode(record.keep("A")), type=Kept)


kept_tails = st.sampled_from([1, 2, 64])


@given(scripts | in_order, st.sampled_from([120_000, 300_000, 1 << 40]), kept_tails)
def test_what_was_kept_goes_on_as_if_it_were_all_or_says_that_it_cannot(
    script: list[tuple[Observation, bool]], half_wrap_ms: int, tail: int
) -> None:
    whole, part = LoggerRecord(0.5, half_wrap_ms), LoggerRecord(0.5, half_wrap_ms)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(logger_records, "TAIL", tail)
        for observation, is_kept in script:
            whole.add([observation])
            try:
                part.add([observation])
            except ForgottenError:
                return
            news = whole.take_news()
            told = part.take_news()
            assert told == news
            assert part.conflicts == whole.conflicts
            if is_kept:
                part = LoggerRecord(0.5, half_wrap_ms, kept=stored(part))


def test_in_order_nothing_is_asked_of_what_was_not_kept_however_numbers_come_round() -> None:
    """A counter that wraps in a day, heard each minute for five days, kept and gone on from each hour and a bit."""
    whole, part = LoggerRecord(), LoggerRecord()
    for minute in range(5 * 1440):
        heard = hear(minute, minute * 47 % 65_535)
        whole.add([heard])
        part.add([heard])
        assert part.take_news() == whole.take_news()
        if minute % 71 == 0:
            kept = stored(part)
            part = LoggerRecord(kept=kept)
            assert len(kept.older) <= RUNS_MAX
    assert len(msgspec.msgpack.encode(part.keep("A"))) < TAIL * logger_records._ROW.size + 500


def test_a_number_that_something_forgotten_may_have_borne_is_not_guessed_at() -> None:
    record = LoggerRecord()
    for minute in range(3 * TAIL):
        record.add([hear(minute, minute)])
    part = LoggerRecord(kept=stored(record))
    part.add([hear(3 * TAIL, 3 * TAIL - 1)])  # a second gateway's, late
    assert part.take_news() == []
    with pytest.raises(ForgottenError):
        part.add([hear(3 * TAIL + 1, TAIL)])
    with pytest.raises(ForgottenError):
        part.readings()


def test_numbers_that_jump_about_take_no_more_room() -> None:
    record = LoggerRecord()
    for minute in range(500):
        record.add([hear(minute, minute * 7919 % 997 + 1)])
    kept = record.keep("A")
    assert len(kept.older) <= RUNS_MAX
    for minute in range(500 - TAIL):
        part = LoggerRecord(kept=kept)
        with pytest.raises(ForgottenError):
            part.add([hear(501, minute * 7919 % 997 + 1)])


def test_numbers_older_than_half_a_wrap_are_forgotten() -> None:
    record = LoggerRecord()
    for minute in range(5000):
        record.add([hear(minute, minute * 47 % 65_535)])
    assert len(record._counted) <= max(COUNTED_MIN, HALF_WRAP_MS // MINUTE_MS * 5 // 4 + 2)


def test_three_days_of_a_logger_take_less_than_two_hundred_kilobytes() -> None:
    record = LoggerRecord()
    for minute in range(3 * 1440):
        record.add([hear(minute, minute, 5000 + minute % 700)])
    packed = record._packed
    assert len(packed) == 3 * 1440
    assert sys.getsizeof(packed._rows) <= 4320 * logger_records._ROW.size * 1.2
    assert len(packed._kind_at) == 1
