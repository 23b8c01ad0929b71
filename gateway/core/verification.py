"""Proof of a log: that segments are complete, in order, unaltered and signed by enrolled keys, or what is wrong.

The same check serves the hub's store and an export that is read offline, with nothing but keys and bytes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from gateway.core.contents import decode_content
from gateway.core.errors import ContentError, SegmentError
from gateway.core.records import Resealed
from gateway.core.segments import NO_HASH, Position, Segment, check_segment, parse_segment

RESEALED_MAX = 1000
"""Places named of what was sealed again; a card that was salvaged more often than that is thrown away."""


class Fault(StrEnum):
    """What can be wrong with a log. Stable, for counting."""

    MISSING = "missing"
    REPEATED = "repeated"
    OUT_OF_ORDER = "out_of_order"
    ALTERED = "altered"
    FOREIGN_KEY = "foreign_key"
    REVOKED_KEY = "revoked_key"
    RETIRED_KEY = "retired_key"
    BROKEN_CHAIN = "broken_chain"
    MISPLACED = "misplaced"
    TAIL_CUT = "tail_cut"
    REWRITTEN = "rewritten"
    UNKNOWN_PARENT = "unknown_parent"
    UNDECODABLE = "undecodable"
    MISINDEXED = "misindexed"
    FORGED = "forged"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong, and where: gateway, epoch and offset as far as they are known."""

    fault: Fault
    reason: str
    gateway: str = ""
    epoch: bytes = b""
    offset: int | None = None

    def __str__(self) -> str:
        place = " ".join(
            part
            for part in (
                self.gateway,
                f"epoch {self.epoch.hex()}" if self.epoch else "",
                "" if self.offset is None else f"offset {self.offset}",
            )
            if part
        )
        return ": ".join(part for part in (self.fault, place, self.reason) if part)


@dataclass(frozen=True, slots=True)
class EnrolledKey:
    """A gateway's key and when it may have signed what the hub received: until it was revoked, or handed over."""

    check: Callable[[bytes, bytes], bool]
    revoked_at_ms: int | None = None
    retired_at_ms: int | None = None


@dataclass(frozen=True, slots=True)
class StoredSegment:
    """A segment as it was kept: where, since when, its bytes."""

    offset: int
    received_at_ms: int
    verbatim: bytes


@dataclass(frozen=True, slots=True)
class Extent:
    """What a part of an epoch claims to be.

    first_offset  where it begins; next_offset where it ends (exclusive)
    previous      hash of the segment before first_offset where that is known, else None
    head          hash of the last one where it is known, else None
    """

    gateway: str
    epoch: bytes
    first_offset: int
    next_offset: int
    previous: bytes | None = None
    head: bytes | None = None


@dataclass(slots=True)
class Tally:
    """What was checked. `resealed` names each place that holds what had been sealed at another, which was lost."""

    segments: int = 0
    readable: int = 0
    dropped_payloads: int = 0
    records: int = 0
    resealed: list[str] = field(default_factory=list)

    def add(self, other: Tally) -> None:
        """Add what another check counted."""
        self.resealed += other.resealed
        self.segments += other.segments
        self.readable += other.readable
        self.dropped_payloads += other.dropped_payloads
        self.records += other.records


def verify_extent(
    extent: Extent,
    stored: Iterable[StoredSegment],
    keys: Sequence[EnrolledKey],
    tally: Tally,
    on_segment: Callable[[Segment], None] | None = None,
) -> Iterator[Finding]:
    """Check the segments of one extent, in the order in which they are kept; yield everything that is wrong.

    `on_segment` is called with each authentic segment that is in its place.
    """
    expected = extent.first_offset
    previous = extent.previous
    seen: set[int] = set()
    for entry in stored:
        tally.segments += 1
        if entry.offset in seen:
            yield _at(extent, entry.offset, Fault.REPEATED, "kept more than once")
            continue
        seen.add(entry.offset)
        if entry.offset < expected:
            yield _at(extent, entry.offset, Fault.OUT_OF_ORDER, f"kept after offset {expected - 1}")
            continue
        if entry.offset > expected:
            yield _at(extent, expected, Fault.MISSING, f"{_segments(entry.offset - expected)} missing here")
            previous = None
        expected = entry.offset + 1
        segment, findings = _verify_one(extent, entry, keys, previous, tally)
        yield from findings
        previous = None if segment is None else segment.hash
        if segment is not None and not findings and on_segment is not None:
            on_segment(segment)
    if expected < extent.next_offset:
        yield _at(extent, expected, Fault.MISSING, f"{_segments(extent.next_offset - expected)} missing at the end")
    elif extent.head is not None and previous is not None and previous != extent.head:
        yield _at(extent, expected - 1, Fault.REWRITTEN, "the last segment is not the one that was stated as head")


def _segments(number: int) -> str:
    return "1 segment is" if number == 1 else f"{number} segments are"


def find_fault_of_head(extent: Extent, hash_at: Callable[[Position], bytes | None]) -> Finding | None:
    """Compare a head that left the hub earlier with what is kept now."""
    if extent.next_offset == 0:
        return None
    place = Position(extent.epoch, extent.next_offset - 1)
    found = hash_at(place)
    if found is None:
        return _at(extent, place.offset, Fault.TAIL_CUT, "stated earlier as held, and not here now")
    if found != extent.head:
        return _at(extent, place.offset, Fault.REWRITTEN, "stated earlier with another hash")
    return None


def _verify_one(
    extent: Extent, entry: StoredSegment, keys: Sequence[EnrolledKey], previous: bytes | None, tally: Tally
) -> tuple[Segment | None, list[Finding]]:
    try:
        segment = parse_segment(extent.gateway, entry.verbatim)
    except SegmentError as error:
        return None, [_at(extent, entry.offset, Fault.ALTERED, error.reason)]
    findings = [
        *_verify_key(extent, entry, segment, keys),
        *_verify_place(extent, entry, segment, previous),
        *_verify_content(extent, entry, segment, tally),
    ]
    return segment, findings


def _verify_key(
    extent: Extent, entry: StoredSegment, segment: Segment, keys: Sequence[EnrolledKey]
) -> Iterator[Finding]:
    for key in keys:
        try:
            check_segment(segment, key.check)
        except SegmentError:
            continue
        if key.revoked_at_ms is not None and entry.received_at_ms >= key.revoked_at_ms:
            yield _at(extent, entry.offset, Fault.REVOKED_KEY, "received after its key was revoked")
        elif key.retired_at_ms is not None and entry.received_at_ms >= key.retired_at_ms:
            yield _at(extent, entry.offset, Fault.RETIRED_KEY, "received after its key had handed over to another")
        return
    fault = Fault.ALTERED if keys else Fault.FOREIGN_KEY
    reason = "altered, or signed by a key that is not enrolled" if keys else "no key is enrolled for this gateway"
    yield _at(extent, entry.offset, fault, reason)


def _verify_place(extent: Extent, entry: StoredSegment, segment: Segment, previous: bytes | None) -> Iterator[Finding]:
    header = segment.header
    if (header.epoch, header.offset) != (extent.epoch, entry.offset):
        says = f"it says epoch {header.epoch.hex()} offset {header.offset}"
        yield _at(extent, entry.offset, Fault.MISPLACED, says)
    if header.offset == 0 and header.parent is None and header.previous != NO_HASH:
        yield _at(extent, 0, Fault.BROKEN_CHAIN, "begins from nothing but names a segment before it")
    if previous is not None and header.previous != previous:
        yield _at(extent, entry.offset, Fault.BROKEN_CHAIN, "does not name the hash of the segment before it")


def _verify_content(extent: Extent, entry: StoredSegment, segment: Segment, tally: Tally) -> Iterator[Finding]:
    if segment.body is None:
        tally.dropped_payloads += 1
        return
    try:
        content = decode_content(segment.body)
    except ContentError as error:
        yield _at(extent, entry.offset, Fault.UNDECODABLE, error.reason)
        return
    tally.readable += 1
    tally.records += len(content)
    for record in content.records:
        if isinstance(record, Resealed) and len(tally.resealed) < RESEALED_MAX:
            origin = f"epoch {record.epoch.hex()} offset {record.offset}"
            here = f"{extent.gateway} epoch {extent.epoch.hex()} offset {entry.offset}"
            tally.resealed.append(f"{here}: re-sealed from {origin}")


def _at(extent: Extent, offset: int, fault: Fault, reason: str) -> Finding:
    return Finding(fault, reason, extent.gateway, extent.epoch, offset)
