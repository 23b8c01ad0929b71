"""Spans: the pieces of time that readings make of an exposure.

A builder takes the readings of the carried stretches in order and yields spans that cover the exposure's time once:

* measured: a reading stands for the time until the next one;
* declared: a named sender vouches for it;
* silent:   time without a reading that is not (yet) a gap: after the last reading's interval, before the first reading;
* gap:      silence longer than the profile's gap policy allows: unmonitored, at its worst between its ends.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from enum import IntEnum
from typing import NamedTuple

import msgspec

from gateway.core.courses import Range, possible_course
from gateway.core.exposure import Stretch
from gateway.core.profiles import GapPolicy
from gateway.core.readings import Reading

MICRO = 1_000_000
"""Temperatures meet their uncertainty in millionths: 2.3 less 0.3 is 2.0, whatever binary fractions make of it."""


class Taken(IntEnum):
    """What a reading is to an exposure: none of it, said of its box before it was in it, or part of it."""

    NOT = 0
    BEFORE = 1
    WITHIN = 2


class SpanKind(IntEnum):
    """How a span's temperature is known."""

    MEASURED = 0
    DECLARED = 1
    SILENT = 2
    GAP = 3


class Span(msgspec.Struct, frozen=True, gc=False):
    """A piece of time with what its temperature was or may have been.

    nominal_c       the reading; declared or possible: the middle of the range
    end_c           measured: the next reading, for trapezoids, None if it stands alone; else None
    low_c, high_c   the range, with the logger's uncertainty
    limits_from_ms  limits count from here on (ends_ms if it is muted as a whole)
    """

    begins_ms: int
    ends_ms: int
    kind: SpanKind
    nominal_c: float
    end_c: float | None
    low_c: float
    high_c: float
    limits_from_ms: int


class Cursor(msgspec.Struct, array_like=True):
    """Where a builder stands: all that it remembers of the readings so far.

    stretch    index into the exposure
    covered_ms time up to which spans were yielded
    at_ms      time of the last reading of this stretch's box, None if there was none
    last_c     its temperature; interval_ms the time it stands for at least
    known_c    what is known of the temperature where this stretch began, None if nothing
    """

    stretch: int = 0
    covered_ms: int = 0
    at_ms: int | None = None
    last_c: float = 0.0
    interval_ms: int = 0
    known_c: Range | None = None


class Plain(NamedTuple):
    """A time in which readings follow each other: until when, how far they may be apart, with which uncertainty."""

    until_ms: float
    apart_ms: Callable[[int], float]
    uncertainty_micro: int


class SpanBuilder:
    """Turns readings into spans. Its whole memory is its cursor, which can be stored and resumed."""

    def __init__(
        self,
        exposure: Sequence[Stretch],
        policy: GapPolicy,
        uncertainty_by_box_c: Mapping[str, float],
        *,
        default_uncertainty_c: float,
        muted_phases: Sequence[str] = (),
        start_delay_ms: int = 0,
    ) -> None:
        self._exposure = exposure
        self._policy = policy
        begins_ms = exposure[0].begins_ms if exposure else 0
        self._limits_from_ms = [
            stretch.ends_ms if stretch.phase in muted_phases else begins_ms + start_delay_ms for stretch in exposure
        ]
        self._uncertainty_micro = [
            round(_uncertainty_of(stretch, uncertainty_by_box_c, default_uncertainty_c) * MICRO) for stretch in exposure
        ]
        self._never_a_gap_ms = policy.minimum

    def begin(self) -> Cursor:
        """Return the cursor of a fresh start.

        A beginning that nobody speaks for and that is too short to be a gap belongs to the stretch that follows.
        """
        if not self._exposure:
            return Cursor()
        first = self._exposure[0]
        leads_in = (
            len(self._exposure) > 1
            and _is_unknown(first)
            and first.ends_ms is not None
            and first.ends_ms - first.begins_ms <= self._policy.minimum
        )
        return Cursor(stretch=int(leads_in), covered_ms=first.begins_ms)

    def push(self, cursor: Cursor, box: str, reading: Reading) -> tuple[list[Span], Taken]:
        """Take the next reading in order of time; return the spans it ends, and what it is to the exposure.

        A reading of a box that the item is not in at that time changes nothing, but that it bridges the end of
        the stretch before: a reading stands until the next one of its box.
        """
        spans: list[Span] = []
        if cursor.stretch >= len(self._exposure):
            return spans, Taken.NOT
        stretch = self._exposure[cursor.stretch]
        if stretch.ends_ms is not None and stretch.ends_ms <= reading.at_ms:
            if stretch.box == box:
                self._bridge(cursor, stretch.ends_ms, reading.at_ms, spans)
            following = self._stretch_at(reading.at_ms, cursor.stretch)
            if following is None or following.box != box:
                return spans, Taken.NOT
            self._leave_before(cursor, reading.at_ms, spans)
            stretch = following
        elif stretch.box != box:
            return spans, Taken.NOT
        is_within = reading.at_ms >= stretch.begins_ms
        if is_within:
            self._cover(cursor, stretch, reading, spans)
        cursor.at_ms = reading.at_ms
        cursor.last_c = reading.temperature_c
        cursor.interval_ms = reading.interval_s * 1000
        return spans, Taken.WITHIN if is_within else Taken.BEFORE

    def plain(self, cursor: Cursor, box: str) -> Plain | None:
        """Return until when each reading of a box does no more than end the span of the one before; None: not even one.

        That holds while no reading is later than the gap policy allows after the one before it.
        """
        if cursor.at_ms is None or cursor.covered_ms != cursor.at_ms or cursor.stretch >= len(self._exposure):
            return None
        stretch = self._exposure[cursor.stretch]
        if stretch.box != box or cursor.at_ms < stretch.begins_ms:
            return None
        until_ms = math.inf if stretch.ends_ms is None else stretch.ends_ms
        return Plain(until_ms, self._policy.threshold_ms, self._uncertainty_micro[cursor.stretch])

    def close(self, cursor: Cursor, until_ms: int) -> list[Span]:
        """Return the rest of the exposure up to `until_ms`."""
        spans: list[Span] = []
        self._leave_before(cursor, until_ms, spans)
        if cursor.stretch < len(self._exposure):
            self._finish(cursor, self._exposure[cursor.stretch], until_ms, spans)
        return spans

    def is_settled(self, cursor: Cursor) -> bool:
        """Whether the exposure has ended."""
        return cursor.stretch >= len(self._exposure)

    def _stretch_at(self, at_ms: int, place: int) -> Stretch | None:
        """Return the stretch that has not ended by `at_ms`, looking from a place on."""
        rest = self._exposure[place:]
        return next((stretch for stretch in rest if stretch.ends_ms is None or stretch.ends_ms > at_ms), None)

    def _bridge(self, cursor: Cursor, ends_ms: int, at_ms: int, spans: list[Span]) -> None:
        """Let the last reading stand to the stretch's end, if the next one of its box comes before a gap."""
        if (
            cursor.at_ms is None
            or cursor.covered_ms >= ends_ms
            or self._is_gap(at_ms - cursor.at_ms, cursor.interval_ms)
        ):
            return
        spans.append(self._measured(cursor, cursor.covered_ms, ends_ms, None))
        cursor.covered_ms = ends_ms

    def _leave_before(self, cursor: Cursor, at_ms: int, spans: list[Span]) -> None:
        """Finish every stretch that has ended by `at_ms`."""
        while cursor.stretch < len(self._exposure):
            stretch = self._exposure[cursor.stretch]
            if stretch.ends_ms is None or stretch.ends_ms > at_ms:
                return
            cursor.known_c = self._finish(cursor, stretch, stretch.ends_ms, spans)
            cursor.stretch += 1
            following = self._exposure[cursor.stretch] if cursor.stretch < len(self._exposure) else None
            if following is None or following.box != stretch.box:
                cursor.at_ms = None

    def _cover(self, cursor: Cursor, stretch: Stretch, reading: Reading, spans: list[Span]) -> None:
        """Cover the time from the cursor to a reading within the stretch."""
        reached_c = (reading.temperature_c, reading.temperature_c)
        if cursor.covered_ms < stretch.begins_ms:
            self._lead_in(cursor, stretch, reached_c, spans)
        begins_ms, ends_ms = cursor.covered_ms, reading.at_ms
        if ends_ms <= begins_ms:
            return
        cursor.covered_ms = ends_ms
        if cursor.at_ms is None:
            if self._is_gap(ends_ms - begins_ms, reading.interval_s * 1000):
                self._lose(cursor, (begins_ms, begins_ms, ends_ms), cursor.known_c, reached_c, spans)
            else:
                spans.append(
                    self._silent(cursor, begins_ms, ends_ms, _hull(self._known(cursor) or reached_c, reached_c))
                )
            return
        if not self._is_gap(ends_ms - cursor.at_ms, cursor.interval_ms):
            spans.append(self._measured(cursor, begins_ms, ends_ms, reading.temperature_c))
            return
        lost_ms = self._stand_alone(cursor, begins_ms, ends_ms, spans)
        self._lose(cursor, (cursor.at_ms, lost_ms, ends_ms), (cursor.last_c, cursor.last_c), reached_c, spans)

    def _finish(self, cursor: Cursor, stretch: Stretch, until_ms: int, spans: list[Span]) -> Range | None:
        """Cover the time from the cursor to `until_ms`, with no reading after; return what is known there."""
        if stretch.range_c is not None:
            return self._declare(cursor, stretch, stretch.range_c, until_ms, spans)
        begins_ms = cursor.covered_ms
        cursor.covered_ms = max(begins_ms, until_ms)
        if cursor.at_ms is None:
            known_ms, interval_ms, known_c = begins_ms, 0, cursor.known_c
        else:
            known_ms, interval_ms, known_c = cursor.at_ms, cursor.interval_ms, (cursor.last_c, cursor.last_c)
            begins_ms = self._stand_alone(cursor, begins_ms, until_ms, spans)
        if _is_unknown(stretch) or self._is_gap(until_ms - known_ms, interval_ms):
            self._lose(cursor, (known_ms, begins_ms, until_ms), known_c, None, spans)
            return None
        if until_ms > begins_ms:
            anything_c = (self._policy.ambient_low_c, self._policy.ambient_high_c)
            silent_c = self._known(cursor) if cursor.at_ms is None else known_c
            spans.append(self._silent(cursor, begins_ms, until_ms, silent_c or anything_c))
        return known_c

    def _known(self, cursor: Cursor) -> Range | None:
        """What is known where the stretch began, less the logger's uncertainty where that has no part in it.

        The uncertainty is added to whatever the stretch's spans hold; a range that was declared stays as declared.
        """
        if cursor.known_c is None or self._exposure[cursor.stretch - 1].range_c is None:
            return cursor.known_c
        low_c, high_c = cursor.known_c
        uncertainty_c = self._uncertainty_micro[cursor.stretch] / MICRO
        return low_c + uncertainty_c, high_c - uncertainty_c

    def _is_gap(self, duration_ms: int, interval_ms: int) -> bool:
        return duration_ms > self._never_a_gap_ms and duration_ms > self._policy.threshold_ms(interval_ms)

    def _lead_in(self, cursor: Cursor, stretch: Stretch, known_c: Range, spans: list[Span]) -> None:
        """Cover a short beginning that nobody speaks for: what is known first holds."""
        spans.append(self._silent(cursor, cursor.covered_ms, stretch.begins_ms, known_c))
        cursor.covered_ms = stretch.begins_ms

    def _declare(self, cursor: Cursor, stretch: Stretch, range_c: Range, until_ms: int, spans: list[Span]) -> Range:
        if cursor.covered_ms < stretch.begins_ms:
            self._lead_in(cursor, stretch, range_c, spans)
        if until_ms > cursor.covered_ms:
            spans.append(self._ranging(cursor, SpanKind.DECLARED, cursor.covered_ms, until_ms, range_c))
            cursor.covered_ms = until_ms
        return range_c

    def _stand_alone(self, cursor: Cursor, begins_ms: int, until_ms: int, spans: list[Span]) -> int:
        """Let the last reading stand for its interval, no longer; return where silence begins."""
        stands_ms = max(begins_ms, min(until_ms, (cursor.at_ms or 0) + cursor.interval_ms))
        if stands_ms > begins_ms:
            spans.append(self._measured(cursor, begins_ms, stands_ms, None))
        return stands_ms

    def _measured(self, cursor: Cursor, begins_ms: int, ends_ms: int, end_c: float | None) -> Span:
        at_c, uncertainty_micro = cursor.last_c, self._uncertainty_micro[cursor.stretch]
        at_micro = round(at_c * MICRO)
        return Span(
            begins_ms,
            ends_ms,
            SpanKind.MEASURED,
            at_c,
            end_c,
            (at_micro - uncertainty_micro) / MICRO,
            (at_micro + uncertainty_micro) / MICRO,
            self._limits_from(cursor, begins_ms, ends_ms),
        )

    def _silent(self, cursor: Cursor, begins_ms: int, ends_ms: int, range_c: Range) -> Span:
        return self._ranging(cursor, SpanKind.SILENT, begins_ms, ends_ms, range_c)

    def _lose(
        self,
        cursor: Cursor,
        times_ms: tuple[int, int, int],
        start_c: Range | None,
        end_c: Range | None,
        spans: list[Span],
    ) -> None:
        """Cover a gap. The times are of the last known temperature, of the gap's beginning and of its end."""
        known_ms, begins_ms, ends_ms = times_ms
        if ends_ms <= begins_ms:
            return
        for from_ms, until_ms, low_c, high_c in possible_course(self._policy, known_ms, ends_ms, start_c, end_c):
            if until_ms > begins_ms:
                spans.append(self._ranging(cursor, SpanKind.GAP, max(begins_ms, from_ms), until_ms, (low_c, high_c)))

    def _ranging(self, cursor: Cursor, kind: SpanKind, begins_ms: int, ends_ms: int, range_c: Range) -> Span:
        low_c, high_c = range_c
        uncertainty_micro = 0 if kind is SpanKind.DECLARED else self._uncertainty_micro[cursor.stretch]
        return Span(
            begins_ms,
            ends_ms,
            kind,
            (low_c + high_c) / 2,
            None,
            (round(low_c * MICRO) - uncertainty_micro) / MICRO,
            (round(high_c * MICRO) + uncertainty_micro) / MICRO,
            self._limits_from(cursor, begins_ms, ends_ms),
        )

    def _limits_from(self, cursor: Cursor, begins_ms: int, ends_ms: int) -> int:
        muted_until_ms = self._limits_from_ms[cursor.stretch]
        if muted_until_ms is None or muted_until_ms > ends_ms:
            return ends_ms
        return max(begins_ms, muted_until_ms)


def _hull(one: Range, other: Range) -> Range:
    return min(one[0], other[0]), max(one[1], other[1])


def _is_unknown(stretch: Stretch) -> bool:
    return stretch.box is None and stretch.range_c is None


def _uncertainty_of(stretch: Stretch, by_box_c: Mapping[str, float], default_c: float) -> float:
    if stretch.uncertainty_c is not None:
        return stretch.uncertainty_c
    return by_box_c.get(stretch.box or "", default_c)
