"""Failures of other systems, each as a trip on which they fail.

Where it helps, the other system's rule stands beside ours, so that the test shows the difference.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from gateway.core.exposure import to_ms
from gateway.core.judgement import judge_recording
from gateway.core.observations import Source
from gateway.core.readings import Reading
from gateway.core.verdicts import Breach, Judgement, Verdict
from tests.core.trips import (
    Course,
    Trip,
    codes,
    judge_course,
    make_profile,
    ms,
    observe_all,
    reason_of,
    ride,
    steady,
    with_limit,
)

RULES = make_profile(
    limits=[
        {"name": "hot", "above_c": 8, "single": "30 min", "cumulative": "60 min"},
        {"name": "cold", "below_c": 2, "single": "20 min", "cumulative": "40 min"},
    ]
)


def breaches_by_stack(course: Course) -> list[tuple[float, float]]:
    """One stack for hot and cold: the side of the first reading counts, and no silence ends a run."""
    broken, begin, side = [], None, None
    for minute, c in course:
        now = "hot" if c > 8 else "cold" if c < 2 else None
        if begin is None or side is None:
            begin, side = minute, now
        elif now is None:
            begin, side = None, None
        elif now == side and minute - begin >= (30 if side == "hot" else 20):
            broken.append((begin, minute))
            begin, side = None, None
    return broken


def proven(judgement: Judgement) -> list[Breach]:
    return [breach for breach in judgement.breaches if breach.proven]


def test_two_hot_readings_six_hours_apart_are_no_breach_of_six_hours() -> None:
    course = [(0, 9.0), (360, 9.0)]
    assert breaches_by_stack(course) == [(0, 360)], "what the other system says"
    judgement = judge_course(RULES, course)
    assert judgement.breaches == ()
    assert judgement.cumulative_minutes["hot"] == 2
    assert judgement.verdict is Verdict.INSUFFICIENT_DATA, "it may have been hot, which is not the same"


def test_three_hours_of_frost_after_one_hot_reading_are_seen() -> None:
    course = [(0, 9.0), *steady(-4, 1, 181)]
    assert breaches_by_stack(course) == [], "what the other system says"
    judgement = judge_course(RULES, course)
    assert judgement.verdict is Verdict.REJECT
    assert {breach.rule for breach in judgement.breaches} == {"cold"}
    assert judgement.cumulative_minutes == {"hot": 1, "cold": 180}


def test_backfill_older_than_the_last_breach_is_looked_at() -> None:
    live = observe_all([*steady(5, 0, 30), *steady(5, 120, 200), *steady(9, 200, 240)])
    memory = observe_all(
        [*steady(5, 30, 60, 5), *steady(9, 60, 100, 5), *steady(5, 100, 120, 5)], source=Source.MEMORY, interval_s=300
    )
    judge = Trip(RULES, rides=(ride(0),)).judge()
    judge.add(live)
    (before,) = judge.judgements(ms(240))
    assert [breach.started_at_ms for breach in proven(before)] == [ms(200)]
    judge.add(memory)
    (after,) = judge.judgements(ms(240))
    starts = {breach.started_at_ms for breach in after.breaches if breach.kind == "single"}
    assert starts == {ms(60), ms(200)}


def test_silence_after_a_hot_reading_does_not_make_the_excursion_grow() -> None:
    spoken = [*steady(5, 0, 30), *steady(9, 30, 45)]
    sizes = []
    for end in (45, 46, 55, 60, 600):
        judgement = judge_course(RULES, spoken, end=end)
        assert proven(judgement) == []
        sizes.append((judgement.excursions[0].minutes, judgement.cumulative_minutes["hot"]))
    assert sizes == [(15, 15)] * 5


def test_a_lost_logger_leaves_no_breach_that_never_ends() -> None:
    judgement = judge_course(RULES, [*steady(9, 0, 40)], end=600)
    (breach,) = [breach for breach in judgement.breaches if breach.kind == "single"]
    assert breach.ended_at_ms == ms(40)


def test_a_pause_that_is_no_gap_yet_does_not_end_a_breach_either() -> None:
    trip = Trip(RULES, tuple(observe_all(steady(9, 0, 40))))
    (breach,) = [breach for breach in trip.judgement(now=44).breaches if breach.kind == "single"]
    assert (breach.ended_at_ms, breach.minutes) == (None, 40)


def test_a_breach_that_lasts_for_days_is_one() -> None:
    judgement = judge_course(RULES, steady(9, 0, 3 * 24 * 60, 5), interval_s=300)
    (breach,) = [breach for breach in judgement.breaches if breach.kind == "single"]
    assert breach.minutes == 3 * 24 * 60
    (excursion,) = judgement.excursions
    assert excursion.started_at_ms == ms(0)


def test_one_breach_for_a_thousand_bad_readings() -> None:
    judgement = judge_course(RULES, steady(9, 0, 1000))
    assert [breach.kind for breach in judgement.breaches] == ["single", "cumulative"]


def test_silence_is_not_compliance() -> None:
    judgement = judge_course(RULES, steady(5, 0, 30), end=240)
    assert judgement.verdict is Verdict.INSUFFICIENT_DATA
    assert reason_of(judgement, "unmonitored").parameters["minutes"] == 210
    assert judgement.figures.monitored_fraction == 30 / 240


def test_unmonitored_time_is_an_input_to_the_verdict() -> None:
    measured = steady(7.5, 0, 180)
    lost = [*steady(7.5, 0, 60), *steady(7.5, 120, 180)]
    assert judge_course(RULES, measured).verdict is Verdict.ACCEPT
    assert judge_course(RULES, lost).verdict is Verdict.INSUFFICIENT_DATA


def test_the_stated_uncertainty_is_an_input_to_the_verdict() -> None:
    course = steady(8.1, 0, 60)
    assert judge_course(RULES, course, uncertainty_c=0).verdict is Verdict.REJECT
    assert judge_course(RULES, course, uncertainty_c=0.5).verdict is Verdict.REVIEW


def test_no_hour_is_lost_or_won_when_the_clocks_change() -> None:
    """The night of 25 October 2026 in Oslo: 02:30 comes twice, and the trip is three hours long."""
    oslo = ZoneInfo("Europe/Oslo")
    begin = to_ms(datetime(2026, 10, 25, 1, 30, tzinfo=oslo))
    end = to_ms(datetime(2026, 10, 25, 3, 30, tzinfo=oslo))
    assert timedelta(milliseconds=end - begin) == timedelta(hours=3)
    readings = [Reading(at_ms, 9.0, 300, Source.LIVE, clock_trusted=True) for at_ms in range(begin, end, 300_000)]
    judgement = judge_recording(readings, RULES, uncertainty_c=0, calibrated=True, approved=True)
    assert judgement.cumulative_minutes["hot"] == 180
    assert judgement.gaps == ()


def test_thresholds_are_those_of_the_profile_that_judged() -> None:
    judgement = judge_course(with_limit(above_c=8, single="30 min"), steady(9, 0, 40))
    assert (judgement.profile, judgement.profile_version) == ("tested", 1)
    reason = reason_of(judgement, "limit_single")
    assert (reason.parameters["limit_c"], reason.parameters["allowed_min"]) == (8, 30)


def test_an_item_on_no_known_trip_is_insufficient_data_not_silence() -> None:
    judgement = Trip(RULES, tuple(observe_all(steady(5, 0, 30))), rides=()).judgement(now=30)
    assert judgement.verdict is Verdict.INSUFFICIENT_DATA
    assert codes(judgement) == {"no_exposure"}
