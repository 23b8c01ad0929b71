from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import insert, select
from sqlalchemy.exc import IntegrityError

from gateway.core.errors import InputError
from gateway.hub.database import migrations, schema
from gateway.hub.database.migrations import schema_version
from gateway.hub.database.store import Store, insert_or_skip, open_store, read_generation, replace_row
from tests.hub.vans import sqlite_only


def test_the_migrations_make_exactly_the_schema(store: Store) -> None:
    with store.read() as connection:
        assert compare_metadata(MigrationContext.configure(connection), schema.metadata) == []


def test_a_database_that_another_process_is_just_making_is_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SQLite refuses the change to a write-ahead log at once, where it would let other statements wait."""
    other = sqlite3.connect(tmp_path / "hub.sqlite3", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    waited: list[float] = []

    def wait(seconds: float) -> None:
        waited.append(seconds)
        other.close()

    monkeypatch.setattr("gateway.hub.database.store.time.sleep", wait)
    open_store(f"sqlite:///{tmp_path / 'hub.sqlite3'}").close()
    assert len(waited) == 1


def test_an_existing_database_keeps_what_it_holds(tmp_path: Path) -> None:
    newest = max(path.name[1:5] for path in Path(migrations.__file__).parent.glob("versions/v*.py"))
    url = f"sqlite:///{tmp_path / 'hub.sqlite3'}"
    first = open_store(url)
    with first.write() as connection:
        connection.execute(insert(schema.boxes).values(code="B-1", document="{}"))
    first.close()
    again = open_store(url)
    with again.read() as connection:
        assert connection.execute(select(schema.boxes.c.code)).scalars().all() == ["B-1"]
        assert schema_version(connection) == newest
        assert read_generation(connection) == 1
    again.close()


@sqlite_only
def test_a_commit_survives_a_power_cut(store: Store) -> None:
    with store.write() as connection:
        assert connection.exec_driver_sql("PRAGMA synchronous").scalar() == 2  # FULL
        assert connection.exec_driver_sql("PRAGMA journal_mode").scalar() == "wal"


def test_a_failed_transaction_leaves_nothing(store: Store) -> None:
    with pytest.raises(IntegrityError), store.write() as connection:
        connection.execute(insert(schema.boxes), [{"code": "B-1", "document": "{}"}, {"code": "B-1", "document": "{}"}])
    with store.read() as connection:
        assert connection.execute(select(schema.boxes.c.code)).all() == []


def test_insert_or_skip_and_replace(store: Store) -> None:
    with store.write() as connection:
        assert insert_or_skip(connection, schema.boxes, code="B-1", document="1")
        assert not insert_or_skip(connection, schema.boxes, code="B-1", document="2")
        replace_row(connection, schema.boxes, code="B-1", document="3")
        assert connection.execute(select(schema.boxes.c.document)).scalars().all() == ["3"]


@pytest.mark.parametrize(
    "url",
    ["nonsense", "foodb://x", "sqlite:////proc/no/such.db", "sqlite:////dev/null/hub.db", "sqlite:////proc/version"],
)
def test_a_database_that_cannot_be_opened_names_the_setting(url: str) -> None:
    with pytest.raises(InputError, match=r"^database: "):
        open_store(url)


def test_a_foreign_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "hub.sqlite3"
    path.write_text("this is a text and no database, and it is long enough to be noticed as such by anybody")
    with pytest.raises(InputError, match="database"):
        open_store(f"sqlite:///{path}")
