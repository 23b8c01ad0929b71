"""Points in line protocol, one measurement for each kind of thing. Pure. See docs/influxdb.md for the whole list.

What a point is about must be the same point whenever it is written again. So tags are few and bounded, and hold only
what never changes of a thing; all else is a field. Two things of one gateway may share a millisecond: the nanoseconds
below it hold a number that tells them apart and is the same each time.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache

from gateway.core.observations import Observation, Source
from gateway.core.readings import Reading, to_celsius
from gateway.core.records import (
    AnyRecord,
    ClockCorrection,
    CustodyEvent,
    DeviceFault,
    Health,
    KeyChange,
    MemoryRead,
    Registration,
    Resealed,
    Stop,
    Withdrawal,
)
from gateway.core.segments import Position
from gateway.hub.breaches.keeping import StoredBreach

MEASUREMENTS = (
    "reading",
    "custody",
    "clock",
    "fault",
    "memory_read",
    "stop",
    "key",
    "resealed",
    "health",
    "breach",
    "carriage",
)
LONG_MEASUREMENTS = ("reading_hour",)

RECORDS_PER_OFFSET = 4096
NANOSECONDS = 1_000_000
TEXT_MAX = 200
"""Characters of a text from a vehicle. A code has at most 64."""
ALWAYS_COUNTED = (
    "heard",
    "decoded",
    "malformed",
    "scan_restarts",
    "scanning",
    "sealed",
    "seal_failures",
    "waiting_segments",
    "waiting_bytes",
    "stored_bytes",
    "corrupt_segments",
    "dropped_payloads",
    "stalls",
    "memory_reads",
    "memory_failures",
    "clock_corrections",
)
"""Counters that a vehicle leaves out while they are zero. Absent, the last value above zero would stand for ever."""

Value = bool | int | float | str | None

# No code of ours has backslashes, quotes or line ends. Parsers disagree about them, and one line that is read wrongly
# takes the next with it; so they are replaced.
_KEY = str.maketrans({",": r"\,", " ": r"\ ", "=": r"\=", "\\": "/", '"': "'", "\n": r"\ ", "\r": r"\ "})
_STRING = str.maketrans({'"': r"\"", "\\": "/", "\n": " ", "\r": " "})


@dataclass(frozen=True, slots=True)
class Hour:
    """One logger's hour: what of it stays for years.

    sum_c       of all readings: the mean of several hours is sum over readings, not the mean of means
    interval_s  the time that the readings stand for
    """

    begins_ms: int
    readings: int
    min_c: float
    max_c: float
    sum_c: float
    interval_s: int


@dataclass(frozen=True, slots=True)
class Ride:
    """A logger's stretch with a consignment, and the tightest limits of what was carried, None where there is none.

    `stretch` numbers the stretches of one consignment with this logger: 0, 1, 2, …
    """

    consignment: str
    box: str
    logger: str
    stretch: int
    begins_ms: int
    ends_ms: int | None
    low_c: float | None
    high_c: float | None
    items: int


def reading_lines(logger: str, readings: Iterable[Reading]) -> list[str]:
    """Return one point for each reading; temperature in °C, calibrated."""
    series = f"reading,logger={_key(logger)} temperature_c="
    return [
        f"{series}{reading.temperature_c:.3f}{_told(reading.interval_s, reading.source, reading.clock_trusted)}"
        f"{_counted(reading.counter)} {reading.at_ms}000000"
        for reading in readings
    ]


def observation_lines(logger: str, observations: Iterable[Observation], offset_c: float) -> list[str]:
    """Return the points of observations that are readings as they are: the same as of these."""
    series = f"reading,logger={_key(logger)} temperature_c="
    return [
        f"{series}{_celsius(o.temperature_mc, offset_c)}{_told(o.interval_s, o.source, o.clock_trusted)}"
        f"{_counted(o.counter)} {o.measured_at_ms}000000"
        for o in observations
    ]


@lru_cache(maxsize=1 << 14)  # most thermometers have steps of 0.005 °C or more: all that boxes see, at a few offsets
def _celsius(temperature_mc: int, offset_c: float) -> str:
    return f"{to_celsius(temperature_mc, offset_c):.3f}"


@lru_cache(maxsize=1 << 8)  # a handful of intervals
def _told(interval_s: int, source: Source, clock_trusted: bool) -> str:  # noqa: FBT001  keys of a cache
    trusted = "t" if clock_trusted else "f"
    return f',interval_s={interval_s}i,source="{source}",clock_trusted={trusted},withdrawn=f'


@lru_cache(maxsize=1 << 16)  # of a counter of 16 bits every value
def _counted(counter: int | None) -> str:
    return "" if counter is None else f",counter={counter}i"


def withdrawal_lines(logger: str, readings: Iterable[Reading]) -> list[str]:
    """Return what marks points that turned out to repeat another: neither InfluxDB 3 nor line protocol can remove."""
    series = f"reading,logger={_key(logger)}"
    return [f"{series} withdrawn=t {reading.at_ms}000000" for reading in readings]


def hour_line(logger: str, hour: Hour) -> str:
    """Return the point of one hour. An hour whose readings were all withdrawn has none left: 0 readings."""
    fields: dict[str, Value] = {"readings": hour.readings, "interval_s": hour.interval_s}
    if hour.readings:
        fields |= {"min_c": hour.min_c, "max_c": hour.max_c, "sum_c": hour.sum_c}
    return _line("reading_hour", {"logger": logger}, fields, hour.begins_ms)


def record_line(gateway: str, position: Position, index: int, record: AnyRecord) -> str:
    """Return the point of a record, whatever it tells."""
    below = (position.offset * RECORDS_PER_OFFSET + index) % NANOSECONDS
    name, tags, fields = _describe(record)
    tags = {"gateway": gateway} | tags
    fields = {"clock_trusted": record.clock_trusted} | fields
    return _line(name, tags, fields, record.at_ms, 0 if isinstance(record, Health) else below)


def _describe(record: AnyRecord) -> tuple[str, dict[str, str], dict[str, Value]]:
    """Return the measurement, the tags and the fields of a record."""
    tags: dict[str, str] = {}
    fields: dict[str, Value]
    match record:
        case CustodyEvent() | Registration() | Withdrawal():
            name, tags, fields = _describe_custody(record)
        case ClockCorrection():
            name, fields = "clock", {"step_ms": record.at_ms - record.before_ms, "source": record.source}
        case DeviceFault():
            name, tags = "fault", {"logger": record.logger, "code": record.code}
            fields = {"faults": 1, **record.detail}
        case Stop():
            name, tags = "stop", {"act": record.act}
            fields = {"place": record.place, "is_site": record.is_site}
        case KeyChange():
            name, fields = "key", {"old": record.old.hex(), "new": record.new.hex()}
        case Resealed():
            name, fields = "resealed", {"epoch": record.epoch.hex(), "offset": record.offset}
        case MemoryRead():
            told = ("from_ms", "to_ms", "records", "new_records", "complete")
            name, tags = "memory_read", {"logger": record.logger}
            fields = {name: getattr(record, name) for name in told}
        case Health():
            name, fields = "health", {**dict.fromkeys(ALWAYS_COUNTED, 0), **record.counters}
    return name, tags, fields


def _describe_custody(
    record: CustodyEvent | Registration | Withdrawal,
) -> tuple[str, dict[str, str], dict[str, Value]]:
    told: tuple[str, ...]
    match record:
        case CustodyEvent():
            act, told = record.act, ("box", "consignment", "item", "holder", "place")
        case Registration():
            act, told = "registered", ("box", "consignment", "item", "holder")
        case Withdrawal():
            act, told = "withdrawn", ("holder",)
    return "custody", {"act": act}, {name: getattr(record, name) or None for name in told}


def breach_line(breach: StoredBreach) -> str:
    """Return the point of a breach as it stands now, at the time when it was found."""
    told = ("consignment", "item", "examination", "profile", "profile_version", "state", "started_at_ms")
    figures = ("triggered_at_ms", "ended_at_ms", "extreme_c", "minutes", "proven", "found_by", "key")
    fields = {name: getattr(breach, name) for name in (*told, *figures)}
    fields["counts"] = int(breach.state in {"provisional", "confirmed"})
    tags = {"kind": breach.kind.value, "rule": breach.rule}
    return _line("breach", tags, fields, breach.found_at_ms, breach.id % NANOSECONDS)


def ride_line(ride: Ride) -> str:
    """Return the point of a stretch, at its beginning. `ends_ms` is left out while it lasts."""
    tags = {"consignment": ride.consignment, "box": ride.box, "logger": ride.logger}
    told = ("begins_ms", "ends_ms", "low_c", "high_c", "items")
    fields = {name: getattr(ride, name) for name in told}
    return _line("carriage", tags, fields, ride.begins_ms, ride.stretch)


def _line(measurement: str, tags: Mapping[str, str], fields: Mapping[str, Value], at_ms: int, below_ms: int = 0) -> str:
    series = "".join(f",{name}={_key(value)}" for name, value in tags.items() if value)
    told = ",".join(f"{_key(name)}={_value(value)}" for name, value in fields.items() if value is not None)
    return f"{measurement}{series} {told} {at_ms * NANOSECONDS + below_ms}"


def _key(text: str) -> str:
    """Return a tag's value, or a name."""
    return text[:TEXT_MAX].translate(_KEY)


def _value(value: Value) -> str:
    match value:
        case bool():
            return "t" if value else "f"
        case int():
            return f"{value}i"
        case float():
            return f"{value:.3f}"
        case _:
            return f'"{str(value)[:TEXT_MAX].translate(_STRING)}"'
