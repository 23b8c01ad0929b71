"""Reading a RuuviTag's memory: the log protocol over the Nordic UART service, as a pure state machine.

Source: docs.ruuvi.com, Bluetooth connection, "Read logged history". Frames have 11 bytes, big-endian:
destination, source, type, then eight bytes of payload. The central asks with its own time and the time from which on
it wants records; the tag answers with one frame for each value, oldest first, and an end mark. The times in the
answer derive from the central's time, so their error is that of the request's journey.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from gateway.vehicle.loggers.memory import Feed, LogProtocolError, MemoryRecord, MemoryRequest, Progress, Told, Write
from gateway.vehicle.moments import Moment

SERVICE = "6e400001-b5a3-f393-e0a9-e50e24dcca9e"
RX = "6e400002-b5a3-f393-e0a9-e50e24dcca9e"
"""The central writes here."""
TX = "6e400003-b5a3-f393-e0a9-e50e24dcca9e"
"""The tag notifies here."""

RECORDS_MAX = 20_000
"""The memory holds about ten days of 5-minute records, some 3,000; more is no RuuviTag."""

_FRAME = struct.Struct(">BBBIi")
_REQUEST = struct.Struct(">BBBII")
_ENVIRONMENT, _TEMPERATURE, _HUMIDITY, _PRESSURE = 0x3A, 0x30, 0x31, 0x32
_READ, _WRITE = 0x11, 0x10
_END_MARK = b"\xff" * 8
_HEARTBEAT = 0x05
"""While connected a tag also notifies its current measurement, in data format 5 cut to 18 or 20 bytes."""


@dataclass(frozen=True, slots=True)
class LogRecord:
    """One record of the memory.

    at_s            seconds of UTC, derived from the time in the request
    temperature_mc  millidegrees Celsius (resolution 10)
    humidity_cpct   0.01 %, or None where the tag sent none
    """

    at_s: int
    temperature_mc: int
    humidity_cpct: int | None


def encode_request(now_s: int, start_s: int) -> bytes:
    """Ask for all environmental records from `start_s` on, telling that it is `now_s`."""
    return _REQUEST.pack(_ENVIRONMENT, _ENVIRONMENT, _READ, now_s, max(0, start_s))


class LogDownload:
    """Collects the frames of one download. It is complete only after the tag's end mark."""

    def __init__(self) -> None:
        self.progress = Progress.RECEIVING
        self.heartbeats = 0
        self.malformed = 0
        self._temperatures: dict[int, int] = {}
        self._humidities: dict[int, int] = {}

    def feed(self, frame: bytes) -> Progress:
        """Take one notification. Frames after the end mark change nothing.

        Raises LogProtocolError where there is more than a RuuviTag can hold.
        """
        if self.progress is Progress.COMPLETE:
            return self.progress
        if frame[:1] == bytes([_HEARTBEAT]):
            self.heartbeats += 1
            return self.progress
        if len(frame) != _FRAME.size or frame[0] != _ENVIRONMENT or frame[2] != _WRITE:
            self.malformed += 1
            return self.progress
        if frame[1] == _ENVIRONMENT:
            self._end(frame)
            return self.progress
        self._keep(frame)
        return self.progress

    def records(self) -> tuple[LogRecord, ...]:
        """What arrived so far, in order of time. A time without a temperature is no record."""
        return tuple(
            LogRecord(at_s, temperature * 10, self._humidities.get(at_s))
            for at_s, temperature in sorted(self._temperatures.items())
        )

    def _end(self, frame: bytes) -> None:
        if frame[3:] == _END_MARK:
            self.progress = Progress.COMPLETE
        else:
            self.malformed += 1

    def _keep(self, frame: bytes) -> None:
        _, source, _, at_s, value = _FRAME.unpack(frame)
        if source == _TEMPERATURE:
            self._temperatures[at_s] = value
        elif source == _HUMIDITY:
            self._humidities[at_s] = value
        elif source != _PRESSURE:
            self.malformed += 1
        if len(self._temperatures) > RECORDS_MAX:
            raise LogProtocolError(f"more than {RECORDS_MAX} records: this is no RuuviTag's memory")


@dataclass(frozen=True, slots=True)
class RequestTiming:
    """When a request was written, in domain time, for what the answer's times are worth.

    The tag takes `now_s` for the moment of arrival, which lies between the start and the end of the write.
    """

    now_ms: int
    write_ms: int

    @property
    def now_s(self) -> int:
        """What the request says: whole seconds."""
        return self.now_ms // 1000

    @property
    def error_ms(self) -> int:
        """Bound on the error of a record's time: half the write, and the second to which the tag rounds."""
        return (self.write_ms + 1) // 2 + 1000

    def measured_at_ms(self, at_s: int) -> int:
        """The best estimate of a record's time: the middle of what is possible."""
        return at_s * 1000 + self.now_ms % 1000 + self.write_ms // 2


def date_records(records: Iterable[LogRecord], timing: RequestTiming) -> tuple[MemoryRecord, ...]:
    """Give records their best estimate of UTC, and its error."""
    return tuple(
        MemoryRecord(
            at_ms=timing.measured_at_ms(record.at_s),
            error_ms=timing.error_ms,
            temperature_mc=record.temperature_mc,
            humidity_cpct=record.humidity_cpct,
        )
        for record in records
    )


class RuuviSession:
    """One connection to a RuuviTag: asks, and asks again where the first request took too long to know the times."""

    reads: tuple[str, ...] = ()
    notifies = TX

    def __init__(self, request: MemoryRequest) -> None:
        self._request = request
        self._download = LogDownload()
        self._timing = RequestTiming(0, 0)

    @property
    def progress(self) -> Progress:
        """Where the download stands."""
        return self._download.progress

    def begin(self, asked: Moment, values: Sequence[bytes]) -> Write:
        """Begin a download at this moment."""
        del values
        self._download = LogDownload()
        self._timing = RequestTiming(asked.at_ms, 0)
        return Write(RX, encode_request(self._timing.now_s, self._request.from_ms // 1000))

    def written(self, write_ms: int) -> None:
        """Hear how long the request took."""
        self._timing = RequestTiming(self._timing.now_ms, write_ms)

    def feed(self, data: bytes) -> Feed:
        """Take a notification. A heartbeat is no sign of a living download."""
        heartbeats = self._download.heartbeats
        self._download.feed(data)
        return Feed(is_alive=self._download.heartbeats == heartbeats)

    def is_precise(self) -> bool:
        """Whether the times are known to a quarter of the memory's interval."""
        return self._timing.error_ms * 4 <= self._request.interval_s * 1000

    def told(self) -> Told:
        """What arrived."""
        return Told(date_records(self._download.records(), self._timing))
