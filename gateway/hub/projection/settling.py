"""Settling: what new observations of a logger change about its readings.

A reading is what remains after merging, so something new can add a reading, change one, or take one away: two vans
heard the same measurement, or a memory's record turns out to repeat one that was heard live. What is written is the
difference between merging without the news and merging with it.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Protocol

from gateway.core.observations import Observation, Source
from gateway.core.readings import Reading, merge_observations
from gateway.hub.archive import Page
from gateway.hub.index import Place

EDGE_MS = 300_000
"""Merging looks so far around: a memory's record repeats a live one within half of its 5 minutes."""
TAILS_MAX = 20_000
"""Loggers whose last five minutes are kept, at some 3 KiB each. Of others the archive is asked."""


class Observations(Protocol):
    """What knows all observations; see gateway.hub.archive."""

    def observations(self, logger: str, from_ms: int, to_ms: int) -> tuple[Observation, ...]:
        """Return the observations of a logger with from_ms <= measured_at_ms < to_ms."""

    def page(self, logger: str, from_ms: int, to_ms: int, *, seen: Collection[Place] = ()) -> Page:
        """Return the same, but only from segments that are not among `seen`."""


@dataclass(frozen=True, slots=True)
class Change:
    """Readings to write, and readings that no longer stand."""

    logger: str
    settled: Sequence[Reading]
    withdrawn: Sequence[Reading]


class Settling:
    """Merges news. In order it needs no read: the last minutes of each logger are remembered."""

    def __init__(self, archive: Observations) -> None:
        self._archive = archive
        self._tails: OrderedDict[str, list[Observation]] = OrderedDict()

    def settle(
        self, logger: str, news: Sequence[Observation], offset_c: float, *, seen: Collection[Place] = ()
    ) -> Change:
        """Return what the news change; `seen` are the segments that they came in. Given again, they yield the same."""
        ordered = sorted(news, key=_moment)
        first_ms, last_ms = ordered[0].measured_at_ms, ordered[-1].measured_at_ms
        tail = self._tails.get(logger)
        if tail is not None and first_ms > tail[-1].measured_at_ms:
            if _only_adds(tail, ordered):
                self._remember(logger, [*tail, *ordered])
                return Change(logger, merge_observations(ordered, offset_c=offset_c).readings, ())
            before, after = tail, [*tail, *ordered]
        else:
            page = self._archive.page(logger, first_ms - EDGE_MS, last_ms + EDGE_MS + 1, seen=seen)
            before = list(page.observations)
            after = sorted([*before, *ordered], key=_moment)
        self._remember(logger, after)
        stood = merge_observations(before, offset_c=offset_c).readings
        stands = merge_observations(after, offset_c=offset_c).readings
        known, moments = set(stood), {reading.at_ms for reading in stands}
        return Change(
            logger,
            [reading for reading in stands if reading not in known],
            [reading for reading in stood if reading.at_ms not in moments],
        )

    def _remember(self, logger: str, after: list[Observation]) -> None:
        tail = self._tails.get(logger)
        newest_ms = after[-1].measured_at_ms
        if tail is not None and newest_ms < tail[-1].measured_at_ms:
            return  # far in the past: what comes next does not touch it
        self._tails[logger] = [o for o in after if o.measured_at_ms >= newest_ms - EDGE_MS]
        self._tails.move_to_end(logger)
        if len(self._tails) > TAILS_MAX:
            self._tails.popitem(last=False)


def _only_adds(tail: Sequence[Observation], news: Sequence[Observation]) -> bool:
    """Whether later news leave the tail as it is: all of it was heard live, and nothing in it comes again."""
    known = {observation.counter for observation in tail if observation.counter is not None}
    return all(observation.source is Source.LIVE for observation in (*tail, *news)) and known.isdisjoint(
        observation.counter for observation in news
    )


def _moment(observation: Observation) -> int:
    return observation.measured_at_ms
