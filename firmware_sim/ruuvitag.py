"""A RuuviTag as its firmware (3.x) behaves.

A timer of the tag's own oscillator takes a measurement at each heartbeat, numbers it with a 16-bit counter that goes
from 65534 to 0, and replaces the payload of the advertisements, which repeat at their own interval. Every few minutes
a measurement is also kept in the log memory, which a reader asks for over the Nordic UART service. While a reader
listens there, each measurement is sent to it as well: the first 18 bytes of the advertisement, the address cut off.

The firmware's defaults are 1.285 s between advertisements and 2.57 s between measurements, five minutes and about
2,880 records (ten days) for the log.
"""

import random
from collections.abc import Iterator
from dataclasses import dataclass

from firmware_sim import battery, history, rawv2
from firmware_sim.history import Memory, Record
from firmware_sim.rawv2 import Beacon

ADVERTISEMENT_S = 1.285
HEARTBEAT_S = 2 * ADVERTISEMENT_S
LOG_INTERVAL_S = 300.0
LOG_RECORDS = 2880
TX_POWER_DBM = 4
GATT_HEARTBEAT_BYTES = 18
_PPM = 1e-6
_NOISE_C = 0.01
_NOISE_PERCENT = 0.1
_NOISE_PA = 2.0
_NOISE_MG = 8.0
_GRAVITY_MG = 1000
_MOVEMENT_CHANCE = 0.05


@dataclass(frozen=True)
class TagSettings:
    """One tag: its build, and what is wrong with this specimen."""

    address: str
    heartbeat_s: float = HEARTBEAT_S
    has_memory: bool = True
    log_interval_s: float = LOG_INTERVAL_S
    log_records: int = LOG_RECORDS
    drift_ppm: float = 0.0
    """How much faster its oscillator runs than true time."""
    offset_c: float = 0.0
    battery_age_days: float = 100.0
    first_number: int = 0
    skips_first_record: bool = False


@dataclass(frozen=True)
class Environment:
    """What the sensor feels."""

    temperature_c: float
    humidity_percent: float
    pressure_pa: float


@dataclass(frozen=True)
class Measurement:
    """One measurement. ``record`` is set where it went into the log memory as well."""

    number: int
    at_ms: int
    temperature_mc: int
    payload: bytes
    record: Record | None

    @property
    def counter(self) -> int:
        """Return the number as it is advertised."""
        return self.number % rawv2.COUNTER_VALUES


class RuuviTag:
    """One tag, switched on at ``booted_at_ms``; times are domain time in milliseconds since 1970 UTC.

    Its first measurement follows after a part of a heartbeat that ``randomness`` chooses.
    """

    def __init__(self, settings: TagSettings, booted_at_ms: int, randomness: random.Random) -> None:
        self.settings = settings
        self.memory = Memory(settings.log_interval_s, settings.log_records)
        self.payload: bytes | None = None
        self._address = bytes.fromhex(settings.address.replace(":", ""))
        self._booted_at_ms = booted_at_ms
        self._speed = 1 + settings.drift_ppm * _PPM
        self._random = randomness
        self._first_ms = randomness.random() * settings.heartbeat_s * 1000
        self._taken = 0
        self._movements = randomness.randrange(rawv2.MOVEMENT_VALUES)

    @property
    def due_at_ms(self) -> int:
        """Return when the next measurement is to be taken."""
        return round(self.time_at(self._due_uptime_ms))

    @property
    def first_heartbeat_ms(self) -> float:
        """Return the uptime of the first measurement, by the tag's own oscillator."""
        return self._first_ms

    def time_at(self, uptime_ms: float) -> float:
        """Return the domain time at which the tag's own oscillator has counted so far."""
        return self._booted_at_ms + uptime_ms / self._speed

    def uptime_ms(self, now_ms: float) -> int:
        """Return how long the tag has been on, by its own oscillator."""
        return int((now_ms - self._booted_at_ms) * self._speed)

    def measure(self, environment: Environment) -> Measurement:
        """Take the measurement that is due."""
        at_ms, uptime_ms = self.due_at_ms, self._due_uptime_ms
        number = self.settings.first_number + self._taken
        self._taken += 1
        noise = self._random.gauss
        temperature_c = environment.temperature_c + self.settings.offset_c + noise(0, _NOISE_C)
        humidity_percent = min(100.0, max(0.0, environment.humidity_percent + noise(0, _NOISE_PERCENT)))
        pressure_pa = environment.pressure_pa + noise(0, _NOISE_PA)
        if self._random.random() < _MOVEMENT_CHANCE:
            self._movements += 1
        self.payload = rawv2.encode(
            Beacon(
                self._address,
                temperature_c,
                humidity_percent,
                pressure_pa,
                (round(noise(0, _NOISE_MG)), round(noise(0, _NOISE_MG)), round(noise(_GRAVITY_MG, _NOISE_MG))),
                battery.voltage_mv(self.settings.battery_age_days, temperature_c),
                TX_POWER_DBM,
                self._movements,
                number,
            )
        )
        record = Record(
            number,
            int(uptime_ms // 1000),
            round(temperature_c * 100),
            round(humidity_percent * 100),
            round(pressure_pa),
        )
        is_kept = self.settings.has_memory and self.memory.offer(uptime_ms, record)
        temperature_mc = rawv2.temperature_steps(temperature_c) * rawv2.MC_PER_STEP
        return Measurement(number, at_ms, temperature_mc, self.payload, record if is_kept else None)

    def answer(self, request: bytes, now_ms: float) -> Iterator[bytes]:
        """Give the notifications that answer what was written to the UART service; none for nonsense.

        A model without log memory answers that its log has ended.
        """
        parsed = history.parse_request(request)
        if parsed is None:
            return iter(())
        records = tuple(self.memory)  # the log goes on while it is being read
        return history.answer(parsed, records, self.uptime_ms(now_ms), skips_first=self.settings.skips_first_record)

    @property
    def _due_uptime_ms(self) -> float:
        return self._first_ms + self._taken * self.settings.heartbeat_s * 1000
