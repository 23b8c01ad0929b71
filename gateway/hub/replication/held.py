"""What an epoch holds back: segments that wait for one before them.

Where several workers take a gateway's log in turn, half of it comes early. It is read back many at a time: a statement
costs more than its rows.
"""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import select

from gateway.hub.database.schema import segments
from gateway.hub.replication.intake import Intake

RUN = 64
"""Offsets read back with one statement. What is read for nothing, behind another hole, is read once for each hole."""


@dataclass(frozen=True, slots=True)
class HeldRow:
    """A held segment's row."""

    id: int
    verbatim: bytes


class Held:
    """The held segments of one epoch within a transaction. Its gateway's row is locked until that ends.

    count  how many there are
    """

    def __init__(self, intake: Intake, epoch_id: int, count: int) -> None:
        self.count = count
        self._intake = intake
        self._epoch_id = epoch_id
        self._rows: dict[int, HeldRow] = {}
        self._read_from = self._read_to = 0
        self._is_placed = False

    def at(self, offset: int) -> HeldRow | None:
        """Return what is held at an offset, None if nothing is."""
        if not self.count:
            return None
        if not self._read_from <= offset < self._read_to:
            self._read(offset)
        return self._rows.get(offset)

    def note_placed(self) -> None:
        """Count one that was just placed."""
        self.count += 1
        self._is_placed = True
        self._read_to = 0  # it may lie within what was read before

    def note_gone(self, offset: int) -> None:
        """Count one less: what was held there is chained, or deleted."""
        self.count -= 1
        del self._rows[offset]

    def _read(self, offset: int) -> None:
        if self._is_placed:  # what was there before need not wait for what is placed now
            self._intake.flush()
            self._is_placed = False
        rows = self._intake.connection.execute(
            select(segments.c.id, segments.c.position, segments.c.verbatim).where(
                segments.c.epoch_id == self._epoch_id,
                segments.c.position.between(offset, offset + RUN - 1),
                segments.c.chained.is_(False),
            )
        )
        self._rows = {row.position: HeldRow(row.id, bytes(row.verbatim)) for row in rows}
        self._read_from, self._read_to = offset, offset + RUN
