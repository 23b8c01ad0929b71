"""Readings: what observations amount to, whoever heard them, however often and in whatever order.

Two observations are one reading if they share logger and counter within half a wrap of the counter. A record from a
logger's memory is new only if nothing of that logger lies within half the record's interval: its time derives
from the host's clock, and its 5-minute record repeats a measurement that was usually heard live.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from gateway.core.observations import Observation, Source

HALF_WRAP_MS = 11 * 3_600_000
"""Half the time in which a RuuviTag's 16-bit counter wraps (65,535 × 1.285 s = 23.4 h), rounded down."""


@dataclass(frozen=True, slots=True)
class Reading:
    """One measurement of one logger.

    at_ms          UTC in milliseconds
    temperature_c  °C, calibration offset applied
    interval_s     the time it stands for if nothing follows
    source         live or memory
    clock_trusted  whether at_ms can be relied upon
    counter        the logger's own number, if it has one
    """

    at_ms: int
    temperature_c: float
    interval_s: int
    source: Source
    clock_trusted: bool
    counter: int | None = None


@dataclass(frozen=True, slots=True)
class Merged:
    """The readings of one logger in order of time, and what merging found.

    repeated   observations of a measurement that was there already (two gateways, or memory after live)
    conflicts  pairs that claim the same measurement with different values; the first one counts, both are kept
    """

    readings: tuple[Reading, ...]
    repeated: int
    conflicts: tuple[tuple[Observation, Observation], ...]


def merge_observations(
    observations: Iterable[Observation], *, offset_c: float = 0.0, half_wrap_ms: int = HALF_WRAP_MS
) -> Merged:
    """Merge the observations of one logger. The order in which they are given does not matter."""
    ordered = sorted(observations, key=_merge_order)
    live, repeated, conflicts = _merge_counted([o for o in ordered if o.source is Source.LIVE], half_wrap_ms)
    kept = list(live)
    times = [observation.measured_at_ms for observation in kept]
    for record in (o for o in ordered if o.source is Source.MEMORY):
        if _is_covered(times, record):
            repeated += 1
            continue
        place = bisect_left(times, record.measured_at_ms)
        times.insert(place, record.measured_at_ms)
        kept.insert(place, record)
    return Merged(tuple(_to_reading(observation, offset_c) for observation in kept), repeated, tuple(conflicts))


def _merge_order(observation: Observation) -> tuple[int, bool, int, int]:
    """Total order; the trusted stamp first where two observations share a time."""
    return (
        observation.measured_at_ms,
        not observation.clock_trusted,
        observation.temperature_mc,
        -1 if observation.counter is None else observation.counter,
    )


def _merge_counted(
    ordered: Sequence[Observation], half_wrap_ms: int
) -> tuple[list[Observation], int, list[tuple[Observation, Observation]]]:
    kept: list[Observation] = []
    repeated = 0
    conflicts = []
    latest: dict[int, Observation] = {}
    uncounted: dict[tuple[int, int], Observation] = {}
    for observation in ordered:
        if observation.counter is None:
            same = uncounted.setdefault((observation.measured_at_ms, observation.temperature_mc), observation)
            if same is not observation:
                repeated += 1
                continue
        else:
            known = latest.get(observation.counter)
            if known is not None and observation.measured_at_ms - known.measured_at_ms < half_wrap_ms:
                repeated += 1
                if known.temperature_mc != observation.temperature_mc:
                    conflicts.append((known, observation))
                continue
            latest[observation.counter] = observation
        kept.append(observation)
    return kept, repeated, conflicts


def _is_covered(times: Sequence[int], record: Observation) -> bool:
    half_ms = record.interval_s * 500
    place = bisect_left(times, record.measured_at_ms - half_ms)
    return place < len(times) and times[place] <= record.measured_at_ms + half_ms


def _to_reading(observation: Observation, offset_c: float) -> Reading:
    return Reading(
        at_ms=observation.measured_at_ms,
        temperature_c=round(observation.temperature_mc / 1000 + offset_c, 3),
        interval_s=observation.interval_s,
        source=observation.source,
        clock_trusted=observation.clock_trusted,
        counter=observation.counter,
    )
