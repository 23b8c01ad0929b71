"""Salvage: what is readable of a damaged outbox file, taken from its pages without SQLite's help.

A damaged file may have lost its header, its index pages or its write-ahead log; the segments lie in leaf pages, each
of which stands for itself. Every page of the file and of the log is looked at, whether or not anything still leads to
it; that a segment is authentic is not decided here but by its signature. Source: sqlite.org/fileformat2.html.
"""

from __future__ import annotations

import struct
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from gateway.core.errors import SegmentError
from gateway.core.segments import HASH_BYTES, SEGMENT_BYTES_MAX, Position, parse_segment

PAGE_BYTES = 4096
"""SQLite's default since 3.12, and what the outbox is written with."""
_WAL_HEADER_BYTES, _FRAME_HEADER_BYTES = 32, 24
_LEAF = 0x0D
_LEAF_HEADER_BYTES = 8
_INTEGER_BYTES = {0: 0, 1: 1, 2: 2, 3: 3, 4: 4, 5: 6, 6: 8, 8: 0, 9: 0}
_BLOB = 12
_COLUMNS = 4
"""Of a row of segments: its number (which stands elsewhere), sealed_at_ms, hash, data."""
_CELL_BYTES_MAX = SEGMENT_BYTES_MAX + 128


@dataclass(frozen=True, slots=True)
class Carved:
    """A row of segments as found. The same segment may be found several times, also in altered form."""

    sequence: int
    sealed_at_ms: int
    hash: bytes
    data: bytes
    position: Position


@dataclass(slots=True)
class Haul:
    """What was found, without the data: where each epoch began, and how far it reaches.

    firsts   epoch → the sequence of its offset 0, as most of its rows say
    lasts    epoch → the greatest offset found
    """

    firsts: dict[bytes, int] = field(default_factory=dict)
    lasts: dict[bytes, int] = field(default_factory=dict)


def carve(path: Path) -> Iterator[Carved]:
    """Yield every row of segments in the file and in its write-ahead log."""
    for pages in (_Pages(path, 0, 0), _Pages(Path(f"{path}-wal"), _WAL_HEADER_BYTES, _FRAME_HEADER_BYTES)):
        for number in range(pages.count):
            for sequence, payload in _cells(pages.read(number), pages):
                row = _read_row(sequence, payload)
                if row is not None:
                    yield row


def survey(path: Path, is_intact: Callable[[bytes], bool]) -> Haul:
    """Look through everything once, for the order of the epochs."""
    votes: dict[bytes, Counter[int]] = {}
    haul = Haul()
    for row in carve(path):
        if is_intact(row.data):
            epoch, offset = row.position.epoch, row.position.offset
            votes.setdefault(epoch, Counter())[row.sequence - offset] += 1
            haul.lasts[epoch] = max(haul.lasts.get(epoch, 0), offset)
    end = 0
    for first, epoch in sorted((counter.most_common(1)[0][0], epoch) for epoch, counter in votes.items()):
        haul.firsts[epoch] = max(first, end)  # epochs follow each other, whatever a row may say
        end = haul.firsts[epoch] + haul.lasts[epoch] + 1
    return haul


def count_unreached_commits(log: Path) -> int:
    """How many commits of a write-ahead log SQLite does not reach, because a frame before them is damaged.

    A frame that is torn by a power cut belongs to the last commit, which was never promised and has no end.
    """
    if not log.exists() or log.stat().st_size < _WAL_HEADER_BYTES:
        return 0
    with log.open("rb") as file:
        header = file.read(_WAL_HEADER_BYTES)
        salts = header[16:24]
        words = struct.Struct((">" if header[3] & 1 else "<") + "II")
        expected = _checksum(words, header[:24], (0, 0))
        is_reached = expected == struct.unpack_from(">II", header, 24)
        unreached = 0
        while len(frame := file.read(_FRAME_HEADER_BYTES + PAGE_BYTES)) == _FRAME_HEADER_BYTES + PAGE_BYTES:
            if frame[8:16] != salts:  # of an earlier turn of the log, or damaged
                is_reached = False
                continue
            if is_reached:
                expected = _checksum(words, frame[:8] + frame[_FRAME_HEADER_BYTES:], expected)
                is_reached = expected == struct.unpack_from(">II", frame, 16)
            if not is_reached and frame[4:8] != bytes(4):
                unreached += 1
        return unreached


def _checksum(words: struct.Struct, data: bytes, before: tuple[int, int]) -> tuple[int, int]:
    first, second = before
    for one, other in words.iter_unpack(data):
        first = (first + one + second) & 0xFFFFFFFF
        second = (second + other + first) & 0xFFFFFFFF
    return first, second


class _Pages:
    """The pages of a file, each behind a header of some bytes. A file that is not there has none."""

    def __init__(self, path: Path, skipped: int, header: int) -> None:
        self._path = path
        self._skipped = skipped
        self._header = header
        size = path.stat().st_size if path.exists() else 0
        self.count = max(0, -(-(size - skipped) // (PAGE_BYTES + header)))

    def read(self, number: int) -> bytes:
        """One page, its number counted from 0; short or empty beyond the end."""
        with self._path.open("rb") as file:
            file.seek(self._skipped + number * (PAGE_BYTES + self._header) + self._header)
            return file.read(PAGE_BYTES)

    def follow(self, number: int, wanted: int) -> bytes:
        """The content of a chain of overflow pages; in a write-ahead log chains lead elsewhere and are not followed."""
        content = b""
        while self._header == 0 and 0 < number <= self.count and len(content) < wanted:
            page = self.read(number - 1)
            if len(page) < PAGE_BYTES:
                break
            (number,) = struct.unpack_from(">I", page)
            content += page[4:]
        return content[:wanted]


def _cells(page: bytes, pages: _Pages) -> Iterator[tuple[int, bytes]]:
    """(rowid, payload) of a table's leaf page; nothing of any other page."""
    if len(page) < PAGE_BYTES or page[0] != _LEAF:
        return
    (count,) = struct.unpack_from(">H", page, 3)
    for place in range(min(count, (PAGE_BYTES - _LEAF_HEADER_BYTES) // 2)):
        (start,) = struct.unpack_from(">H", page, _LEAF_HEADER_BYTES + 2 * place)
        if not _LEAF_HEADER_BYTES <= start < PAGE_BYTES:
            continue
        size, start = _varint(page, start)
        rowid, start = _varint(page, start)
        if not 0 < size <= _CELL_BYTES_MAX:
            continue
        local = _local_bytes(size)
        payload = page[start : start + local]
        if local < size and start + local + 4 <= PAGE_BYTES:
            (overflow,) = struct.unpack_from(">I", page, start + local)
            payload += pages.follow(overflow, size - local)
        if len(payload) == size:
            yield rowid, payload


def _local_bytes(size: int) -> int:
    """How much of a payload stands in its own page."""
    most = PAGE_BYTES - 35
    if size <= most:
        return size
    least = (PAGE_BYTES - 12) * 32 // 255 - 23
    surplus = least + (size - least) % (PAGE_BYTES - 4)
    return surplus if surplus <= most else least


def _read_row(sequence: int, payload: bytes) -> Carved | None:
    header, start = _varint(payload, 0)
    kinds: list[int] = []
    while start < min(header, len(payload)):
        kind, start = _varint(payload, start)
        kinds.append(kind)
    if (
        len(kinds) != _COLUMNS
        or kinds[0] != 0
        or kinds[2] != _BLOB + 2 * HASH_BYTES
        or kinds[3] % 2
        or kinds[3] < _BLOB
    ):
        return None
    width = _INTEGER_BYTES.get(kinds[1])
    if width is None:
        return None
    sealed_at_ms = int.from_bytes(payload[header : header + width], signed=True)
    digest = payload[header + width : header + width + HASH_BYTES]
    data = payload[header + width + HASH_BYTES :]
    if len(data) != (kinds[3] - _BLOB) // 2:
        return None
    try:
        position = parse_segment("", data).header.position
    except SegmentError:
        return None
    return Carved(sequence, max(0, sealed_at_ms), digest, data, position)


def _varint(data: bytes, start: int) -> tuple[int, int]:
    """A variable-length integer and where it ends."""
    value = 0
    for place in range(start, min(start + 8, len(data))):
        value = value << 7 | data[place] & 0x7F
        if data[place] < 0x80:  # noqa: PLR2004  the bit that says that more follows
            return value, place + 1
    if start + 8 < len(data):
        return value << 8 | data[start + 8], start + 9
    return -1, len(data)
