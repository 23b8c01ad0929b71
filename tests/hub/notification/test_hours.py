from __future__ import annotations

from datetime import UTC, datetime, time
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from gateway.hub.notification.hours import Hours, Weekday, after_quiet

OSLO = ZoneInfo("Europe/Oslo")
NIGHT = Hours(begins=time(22), ends=time(7))
WEEKEND = Hours(begins=time(0), ends=time(0), days=frozenset({Weekday.SAT, Weekday.SUN}))
HALF_A_YEAR_MS = 183 * 86_400_000

moments = st.integers(1_750_000_000_000, 1_750_000_000_000 + 2 * HALF_A_YEAR_MS)
times = st.times().map(lambda at: at.replace(microsecond=0))
hours = st.builds(Hours, begins=times, ends=times, days=st.frozensets(st.sampled_from(Weekday), max_size=6))


def ms(text: str) -> int:
    return round(datetime.fromisoformat(text).astimezone(UTC).timestamp() * 1000)


@pytest.mark.parametrize(
    ("at", "hours", "covered"),
    [
        ("2026-11-20T21:59:59+01:00", NIGHT, False),
        ("2026-11-20T22:00:00+01:00", NIGHT, True),
        ("2026-11-21T06:59:59+01:00", NIGHT, True),
        ("2026-11-21T07:00:00+01:00", NIGHT, False),
        ("2026-07-20T20:30:00+00:00", NIGHT, True),  # 22:30 in summer
        ("2026-11-20T23:59:00+01:00", WEEKEND, False),
        ("2026-11-21T00:00:00+01:00", WEEKEND, True),
        ("2026-11-22T23:59:00+01:00", WEEKEND, True),
        ("2026-11-23T00:00:00+01:00", WEEKEND, False),
        # A night belongs to the day on which it begins.
        ("2026-11-21T03:00:00+01:00", NIGHT.model_copy(update={"days": frozenset({Weekday.FRI})}), True),
        ("2026-11-20T03:00:00+01:00", NIGHT.model_copy(update={"days": frozenset({Weekday.FRI})}), False),
    ],
)
def test_hours_are_those_of_the_wall(at: str, hours: Hours, covered: bool) -> None:  # noqa: FBT001  expected
    assert hours.cover(ms(at), OSLO) is covered


@pytest.mark.parametrize(
    ("at", "quiet", "free"),
    [
        ("2026-11-20T12:00:00+01:00", (NIGHT,), "2026-11-20T12:00:00+01:00"),
        ("2026-11-20T23:00:00+01:00", (NIGHT,), "2026-11-21T07:00:00+01:00"),
        ("2026-11-20T23:00:00+01:00", (NIGHT, WEEKEND), "2026-11-23T07:00:00+01:00"),
        ("2026-10-24T23:00:00+02:00", (NIGHT,), "2026-10-25T07:00:00+01:00"),  # that night has 25 hours
        ("2026-03-28T23:00:00+01:00", (NIGHT,), "2026-03-29T07:00:00+02:00"),
    ],
)
def test_what_can_wait_waits_until_the_quiet_is_over(at: str, quiet: tuple[Hours, ...], free: str) -> None:
    assert after_quiet(ms(at), quiet, OSLO) == ms(free)


def test_a_quiet_that_never_ends_holds_nothing_up() -> None:
    always = Hours(begins=time(0), ends=time(0))
    assert after_quiet(5, (always,), OSLO) == 5


@given(moments, st.lists(hours, max_size=3))
def test_it_never_goes_back_and_what_it_finds_is_free(at_ms: int, quiet: list[Hours]) -> None:
    free_ms = after_quiet(at_ms, quiet, OSLO)
    assert free_ms >= at_ms
    assert after_quiet(free_ms, quiet, OSLO) == free_ms
    if free_ms > at_ms:
        assert not any(each.cover(free_ms, OSLO) for each in quiet)


def test_times_of_day_carry_no_offset() -> None:
    with pytest.raises(ValidationError, match="local"):
        Hours.model_validate({"begins": "22:00+01:00", "ends": "07:00"})
