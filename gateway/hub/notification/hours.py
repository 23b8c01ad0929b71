"""Times of day, as a clock on the wall shows them: across midnight, and across the change to summer time."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, time, timedelta, tzinfo
from enum import StrEnum
from typing import Self

from pydantic import Field, model_validator

from gateway.core.profiles import Model

DAYS_AHEAD = 9
"""Days in which the end of quiet hours is looked for: a week, and both ends."""


class Weekday(StrEnum):
    """Days of the week, Monday first."""

    MON = "mon"
    TUE = "tue"
    WED = "wed"
    THU = "thu"
    FRI = "fri"
    SAT = "sat"
    SUN = "sun"


_DAYS = tuple(Weekday)


class Hours(Model):
    """From `begins` until `ends`, which may be the next day's, on the days on which it begins.

    Equal times are the whole day. No `days`: every day.
    """

    begins: time
    ends: time
    days: frozenset[Weekday] = Field(default=frozenset(), max_length=7)

    @model_validator(mode="after")
    def _is_local(self) -> Self:
        if self.begins.tzinfo is not None or self.ends.tzinfo is not None:
            raise ValueError("times of day are local and carry no offset")
        return self

    def cover(self, at_ms: int, zone: tzinfo) -> bool:
        """Say whether a moment (UTC, milliseconds) lies within."""
        local = datetime.fromtimestamp(at_ms / 1000, zone)
        clock, today = local.time(), _DAYS[local.weekday()]
        yesterday = _DAYS[local.weekday() - 1]
        if self.begins < self.ends:
            return self._counts(today) and self.begins <= clock < self.ends
        return (self._counts(today) and clock >= self.begins) or (self._counts(yesterday) and clock < self.ends)

    def _counts(self, day: Weekday) -> bool:
        return not self.days or day in self.days


def after_quiet(at_ms: int, quiet: Sequence[Hours], zone: tzinfo) -> int:
    """Return the first moment from `at_ms` on that no quiet hours cover; `at_ms` itself where they never end."""
    if not any(hours.cover(at_ms, zone) for hours in quiet):
        return at_ms
    first = datetime.fromtimestamp(at_ms / 1000, zone).date()
    ends = sorted(
        round(datetime.combine(first + timedelta(days=day), hours.ends, zone).astimezone(UTC).timestamp() * 1000)
        for day in range(DAYS_AHEAD)
        for hours in quiet
    )
    free = (end for end in ends if end > at_ms and not any(hours.cover(end, zone) for hours in quiet))
    return next(free, at_ms)
