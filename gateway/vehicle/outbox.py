"""The outbox: the gateway's append-only log of sealed segments, in SQLite.

Each start opens a new epoch whose first segment names the last one found on disk. Segments are stored verbatim, sent
oldest first, checked again before they are sent, and kept for a while after the hub holds them. A segment costs one
durable write; acknowledgements are written along with the next segment, since losing one only means sending again.
"""

from __future__ import annotations

import json
import logging
import os
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass

from gateway.core.contents import RECORDS_MAX, Content, decode_content, encode_content
from gateway.core.errors import SegmentError
from gateway.core.messages import EPOCHS_PER_ACK, Ack, EpochAck
from gateway.core.records import AnyRecord, DeviceFault, Resealed
from gateway.core.segments import (
    EPOCH_BYTES,
    NO_HASH,
    Position,
    Segment,
    SegmentHeader,
    check_segment,
    parse_segment,
    seal_segment,
)
from gateway.core.succession import CHANGES_MAX
from gateway.keys import SigningKey, VerifyKey, check_any
from gateway.vehicle.ballast import Ballast
from gateway.vehicle.database import DAMAGE, is_disk_full, transaction
from gateway.vehicle.identity import Identity
from gateway.vehicle.memos import write_missing
from gateway.vehicle.moments import Moment
from gateway.vehicle.recorder import Stretch
from gateway.vehicle.segment_rows import BATCH, Epoch, Row, SegmentRows

log = logging.getLogger(__name__)

_GENERATION = "hub_generation"
_ALWAYS_MS = 1 << 62
RECORDS_ADDED_MAX = CHANGES_MAX + 1
"""Records that the outbox itself adds to a segment: changes of its key, and where it was sealed first."""
RESEALED_AT_ONCE = 2000
"""Segments sealed again in one transaction: 17 h of sealing, 3 MB."""
ROOM_BYTES = 16 * 1024
"""What is given up at once when the card is full: minutes of sealing, so that not every segment has to make room."""
EPOCHS_KEPT = 1024
"""Epochs remembered after their segments have gone: three years of a start a day; 50 KiB."""


@dataclass(frozen=True, slots=True)
class Sealed:
    """A segment that is durable. `sequence` orders all segments of this outbox, across epochs."""

    sequence: int
    position: Position
    sealed_at_ms: int
    config_version: int
    content: Content
    boot: bytes = b""


@dataclass(frozen=True, slots=True)
class Depth:
    """What the hub does not hold yet, and what is stored in all."""

    segments: int
    bytes: int
    stored_bytes: int


class Outbox:
    """The log on one database. Used from one thread; every method is a short, complete operation.

    boot       eight bytes that name this boot of the machine
    key        who signs; each epoch begins with the changes that led to it, so that a hub that knows one follows
    max_bytes  stored segments in all: beyond it acknowledged ones go first, then the oldest payloads
    ballast    what is given up when the card is full before that, so that there is room to do the same
    """

    def __init__(
        self,
        database: sqlite3.Connection,
        gateway: str,
        key: SigningKey | Identity,
        *,
        boot: bytes,
        max_bytes: int = 2 << 30,
        ballast: Ballast | None = None,
        random_bytes: Callable[[int], bytes] = os.urandom,
    ) -> None:
        self.sealed_segments = 0
        """Sealed since the start."""
        self.corrupt_segments = 0
        """Stored segments that no longer were what had been sealed."""
        self.mismatched_acks = 0
        """Acknowledgements of a log that is not ours: a fork, a copied card, or a hub that mixes gateways up."""
        self.dropped_payloads = 0
        """Payloads given up because the card is full."""
        self.disk_full = 0
        """Times that the card had no room although `max_bytes` were not used up."""
        self._database = database
        self._rows = SegmentRows(database)
        self._gateway = gateway
        who = key if isinstance(key, Identity) else Identity(key)
        self._key = who.key
        self._check = check_any(VerifyKey(public) for public in (who.key.public_bytes, *who.former))
        self._changes = who.changes
        self._boot = boot
        self._max_bytes = max_bytes
        self._ballast = ballast
        self._random_bytes = random_bytes
        self._headers_below = 0  # of the waiting segments below this sequence only headers are left
        self._load()
        if ballast is not None:
            ballast.take()

    def _load(self) -> None:
        """Take everything from the disk; the next segment begins an epoch."""
        self._epochs = self._rows.load_epochs()
        self._next = self._epochs[-1].written.stop if self._epochs else 0
        self.generation = self._load_generation()
        self._stored_bytes = self._rows.bytes_in(range(self._next))
        self._waiting_bytes = sum(self._rows.bytes_in(epoch.waiting) for epoch in self._epochs)
        self._head, self._parent = self._find_head()
        self._current: Epoch | None = None

    # --- sealing

    def seal(
        self,
        content: Content,
        *,
        sealed_at_ms: int,
        config_version: int,
        resolved: Iterable[Stretch] = (),
        missing: Iterable[Stretch] = (),
    ) -> Sealed:
        """Make `content` durable as the next segment.

        In the same transaction the `resolved` stretches are forgotten and the `missing` ones remembered. Raises
        sqlite3.Error if the disk refuses; then nothing has changed. A full disk refuses only when there is nothing
        left to give up.
        """
        epoch, segment = self._make_segment(content, sealed_at_ms, config_version)
        self._make_room(len(segment.to_bytes()), self._max_bytes)
        resolved, missing = tuple(resolved), tuple(missing)
        try:
            self._write(epoch, segment, resolved, missing)
        except sqlite3.Error as error:
            if not is_disk_full(error):
                raise
            self._make_room_on_disk()
            self._write(epoch, segment, resolved, missing)
        self._advance(epoch, segment)
        return Sealed(self._next - 1, segment.header.position, sealed_at_ms, config_version, content, self._boot)

    def _write(self, epoch: Epoch, segment: Segment, resolved: Sequence[Stretch], missing: Sequence[Stretch]) -> None:
        with transaction(self._database):
            self._insert(epoch, segment)
            write_missing(self._database, resolved=resolved, missing=missing)
            self._write_unwritten()

    def _make_segment(
        self, content: Content, sealed_at_ms: int, config_version: int, boot: bytes | None = None
    ) -> tuple[Epoch, Segment]:
        epoch = self._current or Epoch(self._next, self._random_bytes(EPOCH_BYTES))
        header = SegmentHeader(
            epoch=epoch.epoch,
            offset=epoch.count,
            sealed_at_ms=sealed_at_ms,
            boot=boot or self._boot,
            config_version=config_version,
            previous=self._head,
            parent=self._parent if epoch.count == 0 else None,
        )
        if epoch.count == 0 and self._changes:
            content = _with_records(content, self._changes)
        return epoch, seal_segment(self._gateway, header, encode_content(content), self._key.sign)

    def _insert(self, epoch: Epoch, segment: Segment) -> None:
        if epoch.count == 0:
            self._rows.insert_epoch(epoch)
        self._rows.insert(Row(self._next, segment.to_bytes(), segment.hash), segment.header.sealed_at_ms)

    def _advance(self, epoch: Epoch, segment: Segment) -> None:
        """The segment is on the disk: only now does memory follow."""
        size = len(segment.to_bytes())
        if self._current is None:
            self._current = epoch
            self._epochs.append(epoch)
        epoch.count += 1
        self._next += 1
        self._stored_bytes += size
        self._waiting_bytes += size
        self._head, self._parent = segment.hash, segment.header.position
        self.sealed_segments += 1
        for written in self._epochs:
            written.unwritten = False

    # --- sending

    def pending(self, window_bytes: int, after: int, now: Moment) -> tuple[Row, ...]:
        """Return what to send next, oldest first: segments beyond sequence `after`.

        What was sent before and is not acknowledged counts against the window, which always has room for one segment.
        Each is checked again; from a corrupt one on, its epoch is closed and the rest is sealed again in a new one.
        """
        self._tell_damage(now)
        taken: list[Row] = []
        used = sum(
            self._rows.bytes_in(range(epoch.waiting.start, min(epoch.waiting.stop, after + 1)))
            for epoch in self._epochs
        )
        for epoch in tuple(self._epochs):
            for sequence in range(max(epoch.waiting.start, after + 1), epoch.waiting.stop):
                if used >= window_bytes:
                    return tuple(taken)
                row = self._load_intact(epoch, sequence)
                if row is None:
                    self._close_epoch(epoch, sequence - epoch.first, now)
                    break
                taken.append(row)
                used += len(row.data)
        return tuple(taken)

    def reseal_waiting(self, now: Moment) -> int:
        """Seal again what waits, with the key of now; returns how many segments.

        For a key that was revoked, or lost: the hub takes nothing more that was signed with it.
        """
        count = 0
        for epoch in tuple(self._epochs):
            if epoch.waiting:
                lost = self._cut(epoch, epoch.acknowledged)
                count += len(lost)
                self._move(lost, "key_replaced", {"offset": epoch.acknowledged, "segments": len(lost)}, now)
        return count

    def depth(self) -> Depth:
        """How much waits for the hub."""
        return Depth(sum(len(epoch.waiting) for epoch in self._epochs), self._waiting_bytes, self._stored_bytes)

    def is_acknowledged(self, sequence: int) -> bool:
        """Whether the hub holds the segment."""
        return sequence < self._next and not any(sequence in epoch.waiting for epoch in self._epochs)

    def acknowledge(self, ack: Ack) -> bool:
        """Take over what the hub says it holds; returns whether anything advanced, or went back.

        Within a generation the watermark only rises; a new generation (a restored hub) may lower it. A head that is
        not the hash of our segment is counted and changes nothing.
        """
        if ack.gateway != self._gateway or ack.generation < self.generation:
            return False
        if ack.generation == self.generation:
            return self._raise_watermarks(ack)
        before = [epoch.acknowledged for epoch in self._epochs]
        try:
            self._lower_watermarks(ack)
            self._raise_watermarks(ack)
            self._write_generation(ack.generation)
        except sqlite3.Error:
            self._load()
            raise
        return before != [epoch.acknowledged for epoch in self._epochs]

    def _raise_watermarks(self, ack: Ack) -> bool:
        changed = False
        by_epoch = {epoch.epoch: epoch for epoch in self._epochs}
        for named in ack.epochs:
            epoch = by_epoch.get(named.epoch)
            if epoch is not None and named.next_offset > epoch.acknowledged and self._agrees(epoch, named):
                before = epoch.waiting
                epoch.acknowledged = min(named.next_offset, epoch.count)
                # Only what is new is counted: a year's backlog is not read again for each acknowledgement.
                passed = range(before.start, min(epoch.waiting.start, before.stop))
                self._waiting_bytes -= self._rows.bytes_in(passed)
                epoch.unwritten = changed = True
        return changed

    def _lower_watermarks(self, ack: Ack) -> None:
        """The hub was restored: what it does not name, it does not hold, and is sent again.

        Where that includes what was trimmed, the epoch is closed before it (see `pending`). An ack that is full names
        the newest epochs only: what is older than the newest named one is taken as held.
        """
        named = {each.epoch for each in ack.epochs}
        newest = max((place for place, epoch in enumerate(self._epochs) if epoch.epoch in named), default=-1)
        for place, epoch in enumerate(self._epochs):
            if epoch.epoch in named or place > newest or len(ack.epochs) < EPOCHS_PER_ACK:
                epoch.acknowledged = 0
        self._waiting_bytes = sum(self._rows.bytes_in(epoch.waiting) for epoch in self._epochs)

    def _write_generation(self, generation: int) -> None:
        with transaction(self._database) as database:
            database.execute("INSERT OR REPLACE INTO facts VALUES (?, ?)", (_GENERATION, str(generation).encode()))
            for epoch in self._epochs:
                self._rows.write_epoch(epoch)
        self.generation = generation

    # --- reading back

    def contents(self, since_ms: int) -> Iterator[Sealed]:
        """Yield what was sealed since `since_ms` and is still stored and readable, oldest first."""
        return self._decode(self._rows.since(since_ms))

    def newest_contents(self) -> Iterator[Sealed]:
        """Yield what is stored and readable, newest first."""
        return self._decode(self._rows.newest_first())

    # --- keeping the card tidy

    def trim(self, before_ms: int) -> int:
        """Delete acknowledged segments sealed before `before_ms`; returns how many. Takes the ballast up again.

        Of the newest epochs the names stay, or nobody could tell that a restored hub lacks one of them.
        """
        deleted = 0
        for epoch in tuple(self._epochs):
            while number := self._delete_acknowledged(epoch, before_ms):
                deleted += number
        while len(self._epochs) > EPOCHS_KEPT and self._is_spent(self._epochs[0]):
            with transaction(self._database):
                self._rows.delete_epoch(self._epochs[0])
            del self._epochs[0]
        if self._ballast is not None:
            self._ballast.take()
        return deleted

    def write_watermarks(self) -> None:
        """Put advanced watermarks on the disk: a clean end."""
        with transaction(self._database):
            self._write_unwritten()
        for epoch in self._epochs:
            epoch.unwritten = False

    # --- inside

    def _load_generation(self) -> int:
        row = self._database.execute("SELECT value FROM facts WHERE name = ?", (_GENERATION,)).fetchone()
        value = b"0" if row is None else bytes(row[0])
        return int(value) if value.isdigit() else 0  # damaged: the next ack begins its generation again

    def _find_head(self) -> tuple[bytes, Position | None]:
        """The hash and place of the last segment on disk that is intact and reaches the hub."""
        cut_off = [range(e.first + e.cut, e.written.stop) for e in self._epochs if e.cut is not None]
        for row in self._rows.newest_first():
            if any(row.sequence in sequences for sequences in cut_off):
                continue
            try:
                segment = parse_segment(self._gateway, row.data)
                check_segment(segment, self._check)
            except SegmentError as error:
                log.warning("segment %d, among the last on disk, is corrupt: %s", row.sequence, error)
                continue
            return segment.hash, segment.header.position
        return NO_HASH, None

    def _decode(self, rows: Iterable[Row]) -> Iterator[Sealed]:
        for row in rows:
            try:
                segment = parse_segment(self._gateway, row.data)
                check_segment(segment, self._check)  # packed numbers decode also where a bit has flipped
                content = None if segment.body is None else decode_content(segment.body)
            except SegmentError as error:
                log.warning("segment %d on disk cannot be read back: %s", row.sequence, error)
                continue
            if content is not None:
                header = segment.header
                yield Sealed(
                    row.sequence, header.position, header.sealed_at_ms, header.config_version, content, header.boot
                )

    def _load_intact(self, epoch: Epoch, sequence: int) -> Row | None:
        """The segment, or None if it is not what was sealed there."""
        row = self._rows.load(sequence)
        if row is None:
            return None
        try:
            segment = parse_segment(self._gateway, row.data)
            check_segment(segment, self._check)
        except SegmentError as error:
            log.warning("stored segment %d is corrupt: %s", sequence, error)
            return None
        is_at_home = segment.header.position == Position(epoch.epoch, sequence - epoch.first)
        return row if is_at_home else None

    def _tell_damage(self, now: Moment) -> None:
        """Put on the record what was found when the database was opened, and begin an epoch with it."""
        row = self._database.execute("SELECT value FROM facts WHERE name = ?", (DAMAGE,)).fetchone()
        if row is None:
            return
        fault = DeviceFault(now.at_ms, now.trusted, logger="", code="outbox_damaged", detail=json.loads(row[0]))
        epoch, segment = self._make_segment(Content(records=(fault,)), now.at_ms, 0)
        with transaction(self._database) as database:
            self._insert(epoch, segment)
            database.execute("DELETE FROM facts WHERE name = ?", (DAMAGE,))
        self._advance(epoch, segment)

    def _close_epoch(self, epoch: Epoch, offset: int, now: Moment) -> None:
        """Close an epoch before a corrupt segment, and what descends from there; seal what is intact of it again.

        The hub would wait for ever for the segment that is lost, so nothing may name it, or one behind it, as parent.
        """
        is_stored = self._rows.load(epoch.first + offset) is not None
        lost = self._cut(epoch, offset)
        salvaged = sum(self._read_intact(closed, sequence) is not None for closed, sequence in lost)
        detail = {"offset": offset, "salvaged": salvaged, "unreadable": len(lost) - salvaged}
        log.error("epoch %s ends at offset %d: %s", epoch.epoch.hex(), offset, detail)
        self.corrupt_segments += is_stored
        self._move(lost, "outbox_corrupt" if is_stored else "outbox_gap", detail, now)

    def _move(self, lost: Sequence[tuple[Epoch, int]], code: str, detail: dict[str, int], now: Moment) -> None:
        """Seal again what was cut off, behind a record that says why."""
        fault = DeviceFault(now.at_ms, now.trusted, logger="", code=code, detail=detail)
        if self._current is None or self._current.cut is not None:
            self._current = None  # the next segment begins a new epoch
            self._head, self._parent = self._find_head()
        try:
            self._reseal(fault, lost)
        except BaseException:
            self._load()
            raise
        self._waiting_bytes = sum(self._rows.bytes_in(kept.waiting) for kept in self._epochs)

    def _reseal(self, fault: DeviceFault, lost: Sequence[tuple[Epoch, int]]) -> None:
        """Move what is intact to the end of the log, behind the record of the fault.

        Ordinarily one transaction. Of a very long backlog what has moved stays moved if the power fails in between.
        """
        for start in range(0, len(lost), RESEALED_AT_ONCE):
            with transaction(self._database):
                if start == 0:
                    self._append(Content(records=(fault,)), fault.at_ms, 0)
                for closed, sequence in lost[start : start + RESEALED_AT_ONCE]:
                    sealed = self._read_intact(closed, sequence)
                    if sealed is not None:
                        content = _with_origin(sealed, fault.clock_trusted)
                        self._append(content, fault.at_ms, sealed.config_version, sealed.boot)
                        self._stored_bytes -= self._rows.bytes_in(range(sequence, sequence + 1))
                        self._rows.delete([sequence])
                if start + RESEALED_AT_ONCE >= len(lost):
                    for each in self._epochs:
                        self._rows.write_epoch(each)

    def _append(self, content: Content, sealed_at_ms: int, config_version: int, boot: bytes | None = None) -> None:
        """Add a segment within a transaction; if that fails, memory must be loaded again.

        `boot` names the boot that the content's monotonic times belong to, if it is not this one.
        """
        epoch, segment = self._make_segment(content, sealed_at_ms, config_version, boot)
        self._insert(epoch, segment)
        self._advance(epoch, segment)

    def _read_intact(self, epoch: Epoch, sequence: int) -> Sealed | None:
        row = self._load_intact(epoch, sequence)
        return None if row is None else next(self._decode([row]), None)

    def _cut(self, epoch: Epoch, offset: int) -> list[tuple[Epoch, int]]:
        """Cut an epoch, and each later one whose parent is cut off; return what is lost to the hub thereby."""
        lost = []
        cut_off: set[Position] = set()
        for each in self._epochs:
            if each is not epoch and self._parent_of(each) not in cut_off:
                continue
            at = offset if each is epoch else each.acknowledged
            lost += [(each, sequence) for sequence in range(each.first + at, each.waiting.stop)]
            each.cut = at
            cut_off |= {Position(each.epoch, place) for place in range(at, each.count)}
        return lost

    def _parent_of(self, epoch: Epoch) -> Position | None:
        row = self._load_intact(epoch, epoch.first)
        return None if row is None else parse_segment(self._gateway, row.data).header.parent

    def _agrees(self, epoch: Epoch, named: EpochAck) -> bool:
        """Whether the hub's head is our segment at that place.

        A hub that holds more than this disk (the disk was restored from an older copy) names a head we do not have.
        An epoch is written by one run only, so what it holds at our offsets is what we have: nothing is sent again.
        """
        where = f"offset {named.next_offset - 1} of epoch {epoch.epoch.hex()}"
        if named.next_offset > epoch.count:
            self.mismatched_acks += 1
            log.error("the hub holds %s, this disk ends at %d: is it an older copy?", where, epoch.count - 1)
            return epoch is not self._current
        row = self._load_intact(epoch, epoch.first + named.next_offset - 1)
        # What is gone from here was acknowledged before, or is lost.
        if row is None or parse_segment(self._gateway, row.data).hash == named.head:
            return True
        self.mismatched_acks += 1
        log.error("the hub names another hash than ours at %s", where)
        return False

    def _write_unwritten(self) -> None:
        for epoch in self._epochs:
            if epoch.unwritten:
                self._rows.write_epoch(epoch)

    # --- inside: room

    def _make_room_on_disk(self) -> None:
        """The card is full: give up what would go first at `max_bytes`, for the segments of the next minutes."""
        self.disk_full += 1
        if self._ballast is None or not self._ballast.give_up():
            log.error("the card is full, and there is no ballast to give up")
        else:
            log.error("the card is full: acknowledged segments go, then the oldest payloads")
        with suppress(sqlite3.Error):  # what it cannot do yet it does below
            self._settle_log()
        self._make_room(ROOM_BYTES, self._stored_bytes)
        self._settle_log()
        if self._ballast is not None:
            self._ballast.take()

    def _settle_log(self) -> None:
        """Bring the write-ahead log's pages into the file, and give its room back."""
        self._database.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()

    def _make_room(self, wanted: int, limit: int) -> None:
        """Acknowledged segments go, oldest first; if that is not enough, the oldest payloads, headers staying."""
        for epoch in self._epochs:
            while self._stored_bytes + wanted > limit and self._delete_acknowledged(epoch, _ALWAYS_MS):
                pass
        before = self.dropped_payloads
        self._drop_payloads(wanted, limit)
        dropped = self.dropped_payloads - before
        if dropped:
            log.error("the outbox is full: the %d oldest payloads were dropped, their signed headers stay", dropped)

    def _drop_payloads(self, wanted: int, limit: int) -> None:
        for epoch in self._epochs:
            for sequence in range(max(epoch.waiting.start, self._headers_below), epoch.waiting.stop):
                if self._stored_bytes + wanted <= limit:
                    return
                if sequence == epoch.first and self._changes:
                    continue  # without it a hub cannot know the key
                self._drop_payload(epoch, sequence)
                self._headers_below = sequence + 1

    def _delete_acknowledged(self, epoch: Epoch, before_ms: int) -> int:
        """Delete at most BATCH acknowledged segments; the newest of all stays, it is the next epoch's parent."""
        held = range(epoch.first, min(epoch.waiting.start, self._next - 1))
        sequences = self._rows.oldest(held, sealed_before_ms=before_ms, limit=BATCH)
        if not sequences:
            return 0
        touched = range(sequences[0], sequences[-1] + 1)
        freed = self._rows.bytes_in(touched)
        with transaction(self._database):
            self._write_unwritten()  # or a restart would take what is gone for waiting
            self._rows.delete(sequences)
            freed -= self._rows.bytes_in(touched)
        self._stored_bytes -= freed
        return len(sequences)

    def _drop_payload(self, epoch: Epoch, sequence: int) -> None:
        row = self._load_intact(epoch, sequence)
        segment = None if row is None else parse_segment(self._gateway, row.data)
        if row is None or segment is None or segment.body is None:
            return
        header = segment.without_body().to_bytes()
        with transaction(self._database):
            self._rows.replace(sequence, header)
        freed = len(row.data) - len(header)
        self._stored_bytes -= freed
        self._waiting_bytes -= freed
        self.dropped_payloads += 1

    def _is_spent(self, epoch: Epoch) -> bool:
        return not epoch.waiting and self._rows.first_stored(epoch.written) is None


def _with_records(content: Content, records: Sequence[AnyRecord]) -> Content:
    """Add records, as far as there is room; the sealer leaves RECORDS_ADDED_MAX free."""
    room = RECORDS_MAX - len(content)
    return Content(content.observations, (*records[:room], *content.records))


def _with_origin(sealed: Sealed, clock_trusted: bool) -> Content:  # noqa: FBT001  a fact, not an option
    """Say where it was sealed first."""
    if any(isinstance(record, Resealed) for record in sealed.content.records):
        return sealed.content
    origin = Resealed(sealed.sealed_at_ms, clock_trusted, sealed.position.epoch, sealed.position.offset)
    return _with_records(sealed.content, [origin])
