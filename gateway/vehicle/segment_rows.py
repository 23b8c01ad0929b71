"""The rows under the outbox: epochs and segments in SQLite. What they mean is the outbox's business."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from gateway.vehicle.database import epoch_seal

BATCH = 200
"""Segments read at once: some 300 KB."""


@dataclass(slots=True)
class Epoch:
    """One epoch of the log. A segment's sequence is `first` + its offset: sequences order all epochs' segments.

    count         offsets that were written, whether or not they are still stored
    acknowledged  the hub holds the offsets below
    cut           from this offset on nothing is sent: a corrupt segment closed the epoch there
    unwritten     `acknowledged` has advanced and is not on the disk yet
    """

    first: int
    epoch: bytes
    count: int = 0
    acknowledged: int = 0
    cut: int | None = None
    unwritten: bool = False

    @property
    def waiting(self) -> range:
        """The sequences that are to be sent and that the hub does not hold."""
        end = self.count if self.cut is None else self.cut
        return range(self.first + self.acknowledged, max(self.first + end, self.first + self.acknowledged))

    @property
    def written(self) -> range:
        """The sequences that were ever written."""
        return range(self.first, self.first + self.count)


@dataclass(frozen=True, slots=True)
class Row:
    """A stored segment: verbatim bytes, and the hash noted when it was sealed."""

    sequence: int
    data: bytes
    hash: bytes


class SegmentRows:
    """Reads and writes rows; the caller brackets writes in a transaction."""

    def __init__(self, database: sqlite3.Connection) -> None:
        self._database = database

    def load_epochs(self) -> list[Epoch]:
        """All epochs, oldest first."""
        rows = self._database.execute("SELECT first, epoch, acknowledged, cut FROM epochs ORDER BY first").fetchall()
        (last,) = self._database.execute("SELECT MAX(sequence) FROM segments").fetchone()
        ends = [*(row[0] for row in rows[1:]), 0 if last is None else last + 1]
        return [
            Epoch(first, bytes(epoch), max(end - first, acknowledged), acknowledged, cut)
            for (first, epoch, acknowledged, cut), end in zip(rows, ends, strict=False)
        ]

    def insert_epoch(self, epoch: Epoch) -> None:
        """Add a new epoch."""
        seal = epoch_seal(epoch.first, epoch.epoch, epoch.acknowledged, epoch.cut)
        values = (epoch.first, epoch.epoch, epoch.acknowledged, epoch.cut, seal)
        self._database.execute("INSERT INTO epochs VALUES (?, ?, ?, ?, ?)", values)

    def insert(self, row: Row, sealed_at_ms: int) -> None:
        """Add a segment."""
        self._database.execute(
            "INSERT INTO segments (sequence, sealed_at_ms, hash, data) VALUES (?, ?, ?, ?)",
            (row.sequence, sealed_at_ms, row.hash, row.data),
        )

    def write_epoch(self, epoch: Epoch) -> None:
        """Write an epoch's watermark and cut."""
        seal = epoch_seal(epoch.first, epoch.epoch, epoch.acknowledged, epoch.cut)
        self._database.execute(
            "UPDATE epochs SET acknowledged = ?, cut = ?, seal = ? WHERE first = ?",
            (epoch.acknowledged, epoch.cut, seal, epoch.first),
        )

    def delete_epoch(self, epoch: Epoch) -> None:
        """Forget an epoch that has no segments left."""
        self._database.execute("DELETE FROM epochs WHERE first = ?", (epoch.first,))

    def load(self, sequence: int) -> Row | None:
        """One segment, if it is there."""
        found = self._database.execute("SELECT data, hash FROM segments WHERE sequence = ?", (sequence,)).fetchone()
        return None if found is None else Row(sequence, bytes(found[0]), bytes(found[1]))

    def since(self, sealed_at_ms: int) -> Iterator[Row]:
        """All segments sealed at or after a time, oldest first."""
        after = -1
        while rows := self._database.execute(
            "SELECT sequence, data, hash FROM segments"
            " WHERE sequence > ? AND sealed_at_ms >= ? ORDER BY sequence LIMIT ?",
            (after, sealed_at_ms, BATCH),
        ).fetchall():
            for after, data, stored_hash in rows:
                yield Row(after, bytes(data), bytes(stored_hash))

    def newest_first(self) -> Iterator[Row]:
        """All segments, newest first."""
        before = 1 << 62
        while rows := self._database.execute(
            "SELECT sequence, data, hash FROM segments WHERE sequence < ? ORDER BY sequence DESC LIMIT ?",
            (before, BATCH),
        ).fetchall():
            for before, data, stored_hash in rows:
                yield Row(before, bytes(data), bytes(stored_hash))

    def replace(self, sequence: int, data: bytes) -> None:
        """Store other bytes for a segment: its header without the payload."""
        self._database.execute("UPDATE segments SET data = ? WHERE sequence = ?", (data, sequence))

    def bytes_in(self, sequences: range) -> int:
        """The stored bytes of a range of sequences."""
        if not sequences:
            return 0
        (total,) = self._database.execute(
            "SELECT COALESCE(SUM(LENGTH(data)), 0) FROM segments WHERE sequence BETWEEN ? AND ?",
            (sequences.start, sequences.stop - 1),
        ).fetchone()
        return int(total)

    def oldest(self, sequences: range, *, sealed_before_ms: int, limit: int = BATCH) -> list[int]:
        """The oldest stored ones of a range, at most `limit`, that were sealed before a time."""
        if not sequences:
            return []
        rows = self._database.execute(
            "SELECT sequence FROM segments WHERE sequence BETWEEN ? AND ? AND sealed_at_ms < ?"
            " ORDER BY sequence LIMIT ?",
            (sequences.start, sequences.stop - 1, sealed_before_ms, limit),
        )
        return [sequence for (sequence,) in rows]

    def delete(self, sequences: Iterable[int]) -> None:
        """Delete segments."""
        self._database.executemany("DELETE FROM segments WHERE sequence = ?", [(sequence,) for sequence in sequences])

    def first_stored(self, sequences: range) -> int | None:
        """The first of a range that is stored."""
        if not sequences:
            return None
        (first,) = self._database.execute(
            "SELECT MIN(sequence) FROM segments WHERE sequence BETWEEN ? AND ?", (sequences.start, sequences.stop - 1)
        ).fetchone()
        return None if first is None else int(first)
