"""Labels: lives stated for bands of temperature. Alternative, sequential, nested and independent ones.

A temperature that the label does not state consumes an unknown amount: that time is counted apart and never accepted.
Where the label is harsher the warmer it is, at least the rate of the next colder band is spent all the same, so that
hotter never costs less.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from gateway.core.bands import BandTable, Touched
from gateway.core.profiles import AlternativeLife, IndependentLife, NestedLife, SequentialLife
from gateway.core.spans import Span, SpanKind
from gateway.core.spent import Spent
from gateway.core.tracks import TRACKS, Track


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


class TableLife:
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


class Alternative(TableLife):
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


class Sequential(TableLife):
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


class Nested(TableLife):
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


class Independent(TableLife):
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
