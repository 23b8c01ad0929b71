"""Courses: what the temperature may have been in a silence, at its worst on both sides.

The rules are those of the profile's gap policy. Each step counts at its worse end: a coarser course is never milder.
"""

from __future__ import annotations

from bisect import bisect_left
from itertools import pairwise
from operator import itemgetter

from gateway.core.exposure import HOUR_MS
from gateway.core.profiles import GapPolicy
from gateway.core.stability import relaxed_c, tent_c

STEPS_MAX = 24
"""Steps in which one leg of a course is followed: a day's silence in steps of an hour."""
STEP_C = 0.25
"""A step need not be finer than what a logger resolves."""

Range = tuple[float, float]
"""(lowest, highest) °C that may have been: twice the same where it is known."""
Step = tuple[int, int, float, float]
"""(begins_ms, ends_ms, low_c, high_c)."""


def possible_course(
    policy: GapPolicy, begins_ms: int, ends_ms: int, start_c: Range | None, end_c: Range | None
) -> list[Step]:
    """Return steps that hold whatever may have happened in a silence between two known ends; None is an open end.

    Between two ends: at least the worse of both, and as far beyond as the slew limit lets it go and come back, within
    the worst ambient. With one open end it relaxes towards the worst ambient; with both open it may have been
    anything that the ambient allows.
    """
    hot = _corners(policy, ends_ms - begins_ms, _side(start_c, 1), _side(end_c, 1), sign=1)
    cold = _corners(policy, ends_ms - begins_ms, _side(start_c, -1), _side(end_c, -1), sign=-1)
    cuts = sorted({0, ends_ms - begins_ms, *(at for at, _ in hot), *(at for at, _ in cold)})
    return [
        (
            begins_ms + a,
            begins_ms + b,
            min(_at(cold, a), _at(cold, b)),
            max(_at(hot, a), _at(hot, b)),
        )
        for a, b in pairwise(cuts)
    ]


def _side(range_c: Range | None, sign: int) -> float | None:
    """The end of a range on the side that is followed."""
    return None if range_c is None else range_c[sign > 0]


def _corners(
    policy: GapPolicy, duration_ms: int, start_c: float | None, end_c: float | None, *, sign: int
) -> list[tuple[int, float]]:
    """Return the worst course on one side (sign 1 hot, −1 cold) as (ms, °C) corners, resolved to STEP_C."""
    ambient_c = policy.ambient_high_c if sign > 0 else policy.ambient_low_c
    if start_c is None:
        if end_c is None:
            return [(0, ambient_c), (duration_ms, ambient_c)]
        return [(duration_ms - at, c) for at, c in reversed(_relaxing(policy, duration_ms, end_c, ambient_c, sign))]
    if end_c is None:
        return _relaxing(policy, duration_ms, start_c, ambient_c, sign)
    floor_c = max(sign * start_c, sign * end_c)
    cap_c = max(sign * ambient_c, floor_c)
    tent = tent_c(sign * start_c, sign * end_c, duration_ms / HOUR_MS, policy.slew_c_per_h)
    corners = [(round(hours * HOUR_MS), value) for hours, value in tent]
    return [(at, sign * min(cap_c, max(floor_c, value))) for at, value in _refined(corners)]


def _relaxing(
    policy: GapPolicy, duration_ms: int, known_c: float, ambient_c: float, sign: int
) -> list[tuple[int, float]]:
    target_c = sign * max(sign * ambient_c, sign * known_c)
    return [
        (
            duration_ms * step // STEPS_MAX,
            relaxed_c(known_c, target_c, duration_ms * step / STEPS_MAX / HOUR_MS, policy.relaxation / HOUR_MS),
        )
        for step in range(STEPS_MAX + 1)
    ]


def _refined(corners: list[tuple[int, float]]) -> list[tuple[int, float]]:
    """Divide each leg into steps of STEP_C, at most STEPS_MAX of them."""
    refined = corners[:1]
    for (a, before), (b, after) in pairwise(corners):
        count = min(STEPS_MAX, max(1, round(abs(after - before) / STEP_C)))
        refined.extend(
            (a + (b - a) * step // count, before + (after - before) * step / count) for step in range(1, count + 1)
        )
    return refined


def _at(corners: list[tuple[int, float]], at_ms: int) -> float:
    """Interpolate between corners."""
    place = bisect_left(corners, at_ms, key=itemgetter(0))
    b, after = corners[place]
    if b == at_ms:
        return after
    a, before = corners[place - 1]
    return before + (after - before) * (at_ms - a) / (b - a)
