"""Figures: what was measured, summed up as it passes."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import msgspec

from gateway.core.observations import Source
from gateway.core.readings import Reading
from gateway.core.spans import Span, SpanKind
from gateway.core.stability import GAS_CONSTANT_KJ_MOL_K, KELVIN, kinetic_mean_c
from gateway.core.verdicts import Figures


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
    time_error_ms: int = 0
    untrusted_error_ms: int = 0


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

    def count_outside(self, readings: Sequence[Reading]) -> int:
        """Count the readings, in order of time, that are not calibrated."""
        if self.covers(readings[0].at_ms) and self.covers(readings[-1].at_ms):
            return 0
        return sum(not self.covers(reading.at_ms) for reading in readings)


@dataclass(frozen=True, slots=True)
class CalibrationSpans:
    """The same where loggers, or their certificates, followed each other in a box."""

    spans: tuple[CalibrationSpan, ...]

    def covers(self, at_ms: int) -> bool:
        """Whether a reading at this moment is calibrated."""
        return any(span.covers(at_ms) for span in self.spans)

    def count_outside(self, readings: Sequence[Reading]) -> int:
        """Count the readings that are not calibrated."""
        return sum(not self.covers(reading.at_ms) for reading in readings)


_NEVER = CalibrationSpan(None, None)


class Gauge:
    """Sums up what spans and readings say of one exposure."""

    def __init__(
        self, activation_energy_kj_mol: float, calibration_by_box: Mapping[str, CalibrationSpan | CalibrationSpans]
    ) -> None:
        self._kinetic_k = activation_energy_kj_mol / GAS_CONSTANT_KJ_MOL_K
        self._calibration = calibration_by_box
        self._latest_c, self._latest_kinetic = math.nan, 0.0  # the end of one span is the beginning of the next

    def pass_span(self, measured: Measured, span: Span) -> None:
        """Let a span pass."""
        duration_ms = span.ends_ms - span.begins_ms
        kind = span.kind
        if kind is SpanKind.MEASURED:
            measured.monitored_ms += duration_ms
            measured.weighted_c += duration_ms * span.nominal_c
            if span.end_c is not None:
                measured.kinetic_ms += duration_ms
                measured.kinetic += duration_ms * (self._kinetic(span.nominal_c) + self._kinetic(span.end_c)) / 2
        elif kind is SpanKind.DECLARED:
            measured.declared_ms += duration_ms
        elif kind is SpanKind.SILENT:
            measured.silent_ms += duration_ms
        else:
            measured.unmonitored_ms += duration_ms

    def pass_run(
        self, measured: Measured, box: str, at_ms: int, temperature_c: float, readings: Sequence[Reading]
    ) -> None:
        """Let readings follow one at `at_ms`, each ending the span of the one before: `pass_span` and `note` in one."""
        began_ms, weighted_c, kinetic = at_ms, measured.weighted_c, measured.kinetic
        begin = self._kinetic(temperature_c)
        for reading in readings:
            duration_ms = reading.at_ms - at_ms
            weighted_c += duration_ms * temperature_c
            at_ms, temperature_c = reading.at_ms, reading.temperature_c
            end = self._kinetic(temperature_c)
            kinetic += duration_ms * (begin + end) / 2
            begin = end
        self.note(measured, box, readings)
        measured.weighted_c, measured.kinetic = weighted_c, kinetic
        measured.monitored_ms += at_ms - began_ms
        measured.kinetic_ms += at_ms - began_ms

    def note(self, measured: Measured, box: str, readings: Sequence[Reading]) -> None:
        """Count readings within the exposure, in order of time."""
        if not readings:
            return
        temperatures_c = [reading.temperature_c for reading in readings]
        lowest_c, highest_c = min(temperatures_c), max(temperatures_c)
        if lowest_c < measured.min_c:
            measured.min_c, measured.min_at_ms = lowest_c, readings[temperatures_c.index(lowest_c)].at_ms
        if highest_c > measured.max_c:
            measured.max_c, measured.max_at_ms = highest_c, readings[temperatures_c.index(highest_c)].at_ms
        measured.time_error_ms = max(measured.time_error_ms, *(reading.time_error_ms for reading in readings))
        measured.backfilled += sum(reading.source is Source.MEMORY for reading in readings)
        untrusted_ms = [reading.time_error_ms for reading in readings if not reading.clock_trusted]
        measured.untrusted += len(untrusted_ms)
        measured.untrusted_error_ms = max(measured.untrusted_error_ms, *untrusted_ms, 0)
        measured.uncalibrated += self._calibration.get(box, _NEVER).count_outside(readings)
        measured.readings += len(readings)
        measured.last_c, measured.last_at_ms = temperatures_c[-1], readings[-1].at_ms

    def figures(self, measured: Measured) -> Figures:
        """Return what was measured."""
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
            time_error_ms=measured.time_error_ms,
            min_at_ms=measured.min_at_ms if measured.readings else None,
            max_at_ms=measured.max_at_ms if measured.readings else None,
        )

    def _kinetic(self, temperature_c: float) -> float:
        if temperature_c != self._latest_c:
            self._latest_c = temperature_c
            self._latest_kinetic = math.exp(-self._kinetic_k / (temperature_c + KELVIN))
        return self._latest_kinetic
