"""Repetition: which deliveries the archive holds already, byte for byte.

They were found authentic when they came first; none of them need be checked or decoded again.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from sqlalchemy import Connection, exists, select, tuple_

from gateway.core.segments import read_position
from gateway.hub.database.schema import epochs, gateway_keys, segments
from gateway.hub.record.index import Place
from gateway.hub.replication.authenticity import Delivery
from gateway.hub.replication.epochs import EpochName, are_named

_COMPARED = 32
"""Stored segments in memory at once: at most 8 MiB, whatever the deliveries claim to be."""
_REVOKED = exists().where(gateway_keys.c.gateway == epochs.c.gateway, gateway_keys.c.revoked_at_ms.is_not(None))


def find_repeated(connection: Connection, deliveries: Sequence[Delivery]) -> dict[Delivery, EpochName]:
    """Return those that are chained with exactly these bytes, signature and all, and the epoch of each.

    Of a gateway with a revoked key none is: what that key signed is refused even where it is known.
    """
    claimed: dict[EpochName, list[tuple[int, Delivery]]] = {}
    for delivery in deliveries:
        position = read_position(delivery.data)
        if position is not None:
            claimed.setdefault((delivery.gateway, position.epoch), []).append((position.offset, delivery))
    candidates: dict[Place, list[Delivery]] = {}
    names: dict[int, EpochName] = {}
    for row in connection.execute(
        select(epochs.c.id, epochs.c.gateway, epochs.c.epoch, epochs.c.next_offset).where(
            are_named(epochs.c.gateway, epochs.c.epoch, claimed), ~_REVOKED
        )
    ):
        names[row.id] = (row.gateway, bytes(row.epoch))
        for offset, delivery in claimed[names[row.id]]:
            if offset < row.next_offset:
                candidates.setdefault((row.id, offset), []).append(delivery)
    return {
        delivery: names[place[0]]
        for place, verbatim in _read_verbatim(connection, sorted(candidates))
        for delivery in candidates[place]
        if delivery.data == verbatim
    }


def _read_verbatim(connection: Connection, places: Sequence[Place]) -> Iterator[tuple[Place, bytes]]:
    for start in range(0, len(places), _COMPARED):
        portion = places[start : start + _COMPARED]
        rows = connection.execute(
            select(segments.c.epoch_id, segments.c.position, segments.c.verbatim).where(
                # SQLite uses no index for a list of pairs, so both are asked for alone too.
                segments.c.epoch_id.in_({epoch_id for epoch_id, _ in portion}),
                segments.c.position.in_({position for _, position in portion}),
                tuple_(segments.c.epoch_id, segments.c.position).in_(portion),
            )
        )
        for row in rows:
            yield (row.epoch_id, row.position), bytes(row.verbatim)
