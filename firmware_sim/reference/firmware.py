"""The reference logger's firmware: every measurement is a record, and the newest record is what it broadcasts."""

import random
from collections import deque
from collections.abc import Iterator
from itertools import islice

from firmware_sim.firmware import Firmware, LoggerSettings, Sample, Take
from firmware_sim.peripheral import Broadcast
from firmware_sim.reference.formats import (
    LOGGER_SERVICE,
    LogState,
    Mark,
    Position,
    Record,
    Status,
    encode_advertisement,
)

BATTERY_LOW_MV = 2400
BATTERY_TEMPERATURE_C = 20.0
"""For the voltage before the first measurement."""
BOOT_VALUES = 1 << 16


class ReferenceLogger(Firmware):
    """One reference logger. Its memory and its boot counter outlast a reboot; clock and numbers begin at zero."""

    def __init__(self, settings: LoggerSettings, booted_at_ms: int, randomness: random.Random) -> None:
        super().__init__(settings, booted_at_ms, randomness)
        self.newest: Record | None = None
        """Of this boot."""
        self.voltage_mv = self.sensor.voltage_mv(BATTERY_TEMPERATURE_C)
        self._records: deque[Record] = deque(maxlen=settings.log_records)
        self._clock_offset_ms: int | None = None
        self._has_stepped = False

    @property
    def boot_count(self) -> int:
        """Return the boot counter: 1 when it was first switched on."""
        return (self.boot + 1) % BOOT_VALUES

    @property
    def is_clock_set(self) -> bool:
        """Tell whether its clock was set since the boot."""
        return self._clock_offset_ms is not None

    def clock_ms(self, uptime_ms: float) -> int:
        """Return what its clock shows: since 1970 UTC where it was set, else since the boot."""
        return int(uptime_ms) + (self._clock_offset_ms or 0)

    def set_clock(self, clock_ms: int, now_ms: float) -> None:
        """Set the clock."""
        self._clock_offset_ms = clock_ms - self.uptime_ms(now_ms)
        self._has_stepped = True

    def state(self, now_ms: float) -> LogState:
        """Return what Log State says."""
        return LogState(
            boot=self.boot_count,
            oldest=self._records[0].position if self._records else None,
            newest=self._records[-1].position if self._records else None,
            stored=len(self._records),
            capacity=self.settings.log_records,
            interval_ms=round(self.settings.heartbeat_s * 1000),
            clock_s=self.clock_ms(self.uptime_ms(now_ms)) // 1000,
        )

    def records_from(self, start: Position, limit: int) -> Iterator[Record]:
        """Give the stored records from a position on, at most ``limit``, 0 being all, as the memory holds them now."""
        wanted = [record for record in self._records if record.position >= start]
        return islice(wanted, limit or None)

    def reboot(self, at_ms: float) -> None:
        """Start again: the clock is lost with the power."""
        super().reboot(at_ms)
        self.newest = None
        self._clock_offset_ms = None
        self._has_stepped = False

    def _take(self, number: int, uptime_ms: float, sample: Sample) -> Take:
        clock_s = self.clock_ms(uptime_ms) // 1000
        temperature_cc = None if sample.temperature_c is None else round(sample.temperature_c * 100)
        self.voltage_mv = sample.voltage_mv
        is_low = sample.voltage_mv < BATTERY_LOW_MV
        record = Record(self.boot_count, number, clock_s, temperature_cc, self._marks(temperature_cc, is_low=is_low))
        self._has_stepped = False
        self.newest = record
        if self.settings.has_memory:
            self._records.append(record)
        payload = encode_advertisement(
            status=(Status.CLOCK_SET if self.is_clock_set else Status(0))
            | (Status.BATTERY_LOW if is_low else Status(0))
            | (Status.SENSOR_FAULT if temperature_cc is None else Status(0)),
            boot=record.boot,
            number=number,
            temperature_cc=temperature_cc,
            battery_mv=sample.voltage_mv,
            clock_s=clock_s,
        )
        temperature_mc = None if temperature_cc is None else temperature_cc * 10
        kept_cc = temperature_cc if self.settings.has_memory else None
        return Take((Broadcast(service_data={LOGGER_SERVICE: payload}),), number & 0xFF_FFFF, temperature_mc, kept_cc)

    def _marks(self, temperature_cc: int | None, *, is_low: bool) -> Mark:
        marks = Mark(0)
        if self.is_clock_set:
            marks |= Mark.CLOCK_SET
        if self._has_stepped:
            marks |= Mark.CLOCK_STEPPED
        if temperature_cc is None:
            marks |= Mark.SENSOR_FAULT
        if is_low:
            marks |= Mark.BATTERY_LOW
        return marks
