"""Reading the reference logger's memory; docs/reference-logger.md, sections 2 and 5, is the law. A pure state machine.

Each record has a name (boot, number) that is also broadcast, so what is asked for is exactly what was not heard, a
download resumes behind the last record that arrived, and two check sums say whether it is whole.
"""

from __future__ import annotations

import binascii
import struct
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from gateway.core.records import DeviceFault
from gateway.vehicle.loggers.memory import Feed, LogProtocolError, MemoryRequest, Progress, Told, Write
from gateway.vehicle.loggers.reference import NUMBER_BITS
from gateway.vehicle.loggers.reference_times import LogRecord, State, counter_of, date_records
from gateway.vehicle.moments import Moment

LOG_STATE = "db973302-567b-4bdb-b9ee-a0959751407e"
LOG_CONTROL = "db973303-567b-4bdb-b9ee-a0959751407e"
LOG_DATA = "db973304-567b-4bdb-b9ee-a0959751407e"

CREDITS = 64
"""Frames that may be under way: 1,152 records at the usual MTU, more than the link holds and less than a second."""
RECORDS_MAX = 100_000
"""Beyond any memory that the document speaks of; more is no reference logger."""

_STATE = struct.Struct("<BHHIHIIIII")
_READ = struct.Struct("<BBHIIH")
_CREDIT = struct.Struct("<BBH")
_RECORD = struct.Struct("<HIIhB")
_END = struct.Struct("<BBBIIH")
_VERSION = 1
_FRAME_HEAD_BYTES, _CRC_BYTES = 3, 2
_RECORDS, _ENDED = 1, 2
_COMPLETE = 0
_TAGS = 256


@dataclass(slots=True)
class _Transfer:
    """What arrived under one tag."""

    tag: int
    records: list[LogRecord]
    crc32: int = 0
    frames: int = 0
    hole_after: int | None = None
    """How many records had arrived when the first frame was found spoilt."""


class ReferenceSession:
    """One download. `begin` needs the value of Log State."""

    reads: tuple[str, ...] = (LOG_STATE,)
    notifies = LOG_DATA

    def __init__(self, request: MemoryRequest) -> None:
        self._request = request
        self._transfer = _Transfer(0, [])
        self._state: State | None = None
        self._progress = Progress.RECEIVING

    @property
    def progress(self) -> Progress:
        """Where the download stands."""
        return self._progress

    def begin(self, asked: Moment, values: Sequence[bytes]) -> Write | None:
        """Ask for what is missing; None if the memory holds nothing of it. Raises LogProtocolError."""
        (value,) = values
        self._state = _read_state(value, asked)
        self._transfer = _Transfer((self._transfer.tag + 1) % _TAGS, [])
        self._progress = Progress.RECEIVING
        if self._state.stored == 0:
            self._progress = Progress.COMPLETE
            return None
        boot, number, limit = self._missing(self._state)
        return Write(LOG_CONTROL, _READ.pack(1, self._transfer.tag, boot, number, limit, CREDITS))

    def written(self, write_ms: int) -> None:
        """Hear how long reading the state and asking took: so uncertain is the logger's clock."""
        if self._state is not None:
            self._state = self._state.read_within(write_ms)

    def feed(self, data: bytes) -> Feed:
        """Take a notification of Log Data. Spoilt frames and those of another transfer leave a hole, no record."""
        if self._progress is not Progress.RECEIVING:
            return Feed(is_alive=False)
        transfer = self._transfer
        if not _is_sound(data):
            transfer.hole_after = len(transfer.records) if transfer.hole_after is None else transfer.hole_after
            return Feed()
        if data[1] != transfer.tag:
            return Feed(is_alive=False)
        if data[0] == _ENDED:
            self._end(data)
            return Feed()
        return self._keep(data)

    def is_precise(self) -> bool:
        """The error is stated with each record; asking again would not lessen it."""
        return True

    def told(self) -> Told:
        """What arrived, dated. Records that no known moment reaches are counted, not guessed."""
        if self._state is None:
            return Told(())
        records = self._transfer.records
        dated = date_records(records, self._state, self._request.known)
        through_ms = None
        if self._progress is not Progress.COMPLETE:
            sure = {counter_of(record.boot, record.number) for record in records[: self._sure()]}
            through_ms = max((record.at_ms for record in dated.records if record.counter in sure), default=0)
        return Told(dated.records, through_ms, self._notes(dated.undated, dated.shift_ms))

    def _sure(self) -> int:
        """How many records arrived before the first hole; none if there is one and nobody knows where."""
        records, spoilt = self._transfer.records, self._transfer.hole_after
        jumps = (
            place
            for place, (before, after) in enumerate(pairwise(records), 1)
            if before.boot == after.boot and after.number != before.number + 1
        )
        holes = [place for place in (spoilt, next(jumps, None)) if place is not None]
        if holes:
            return min(holes)
        return 0 if self._progress is Progress.BROKEN else len(records)

    def _notes(self, undated: int, shift_ms: int | None) -> tuple[DeviceFault, ...]:
        assert self._state is not None  # noqa: S101  only called with a state
        asked, logger = self._state.asked, self._request.logger
        notes = []
        if shift_ms is not None:
            detail = {"shift_ms": shift_ms, "boot": self._state.boot}
            notes.append(DeviceFault(asked.at_ms, asked.trusted, logger, "clock_shifted", detail))
        if undated:
            notes.append(DeviceFault(asked.at_ms, asked.trusted, logger, "memory_undated", {"records": undated}))
        return tuple(notes)

    def _missing(self, state: State) -> tuple[int, int, int]:
        """From which boot and number on, and how many records at most (0: all).

        The newest measurement that was heard before the stretch, and the oldest one after it, bound it exactly where
        they are of the boot that lasts; else all that is stored may belong to it.
        """
        numbers = [
            (at_ms, counter & (1 << NUMBER_BITS) - 1)
            for counter, at_ms in self._request.known.items()
            if counter >> NUMBER_BITS == state.boot & 0xFF
        ]
        before = [number for at_ms, number in numbers if at_ms <= self._request.from_ms]
        after = [number for at_ms, number in numbers if at_ms >= self._request.to_ms]
        if not before:
            return state.oldest_boot, state.oldest_number, 0
        first = max(before) + 1
        return state.boot, first, max(1, min(after) - first) if after and min(after) > first else 0

    def _keep(self, data: bytes) -> Feed:
        transfer = self._transfer
        body = data[_FRAME_HEAD_BYTES:-_CRC_BYTES]
        transfer.records += [LogRecord(*fields) for fields in _RECORD.iter_unpack(body)]
        if len(transfer.records) > RECORDS_MAX:
            raise LogProtocolError(f"more than {RECORDS_MAX} records: this is no reference logger's memory")
        transfer.crc32 = zlib.crc32(body, transfer.crc32)
        transfer.frames += 1
        if transfer.frames % (CREDITS // 2):
            return Feed()
        return Feed(reply=Write(LOG_CONTROL, _CREDIT.pack(2, transfer.tag, CREDITS // 2)))

    def _end(self, data: bytes) -> None:
        _, _, outcome, count, crc32, _ = _END.unpack(data)
        transfer = self._transfer
        is_whole = outcome == _COMPLETE and count == len(transfer.records) and crc32 == transfer.crc32
        self._progress = Progress.COMPLETE if is_whole else Progress.BROKEN


def _is_sound(data: bytes) -> bool:
    """Whether a frame's length and CRC-16 are right."""
    if len(data) < _FRAME_HEAD_BYTES + _CRC_BYTES:
        return False
    if binascii.crc_hqx(data[:-_CRC_BYTES], 0xFFFF) != int.from_bytes(data[-_CRC_BYTES:], "little"):
        return False
    if data[0] == _ENDED:
        return len(data) == _END.size
    return data[0] == _RECORDS and len(data) == _FRAME_HEAD_BYTES + _CRC_BYTES + data[2] * _RECORD.size > _RECORD.size


def _read_state(value: bytes, asked: Moment) -> State:
    if len(value) != _STATE.size or value[0] != _VERSION:
        raise LogProtocolError(f"{len(value)} bytes that are no Log State of version {_VERSION}")
    _, boot, oldest_boot, oldest_number, _, newest_number, stored, _, interval_ms, clock_s = _STATE.unpack(value)
    return State(boot, oldest_boot, oldest_number, newest_number, stored, interval_ms, clock_s, asked)
