"""When people hear of a limit, and when they hear that it is over."""

from __future__ import annotations

import msgspec
import pytest

from gateway.core.notifications import Change, NotificationRule, NotificationState, Standing
from tests.core.trips import Course, judge_course, make_profile, steady, to_readings


def make_rule(clear_delay: str = "5 min", hysteresis_c: float = 0.5, **limit: object) -> NotificationRule:
    profile = make_profile(
        limits=[{"name": "limit", **limit}], notification={"clear_delay": clear_delay, "hysteresis_c": hysteresis_c}
    )
    rule = NotificationRule.of(profile.limits[0], profile)
    assert rule is not None
    return rule


def told(rule: NotificationRule, course: Course, interval_s: int = 60) -> list[tuple[float, Change]]:
    """What people were told, with the minute of the reading at which they were."""
    state, news = NotificationState(), []
    for reading, (minute, _) in zip(to_readings(course, interval_s), course, strict=True):
        state, change = rule.follow(state, reading)
        if change is not None:
            news.append((minute, change))
    return news


HOT = make_rule(above_c=8, single="5 min")


def test_the_dickson_example() -> None:
    """Bad at 12:00, 12:03, 12:06: sent at 12:06. Good at 12:09, 12:12, 12:15: normal at 12:15."""
    course = [(0, 9), (3, 9), (6, 9), (9, 5), (12, 5), (15, 5)]
    assert told(HOT, course, interval_s=180) == [(6, Change.RAISED), (15, Change.CLEARED)]


def test_a_bad_reading_alone_tells_nobody() -> None:
    assert told(HOT, [(0, 9), (3, 5), (6, 9), (9, 5)]) == []


def test_the_limit_itself_is_not_bad() -> None:
    assert told(HOT, steady(8, 0, 30)) == []


def test_it_is_told_once_however_long_it_lasts() -> None:
    assert told(HOT, steady(9, 0, 600)) == [(5, Change.RAISED)]


@pytest.mark.parametrize(("temperature_c", "clears"), [(8.0, False), (7.6, False), (7.5, True), (5, True)])
def test_it_clears_beyond_the_hysteresis_only(temperature_c: float, *, clears: bool) -> None:
    news = told(HOT, [*steady(9, 0, 10), *steady(temperature_c, 10, 30)])
    assert news == [(5, Change.RAISED), *([(15, Change.CLEARED)] if clears else [])]


def test_the_hysteresis_is_compared_as_decimals() -> None:
    rule = make_rule(above_c=8, single="5 min", hysteresis_c=0.3)
    assert told(rule, [*steady(9, 0, 10), *steady(7.7, 10, 30)])[-1] == (15, Change.CLEARED)


def test_cold_is_mirrored() -> None:
    rule = make_rule(below_c=2, single="5 min")
    course = [*steady(1.5, 0, 10), *steady(2.4, 10, 20), *steady(2.5, 20, 30)]
    assert told(rule, course) == [(5, Change.RAISED), (25, Change.CLEARED)]


def test_good_readings_must_be_continuous_to_clear() -> None:
    course = [*steady(9, 0, 6), *steady(5, 6, 10), (10, 7.9), *steady(5, 11, 20)]
    assert told(HOT, course) == [(5, Change.RAISED), (16, Change.CLEARED)]


def test_without_delays_each_reading_decides() -> None:
    rule = make_rule(clear_delay="0 s", below_c=0, single="0 s")
    assert told(rule, [(0, 3), (1, -1), (2, 3)]) == [(1, Change.RAISED), (2, Change.CLEARED)]


def test_a_gap_ends_what_was_rising() -> None:
    rule = make_rule(above_c=8, single="30 min")
    assert told(rule, [*steady(9, 0, 25), *steady(9, 40, 65)]) == []


def test_a_gap_clears_nothing() -> None:
    assert told(HOT, [*steady(9, 0, 10), (10, 5), (30, 5), (34, 5), (35, 5)]) == [
        (5, Change.RAISED),
        (35, Change.CLEARED),
    ]


def test_a_silence_that_is_no_gap_changes_nothing() -> None:
    assert told(HOT, [(0, 9), (10, 9)]) == [(10, Change.RAISED)]


def test_a_reading_that_is_not_later_changes_nothing() -> None:
    (reading,) = to_readings([(0, 9)])
    state, _ = HOT.follow(NotificationState(), reading)
    assert HOT.follow(state, reading) == (state, None)


def test_a_forbidden_threshold_tells_after_its_dwell() -> None:
    profile = make_profile(forbidden=[{"name": "cold", "below_c": 15, "dwell": "15 min"}])
    rule = NotificationRule.of(profile.forbidden[0], profile)
    assert rule is not None
    assert told(rule, steady(5, 0, 30)) == [(15, Change.RAISED)]


def test_a_limit_that_only_sums_up_has_no_such_notification() -> None:
    profile = make_profile(limits=[{"name": "sum", "above_c": 8, "cumulative": "60 min"}])
    assert NotificationRule.of(profile.limits[0], profile) is None


@pytest.mark.parametrize("hysteresis_c", [0, 0.5, 5])
def test_hysteresis_never_touches_accumulated_time(hysteresis_c: float) -> None:
    profile = make_profile(
        limits=[{"name": "limit", "above_c": 8, "single": "30 min"}],
        notification={"hysteresis_c": hysteresis_c, "clear_delay": "1 h"},
    )
    judgement = judge_course(profile, [*steady(9, 0, 10), *steady(7.9, 10, 20), *steady(9, 20, 30)])
    assert judgement.cumulative_minutes == {"limit": 20}
    assert [excursion.minutes for excursion in judgement.excursions] == [10, 10]


def test_the_state_can_be_stored_and_goes_on() -> None:
    readings = to_readings(steady(9, 0, 10))
    state = NotificationState()
    changes = []
    for reading in readings:
        state = msgspec.json.decode(msgspec.json.encode(state), type=NotificationState)
        state, change = HOT.follow(state, reading)
        changes.append(change)
    assert changes.count(Change.RAISED) == 1
    assert state.standing is Standing.NOTIFIED
