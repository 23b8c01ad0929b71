"""Limits and forbidden thresholds: time spent beyond them, in one stretch and in all.

Comparison is strict (a maximum of exactly 8.0 is not above 8.0) unless the rule includes its limit. A gap ends a proven
run; it never ends a possible one. Silence that is no gap neither ends a run nor adds to it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import msgspec

from gateway.core.profiles import Forbidden, Limit, Severity
from gateway.core.spans import Span, SpanKind
from gateway.core.tracks import TRACKS, Track, range_seen
from gateway.core.verdicts import Excursion

EXCURSIONS_MAX = 24
"""Excursions kept one by one for each rule; of more, the longest stay and the others are counted."""


class Run(msgspec.Struct, array_like=True):
    """What one view knows of one threshold: the run that lasts, and the totals.

    Times in ms UTC, None where there is none; `degree_ms` is the integral of the distance beyond the limit.
    """

    started_ms: int | None = None
    ended_ms: int = 0
    extreme_c: float = 0.0
    degree_ms: float = 0.0
    total_ms: int = 0
    single_ms: int | None = None  # when a single run first reached its limit
    cumulative_ms: int | None = None  # when the total reached its limit
    is_proven: bool = False  # nominal: whether a proven run reached the limit within the run that lasts


class Past(msgspec.Struct, array_like=True):
    """An excursion that has ended."""

    started_ms: int
    ended_ms: int
    extreme_c: float
    degree_ms: float
    is_proven: bool = False


class ThresholdState(msgspec.Struct, array_like=True):
    """One rule's state: a run for each view, and the excursions as measured."""

    runs: list[Run] = msgspec.field(default_factory=lambda: [Run() for _ in TRACKS])
    past: list[Past] = msgspec.field(default_factory=list)
    dropped: int = 0


@dataclass(frozen=True, slots=True)
class Threshold:
    """A limit or forbidden threshold in one form. `single_ms`, `cumulative_ms`: None is no limit; 0 is at once."""

    name: str
    limit_c: float
    sign: int
    inclusive: bool
    single_ms: int | None
    cumulative_ms: int | None
    severity: Severity
    forbidden: bool
    warn_at_once: bool

    @classmethod
    def of(cls, rule: Limit | Forbidden) -> Threshold:
        """Read a profile's rule."""
        above = rule.above_c is not None
        limit_c = rule.above_c if rule.above_c is not None else rule.below_c
        if limit_c is None:
            raise ValueError(f"rule {rule.name!r} has no limit")
        forbidden = isinstance(rule, Forbidden)
        return cls(
            name=rule.name,
            limit_c=limit_c,
            sign=1 if above else -1,
            inclusive=rule.inclusive,
            single_ms=rule.dwell if isinstance(rule, Forbidden) else rule.single,
            cumulative_ms=None if isinstance(rule, Forbidden) else rule.cumulative,
            severity=rule.severity,
            forbidden=forbidden,
            warn_at_once=not isinstance(rule, Forbidden) and rule.warn_at_once,
        )

    def is_beyond(self, temperature_c: float) -> bool:
        """Whether a temperature is beyond the limit."""
        distance = self.sign * (temperature_c - self.limit_c)
        return distance >= 0 if self.inclusive else distance > 0

    @property
    def calm_range_c(self) -> tuple[float, float]:
        """Return the range strictly inside which no temperature is beyond."""
        return (-math.inf, self.limit_c) if self.sign > 0 else (self.limit_c, math.inf)

    def step(self, state: ThresholdState, span: Span) -> None:
        """Follow one span in all views."""
        worst_c = span.high_c if self.sign > 0 else span.low_c
        if not self.is_beyond(worst_c) and all(run.started_ms is None for run in state.runs):
            return
        for track in TRACKS:
            seen = range_seen(track, span) if span.limits_from_ms < span.ends_ms else None
            if seen is None:
                if span.kind is not SpanKind.SILENT:
                    self._leave(state, track)
                continue
            hottest = (track is Track.PROVEN) == (self.sign < 0)
            value_c = seen[1] if hottest else seen[0]
            if self.is_beyond(value_c):
                self._extend(state, track, span, value_c)
            else:
                self._leave(state, track)
        self._note_proof(state)

    def leave(self, state: ThresholdState) -> None:
        """End the runs that last: the exposure is over."""
        for track in TRACKS:
            self._leave(state, track)

    def excursions(self, state: ThresholdState) -> list[Excursion]:
        """Return the excursions as measured, in order; the one that lasts has no end."""
        excursions = [self._excursion(past, lasts=False) for past in state.past]
        run = state.runs[Track.NOMINAL]
        if run.started_ms is not None:
            lasting = Past(run.started_ms, run.ended_ms, run.extreme_c, run.degree_ms, run.is_proven)
            excursions.append(self._excursion(lasting, lasts=True))
        return excursions

    def _extend(self, state: ThresholdState, track: Track, span: Span, value_c: float) -> None:
        run = state.runs[track]
        if run.started_ms is None:
            run.started_ms, run.extreme_c, run.degree_ms = span.limits_from_ms, value_c, 0.0
            run.is_proven = False
        duration_ms = span.ends_ms - span.limits_from_ms
        run.ended_ms = span.ends_ms
        run.total_ms += duration_ms
        run.degree_ms += duration_ms * self.sign * (value_c - self.limit_c)
        if self.sign * (value_c - run.extreme_c) > 0:
            run.extreme_c = value_c
        if self.single_ms is not None and run.single_ms is None and run.ended_ms - run.started_ms >= self.single_ms:
            run.single_ms = run.started_ms + self.single_ms
        if self.cumulative_ms is not None and run.cumulative_ms is None and run.total_ms >= self.cumulative_ms:
            run.cumulative_ms = run.ended_ms - (run.total_ms - self.cumulative_ms)

    def _note_proof(self, state: ThresholdState) -> None:
        proven, nominal = state.runs[Track.PROVEN], state.runs[Track.NOMINAL]
        if self.single_ms is not None and proven.started_ms is not None:
            nominal.is_proven |= proven.ended_ms - proven.started_ms >= self.single_ms

    def _leave(self, state: ThresholdState, track: Track) -> None:
        run = state.runs[track]
        if run.started_ms is None:
            return
        if track is Track.NOMINAL:
            state.past.append(Past(run.started_ms, run.ended_ms, run.extreme_c, run.degree_ms, run.is_proven))
            if len(state.past) > EXCURSIONS_MAX:
                state.past.remove(min(state.past, key=lambda past: past.ended_ms - past.started_ms))
                state.dropped += 1
        run.started_ms = None

    def _excursion(self, past: Past, *, lasts: bool) -> Excursion:
        duration_ms = past.ended_ms - past.started_ms
        triggered = self.single_ms is not None and duration_ms >= self.single_ms
        return Excursion(
            rule=self.name,
            started_at_ms=past.started_ms,
            triggered_at_ms=past.started_ms + (self.single_ms or 0) if triggered else None,
            ended_at_ms=None if lasts else past.ended_ms,
            extreme_c=past.extreme_c,
            minutes=duration_ms / 60_000,
            degree_minutes=past.degree_ms / 60_000,
            proven=triggered and past.is_proven,
        )
