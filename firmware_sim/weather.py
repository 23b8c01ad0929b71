"""Temperatures around the boxes: the weather, and the places in a vehicle."""

import math
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass

from firmware_sim.physics import STEP_S


@dataclass(frozen=True)
class Curve:
    """A temperature that is linear between its points; constant before the first and after the last."""

    points: Sequence[tuple[float, float]]
    """(seconds since the start, °C), in the order of time."""

    def at(self, seconds: float) -> float:
        """Return the temperature."""
        after = bisect_right(self.points, seconds, key=lambda point: point[0])
        if after == 0:
            return self.points[0][1]
        if after == len(self.points):
            return self.points[-1][1]
        (t0, c0), (t1, c1) = self.points[after - 1], self.points[after]
        return c0 + (c1 - c0) * (seconds - t0) / (t1 - t0)


class Place:
    """A place that follows its surroundings with a lag, or is heated where those are colder than its thermostat.

    Its temperature at each step of the physics is worked out once and kept.
    """

    def __init__(
        self, surroundings: Curve, *, heated_to_c: float | None, starts_at_c: float | None, lag_s: float
    ) -> None:
        self._surroundings = surroundings
        self._heated_to_c = heated_to_c
        self._share = 1 - math.exp(-STEP_S / lag_s) if lag_s > 0 else 1.0
        self._steps_c = [self._target(0) if starts_at_c is None else starts_at_c]

    def at_step(self, step: int) -> float:
        """Return the temperature at this step since the start."""
        while len(self._steps_c) <= step:
            now_c = self._steps_c[-1]
            target_c = self._target(len(self._steps_c) * STEP_S)
            self._steps_c.append(now_c + (target_c - now_c) * self._share)
        return self._steps_c[step]

    def _target(self, seconds: float) -> float:
        outside_c = self._surroundings.at(seconds)
        return outside_c if self._heated_to_c is None else max(outside_c, self._heated_to_c)
