"""Notifications: when people hear that a limit is broken, and when they hear that it is over.

Both are decided at a reading, by what is known then: a breach is notified once readings beyond the limit have gone on
for its duration, and clears once readings have been good, beyond the hysteresis, for the clear delay. A gap is neither:
it ends what was about to happen and clears nothing. None of this touches accumulated time or a verdict.

==========  ==========  =============  ==========
standing    beyond      in between     good
==========  ==========  =============  ==========
quiet       rising      quiet          quiet
rising      rising *    quiet          quiet
notified    notified    notified       clearing
clearing    notified    notified       clearing *
==========  ==========  =============  ==========

``*`` becomes notified, or quiet, when it has lasted long enough.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

import msgspec

from gateway.core.profiles import Forbidden, GapPolicy, Limit, Profile
from gateway.core.readings import Reading
from gateway.core.thresholds import Threshold

_PLACES = 6
"""Decimals in which a distance is compared, so that 7.7 is 0.3 below 8."""


class Standing(StrEnum):
    """How a limit stands with those who are notified."""

    QUIET = "quiet"
    RISING = "rising"
    NOTIFIED = "notified"
    CLEARING = "clearing"


class Change(StrEnum):
    """What people are told."""

    RAISED = "raised"
    CLEARED = "cleared"


class _Seen(StrEnum):
    """What one reading says."""

    BEYOND = "beyond"
    BETWEEN = "between"
    GOOD = "good"


_NEXT = {
    (Standing.QUIET, _Seen.BEYOND): Standing.RISING,
    (Standing.QUIET, _Seen.BETWEEN): Standing.QUIET,
    (Standing.QUIET, _Seen.GOOD): Standing.QUIET,
    (Standing.RISING, _Seen.BEYOND): Standing.RISING,
    (Standing.RISING, _Seen.BETWEEN): Standing.QUIET,
    (Standing.RISING, _Seen.GOOD): Standing.QUIET,
    (Standing.NOTIFIED, _Seen.BEYOND): Standing.NOTIFIED,
    (Standing.NOTIFIED, _Seen.BETWEEN): Standing.NOTIFIED,
    (Standing.NOTIFIED, _Seen.GOOD): Standing.CLEARING,
    (Standing.CLEARING, _Seen.BEYOND): Standing.NOTIFIED,
    (Standing.CLEARING, _Seen.BETWEEN): Standing.NOTIFIED,
    (Standing.CLEARING, _Seen.GOOD): Standing.CLEARING,
}
_AFTER_SILENCE = {Standing.RISING: Standing.QUIET, Standing.CLEARING: Standing.NOTIFIED}


class NotificationState(msgspec.Struct, frozen=True):
    """Where one limit stands: since when, and the last reading seen. Times in ms UTC; serialisable."""

    standing: Standing = Standing.QUIET
    since_ms: int = 0
    at_ms: int | None = None


@dataclass(frozen=True, slots=True)
class NotificationRule:
    """One limit with a duration, and when its notification clears."""

    threshold: Threshold
    delay_ms: int
    clear_delay_ms: int
    hysteresis_c: float
    gap: GapPolicy

    @classmethod
    def of(cls, rule: Limit | Forbidden, profile: Profile) -> NotificationRule | None:
        """Read a profile's rule; None for a limit that only sums up, since no single reading breaks it."""
        threshold = Threshold.of(rule)
        if threshold.single_ms is None:
            return None
        notification = profile.notification
        return cls(threshold, threshold.single_ms, notification.clear_delay, notification.hysteresis_c, profile.gap)

    def follow(self, state: NotificationState, reading: Reading) -> tuple[NotificationState, Change | None]:
        """Take the next reading in order of time; one that is not later than the last changes nothing."""
        if state.at_ms is not None and reading.at_ms <= state.at_ms:
            return state, None
        before = state.standing
        if state.at_ms is not None and reading.at_ms - state.at_ms > self.gap.threshold_ms(reading.interval_s * 1000):
            before = _AFTER_SILENCE.get(before, before)
        standing = _NEXT[before, self._see(reading.temperature_c)]
        since_ms = state.since_ms if standing is before else reading.at_ms
        change = None
        if standing is Standing.RISING and reading.at_ms - since_ms >= self.delay_ms:
            standing, since_ms, change = Standing.NOTIFIED, reading.at_ms, Change.RAISED
        elif standing is Standing.CLEARING and reading.at_ms - since_ms >= self.clear_delay_ms:
            standing, since_ms, change = Standing.QUIET, reading.at_ms, Change.CLEARED
        return NotificationState(standing, since_ms, reading.at_ms), change

    def _see(self, temperature_c: float) -> _Seen:
        if self.threshold.is_beyond(temperature_c):
            return _Seen.BEYOND
        within_c = round(self.threshold.sign * (self.threshold.limit_c - temperature_c), _PLACES)
        return _Seen.GOOD if within_c >= self.hysteresis_c else _Seen.BETWEEN
