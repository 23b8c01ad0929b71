"""Verification of the hub's own store: every segment, chain, parent, index entry, earlier head and act on record."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial

from sqlalchemy import Connection, Row, select

from gateway.core.attestations import Heads
from gateway.core.configuration import Consignment
from gateway.core.contents import decode_content
from gateway.core.exposure import exposure_of
from gateway.core.segments import NO_HASH, Check, Position, Segment
from gateway.core.verification import (
    EnrolledKey,
    Extent,
    Fault,
    Finding,
    StoredSegment,
    Tally,
    find_fault_of_head,
    verify_extent,
)
from gateway.hub.audit.acts import Act, hash_entry
from gateway.hub.database.schema import assignments, audit, consignments, epochs, gateway_keys, logger_hours, segments
from gateway.hub.database.store import Store
from gateway.hub.proof.removals import Removed, read_removed
from gateway.hub.record.boots import dated, read_datings
from gateway.hub.record.index import BLOCK, Places, each_place, find_places, hours_of, join, spans_of
from gateway.keys import VerifyKey

DROPPED = "dropped"
"""The content of a segment whose payload its own vehicle had to let go."""
FETCHED = 500
"""Segments in memory at once: at most 128 MiB if every one is as large as allowed, usually half a MiB."""
FINDINGS_MAX = 1000
"""A store that is wrong in more places than this is wrong; the count goes on."""


@dataclass(slots=True)
class Report:
    """What was verified, and what is wrong. `findings` is bounded; `wrong` counts all.

    removed what retention has removed, by its own account; removed_payloads: how many of the segments lack theirs so
    files   of a report: what is attached to it
    heads   places that heads kept elsewhere stated; stamps: how many of those documents an authority's timestamp proves
    notes   what is in order but good to know, bounded too
    """

    scope: str
    epochs: int = 0
    tally: Tally = field(default_factory=Tally)
    acts: int = 0
    files: int = 0
    heads: int = 0
    stamps: int = 0
    removed_payloads: int = 0
    wrong: int = 0
    removed: Removed = field(default_factory=Removed)
    findings: list[Finding] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def add(self, findings: Iterable[Finding]) -> None:
        """Take findings."""
        for finding in findings:
            self.wrong += 1
            if len(self.findings) < FINDINGS_MAX:
                self.findings.append(finding)

    @property
    def is_proven(self) -> bool:
        """Whether nothing is wrong."""
        return self.wrong == 0


Progress = Callable[[int], None]
"""Called with the number of segments checked so far."""


def verify_store(
    store: Store,
    *,
    gateway: str | None = None,
    heads: Sequence[Heads] = (),
    check: Check | None = None,
    progress: Progress | None = None,
) -> Report:
    """Verify the whole store, or the log of one gateway. `heads` were signed and left the hub earlier.

    With `check`, the hub's key, signatures of removals are checked too; without it they are bound by the audit trail.
    """
    report = Report(scope=f"gateway {gateway}" if gateway else "the entire store")
    with store.read() as connection:
        report.removed, wrong = read_removed(connection, check)
        report.add(wrong)
        wanted = select(epochs).order_by(epochs.c.gateway, epochs.c.id)
        rows = connection.execute(wanted if gateway is None else wanted.where(epochs.c.gateway == gateway)).all()
        for row in rows:
            _verify_epoch(connection, row, report, progress)
        for extent in {head.to_extent() for each in heads for head in each.heads}:
            if gateway in (None, extent.gateway):
                report.heads += 1
                fault = find_fault_of_head(extent, partial(hash_at, connection, extent.gateway))
                report.add([] if fault is None else [fault])
        if gateway is None:
            _verify_audit(connection, report, heads)
    return report


def verify_consignment(store: Store, code: str, *, progress: Progress | None = None) -> Report | None:
    """Verify the stretch of each log that holds a consignment's readings; None if there is no such consignment.

    All segments between the first and the last that hold any of them are checked, so that none can be missing between,
    and one more on either side: were the last ones taken away together with what names them, that one is missing too.
    """
    report = Report(scope=f"consignment {code}")
    with store.read() as connection:
        report.removed, wrong = read_removed(connection, None)
        report.add(wrong)
        document = connection.execute(
            select(consignments.c.document).where(consignments.c.code == code)
        ).scalar_one_or_none()
        if document is None:
            return None
        wanted = segments_of(connection, Consignment.model_validate_json(document))
        for row, begins, ends in extents_of(connection, wanted):
            first, last = max(begins - 1, 0), min(ends + 1, row.next_offset - 1)
            previous = hash_at(connection, row.gateway, Position(bytes(row.epoch), first - 1)) if first else None
            extent = Extent(row.gateway, bytes(row.epoch), first, last + 1, previous)
            _verify_rows(connection, row.id, extent, report, progress)
            report.epochs += 1
    return report


def segments_of(connection: Connection, consignment: Consignment) -> Places:
    """Return the segments that may hold readings of a consignment's boxes while it was in them."""
    wanted: Places = {}
    stretches = {stretch for item in consignment.items for stretch in exposure_of(consignment, item)}
    for stretch in stretches:
        if stretch.box is None:
            continue
        for row in connection.execute(select(assignments).where(assignments.c.box == stretch.box)):
            ends = [end for end in (stretch.ends_ms, row.until_ms) if end is not None]
            begins_ms, ends_ms = max(stretch.begins_ms, row.from_ms), min(ends, default=1 << 62)
            if begins_ms < ends_ms:
                join(wanted, find_places(connection, [row.logger], begins_ms, ends_ms))
    return wanted


def extents_of(connection: Connection, wanted: Places) -> Iterator[tuple[Row[tuple[object, ...]], int, int]]:
    """Yield (epoch row, first offset, last offset) around the given segments."""
    found: dict[int, tuple[int, int]] = {}
    for epoch_id, position in each_place(wanted):
        first, last = found.get(epoch_id, (position, position))
        found[epoch_id] = (min(first, position), max(last, position))
    for epoch_id, (first, last) in sorted(found.items()):
        yield connection.execute(select(epochs).where(epochs.c.id == epoch_id)).one(), first, last


def read_segments(connection: Connection, epoch_id: int, first: int, next_offset: int) -> Iterator[StoredSegment]:
    """Yield the chained segments of an epoch from `first` to before `next_offset`, in order of their offset."""
    position = first
    while position < next_offset:
        rows = connection.execute(
            select(segments.c.position, segments.c.received_at_ms, segments.c.verbatim)
            .where(
                segments.c.epoch_id == epoch_id,
                segments.c.position >= position,
                segments.c.position < next_offset,
                segments.c.chained,
            )
            .order_by(segments.c.position)
            .limit(FETCHED)
        ).all()
        if not rows:
            return
        for row in rows:
            yield StoredSegment(row.position, row.received_at_ms, bytes(row.verbatim))
        position = rows[-1].position + 1


def read_enrolled_keys(connection: Connection, gateway: str) -> list[EnrolledKey]:
    """Return every key that a gateway ever had."""
    rows = connection.execute(
        select(gateway_keys.c.public_key, gateway_keys.c.revoked_at_ms, gateway_keys.c.retired_at_ms).where(
            gateway_keys.c.gateway == gateway
        )
    )
    return [EnrolledKey(VerifyKey(bytes(row.public_key)).check, row.revoked_at_ms, row.retired_at_ms) for row in rows]


def _verify_epoch(
    connection: Connection, row: Row[tuple[object, ...]], report: Report, progress: Progress | None
) -> None:
    report.epochs += 1
    extent = Extent(row.gateway, bytes(row.epoch), 0, row.next_offset, None, bytes(row.head))
    _verify_rows(connection, row.id, extent, report, progress)
    if row.parent_epoch is not None and row.next_offset > 0:
        parent = Position(bytes(row.parent_epoch), row.parent_offset)
        if hash_at(connection, row.gateway, parent) is None:
            reason = f"continues from epoch {parent.epoch.hex()} offset {parent.offset}, which is not here"
            report.add([Finding(Fault.UNKNOWN_PARENT, reason, row.gateway, extent.epoch, 0)])
    past = connection.execute(
        select(segments.c.position).where(
            segments.c.epoch_id == row.id, segments.c.chained, segments.c.position >= row.next_offset
        )
    ).scalars()
    report.add(
        Finding(Fault.REWRITTEN, "stands behind the end that the epoch states", row.gateway, extent.epoch, position)
        for position in past
    )


def _verify_rows(
    connection: Connection, epoch_id: int, extent: Extent, report: Report, progress: Progress | None
) -> None:
    keys = read_enrolled_keys(connection, extent.gateway)
    misindexed: list[Finding] = []

    def check_index(segment: Segment) -> None:
        misindexed.extend(_verify_index(connection, epoch_id, segment, report))

    def counted() -> Iterator[StoredSegment]:
        for entry in read_segments(connection, epoch_id, extent.first_offset, extent.next_offset):
            yield entry
            if progress is not None:
                progress(report.tally.segments)

    report.add(verify_extent(extent, counted(), keys, report.tally, check_index))
    report.add(misindexed)


def _verify_index(connection: Connection, epoch_id: int, segment: Segment, report: Report) -> Iterator[Finding]:
    """A reading that the index does not find would be missing from a verdict though its segment is here."""
    header = segment.header
    row = connection.execute(
        select(segments.c.id, segments.c.hash, segments.c.content).where(
            segments.c.epoch_id == epoch_id, segments.c.position == header.offset
        )
    ).one()
    if segment.body is None and row.content != DROPPED:
        if report.removed.covers(segment.gateway, header.position):
            report.removed_payloads += 1
        else:
            reason = "its payload is gone, and no removal on record says why"
            yield Finding(Fault.ALTERED, reason, segment.gateway, header.epoch, header.offset)
    content = None if segment.body is None else decode_content(segment.body)
    if content is not None and (dating := read_datings(connection, [row.id]).get(row.id)) is not None:
        content = dated(content, dating)
    expected = set() if content is None else hours_of(content, spans_of(content))
    found = expected <= _indexed_hours(connection, epoch_id, header.offset, expected)
    if not found or bytes(row.hash) != segment.hash:
        reason = "its stored hash is not its own" if found else "the index does not know what is in it"
        yield Finding(Fault.MISINDEXED, reason, segment.gateway, header.epoch, header.offset)


def _indexed_hours(
    connection: Connection, epoch_id: int, offset: int, expected: set[tuple[str, int]]
) -> set[tuple[str, int]]:
    """Return for which loggers and hours the index names a segment. What it names too much costs a look, no reading."""
    entry, bit = logger_hours.c, 1 << offset % BLOCK
    rows = connection.execute(
        select(entry.logger, entry.hour, entry.places).where(
            entry.logger.in_({logger for logger, _ in expected}),
            entry.hour.in_({hour for _, hour in expected}),
            entry.epoch_id == epoch_id,
            entry.block == offset // BLOCK,
        )
    )
    return {(row.logger, row.hour) for row in rows if row.places & bit}


def hash_at(connection: Connection, gateway: str, place: Position) -> bytes | None:
    """Return the hash of a chained segment, None if it is not here."""
    found = connection.execute(
        select(segments.c.hash)
        .join(epochs, epochs.c.id == segments.c.epoch_id)
        .where(
            epochs.c.gateway == gateway,
            epochs.c.epoch == place.epoch,
            segments.c.position == place.offset,
            segments.c.chained,
        )
    ).scalar()
    return None if found is None else bytes(found)


def _verify_audit(connection: Connection, report: Report, heads: Sequence[Heads]) -> None:
    previous = NO_HASH
    stated = {each.audit_entries: bytes.fromhex(each.audit_head) for each in heads}
    for row in connection.execute(select(audit).order_by(audit.c.id).execution_options(yield_per=FETCHED)):
        report.acts += 1
        act = Act(row.who, row.act, row.subject, row.old, row.new, row.reason)
        if bytes(row.previous) != previous:
            report.add([Finding(Fault.BROKEN_CHAIN, f"audit entry {row.id} does not follow the one before it")])
        is_removed = not act.who and report.removed.covers_entry(row.id)  # its words are gone; its place is proven
        if not is_removed and hash_entry(act, row.at_ms, bytes(row.previous)) != bytes(row.hash):
            report.add([Finding(Fault.ALTERED, f"audit entry {row.id} was altered")])
        previous = bytes(row.hash)
        if stated.pop(report.acts, previous) != previous:
            report.add([Finding(Fault.REWRITTEN, f"audit entry {row.id} was stated earlier with another hash")])
    cut = [entries for entries in stated if entries > report.acts]
    if cut:
        reason = f"the audit trail had {max(cut)} entries when heads were made, and has {report.acts} now"
        report.add([Finding(Fault.TAIL_CUT, reason)])
