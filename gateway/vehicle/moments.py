"""One reading of the clock."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from gateway.clock import Clock


@dataclass(frozen=True, slots=True)
class Moment:
    """One reading of the clock: UTC and monotonic milliseconds, and whether UTC can be relied upon.

    error_ms  bound on the error of UTC while it is trusted, rounded up to a power of two so that it stays the same for
              many observations; 0 where nothing is known
    """

    at_ms: int
    monotonic_ms: int
    trusted: bool
    error_ms: int = 0


@runtime_checkable
class Erring(Protocol):
    """A clock that knows how wrong it may be."""

    def error_ms(self) -> int:
        """Bound on the error of now_ms."""


def read_moment(clock: Clock) -> Moment:
    """Read the clock once."""
    trusted = clock.trusted()
    error_ms = clock.error_ms() if trusted and isinstance(clock, Erring) else 0
    return Moment(clock.now_ms(), clock.monotonic_ms(), trusted, 1 << (error_ms - 1).bit_length() if error_ms else 0)
