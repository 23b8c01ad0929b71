"""What all simulated firmware has in common: an oscillator, a timer, a sensor, a battery, a boot.

A timer of the logger's own oscillator takes a measurement at each heartbeat and numbers it from 0 at each boot. What is
then broadcast and kept in a memory is the maker's own: a firmware overrides ``_take``.
"""

import random
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass

from firmware_sim import battery
from firmware_sim.peripheral import Broadcast

_PPM = 1e-6
_NOISE_C = 0.01
_NOISE_PERCENT = 0.1
_NOISE_PA = 2.0


@dataclass(frozen=True)
class LoggerSettings:
    """One logger: its build, and what is wrong with this specimen."""

    address: str
    heartbeat_s: float
    has_memory: bool = True
    log_interval_s: float = 300.0
    log_records: int = 2880
    drift_ppm: float = 0.0
    """How much faster its oscillator runs than true time."""
    offset_c: float = 0.0
    battery_age_days: float = 100.0
    first_number: int = 0
    """Of the first boot; after a reboot numbers begin at 0."""
    skips_first_record: bool = False
    bindkey: bytes | None = None
    """The key of a logger that encrypts what it broadcasts."""
    model: str = ""
    """Where a maker has several; empty is the one that its firmware names first."""
    brown_out_mv: int = 0
    """Below this voltage it reboots instead of measuring; 0 is never."""


@dataclass(frozen=True)
class Environment:
    """What the sensor feels."""

    temperature_c: float
    humidity_percent: float
    pressure_pa: float


@dataclass(frozen=True)
class Sample:
    """What the sensor says; None for a temperature that it cannot give."""

    temperature_c: float | None
    humidity_percent: float
    pressure_pa: float
    voltage_mv: int


@dataclass(frozen=True)
class Take:
    """What a maker's firmware made of a sample."""

    broadcasts: Sequence[Broadcast]
    counter: int | None
    """As it is advertised; None where the format has none."""
    temperature_mc: int | None
    """As it is advertised, in thousandths of a degree."""
    kept_cc: int | None = None
    """As its memory serves it, in hundredths of a degree, where the measurement was kept."""


@dataclass(frozen=True)
class Measurement:
    """One measurement; ``number`` never wraps within its boot."""

    number: int
    boot: int
    at_ms: int
    take: Take

    @property
    def payload(self) -> bytes:
        """Return the maker's bytes that are broadcast."""
        return self.take.broadcasts[0].payload


class Sensor:
    """The sensor of one specimen with its noise and faults, which a test or a scenario switches at any time."""

    def __init__(self, settings: LoggerSettings, randomness: random.Random) -> None:
        self._settings = settings
        self._random = randomness
        self._last: Sample | None = None
        self.is_stuck = False
        """It repeats its last value."""
        self.is_broken = False
        """It gives no temperature: the format's code for that is broadcast."""
        self.jump_c = 0.0
        """Added to the next value only."""

    def read(self, environment: Environment) -> Sample:
        """Return what the sensor says."""
        noise = self._random.gauss
        temperature_c = environment.temperature_c + self._settings.offset_c + noise(0, _NOISE_C) + self.jump_c
        self.jump_c = 0.0
        sample = Sample(
            None if self.is_broken else temperature_c,
            min(100.0, max(0.0, environment.humidity_percent + noise(0, _NOISE_PERCENT))),
            environment.pressure_pa + noise(0, _NOISE_PA),
            self.voltage_mv(environment.temperature_c),
        )
        if not self.is_stuck or self._last is None:
            self._last = sample
        return self._last

    def voltage_mv(self, temperature_c: float) -> int:
        """Return the voltage under load at this temperature."""
        return battery.voltage_mv(self._settings.battery_age_days, temperature_c)


class Firmware(ABC):
    """One logger, switched on at ``booted_at_ms``; times are domain time in milliseconds since 1970 UTC.

    Its first measurement follows after a part of a heartbeat that ``randomness`` chooses.
    """

    def __init__(self, settings: LoggerSettings, booted_at_ms: int, randomness: random.Random) -> None:
        self.settings = settings
        self.sensor = Sensor(settings, randomness)
        self.boot = 0
        self.broadcasts: Sequence[Broadcast] = ()
        """What it broadcasts now, the newest values first; empty before the first measurement."""
        self._random = randomness
        self._booted_at_ms: float = booted_at_ms
        self._speed = 1 + settings.drift_ppm * _PPM
        self._first_ms = randomness.random() * settings.heartbeat_s * 1000
        self._first_number = settings.first_number
        self._taken = 0

    @property
    def due_at_ms(self) -> int:
        """Return when the next measurement is to be taken."""
        return round(self.time_at(self._due_uptime_ms))

    @property
    def first_heartbeat_ms(self) -> float:
        """Return the uptime of the first measurement, by the logger's own oscillator."""
        return self._first_ms

    @property
    def address_bytes(self) -> bytes:
        """Return the address as it is written, most significant byte first."""
        return bytes.fromhex(self.settings.address.replace(":", ""))

    @property
    def payload(self) -> bytes | None:
        """Return the maker's bytes that are broadcast now, None before the first measurement."""
        return self.broadcasts[0].payload if self.broadcasts else None

    def time_at(self, uptime_ms: float) -> float:
        """Return the domain time at which the logger's own oscillator has counted so far."""
        return self._booted_at_ms + uptime_ms / self._speed

    def uptime_ms(self, now_ms: float) -> int:
        """Return how long the logger has been on, by its own oscillator."""
        return int((now_ms - self._booted_at_ms) * self._speed)

    def measure(self, environment: Environment) -> Measurement:
        """Take the measurement that is due."""
        at_ms, uptime_ms = self.due_at_ms, self._due_uptime_ms
        number = self._first_number + self._taken
        self._taken += 1
        take = self._take(number, uptime_ms, self.sensor.read(environment))
        self.broadcasts = take.broadcasts
        return Measurement(number, self.boot, at_ms, take)

    def browns_out(self, environment: Environment) -> bool:
        """Tell whether the battery is too weak in this cold for the measurement that is due."""
        return self.sensor.voltage_mv(environment.temperature_c) < self.settings.brown_out_mv

    def reboot(self, at_ms: float) -> None:
        """Start again: uptime and numbers from zero, silent until the first measurement."""
        self.boot += 1
        self.broadcasts = ()
        self._booted_at_ms = at_ms
        self._first_ms = self._random.random() * self.settings.heartbeat_s * 1000
        self._first_number = self._taken = 0

    @property
    def _due_uptime_ms(self) -> float:
        return self._first_ms + self._taken * self.settings.heartbeat_s * 1000

    @abstractmethod
    def _take(self, number: int, uptime_ms: float, sample: Sample) -> Take:
        """Encode a sample for broadcast, and keep it where it is time to."""
