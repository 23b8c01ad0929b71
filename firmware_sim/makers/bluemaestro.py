"""Blue Maestro Tempo Disc, Disc Mini and Disc Maxi: what they broadcast, and the log of the older ones.

Sources: bluemaestro.com/developer (versions, what they measure, how many records they hold, identifier, steps of
0.1 and of 0.01); Blue Maestro's own SDKs for the bytes, IOS-Tempo-Utility-App-SDK (TDUARTAllDataDownloader) for the
log and Android-Tempo-App-SDK (BMTempHumi) for versions 13, 23, 27; the readings of Blue Maestro's app that the open
parser bluemaestro-ble keeps, for 41, 42, 43, of whose first bytes no more than the battery is known to us.

Broadcast under company 0x0133, older versions, most significant byte first: version, battery in percent, logging
interval in seconds, records logged, temperature, humidity, then dew point (23) or pressure (27), mode, breaches.
Version 23 adds a second packet, without a version byte: the highest and lowest values, all time and of the last
day.

The log: ``*logall`` written to the Nordic UART service gives a header of 15 bytes that ends in a colon, then for
each kind of value all records in tenths, the oldest first, most significant byte first; two commas lie between two
kinds, two full stops are the end. Records bear no time: it follows from the interval and the time of the download.

No code for a missing value is published; a sensor that fails shows the smallest number of the field.
"""

import math
import random
import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from firmware_sim import battery
from firmware_sim.firmware import Firmware, LoggerSettings, Sample, Take
from firmware_sim.history import NUS_RX, NUS_SERVICE, NUS_TX, Memory
from firmware_sim.makers.integers import signed_16, steps, unsigned_16
from firmware_sim.misbehaviour import Download, Misbehaviour
from firmware_sim.peripheral import Broadcast, Characteristic, Service
from firmware_sim.served import Now, Served, send_all

COMPANY = 0x0133
MODELS = {"23": 23, "13": 13, "27": 27, "41": 41, "42": 42, "43": 43}
MOST_RECORDS = {13: 20_000, 23: 6_000, 27: 6_000, 41: 100_000, 42: 50_000, 43: 25_000}
FIRST_MODERN = 41
TEMPERATURE_ONLY, WITH_PRESSURE = {13, 41}, {27, 43}
DOWNLOAD = b"*logall"
BETWEEN, END, HEADER_END = b",,", b"..", b":"
SAMPLES_IN_FRAME = 10
RECORD_BYTES = 2
_MODE_CELSIUS = 0
_UNKNOWN_BYTES = 13
_HEAD = struct.Struct(">BBHH")
_LOG_HEADER = struct.Struct(">HHHHBBhh1s")


@dataclass(frozen=True)
class Reading:
    """One sample as these devices hold it: tenths, or hundredths in the newer ones."""

    temperature: int
    humidity: int
    dew_point: int
    pressure: int


def dew_point_c(temperature_c: float, humidity_percent: float) -> float:
    """Return the dew point (Magnus formula); humidity is taken as at least 1 %."""
    alpha = math.log(max(1.0, humidity_percent) / 100) + 17.62 * temperature_c / (243.12 + temperature_c)
    return 243.12 * alpha / (17.62 - alpha)


def read(sample: Sample, steps_per_unit: float) -> Reading:
    """Return a sample in whole steps."""
    dew_c = None if sample.temperature_c is None else dew_point_c(sample.temperature_c, sample.humidity_percent)
    return Reading(
        signed_16(sample.temperature_c, steps_per_unit),
        unsigned_16(sample.humidity_percent, steps_per_unit),
        signed_16(dew_c, steps_per_unit),
        steps(sample.pressure_pa / 100, steps_per_unit, 0, 0x7FFF_FFFF),
    )


def encode(version: int, percent: int, interval_s: int, logged: int, reading: Reading) -> bytes:
    """Return the bytes after the company identifier; ``reading`` in tenths, from version 41 on in hundredths."""
    if version >= FIRST_MODERN:
        data = bytes((version, percent)) + bytes(_UNKNOWN_BYTES) + struct.pack("<h", reading.temperature)
        if version not in TEMPERATURE_ONLY:
            data += struct.pack("<h", reading.humidity)
        if version in WITH_PRESSURE:
            data += struct.pack("<i", reading.pressure)
        return data + b"\x00"  # what comes after them is not known to us either, but it is there
    data = _HEAD.pack(version, percent, interval_s, min(0xFFFF, logged)) + struct.pack(">h", reading.temperature)
    if version in WITH_PRESSURE:
        data += struct.pack(">HH", reading.humidity, reading.pressure)
    elif version not in TEMPERATURE_ONLY:
        data += struct.pack(">Hh", reading.humidity, reading.dew_point)
    return data + bytes((_MODE_CELSIUS, 0))


def encode_statistics(highest: Reading, lowest: Reading, mean: Reading) -> bytes:
    """Return the second packet of version 23; a simulated day is its whole life."""
    values = [highest.temperature, highest.humidity, lowest.temperature, lowest.humidity]
    for reading in (highest, lowest, mean):
        values += [reading.temperature, reading.humidity, reading.dew_point]
    return struct.pack(">13h", *values)


def log_frames(version: int, records: Sequence[Reading], logged: int) -> Iterator[bytes]:
    """Give the notifications that answer ``*logall``."""
    count = len(records)
    pointer = logged % MOST_RECORDS[version]
    yield _LOG_HEADER.pack(pointer, count, min(0xFFFF, logged), RECORD_BYTES, _MODE_CELSIUS, 0, 0, 0, HEADER_END)
    columns = [[record.temperature for record in records]]
    if version not in TEMPERATURE_ONLY:
        columns.append([record.humidity for record in records])
        columns.append([record.pressure if version in WITH_PRESSURE else record.dew_point for record in records])
    for number, column in enumerate(columns):
        if number:
            yield BETWEEN
        for start in range(0, count, SAMPLES_IN_FRAME):
            part = column[start : start + SAMPLES_IN_FRAME]
            yield struct.pack(f">{len(part)}h", *part)
    yield END


class BlueMaestro(Firmware):
    """A Tempo Disc THD, or another ``model``."""

    def __init__(self, settings: LoggerSettings, booted_at_ms: int, randomness: random.Random) -> None:
        super().__init__(settings, booted_at_ms, randomness)
        self.version = MODELS[settings.model or "23"]
        self.logged = 0
        """Records since the boot, also those that were overwritten."""
        self.memory = self._empty()
        self._highest: Reading | None = None
        self._lowest: Reading | None = None

    def reboot(self, at_ms: float) -> None:
        """Start again with an empty log."""
        super().reboot(at_ms)
        self.logged = 0
        self.memory = self._empty()
        self._highest = self._lowest = None

    def log(self) -> Iterator[bytes]:
        """Give the notifications that answer ``*logall`` now."""
        return log_frames(self.version, tuple(self.memory), self.logged)

    def _empty(self) -> Memory[Reading]:
        capacity = min(self.settings.log_records, MOST_RECORDS[self.version])
        return Memory(self.settings.log_interval_s, capacity)

    def _take(self, number: int, uptime_ms: float, sample: Sample) -> Take:
        del number
        per_unit = 100 if self.version >= FIRST_MODERN else 10
        reading = read(sample, per_unit)
        is_kept = self.settings.has_memory and self.memory.offer(uptime_ms, reading)
        self.logged += is_kept
        interval_s = min(0xFFFF, round(self.settings.log_interval_s))
        data = encode(self.version, battery.percent(sample.voltage_mv), interval_s, self.logged, reading)
        broadcasts = [Broadcast({COMPANY: data})]
        if self.version == MODELS["23"]:
            highest, lowest = self._remember(reading)
            statistics = encode_statistics(highest, lowest, reading)
            broadcasts.append(Broadcast({COMPANY: statistics}, is_scan_response=True))
        mc = reading.temperature * 1000 // per_unit
        if sample.temperature_c is None:
            return Take(broadcasts, None, None)
        return Take(broadcasts, None, mc, round(mc / 10) if is_kept else None)

    def _remember(self, reading: Reading) -> tuple[Reading, Reading]:
        highest, lowest = self._highest or reading, self._lowest or reading
        self._highest = replace(
            highest,
            temperature=max(highest.temperature, reading.temperature),
            humidity=max(highest.humidity, reading.humidity),
        )
        self._lowest = replace(
            lowest,
            temperature=min(lowest.temperature, reading.temperature),
            humidity=min(lowest.humidity, reading.humidity),
        )
        return self._highest, self._lowest


class ServedBlueMaestro(Served):
    """The Nordic UART service of the older versions. How the newer ones give their log is not known to us."""

    def __init__(self, device: BlueMaestro, now: Now, misbehaviour: Misbehaviour) -> None:
        del now
        self._device = device
        tx = Characteristic(NUS_TX, ("notify",))
        rx = Characteristic(NUS_RX, ("write", "write-without-response"), on_write=self._take_command)
        self._download = Download(tx, misbehaviour)
        self.downloads = (self._download,)
        if device.version < FIRST_MODERN:
            self.services = (Service(NUS_SERVICE, (rx, tx)),)

    def _take_command(self, data: bytes) -> None:
        if data.strip().lower() == DOWNLOAD:
            self._download.start(send_all(self._device.log()))
