"""Limits: what counts as beyond, how time is counted, single and cumulative, the freeze warning."""

from __future__ import annotations

import pytest

from gateway.core.verdicts import BreachKind, Verdict
from tests.core.trips import codes, judge_course, make_profile, ms, reason_of, steady, with_limit

HOT = with_limit(above_c=8, single="30 min")
COLD = with_limit(below_c=2, single="20 min")


@pytest.mark.parametrize(("profile", "temperature_c"), [(HOT, 8.0), (COLD, 2.0)])
def test_the_limit_itself_is_within(temperature_c: float, profile: object) -> None:
    judgement = judge_course(HOT if profile is HOT else COLD, steady(temperature_c, 0, 120))
    assert judgement.verdict is Verdict.ACCEPT
    assert judgement.excursions == ()
    assert judgement.cumulative_minutes == {"limit": 0}


@pytest.mark.parametrize(
    ("limit", "temperature_c"), [({"above_c": 45}, 45.0), ({"above_c": 10}, 10.0), ({"below_c": -0.5}, -0.5)]
)
def test_an_inclusive_limit_counts_itself_as_beyond(limit: dict[str, float], temperature_c: float) -> None:
    profile = with_limit(**limit, inclusive=True, single="60 min")
    assert judge_course(profile, steady(temperature_c, 0, 60)).verdict is Verdict.REJECT


@pytest.mark.parametrize("uncertainty_c", [0.1, 0.2, 0.3, 0.5, 0.7])
def test_the_uncertainty_is_compared_as_decimals(uncertainty_c: float) -> None:
    """2.3 less 0.3 is 2.0, and 2.0 is within, whatever binary fractions make of it."""
    profile = make_profile(
        limits=[
            {"name": "cold", "below_c": 2, "single": "1 min"},
            {"name": "hot", "above_c": 8, "single": "1 min"},
        ]
    )
    low, high = round(2 + uncertainty_c, 3), round(8 - uncertainty_c, 3)
    course = [*steady(low, 0, 30), *steady(high, 30, 60)]
    assert judge_course(profile, course, uncertainty_c=uncertainty_c).verdict is Verdict.ACCEPT


@pytest.mark.parametrize("uncertainty_c", [0.1, 0.2, 0.3, 0.5, 0.7])
def test_what_the_uncertainty_just_reaches_is_not_proven(uncertainty_c: float) -> None:
    profile = with_limit(above_c=8, single="1 min")
    course = steady(round(8 + uncertainty_c, 3), 0, 30)
    assert judge_course(profile, course, uncertainty_c=uncertainty_c).verdict is Verdict.REVIEW


@pytest.mark.parametrize("interval_s", [30, 60, 300])
def test_n_violating_readings_are_n_intervals(interval_s: int) -> None:
    minutes = interval_s / 60
    course = [*steady(5, 0, minutes, minutes), *steady(9, minutes, 8 * minutes, minutes)]
    judgement = judge_course(HOT, course, interval_s=interval_s)
    assert judgement.cumulative_minutes == {"limit": 7 * minutes}
    (excursion,) = judgement.excursions
    assert excursion.minutes == 7 * minutes


def test_a_reading_covers_the_time_until_the_next() -> None:
    judgement = judge_course(HOT, [(0, 5), (1, 9), (6, 5), (7, 5)])
    assert judgement.cumulative_minutes == {"limit": 5}


def test_the_last_reading_covers_one_interval() -> None:
    judgement = judge_course(HOT, [(0, 5), (1, 9)], end=9)
    assert judgement.cumulative_minutes == {"limit": 1}


@pytest.mark.parametrize(("minutes", "verdict"), [(29, Verdict.ACCEPT), (30, Verdict.REJECT)])
def test_a_single_event_breaks_at_its_duration(minutes: int, verdict: Verdict) -> None:
    course = [*steady(5, 0, 10), *steady(9, 10, 10 + minutes), *steady(5, 10 + minutes, 60)]
    assert judge_course(HOT, course).verdict is verdict


def test_a_breach_keeps_start_trigger_end_and_extreme() -> None:
    course = [*steady(5, 0, 10), *steady(9, 10, 30), *steady(9.5, 30, 35), *steady(9, 35, 50), *steady(5, 50, 60)]
    judgement = judge_course(HOT, course)
    (breach,) = judgement.breaches
    assert breach.kind is BreachKind.SINGLE
    assert (breach.started_at_ms, breach.triggered_at_ms, breach.ended_at_ms) == (ms(10), ms(40), ms(50))
    assert (breach.extreme_c, breach.minutes, breach.proven) == (9.5, 40, True)
    (excursion,) = judgement.excursions
    assert excursion.degree_minutes == pytest.approx(35 * 1 + 5 * 1.5)


def test_an_excursion_within_what_is_allowed_has_no_trigger() -> None:
    (excursion,) = judge_course(HOT, [*steady(5, 0, 10), *steady(9, 10, 20), *steady(5, 20, 30)]).excursions
    assert excursion.triggered_at_ms is None
    assert excursion.ended_at_ms == ms(20)


def test_cumulative_time_is_the_sum_over_the_trip() -> None:
    profile = with_limit(above_c=8, cumulative="60 min")
    episode = [*steady(9, 0, 20), *steady(5, 20, 40)]
    course = [(minute + 40 * turn, c) for turn in range(3) for minute, c in episode]
    judgement = judge_course(profile, course)
    assert judgement.verdict is Verdict.REJECT
    (breach,) = judgement.breaches
    assert (breach.kind, breach.triggered_at_ms) == (BreachKind.CUMULATIVE, ms(100))
    assert judge_course(profile, course[:-21]).verdict is Verdict.ACCEPT


def test_the_trigger_lies_within_a_reading() -> None:
    profile = with_limit(above_c=8, single="8 min", cumulative="7 min")
    single, cumulative = sorted(
        judge_course(profile, steady(9, 0, 20, 5), interval_s=300).breaches, key=lambda b: -b.triggered_at_ms
    )
    assert (single.triggered_at_ms, cumulative.triggered_at_ms) == (ms(8), ms(7))


def test_episodes_under_an_hour_need_the_cumulative_limit() -> None:
    """A logger's manual: three and a half hours below the limit in episodes under an hour raise no alarm."""
    episode = [*steady(-1, 0, 52), *steady(3, 52, 60)]
    course = [(minute + 60 * turn, c) for turn in range(4) for minute, c in episode]
    alone = with_limit(below_c=-0.5, inclusive=True, single="60 min")
    both = with_limit(below_c=-0.5, inclusive=True, single="60 min", cumulative="120 min")
    assert judge_course(alone, course).verdict is Verdict.ACCEPT
    assert judge_course(both, course).verdict is Verdict.REJECT


FREEZE = with_limit(below_c=-0.5, inclusive=True, single="60 min", warn_at_once=True)


def test_one_reading_at_the_freezing_limit_warns_and_does_not_judge() -> None:
    judgement = judge_course(FREEZE, [*steady(3, 0, 10), (10, -0.5), *steady(3, 11, 20)])
    assert judgement.verdict is Verdict.ACCEPT
    warning = reason_of(judgement, "limit_touched")
    assert (warning.verdict, warning.parameters["extreme_c"]) == (Verdict.ACCEPT, -0.5)


@pytest.mark.parametrize(("minutes", "verdict"), [(59, Verdict.ACCEPT), (60, Verdict.REJECT)])
def test_freezing_breaks_after_an_hour(minutes: int, verdict: Verdict) -> None:
    judgement = judge_course(FREEZE, [*steady(-0.6, 0, minutes), *steady(3, minutes, 90)])
    assert judgement.verdict is verdict
    assert "limit_touched" in codes(judgement)


def test_above_the_freezing_limit_nothing_warns() -> None:
    assert codes(judge_course(FREEZE, steady(-0.4, 0, 90))) == set()


@pytest.mark.parametrize(
    ("limit", "temperature_c", "breaks_at"),
    [
        ({"above_c": 45, "single": "1 h"}, 45, 60),
        ({"above_c": 30, "cumulative": "10 h"}, 30, 600),
        ({"above_c": 10, "cumulative": "20 h"}, 10, 1200),
        ({"below_c": -0.5, "single": "1 h"}, -0.5, 60),
    ],
)
def test_who_q_tag_defaults(limit: dict[str, object], temperature_c: float, breaks_at: int) -> None:
    profile = with_limit(**limit, inclusive=True)
    course = steady(temperature_c, 0, breaks_at, 5)
    (breach,) = judge_course(profile, course, interval_s=300).breaches
    assert breach.triggered_at_ms == ms(breaks_at)
    assert judge_course(profile, course[:-1], interval_s=300).breaches == ()


def test_forbidden_at_once() -> None:
    profile = make_profile(forbidden=[{"name": "freezing", "below_c": 0}])
    judgement = judge_course(profile, [*steady(3, 0, 10), (10, -0.1), *steady(3, 11, 20)])
    assert judgement.verdict is Verdict.REJECT
    (breach,) = judgement.breaches
    assert (breach.kind, breach.triggered_at_ms) == (BreachKind.FORBIDDEN, ms(10))


@pytest.mark.parametrize(("minutes", "verdict"), [(14, Verdict.ACCEPT), (15, Verdict.REJECT)])
def test_forbidden_after_a_dwell(minutes: int, verdict: Verdict) -> None:
    """Potassium in the cold: 15 minutes in one stretch."""
    profile = make_profile(forbidden=[{"name": "cold", "below_c": 15, "dwell": "15 min"}])
    course = [*steady(20, 0, 10), *steady(5, 10, 10 + minutes), *steady(20, 10 + minutes, 40)]
    assert judge_course(profile, course).verdict is verdict


def test_a_rule_can_be_of_review_severity() -> None:
    profile = with_limit(above_c=8, single="30 min", severity="review")
    assert judge_course(profile, steady(9, 0, 40)).verdict is Verdict.REVIEW


def test_hot_and_cold_do_not_share_their_time() -> None:
    profile = make_profile(
        limits=[
            {"name": "hot", "above_c": 8, "single": "30 min", "cumulative": "60 min"},
            {"name": "cold", "below_c": 2, "single": "20 min", "cumulative": "40 min"},
        ]
    )
    course = [*steady(9, 0, 19), *steady(1, 19, 38), *steady(9, 38, 57), *steady(1, 57, 76)]
    judgement = judge_course(profile, course)
    assert judgement.verdict is Verdict.ACCEPT
    assert judgement.cumulative_minutes == {"hot": 38, "cold": 38}


def test_more_excursions_than_are_kept_lose_no_minute() -> None:
    profile = with_limit(above_c=8, single="30 min", cumulative="60 min")
    course = [(minute, 9 if minute % 2 else 5) for minute in range(100)]
    judgement = judge_course(profile, course)
    assert judgement.cumulative_minutes == {"limit": 50}
    assert len(judgement.excursions) == 24
    assert judgement.verdict is Verdict.ACCEPT
