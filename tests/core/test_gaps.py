"""Gaps: when silence is one, what may have happened in it, and what it does to runs."""

from __future__ import annotations

from itertools import pairwise

import pytest

from gateway.core.courses import possible_course
from gateway.core.profiles import GapPolicy
from gateway.core.stability import damage_of_linear_q10, q10_rate, relaxed_c, tent_c
from gateway.core.verdicts import Gap, Verdict
from tests.core.trips import codes, judge_course, ms, reason_of, steady, with_life, with_limit

HOUR_MS = 3_600_000
HOT = with_limit(above_c=8, single="30 min")
POLICY = GapPolicy()


@pytest.mark.parametrize(
    ("interval_s", "silence", "is_gap"),
    [
        (30, 10, False),  # ten minutes, whatever the interval
        (30, 10.5, True),
        (60, 10, False),
        (300, 10, False),  # 2 × 5 min
        (300, 10.5, True),
        (600, 20, False),  # 2 × 10 min
        (600, 20.5, True),
    ],
)
def test_a_gap_is_longer_than_two_intervals_and_than_ten_minutes(
    interval_s: int, silence: float, *, is_gap: bool
) -> None:
    judgement = judge_course(HOT, [(0, 5), (silence, 5)], interval_s=interval_s)
    assert bool(judgement.gaps) is is_gap
    assert bool(judgement.figures.unmonitored_ms) is is_gap
    assert ("unmonitored" in codes(judgement)) is is_gap


def test_a_gap_begins_where_the_last_reading_no_longer_stands() -> None:
    judgement = judge_course(HOT, [(0, 5), (1, 5), (31, 5)])
    assert judgement.gaps == (Gap(ms(2), ms(31)),)
    assert judgement.figures.unmonitored_ms == 29 * 60_000
    assert judgement.figures.monitored_fraction == pytest.approx(3 / 32)
    assert reason_of(judgement, "unmonitored").parameters == {"minutes": 29, "gaps": 1}


def test_a_gap_ends_the_proven_run() -> None:
    course = [*steady(9, 0, 25), *steady(9, 36, 61)]
    judgement = judge_course(HOT, course)
    assert judgement.breaches == ()
    assert [excursion.minutes for excursion in judgement.excursions] == [25, 25]


def test_a_gap_never_ends_the_possible_run() -> None:
    course = [*steady(9, 0, 25), *steady(9, 36, 61)]
    judgement = judge_course(HOT, course)
    assert judgement.verdict is Verdict.INSUFFICIENT_DATA
    assert reason_of(judgement, "limit_single").parameters["certainty"] == "gap"


def test_gaps_do_not_add_to_proven_cumulative_time() -> None:
    profile = with_limit(above_c=8, cumulative="60 min")
    judgement = judge_course(profile, [*steady(9, 0, 25), *steady(9, 60, 85)])
    assert judgement.cumulative_minutes == {"limit": 50}
    assert judgement.verdict is Verdict.INSUFFICIENT_DATA


def test_a_short_gap_far_from_every_limit_is_reported_and_accepted() -> None:
    judgement = judge_course(HOT, [*steady(5, 0, 25), *steady(5, 40, 65)])
    assert judgement.verdict is Verdict.ACCEPT
    assert "unmonitored" in codes(judgement)


def test_a_long_gap_may_have_gone_anywhere_that_the_slew_allows() -> None:
    assert judge_course(HOT, [*steady(5, 0, 25), *steady(5, 300, 325)]).verdict is Verdict.INSUFFICIENT_DATA


def test_a_gap_may_have_frozen_as_well() -> None:
    profile = with_limit(below_c=2, single="30 min")
    assert judge_course(profile, [*steady(5, 0, 25), *steady(5, 300, 325)]).verdict is Verdict.INSUFFICIENT_DATA


def test_the_possible_course_of_the_worked_gap() -> None:
    """T0 = 5, T1 = 8, two hours, 3 K/h: a peak of 9.5 °C after an hour and a half."""
    steps = possible_course(POLICY, 0, 2 * HOUR_MS, (5, 5), (8, 8))
    assert max(high for _, _, _, high in steps) == pytest.approx(9.5)
    begins, ends, _, _ = max(steps, key=lambda step: step[3])
    assert begins <= 1.5 * HOUR_MS <= ends
    assert min(low for _, _, low, _ in steps) == pytest.approx(3.5)


def test_the_possible_course_costs_no_less_than_the_tent_and_little_more_than_the_worse_end() -> None:
    rate = q10_rate(720, 5, 3)
    steps = possible_course(POLICY, 0, 2 * HOUR_MS, (5, 5), (8, 8))
    stepped = sum((ends - begins) / HOUR_MS * rate(high) for begins, ends, _, high in steps)
    tent = damage_of_linear_q10(720, 5, 3, tent_c(5, 8, 2, 3))
    raised = damage_of_linear_q10(720, 5, 3, [(0, 8), (7 / 6, 8.25), (1.5, 9.5), (2, 8)])
    assert tent < stepped < raised * 1.1


def test_the_possible_course_is_at_least_as_bad_as_the_worse_end() -> None:
    steps = possible_course(POLICY, 0, 2 * HOUR_MS, (5, 5), (8, 8))
    assert min(high for _, _, _, high in steps) >= 8
    assert max(low for _, _, low, _ in steps) <= 5


def test_the_possible_course_covers_the_gap_once() -> None:
    steps = possible_course(POLICY, 1000, 1000 + 2 * HOUR_MS, (5, 5), (8, 8))
    assert steps[0][0] == 1000
    assert steps[-1][1] == 1000 + 2 * HOUR_MS
    assert all(before[1] == after[0] for before, after in pairwise(steps))


def test_the_possible_course_stays_within_the_worst_ambient() -> None:
    steps = possible_course(POLICY, 0, 48 * HOUR_MS, (5, 5), (5, 5))
    assert max(high for _, _, _, high in steps) == POLICY.ambient_high_c
    assert min(low for _, _, low, _ in steps) == POLICY.ambient_low_c


def test_an_open_end_relaxes_towards_both_worst_ambients() -> None:
    steps = possible_course(POLICY, 0, 2 * HOUR_MS, (5, 5), None)
    assert steps[-1][3] == pytest.approx(relaxed_c(5, POLICY.ambient_high_c, 2, 6))
    assert steps[-1][2] == pytest.approx(relaxed_c(5, POLICY.ambient_low_c, 2, 6))
    mirrored = possible_course(POLICY, 0, 2 * HOUR_MS, None, (5, 5))
    assert mirrored[0][3] == pytest.approx(steps[-1][3])
    assert mirrored[0][2] == pytest.approx(steps[-1][2])


def test_with_no_end_known_it_may_have_been_anything() -> None:
    assert possible_course(POLICY, 0, HOUR_MS, None, None) == [(0, HOUR_MS, -20, 40)]


def test_a_range_is_at_its_worst_on_both_sides() -> None:
    """After a stretch declared at 2-8 °C, it may have been 2 as well as 8."""
    (begins, ends, low, high), *_ = possible_course(POLICY, 0, HOUR_MS, (2, 8), (5, 5))
    assert begins < ends
    assert low <= 2
    assert high >= 8


def test_a_logger_that_dies_leaves_an_open_end() -> None:
    profile = with_limit(above_c=8, single="30 min")
    judgement = judge_course(profile, steady(5, 0, 30), end=300)
    assert judgement.verdict is Verdict.INSUFFICIENT_DATA
    assert judgement.gaps == (Gap(ms(30), ms(300)),)


@pytest.mark.parametrize(("limit_c", "verdict"), [(9.4, Verdict.INSUFFICIENT_DATA), (9.6, Verdict.ACCEPT)])
def test_the_tent_stands_on_the_readings_themselves(limit_c: float, verdict: Verdict) -> None:
    """5 and 8 °C two hours apart peak at 9.5 °C, however long the first one stands."""
    profile = with_limit(above_c=limit_c, single="1 s")
    assert judge_course(profile, [(0, 5), (120, 8)], interval_s=600).verdict is verdict


@pytest.mark.parametrize(("limit_c", "verdict"), [(14.8, Verdict.INSUFFICIENT_DATA), (15, Verdict.ACCEPT)])
def test_an_open_end_relaxes_from_the_last_reading(limit_c: float, verdict: Verdict) -> None:
    profile = with_limit(above_c=limit_c, single="1 s")
    assert relaxed_c(5, 40, 2, 6) == pytest.approx(14.92, abs=0.01)
    assert judge_course(profile, [(0, 5)], interval_s=600, end=120).verdict is verdict


def test_of_many_gaps_the_longest_are_kept_and_all_are_counted() -> None:
    course = [(0.0, 5.0), *((40.0 + 20 * place, 5.0) for place in range(30))]
    judgement = judge_course(HOT, course)
    assert len(judgement.gaps) == 24
    assert judgement.gaps[0] == Gap(ms(1), ms(40))
    assert reason_of(judgement, "unmonitored").parameters["gaps"] == 30


def test_a_gap_costs_life_only_as_a_possibility() -> None:
    profile = with_life("q10", (), reference_c=5, reference_life="10 h", q10=3, valid_from_c=0, valid_to_c=40)
    judgement = judge_course(profile, [*steady(5, 0, 60), *steady(5, 240, 300)])
    (life,) = judgement.lives
    assert life.spent == pytest.approx(2 / 10, rel=1e-9)
    assert life.spent_possible > (2 + 3) / 10
