"""The vehicle's own clock: monotonic time with an offset to UTC that changes only here, and goes on the record.

Nothing in the vehicle sees the machine's clock jump. UTC is an anchor plus the monotonic time since. The anchor moves
when somebody vouches for another time (NTP, GPS); a step of a machine's clock that nobody vouches for is noted and not
followed once the time was known. Before that, the machine's clock is believed where it is plausible: not earlier than
what the card holds, and not absurdly later, so that neither 1970 nor the date of an empty battery reaches the record.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass

from gateway.clock import Clock
from gateway.core.dating import TRUSTED_ERROR_MS, drift_ms
from gateway.core.records import ClockCorrection
from gateway.vehicle.moments import read_moment
from gateway.vehicle.time_sources import TimeSources, Vouched

log = logging.getLogger(__name__)

LOOK_S = 10
"""Domain seconds between looks: a correction is sealed with the segment that follows it."""
STEP_MS = 1000
"""Drift that NTP slews stays far below; a second and more is a step, and goes on the record."""
SLEW_MS = 100
"""What is less than this counts as error, and the anchor stays: stamps keep one distance to the monotonic clock."""
SANE_FROM_MS = 1_735_689_600_000
"""1 January 2025: a clock before that has not been set since power came."""
AHEAD_MS = 400 * 86_400_000
"""A machine's clock so far ahead of the card's last time is not believed: a vehicle is not parked for over a year."""
NEVER_SEALED_AHEAD_MS = 10 * 365 * 86_400_000
"""The same for an empty card, from SANE_FROM_MS on."""


@dataclass(frozen=True, slots=True)
class ClockView:
    """How it stands with the time; `error_ms` bounds the error while it is trusted.

    reference          who vouches, or vouched last, for it; empty if nobody did since power came
    synchronised_s     domain seconds since somebody vouched for it, None if nobody did
    """

    trusted: bool
    error_ms: int
    reference: str
    synchronised_s: int | None


class VehicleClock:
    """A Clock over the machine's. `floor_ms` is the newest time that the card holds, 0 if it holds none."""

    def __init__(self, machine: Clock, sources: TimeSources | None = None, *, floor_ms: int = 0) -> None:
        self.rate = machine.rate
        self._machine = machine
        self._sources = sources or TimeSources(machine)
        self._floor_ms = floor_ms
        self._anchor_at_ms, self._anchor_ms = 0, machine.monotonic_ms()
        self._vouched: Vouched | None = None
        self._was_trusted = False
        self._machine_offset_ms = machine.now_ms() - machine.monotonic_ms()
        self._begin()

    def now_ms(self) -> int:
        """UTC as far as it is known; it goes back only when it is corrected."""
        return self._anchor_at_ms + self._machine.monotonic_ms() - self._anchor_ms

    def monotonic_ms(self) -> int:
        """The machine's time since boot."""
        return self._machine.monotonic_ms()

    def trusted(self) -> bool:
        """Whether somebody vouched for the time, and not so long ago that it may be off by more than a minute."""
        return self._vouched is not None and self.error_ms() <= TRUSTED_ERROR_MS

    def error_ms(self) -> int:
        """Bound on the error: what was vouched for, and the drift since."""
        if self._vouched is None:
            return 0
        return self._vouched.error_ms + drift_ms(self._machine.monotonic_ms() - self._vouched.monotonic_ms)

    async def sleep(self, seconds: float) -> None:
        """Let domain seconds pass."""
        await self._machine.sleep(seconds)

    @property
    def view(self) -> ClockView:
        """How it stands."""
        vouched = self._vouched
        since_ms = None if vouched is None else self._machine.monotonic_ms() - vouched.monotonic_ms
        return ClockView(
            trusted=self.trusted(),
            error_ms=self.error_ms(),
            reference="" if vouched is None else vouched.reference,
            synchronised_s=None if since_ms is None else since_ms // 1000,
        )

    def began(self) -> ClockCorrection:
        """Return the record with which a start begins: what is thought, and no earlier than when it can be."""
        return self._record("began", self._floor_ms)

    def look(self) -> ClockCorrection | None:
        """Ask the sources and move the anchor if need be; return what must go on the record."""
        before_ms = self.now_ms()
        stepped_ms = self._machine_step_ms()
        vouched = self._sources.ask()
        if vouched is not None and vouched.at_ms >= max(self._floor_ms - TRUSTED_ERROR_MS, SANE_FROM_MS):
            source = self._follow(vouched)
        elif abs(stepped_ms) >= STEP_MS:
            source = self._consider_step()
        elif self._was_trusted and not self.trusted():
            source = "lost trust"
        else:
            source = None
        self._was_trusted = self.trusted()
        return None if source is None else self._record(source, before_ms)

    # --- inside

    def _begin(self) -> None:
        vouched = self._sources.ask()
        if vouched is not None and vouched.at_ms >= max(self._floor_ms - TRUSTED_ERROR_MS, SANE_FROM_MS):
            self._anchor(vouched)
        else:
            now_ms = self._machine.now_ms()
            self._anchor_at_ms = now_ms if self._is_plausible(now_ms) else max(self._floor_ms, SANE_FROM_MS)
        self._was_trusted = self.trusted()

    def _follow(self, vouched: Vouched) -> str | None:
        """Take over a time that somebody vouches for; say what that is to the record."""
        was_trusted = self._was_trusted
        off_ms = vouched.at_ms - self._at(vouched.monotonic_ms)
        if was_trusted and abs(off_ms) < SLEW_MS:
            error_ms = vouched.error_ms + abs(off_ms)
            self._vouched = Vouched(
                vouched.reference, vouched.at_ms, vouched.monotonic_ms, error_ms, vouched.synchronised_at_ms
            )
            return None
        self._anchor(vouched)
        if not was_trusted:
            return "became trusted"
        return "stepped" if abs(off_ms) >= STEP_MS else None

    def _consider_step(self) -> str:
        """The machine's clock was set by somebody who does not vouch for it."""
        now_ms = self._machine.now_ms()
        if self._vouched is not None or not self._is_plausible(now_ms):
            return "step not followed"
        self._anchor_at_ms, self._anchor_ms = now_ms, self._machine.monotonic_ms()
        return "stepped"

    def _anchor(self, vouched: Vouched) -> None:
        self._anchor_at_ms, self._anchor_ms, self._vouched = vouched.at_ms, vouched.monotonic_ms, vouched

    def _at(self, monotonic_ms: int) -> int:
        return self._anchor_at_ms + monotonic_ms - self._anchor_ms

    def _machine_step_ms(self) -> int:
        """By how much the machine's clock left the monotonic one since the last look."""
        before_ms = self._machine_offset_ms
        self._machine_offset_ms = self._machine.now_ms() - self._machine.monotonic_ms()
        return self._machine_offset_ms - before_ms

    def _is_plausible(self, now_ms: int) -> bool:
        if self._floor_ms:
            return self._floor_ms <= now_ms <= self._floor_ms + AHEAD_MS
        return SANE_FROM_MS <= now_ms <= SANE_FROM_MS + NEVER_SEALED_AHEAD_MS

    def _record(self, source: str, before_ms: int) -> ClockCorrection:
        moment = read_moment(self)
        return ClockCorrection(
            at_ms=moment.at_ms,
            clock_trusted=moment.trusted,
            monotonic_ms=moment.monotonic_ms,
            before_ms=before_ms,
            source=source,
            error_ms=moment.error_ms,
            reference="" if self._vouched is None else self._vouched.reference,
        )


class Timekeeping:
    """Lets the clock look, tells the record, and tells whoever keeps UTC by how much it moved.

    `on_known(moved_ms)` is told when the time becomes trusted, or steps: what was stamped before, in this boot and
    without trust, is to be thought of as so much later.
    """

    def __init__(
        self, clock: VehicleClock, note: Callable[[ClockCorrection], None], on_known: Callable[[int], None]
    ) -> None:
        self.corrections = 0
        self._clock = clock
        self._note = note
        self._on_known = on_known
        note(clock.began())

    async def run(self) -> None:
        """Look for ever."""
        while True:
            await self._clock.sleep(LOOK_S)
            self.look()

    def look(self) -> None:
        """Look once."""
        correction = self._clock.look()
        if correction is None:
            return
        self.corrections += 1
        moved_ms = correction.at_ms - correction.before_ms
        log.warning("the clock: %s, by %d ms %s", correction.source, moved_ms, correction.reference)
        self._note(correction)
        if correction.source in ("became trusted", "stepped"):
            self._on_known(moved_ms)
