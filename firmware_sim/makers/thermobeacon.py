"""ThermoBeacon hygrometers, sold under many names.

Source: two independent open readers (rnlgreen/thermobeacon, iskalchev/ThermoBeacon-pyhap); the maker has published
nothing. The model stands where the company identifier should be. Data packet: 0, button, address least significant
byte first, millivolts, temperature and humidity in sixteenths, seconds since the reset. Extremes packet: the
highest temperature and its second, the lowest and its second. All least significant byte first.

The log is read over service 0xFFF0: 01 written to 0xFFF5 gives the count, 07 with an index (four bytes) and a count
of up to fifteen gives so many temperatures, then as many humidities, from 0xFFF3. Index 0 is taken for the oldest
here; no source says so, and none says how long the interval is.

No code for a missing value is known; a sensor that fails shows the smallest number of the field.
"""

import random
import struct
from dataclasses import dataclass

from firmware_sim.firmware import Firmware, LoggerSettings, Sample, Take
from firmware_sim.history import Memory
from firmware_sim.makers.integers import signed_16, unsigned_16
from firmware_sim.misbehaviour import Download, Misbehaviour
from firmware_sim.peripheral import Broadcast, Characteristic, Service
from firmware_sim.served import Now, Served, send_all

SERVICE, ANSWER, COMMAND = "fff0", "fff3", "fff5"
MODELS = {"17": 0x11, "16": 0x10, "21": 0x15}
PER_DEGREE = 16
QUERY, DUMP = 0x01, 0x07
MAX_DUMP = 15
DUMP_BYTES = 6
_DATA = struct.Struct("<BB6sHhHI")
_EXTREMES = struct.Struct("<BB6shIhI")


@dataclass(frozen=True)
class Kept:
    """One record of the log, in sixteenths."""

    temperature: int
    humidity: int


def encode_data(
    address: bytes, voltage_mv: int, temperature_c: float | None, humidity_percent: float, uptime_s: int
) -> bytes:
    """Return the bytes after the identifier; ``address`` most significant byte first."""
    temperature, humidity = signed_16(temperature_c, PER_DEGREE), unsigned_16(humidity_percent, PER_DEGREE)
    return _DATA.pack(0, 0, address[::-1], voltage_mv, temperature, humidity, uptime_s)


class ThermoBeacon(Firmware):
    """A hygrometer with a log; its uptime is the only clock that it has."""

    def __init__(self, settings: LoggerSettings, booted_at_ms: int, randomness: random.Random) -> None:
        super().__init__(settings, booted_at_ms, randomness)
        self.memory: Memory[Kept] = Memory(settings.log_interval_s, settings.log_records)
        self._extremes: tuple[int, int, int, int] | None = None

    def reboot(self, at_ms: float) -> None:
        """Start again with an empty log."""
        super().reboot(at_ms)
        self.memory = Memory(self.settings.log_interval_s, self.settings.log_records)
        self._extremes = None

    def _take(self, number: int, uptime_ms: float, sample: Sample) -> Take:
        del number
        model, uptime_s = MODELS[self.settings.model or "17"], int(uptime_ms // 1000)
        temperature = signed_16(sample.temperature_c, PER_DEGREE)
        data = encode_data(
            self.address_bytes, sample.voltage_mv, sample.temperature_c, sample.humidity_percent, uptime_s
        )
        extremes = _EXTREMES.pack(0, 0, self.address_bytes[::-1], *self._remember(temperature, uptime_s))
        broadcasts = tuple(Broadcast({model: payload}, service_uuids=(SERVICE,)) for payload in (data, extremes))
        if sample.temperature_c is None:
            return Take(broadcasts, None, None)
        kept = Kept(temperature, unsigned_16(sample.humidity_percent, PER_DEGREE))
        is_kept = self.settings.has_memory and self.memory.offer(uptime_ms, kept)
        mc = round(1000 * temperature / PER_DEGREE)
        return Take(broadcasts, None, mc, round(mc / 10) if is_kept else None)

    def _remember(self, temperature: int, uptime_s: int) -> tuple[int, int, int, int]:
        high, high_s, low, low_s = self._extremes or (temperature, uptime_s, temperature, uptime_s)
        if temperature > high:
            high, high_s = temperature, uptime_s
        if temperature < low:
            low, low_s = temperature, uptime_s
        self._extremes = high, high_s, low, low_s
        return self._extremes


class ServedThermoBeacon(Served):
    """The log, a handful of records for each request; the answer is notified, and read again where it was missed."""

    def __init__(self, beacon: ThermoBeacon, now: Now, misbehaviour: Misbehaviour) -> None:
        del now
        self._beacon = beacon
        self._answer = b""
        answer = Characteristic(ANSWER, ("read", "notify"), on_read=lambda: self._answer)
        command = Characteristic(COMMAND, ("write", "write-without-response"), on_write=self._take_command)
        self._download = Download(answer, misbehaviour)
        self.downloads = (self._download,)
        self.services = (Service(SERVICE, (answer, command)),)

    def _take_command(self, data: bytes) -> None:
        records = list(self._beacon.memory)
        if data[:1] == bytes((QUERY,)):
            self._answer = bytes((QUERY,)) + len(records).to_bytes(2, "little")
        elif data[:1] == bytes((DUMP,)) and len(data) >= DUMP_BYTES:
            first, count = int.from_bytes(data[1:5], "little"), min(data[5], MAX_DUMP)
            self._answer = _dump(first, records[first : first + count])
        else:
            return
        self._download.start(send_all([self._answer]))


def _dump(first: int, records: list[Kept]) -> bytes:
    temperatures, humidities = [kept.temperature for kept in records], [kept.humidity for kept in records]
    count = len(records)
    return struct.pack(f"<BIB{count}h{count}H", DUMP, first, count, *temperatures, *humidities)
