"""What is done for every segment may not go through what grows: SQLite's plans of all statements, one by one."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, event

from gateway.hub.database.store import Store, make_engine, open_store
from gateway.hub.projection.projector import Projector
from gateway.hub.record.archive import Archive
from gateway.hub.replication.ingest import Ingest
from gateway.hub.settings import InfluxSettings
from tests.hub.vans import LOGGER, START_MS, Van, observe
from tests.integration.week import enrol

GROWING = ("segments", "epochs", "logger_hours", "untrusted_segments")
SMALL = ("ix_segments_held", "ix_epochs_waiting", "ix_boots_due")
"""Partial indexes: of what waits, which is little."""


class Nowhere:
    def write(self, bucket: str, lines: object) -> None:
        pass


@pytest.fixture
def plans(tmp_path: Path) -> Iterator[tuple[Store, list[tuple[str, str]]]]:
    """A store, and (step, statement) of each step that goes through the whole of something."""
    url = f"sqlite:///{tmp_path / 'hub.sqlite3'}"
    open_store(url).close()
    engine = make_engine(url)
    scans: list[tuple[str, str]] = []

    def explain(connection: Connection, _: object, statement: str, parameters: Any, *context: Any) -> None:  # noqa: ANN401  as SQLAlchemy calls it
        many = context[-1]
        if statement.startswith(("SELECT", "UPDATE", "INSERT", "DELETE", "WITH")):
            asked = connection.connection.cursor()
            asked.execute(f"EXPLAIN QUERY PLAN {statement}", parameters[0] if many else parameters)
            scans.extend((step, statement) for *_, step in asked.fetchall() if step.startswith("SCAN"))

    event.listen(engine, "before_cursor_execute", explain)
    store = Store(engine)
    yield store, scans
    store.close()


def test_neither_taking_nor_projecting_nor_reading_goes_through_what_grows(
    plans: tuple[Store, list[tuple[str, str]]],
) -> None:
    store, scans = plans
    vans = [Van(f"van-{number}", bytes([number])) for number in range(3)]
    enrol(store, *vans)
    scans.clear()
    for i in range(3):
        for van in vans:
            van.seal(observe(30 * i, 5.0, counter=i))
    deliveries = [delivery for van in vans for delivery in van.deliveries()[::-1]]
    for _ in range(2):  # the second time all is here
        Ingest(store, lambda: START_MS).take(deliveries)
    archive = Archive(store)
    assert Projector(store, archive, Nowhere(), InfluxSettings()).step(START_MS) > 0
    assert archive.observations(LOGGER, START_MS, START_MS + 1_000_000)
    through = [(step, statement) for step, statement in scans if step.split()[1] in GROWING]
    assert [one for one in through if not one[0].endswith(SMALL)] == []
