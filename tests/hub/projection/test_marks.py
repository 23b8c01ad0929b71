"""Two projectors at once: the hub's own, and the command's. What one has seen, the other may tick off."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import select

from gateway.hub.database import schema
from gateway.hub.database.store import Store
from gateway.hub.projection.projector import Projector, restart
from gateway.hub.record.archive import Archive
from gateway.hub.replication.ingest import Ingest
from gateway.hub.settings import InfluxSettings
from gateway.hub.signals.marks import Subject, clear, mark, read_waiting
from tests.hub.vans import START_MS, Van, observe


class Nowhere:
    """Takes everything."""

    def write(self, bucket: str, lines: Sequence[str]) -> None:
        """Nothing."""


def waiting(store: Store) -> list[str]:
    with store.read() as connection:
        return [one.name for one in read_waiting(connection, Subject.CONSIGNMENT, START_MS, 10)]


def test_a_mark_that_was_set_anew_is_not_taken_for_the_one_that_was_seen(store: Store) -> None:
    with store.write() as connection:
        mark(connection, Subject.CONSIGNMENT, ["C-1"])
    with store.read() as connection:
        seen = read_waiting(connection, Subject.CONSIGNMENT, START_MS, 10)
    with store.write() as connection:
        clear(connection, seen)  # the other projector was faster
    with store.write() as connection:
        mark(connection, Subject.CONSIGNMENT, ["C-1"])  # and then something changed
    with store.write() as connection:
        clear(connection, seen)
    assert waiting(store) == ["C-1"]


def test_a_mark_that_grew_stays_and_one_that_did_not_goes(store: Store) -> None:
    with store.write() as connection:
        mark(connection, Subject.CONSIGNMENT, ["C-1", "C-2"])
    with store.read() as connection:
        seen = read_waiting(connection, Subject.CONSIGNMENT, START_MS, 10)
    with store.write() as connection:
        mark(connection, Subject.CONSIGNMENT, ["C-2"])
        clear(connection, seen)
    assert waiting(store) == ["C-2"]


def test_what_was_read_before_everything_is_made_anew_is_not_ticked_off(store: Store, van: Van) -> None:
    van.seal(observe(0, 5.0))
    Ingest(store, lambda: START_MS).take(van.deliveries())
    with store.write() as connection:
        mark(connection, Subject.CONSIGNMENT, ["C-1"])
    slow = Projector(store, Archive(store), Nowhere(), InfluxSettings())
    batch = slow.prepare(START_MS)
    assert batch is not None
    assert restart(store) == 1
    slow.finish(batch, slow.write(batch), START_MS)
    with store.read() as connection:
        assert connection.execute(select(schema.epochs.c.projected_offset)).scalar_one() == 0
    again = slow.prepare(START_MS)
    assert again is not None
    slow.finish(again, slow.write(again), START_MS)
    assert again.lines == [line for line in batch.lines if line.startswith("reading")]
    assert slow.prepare(START_MS) is None
