"""The rows of epochs: found by their names, and by the names of what they continue."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Connection, and_, func, insert, select, text, tuple_

from gateway.core.segments import NO_HASH
from gateway.hub.database.schema import epochs, segments

EpochName = tuple[str, bytes]
"""Gateway and epoch."""


@dataclass(frozen=True, slots=True)
class EpochState:
    """An epoch as a transaction finds it.

    held     segments that wait for one before them
    left_at  the first place from which another epoch continued, None if none did
    """

    id: int
    next_offset: int
    head: bytes
    held: int
    left_at: int | None


def are_named(
    gateway: ColumnElement[str], epoch: ColumnElement[bytes], names: Iterable[EpochName]
) -> ColumnElement[bool]:
    """Return the condition that two columns together are one of `names`.

    SQLite uses no index for a list of pairs, so the epochs are asked for alone too: they are random, and all but name
    the gateway.
    """
    pairs = sorted(names)
    return and_(epoch.in_([name for _, name in pairs]), tuple_(gateway, epoch).in_(pairs))


def open_epochs(connection: Connection, names: Collection[EpochName], now_ms: int) -> dict[EpochName, EpochState]:
    """Return the state of epochs, each made if it is new. Their gateways are locked."""
    found = {(row.gateway, bytes(row.epoch)): row for row in _read_epochs(connection, names)}
    new = sorted(set(names) - set(found))
    if new:
        rows = [
            {"gateway": gateway, "epoch": epoch, "next_offset": 0, "head": NO_HASH, "opened_at_ms": now_ms}
            for gateway, epoch in new
        ]
        connection.execute(insert(epochs), rows)
        found |= {(row.gateway, bytes(row.epoch)): row for row in _read_epochs(connection, new)}
    held = _count_held(connection, [row.id for row in found.values()])
    left = _read_continuations(connection, names)
    return {
        name: EpochState(row.id, row.next_offset, bytes(row.head), held.get(row.id, 0), left.get(name))
        for name, row in found.items()
    }


def read_waiting_children(connection: Connection, parents: Collection[EpochName]) -> list[EpochName]:
    """Return the epochs whose first segment waits for a segment of one of `parents`."""
    # Written as in the partial index: SQLite would otherwise go through all segments that there are.
    waiting = text("NOT chained")
    rows = connection.execute(
        select(epochs.c.gateway, epochs.c.epoch)
        .join(segments, (segments.c.epoch_id == epochs.c.id) & (segments.c.position == 0))
        .where(
            are_named(epochs.c.gateway, epochs.c.parent_epoch, parents),
            epochs.c.next_offset == 0,
            waiting,
        )
    )
    return [(row.gateway, bytes(row.epoch)) for row in rows]


def _read_epochs(connection: Connection, names: Iterable[EpochName]) -> Sequence[Any]:
    columns = (epochs.c.id, epochs.c.gateway, epochs.c.epoch, epochs.c.next_offset, epochs.c.head)
    wanted = are_named(epochs.c.gateway, epochs.c.epoch, names)
    return connection.execute(select(*columns).where(wanted)).all()


def _count_held(connection: Connection, ids: Sequence[int]) -> dict[int, int]:
    # Written as in the partial index that answers it: counting must not cost more the longer an epoch is.
    waiting = text("NOT chained")
    rows = connection.execute(
        select(segments.c.epoch_id, func.count().label("n"))
        .where(segments.c.epoch_id.in_(ids), waiting)
        .group_by(segments.c.epoch_id)
    )
    return {row.epoch_id: row.n for row in rows}


def _read_continuations(connection: Connection, names: Iterable[EpochName]) -> dict[EpochName, int]:
    """Return the first offset of each epoch from which another one continued."""
    rows = connection.execute(
        select(epochs.c.gateway, epochs.c.parent_epoch, func.min(epochs.c.parent_offset))
        .where(are_named(epochs.c.gateway, epochs.c.parent_epoch, names))
        .group_by(epochs.c.gateway, epochs.c.parent_epoch)
    )
    return {(gateway, bytes(epoch)): offset for gateway, epoch, offset in rows}
