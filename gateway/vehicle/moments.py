"""One reading of the clock."""

from __future__ import annotations

from dataclasses import dataclass

from gateway.clock import Clock


@dataclass(frozen=True, slots=True)
class Moment:
    """One reading of the clock: UTC and monotonic milliseconds, and whether UTC can be relied upon."""

    at_ms: int
    monotonic_ms: int
    trusted: bool


def read_moment(clock: Clock) -> Moment:
    """Read the clock once."""
    return Moment(clock.now_ms(), clock.monotonic_ms(), clock.trusted())
