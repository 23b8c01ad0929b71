from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner
from sqlalchemy import select

from gateway.cli.hub import command
from gateway.core.errors import InputError
from gateway.hub.database import schema
from gateway.hub.database.store import Store, open_store, read_generation
from gateway.hub.registry.configurations import Configurations
from gateway.hub.replication.generations import SPACING_MS, WITNESS, open_witness
from gateway.hub.replication.ingest import Ingest
from tests.hub.vans import START_MS, Van, observe, sqlite_only


def generation(store: Store) -> int:
    with store.read() as connection:
        return read_generation(connection)


def send(store: Store, folder: Path, van: Van, at_ms: int) -> None:
    van.seal(observe(30 * len(van.sealed), 5.0))
    Ingest(store, lambda: at_ms, open_witness(store, folder, at_ms)).take(van.deliveries(van.sealed[-1:]))


def test_a_hub_that_goes_on_stays_in_its_generation(store: Store, van: Van, tmp_path: Path) -> None:
    for turn in range(3):
        send(store, tmp_path, van, START_MS + turn * SPACING_MS)
    assert generation(store) == 1


@sqlite_only
def test_an_older_database_is_noticed(store: Store, van: Van, tmp_path: Path) -> None:
    send(store, tmp_path, van, START_MS)
    store.close()
    backup = tmp_path / "backup.sqlite3"
    shutil.copy(tmp_path / "hub.sqlite3", backup)
    for turn in range(1, 3):
        send(store, tmp_path, van, START_MS + turn * SPACING_MS)
    store.close()
    generations = []
    for minute in range(2):  # the same backup twice
        shutil.copy(backup, tmp_path / "hub.sqlite3")
        restored = open_store(f"sqlite:///{tmp_path / 'hub.sqlite3'}")
        open_witness(restored, tmp_path, START_MS + minute)
        generations.append(generation(restored))
        with restored.read() as connection:
            acts = list(connection.execute(select(schema.audit.c.act)).scalars())
        restored.close()
        assert acts == ["restore"]
    assert 1 < generations[0] < generations[1]


def test_configurations_overtake_what_was_given_out_since_the_backup(store: Store, van: Van, tmp_path: Path) -> None:
    configurations = Configurations(store, lambda: START_MS)
    (before,) = configurations.refresh()
    (tmp_path / WITNESS).write_text(json.dumps({"generation": 5, "segments": 9}))
    open_witness(store, tmp_path, START_MS)
    (after,) = configurations.refresh()
    assert after.version > before.version + 1000
    assert after.version == generation(store)


def test_an_unreadable_witness_is_named(store: Store, tmp_path: Path) -> None:
    (tmp_path / WITNESS).write_text("{")
    with pytest.raises(InputError, match=r"hub\.witness"):
        open_witness(store, tmp_path, START_MS)


@sqlite_only
def test_the_command_begins_a_generation(store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLDCHAIN_DATA_DIR", str(tmp_path))
    result = CliRunner().invoke(command, ["restored", "--reason", "disk replaced"], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    assert int(result.output) == generation(store) > 1


def test_what_came_last_before_a_quiet_time_is_witnessed_too(store: Store, van: Van, tmp_path: Path) -> None:
    now_ms = [START_MS]
    witness = open_witness(store, tmp_path, START_MS)
    ingest = Ingest(store, lambda: now_ms[0], witness)
    van.seal(observe(0, 5.0))
    now_ms[0] += 1000  # within the spacing: not written yet
    ingest.take(van.deliveries())
    assert (known := witness.read()) is not None
    assert known.segments == 0
    now_ms[0] += 60_000
    ingest.note_progress()
    assert (known := witness.read()) is not None
    assert known.segments == 1
