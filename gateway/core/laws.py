"""Laws: lives that a rate law gives, only where the profile's owner declares it, and within its validity."""

from __future__ import annotations

from collections.abc import Sequence

from gateway.core.exposure import HOUR_MS
from gateway.core.profiles import ModelLife
from gateway.core.spans import Span, SpanKind
from gateway.core.spent import Spent
from gateway.core.stability import GAS_CONSTANT_KJ_MOL_K, Rate, arrhenius_rate, q10_rate
from gateway.core.tracks import TRACKS, Track, range_seen


class Modelled:
    """A rate law within its validity: the trapezoid on 1/L, an upper bound between readings."""

    def __init__(self, life: ModelLife) -> None:
        self.name = life.name
        self._from_c, self._to_c = life.valid_from_c, life.valid_to_c
        self._rate_per_h = _rate_law(life)

    def begin(self) -> Spent:
        """One damage sum."""
        return Spent([0.0])

    def spend(self, tracks: Sequence[Spent], span: Span) -> None:
        """Add the damage; the uncertainty in favour or against as the view says."""
        duration_ms = span.ends_ms - span.begins_ms
        is_unstated = span.low_c < self._from_c or span.high_c > self._to_c
        if is_unstated:
            self._note_unstated(tracks, span, duration_ms)
        harsh = self._damage(duration_ms, span, span.high_c)
        tracks[Track.POSSIBLE].clocks[0] += harsh
        if span.kind < SpanKind.SILENT:
            tracks[Track.WORST].clocks[0] += harsh
            tracks[Track.PROVEN].clocks[0] += self._damage(duration_ms, span, span.low_c)
            tracks[Track.NOMINAL].clocks[0] += self._damage(duration_ms, span, span.nominal_c)

    def _note_unstated(self, tracks: Sequence[Spent], span: Span, duration_ms: int) -> None:
        for track in TRACKS:
            seen = range_seen(track, span)
            if seen is None:
                continue
            low_c, high_c = seen
            wholly = high_c < self._from_c or low_c > self._to_c
            if wholly if track is Track.PROVEN else low_c < self._from_c or high_c > self._to_c:
                tracks[track].unstated_ms += duration_ms

    def _damage(self, duration_ms: int, span: Span, start_c: float) -> float:
        """Return the trapezoid from `start_c` to the next reading, as far off it as `start_c` is off this one."""
        begin = self._rate(start_c)
        end = begin if span.end_c is None else self._rate(span.end_c + (start_c - span.nominal_c))
        return duration_ms / HOUR_MS * (begin + end) / 2

    def fraction(self, spent: Spent) -> float:
        """Return the damage."""
        return spent.clocks[0]

    def slack_ms(self, spent: Spent) -> float:
        """Return what is left at the highest rate."""
        return (1 - spent.clocks[0]) / self._rate_per_h(self._to_c) * HOUR_MS

    def left_ms(self, spent: Spent, temperature_c: float) -> float | None:
        """Return (1 − D)·L(T), None outside the law's validity."""
        if not self._from_c <= temperature_c <= self._to_c:
            return None
        return max(0.0, 1 - spent.clocks[0]) / self._rate_per_h(temperature_c) * HOUR_MS

    def _rate(self, temperature_c: float) -> float:
        """Outside the validity the nearest valid rate is counted; that time is unstated as well."""
        if temperature_c < self._from_c:
            return self._rate_per_h(self._from_c)
        if temperature_c > self._to_c:
            return self._rate_per_h(self._to_c)
        return self._rate_per_h(temperature_c)


def _rate_law(life: ModelLife) -> Rate:
    reference_h = life.reference_life / HOUR_MS
    if life.q10 is not None:
        return q10_rate(reference_h, life.reference_c, life.q10)
    if life.activation_energy_kj_mol is None:
        raise ValueError(f"life {life.name!r} has no rate law")
    return arrhenius_rate(reference_h, life.reference_c, life.activation_energy_kj_mol / GAS_CONSTANT_KJ_MOL_K)
