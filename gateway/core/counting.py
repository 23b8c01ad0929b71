"""Dating a boot by the loggers' own counters.

A logger counts its measurements on, whether or not the gateway has power. Heard in two boots, its counter says how much
time lay between, if it did not restart and if the number of wraps is known. A single witness could have restarted, so
a boot is dated only where two agree: two loggers, or one logger seen from before and from after.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

from gateway.core.configuration import LoggerKind
from gateway.core.dating import Range

MODULI: dict[LoggerKind, int | None] = {LoggerKind.RUUVITAG: 65_535, LoggerKind.REFERENCE: None}
"""Kinds that number their measurements evenly, and after how many they begin again at zero."""
RATE_PPM = 200
"""By how much a logger's pace may differ between two boots: its crystal in a cold box against one in a warm garage."""
COUNTS_MIN = 60
"""Counts over which a pace is taken: fewer would say too little about a day."""
WITNESSES_MIN = 2
WRAPS_MAX = 400
"""A RuuviTag's counter wraps once a day: after a year nobody can tell which turn it is in anyway."""


@dataclass(frozen=True, slots=True)
class Count:
    """A counter's value at a time, in milliseconds of one clock."""

    at_ms: int
    value: int


def pace(counts: Sequence[Count], modulus: int | None) -> tuple[float, float] | None:
    """Return milliseconds per count and its relative error, from counts in order of time; None if they do not tell.

    They must come densely enough that no wrap is overlooked. A restart among them shows as a pace that is not even.
    """
    passed = _passed(counts, modulus)
    if passed < COUNTS_MIN:
        return None
    middle = len(counts) // 2
    period_ms = (counts[-1].at_ms - counts[0].at_ms) / passed
    passed_at_half, half_ms = _passed(counts[: middle + 1], modulus), counts[middle].at_ms - counts[0].at_ms
    if period_ms <= 0 or abs(half_ms - passed_at_half * period_ms) > 2 * period_ms + half_ms * RATE_PPM / 1_000_000:
        return None
    return period_ms, 2 / passed + RATE_PPM / 1_000_000


def witness(known: Count, heard: Count, rate: tuple[float, float], modulus: int | None, within: Range) -> Range | None:
    """Return the offsets (UTC less monotonic time) that one pair of counts allows within a range.

    `known` is in UTC, of another boot; `heard` in monotonic time of the boot in question. None if no number of wraps
    fits, or several do.
    """
    period_ms, relative_error = rate
    fitting = []
    least, most = within.earliest_ms + heard.at_ms - known.at_ms, within.latest_ms + heard.at_ms - known.at_ms
    step = heard.value - known.value
    for wraps in _wraps(step, period_ms, modulus, (least, most)):
        passed_ms = (step + wraps * (modulus or 0)) * period_ms
        error_ms = abs(passed_ms) * relative_error + 2 * period_ms
        offset_ms = known.at_ms + passed_ms - heard.at_ms
        allowed = within.narrowed(Range(int(offset_ms - error_ms), int(offset_ms + error_ms) + 1))
        if allowed is not None:
            fitting.append(allowed)
    return fitting[0] if len(fitting) == 1 else None


def agree(witnesses: Iterable[Range]) -> Range | None:
    """Return what most witnesses say together, None unless at least WITNESSES_MIN do and nobody else as many."""
    found = list(witnesses)
    best: list[tuple[int, Range]] = []
    for start in sorted({one.earliest_ms for one in found}):
        said = [one for one in found if one.earliest_ms <= start <= one.latest_ms]
        best.append((len(said), Range(start, min(one.latest_ms for one in said))))
    most = max((count for count, _ in best), default=0)
    leading = [said for count, said in best if count == most]
    return leading[0] if most >= WITNESSES_MIN and len(leading) == 1 else None


def _passed(counts: Sequence[Count], modulus: int | None) -> int:
    steps = [after.value - before.value for before, after in pairwise(counts)]
    return sum(steps if modulus is None else (step % modulus for step in steps))


def _wraps(step: int, period_ms: float, modulus: int | None, passed_ms: tuple[int, int]) -> Iterable[int]:
    """The numbers of wraps that bring a step of the counter near a stretch of time."""
    if modulus is None:
        return (0,)
    turn_ms = modulus * period_ms
    first = int((passed_ms[0] - step * period_ms) // turn_ms)
    last = int((passed_ms[1] - step * period_ms) // turn_ms) + 1
    return range(first, min(last, first + WRAPS_MAX) + 1)
