"""Dating: which UTC belongs to what a gateway recorded while its clock could not be relied upon.

Within one boot of the gateway its monotonic clock orders and spaces everything exactly; only the offset to UTC is
missing. A *mark* gives it: a moment of the boot at which the clock was trusted. Without a mark in the boot, what is
known from outside bounds the offset: the stamp is moved no further than the bounds demand, and its distance to the
farther bound is its error. Pure.
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec
from msgspec.structs import replace

from gateway.core.observations import Observation

DRIFT_PPM = 100
"""Parts in a million by which an undisciplined clock may run off. Uncompensated crystals, as on a Raspberry Pi, are
made to 20–50 ppm; twice that allows for cold, heat and age. The kernel itself never corrects by more than 500."""
TRUSTED_ERROR_MS = 60_000
"""A time with a larger bound on its error is not called trusted: two recording intervals, the unit of every rule."""


class Mark(msgspec.Struct, frozen=True, array_like=True, order=True):
    """A trusted moment of a boot: at `monotonic_ms` UTC was `at_ms`, give or take `error_ms`."""

    monotonic_ms: int
    at_ms: int
    error_ms: int


class Range(msgspec.Struct, frozen=True, array_like=True):
    """UTC less monotonic time lies within [earliest_ms, latest_ms]."""

    earliest_ms: int
    latest_ms: int

    @property
    def width_ms(self) -> int:
        """How much is unknown."""
        return self.latest_ms - self.earliest_ms

    def narrowed(self, other: Range) -> Range | None:
        """What both allow, None if nothing."""
        earliest_ms, latest_ms = max(self.earliest_ms, other.earliest_ms), min(self.latest_ms, other.latest_ms)
        return Range(earliest_ms, latest_ms) if earliest_ms <= latest_ms else None


class Dated(msgspec.Struct, frozen=True):
    """UTC of a moment, a bound on its error, and whether a trusted clock of its own boot says so closely enough."""

    at_ms: int
    error_ms: int
    trusted: bool


class Dating(msgspec.Struct, frozen=True, array_like=True):
    """What is known of one boot: its marks in order of monotonic time, and a range for when there are none."""

    marks: tuple[Mark, ...] = ()
    range: Range | None = None

    def date(self, monotonic_ms: int, stamp_ms: int) -> Dated | None:
        """Return UTC of a moment of the boot that the gateway stamped `stamp_ms`; None if nothing is known.

        The mark that leaves the smaller error counts, the later one of two equal ones.
        """
        if self.marks:
            found = (_from_mark(mark, monotonic_ms) for mark in reversed(self.marks))
            return min(found, key=lambda dated: dated.error_ms)
        if self.range is None:
            return None
        earliest_ms, latest_ms = self.range.earliest_ms + monotonic_ms, self.range.latest_ms + monotonic_ms
        at_ms = min(max(stamp_ms, earliest_ms), latest_ms)
        return Dated(at_ms, max(at_ms - earliest_ms, latest_ms - at_ms), trusted=False)


UNDATED = Dating()


def redate(observation: Observation, dating: Dating) -> Observation:
    """Return an untrusted observation with the time that the dating gives it. A trusted stamp never changes."""
    dated = None if observation.clock_trusted else dating.date(observation.monotonic_ms, observation.measured_at_ms)
    if dated is None:
        return observation
    return replace(
        observation,
        measured_at_ms=dated.at_ms,
        clock_trusted=dated.trusted,
        time_error_ms=observation.time_error_ms + dated.error_ms,
    )


def redate_all(observations: Iterable[Observation], dating: Dating) -> tuple[Observation, ...]:
    """Redate several."""
    return tuple(redate(observation, dating) for observation in observations)


def drift_ms(passed_ms: int) -> int:
    """How far an undisciplined clock may have run off, rounded up."""
    return -(-abs(passed_ms) * DRIFT_PPM // 1_000_000)


def _from_mark(mark: Mark, monotonic_ms: int) -> Dated:
    since_ms = monotonic_ms - mark.monotonic_ms
    error_ms = mark.error_ms + drift_ms(since_ms)
    return Dated(mark.at_ms + since_ms, error_ms, trusted=error_ms <= TRUSTED_ERROR_MS)
