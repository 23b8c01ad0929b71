"""Readings of one logger as columns of numbers: what a picture of them needs, and nothing that it does not.

As objects a month at a reading each half minute takes 10 MiB and a fifth of a second each time that it is walked
through; as columns 1.7 MiB, which are searched and compared without looking at each reading by itself.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import islice
from operator import lt, sub

from gateway.core.logger_records import Kept, LoggerRecord, PackedObservations
from gateway.core.observations import Observation, Source
from gateway.core.readings import HALF_WRAP_MS, Reading, add_memory, merge_counted, merge_order, to_celsius


@dataclass(frozen=True, slots=True, eq=False)
class Columns:
    """Readings in order of time, and what is known of all of them.

    at_ms          UTC in milliseconds
    temperature_c  °C, calibration applied
    interval_s     the time that each stands for
    low_c, high_c  the extremes; 0 where there is no reading
    longest_ms     the longest time between two that follow each other
    """

    at_ms: array[int]
    temperature_c: array[float]
    interval_s: array[int]
    low_c: float
    high_c: float
    longest_ms: int

    def __len__(self) -> int:
        """How many readings there are."""
        return len(self.at_ms)


def make_columns(at_ms: Iterable[int], temperature_c: Iterable[float], interval_s: Iterable[int]) -> Columns:
    """Return columns of readings in order of time."""
    at, celsius = array("q", at_ms), array("d", temperature_c)
    longest_ms = max(map(sub, islice(at, 1, None), at), default=0)
    low_c, high_c = min(celsius, default=0.0), max(celsius, default=0.0)
    return Columns(at, celsius, array("q", interval_s), low_c, high_c, longest_ms)


def columns_of(readings: Sequence[Reading]) -> Columns:
    """Return readings as columns."""
    return make_columns(
        (reading.at_ms for reading in readings),
        (reading.temperature_c for reading in readings),
        (reading.interval_s for reading in readings),
    )


class GrowingColumns:
    """The columns that observations of one logger amount to, and what is needed to take those that come after.

    The outcome is always that of `merge_observations`. What does not plainly come next raises ForgottenError: then
    all must be merged again. `columns` is replaced, never changed.
    """

    def __init__(self, observations: Iterable[Observation], offset_c: float) -> None:
        kept, covered_ms = _merge(list(observations))
        self.columns = make_columns(
            [one.measured_at_ms for one in kept],
            [to_celsius(one.temperature_mc, offset_c) for one in kept],
            [one.interval_s for one in kept],
        )
        self._record = LoggerRecord(offset_c, kept=_tail(kept, offset_c, covered_ms))

    def add(self, observations: Iterable[Observation]) -> None:
        """Take what came after; raises ForgottenError, as everything may after it."""
        self._record.add(sorted(observations, key=merge_order))
        news = self._record.take_news()
        if news:
            self.columns = _join(self.columns, columns_of(news))


def _merge(observations: Sequence[Observation]) -> tuple[Sequence[Observation], int]:
    """Return the observations that are readings, in order of time, and when what memory records stand for ends."""
    times = [one.measured_at_ms for one in observations]
    is_ordered = all(map(lt, times, islice(times, 1, None)))  # as a vehicle heard them: nothing to compare further
    ordered = observations if is_ordered else sorted(observations, key=merge_order)
    memory = [one for one in ordered if one.source is Source.MEMORY]
    heard = [one for one in ordered if one.source is Source.LIVE] if memory else ordered
    live, _, _ = merge_counted(heard, HALF_WRAP_MS)
    if not memory:
        return live, _NEVER_MS
    kept, _ = add_memory(live, memory)
    return kept, max(one.measured_at_ms + one.interval_s * 500 for one in memory)


_NEVER_MS = -(1 << 62)


def _tail(kept: Sequence[Observation], offset_c: float, covered_ms: int) -> Kept:
    """Return what decides about the next observation: the readings whose number it could repeat."""
    packed, first = PackedObservations(), len(kept)
    while first and kept[first - 1].measured_at_ms > kept[-1].measured_at_ms - HALF_WRAP_MS:
        first -= 1
    packed.extend(kept[first:], is_reading=True)
    rows, kinds = packed.tail(0)
    return Kept(kept[-1].logger if kept else "", offset_c, rows, kinds, [], covered_ms, [])


def _join(columns: Columns, more: Columns) -> Columns:
    """Return columns followed by others that are later."""
    if not len(columns):
        return more
    return Columns(
        columns.at_ms + more.at_ms,
        columns.temperature_c + more.temperature_c,
        columns.interval_s + more.interval_s,
        min(columns.low_c, more.low_c),
        max(columns.high_c, more.high_c),
        max(columns.longest_ms, more.longest_ms, more.at_ms[0] - columns.at_ms[-1]),
    )
