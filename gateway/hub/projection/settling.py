"""Settling: what new observations of a logger change about its readings.

A reading is what remains after merging, so something new can add a reading, change one, or take one away: two vans
heard the same measurement, or a memory's record turns out to repeat one that was heard live. What is written is the
difference between merging without the news and merging with it. Mostly the news are later than all that was written
and each is a reading; then nothing is merged and nothing is read.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections import OrderedDict
from collections.abc import Collection, Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace
from operator import attrgetter, lt
from typing import Protocol

from gateway.core.observations import Observation, Source
from gateway.core.readings import HALF_WRAP_MS, Reading, merge_observations
from gateway.hub.record.archive import News
from gateway.hub.record.index import HOUR_MS, Places

EDGE_MS = 300_000
"""Merging looks so far around: a memory's record repeats a live one within half of its 5 minutes."""
TAILS_MAX = 100_000
"""Loggers whose last five minutes are kept, at some 0.6 KiB each. Of others the archive is asked."""
_ASKED_MAX = 500
"""Loggers of one question to the archive."""
_NEVER_MS = -EDGE_MS

_moment = attrgetter("measured_at_ms")
_LIVE = {Source.LIVE}


class Observations(Protocol):
    """What knows all observations; see gateway.hub.record.archive."""

    def news(self, loggers: Collection[str], from_ms: int, to_ms: int, seen: Places) -> News:
        """Return the observations of loggers with from_ms <= measured_at_ms < to_ms, but of segments not in `seen`."""

    def projected_until(self, epochs: Mapping[str, AbstractSet[int]], from_ms: int) -> Mapping[str, int]:
        """Return up to when other epochs than those given have projected something of each logger."""


@dataclass(frozen=True, slots=True)
class Told:
    """What is new of a logger, all corrected alike; `epochs` are those that it came in."""

    logger: str
    offset_c: float
    observations: Sequence[Observation]
    epochs: AbstractSet[int]


@dataclass(frozen=True, slots=True)
class Change:
    """Readings to write, and readings that no longer stand; `added` are observations that are readings as they are."""

    logger: str
    offset_c: float
    settled: Sequence[Reading] = ()
    withdrawn: Sequence[Reading] = ()
    added: Sequence[Observation] = ()


@dataclass(frozen=True, slots=True)
class _Tail:
    """What is written of a logger.

    newest_ms        up to when by this projector
    elsewhere_ms     up to when by others, or before it began
    remembered_ms    the time of the newest record of a memory
    times, counters  of what was heard with a counter in the five minutes up to newest_ms
    """

    newest_ms: int
    elsewhere_ms: int
    remembered_ms: int
    times: array[int]
    counters: array[int]

    def find_added(self, ordered: Sequence[Observation]) -> Sequence[Observation] | None:
        """Return those that are readings, if nothing else can change; None if that is for merging to say."""
        times = [observation.measured_at_ms for observation in ordered]
        if times[0] <= max(self.newest_ms, self.elsewhere_ms, self.remembered_ms + EDGE_MS):
            return None
        if {observation.source for observation in ordered} != _LIVE or not all(map(lt, times, times[1:])):
            return None
        counters = [observation.counter for observation in ordered]
        if len(set(counters)) == len(counters) and set(counters).isdisjoint(self.counters):
            return ordered
        if times[-1] - self.newest_ms + EDGE_MS >= HALF_WRAP_MS:
            return None
        known: set[int | None] = set(self.counters)
        added = []
        for observation in ordered:
            if observation.counter is None or observation.counter not in known:
                known.add(observation.counter)
                added.append(observation)
        return added

    def extend(self, ordered: Sequence[Observation]) -> _Tail:
        """Return the tail that ends with what followed it. Of an empty tail only `elsewhere_ms` counts."""
        newest_ms = ordered[-1].measured_at_ms
        latest = ordered[bisect_left(ordered, newest_ms - EDGE_MS, key=_moment) :]
        counted = [observation for observation in latest if observation.counter is not None]
        still = bisect_left(self.times, newest_ms - EDGE_MS)
        times, counters = self.times[still:], self.counters[still:]
        times.extend(observation.measured_at_ms for observation in counted)
        counters.extend(observation.counter or 0 for observation in counted)
        remembered = (o.measured_at_ms for o in latest if o.source is Source.MEMORY)
        return _Tail(newest_ms, self.elsewhere_ms, max(remembered, default=self.remembered_ms), times, counters)


class Settling:
    """Merges news. In order it needs no read: the last minutes of each logger are remembered."""

    def __init__(self, archive: Observations) -> None:
        self._archive = archive
        self._tails: OrderedDict[str, _Tail] = OrderedDict()

    def settle(self, news: Iterable[Told], seen: Places) -> list[Change]:
        """Return what the news change; `seen` are the segments that they came in. Given again, they yield the same."""
        changes, others = [], []
        for one in news:
            ordered = sorted(one.observations, key=_moment)
            tail = self._tails.get(one.logger)
            added = None if tail is None else tail.find_added(ordered)
            if tail is None or added is None:
                others.append(replace(one, observations=ordered))
                continue
            changes.append(Change(one.logger, one.offset_c, added=added))
            self._keep(one.logger, tail.extend(ordered))
        return changes + self._merge(others, seen)

    def _merge(self, news: Iterable[Told], seen: Places) -> list[Change]:
        """Ask the archive what was there, of loggers together whose news are of the same hours."""
        together: dict[tuple[int, int], list[Told]] = {}
        for one in news:
            first_ms, last_ms = one.observations[0].measured_at_ms, one.observations[-1].measured_at_ms
            together.setdefault((first_ms // HOUR_MS, last_ms // HOUR_MS), []).append(one)
        changes = []
        for group in together.values():
            for start in range(0, len(group), _ASKED_MAX):
                changes += self._merge_together(group[start : start + _ASKED_MAX], seen)
        return changes

    def _merge_together(self, group: Sequence[Told], seen: Places) -> list[Change]:
        from_ms = min(one.observations[0].measured_at_ms for one in group) - EDGE_MS
        to_ms = max(one.observations[-1].measured_at_ms for one in group) + EDGE_MS + 1
        strange = {one.logger: one.epochs for one in group if one.logger not in self._tails}
        elsewhere = self._archive.projected_until(strange, from_ms) if strange else {}
        stored: dict[str, list[Observation]] = {one.logger: [] for one in group}
        for observation in self._archive.news(stored, from_ms, to_ms, seen).observations:
            stored[observation.logger].append(observation)
        return [self._merge_one(one, stored[one.logger], elsewhere.get(one.logger, 0)) for one in group]

    def _merge_one(self, told: Told, stored: Sequence[Observation], elsewhere_ms: int) -> Change:
        news, offset_c = told.observations, told.offset_c
        first_ms, last_ms = news[0].measured_at_ms, news[-1].measured_at_ms
        before = [o for o in stored if first_ms - EDGE_MS <= o.measured_at_ms <= last_ms + EDGE_MS]
        after = sorted([*before, *news], key=_moment)
        tail = self._tails.get(told.logger) or _Tail(_NEVER_MS, elsewhere_ms, _NEVER_MS, array("q"), array("q"))
        added = None if before else tail.find_added(news)
        newest_ms = max(tail.newest_ms, last_ms)
        if newest_ms == last_ms:  # what comes next touches nothing that is farther in the past
            upon = replace(tail, times=array("q"), counters=array("q"))
            self._keep(told.logger, upon.extend([o for o in after if o.measured_at_ms <= newest_ms]))
        if added is not None:
            return Change(told.logger, offset_c, added=added)
        stood = merge_observations(before, offset_c=offset_c).readings
        stands = merge_observations(after, offset_c=offset_c).readings
        known, moments = set(stood), {reading.at_ms for reading in stands}
        return Change(
            told.logger,
            offset_c,
            [reading for reading in stands if reading not in known],
            [reading for reading in stood if reading.at_ms not in moments],
        )

    def _keep(self, logger: str, tail: _Tail) -> None:
        self._tails[logger] = tail
        self._tails.move_to_end(logger)
        if len(self._tails) > TAILS_MAX:
            self._tails.popitem(last=False)
