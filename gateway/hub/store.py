"""The relational store: an engine, read and write transactions, and its migrations.

SQLite runs with a write-ahead log and synchronous=FULL: an acknowledgement lets a vehicle forget, so the commit
before it must survive a power cut. (NORMAL would lose the last commits and, worse, step back behind a watermark
that vehicles already know of this generation.) Many segments share one commit when they queue up.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from sqlite3 import Connection as SqliteConnection
from typing import Any

from sqlalchemy import URL, Connection, CursorResult, Engine, create_engine, event, make_url, select
from sqlalchemy.dialects.postgresql import insert as postgresql_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert
from sqlalchemy.exc import ArgumentError, DatabaseError, NoSuchModuleError
from sqlalchemy.pool import ConnectionPoolEntry
from sqlalchemy.sql.schema import Table

from gateway.core.errors import InputError
from gateway.hub import schema
from gateway.hub.migrations import upgrade_schema

BUSY_TIMEOUT_S = 30
"""Another process (the command line, a second worker) may hold SQLite's only write lock; its transactions are short."""
_WRITES = "coldchain_writes"


class Store:
    """Transactions on the hub's database. Blocking: call it from a thread."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._embedded = engine.dialect.name == "sqlite"
        # SQLite has one writer; waiting here is fair and immediate, its own busy handler polls.
        self._writing = threading.Lock()

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """A transaction that sees one state of the database."""
        with self._engine.connect() as connection, connection.begin():
            yield connection

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """A transaction that commits at the end, durably, or not at all."""
        if not self._embedded:
            with self._engine.begin() as connection:
                yield connection
            return
        with (
            self._writing,
            self._engine.connect().execution_options(**{_WRITES: True}) as connection,
            connection.begin(),
        ):
            yield connection

    def close(self) -> None:
        """Close the connections."""
        self._engine.dispose()


def open_store(url: str) -> Store:
    """Open the database and bring its schema to the newest version; raises InputError naming `database`."""
    engine = _make_engine(url)
    store = Store(engine)
    try:
        with store.write() as connection:
            upgrade_schema(connection)
            _begin_generation(connection)
    except DatabaseError as error:
        store.close()
        raise InputError("database", f"cannot be used: {error.orig}") from error
    return store


def open_existing_store(url: str) -> Store:
    """Open a database that must be there already; raises InputError naming `database`."""
    parsed = make_url(url)
    if parsed.get_backend_name() == "sqlite" and not Path(parsed.database or "").is_file():
        raise InputError("database", f"there is none at {parsed.database}")
    return open_store(url)


def insert_or_skip(connection: Connection, table: Table, **values: Any) -> bool:  # noqa: ANN401  any column
    """Insert a row unless one with the same key is there; say whether it was new."""
    insert = sqlite_insert if connection.dialect.name == "sqlite" else postgresql_insert
    return connection.execute(insert(table).values(**values).on_conflict_do_nothing()).rowcount > 0


def replace_row(connection: Connection, table: Table, **values: Any) -> None:  # noqa: ANN401  any column
    """Insert a row, or set the given columns of the row with the same primary key."""
    insert = sqlite_insert if connection.dialect.name == "sqlite" else postgresql_insert
    keys = [column.name for column in table.primary_key]
    changes = {name: value for name, value in values.items() if name not in keys}
    connection.execute(insert(table).values(**values).on_conflict_do_update(index_elements=keys, set_=changes))


def inserted_id(result: CursorResult[Any]) -> int:
    """Return the generated key of the row that an insert made."""
    key = result.inserted_primary_key
    if key is None:
        raise TypeError("the statement inserted no single row")
    return int(key[0])


def _make_engine(url: str) -> Engine:
    try:
        parsed = make_url(url)
        if parsed.get_backend_name() == "sqlite":
            return _make_sqlite_engine(parsed)
        return create_engine(parsed, pool_pre_ping=True)
    except (ArgumentError, NoSuchModuleError) as error:
        shapes = "sqlite:///hub.sqlite3 or postgresql+psycopg://user@host/name"
        raise InputError("database", f"is not a database URL such as {shapes}") from error
    except ImportError as error:
        raise InputError("database", f"its driver is not installed: {error}") from error
    except OSError as error:
        raise InputError("database", f"cannot be opened: {error.strerror}") from error


def _make_sqlite_engine(url: URL) -> Engine:
    if url.database:
        # The folder holds pseudonymous health data, and keys: its owner's alone.
        Path(url.database).parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    engine = create_engine(url, connect_args={"timeout": BUSY_TIMEOUT_S})
    event.listen(engine, "connect", _prepare_sqlite)
    event.listen(engine, "begin", _begin_sqlite)
    return engine


def _prepare_sqlite(connection: SqliteConnection, _entry: ConnectionPoolEntry) -> None:
    connection.isolation_level = None  # transactions are begun by _begin_sqlite, not guessed by the driver
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("PRAGMA foreign_keys = ON")


def _begin_sqlite(connection: Connection) -> None:
    writes = connection.get_execution_options().get(_WRITES, False)
    # A deferred transaction that turns into a writer fails at once if another has written since.
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


def _begin_generation(connection: Connection) -> None:
    insert_or_skip(connection, schema.hub_state, id=1, generation=1)


def read_generation(connection: Connection) -> int:
    """Return the hub's generation."""
    return int(connection.execute(select(schema.hub_state.c.generation)).scalar_one())
