"""The evaluator: a fold of readings over one exposure under one profile. ``state, reading → state``.

The state is small, serialisable at any point, and all that is remembered. Readings are given in order of time; whoever
has a late one folds again from the start (see `judgement`). Folding incrementally and folding at once are the same.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import islice

import msgspec

from gateway.core.bands import BandTable
from gateway.core.exposure import Stretch
from gateway.core.figures import CalibrationSpan, CalibrationSpans, Gauge, Measured
from gateway.core.laws import Modelled
from gateway.core.lives import Life, LifeState, begin_life, lives_of, spend_life
from gateway.core.profiles import Profile
from gateway.core.readings import Reading
from gateway.core.spans import MICRO, Cursor, Span, SpanBuilder, SpanKind, Taken
from gateway.core.surroundings import Surroundings, note_reading, pass_time
from gateway.core.thresholds import Threshold, ThresholdState
from gateway.core.tracks import TRACKS, Track, range_seen
from gateway.core.verdicts import Figures, Gap

GAPS_MAX = 24
"""Gaps kept one by one; of more, the longest stay, and their total is exact anyway."""


class Calm(msgspec.Struct, array_like=True):
    """Time in which nothing can have happened, not yet passed on to the rules: [begins_ms, ends_ms).

    slot     the slot of the band table that all of it lies in, -1 if the last span was not calm
    left_ms  time that may pass before a life must be asked whether it is spent
    The temperatures are those of the last span that was passed on; any in the slot would do.
    """

    slot: int = -1
    begins_ms: int = 0
    ends_ms: int = 0
    left_ms: float = 0.0
    nominal_c: float = 0.0
    low_c: float = 0.0
    high_c: float = 0.0


class State(msgspec.Struct, array_like=True):
    """Everything the fold remembers."""

    cursor: Cursor
    measured: Measured
    thresholds: list[ThresholdState]
    lives: list[LifeState]
    outside: list[int]  # ms in no stated band, in each view
    gaps: list[tuple[int, int]] = []
    gaps_dropped: int = 0
    surroundings: Surroundings = msgspec.field(default_factory=Surroundings)
    calm: Calm = msgspec.field(default_factory=Calm)


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(State).decode


def encode_state(state: State) -> bytes:
    """Serialise; the size is the memory that an active item costs."""
    return _encode(state)


def decode_state(data: bytes) -> State:
    """Restore what `encode_state` wrote."""
    return _decode(data)


class Evaluator:
    """Folds readings for one profile over one exposure."""

    def __init__(
        self,
        profile: Profile,
        exposure: Sequence[Stretch],
        *,
        uncertainty_by_box_c: Mapping[str, float],
        calibration_by_box: Mapping[str, CalibrationSpan | CalibrationSpans],
    ) -> None:
        self.profile = profile
        self.exposure = tuple(exposure)
        self.thresholds = [*map(Threshold.of, profile.limits), *map(Threshold.of, profile.forbidden)]
        self._bands = BandTable(profile.bands)
        self.lives: list[Life] = lives_of(profile, self._bands)
        self._laws = [place for place, life in enumerate(self.lives) if isinstance(life, Modelled)]
        self._tables = [place for place, life in enumerate(self.lives) if not isinstance(life, Modelled)]
        calm_ranges_c = [rule.calm_range_c for rule in self.thresholds]
        self._calm_above_c = max((low for low, _ in calm_ranges_c), default=-math.inf)
        self._calm_below_c = min((high for _, high in calm_ranges_c), default=math.inf)
        self._gauge = Gauge(profile.mkt_activation_energy_kj_mol, calibration_by_box)
        self._limits_surroundings = profile.light_lux is not None or profile.shock_g is not None
        self._asks_each = bool(self._laws) or self._limits_surroundings
        self._builder = SpanBuilder(
            self.exposure,
            profile.gap,
            uncertainty_by_box_c,
            default_uncertainty_c=profile.uncertainty_c,
            muted_phases=profile.muted_phases,
            start_delay_ms=profile.start_delay,
        )

    def begin(self) -> State:
        """Return the state before any reading."""
        return State(
            cursor=self._builder.begin(),
            measured=Measured(),
            thresholds=[ThresholdState() for _ in self.thresholds],
            lives=[begin_life(life) for life in self.lives],
            outside=[0] * len(TRACKS),
        )

    def push(self, state: State, box: str, readings: Sequence[Reading]) -> None:
        """Fold the next readings of a box, in order of time."""
        place = self._pass_calm(state, box, readings, 0)
        while place < len(readings):
            self._push_one(state, box, readings[place])
            place = self._pass_calm(state, box, readings, place + 1)

    def _push_one(self, state: State, box: str, reading: Reading) -> None:
        spans, taken = self._builder.push(state.cursor, box, reading)
        for span in spans:
            self._step(state, span)
        if taken is Taken.WITHIN:
            self._gauge.note(state.measured, box, (reading,))
        if taken is not Taken.NOT and self._limits_surroundings:
            note_reading(self.profile, state.surroundings, reading)

    def _pass_calm(self, state: State, box: str, readings: Sequence[Reading], first: int) -> int:
        """Fold as many readings as stay calm, from a place on; return the place of the next.

        What `_push_one` does with each of them, without the span that nobody would look at: see `_stays_calm`.
        """
        cursor, calm = state.cursor, state.calm
        plain = None if calm.slot < 0 or self._asks_each else self._builder.plain(cursor, box)
        if plain is None or cursor.at_ms is None:
            return first
        above_c, highest_c = self._bands.bounds_c(calm.slot)
        above_c, below_c = max(above_c, self._calm_above_c), self._calm_below_c
        until_ms = min(plain.until_ms, calm.begins_ms + calm.left_ms)
        at_ms, last_c, interval_s = cursor.at_ms, cursor.last_c, -1
        apart_ms, place = plain.apart_ms(cursor.interval_ms), first
        for reading in islice(readings, first, None):
            at_micro = round(last_c * MICRO)
            high_c = (at_micro + plain.uncertainty_micro) / MICRO
            if (
                not at_ms < reading.at_ms < until_ms
                or reading.at_ms - at_ms > apart_ms
                or (at_micro - plain.uncertainty_micro) / MICRO <= above_c
                or high_c > highest_c
                or high_c >= below_c
            ):
                break
            at_ms, last_c = reading.at_ms, reading.temperature_c
            if reading.interval_s != interval_s:
                interval_s = reading.interval_s
                apart_ms = plain.apart_ms(interval_s * 1000)
            place += 1
        if place > first:
            self._gauge.pass_run(state.measured, box, cursor.at_ms, cursor.last_c, readings[first:place])
            calm.ends_ms = cursor.covered_ms = cursor.at_ms = at_ms
            cursor.last_c, cursor.interval_ms = last_c, interval_s * 1000
        return place

    def close(self, state: State, until_ms: int) -> State:
        """Return a copy of the state with the exposure covered up to `until_ms`; the state itself goes on."""
        closed = decode_state(encode_state(state))
        for span in self._builder.close(closed.cursor, until_ms):
            self._step(closed, span)
        self._wake(closed)
        if self._builder.is_settled(closed.cursor):
            for rule, rule_state in zip(self.thresholds, closed.thresholds, strict=True):
                rule.leave(rule_state)
        return closed

    def figures(self, state: State) -> Figures:
        """Return what was measured."""
        return self._gauge.figures(state.measured)

    def gaps(self, state: State) -> tuple[Gap, ...]:
        """Return the gaps in order."""
        return tuple(Gap(begins_ms, ends_ms) for begins_ms, ends_ms in state.gaps)

    def _step(self, state: State, span: Span) -> None:
        self._gauge.pass_span(state.measured, span)
        if span.kind is SpanKind.GAP:
            _note_gap(state, span)
        elif span.kind is SpanKind.MEASURED and self._limits_surroundings:
            pass_time(self.profile, state.surroundings, span.ends_ms - span.begins_ms)
        for place in self._laws:
            spend_life(self.lives[place], state.lives[place], span)
        if self._stays_calm(state.calm, span):
            state.calm.ends_ms = span.ends_ms
            return
        self._wake(state)
        self._follow(state, span)
        state.calm = self._calm_after(state, span)

    def _stays_calm(self, calm: Calm, span: Span) -> bool:
        """Whether to all rules this span is but more of the one before.

        That is: measured, far from every limit in every view, in the same slot of the band table, and no life can end
        in it. Rules only add up such time, so it is passed on to them in one piece: see `_wake`.
        """
        return (
            span.kind is SpanKind.MEASURED
            and self._calm_above_c < span.low_c
            and span.high_c < self._calm_below_c
            and 0 <= calm.slot == self._bands.touch(span.low_c, span.high_c).slot
            and span.ends_ms - calm.begins_ms < calm.left_ms
        )

    def _calm_after(self, state: State, span: Span) -> Calm:
        """Return the calm that may follow a span. After one far from every limit no run lasts."""
        is_calm = (
            span.kind is SpanKind.MEASURED and self._calm_above_c < span.low_c and span.high_c < self._calm_below_c
        )
        return Calm(
            slot=self._bands.touch(span.low_c, span.high_c).slot if is_calm else -1,
            begins_ms=span.ends_ms,
            ends_ms=span.ends_ms,
            left_ms=min((state.lives[place].slack_ms for place in self._tables), default=math.inf),
            nominal_c=span.nominal_c,
            low_c=span.low_c,
            high_c=span.high_c,
        )

    def _wake(self, state: State) -> None:
        """Pass calm time on to the rules."""
        calm = state.calm
        if calm.ends_ms > calm.begins_ms:
            times = (calm.begins_ms, calm.ends_ms, SpanKind.MEASURED)
            self._follow(state, Span(*times, calm.nominal_c, None, calm.low_c, calm.high_c, calm.begins_ms))
            calm.begins_ms = calm.ends_ms

    def _follow(self, state: State, span: Span) -> None:
        """Let all rules that can wait follow a span."""
        for rule, rule_state in zip(self.thresholds, state.thresholds, strict=True):
            rule.step(rule_state, span)
        for place in self._tables:
            spend_life(self.lives[place], state.lives[place], span)
        if self._bands.bands:
            self._step_outside(state.outside, span)

    def _step_outside(self, outside: list[int], span: Span) -> None:
        if not self._bands.touch(span.low_c, span.high_c).unstated:
            return
        for track in TRACKS:
            seen = range_seen(track, span)
            if seen is None:
                continue
            touched = self._bands.touch(*seen)
            if not touched.bands if track is Track.PROVEN else touched.unstated:
                outside[track] += span.ends_ms - span.begins_ms


def _note_gap(state: State, span: Span) -> None:
    """Join the steps of one gap; keep the longest."""
    if state.gaps and state.gaps[-1][1] == span.begins_ms:
        state.gaps[-1] = (state.gaps[-1][0], span.ends_ms)
        return
    state.gaps.append((span.begins_ms, span.ends_ms))
    if len(state.gaps) > GAPS_MAX:
        shortest = min(state.gaps[:-1], key=lambda gap: gap[1] - gap[0])
        state.gaps.remove(shortest)
        state.gaps_dropped += 1
