from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from gateway.core.counting import Count, agree, pace, witness
from gateway.core.dating import DRIFT_PPM, TRUSTED_ERROR_MS, Dated, Dating, Mark, Range, drift_ms, redate
from gateway.core.observations import Observation, Source

UTC_MS = 1_782_000_000_000
HOUR_MS = 3_600_000
MODULUS = 65_535
PERIOD_MS = 1285.0


def observed(monotonic_ms: int, *, trusted: bool = False) -> Observation:
    return Observation("L", Source.LIVE, 5 + monotonic_ms, trusted, monotonic_ms, 30, 5000)


def test_a_later_mark_dates_what_came_before_it() -> None:
    dating = Dating((Mark(3 * HOUR_MS, UTC_MS, 40),))
    dated = redate(observed(2 * HOUR_MS), dating)
    assert dated.measured_at_ms == UTC_MS - HOUR_MS
    assert dated.clock_trusted
    assert dated.time_error_ms == 40 + HOUR_MS * DRIFT_PPM // 1_000_000


def test_a_trusted_stamp_never_changes() -> None:
    before = observed(1000, trusted=True)
    assert redate(before, Dating((Mark(0, UTC_MS, 0),))) is before


def test_a_memorys_own_error_adds_up() -> None:
    record = replace(observed(1000), source=Source.MEMORY, time_error_ms=2000)
    assert redate(record, Dating((Mark(1000, UTC_MS, 30),))).time_error_ms == 2030


def test_too_far_from_a_mark_the_time_is_known_but_not_trusted() -> None:
    far_ms = (TRUSTED_ERROR_MS + 1) * 1_000_000 // DRIFT_PPM
    dated = Dating((Mark(0, UTC_MS, 0),)).date(far_ms, 0)
    assert dated is not None
    assert (dated.at_ms, dated.trusted) == (UTC_MS + far_ms, False)


@pytest.mark.parametrize(
    ("stamp_ms", "at_ms", "error_ms"),
    [(UTC_MS - 500, UTC_MS + 7, 2001), (UTC_MS + 507, UTC_MS + 507, 1501), (UTC_MS + 9999, UTC_MS + 2008, 2001)],
)
def test_bounds_move_a_stamp_no_further_than_they_must_and_are_never_trusted(
    stamp_ms: int, at_ms: int, error_ms: int
) -> None:
    dated = Dating(range=Range(UTC_MS, UTC_MS + 2001)).date(7, stamp_ms)
    assert dated == Dated(at_ms, error_ms, trusted=False)


def test_nothing_known_changes_nothing() -> None:
    before = observed(1)
    assert redate(before, Dating()) is before


@given(
    st.lists(st.tuples(st.integers(0, 10**9), st.integers(-100, 100), st.integers(0, 5000)), min_size=1, max_size=5),
    st.integers(0, 10**9),
)
def test_the_stated_error_holds_whatever_the_drift(marks: list[tuple[int, int, int]], monotonic_ms: int) -> None:
    """A true clock that runs off by up to DRIFT_PPM, marks wrong by no more than they say."""
    drift_ppm = 77
    true_ms = {m: UTC_MS + m + m * drift_ppm // 1_000_000 for m, _, _ in marks}
    told = tuple(Mark(m, true_ms[m] + min(max(off, -error), error), error) for m, off, error in sorted(marks))
    dated = Dating(told).date(monotonic_ms, 0)
    assert dated is not None
    truth_ms = UTC_MS + monotonic_ms + monotonic_ms * drift_ppm // 1_000_000
    assert abs(dated.at_ms - truth_ms) <= dated.error_ms + 1


def test_drift_is_rounded_up() -> None:
    assert drift_ms(1) == drift_ms(-1) == 1


def counts(from_ms: int, duration_ms: int, *, began_ms: int = 0, step_ms: int = 30_000) -> list[Count]:
    """A logger that counts since `began_ms`, heard every 30 s."""
    moments = range(from_ms, from_ms + duration_ms, step_ms)
    return [Count(at_ms, int((at_ms - began_ms) / PERIOD_MS) % MODULUS) for at_ms in moments]


@given(
    offset_ms=st.integers(UTC_MS, UTC_MS + 400 * HOUR_MS),
    since_ms=st.integers(60_000, 14 * HOUR_MS),
    began_ms=st.integers(UTC_MS - 300 * HOUR_MS, UTC_MS - 200 * HOUR_MS),
)
def test_two_loggers_tell_how_long_the_power_was_off(offset_ms: int, since_ms: int, began_ms: int) -> None:
    bounds = Range(offset_ms - 9 * HOUR_MS, offset_ms + 9 * HOUR_MS)
    said = []
    for own_ms in (began_ms, began_ms + 7_777_777):
        before = counts(offset_ms - since_ms - 60_000, 30_001, began_ms=own_ms)[-1]
        heard = [Count(c.at_ms - offset_ms, c.value) for c in counts(offset_ms, HOUR_MS, began_ms=own_ms)]
        rate = pace(heard, MODULUS)
        assert rate is not None
        found = witness(before, heard[0], rate, MODULUS, bounds)
        assert found is not None
        said.append(found)
    agreed = agree(said)
    assert agreed is not None
    assert agreed.earliest_ms - 1 <= offset_ms <= agreed.latest_ms + 1
    assert agreed.width_ms < 3 * 60_000


def test_one_witness_alone_is_not_believed() -> None:
    assert agree([Range(0, 10)]) is None
    assert agree([Range(0, 10), Range(20, 30)]) is None
    assert agree([Range(0, 10), Range(5, 30), Range(100, 110)]) == Range(5, 10)


def test_two_pairs_that_contradict_each_other_say_nothing() -> None:
    assert agree([Range(0, 10), Range(5, 10), Range(50, 60), Range(55, 60)]) is None


def test_a_restart_among_the_counts_is_no_pace() -> None:
    steady = counts(0, HOUR_MS)
    assert pace(steady, MODULUS) is not None
    restarted = [*steady[:60], *(Count(c.at_ms, (c.value - 1400) % MODULUS) for c in steady[60:])]
    assert pace(restarted, MODULUS) is None
    assert pace(steady[:2], MODULUS) is None
    assert pace([], MODULUS) is None


def test_a_number_of_wraps_that_is_not_certain_is_no_witness() -> None:
    heard = counts(0, HOUR_MS)
    rate = pace(heard, MODULUS)
    assert rate is not None
    wide = Range(0, 100 * HOUR_MS)
    assert witness(Count(0, 500), heard[0], rate, MODULUS, wide) is None
