"""The log memory of a RuuviTag and the protocol that reads it over the Nordic UART service.

Sources: docs.ruuvi.com, "Read logged history"; ruuvi.firmware.c (app_log.c, app_sensor.c) for what it leaves open:
the tag has no clock. It stores seconds since its own boot, and turns them into real times by the time of day that
the reader states in the request, so a reader with a wrong clock gets wrong times and an old record bears
the tag's drift. A request names the endpoint (temperature, humidity, pressure, or all), its "now" and the oldest
time that it wants; there is no newest. One frame of 11 bytes answers for each value, and one of 0xFF ends the log.
"""

import struct
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Generic, TypeVar

NUS_SERVICE = "6e400001-b5a3-f393-e0a9-e50e24dcca9e"
NUS_RX = "6e400002-b5a3-f393-e0a9-e50e24dcca9e"
NUS_TX = "6e400003-b5a3-f393-e0a9-e50e24dcca9e"
TEMPERATURE, HUMIDITY, PRESSURE, ENVIRONMENT = 0x30, 0x31, 0x32, 0x3A
READ_LOG, WRITE_LOG = 0x11, 0x10
REQUEST_BYTES = 11
MAX_TIMESTAMP = 0xFFFF_FFFE
ROUNDING_MS = 0.5
"""Times are sums of fractions here: a record must not come a heartbeat late for a billionth of a millisecond."""
_REQUEST = struct.Struct(">BBBII")
_FRAME = struct.Struct(">BBBIi")
_Kept = TypeVar("_Kept")


@dataclass(frozen=True)
class Record:
    """One line of the log. ``number`` is the measurement that it was taken from."""

    number: int
    uptime_s: int
    temperature_cc: int
    humidity_cpercent: int
    pressure_pa: int


class Memory(Generic[_Kept]):
    """A ring of records: one every ``interval_s``, the oldest overwritten when ``capacity`` are kept.

    The first measurement is always recorded; after it the first one that is at least an interval later.
    """

    def __init__(self, interval_s: float, capacity: int) -> None:
        self._interval_ms = interval_s * 1000
        self._records: deque[_Kept] = deque(maxlen=capacity)
        self._last_ms: float | None = None

    def __iter__(self) -> Iterator[_Kept]:
        return iter(self._records)

    def __len__(self) -> int:
        return len(self._records)

    def offer(self, uptime_ms: float, record: _Kept) -> bool:
        """Keep the record if one is due; tells whether it was."""
        if self._last_ms is not None and uptime_ms < self._last_ms + self._interval_ms - ROUNDING_MS:
            return False
        self._last_ms = uptime_ms
        self._records.append(record)
        return True


@dataclass(frozen=True)
class LogRequest:
    """What a reader asks for; times are seconds since 1970 by the reader's own clock."""

    endpoint: int
    reader: int
    now_s: int
    start_s: int

    @property
    def fields(self) -> tuple[int, ...]:
        """Return the endpoints whose values are wanted."""
        if self.endpoint == ENVIRONMENT:
            return TEMPERATURE, HUMIDITY, PRESSURE
        return (self.endpoint,)


def parse_request(data: bytes) -> LogRequest | None:
    """Read a request; None for anything that the firmware leaves without an answer."""
    if len(data) < REQUEST_BYTES:
        return None
    endpoint, reader, operation, now_s, start_s = _REQUEST.unpack_from(data)
    if operation != READ_LOG or endpoint not in (TEMPERATURE, HUMIDITY, PRESSURE, ENVIRONMENT) or start_s >= now_s:
        return None
    return LogRequest(endpoint, reader, now_s, start_s)


def answer(
    request: LogRequest, records: Iterable[Record], uptime_ms: int, *, skips_first: bool = False
) -> Iterator[bytes]:
    """Give the frames that answer a request at ``uptime_ms`` of the tag's own time, the end frame last.

    ``skips_first`` copies a fault of the firmware (app_log_read_fast_forward): when it has to pass over older
    records, it also passes over the first one that was asked for.
    """
    oldest_ms = max(0, uptime_ms - (request.now_s - request.start_s) * 1000)
    offset_s = request.now_s - uptime_ms // 1000
    has_passed = False
    for record in records:
        if record.uptime_s * 1000 < oldest_ms:
            has_passed = True
        elif has_passed and skips_first:
            has_passed = False
        else:
            timestamp_s = max(0, min(MAX_TIMESTAMP, record.uptime_s + offset_s))
            for field in request.fields:
                yield _FRAME.pack(request.reader, field, WRITE_LOG, timestamp_s, _value(record, field))
    yield bytes((request.reader, request.endpoint, WRITE_LOG)) + b"\xff" * 8


def _value(record: Record, field: int) -> int:
    """Return hundredths of a degree, hundredths of a percent, or pascals."""
    values = {TEMPERATURE: record.temperature_cc, HUMIDITY: record.humidity_cpercent, PRESSURE: record.pressure_pa}
    return values[field]
