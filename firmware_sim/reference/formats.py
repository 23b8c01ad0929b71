"""Every byte that the reference logger sends and understands; ``docs/reference-logger.md`` is the law.

All numbers are least significant byte first. A temperature is in hundredths of a degree, None where the sensor gave
none.
"""

import binascii
import struct
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import IntEnum, IntFlag

LOGGER_SERVICE = "db973301-567b-4bdb-b9ee-a0959751407e"
LOG_STATE = "db973302-567b-4bdb-b9ee-a0959751407e"
LOG_CONTROL = "db973303-567b-4bdb-b9ee-a0959751407e"
LOG_DATA = "db973304-567b-4bdb-b9ee-a0959751407e"
VERSION = 1
NO_TEMPERATURE = -32_768
MAX_TEMPERATURE = 32_767
NO_BATTERY = 255
MV_PER_BATTERY_STEP = 20
RECORD_BYTES = 13
FRAME_OVERHEAD_BYTES = 5
MAX_RECORDS_IN_FRAME = 255
FIRST_YEAR, LAST_YEAR = 2001, 2105
"""A clock in seconds since 1970 fits 32 bits until 2106; what is before 2001 looks like one that was never set."""

_ADVERTISEMENT = struct.Struct("<BB3shBH")
_RECORD = struct.Struct("<HIIhB")
_STATE = struct.Struct("<BHHIHIIIII")
_READ = struct.Struct("<BBHIIH")
_CREDIT = struct.Struct("<BBH")
_ABORT = struct.Struct("<BB")
_FRAME_HEAD = struct.Struct("<BBB")
_END = struct.Struct("<BBBII")
_CRC = struct.Struct("<H")
_CURRENT_TIME = struct.Struct("<HBBBBBBBB")


class Status(IntFlag):
    """The flags of an advertisement."""

    CLOCK_SET = 1
    BATTERY_LOW = 2
    SENSOR_FAULT = 4


class Mark(IntFlag):
    """The flags of a record."""

    CLOCK_SET = 1
    CLOCK_STEPPED = 2
    SENSOR_FAULT = 4
    BATTERY_LOW = 8


class Kind(IntEnum):
    """What a notification of Log Data is."""

    RECORDS = 1
    END = 2


class Outcome(IntEnum):
    """How a transfer ended."""

    COMPLETE = 0
    ABORTED = 1
    NO_CREDIT = 2


class Refusal(IntEnum):
    """ATT application errors of Log Control."""

    BUSY = 0x80
    MALFORMED = 0x81


@dataclass(frozen=True, order=True)
class Position:
    """A place in the log: records are ordered by boot and number."""

    boot: int
    number: int


@dataclass(frozen=True)
class Record:
    """One measurement as it is stored."""

    boot: int
    number: int
    clock_s: int
    temperature_cc: int | None
    marks: Mark

    @property
    def position(self) -> Position:
        """Return its place in the log."""
        return Position(self.boot, self.number)

    def encode(self) -> bytes:
        """Return its 13 bytes."""
        temperature = NO_TEMPERATURE if self.temperature_cc is None else _clip(self.temperature_cc)
        return _RECORD.pack(self.boot, self.number, self.clock_s, temperature, self.marks)


@dataclass(frozen=True)
class LogState:
    """The value of Log State; ``oldest`` and ``newest`` are None while nothing is stored."""

    boot: int
    oldest: Position | None
    newest: Position | None
    stored: int
    capacity: int
    interval_ms: int
    clock_s: int

    def encode(self) -> bytes:
        """Return its 31 bytes."""
        oldest, newest = self.oldest or Position(0, 0), self.newest or Position(0, 0)
        places = (oldest.boot, oldest.number, newest.boot, newest.number)
        return _STATE.pack(VERSION, self.boot, *places, self.stored, self.capacity, self.interval_ms, self.clock_s)


@dataclass(frozen=True)
class ReadRequest:
    """Asks for the records from a position on; ``limit`` 0 is all of them."""

    tag: int
    start: Position
    limit: int
    credits: int


@dataclass(frozen=True)
class Credit:
    """Lets the logger send so many frames more."""

    tag: int
    credits: int


@dataclass(frozen=True)
class Abort:
    """Ends the transfer."""

    tag: int


def encode_advertisement(
    *, status: Status, boot: int, number: int, temperature_cc: int | None, battery_mv: int | None, clock_s: int
) -> bytes:
    """Return the 10 bytes of service data."""
    return _ADVERTISEMENT.pack(
        VERSION << 4 | status,
        boot & 0xFF,
        (number & 0xFF_FFFF).to_bytes(3, "little"),
        NO_TEMPERATURE if temperature_cc is None else _clip(temperature_cc),
        NO_BATTERY if battery_mv is None else min(NO_BATTERY - 1, battery_mv // MV_PER_BATTERY_STEP),
        clock_s & 0xFFFF,
    )


def encode_frame(tag: int, records: Sequence[bytes]) -> bytes:
    """Return a frame of encoded records."""
    return _with_crc(_FRAME_HEAD.pack(Kind.RECORDS, tag, len(records)) + b"".join(records))


def encode_end(tag: int, outcome: Outcome, count: int, crc32: int) -> bytes:
    """Return the frame that ends a transfer."""
    return _with_crc(_END.pack(Kind.END, tag, outcome, count, crc32))


def add_crc32(records: bytes, before: int = 0) -> int:
    """Return the CRC over all records of a transfer, continued from ``before``."""
    return zlib.crc32(records, before)


def records_in_frame(payload_bytes: int) -> int:
    """Return how many records fit a notification of this size."""
    return min(MAX_RECORDS_IN_FRAME, max(1, (payload_bytes - FRAME_OVERHEAD_BYTES) // RECORD_BYTES))


def parse_command(data: bytes) -> ReadRequest | Credit | Abort | None:
    """Read what was written to Log Control; None for what is malformed."""
    match data[:1], len(data):
        case b"\x01", _READ.size:
            return _read(data)
        case b"\x02", _CREDIT.size:
            return _credit(data)
        case b"\x03", _ABORT.size:
            return Abort(_ABORT.unpack(data)[1])
    return None


def encode_current_time(clock_ms: int | None) -> bytes:
    """Return the value of Current Time in UTC; all zero ("not known") for a clock that was never set."""
    if clock_ms is None:
        return bytes(_CURRENT_TIME.size)
    at = datetime.fromtimestamp(clock_ms // 1000, UTC)
    fraction = clock_ms % 1000 * 256 // 1000
    return _CURRENT_TIME.pack(at.year, at.month, at.day, at.hour, at.minute, at.second, at.isoweekday(), fraction, 0)


def parse_current_time(data: bytes) -> int | None:
    """Return what was written to Current Time as milliseconds since 1970 UTC; None where it is no time after 2000."""
    if len(data) != _CURRENT_TIME.size:
        return None
    year, month, day, hour, minute, second, _weekday, fraction, _reason = _CURRENT_TIME.unpack(data)
    if not FIRST_YEAR <= year <= LAST_YEAR:
        return None
    try:
        at = datetime(year, month, day, hour, minute, second, tzinfo=UTC)
    except ValueError:
        return None
    return round(at.timestamp()) * 1000 + int(fraction) * 1000 // 256


def _read(data: bytes) -> ReadRequest | None:
    _, tag, boot, number, limit, credit = _READ.unpack(data)
    return ReadRequest(tag, Position(boot, number), limit, credit) if credit else None


def _credit(data: bytes) -> Credit | None:
    _, tag, credit = _CREDIT.unpack(data)
    return Credit(tag, credit) if credit else None


def _with_crc(frame: bytes) -> bytes:
    return frame + _CRC.pack(binascii.crc_hqx(frame, 0xFFFF))


def _clip(temperature_cc: int) -> int:
    return max(-MAX_TEMPERATURE, min(MAX_TEMPERATURE, temperature_cc))
