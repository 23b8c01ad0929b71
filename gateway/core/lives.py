"""Shelf lives: what each kind of label allows, and how much of it each view says is spent.

Every life has clocks (milliseconds spent) or a damage sum; a fraction of 1 means that it is spent. Spent life never
comes back, and a sequential label is one-way. A temperature that the label does not state consumes an unknown amount:
that time is counted apart and never accepted. Where the label is harsher the warmer it is, at least the rate of the
next colder band is spent all the same, so that hotter never costs less.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Protocol

import msgspec

from gateway.core.bands import BandTable, Touched
from gateway.core.exposure import HOUR_MS
from gateway.core.profiles import (
    AlternativeLife,
    IndependentLife,
    ModelLife,
    NestedLife,
    Profile,
    SequentialLife,
)
from gateway.core.spans import Span, SpanKind
from gateway.core.stability import GAS_CONSTANT_KJ_MOL_K, Rate, arrhenius_rate, q10_rate
from gateway.core.tracks import TRACKS, Track, range_seen


class Spent(msgspec.Struct, array_like=True):
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


class LifeState(msgspec.Struct, array_like=True):
    """One life in all views. `slack_ms` is time that may pass before it needs to be asked again whether it is spent."""

    tracks: list[Spent]
    slack_ms: float = 0.0


class Life(Protocol):
    """What the evaluator asks of a life."""

    name: str

    def begin(self) -> Spent:
        """Return a fresh state."""

    def spend(self, tracks: Sequence[Spent], span: Span) -> None:
        """Let a span pass in all views."""

    def fraction(self, spent: Spent) -> float:
        """Return the share spent; 1 or more is all of it."""

    def slack_ms(self, spent: Spent) -> float:
        """Return a time in which it surely is not spent, whatever the temperature."""

    def left_ms(self, spent: Spent, temperature_c: float) -> float | None:
        """Return the time left at a constant temperature, None where the life says nothing of it."""


@dataclass(frozen=True, slots=True)
class Reach:
    """What a temperature range means to one life. Places are those of its allowances, steps or bands.

    mild     where it may be, in the item's favour: with the next colder one of a temperature that is not stated
    harsh    where it may be, against the item: with the next warmer one as well
    only     the place, if it surely is in one
    unknown  whether some of it is not stated; `unknown_wholly`: all of it
    rests    whether all of it is the label's storage, in which nothing is spent; `may_rest`: some of it
    """

    mild: tuple[int, ...]
    harsh: tuple[int, ...]
    only: int | None
    unknown: bool
    unknown_wholly: bool
    rests: bool
    may_rest: bool


class _TableLife:
    """Common to lives that look up bands: what a view sees, and what is unstated."""

    def __init__(self, name: str, table: BandTable, bands: Sequence[str], lives: Sequence[int]) -> None:
        self.name = name
        self._table = table
        self._lives = tuple(lives)
        self._place_of = {table.index[band]: place for place, band in enumerate(bands)}
        self._storage = frozenset(band for band, stated in enumerate(table.bands) if stated.storage)
        by_warmth = [self._lives[self._place_of[band]] for band in sorted(self._place_of)]
        self._is_harsher_when_warmer = all(warmer <= colder for colder, warmer in pairwise(by_warmth))
        self._reaches: dict[Touched, Reach] = {}

    def begin(self) -> Spent:
        """One clock for each place."""
        return Spent([0.0] * len(self._lives))

    def spend(self, tracks: Sequence[Spent], span: Span) -> None:
        """Let a span pass in all views: quickly, where all see it in one band."""
        duration_ms = span.ends_ms - span.begins_ms
        reach = self._reach(span.low_c, span.high_c)
        if span.kind >= SpanKind.SILENT:
            for track in (Track.NOMINAL, Track.PROVEN, Track.WORST):
                self._miss(tracks[track], duration_ms, is_gap=span.kind is SpanKind.GAP)
            self._spend_against(tracks[Track.POSSIBLE], Track.POSSIBLE, reach, duration_ms)
        elif reach.only is not None:
            for track in TRACKS:
                self._pass(tracks[track], track, (reach.only,), duration_ms)
        else:
            nominal = self._reach(span.nominal_c, span.nominal_c)
            self._spend_for(tracks[Track.NOMINAL], Track.NOMINAL, nominal, duration_ms)
            self._spend_for(tracks[Track.PROVEN], Track.PROVEN, reach, duration_ms)
            self._spend_against(tracks[Track.WORST], Track.WORST, reach, duration_ms)
            self._spend_against(tracks[Track.POSSIBLE], Track.POSSIBLE, reach, duration_ms)

    def _spend_for(self, spent: Spent, track: Track, reach: Reach, duration_ms: int) -> None:
        if reach.may_rest:
            self._rest(spent)
            return
        if reach.unknown_wholly:
            spent.unstated_ms += duration_ms
        self._pass(spent, track, reach.mild, duration_ms)

    def _spend_against(self, spent: Spent, track: Track, reach: Reach, duration_ms: int) -> None:
        if reach.rests:
            self._rest(spent)
            return
        if reach.unknown:
            spent.unstated_ms += duration_ms
        self._pass(spent, track, reach.harsh, duration_ms)

    def _pass(self, spent: Spent, track: Track, places: tuple[int, ...], duration_ms: int) -> None:
        """Let time pass in one of these places; none of them if nothing is known."""
        raise NotImplementedError

    def _miss(self, spent: Spent, duration_ms: int, *, is_gap: bool) -> None:
        """Let time pass that a view does not see."""

    def _rest(self, spent: Spent) -> None:
        """Take note of a stay in storage."""

    def _reach(self, low_c: float, high_c: float) -> Reach:
        touched = self._table.touch(low_c, high_c)
        reach = self._reaches.get(touched)
        if reach is None:
            reach = self._reaches[touched] = self._reach_of(touched)
        return reach

    def _reach_of(self, touched: Touched) -> Reach:
        stated = {slot: band for slot, band in enumerate(self._table.band_of_slot) if self._states(band)}
        met = [self._place_of[band] for band in touched.bands if band in self._place_of]
        resting = [band for band in touched.bands if band in self._storage]
        unknown = [slot for slot in touched.slots if slot not in stated]
        colder = max((slot for slot in stated if unknown and slot < unknown[0]), default=None)
        warmer = min((slot for slot in stated if unknown and slot > unknown[-1]), default=None)
        below = self._places_at(colder) if self._is_harsher_when_warmer else ()
        mild = tuple(sorted({*met, *below}))
        surely = len(met) == 1 and not unknown and not resting
        return Reach(
            mild=mild,
            harsh=tuple(sorted({*mild, *self._places_at(colder), *self._places_at(warmer)})),
            only=met[0] if surely else None,
            unknown=bool(unknown),
            unknown_wholly=not met and not resting,
            rests=bool(resting) and not met and not unknown,
            may_rest=bool(resting),
        )

    def _states(self, band: int | None) -> bool:
        return band in self._place_of or band in self._storage

    def _places_at(self, slot: int | None) -> tuple[int, ...]:
        band = None if slot is None else self._table.band_of_slot[slot]
        return () if band is None or band not in self._place_of else (self._place_of[band],)

    def _place_at(self, temperature_c: float) -> int | None:
        return self._reach(temperature_c, temperature_c).only


class Alternative(_TableLife):
    """One budget, spent at the rate of the band."""

    def __init__(self, life: AlternativeLife, table: BandTable) -> None:
        allowances = life.allowances
        super().__init__(life.name, table, [given.band for given in allowances], [given.life for given in allowances])
        self._shortest = min(self._lives)
        self.mixing_approved = life.mixing == "approved"

    def _pass(self, spent: Spent, track: Track, places: tuple[int, ...], duration_ms: int) -> None:
        """Let the band's clock run; of several, the milder in the item's favour, the harsher against it."""
        if places:
            choose = max if track <= Track.PROVEN else min
            place = places[0] if len(places) == 1 else choose(places, key=self._lives.__getitem__)
            spent.clocks[place] += duration_ms

    def fraction(self, spent: Spent) -> float:
        """Return Miner's sum: the shares of all bands together."""
        return sum(clock / life for clock, life in zip(spent.clocks, self._lives, strict=True))

    def slack_ms(self, spent: Spent) -> float:
        """Return what is left at the highest rate."""
        return (1 - self.fraction(spent)) * self._shortest

    def left_ms(self, spent: Spent, temperature_c: float) -> float | None:
        """Return (1 − D)·L of the band."""
        place = self._place_at(temperature_c)
        return None if place is None else max(0.0, 1 - self.fraction(spent)) * self._lives[place]

    def is_mixed(self, spent: Spent) -> bool:
        """Whether more than one band took part."""
        return sum(1 for clock in spent.clocks if clock > 0) > 1


class Sequential(_TableLife):
    """A clock for each step, one way."""

    def __init__(self, life: SequentialLife, table: BandTable) -> None:
        super().__init__(life.name, table, [step.band for step in life.steps], [step.life for step in life.steps])
        self._dwells = [step.dwell for step in life.steps]
        self._last = len(life.steps) - 1

    def _pass(self, spent: Spent, track: Track, places: tuple[int, ...], duration_ms: int) -> None:
        """Let the clock of the step run; time in a later band beyond its dwell moves on for good."""
        favoured = track <= Track.PROVEN
        if not places:
            if spent.step == self._last or not favoured:
                spent.clocks[spent.step] += duration_ms
            return
        target = places[-1]
        if favoured:
            target = next((place for place in places if place >= spent.step), target)
        earliest = target if favoured else places[0]
        back_ms: float = duration_ms if earliest < spent.step else 0.0
        if target > spent.step:
            there_ms = self._visit(spent, target, duration_ms)
            back_ms = max(back_ms, there_ms if earliest < spent.step else 0.0)
        else:
            self._rest(spent)
            spent.clocks[spent.step] += duration_ms
        spent.returned_ms += back_ms

    def _visit(self, spent: Spent, target: int, duration_ms: int) -> float:
        """Count a later step's time as the present step's until its dwell is over, then all of it as its own.

        The dwell then counts for both: what was counted as spent stays spent. Return the time since it was over.
        """
        spent.run_step = target if spent.run_step is None else max(spent.run_step, target)
        dwell_left_ms = max(0.0, self._dwells[spent.run_step] - spent.run_ms)
        spent.run_ms += duration_ms
        spent.clocks[spent.step] += min(duration_ms, dwell_left_ms)
        if duration_ms > dwell_left_ms:
            spent.step = spent.run_step
            spent.clocks[spent.step] += spent.run_ms
            self._rest(spent)
        return max(0.0, duration_ms - dwell_left_ms)

    def _miss(self, spent: Spent, duration_ms: int, *, is_gap: bool) -> None:
        """A gap ends a stretch of dwelling; the last clock runs until use, heard or not."""
        if is_gap:
            self._rest(spent)
        if spent.step == self._last:
            spent.clocks[spent.step] += duration_ms

    def _rest(self, spent: Spent) -> None:
        spent.run_step, spent.run_ms = None, 0.0

    def fraction(self, spent: Spent) -> float:
        """Return the largest share of any step."""
        return max(clock / life for clock, life in zip(spent.clocks, self._lives, strict=True))

    def slack_ms(self, spent: Spent) -> float:
        """Return the shortest rest of any step; a run may yet count at once for the step that it leads to."""
        return min(life - clock for clock, life in zip(spent.clocks, self._lives, strict=True)) - spent.run_ms

    def left_ms(self, spent: Spent, temperature_c: float) -> float | None:
        """Return what the step has left that this temperature leads to."""
        place = self._place_at(temperature_c)
        if place is None and spent.step < self._last:
            return None
        step = max(spent.step, spent.step if place is None else place)
        return max(0.0, self._lives[step] - spent.clocks[step])


class Nested(_TableLife):
    """A cap on all time, and caps on the time in some bands."""

    def __init__(self, life: NestedLife, table: BandTable) -> None:
        within = {allowance.band: allowance.life for allowance in life.within}
        super().__init__(life.name, table, life.bands, [within.get(band, life.total) for band in life.bands])
        self._caps = (life.total, *within.values())
        clocks = {band: clock for clock, band in enumerate(within, start=1)}
        self._clock_of = [clocks.get(band) for band in life.bands]

    def begin(self) -> Spent:
        """Clock 0 is all time, the others are the caps inside it."""
        return Spent([0.0] * len(self._caps))

    def _pass(self, spent: Spent, track: Track, places: tuple[int, ...], duration_ms: int) -> None:
        """All time counts against the total; the caps count what is (or, against the item, may be) theirs."""
        spent.clocks[0] += duration_ms
        if track <= Track.PROVEN and len(places) > 1:
            return
        for place in places:
            clock = self._clock_of[place]
            if clock is not None:
                spent.clocks[clock] += duration_ms

    def _miss(self, spent: Spent, duration_ms: int, *, is_gap: bool) -> None:  # noqa: ARG002  the clock does not care
        """The total is time by the clock, heard or not; unless it may have lain in storage."""
        if not self._storage:
            spent.clocks[0] += duration_ms

    def fraction(self, spent: Spent) -> float:
        """Return the largest share of any cap."""
        return max(clock / cap for clock, cap in zip(spent.clocks, self._caps, strict=True))

    def slack_ms(self, spent: Spent) -> float:
        """Return the shortest rest of any cap."""
        return min(cap - clock for clock, cap in zip(spent.clocks, self._caps, strict=True))

    def left_ms(self, spent: Spent, temperature_c: float) -> float | None:
        """Return the smaller of the total's and the band's rest."""
        place = self._place_at(temperature_c)
        if place is None:
            return None
        left = self._caps[0] - spent.clocks[0]
        clock = self._clock_of[place]
        if clock is not None:
            left = min(left, self._caps[clock] - spent.clocks[clock])
        return max(0.0, left)


class Independent(_TableLife):
    """A clock for each band."""

    def __init__(self, life: IndependentLife, table: BandTable) -> None:
        allowances = life.allowances
        super().__init__(life.name, table, [given.band for given in allowances], [given.life for given in allowances])

    def _pass(self, spent: Spent, track: Track, places: tuple[int, ...], duration_ms: int) -> None:
        """Let the band's clock run; of several possible ones each, but in favour none."""
        if track <= Track.PROVEN and len(places) > 1:
            return
        for place in places:
            spent.clocks[place] += duration_ms

    def fraction(self, spent: Spent) -> float:
        """Return the largest share of any band."""
        return max(clock / life for clock, life in zip(spent.clocks, self._lives, strict=True))

    def slack_ms(self, spent: Spent) -> float:
        """Return the shortest rest of any band."""
        return min(life - clock for clock, life in zip(spent.clocks, self._lives, strict=True))

    def left_ms(self, spent: Spent, temperature_c: float) -> float | None:
        """Return what the band has left."""
        place = self._place_at(temperature_c)
        return None if place is None else max(0.0, self._lives[place] - spent.clocks[place])


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


_SLACK_MAX_MS = float(1 << 52)
"""A time without end, for a life that is spent in every view."""


def _rate_law(life: ModelLife) -> Rate:
    reference_h = life.reference_life / HOUR_MS
    if life.q10 is not None:
        return q10_rate(reference_h, life.reference_c, life.q10)
    if life.activation_energy_kj_mol is None:
        raise ValueError(f"life {life.name!r} has no rate law")
    return arrhenius_rate(reference_h, life.reference_c, life.activation_energy_kj_mol / GAS_CONSTANT_KJ_MOL_K)


def lives_of(profile: Profile, table: BandTable) -> list[Life]:
    """Return the temperature-dependent lives of a profile (clock lives are deadlines, not folds)."""
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


def begin_life(life: Life) -> LifeState:
    """Return a fresh state."""
    return LifeState([life.begin() for _ in TRACKS])


def spend_life(life: Life, state: LifeState, span: Span) -> None:
    """Let a span pass in all views, and note the moment at which a life is spent.

    While there is slack no life can be spent, and nobody asks.
    """
    state.slack_ms -= span.ends_ms - span.begins_ms
    if state.slack_ms > 0:
        life.spend(state.tracks, span)
        return
    before = [life.fraction(spent) for spent in state.tracks]
    life.spend(state.tracks, span)
    slack_ms = _SLACK_MAX_MS
    for spent, fraction in zip(state.tracks, before, strict=True):
        if spent.spent_at_ms is not None:
            continue
        after = life.fraction(spent)
        if after >= 1:
            part = (1 - fraction) / (after - fraction) if after > fraction else 0.0
            spent.spent_at_ms = span.begins_ms + round(max(0.0, part) * (span.ends_ms - span.begins_ms))
        else:
            slack_ms = min(slack_ms, life.slack_ms(spent))
    state.slack_ms = slack_ms - 1  # less than rounding could make of it
