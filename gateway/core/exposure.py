"""Exposure: where an item was, and when; and the spans of time that readings turn it into.

A stretch is declared by a named sender, or carried in a box with a logger, or nobody speaks for it. A builder takes the
readings of the carried stretches in order and yields spans that cover the exposure's time exactly once:

* measured: a reading stands for the time until the next one;
* silent:   time without a reading that is not (yet) a gap: after the last reading's interval, before the first reading;
* gap:      silence longer than the profile's gap policy allows: unmonitored, at its worst between its ends.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from enum import IntEnum
from itertools import pairwise

import msgspec
from pydantic import AwareDatetime

from gateway.core.configuration import Consignment, Item
from gateway.core.profiles import GapPolicy
from gateway.core.readings import Reading
from gateway.core.stability import relaxed_c, tent_c

HOUR_MS = 3_600_000
GAP_STEPS_MAX = 24
"""Steps in which a gap's worst course is followed, each counted at its worse end: coarser is never milder."""
GAP_STEP_C = 0.25
"""A step need not be finer than what a logger resolves."""


class SpanKind(IntEnum):
    """How a span's temperature is known."""

    MEASURED = 0
    DECLARED = 1
    SILENT = 2
    GAP = 3


@dataclass(frozen=True, slots=True)
class Span:
    """A piece of time with what its temperature was or may have been.

    low_c, high_c   measured: the reading, twice; else the range that is declared or possible
    end_c           measured: the next reading, for trapezoids; None if none follows before a gap or the end
    uncertainty_c   u of the logger; 0 for declared spans
    muted           limits do not count in it
    """

    begins_ms: int
    ends_ms: int
    kind: SpanKind
    low_c: float
    high_c: float
    end_c: float | None
    uncertainty_c: float
    muted: bool = False


@dataclass(frozen=True, slots=True)
class Stretch:
    """A piece of an exposure: carried in `box`; or declared between low_c and high_c; or, with neither, unknown."""

    begins_ms: int
    ends_ms: int | None
    box: str | None = None
    range_c: tuple[float, float] | None = None
    phase: str = "in_transit"


def exposure_of(consignment: Consignment, item: Item) -> tuple[Stretch, ...]:
    """Return the item's stretches in order, without overlap; where both exist, measured wins over declared."""
    carried = _without_overlap(
        Stretch(to_ms(carriage.begins), _optional_ms(carriage.ends), carriage.box, phase=carriage.phase)
        for carriage in consignment.carriage_of(item)
    )
    if consignment.received_at is not None:
        carried = _clipped(carried, to_ms(consignment.received_at))
    declared = [
        piece
        for stretch in item.declared
        for piece in _subtract(
            Stretch(to_ms(stretch.begins), to_ms(stretch.ends), range_c=(stretch.low_c, stretch.high_c)), carried
        )
    ]
    return tuple(_with_unknown_between(_without_overlap([*carried, *declared])))


def to_ms(moment: AwareDatetime) -> int:
    """Return UTC milliseconds."""
    return round(moment.timestamp() * 1000)


def clip_exposure(exposure: Iterable[Stretch], begins_ms: int | None, ends_ms: int | None) -> tuple[Stretch, ...]:
    """Return the part of an exposure within [begins_ms, ends_ms); None is open."""
    part = list(exposure)
    if ends_ms is not None:
        part = _clipped(part, ends_ms)
    if begins_ms is None:
        return tuple(part)
    return tuple(
        replace(stretch, begins_ms=max(stretch.begins_ms, begins_ms))
        for stretch in part
        if stretch.ends_ms is None or stretch.ends_ms > begins_ms
    )


def _optional_ms(moment: AwareDatetime | None) -> int | None:
    return None if moment is None else to_ms(moment)


def _clipped(stretches: Iterable[Stretch], end_ms: int) -> list[Stretch]:
    return [
        replace(stretch, ends_ms=end_ms if stretch.ends_ms is None else min(stretch.ends_ms, end_ms))
        for stretch in stretches
        if stretch.begins_ms < end_ms
    ]


def _without_overlap(stretches: Iterable[Stretch]) -> list[Stretch]:
    """A later stretch ends the one before: an item is in one place."""
    ordered = sorted(stretches, key=lambda stretch: (stretch.begins_ms, stretch.box or ""))
    return [
        *(
            _until(stretch, following.begins_ms)
            for stretch, following in pairwise(ordered)
            if stretch.begins_ms < following.begins_ms
        ),
        *ordered[-1:],
    ]


def _until(stretch: Stretch, end_ms: int) -> Stretch:
    if stretch.ends_ms is not None and stretch.ends_ms <= end_ms:
        return stretch
    return replace(stretch, ends_ms=end_ms)


def _subtract(stretch: Stretch, others: Iterable[Stretch]) -> list[Stretch]:
    """Return what is left of a declared stretch outside the others."""
    pieces = [stretch]
    for other in others:
        pieces = [left for piece in pieces for left in _subtract_one(piece, other)]
    return pieces


def _subtract_one(piece: Stretch, other: Stretch) -> Iterator[Stretch]:
    end_ms = piece.ends_ms
    if end_ms is None:
        raise ValueError("a declared stretch has an end")
    if other.begins_ms >= end_ms or (other.ends_ms is not None and other.ends_ms <= piece.begins_ms):
        yield piece
        return
    if other.begins_ms > piece.begins_ms:
        yield replace(piece, ends_ms=other.begins_ms)
    if other.ends_ms is not None and other.ends_ms < end_ms:
        yield replace(piece, begins_ms=other.ends_ms)


def _with_unknown_between(stretches: Sequence[Stretch]) -> Iterator[Stretch]:
    """Nobody's time between two stretches is an unknown stretch: a gap like any other."""
    for stretch, following in pairwise(stretches):
        yield stretch
        if stretch.ends_ms is not None and stretch.ends_ms < following.begins_ms:
            yield Stretch(stretch.ends_ms, following.begins_ms)
    yield from stretches[-1:]


class Cursor(msgspec.Struct):
    """Where a builder stands: all that it remembers of the readings so far.

    stretch    index into the exposure
    covered_ms time up to which spans were yielded
    at_ms      time of the last reading of this stretch's box, None if there was none
    last_c     its temperature; interval_ms the time it stands for at least
    known_c    the last temperature known at all, for a gap's open end
    """

    stretch: int = 0
    covered_ms: int = 0
    at_ms: int | None = None
    last_c: float = 0.0
    interval_ms: int = 0
    known_c: float | None = None


class SpanBuilder:
    """Turns readings into spans. Its whole memory is its cursor, which can be stored and resumed."""

    def __init__(
        self,
        exposure: Sequence[Stretch],
        policy: GapPolicy,
        uncertainty_by_box_c: dict[str, float],
        *,
        default_uncertainty_c: float,
        muted_phases: Sequence[str] = (),
        start_delay_ms: int = 0,
    ) -> None:
        self._exposure = exposure
        self._policy = policy
        self._uncertainty = uncertainty_by_box_c
        self._default_uncertainty_c = default_uncertainty_c
        self._muted_phases = frozenset(muted_phases)
        self._muted_until_ms = exposure[0].begins_ms + start_delay_ms if exposure and start_delay_ms else None

    def begin(self) -> Cursor:
        """Return the cursor of a fresh start."""
        return Cursor(covered_ms=self._exposure[0].begins_ms if self._exposure else 0)

    def push(self, cursor: Cursor, box: str, reading: Reading) -> Iterator[Span]:
        """Take the next reading in order of time; a reading outside the exposure yields nothing."""
        yield from self._leave_before(cursor, reading.at_ms)
        if cursor.stretch >= len(self._exposure):
            return
        stretch = self._exposure[cursor.stretch]
        if stretch.box != box:
            return
        if reading.at_ms >= stretch.begins_ms:
            yield from self._up_to(cursor, stretch, reading)
        cursor.at_ms = reading.at_ms
        cursor.last_c = cursor.known_c = reading.temperature_c
        cursor.interval_ms = reading.interval_s * 1000

    def close(self, cursor: Cursor, until_ms: int) -> Iterator[Span]:
        """Yield the rest of the exposure up to `until_ms`."""
        yield from self._leave_before(cursor, until_ms)
        if cursor.stretch < len(self._exposure):
            yield from self._finish(cursor, self._exposure[cursor.stretch], until_ms)

    def is_settled(self, cursor: Cursor) -> bool:
        """Whether the exposure has ended."""
        return cursor.stretch >= len(self._exposure)

    def _leave_before(self, cursor: Cursor, at_ms: int) -> Iterator[Span]:
        """Finish every stretch that has ended by `at_ms`."""
        while cursor.stretch < len(self._exposure):
            stretch = self._exposure[cursor.stretch]
            if stretch.ends_ms is None or stretch.ends_ms > at_ms:
                return
            yield from self._finish(cursor, stretch, stretch.ends_ms)
            cursor.stretch += 1
            cursor.at_ms = None
            if cursor.stretch < len(self._exposure):
                cursor.covered_ms = self._exposure[cursor.stretch].begins_ms

    def _up_to(self, cursor: Cursor, stretch: Stretch, reading: Reading) -> Iterator[Span]:
        """Cover the time from the cursor to a reading."""
        begins_ms, ends_ms = cursor.covered_ms, reading.at_ms
        if ends_ms <= begins_ms:
            return
        cursor.covered_ms = ends_ms
        if cursor.at_ms is None:
            silent = ends_ms - begins_ms <= self._threshold_ms(reading.interval_s * 1000)
            yield from self._silence(
                stretch, begins_ms, ends_ms, (cursor.known_c, reading.temperature_c), silent=silent
            )
            return
        if ends_ms - cursor.at_ms <= self._threshold_ms(cursor.interval_ms):
            yield self._measured(stretch, begins_ms, ends_ms, cursor.last_c, reading.temperature_c)
            return
        covered_ms = max(begins_ms, min(ends_ms, cursor.at_ms + cursor.interval_ms))
        if covered_ms > begins_ms:
            yield self._measured(stretch, begins_ms, covered_ms, cursor.last_c, None)
        yield from self._silence(stretch, covered_ms, ends_ms, (cursor.last_c, reading.temperature_c), silent=False)

    def _finish(self, cursor: Cursor, stretch: Stretch, until_ms: int) -> Iterator[Span]:
        """Cover the time from the cursor to `until_ms`, with no reading after."""
        begins_ms = cursor.covered_ms
        if until_ms <= begins_ms:
            return
        cursor.covered_ms = until_ms
        if stretch.range_c is not None:
            cursor.known_c = stretch.range_c[1]
            yield Span(
                begins_ms, until_ms, SpanKind.DECLARED, *stretch.range_c, None, 0.0, self._is_muted(stretch, begins_ms)
            )
            return
        if cursor.at_ms is None:
            yield from self._silence(stretch, begins_ms, until_ms, (cursor.known_c, None), silent=False)
            return
        covered_ms = max(begins_ms, min(until_ms, cursor.at_ms + cursor.interval_ms))
        if covered_ms > begins_ms:
            yield self._measured(stretch, begins_ms, covered_ms, cursor.last_c, None)
        if until_ms > covered_ms:
            silent = until_ms - cursor.at_ms <= self._threshold_ms(cursor.interval_ms)
            yield from self._silence(stretch, covered_ms, until_ms, (cursor.last_c, None), silent=silent)

    def _threshold_ms(self, interval_ms: int) -> int:
        return max(round(self._policy.factor * interval_ms), self._policy.minimum)

    def _is_muted(self, stretch: Stretch, at_ms: int) -> bool:
        return stretch.phase in self._muted_phases or (
            self._muted_until_ms is not None and at_ms < self._muted_until_ms
        )

    def _uncertainty_of(self, stretch: Stretch) -> float:
        return self._uncertainty.get(stretch.box or "", self._default_uncertainty_c)

    def _measured(self, stretch: Stretch, begins_ms: int, ends_ms: int, at_c: float, end_c: float | None) -> Span:
        return Span(
            begins_ms,
            ends_ms,
            SpanKind.MEASURED,
            at_c,
            at_c,
            end_c,
            self._uncertainty_of(stretch),
            self._is_muted(stretch, begins_ms),
        )

    def _silence(
        self, stretch: Stretch, begins_ms: int, ends_ms: int, ends_c: tuple[float | None, float | None], *, silent: bool
    ) -> Iterator[Span]:
        start_c, end_c = ends_c
        if silent:  # too short to have gone anywhere: the known end holds
            start_c, end_c = (start_c if end_c is None else end_c), (end_c if start_c is None else start_c)
        kind = SpanKind.SILENT if silent else SpanKind.GAP
        muted = self._is_muted(stretch, begins_ms)
        uncertainty_c = self._uncertainty_of(stretch)
        for step_begins_ms, step_ends_ms, low_c, high_c in possible_course(
            self._policy, begins_ms, ends_ms, start_c, end_c
        ):
            yield Span(step_begins_ms, step_ends_ms, kind, low_c, high_c, None, uncertainty_c, muted)


def possible_course(
    policy: GapPolicy, begins_ms: int, ends_ms: int, start_c: float | None, end_c: float | None
) -> list[tuple[int, int, float, float]]:
    """Return (begins_ms, ends_ms, low_c, high_c) steps that hold whatever may have happened in a silence.

    Between two readings: at least the worse of both ends, and as far beyond as the slew limit lets it go and come
    back, within the worst ambient. With one open end it relaxes towards the worst ambient; with none it may have been
    anything that the ambient allows. Each step is counted at its worse end, so the result is an upper bound.
    """
    hot = _corners(policy, ends_ms - begins_ms, start_c, end_c, sign=1)
    cold = _corners(policy, ends_ms - begins_ms, start_c, end_c, sign=-1)
    cuts = sorted({0, ends_ms - begins_ms, *(at for at, _ in hot), *(at for at, _ in cold)})
    return [
        (
            begins_ms + a,
            begins_ms + b,
            min(_at(cold, a), _at(cold, b)),
            max(_at(hot, a), _at(hot, b)),
        )
        for a, b in pairwise(cuts)
        if b > a
    ]


def _corners(
    policy: GapPolicy, duration_ms: int, start_c: float | None, end_c: float | None, *, sign: int
) -> list[tuple[int, float]]:
    """Return the worst course on one side (sign 1 hot, −1 cold) as (ms, °C) corners, resolved to GAP_STEP_C."""
    ambient_c = policy.ambient_high_c if sign > 0 else policy.ambient_low_c
    if start_c is None and end_c is None:
        return [(0, ambient_c), (duration_ms, ambient_c)]
    if start_c is None or end_c is None:
        return _open_end(policy, duration_ms, start_c, end_c, ambient_c, sign)
    floor_c = max(sign * start_c, sign * end_c)
    cap_c = max(sign * ambient_c, floor_c)
    tent = tent_c(sign * start_c, sign * end_c, duration_ms / HOUR_MS, policy.slew_c_per_h)
    corners = [(round(hours * HOUR_MS), value) for hours, value in tent]
    return [(at, sign * min(cap_c, max(floor_c, value))) for at, value in _refined(corners)]


def _open_end(
    policy: GapPolicy, duration_ms: int, start_c: float | None, end_c: float | None, ambient_c: float, sign: int
) -> list[tuple[int, float]]:
    known_c = start_c if start_c is not None else end_c
    if known_c is None:
        raise ValueError("an open end needs one known end")
    target_c = sign * max(sign * ambient_c, sign * known_c)
    steps = range(GAP_STEPS_MAX + 1)
    course = [
        (
            duration_ms * step // GAP_STEPS_MAX,
            relaxed_c(known_c, target_c, duration_ms * step / GAP_STEPS_MAX / HOUR_MS, policy.relaxation / HOUR_MS),
        )
        for step in steps
    ]
    if start_c is None:
        course = [(duration_ms - at, value) for at, value in reversed(course)]
    return course


def _refined(corners: list[tuple[int, float]]) -> list[tuple[int, float]]:
    """Divide each leg into steps of GAP_STEP_C, at most GAP_STEPS_MAX of them."""
    refined = corners[:1]
    for (a, before), (b, after) in pairwise(corners):
        count = min(GAP_STEPS_MAX, max(1, round(abs(after - before) / GAP_STEP_C)))
        refined.extend(
            (a + (b - a) * step // count, before + (after - before) * step / count) for step in range(1, count + 1)
        )
    return refined


def _at(corners: list[tuple[int, float]], at_ms: int) -> float:
    """Interpolate between corners."""
    for (a, before), (b, after) in pairwise(corners):
        if at_ms <= b:
            return before if b == a else before + (after - before) * (at_ms - a) / (b - a)
    return corners[-1][1]
