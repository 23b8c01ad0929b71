"""The relational store: an engine, read and write transactions, and its migrations.

SQLite runs with a write-ahead log and synchronous=FULL: an acknowledgement lets a vehicle forget, so the commit
before it must survive a power cut. (NORMAL would lose the last commits and, worse, step back behind a watermark
that vehicles already know of this generation.) Many segments share one commit when they queue up.

PostgreSQL writes at READ COMMITTED under explicit locks (rows, and those of gateway.hub.database.locks), and reads one
state of the database at REPEATABLE READ.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from sqlite3 import SQLITE_BUSY
from sqlite3 import Connection as SqliteConnection
from sqlite3 import OperationalError as SqliteOperationalError
from typing import Any

from sqlalchemy import URL, Connection, CursorResult, Engine, create_engine, event, make_url, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import ArgumentError, DBAPIError, NoSuchModuleError
from sqlalchemy.pool import ConnectionPoolEntry
from sqlalchemy.sql.schema import Table

from gateway.core.errors import InputError
from gateway.hub.database import schema
from gateway.hub.database.locks import try_locks, wait_for_locks
from gateway.hub.database.migrations import upgrade_schema

BUSY_TIMEOUT_S = 30
"""Another process (the command line, a second worker) may hold SQLite's only write lock; its transactions are short."""
BUSY_POLL_S = 0.01
_POSTGRESQL_OPTIONS = {
    "connect_timeout": "10",
    "keepalives_idle": "30",
    "keepalives_interval": "10",
    "keepalives_count": "3",
    # The same for the server's side: a worker whose machine vanished frees its locks within a minute.
    "options": "-c tcp_keepalives_idle=30 -c tcp_keepalives_interval=10 -c tcp_keepalives_count=3",
}
_WRITES = "coldchain_writes"
_LAST = "coldchain_last"


@dataclass(frozen=True, slots=True)
class Claim:
    """What one process holds and no other; see `Store.claim`.

    names  in the order asked for
    write  begins the transaction of what is done under the claim; without the claim it fails
    """

    names: Sequence[str]
    write: Callable[[], AbstractContextManager[Connection]]


class Store:
    """Transactions on the hub's database. Blocking: call it from a thread."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self.is_embedded = engine.dialect.name == "sqlite"
        """Whether the database serves this process alone."""
        # SQLite has one writer; waiting here is fair and immediate, its own busy handler polls.
        self._writing = threading.Lock()

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """A transaction that sees one state of the database."""
        with self._engine.connect() as connection:
            if not self.is_embedded:
                connection.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)
            with connection.begin():
                yield connection

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """A transaction that commits at the end, durably, or not at all."""
        if not self.is_embedded:
            with self._engine.begin() as connection, _finishing(connection):
                yield connection
            return
        with (
            self._writing,
            self._engine.connect().execution_options(**{_WRITES: True}) as connection,
            connection.begin(),
            _finishing(connection),
        ):
            yield connection

    @contextmanager
    def claim(self, kind: str, names: Sequence[str], enough: int) -> Iterator[Claim]:
        """Claim those of `names` that no other process holds, at most `enough`, until the end of the block.

        A claim ends with its process, and with its connection to the database; what is then still written under it
        fails. Nobody waits for a claim, and a claim holds up no other transaction.
        """
        if self.is_embedded:
            yield Claim(names[:enough], self.write)
            return
        with self._engine.begin() as connection:
            yield Claim(try_locks(connection, kind, names, enough), partial(_finishing, connection))

    def close(self) -> None:
        """Close the connections."""
        self._engine.dispose()


def open_store(url: str) -> Store:
    """Open the database and bring its schema to the newest version; raises InputError naming `database`."""
    engine = make_engine(url)
    store = Store(engine)
    try:
        with store.write() as connection:
            wait_for_locks(connection, "schema", [""])  # several processes may start at once
            upgrade_schema(connection)
            _begin_generation(connection)
    except DBAPIError as error:
        store.close()
        raise InputError("database", f"cannot be used: {' '.join(str(error.orig).split())}") from error
    return store


def open_existing_store(url: str) -> Store:
    """Open a database that must be there already; raises InputError naming `database`."""
    parsed = make_url(url)
    if parsed.get_backend_name() == "sqlite" and not Path(parsed.database or "").is_file():
        raise InputError("database", f"there is none at {parsed.database}")
    return open_store(url)


def do_last(connection: Connection, act: Callable[[Connection], None]) -> None:
    """Do something right before the transaction of a `write` commits; at once in any other transaction."""
    acts = connection.info.get(_LAST)
    if acts is None:
        act(connection)
    else:
        acts.append(act)


@contextmanager
def _finishing(connection: Connection) -> Iterator[Connection]:
    acts: list[Callable[[Connection], None]] = []
    info = connection.info  # asked for again after the database has gone, it would be another connection's
    info[_LAST] = acts  # lives as long as the pooled connection, so it is taken away again
    try:
        yield connection
    finally:
        info.pop(_LAST, None)
    for act in acts:
        act(connection)


def insert_for(connection: Connection, table: Table) -> sqlite.Insert | postgresql.Insert:
    """Return an insert that can say what happens on a conflict, for the database in use."""
    return sqlite.insert(table) if connection.dialect.name == "sqlite" else postgresql.insert(table)


def insert_or_skip(connection: Connection, table: Table, **values: Any) -> bool:  # noqa: ANN401  any column
    """Insert a row unless one with the same key is there; say whether it was new."""
    insert = insert_for(connection, table).values(**values).on_conflict_do_nothing()
    # Not by counting rows: after an insert that may generate a key, the drivers count differently.
    return connection.execute(insert.returning(*table.primary_key)).first() is not None


def replace_row(connection: Connection, table: Table, **values: Any) -> None:  # noqa: ANN401  any column
    """Insert a row, or set the given columns of the row with the same primary key."""
    replace_rows(connection, table, [values])


def replace_rows(connection: Connection, table: Table, rows: Sequence[Mapping[str, Any]]) -> None:
    """Do that with several rows, which all name the same columns."""
    if not rows:
        return
    keys = [column.name for column in table.primary_key]
    insert = insert_for(connection, table)
    changes = {name: insert.excluded[name] for name in rows[0] if name not in keys}
    connection.execute(insert.on_conflict_do_update(index_elements=keys, set_=changes), rows)


def inserted_id(result: CursorResult[Any]) -> int:
    """Return the generated key of the row that an insert made."""
    key = result.inserted_primary_key
    if key is None:
        raise TypeError("the statement inserted no single row")
    return int(key[0])


def make_engine(url: str) -> Engine:
    """Return the engine of a database that may still be without tables; raises InputError naming `database`."""
    try:
        parsed = make_url(url)
        is_file = parsed.get_backend_name() == "sqlite"
        return _make_sqlite_engine(parsed) if is_file else _make_postgresql_engine(parsed)
    except (ArgumentError, NoSuchModuleError) as error:
        shapes = "sqlite:///hub.sqlite3 or postgresql+psycopg://user@host/name"
        raise InputError("database", f"is not a database URL such as {shapes}") from error
    except ImportError as error:
        raise InputError("database", f"its driver is not installed: {error}") from error
    except OSError as error:
        raise InputError("database", f"cannot be opened: {error.strerror}") from error


def _make_postgresql_engine(url: URL) -> Engine:
    if url.get_backend_name() != "postgresql":
        raise ArgumentError(f"{url.drivername} is neither SQLite nor PostgreSQL")
    options = {name: value for name, value in _POSTGRESQL_OPTIONS.items() if name not in url.query}
    return create_engine(url, pool_pre_ping=True, connect_args=options)


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
    _log_ahead(connection)
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("PRAGMA foreign_keys = ON")


def _log_ahead(connection: SqliteConnection) -> None:
    """Have the database write ahead; the first to open it changes that, and others may be opening it just then.

    The change wants the file to itself, and SQLite refuses it at once where other statements would wait.
    """
    (patience_ms,) = connection.execute("PRAGMA busy_timeout").fetchone()
    ends_s = time.monotonic() + patience_ms / 1000
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL")
        except SqliteOperationalError as error:
            if error.sqlite_errorcode != SQLITE_BUSY or time.monotonic() > ends_s:
                raise
            time.sleep(BUSY_POLL_S)
        else:
            return


def _begin_sqlite(connection: Connection) -> None:
    writes = connection.get_execution_options().get(_WRITES, False)
    # A deferred transaction that turns into a writer fails at once if another has written since.
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


def _begin_generation(connection: Connection) -> None:
    insert_or_skip(connection, schema.hub_state, id=1, generation=1)


def read_generation(connection: Connection) -> int:
    """Return the hub's generation."""
    return int(connection.execute(select(schema.hub_state.c.generation)).scalar_one())
