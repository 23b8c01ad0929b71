"""Shelf lives: what each kind of label allows, and how much of it each view says is spent.

Every life has clocks (milliseconds spent) or a damage sum; a fraction of 1 means that it is spent. Spent life never
comes back, and a sequential label is one-way. A temperature that no band states consumes an unknown amount:
that time is counted apart and never accepted.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import msgspec

from gateway.core.exposure import HOUR_MS
from gateway.core.profiles import (
    AlternativeLife,
    Band,
    IndependentLife,
    ModelLife,
    NestedLife,
    Profile,
    SequentialLife,
)
from gateway.core.spans import Span
from gateway.core.stability import GAS_CONSTANT_KJ_MOL_K, Rate, arrhenius_rate, q10_rate
from gateway.core.tracks import TRACKS, Track, range_seen


class Spent(msgspec.Struct):
    """What one view knows of one life.

    clocks      ms spent, one for each allowance, step or cap; for a rate law its damage
    step        sequential: the step whose clock runs
    run_step    sequential: a later step visited, not yet for longer than its dwell; run_ms how long
    returned_ms sequential: time back in an earlier band
    unstated_ms time at temperatures of which the life says nothing
    spent_at_ms when the fraction reached 1, None if it has not
    """

    clocks: list[float]
    step: int = 0
    run_step: int | None = None
    run_ms: float = 0.0
    returned_ms: float = 0.0
    unstated_ms: float = 0.0
    spent_at_ms: int | None = None


@dataclass(frozen=True, slots=True)
class Touched:
    """Which bands (by index, coldest first) a temperature range meets, and whether it leaves them all somewhere."""

    bands: tuple[int, ...]
    unstated: bool


class BandTable:
    """The bands of a profile, coldest first."""

    def __init__(self, bands: Sequence[Band]) -> None:
        self.bands = tuple(sorted(bands, key=lambda band: band.low_c))
        self.index = {band.name: place for place, band in enumerate(self.bands)}

    def touch(self, low_c: float, high_c: float) -> Touched:
        """Return what the range meets. A value that two bands share belongs to the lower one."""
        met = []
        reached_c = low_c
        unstated = False
        shared_c = float("-inf")
        for place, band in enumerate(self.bands):
            if band.high_c < low_c or band.low_c > high_c:
                continue
            if band.low_c == shared_c and high_c <= shared_c:
                continue
            if band.low_c == shared_c or band.low_c <= reached_c:
                met.append(place)
            else:
                unstated = True
                met.append(place)
            reached_c = max(reached_c, band.high_c)
            shared_c = band.high_c
        if not met or reached_c < high_c:
            unstated = True
        return Touched(tuple(met), unstated)


class Life(Protocol):
    """What the evaluator asks of a life."""

    name: str

    def begin(self) -> Spent:
        """Return a fresh state."""

    def spend(self, spent: Spent, track: Track, span: Span) -> None:
        """Let a span pass in one view."""

    def fraction(self, spent: Spent) -> float:
        """Return the share spent; 1 or more is all of it."""

    def left_ms(self, spent: Spent, temperature_c: float) -> float | None:
        """Return the time left at a constant temperature, None where the life says nothing of it."""


class _TableLife:
    """Common to lives that look up bands: what a view sees, and what is unstated."""

    def __init__(self, name: str, table: BandTable, used: Sequence[str]) -> None:
        self.name = name
        self._table = table
        self._used = frozenset(table.index[band] for band in used)
        self._storage = frozenset(place for place, band in enumerate(table.bands) if band.storage)

    def rests(self, track: Track, span: Span) -> bool:
        """Whether a view sees the label's storage condition, in which no life is spent (proven: if it may be)."""
        seen = range_seen(track, span) if self._storage else None
        if seen is None:
            return False
        touched = self._table.touch(*seen)
        if track is Track.PROVEN:
            return not self._storage.isdisjoint(touched.bands)
        return not touched.unstated and self._storage.issuperset(touched.bands)

    def _touch(self, spent: Spent, track: Track, span: Span) -> tuple[int, ...] | None:
        """Return the bands of this life that a view must reckon with, None if it sees nothing; count unstated time."""
        seen = range_seen(track, span)
        if seen is None:
            return None
        touched = self._table.touch(*seen)
        bands = tuple(band for band in touched.bands if band in self._used)
        foreign = touched.unstated or not (self._used | self._storage).issuperset(touched.bands)
        if not bands if track is Track.PROVEN else foreign:
            spent.unstated_ms += span.ends_ms - span.begins_ms
        return bands

    def _band_at(self, temperature_c: float) -> int | None:
        touched = self._table.touch(temperature_c, temperature_c).bands
        return touched[0] if touched and touched[0] in self._used else None


class Alternative(_TableLife):
    """One budget, spent at the rate of the band."""

    def __init__(self, life: AlternativeLife, table: BandTable) -> None:
        super().__init__(life.name, table, [allowance.band for allowance in life.allowances])
        self._lives = {table.index[allowance.band]: allowance.life for allowance in life.allowances}
        self._places = {band: place for place, band in enumerate(self._lives)}
        self.mixing_approved = life.mixing == "approved"

    def begin(self) -> Spent:
        """One clock for each band."""
        return Spent([0.0] * len(self._lives))

    def spend(self, spent: Spent, track: Track, span: Span) -> None:
        """Let the band's clock run; of several, the milder for the proven view, the harsher for the others."""
        bands = self._touch(spent, track, span)
        if bands:
            choose = max if track is Track.PROVEN else min
            band = choose(bands, key=self._lives.__getitem__)
            spent.clocks[self._places[band]] += span.ends_ms - span.begins_ms

    def fraction(self, spent: Spent) -> float:
        """Return Miner's sum: the shares of all bands together."""
        return sum(clock / life for clock, life in zip(spent.clocks, self._lives.values(), strict=True))

    def left_ms(self, spent: Spent, temperature_c: float) -> float | None:
        """Return (1 − D)·L of the band."""
        band = self._band_at(temperature_c)
        return None if band is None else max(0.0, 1 - self.fraction(spent)) * self._lives[band]

    def is_mixed(self, spent: Spent) -> bool:
        """Whether more than one band took part."""
        return sum(1 for clock in spent.clocks if clock > 0) > 1


class Sequential(_TableLife):
    """A clock for each step, one way."""

    def __init__(self, life: SequentialLife, table: BandTable) -> None:
        super().__init__(life.name, table, [step.band for step in life.steps])
        self._step_of = {table.index[step.band]: place for place, step in enumerate(life.steps)}
        self._lives = [step.life for step in life.steps]
        self._dwells = [step.dwell for step in life.steps]

    def begin(self) -> Spent:
        """One clock for each step."""
        return Spent([0.0] * len(self._lives))

    def spend(self, spent: Spent, track: Track, span: Span) -> None:
        """Let the clock of the step run; time in a later band beyond its dwell moves on for good."""
        duration_ms = span.ends_ms - span.begins_ms
        bands = self._touch(spent, track, span)
        steps = sorted(self._step_of[band] for band in bands or ())
        if not steps:
            target = spent.step
        elif track is Track.PROVEN:
            target = spent.step if spent.step in steps else next((s for s in steps if s > spent.step), steps[-1])
        else:
            target = steps[-1]
        if target > spent.step:
            self._visit(spent, target, duration_ms)
            return
        spent.run_step, spent.run_ms = None, 0.0
        if target < spent.step:
            spent.returned_ms += duration_ms
        spent.clocks[spent.step] += duration_ms

    def _visit(self, spent: Spent, target: int, duration_ms: float) -> None:
        """Count a later step's time as the present step's until its dwell is over, then all of it as its own.

        The dwell then counts for both: what was counted as spent stays spent.
        """
        spent.run_ms += duration_ms
        spent.run_step = target if spent.run_step is None else max(spent.run_step, target)
        if spent.run_ms <= self._dwells[spent.run_step]:
            spent.clocks[spent.step] += duration_ms
            return
        spent.step = spent.run_step
        spent.clocks[spent.step] += spent.run_ms
        spent.run_step, spent.run_ms = None, 0.0

    def fraction(self, spent: Spent) -> float:
        """Return the largest share of any step."""
        return max(clock / life for clock, life in zip(spent.clocks, self._lives, strict=True))

    def left_ms(self, spent: Spent, temperature_c: float) -> float | None:
        """Return what the step has left that this temperature leads to."""
        band = self._band_at(temperature_c)
        if band is None and spent.step < len(self._lives) - 1:
            return None
        step = max(spent.step, spent.step if band is None else self._step_of[band])
        return max(0.0, self._lives[step] - spent.clocks[step])


class Nested(_TableLife):
    """A cap on all time, and caps on the time in some bands."""

    def __init__(self, life: NestedLife, table: BandTable) -> None:
        super().__init__(life.name, table, life.bands)
        self._total = life.total
        self._within = {table.index[allowance.band]: allowance.life for allowance in life.within}
        self._places = {band: place for place, band in enumerate(self._within, start=1)}

    def begin(self) -> Spent:
        """Clock 0 is all time, the others are the caps inside it."""
        return Spent([0.0] * (1 + len(self._within)))

    def spend(self, spent: Spent, track: Track, span: Span) -> None:
        """All time counts against the total; the caps count what is (or, but for the proven view, may be) theirs."""
        duration_ms = span.ends_ms - span.begins_ms
        spent.clocks[0] += duration_ms
        bands = self._touch(spent, track, span) or ()
        for band, place in self._places.items():
            if bands == (band,) if track is Track.PROVEN else band in bands:
                spent.clocks[place] += duration_ms

    def fraction(self, spent: Spent) -> float:
        """Return the largest share of any cap."""
        caps = (self._total, *self._within.values())
        return max(clock / cap for clock, cap in zip(spent.clocks, caps, strict=True))

    def left_ms(self, spent: Spent, temperature_c: float) -> float | None:
        """Return the smaller of the total's and the band's rest."""
        band = self._band_at(temperature_c)
        if band is None:
            return None
        left = self._total - spent.clocks[0]
        if band in self._within:
            left = min(left, self._within[band] - spent.clocks[self._places[band]])
        return max(0.0, left)


class Independent(_TableLife):
    """A clock for each band."""

    def __init__(self, life: IndependentLife, table: BandTable) -> None:
        super().__init__(life.name, table, [allowance.band for allowance in life.allowances])
        self._lives = {table.index[allowance.band]: allowance.life for allowance in life.allowances}
        self._places = {band: place for place, band in enumerate(self._lives)}

    def begin(self) -> Spent:
        """One clock for each band."""
        return Spent([0.0] * len(self._lives))

    def spend(self, spent: Spent, track: Track, span: Span) -> None:
        """Let the band's clock run; where several are possible, each of them (proven: only if it is the only one)."""
        bands = self._touch(spent, track, span) or ()
        if track is Track.PROVEN and len(bands) > 1:
            return
        for band in bands:
            spent.clocks[self._places[band]] += span.ends_ms - span.begins_ms

    def fraction(self, spent: Spent) -> float:
        """Return the largest share of any band."""
        return max(clock / life for clock, life in zip(spent.clocks, self._lives.values(), strict=True))

    def left_ms(self, spent: Spent, temperature_c: float) -> float | None:
        """Return what the band has left."""
        band = self._band_at(temperature_c)
        return None if band is None else max(0.0, self._lives[band] - spent.clocks[self._places[band]])


class Modelled:
    """A rate law within its validity: the trapezoid on 1/L, an upper bound between readings."""

    def __init__(self, life: ModelLife) -> None:
        self.name = life.name
        self._from_c, self._to_c = life.valid_from_c, life.valid_to_c
        self._rate_per_h = _rate_law(life)

    def begin(self) -> Spent:
        """One damage sum."""
        return Spent([0.0])

    def spend(self, spent: Spent, track: Track, span: Span) -> None:
        """Add the damage; the uncertainty in favour or against as the view says."""
        seen = range_seen(track, span)
        if seen is None:
            return
        duration_ms = span.ends_ms - span.begins_ms
        low_c, high_c = seen
        outside = high_c < self._from_c or low_c > self._to_c
        if outside if track is Track.PROVEN else low_c < self._from_c or high_c > self._to_c:
            spent.unstated_ms += duration_ms
        start_c = low_c if track is Track.PROVEN else high_c
        end_c = start_c if span.end_c is None else span.end_c + (start_c - span.nominal_c)
        spent.clocks[0] += duration_ms / HOUR_MS * (self._rate(start_c) + self._rate(end_c)) / 2

    def fraction(self, spent: Spent) -> float:
        """Return the damage."""
        return spent.clocks[0]

    def left_ms(self, spent: Spent, temperature_c: float) -> float | None:
        """Return (1 − D)·L(T), None outside the law's validity."""
        if not self._from_c <= temperature_c <= self._to_c:
            return None
        return max(0.0, 1 - spent.clocks[0]) / self._rate_per_h(temperature_c) * HOUR_MS

    def _rate(self, temperature_c: float) -> float:
        """Outside the validity the nearest valid rate is counted; that time is unstated as well."""
        return self._rate_per_h(min(self._to_c, max(self._from_c, temperature_c)))


def _rate_law(life: ModelLife) -> Rate:
    reference_h = life.reference_life / HOUR_MS
    if life.q10 is not None:
        return q10_rate(reference_h, life.reference_c, life.q10)
    if life.activation_energy_kj_mol is None:
        raise ValueError(f"life {life.name!r} has no rate law")
    return arrhenius_rate(reference_h, life.reference_c, life.activation_energy_kj_mol / GAS_CONSTANT_KJ_MOL_K)


def lives_of(profile: Profile) -> list[Life]:
    """Return the temperature-dependent lives of a profile (clock lives are deadlines, not folds)."""
    table = BandTable(profile.bands)
    lives: list[Life] = []
    for life in profile.lives:
        match life:
            case AlternativeLife():
                lives.append(Alternative(life, table))
            case SequentialLife():
                lives.append(Sequential(life, table))
            case NestedLife():
                lives.append(Nested(life, table))
            case IndependentLife():
                lives.append(Independent(life, table))
            case ModelLife():
                lives.append(Modelled(life))
            case _:
                pass
    return lives


class LifeState(msgspec.Struct):
    """One life in all views."""

    tracks: list[Spent]


def begin_life(life: Life) -> LifeState:
    """Return a fresh state."""
    return LifeState([life.begin() for _ in TRACKS])


def spend_life(life: Life, state: LifeState, span: Span) -> None:
    """Let a span pass in all views, and note the moment at which a life is spent."""
    for track in TRACKS:
        if isinstance(life, _TableLife) and life.rests(track, span):
            continue
        spent = state.tracks[track]
        before = life.fraction(spent)
        life.spend(spent, track, span)
        if spent.spent_at_ms is None:
            after = life.fraction(spent)
            if after >= 1:
                part = (1 - before) / (after - before) if after > before else 0.0
                spent.spent_at_ms = span.begins_ms + round(max(0.0, part) * (span.ends_ms - span.begins_ms))
