"""Reading a RuuviTag's memory: the log protocol over the Nordic UART service, as a pure state machine.

Source: docs.ruuvi.com, Bluetooth connection, "Read logged history". Frames have 11 bytes, big-endian:
destination, source, type, then eight bytes of payload. The central asks with its own time and the time from which on
it wants records; the tag answers with one frame for each value, oldest first, and an end mark. The times in the
answer derive from the central's time and the tag's count of seconds since the measurement, so their error is that of
the request's journey and of the tag's oscillator.

There is no check sum and no count. What is lost on the way shows all the same: each record comes as one frame for each
kind of value, all of one time, and records lie one interval apart. A hole is asked for again; one that is there twice
is a hole of the memory itself, and the download is whole.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

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
_READ, _WRITE, _ERROR = 0x11, 0x10, 0xF0
_VALUES = frozenset({_TEMPERATURE, _HUMIDITY, _PRESSURE})
_END_MARK = b"\xff" * 8
_HEARTBEAT = 0x05
"""While connected a tag also notifies its current measurement, in data format 5 cut to 18 or 20 bytes."""


OSCILLATOR_PPM = 100
"""Bound on a tag's oscillator: 20 ppm at room temperature, and some 70 more at −20 °C, as watch crystals have it."""
GAP_FACTOR = 1.5
"""Records further apart than so many intervals have another between them."""


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


@dataclass(frozen=True, slots=True)
class Hole:
    """Something that should have come: the time (s) of the record, or of the one before; kinds of value that did."""

    at_s: int
    came: frozenset[int] = frozenset()


class LogDownload:
    """Collects the frames of one download. It has ended only after the tag's end mark."""

    def __init__(self) -> None:
        self.progress = Progress.RECEIVING
        self.heartbeats = 0
        self.malformed = 0
        self._values: dict[int, dict[int, int]] = {}

    def feed(self, frame: bytes) -> Progress:
        """Take one notification. Frames after the end mark change nothing.

        Raises LogProtocolError where there is more than a RuuviTag can hold, or it reports an error.
        """
        if self.progress is Progress.COMPLETE:
            return self.progress
        if frame[:1] == bytes([_HEARTBEAT]):
            self.heartbeats += 1
            return self.progress
        if len(frame) != _FRAME.size or frame[0] != _ENVIRONMENT or frame[2] not in (_WRITE, _ERROR):
            self.malformed += 1
            return self.progress
        if frame[2] == _ERROR:
            raise LogProtocolError("the tag reports an error instead of its log")
        if frame[1] == _ENVIRONMENT:
            self._end(frame)
            return self.progress
        self._keep(frame)
        return self.progress

    def holes(self, interval_s: int) -> tuple[Hole, ...]:
        """What did not arrive of records `interval_s` apart, in order of time; nothing is known of either end."""
        kinds = frozenset(kind for values in self._values.values() for kind in values)
        times = sorted(self._values)
        partial = [Hole(at_s, frozenset(self._values[at_s])) for at_s in times if len(self._values[at_s]) < len(kinds)]
        gaps = [Hole(before) for before, after in pairwise(times) if after - before > GAP_FACTOR * interval_s]
        return tuple(sorted(partial + gaps, key=lambda hole: (hole.at_s, sorted(hole.came))))

    def records(self) -> tuple[LogRecord, ...]:
        """What arrived so far, in order of time. A time without a temperature is no record."""
        return tuple(
            LogRecord(at_s, values[_TEMPERATURE] * 10, values.get(_HUMIDITY))
            for at_s, values in sorted(self._values.items())
            if _TEMPERATURE in values
        )

    def _end(self, frame: bytes) -> None:
        if frame[3:] == _END_MARK:
            self.progress = Progress.COMPLETE
        else:
            self.malformed += 1

    def _keep(self, frame: bytes) -> None:
        _, source, _, at_s, value = _FRAME.unpack(frame)
        if source not in _VALUES:
            self.malformed += 1
            return
        self._values.setdefault(at_s, {})[source] = value
        if len(self._values) > RECORDS_MAX:
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

    def error_of_ms(self, at_s: int) -> int:
        """Bound on the error of one record's time: the tag has counted the seconds since then by itself."""
        return self.error_ms + max(0, self.now_s - at_s) * OSCILLATOR_PPM // 1000

    def measured_at_ms(self, at_s: int) -> int:
        """The best estimate of a record's time: the middle of what is possible."""
        return at_s * 1000 + self.now_ms % 1000 + self.write_ms // 2


def date_records(records: Iterable[LogRecord], timing: RequestTiming) -> tuple[MemoryRecord, ...]:
    """Give records their best estimate of UTC, and its error."""
    return tuple(
        MemoryRecord(
            at_ms=timing.measured_at_ms(record.at_s),
            error_ms=timing.error_of_ms(record.at_s),
            temperature_mc=record.temperature_mc,
            humidity_cpct=record.humidity_cpct,
        )
        for record in records
    )


class RuuviSession:
    """One connection to a RuuviTag: asks, and asks again for a hole, or where the times would not be known."""

    reads: tuple[str, ...] = ()
    notifies = TX

    def __init__(self, request: MemoryRequest) -> None:
        self._request = request
        self._download = LogDownload()
        self._timing = RequestTiming(0, 0)
        self._holes_before: tuple[Hole, ...] | None = None

    @property
    def progress(self) -> Progress:
        """Where the download stands. Its end is believed where nothing is missing, or twice the same."""
        if self._download.progress is not Progress.COMPLETE:
            return self._download.progress
        holes = self._holes()
        return Progress.BROKEN if holes and not self._are_known(holes) else Progress.COMPLETE

    def begin(self, asked: Moment, values: Sequence[bytes]) -> Write:
        """Begin a download at this moment."""
        del values
        if self._download.progress is Progress.COMPLETE:
            self._holes_before = self._holes()
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
        """Whether the times are known to a quarter of the memory's interval, and no hole waits to be asked for."""
        is_timely = self._timing.error_ms * 4 <= self._request.interval_s * 1000
        return is_timely and self.progress is not Progress.BROKEN

    def told(self) -> Told:
        """What arrived. Before it is whole, a record that lacks a value may bear a wrong time, and is left out."""
        if self.progress is Progress.COMPLETE:
            return Told(date_records(self._download.records(), self._timing))
        holes = self._holes()
        partial_s = {hole.at_s for hole in holes if hole.came}
        whole = [record for record in self._download.records() if record.at_s not in partial_s]
        through_ms = self._sure_through_ms(whole, holes[0]) if holes else None
        return Told(date_records(whole, self._timing), through_ms)

    def _sure_through_ms(self, whole: Sequence[LogRecord], first: Hole) -> int:
        """Up to where nothing is missing: the last record before the first hole; the hole's own if it comes after."""
        sure_s = [one.at_s for one in whole if one.at_s < first.at_s or (one.at_s == first.at_s and not first.came)]
        return self._timing.measured_at_ms(sure_s[-1]) if sure_s else 0

    def _holes(self) -> tuple[Hole, ...]:
        return self._download.holes(self._request.interval_s)

    def _are_known(self, holes: tuple[Hole, ...]) -> bool:
        """Whether the download before had the same; times may differ by the seconds to which both sides round."""
        before = self._holes_before
        return (
            before is not None
            and len(before) == len(holes)
            and all(
                one.came == two.came and 2 * abs(one.at_s - two.at_s) < self._request.interval_s
                for one, two in zip(before, holes, strict=True)
            )
        )
