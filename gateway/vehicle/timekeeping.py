"""Notices when the clock becomes trusted, or steps, and puts it on the record."""

from __future__ import annotations

import logging
from collections.abc import Callable

from gateway.clock import Clock
from gateway.core.records import ClockCorrection
from gateway.vehicle.moments import Moment, read_moment

log = logging.getLogger(__name__)

LOOK_S = 10
"""Domain seconds between looks: a correction is sealed with the segment that follows it."""
STEP_MS = 1000
"""Drift that NTP slews stays far below; a second and more is a step."""


class Timekeeping:
    """Compares UTC with the monotonic clock."""

    def __init__(self, clock: Clock, note: Callable[[ClockCorrection], None]) -> None:
        self.corrections = 0
        self._clock = clock
        self._note = note
        self._last = read_moment(clock)

    async def run(self) -> None:
        """Look for ever."""
        while True:
            await self._clock.sleep(LOOK_S)
            self.look()

    def look(self) -> None:
        """Look once."""
        last, now = self._last, read_moment(self._clock)
        self._last = now
        correction = find_correction(last, now)
        if correction is not None:
            self.corrections += 1
            log.warning("the clock: %s, by %d ms", correction.source, correction.at_ms - correction.before_ms)
            self._note(correction)


def find_correction(last: Moment, now: Moment) -> ClockCorrection | None:
    """Return the record of what happened to the clock between two moments, None if nothing did."""
    expected_ms = last.at_ms + now.monotonic_ms - last.monotonic_ms
    became_trusted = now.trusted and not last.trusted
    if not became_trusted and abs(now.at_ms - expected_ms) < STEP_MS:
        return None
    return ClockCorrection(
        at_ms=now.at_ms,
        clock_trusted=now.trusted,
        monotonic_ms=now.monotonic_ms,
        before_ms=expected_ms,
        source="became trusted" if became_trusted else "stepped",
    )
