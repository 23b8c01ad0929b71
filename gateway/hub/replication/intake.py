"""What one transaction of ingest is about to write, written in few statements: a statement costs more than its rows.

Whoever must read what was just placed says `flush` first.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection, bindparam, case, func, insert, update

from gateway.core.contents import Content
from gateway.core.segments import Position
from gateway.hub.database.schema import epochs, gateways, segments
from gateway.hub.record.index import Entries, Place, hours_of, note_segment, spans_of, write_entries
from gateway.hub.signals.dirty import Span

_CHUNK = 500
"""Rows named in one statement: databases bound its parameters."""
_ADVANCE = (
    update(epochs)
    .where(epochs.c.id == bindparam("epoch_id"))
    .values(next_offset=bindparam("watermark"), head=bindparam("hash"))
)
_KNOWN_MS = func.coalesce(gateways.c.sealed_at_ms, 0)
_PROGRESS = (
    update(gateways)
    .where(gateways.c.name == bindparam("gateway"))
    .values(
        received_at_ms=bindparam("now_ms"),
        # Where nothing new was chained `newest_ms` is NULL, which is greater than nothing: what is known stays.
        sealed_at_ms=case((bindparam("newest_ms") > _KNOWN_MS, bindparam("newest_ms")), else_=gateways.c.sealed_at_ms),
    )
)


@dataclass(slots=True)
class Intake:
    """The transaction of one batch.

    spans     what became readable: for dirty marks
    readable  the same, for whoever reads it soon: (gateway, place, position, content)
    """

    connection: Connection
    now_ms: int
    spans: list[Span] = field(default_factory=list)
    readable: list[tuple[str, Place, Position, Content]] = field(default_factory=list)
    _rows: list[dict[str, Any]] = field(default_factory=list)
    _chained: list[int] = field(default_factory=list)
    _entries: Entries = field(default_factory=dict)
    _heads: list[dict[str, Any]] = field(default_factory=list)
    _sealed: dict[str, int] = field(default_factory=dict)

    def add_segment(self, row: dict[str, Any]) -> None:
        """Store a segment."""
        self._rows.append(row)

    def chain_held(self, segment_id: int) -> None:
        """Note that what waited for others no longer does."""
        self._chained.append(segment_id)

    def add_content(
        self, gateway: str, place: Place, position: Position, content: Content, *, is_settled: bool
    ) -> None:
        """Index what became readable. `is_settled`: its times will not change."""
        spans = spans_of(content)
        self.spans += spans
        note_segment(self._entries, place, hours_of(content, spans))
        if is_settled:
            self.readable.append((gateway, place, position, content))

    def advance(self, epoch_id: int, next_offset: int, head: bytes) -> None:
        """Move a watermark."""
        self._heads.append({"epoch_id": epoch_id, "watermark": next_offset, "hash": head})

    def note_progress(self, gateway: str, sealed_at_ms: int) -> None:
        """Note that a gateway was heard, and the newest moment at which anything chained was sealed (0: nothing)."""
        # Nothing was sealed after it arrived: a clock in the future must not make the log look complete until then.
        sealed_at_ms = min(sealed_at_ms, self.now_ms)
        self._sealed[gateway] = max(sealed_at_ms, self._sealed.get(gateway, 0))

    def flush(self) -> None:
        """Write the segments that wait."""
        if self._rows:
            rows, self._rows = self._rows, []
            self.connection.execute(insert(segments), rows)
        while self._chained:
            ids, self._chained = self._chained[:_CHUNK], self._chained[_CHUNK:]
            self.connection.execute(update(segments).where(segments.c.id.in_(ids)).values(chained=True))

    def finish(self) -> None:
        """Write everything."""
        self.flush()
        write_entries(self.connection, self._entries)
        if self._heads:
            # In the order in which the projection takes them, so that two never wait for each other.
            self.connection.execute(_ADVANCE, sorted(self._heads, key=lambda head: int(head["epoch_id"])))
        if self._sealed:
            progress = [
                {"gateway": gateway, "now_ms": self.now_ms, "newest_ms": sealed_at_ms or None}
                for gateway, sealed_at_ms in sorted(self._sealed.items())
            ]
            self.connection.execute(_PROGRESS, progress)
