"""The record on both disks is read as it stands there."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from gateway.core.contents import Content
from gateway.core.errors import InputError
from gateway.core.observations import Observation, Source
from gateway.demo.reckoning import Place
from gateway.demo.record import read_archived, read_sealed
from gateway.hub.database.store import open_store
from gateway.hub.registry.enrolment import Enrolment
from gateway.hub.replication.ingest import Delivery, Ingest
from gateway.keys import load_or_create_key
from gateway.vehicle.database import open_database
from gateway.vehicle.outbox import Outbox

LOGGER = "C0:FF:EE:00:00:01"
ROWS = tuple(Observation(LOGGER, Source.LIVE, n * 30_000, True, n * 30_000, 30, 5_000 + n, n) for n in range(7))


def test_what_was_sealed_and_what_was_archived_have_the_same_places(tmp_path: Path) -> None:
    outbox_file, url = tmp_path / "outbox.db", f"sqlite:///{tmp_path / 'hub.sqlite3'}"
    key = load_or_create_key(tmp_path / "gateway.key")
    database = open_database(outbox_file)
    outbox = Outbox(database, "VAN-1", key, boot=os.urandom(8))
    sealed = [outbox.seal(Content(rows), sealed_at_ms=1, config_version=0) for rows in (ROWS[:4], ROWS[4:])]
    verbatim = [bytes(data) for (data,) in database.execute("SELECT data FROM segments ORDER BY sequence")]
    database.close()

    read = read_sealed(outbox_file, "VAN-1")
    epoch = sealed[0].position.epoch.hex()
    assert list(read) == [Place("VAN-1", epoch, n // 4, n % 4) for n in range(7)]
    assert tuple(read.values()) == ROWS

    store = open_store(url)
    enrolment = Enrolment(store, b"secret", lambda: 0)
    enrolment.enrol("VAN-1", enrolment.issue_code("VAN-1", "test"), key.public_bytes)
    Ingest(store, lambda: 0).take([Delivery("VAN-1", data) for data in verbatim])
    store.close()
    assert read_archived(url, [LOGGER]) == read
    assert read_archived(url, ["C0:FF:EE:00:00:02"]) == {}


def test_a_file_that_is_no_outbox_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such file"):
        read_sealed(tmp_path / "none.db", "VAN-1")
    (tmp_path / "text.db").write_text("not a database, but long enough to be read as one" * 100)
    with pytest.raises(InputError, match=r"text\.db: outbox: "):
        read_sealed(tmp_path / "text.db", "VAN-1")
