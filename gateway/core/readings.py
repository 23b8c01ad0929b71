"""Readings: what observations amount to, whoever heard them, however often and in whatever order.

Two observations are one reading if they share logger and counter within half a wrap of the counter. A record from a
logger's memory is new only if nothing of that logger lies within half the record's interval: its time derives
from the host's clock, and its 5-minute record repeats a measurement that was usually heard live.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import msgspec

from gateway.core.observations import Observation, Source

HALF_WRAP_MS = 11 * 3_600_000
"""Half the time in which a RuuviTag's 16-bit counter wraps (65,535 × 1.285 s = 23.4 h), rounded down."""


class Reading(msgspec.Struct, frozen=True, gc=False):
    """One measurement of one logger.

    at_ms          UTC in milliseconds
    temperature_c  °C, calibration offset applied
    interval_s     the time it stands for if nothing follows
    source         live or memory
    clock_trusted  whether at_ms can be relied upon
    counter        the logger's own number, if it has one
    light_lux      illuminance in lux, if the logger measures it
    shock_g        strongest acceleration since the last measurement in g, if the logger measures it
    time_error_ms  bound on the error of at_ms, as far as it is known
    """

    at_ms: int
    temperature_c: float
    interval_s: int
    source: Source
    clock_trusted: bool
    counter: int | None = None
    light_lux: int | None = None
    shock_g: float | None = None
    time_error_ms: int = 0


@dataclass(frozen=True, slots=True)
class Merged:
    """The readings of one logger in order of time, and what merging found.

    repeated   observations of a measurement that was there already (two gateways, or memory after live)
    conflicts  pairs that claim the same measurement with different values, one for each value; the first one counts
    """

    readings: tuple[Reading, ...]
    repeated: int
    conflicts: tuple[tuple[Observation, Observation], ...]


def merge_observations(
    observations: Iterable[Observation], *, offset_c: float = 0.0, half_wrap_ms: int = HALF_WRAP_MS
) -> Merged:
    """Merge the observations of one logger. The order in which they are given does not matter."""
    ordered = sorted(observations, key=merge_order)
    live, repeated, conflicts = merge_counted([o for o in ordered if o.source is Source.LIVE], half_wrap_ms)
    kept, covered = add_memory(live, [o for o in ordered if o.source is Source.MEMORY])
    return Merged(
        tuple(to_reading(observation, offset_c) for observation in kept), repeated + covered, tuple(conflicts)
    )


def add_memory(live: Sequence[Observation], records: Iterable[Observation]) -> tuple[list[Observation], int]:
    """Insert the memory records that nothing covers; return all in order, and how many were covered."""
    kept = list(live)
    times = [observation.measured_at_ms for observation in kept]
    covered = 0
    for record in sorted(records, key=merge_order):
        if _is_covered(times, record):
            covered += 1
            continue
        place = bisect_left(times, record.measured_at_ms)
        times.insert(place, record.measured_at_ms)
        kept.insert(place, record)
    return kept, covered


def merge_order(observation: Observation) -> tuple[object, ...]:
    """Total order, so that no order of arrival decides; the trusted stamp first where two observations share a time."""
    return (
        observation.measured_at_ms,
        not observation.clock_trusted,
        observation.temperature_mc,
        *_nothing_first(observation.counter),
        observation.interval_s,
        *_nothing_first(observation.light_lux),
        *_nothing_first(observation.shock_mg),
        observation.time_error_ms,
    )


def _nothing_first(value: int | None) -> tuple[bool, int]:
    return value is not None, value or 0


def merge_counted(
    ordered: Sequence[Observation], half_wrap_ms: int
) -> tuple[list[Observation], int, list[tuple[Observation, Observation]]]:
    """Return what was heard live, each measurement once; how many were repeated; and which contradict each other."""
    kept: list[Observation] = []
    repeated = 0
    conflicts: dict[tuple[Observation, int], Observation] = {}
    latest: dict[int, Observation] = {}
    uncounted: set[tuple[int, int]] = set()
    for observation in ordered:
        if observation.counter is None:
            same = (observation.measured_at_ms, observation.temperature_mc)
            if same in uncounted:
                repeated += 1
                continue
            uncounted.add(same)
        else:
            known = latest.get(observation.counter)
            if known is not None and observation.measured_at_ms - known.measured_at_ms < half_wrap_ms:
                repeated += 1
                if known.temperature_mc != observation.temperature_mc:
                    conflicts.setdefault((known, observation.temperature_mc), observation)
                continue
            latest[observation.counter] = observation
        kept.append(observation)
    return kept, repeated, [(known, observation) for (known, _), observation in conflicts.items()]


def _is_covered(times: Sequence[int], record: Observation) -> bool:
    half_ms = record.interval_s * 500
    place = bisect_left(times, record.measured_at_ms - half_ms)
    return place < len(times) and times[place] <= record.measured_at_ms + half_ms


def to_celsius(temperature_mc: int, offset_c: float) -> float:
    """Apply the calibration to a temperature in millidegrees."""
    return round(temperature_mc / 1000 + offset_c, 3)


def to_reading(observation: Observation, offset_c: float) -> Reading:
    """Apply the calibration."""
    shock_mg = observation.shock_mg
    return Reading(  # its fields in order: by name takes twice as long
        observation.measured_at_ms,
        to_celsius(observation.temperature_mc, offset_c),
        observation.interval_s,
        observation.source,
        observation.clock_trusted,
        observation.counter,
        observation.light_lux,
        None if shock_mg is None else shock_mg / 1000,
        observation.time_error_ms,
    )
