"""The truth: boxes' temperatures as functions of time, and loggers that measure and remember them."""

from __future__ import annotations

import asyncio
import math
import random
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

from gateway.clock import Clock
from gateway.core import configuration
from gateway.vehicle.download import MemoryAnswer
from gateway.vehicle.hearing import AdapterHealth, RadioHealth
from gateway.vehicle.loggers.measurement import Measurement
from gateway.vehicle.loggers.memory import MemoryRequest, Told
from gateway.vehicle.loggers.ruuvi_log import LogRecord, RequestTiming, date_records
from gateway.vehicle.moments import read_moment
from gateway.vehicle.radio import RadioError
from tests.simulation.story import Story

MEASURES_S = 1.285
COUNTER_WRAP = 65_535
MEMORY_S = 300
HEARD_PER_INTERVAL = 2


@dataclass(frozen=True, slots=True)
class Excursion:
    """A time off limits: a plateau."""

    begins_s: float
    ends_s: float
    temperature_c: float


@dataclass
class Logger:
    """One logger in its box. `told` is all that it advertised, `remembered` all that its memory told."""

    address: str
    box: str
    excursions: tuple[Excursion, ...]
    phase: float
    present: bool = True
    told: set[tuple[int | None, int]] = field(default_factory=set)
    remembered: set[int] = field(default_factory=set)

    def temperature_mc(self, at_s: float) -> int:
        """What it measures, at its resolution of 5."""
        off = next((e.temperature_c for e in self.excursions if e.begins_s <= at_s < e.ends_s), None)
        temperature_c = 5.0 + 1.2 * math.sin(at_s / 3000 + self.phase) if off is None else off
        return round((temperature_c + 0.3 * math.sin(at_s / 97 + self.phase)) * 200) * 5

    def measurement(self, at_s: float) -> Measurement:
        """The advertisement of this moment."""
        number = int((at_s + 1000 * self.phase) / MEASURES_S)
        temperature_mc = self.temperature_mc(number * MEASURES_S - 1000 * self.phase)
        counter = number % COUNTER_WRAP
        self.told.add((counter, temperature_mc))
        return Measurement(temperature_mc, 5000, 100_000, 3000, 0, counter, self.address)

    def remembered_mc(self, at_s: int) -> int:
        """The record of its memory at a whole number of seconds; its resolution is 10."""
        temperature_mc = round(self.temperature_mc(at_s) / 10) * 10
        self.remembered.add(temperature_mc)
        return temperature_mc

    def memory(self, from_s: float, until_s: float) -> list[int]:
        """The seconds of its records."""
        first = math.ceil(max(0.0, from_s) / MEMORY_S)
        return [number * MEMORY_S for number in range(first, math.floor(until_s / MEMORY_S) + 1)]


class SimulatedRadio:
    """Stands where the vehicle's radio stands."""

    def __init__(
        self,
        loggers: Sequence[Logger],
        hear: Callable[[str, Measurement], None],
        *,
        interval_s: int,
        memory_fails: float,
        rng: random.Random,
        story: Story,
    ) -> None:
        self.health = RadioHealth({"hci0": AdapterHealth(scanning=True, mode="simulated", reason="")}, reason="")
        self._loggers = {logger.address: logger for logger in loggers}
        self._hear = hear
        self._interval_s = interval_s
        self._memory_fails = memory_fails
        self._rng = rng
        self._story = story
        self._enrolled: frozenset[str] = frozenset()
        self._heard: dict[str, bool] = {}

    def enrol(self, loggers: Iterable[configuration.Logger]) -> None:
        self._enrolled = frozenset(logger.address for logger in loggers)

    def present(self) -> list[str]:
        return [address for address in self._heard if address in self._enrolled]

    async def scan(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(self._interval_s / HEARD_PER_INTERVAL * self._rng.uniform(0.8, 1.0))
            for address, logger in self._loggers.items():
                if logger.present and address in self._enrolled:
                    self._heard[address] = True
                    self.health.heard += 1
                    self._hear(address, logger.measurement(loop.time()))

    async def read_memory(self, request: MemoryRequest, clock: Clock) -> MemoryAnswer:
        address, from_ms = request.logger, request.from_ms
        logger, loop = self._loggers[address], asyncio.get_running_loop()
        await asyncio.sleep(self._rng.uniform(0.5, 5.0))
        if not logger.present or self._rng.random() < self._memory_fails:
            raise RadioError(f"{address}: it does not answer")
        asked, asked_s = read_moment(clock), loop.time()
        timing = RequestTiming(asked.at_ms, self._rng.randint(20, 400))
        await asyncio.sleep(self._rng.uniform(1.0, 20.0))
        ages_s = [asked_s - at_s for at_s in logger.memory(asked_s - (asked.at_ms - from_ms) / 1000, asked_s)]
        records = [
            LogRecord(timing.now_s - round(age_s), logger.remembered_mc(round(asked_s - age_s)), None)
            for age_s in ages_s
        ]
        complete = self._rng.random() >= self._memory_fails
        if not complete:
            records = records[: self._rng.randint(0, len(records))]
        self._story.tell("memory", f"{address} tells {len(records)} records, complete: {complete}")
        return MemoryAnswer(Told(date_records(records, timing)), asked, complete)
