"""The account at the end of the trip: what the loggers measured against what the hub holds.

Pure. The truth is the simulator's own, keyed by the logger's measurement number; the record is what the vehicle
sealed and what the hub archived. Nothing here asks either side how well it believes to have done.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from gateway.core.observations import Observation, Source
from gateway.core.readings import HALF_WRAP_MS, Reading, merge_observations

COUNTER_WRAP = 65535
"""A RuuviTag counts 0 … 65,534; 65,535 means that it does not know."""


@dataclass(frozen=True, slots=True)
class Measurement:
    """What a logger measured, as its firmware stated it. `number` never wraps."""

    number: int
    at_ms: int
    temperature_mc: int


@dataclass(frozen=True, slots=True)
class LoggerTruth:
    """All measurements of one logger, and those that its memory holds now, each in order of time."""

    measured: Sequence[Measurement]
    memory: Sequence[Measurement] = ()
    memory_interval_s: int = 300


@dataclass(frozen=True, slots=True, order=True)
class Place:
    """Where an observation stands in a gateway's log."""

    gateway: str
    epoch: str
    offset: int
    index: int


@dataclass(frozen=True, slots=True)
class Custody:
    """A stretch in which a logger was responsible for something."""

    logger: str
    begins_ms: int
    ends_ms: int


Truth = Mapping[str, LoggerTruth]
Record = Mapping[Place, Observation]


@dataclass(frozen=True, slots=True)
class Finding:
    """One measurement that is not as it should be, and in which way."""

    logger: str
    at_ms: int
    what: str


@dataclass(frozen=True, slots=True)
class Account:
    """The counts, and for each count that should be nought what stands behind it.

    recorded    observations that the vehicle sealed
    delivered   observations that the hub archived
    backfilled  readings at the hub that came out of a logger's memory
    lost        sealed, or in a logger's memory during custody, and not at the hub
    duplicated  measurements that the hub counts as more than one reading
    altered     observations at the hub that say something else than the logger measured
    """

    recorded: int
    delivered: int
    backfilled: int
    lost: tuple[Finding, ...]
    duplicated: tuple[Finding, ...]
    altered: tuple[Finding, ...]

    @property
    def is_clean(self) -> bool:
        """Nothing lost, nothing twice, nothing altered."""
        return not (self.lost or self.duplicated or self.altered)


def reckon(truth: Truth, sealed: Record, archived: Record, custody: Iterable[Custody]) -> Account:
    """Compare the three. Times are UTC in milliseconds; loggers are named by their address."""
    by_logger = _group(archived.values())
    readings = {logger: merge_observations(rows).readings for logger, rows in by_logger.items()}
    return Account(
        recorded=len(sealed),
        delivered=len(archived),
        backfilled=sum(reading.source is Source.MEMORY for rows in readings.values() for reading in rows),
        lost=(*_find_unarchived(sealed, archived), *_find_left_behind(truth, by_logger, custody)),
        duplicated=tuple(_find_repeated(truth, readings)),
        altered=(*_find_changed(sealed, archived), *_find_untrue(truth, archived.values())),
    )


def _group(observations: Iterable[Observation]) -> dict[str, list[Observation]]:
    groups: dict[str, list[Observation]] = defaultdict(list)
    for observation in observations:
        groups[observation.logger].append(observation)
    return groups


def _find_unarchived(sealed: Record, archived: Record) -> Iterable[Finding]:
    for place in sorted(sealed.keys() - archived.keys()):
        yield Finding(sealed[place].logger, sealed[place].measured_at_ms, f"sealed at {place}, not at the hub")


def _find_left_behind(
    truth: Truth, archived: Mapping[str, Sequence[Observation]], custody: Iterable[Custody]
) -> Iterable[Finding]:
    """Find records that a logger's memory holds of its custody and the hub knows nothing about.

    A record is present if it was fetched, or if a live reading lies within half the memory's interval.
    """
    for stretch in custody:
        known = truth.get(stretch.logger)
        if known is None:
            continue
        times = sorted(observation.measured_at_ms for observation in archived.get(stretch.logger, ()))
        half_ms = known.memory_interval_s * 500
        for record in known.memory:
            if stretch.begins_ms <= record.at_ms < stretch.ends_ms and not _has_near(times, record.at_ms, half_ms):
                yield Finding(stretch.logger, record.at_ms, f"measurement {record.number}, still only in the memory")


def _has_near(times: Sequence[int], at_ms: int, within_ms: int) -> bool:
    place = bisect_left(times, at_ms - within_ms)
    return place < len(times) and times[place] <= at_ms + within_ms


def _find_repeated(truth: Truth, readings: Mapping[str, Sequence[Reading]]) -> Iterable[Finding]:
    for logger, rows in readings.items():
        known = truth.get(logger)
        if known is None:
            continue  # told as untrue
        numbers = Counter(
            measurement.number
            for reading in rows
            if (measurement := _measurement_of(known, reading.at_ms, reading.counter, reading.source)) is not None
        )
        at = {measurement.number: measurement.at_ms for measurement in known.measured}
        for number, count in sorted(numbers.items()):
            for _ in range(count - 1):
                yield Finding(logger, at.get(number, 0), f"measurement {number} is {count} readings")


def _find_changed(sealed: Record, archived: Record) -> Iterable[Finding]:
    for place in sorted(archived):
        if place in sealed and sealed[place] != archived[place]:
            yield Finding(archived[place].logger, archived[place].measured_at_ms, f"not what was sealed at {place}")


def _find_untrue(truth: Truth, archived: Iterable[Observation]) -> Iterable[Finding]:
    for observation in archived:
        what = _untruth(truth.get(observation.logger), observation)
        if what:
            yield Finding(observation.logger, observation.measured_at_ms, what)


def _untruth(known: LoggerTruth | None, observation: Observation) -> str:
    """Return what an observation claims wrongly, or nothing."""
    if known is None:
        return "no such logger"
    measurement = _measurement_of(known, observation.measured_at_ms, observation.counter, observation.source)
    if measurement is None:
        return f"no such measurement (counter {observation.counter}, {observation.source})"
    if measurement.temperature_mc != observation.temperature_mc:
        return (
            f"measurement {measurement.number} was {measurement.temperature_mc / 1000:.3f} °C,"
            f" the hub has {observation.temperature_mc / 1000:.3f} °C"
        )
    return ""


def _measurement_of(known: LoggerTruth, at_ms: int, counter: int | None, source: Source) -> Measurement | None:
    """Return the measurement that is meant.

    Live: the one with this counter, at most half a wrap away. Memory: the nearest record within half an interval,
    since a record's time derives from the host's.
    """
    if source is Source.MEMORY:
        nearest = _nearest(known.memory, at_ms)
        within_ms = known.memory_interval_s * 500
        return nearest if nearest is not None and abs(nearest.at_ms - at_ms) <= within_ms else None
    if counter is None:
        return _nearest(known.measured, at_ms)
    return _with_counter(known.measured, at_ms, counter)


def _nearest(measured: Sequence[Measurement], at_ms: int) -> Measurement | None:
    place = bisect_left(measured, at_ms, key=_time_of)
    around = measured[max(place - 1, 0) : place + 1]
    return min(around, key=lambda measurement: abs(measurement.at_ms - at_ms), default=None)


def _with_counter(measured: Sequence[Measurement], at_ms: int, counter: int) -> Measurement | None:
    """Numbers rise by one, so the candidates stand a wrap apart around what was measured at that time."""
    nearest = _nearest(measured, at_ms)
    if nearest is None:
        return None
    first = measured[0].number
    shift = (counter - nearest.number) % COUNTER_WRAP
    for number in (nearest.number + shift, nearest.number + shift - COUNTER_WRAP):
        place = number - first
        if 0 <= place < len(measured) and abs(measured[place].at_ms - at_ms) <= HALF_WRAP_MS:
            return measured[place]
    return None


def _time_of(measurement: Measurement) -> int:
    return measurement.at_ms
