"""Reading a Tempo Disc's memory: the answer to ``*logall`` over the Nordic UART service, as a pure state machine.

Sources: bluemaestro.com/developer; Blue Maestro's own app SDK (TDUARTAllDataDownloader) for the bytes. A header of 15
bytes that ends in a colon says how many records follow; then come all records of one kind of value in tenths, oldest
first, most significant byte first; two commas lie between two kinds, two full stops are the end. Temperature is the
first kind, humidity the second. There is no check sum and nothing to begin in the middle.

Records bear no time. The newest is at most one interval old, so all times are uncertain by half of one, and by what
the disc's oscillator has drifted since.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence

from gateway.vehicle.loggers.memory import Feed, LogProtocolError, MemoryRecord, MemoryRequest, Progress, Told, Write
from gateway.vehicle.loggers.ruuvi_log import OSCILLATOR_PPM, RX, TX
from gateway.vehicle.moments import Moment

DOWNLOAD = b"*logall"
RECORDS_MAX = 20_000
"""What the largest of the older discs holds."""

_HEADER = struct.Struct(">HHHHBBhh1s")
_BETWEEN, _END, _HEADER_END = b",,", b"..", b":"
_RECORD_BYTES = 2
_NO_VALUE = -0x8000
_HUMIDITY_COLUMN = 1


class BlueMaestroSession:
    """One download."""

    reads: tuple[str, ...] = ()
    notifies = TX

    def __init__(self, request: MemoryRequest) -> None:
        self._request = request
        self._asked_ms = 0
        self._progress = Progress.RECEIVING
        self._count: int | None = None
        self._columns = [b""]

    @property
    def progress(self) -> Progress:
        """Where the download stands."""
        return self._progress

    def begin(self, asked: Moment, values: Sequence[bytes]) -> Write:
        """Begin a download at this moment."""
        del values
        self._asked_ms = asked.at_ms
        self._progress, self._count, self._columns = Progress.RECEIVING, None, [b""]
        return Write(RX, DOWNLOAD)

    def written(self, write_ms: int) -> None:
        """Hear how long the request took."""
        self._asked_ms += write_ms // 2

    def feed(self, data: bytes) -> Feed:
        """Take a notification; raises LogProtocolError where it cannot be the log of a Tempo Disc."""
        if self._progress is not Progress.RECEIVING:
            return Feed(is_alive=False)
        if self._count is None:
            self._count = self._read_header(data)
        elif data == _BETWEEN:
            self._columns.append(b"")
        elif data == _END:
            is_whole = all(len(column) == self._count * _RECORD_BYTES for column in self._columns)
            self._progress = Progress.COMPLETE if is_whole else Progress.BROKEN
        else:
            self._columns[-1] += data
            if len(self._columns[-1]) > self._count * _RECORD_BYTES:
                raise LogProtocolError(f"more than the {self._count} records that its header announces")
        return Feed()

    def is_precise(self) -> bool:
        """Nothing is won by asking again."""
        return True

    def told(self) -> Told:
        """What arrived: nothing before the temperatures are whole, for with a hole the records' places are unknown."""
        temperatures = self._column(0)
        if self._count is None or len(temperatures) != self._count:
            return Told(())
        humidities = self._column(_HUMIDITY_COLUMN)
        interval_ms = self._request.interval_s * 1000
        newest_ms = self._asked_ms - interval_ms // 2
        records = tuple(
            MemoryRecord(
                at_ms=newest_ms - (self._count - 1 - place) * interval_ms,
                error_ms=interval_ms // 2 + (self._count - place) * interval_ms * OSCILLATOR_PPM // 1_000_000,
                temperature_mc=temperature * 100,
                humidity_cpct=humidities[place] * 10 if place < len(humidities) else None,
            )
            for place, temperature in enumerate(temperatures)
            if temperature != _NO_VALUE
        )
        return Told(records)

    def _column(self, number: int) -> tuple[int, ...]:
        if number >= len(self._columns):
            return ()
        data = self._columns[number]
        return tuple(value for (value,) in struct.iter_unpack(">h", data[: len(data) // 2 * 2]))

    @staticmethod
    def _read_header(data: bytes) -> int:
        if len(data) != _HEADER.size or data[-1:] != _HEADER_END:
            raise LogProtocolError(f"{len(data)} bytes that are no header of a log")
        _pointer, count, _logged, size, *_ = _HEADER.unpack(data)
        if size != _RECORD_BYTES or count > RECORDS_MAX:
            raise LogProtocolError(f"{count} records of {size} bytes are no log of a Tempo Disc")
        return int(count)
