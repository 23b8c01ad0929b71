"""One epoch of a gateway's log as the hub holds it: what is chained, what is held back, what does not fit.

A segment is *chained* when it and all before it, from offset 0, are here and each names the hash of the one before.
Only chained segments are indexed, read and acknowledged. A segment that arrives early is *held* until the rest comes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum, auto

from sqlalchemy import delete, func, select, update

from gateway.core.contents import Content, decode_content
from gateway.core.errors import ContentError
from gateway.core.records import KeyChange
from gateway.core.segments import NO_HASH, Position, Segment, SegmentHeader, parse_segment
from gateway.hub.database.schema import epochs, segments
from gateway.hub.record.boots import has_untrusted, take_content
from gateway.hub.record.logger_faults import note_faults
from gateway.hub.record.quarantine import set_aside
from gateway.hub.replication.custody import note_custody
from gateway.hub.replication.epochs import EpochState
from gateway.hub.replication.held import Held
from gateway.hub.replication.intake import Intake
from gateway.hub.replication.readouts import note_reads
from gateway.hub.signals.alerts import AlertKind, raise_alert

HELD_MAX = 1024
"""Segments of one epoch that wait for one before them: eight hours of sealing. A vehicle sends oldest first, so more
means that it cannot fill the hole; what is not held is not acknowledged, and comes again."""

_CONTINUED = "two logs continue from one place: was the card copied or restored?"


class Link(Enum):
    """How a segment stands to what it names as its previous."""

    FITS = auto()
    BROKEN = auto()
    UNKNOWN = auto()


@dataclass(frozen=True, slots=True)
class Arrival:
    """An authentic segment with its bytes and what they decode to.

    `content` is None where the payload was dropped or cannot be decoded (then `fault` says why). `changes` lead from a
    key that was known to the one that signed it.
    """

    segment: Segment
    hash: bytes
    verbatim: bytes
    content: Content | None
    fault: ContentError | None
    changes: tuple[KeyChange, ...] = ()


def read_content(segment: Segment) -> tuple[Content | None, ContentError | None]:
    """Decode a segment's payload; both None where it was dropped."""
    if segment.body is None:
        return None, None
    try:
        return decode_content(segment.body), None
    except ContentError as error:
        return None, error


class EpochLog:
    """One epoch within a transaction. Its gateway's row is locked until the transaction ends."""

    def __init__(self, intake: Intake, gateway: str, epoch: bytes, state: EpochState) -> None:
        self._intake = intake
        self._connection = intake.connection
        self._gateway = gateway
        self._epoch = epoch
        self._now_ms = intake.now_ms
        self.id = state.id
        self.next_offset = state.next_offset
        self.head = state.head
        self.newest_sealed_at_ms = 0
        self._began_at = self.next_offset
        self._held = Held(intake, state.id, state.held)
        self._left_at = state.left_at

    def place(self, arrivals: Sequence[Arrival]) -> None:
        """Store what is new, in any order; count duplicates as nothing, set aside what contradicts.

        Once in a transaction, before anything else of this epoch: what is known is what was stored before.
        """
        if not arrivals:
            return
        ordered = sorted(arrivals, key=lambda arrival: arrival.segment.header.offset)
        self._note_continuation(ordered[-1].segment.header.offset)
        known = self._known_among([arrival.segment.header.offset for arrival in ordered])
        for arrival in ordered:
            offset = arrival.segment.header.offset
            if offset not in known:
                known[offset] = arrival.hash
                self._place_new(arrival)
            elif known[offset] != arrival.hash:
                self._set_aside("segment_fork", f"offset {offset} is already another segment", arrival.verbatim)
                self._alert_fork(f"two segments at offset {offset}")

    def advance(self) -> None:
        """Chain what was held and now fits."""
        while (row := self._held.at(self.next_offset)) is not None:
            segment = parse_segment(self._gateway, row.verbatim)
            link = self._link_of(segment)
            if link is Link.UNKNOWN:
                return
            self._held.note_gone(self.next_offset)
            if link is Link.BROKEN:
                self._connection.execute(delete(segments).where(segments.c.id == row.id))
                self._refuse_link(row.verbatim, segment.header.offset)
                return
            self._intake.chain_held(row.id)
            content, _ = read_content(segment)
            self._extend(segment, segment.hash, content, row.id)

    @property
    def epoch(self) -> bytes:
        """Its name."""
        return self._epoch

    @property
    def has_begun(self) -> bool:
        """Whether its first segment was chained in this transaction."""
        return self._began_at == 0 and self.has_grown

    @property
    def has_grown(self) -> bool:
        """Whether the watermark moved in this transaction."""
        return self.next_offset > self._began_at

    def save(self) -> None:
        """Write the watermark."""
        if self.has_grown:
            self._intake.advance(self.id, self.next_offset, self.head)

    def _place_new(self, arrival: Arrival) -> None:
        segment, offset = arrival.segment, arrival.segment.header.offset
        link = self._link_of(segment) if offset == self.next_offset else Link.UNKNOWN
        if link is Link.BROKEN:
            self._refuse_link(arrival.verbatim, offset)
            return
        chained = link is Link.FITS
        if not chained and self._held.count >= HELD_MAX:
            return
        if offset == 0:
            self._note_parent(segment.header)
        if arrival.fault is not None:
            self._set_aside(arrival.fault.code, arrival.fault.reason, arrival.verbatim, source="content")
        self._insert(arrival, chained=chained)
        if chained:
            self._extend(segment, arrival.hash, arrival.content)
            self.advance()
        else:
            self._held.note_placed()

    def _insert(self, arrival: Arrival, *, chained: bool) -> None:
        header = arrival.segment.header
        content = "readable" if arrival.content is not None else "undecodable" if arrival.fault else "dropped"
        self._intake.add_segment(
            {
                "epoch_id": self.id,
                "position": header.offset,
                "hash": arrival.hash,
                "verbatim": arrival.verbatim,
                "sealed_at_ms": header.sealed_at_ms,
                "received_at_ms": self._now_ms,
                "config_version": header.config_version,
                "chained": chained,
                "content": content,
            }
        )

    def _extend(
        self, segment: Segment, own_hash: bytes, content: Content | None, segment_id: int | None = None
    ) -> None:
        self.next_offset += 1
        self.head = own_hash
        self.newest_sealed_at_ms = max(self.newest_sealed_at_ms, segment.header.sealed_at_ms)
        if content is not None:
            position = segment.header.position
            is_settled = not has_untrusted(content)
            if content.records or not is_settled:
                segment_id = self._id_at(position.offset) if segment_id is None else segment_id
                content = take_content(self._connection, segment, segment_id, content, self._now_ms)
                note_faults(self._connection, self._gateway, content.records)
                note_custody(self._connection, self._gateway, content.records)
                note_reads(self._connection, self._gateway, content.records)
            place = (self.id, position.offset)
            self._intake.add_content(self._gateway, place, position, content, is_settled=is_settled)

    def _id_at(self, offset: int) -> int:
        self._intake.flush()
        own = select(segments.c.id).where(segments.c.epoch_id == self.id, segments.c.position == offset)
        return int(self._connection.execute(own).scalar_one())

    def _link_of(self, segment: Segment) -> Link:
        header = segment.header
        if header.offset > 0:
            return Link.FITS if header.previous == self.head else Link.BROKEN
        if header.parent is None:
            return Link.FITS if header.previous == NO_HASH else Link.BROKEN
        parent = self._chained_hash(header.parent)
        if parent is None:
            return Link.UNKNOWN
        return Link.FITS if header.previous == parent else Link.BROKEN

    def _chained_hash(self, position: Position) -> bytes | None:
        self._intake.flush()
        found = self._connection.execute(
            select(segments.c.hash)
            .join(epochs, epochs.c.id == segments.c.epoch_id)
            .where(
                epochs.c.gateway == self._gateway,
                epochs.c.epoch == position.epoch,
                segments.c.position == position.offset,
                segments.c.chained,
            )
        ).scalar()
        return None if found is None else bytes(found)

    def _note_parent(self, header: SegmentHeader) -> None:
        """Remember where this epoch came from; two that came from one place mean a copied or restored card."""
        parent = header.parent
        origin = (
            epochs.c.root
            if parent is None
            else (epochs.c.parent_epoch == parent.epoch) & (epochs.c.parent_offset == parent.offset)
        )
        siblings = select(epochs.c.id).where(epochs.c.gateway == self._gateway, origin, epochs.c.id != self.id)
        if self._connection.execute(siblings.limit(1)).scalar() is not None:
            if parent is None:
                self._alert(AlertKind.LOG_RESTARTED, "a second log began from nothing: was the card replaced?")
            else:
                self._alert_fork(_CONTINUED)
        elif parent is not None and self._goes_on_behind(parent):
            self._alert_fork(_CONTINUED)
        self._connection.execute(
            update(epochs)
            .where(epochs.c.id == self.id)
            .values(
                root=parent is None,
                parent_epoch=None if parent is None else parent.epoch,
                parent_offset=None if parent is None else parent.offset,
            )
        )

    def _note_continuation(self, offset: int) -> None:
        """Alert, once, where this epoch goes on behind a place from which another one continued."""
        if self._left_at is not None and self._last_known() <= self._left_at < offset:
            self._alert_fork(_CONTINUED)

    def _last_known(self) -> int:
        self._intake.flush()
        last = select(func.max(segments.c.position)).where(segments.c.epoch_id == self.id)
        known = self._connection.execute(last).scalar()
        return -1 if known is None else int(known)

    def _goes_on_behind(self, parent: Position) -> bool:
        self._intake.flush()
        behind = (
            select(segments.c.id)
            .join(epochs, epochs.c.id == segments.c.epoch_id)
            .where(
                epochs.c.gateway == self._gateway,
                epochs.c.epoch == parent.epoch,
                segments.c.position > parent.offset,
            )
        )
        return self._connection.execute(behind.limit(1)).scalar() is not None

    def _refuse_link(self, verbatim: bytes, offset: int) -> None:
        self._set_aside("segment_chain", f"offset {offset} does not name the hash of the one before it", verbatim)
        self._alert_fork(f"offset {offset} does not continue what is stored")

    def _alert_fork(self, reason: str) -> None:
        self._alert(AlertKind.LOG_FORKED, reason)

    def _alert(self, kind: AlertKind, reason: str) -> None:
        document = {"gateway": self._gateway, "epoch": self._epoch.hex(), "reason": reason}
        raise_alert(self._connection, kind, document, self._now_ms, source=self._gateway)

    def _set_aside(self, code: str, reason: str, data: bytes, source: str = "log") -> None:
        set_aside(
            self._connection,
            source=source,
            gateway=self._gateway,
            code=code,
            reason=reason,
            data=data,
            now_ms=self._now_ms,
        )

    def _known_among(self, offsets: list[int]) -> dict[int, bytes]:
        """Return the hashes of those that are here already: none, where all come next and nothing is held."""
        if offsets[0] >= self.next_offset and not self._held.count:
            return {}
        rows = self._connection.execute(
            select(segments.c.position, segments.c.hash).where(
                segments.c.epoch_id == self.id, segments.c.position.in_(offsets)
            )
        )
        return {row.position: bytes(row.hash) for row in rows}
