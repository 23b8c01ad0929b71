"""What a logger's file amounts to: readings, and beside them what the device itself said.

All moments are UTC milliseconds; temperatures °C. What the device computed (alarms, minutes, means) is imported as it
is and never judged by: it is there to be compared with.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, tzinfo
from enum import StrEnum

from gateway.core.readings import Reading
from gateway.core.verdicts import Gap


class AlarmKind(StrEnum):
    """Whether a device's alarm counts one stretch, or all time beyond its limit."""

    SINGLE = "single"
    CUMULATIVE = "cumulative"


class Side(StrEnum):
    """On which side of the limit it is too much."""

    HIGH = "high"
    LOW = "low"


@dataclass(frozen=True, slots=True)
class DeviceLimit:
    """An alarm that the device was configured with. `number` is the device's own."""

    number: str
    kind: AlarmKind
    side: Side
    limit_c: float
    allowed_min: int


@dataclass(frozen=True, slots=True)
class DeviceAlarm:
    """What a device counted beyond one of its limits.

    minutes          accumulated by the device, which measures every minute whatever its logging interval
    triggered_at_ms  when the alarm went off; None if the minutes stayed below what is allowed
    ended_at_ms      None if it lasts, or for a cumulative alarm
    day              for a device that keeps daily summaries: the day that this is part of
    ambient_c        temperature of the internal sensor when the alarm went off, if an external one measures
    checked          whether a person had looked at it before the file was read out, if the device says so
    """

    limit: DeviceLimit
    minutes: int
    started_at_ms: int | None = None
    triggered_at_ms: int | None = None
    ended_at_ms: int | None = None
    extreme_c: float | None = None
    extreme_at_ms: int | None = None
    day: date | None = None
    ambient_c: float | None = None
    checked: bool | None = None


@dataclass(frozen=True, slots=True)
class DeviceFigures:
    """Figures over the whole recording, as the device computed them. mkt_energy_kj_mol is the ΔH it used."""

    min_c: float | None = None
    min_at_ms: int | None = None
    max_c: float | None = None
    max_at_ms: int | None = None
    mean_c: float | None = None
    mkt_c: float | None = None
    mkt_energy_kj_mol: float | None = None


@dataclass(frozen=True, slots=True)
class SensorTimeout:
    """Time for which a sensor gave no value, as the device counted it on one day."""

    sensor: str
    minutes: int
    first_at_ms: int | None


@dataclass(frozen=True, slots=True)
class DaySummary:
    """One day as the device summed it up. The first and the last day are shorter: [begins_ms, ends_ms)."""

    day: date
    begins_ms: int
    ends_ms: int
    min_c: float | None
    min_at_ms: int | None
    max_c: float | None
    max_at_ms: int | None
    mean_c: float | None
    alarms: tuple[DeviceAlarm, ...]
    timeouts: tuple[SensorTimeout, ...]
    events: int
    checked_at_ms: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Marker:
    """A moment that somebody marked by pressing the logger's button."""

    number: int
    at_ms: int
    temperature_c: float | None


@dataclass(frozen=True, slots=True)
class Recording:
    """A logger's file.

    interval_s            logging interval; None if the file has summaries only
    start_delay_s         how long the logger waited after it was started; its readings begin after that
    zone, zone_name       in which the file's times were read; zone_name says where that is known from
    begins_ms, ends_ms    the time that the rows cover, those without a value included; without rows, that of the days
    missing               stretches in which the logger ran but the sensor gave no value
    repeated              rows that said the same as an earlier row, and were dropped
    notes                 what a person should know about the file
    """

    form: str
    device: str
    serial: str
    firmware: str
    interval_s: int | None
    start_delay_s: int | None
    zone: tzinfo
    zone_name: str
    begins_ms: int | None
    ends_ms: int | None
    readings: tuple[Reading, ...]
    missing: tuple[Gap, ...] = ()
    limits: tuple[DeviceLimit, ...] = ()
    alarms: tuple[DeviceAlarm, ...] = ()
    figures: DeviceFigures = DeviceFigures()
    days: tuple[DaySummary, ...] = ()
    markers: tuple[Marker, ...] = ()
    repeated: int = 0
    notes: tuple[str, ...] = ()
