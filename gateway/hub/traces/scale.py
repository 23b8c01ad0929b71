"""Axes: round steps of temperature, and of time in Europe/Oslo."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta

from gateway.hub.times import to_oslo

_TIME_STEPS_MIN = (5, 10, 15, 30, 60, 120, 180, 360, 720, 1440, 2880, 7200, 14400)
_MINUTE_MS = 60_000
_DAY_MIN = 1440


@dataclass(frozen=True, slots=True)
class Axis:
    """A linear mapping of values onto pixels."""

    from_value: float
    to_value: float
    from_px: float
    to_px: float

    def place(self, value: float) -> float:
        """Return the pixel of a value; values beyond the ends are moved to them."""
        within = min(max(value, self.from_value), self.to_value)
        span = self.to_value - self.from_value or 1
        return self.from_px + (within - self.from_value) / span * (self.to_px - self.from_px)

    def place_all(self, values: Iterable[float]) -> list[float]:
        """Return the pixels of values that lie between the ends: there may be thousands."""
        each_px = (self.to_px - self.from_px) / (self.to_value - self.from_value or 1)
        from_px, from_value = self.from_px, self.from_value
        return [from_px + (value - from_value) * each_px for value in values]


def temperature_ticks(low_c: float, high_c: float, count: int) -> list[float]:
    """Return about `count` round temperatures between two."""
    rough = (high_c - low_c) / max(1, count)
    power: float = 10 ** math.floor(math.log10(rough))
    step = next(m * power for m in (1, 2, 5, 10) if m * power >= rough)
    first = math.ceil(low_c / step)
    return [round(i * step, 6) for i in range(first, math.floor(high_c / step) + 1)]


def time_step_ms(from_ms: int, to_ms: int, count: int) -> int:
    """Return the step that gives at most `count` ticks."""
    minutes = (to_ms - from_ms) / _MINUTE_MS / count
    return next((step for step in _TIME_STEPS_MIN if step >= minutes), _TIME_STEPS_MIN[-1]) * _MINUTE_MS


def time_ticks(from_ms: int, to_ms: int, count: int) -> list[int]:
    """Return round moments of the local clock; also across a daylight-saving change, where an hour is longer."""
    step_ms = time_step_ms(from_ms, to_ms, count)
    step_min = step_ms // _MINUTE_MS
    local = to_oslo(from_ms)
    midnight = local.replace(hour=0, minute=0, second=0, microsecond=0, fold=0)
    if step_min >= _DAY_MIN:
        days = step_min // _DAY_MIN
        ticks = [round((midnight + timedelta(days=i * days)).timestamp() * 1000) for i in range(count + 2)]
    else:
        first = round(midnight.timestamp() * 1000)
        ticks = []
        at_ms = first + (from_ms - first) // step_ms * step_ms
        while at_ms <= to_ms:
            ticks.append(at_ms - _misfit_ms(at_ms, step_min))
            at_ms += step_ms
    return [at_ms for at_ms in dict.fromkeys(ticks) if from_ms <= at_ms <= to_ms]


def _misfit_ms(at_ms: int, step_min: int) -> int:
    """Return how far the local clock is beyond a round value, after its offset changed during the day."""
    local = to_oslo(at_ms)
    return (local.hour * 60 + local.minute) % step_min * _MINUTE_MS
