"""The evaluator: a fold of readings over one exposure under one profile. ``state, reading → state``.

The state is small, serialisable at any point, and all that is remembered. Readings are given in order of time; whoever
has a late one folds again from the start (see `judgement`). Folding incrementally and folding at once are the same.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import msgspec

from gateway.core.bands import BandTable
from gateway.core.exposure import Stretch
from gateway.core.lives import Life, LifeState, begin_life, lives_of, spend_life
from gateway.core.observations import Source
from gateway.core.profiles import Profile
from gateway.core.readings import Reading
from gateway.core.spans import Cursor, Span, SpanBuilder, SpanKind
from gateway.core.stability import GAS_CONSTANT_KJ_MOL_K, KELVIN, kinetic_mean_c
from gateway.core.surroundings import Surroundings, note_reading, pass_time
from gateway.core.thresholds import Threshold, ThresholdState
from gateway.core.tracks import TRACKS, Track, range_seen
from gateway.core.verdicts import Figures, Gap

GAPS_MAX = 24
"""Gaps kept one by one; of more, the longest stay, and their total is exact anyway."""


class Outside(msgspec.Struct, array_like=True):
    """Time in no stated band, in one view, and when it first exceeded the tolerance."""

    total_ms: int = 0
    exceeded_ms: int | None = None


class Measured(msgspec.Struct, array_like=True):
    """Sums for the figures."""

    readings: int = 0
    backfilled: int = 0
    untrusted: int = 0
    uncalibrated: int = 0
    min_c: float = math.inf
    min_at_ms: int = 0
    max_c: float = -math.inf
    max_at_ms: int = 0
    weighted_c: float = 0.0  # °C · ms
    kinetic: float = 0.0  # e^(-B/T) · ms, as a trapezoid between readings
    kinetic_ms: int = 0
    monitored_ms: int = 0
    declared_ms: int = 0
    silent_ms: int = 0
    unmonitored_ms: int = 0
    last_c: float | None = None
    last_at_ms: int | None = None


class State(msgspec.Struct, array_like=True):
    """Everything the fold remembers."""

    cursor: Cursor
    measured: Measured
    thresholds: list[ThresholdState]
    lives: list[LifeState]
    outside: list[Outside]
    gaps: list[tuple[int, int]] = []
    gaps_dropped: int = 0
    surroundings: Surroundings = msgspec.field(default_factory=Surroundings)


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(State).decode


def encode_state(state: State) -> bytes:
    """Serialise; the size is the memory that an active item costs."""
    return _encode(state)


def decode_state(data: bytes) -> State:
    """Restore what `encode_state` wrote."""
    return _decode(data)


@dataclass(frozen=True, slots=True)
class CalibrationSpan:
    """When readings of a box count as calibrated: [from_ms, until_ms); both None if never."""

    from_ms: int | None
    until_ms: int | None

    def covers(self, at_ms: int) -> bool:
        """Whether a reading at this moment is calibrated."""
        if self.from_ms is None or self.until_ms is None:
            return False
        return self.from_ms <= at_ms < self.until_ms


class Evaluator:
    """Folds readings for one profile over one exposure."""

    def __init__(
        self,
        profile: Profile,
        exposure: Sequence[Stretch],
        *,
        uncertainty_by_box_c: dict[str, float],
        calibration_by_box: dict[str, CalibrationSpan],
    ) -> None:
        self.profile = profile
        self.exposure = tuple(exposure)
        self.thresholds = [*map(Threshold.of, profile.limits), *map(Threshold.of, profile.forbidden)]
        self._bands = BandTable(profile.bands)
        self.lives: list[Life] = lives_of(profile, self._bands)
        self._calibration = calibration_by_box
        self._limits_surroundings = profile.light_lux is not None or profile.shock_g is not None
        self._kinetic_k = profile.mkt_activation_energy_kj_mol / GAS_CONSTANT_KJ_MOL_K
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
            outside=[Outside() for _ in TRACKS],
        )

    def push(self, state: State, box: str, readings: Iterable[Reading]) -> None:
        """Fold the next readings of a box, in order of time."""
        for reading in readings:
            spans, is_within = self._builder.push(state.cursor, box, reading)
            for span in spans:
                self._step(state, span)
            if is_within:
                self._note(state.measured, box, reading)
                if self._limits_surroundings:
                    note_reading(self.profile, state.surroundings, reading)

    def close(self, state: State, until_ms: int) -> State:
        """Return a copy of the state with the exposure covered up to `until_ms`; the state itself goes on."""
        closed = decode_state(encode_state(state))
        for span in self._builder.close(closed.cursor, until_ms):
            self._step(closed, span)
        if self._builder.is_settled(closed.cursor):
            for rule, rule_state in zip(self.thresholds, closed.thresholds, strict=True):
                rule.leave(rule_state)
        return closed

    def figures(self, state: State) -> Figures:
        """Return what was measured."""
        measured = state.measured
        covered_ms = measured.monitored_ms + measured.silent_ms
        carried_ms = covered_ms + measured.unmonitored_ms
        weight = measured.monitored_ms
        return Figures(
            readings=measured.readings,
            min_c=measured.min_c if measured.readings else None,
            max_c=measured.max_c if measured.readings else None,
            mean_c=measured.weighted_c / weight if weight else None,
            mkt_c=kinetic_mean_c(measured.kinetic, measured.kinetic_ms, self._kinetic_k),
            monitored_fraction=covered_ms / carried_ms if carried_ms else 0.0,
            unmonitored_ms=measured.unmonitored_ms,
            backfilled=measured.backfilled,
            untrusted=measured.untrusted,
            min_at_ms=measured.min_at_ms if measured.readings else None,
            max_at_ms=measured.max_at_ms if measured.readings else None,
        )

    def gaps(self, state: State) -> tuple[Gap, ...]:
        """Return the gaps in order."""
        return tuple(Gap(begins_ms, ends_ms) for begins_ms, ends_ms in state.gaps)

    def _step(self, state: State, span: Span) -> None:
        self._measure(state, span)
        for rule, rule_state in zip(self.thresholds, state.thresholds, strict=True):
            rule.step(rule_state, span)
        for life, life_state in zip(self.lives, state.lives, strict=True):
            spend_life(life, life_state, span)
        if self._bands.bands:
            self._step_outside(state.outside, span)

    def _step_outside(self, outside: list[Outside], span: Span) -> None:
        if not self._bands.touch(span.low_c, span.high_c).unstated:
            return
        for track in TRACKS:
            seen = range_seen(track, span)
            if seen is None:
                continue
            touched = self._bands.touch(*seen)
            if not touched.bands if track is Track.PROVEN else touched.unstated:
                counter = outside[track]
                counter.total_ms += span.ends_ms - span.begins_ms
                if counter.exceeded_ms is None and counter.total_ms > self.profile.outside_tolerance:
                    counter.exceeded_ms = span.ends_ms - (counter.total_ms - self.profile.outside_tolerance)

    def _measure(self, state: State, span: Span) -> None:
        measured = state.measured
        duration_ms = span.ends_ms - span.begins_ms
        match span.kind:
            case SpanKind.MEASURED:
                measured.monitored_ms += duration_ms
                measured.weighted_c += duration_ms * span.nominal_c
                if self._limits_surroundings:
                    pass_time(self.profile, state.surroundings, duration_ms)
                if span.end_c is not None:
                    measured.kinetic_ms += duration_ms
                    measured.kinetic += duration_ms * (self._kinetic(span.nominal_c) + self._kinetic(span.end_c)) / 2
            case SpanKind.DECLARED:
                measured.declared_ms += duration_ms
            case SpanKind.SILENT:
                measured.silent_ms += duration_ms
            case SpanKind.GAP:
                measured.unmonitored_ms += duration_ms
                _note_gap(state, span)

    def _kinetic(self, temperature_c: float) -> float:
        return math.exp(-self._kinetic_k / (temperature_c + KELVIN))

    def _note(self, measured: Measured, box: str, reading: Reading) -> None:
        measured.readings += 1
        measured.backfilled += reading.source is Source.MEMORY
        measured.untrusted += not reading.clock_trusted
        calibration = self._calibration.get(box)
        measured.uncalibrated += calibration is None or not calibration.covers(reading.at_ms)
        if reading.temperature_c < measured.min_c:
            measured.min_c, measured.min_at_ms = reading.temperature_c, reading.at_ms
        if reading.temperature_c > measured.max_c:
            measured.max_c, measured.max_at_ms = reading.temperature_c, reading.at_ms
        measured.last_c, measured.last_at_ms = reading.temperature_c, reading.at_ms


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
