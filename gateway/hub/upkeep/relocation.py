"""Moving the hub's database to another one: SQLite to PostgreSQL, back, or to another of the same kind.

Everything happens in one transaction of the target, which commits when each table has the rows of the source: the same
number, and the same digest, read back from the target itself. What fails or is interrupted leaves the target empty and
the source as it was; the source is only ever read.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

import msgspec
from sqlalchemy import Connection, Table, bindparam, delete, event, func, insert, inspect, select, text, update
from sqlalchemy.engine import URL, Engine, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError
from sqlalchemy.pool import ConnectionPoolEntry

from gateway.core.errors import InputError
from gateway.hub.audit.acts import Act, record_act
from gateway.hub.database import schema
from gateway.hub.database.locks import wait_for_locks
from gateway.hub.database.migrations import schema_version, upgrade_schema
from gateway.hub.database.store import make_engine

FETCHED = 250
"""Rows in memory at once: 64 MiB if each were a segment as large as allowed, usually a quarter of a MiB."""
BUSY_TIMEOUT_MS = 1_000
"""A command that had the database open may be about to end. A hub is not."""
_DIGEST_BITS = 256
_IN_USE = "is in use: stop the hub, and whatever else has it open"
_OTHERS = text(
    "SELECT count(*) FROM pg_stat_activity"
    " WHERE datname = current_database() AND pid <> pg_backend_pid() AND usesysid IS NOT NULL"
)

Progress = Callable[[int], None]
"""Called with the number of rows written so far."""


@dataclass(frozen=True, slots=True)
class Contents:
    """What is in one table: `digest` is the same for the same rows in whatever order."""

    rows: int
    digest: int


@dataclass(frozen=True, slots=True)
class Plan:
    """What a move would do. `obstacles` are the reasons why it cannot be done now."""

    rows: dict[str, int]
    obstacles: Sequence[str]


def plan_move(source: str, target: str) -> Plan:
    """Look at both databases and change nothing; the hub may be running. Raises InputError as `move_store` does."""
    _check_urls(source, target)
    old, new = make_url(source), make_url(target)
    obstacles = [f"database: {reason}" for reason in _find_holder(old)] if old.get_backend_name() == "sqlite" else []
    with _errors_named("database"), _connected(source, "database") as connection:
        rows = {table.name: _count(connection, table) for table in _tables() if _has(connection, table)}
        obstacles += [f"database: {reason}" for reason in _find_users(connection)]
    if new.get_backend_name() != "sqlite" or Path(new.database or "").is_file():
        with _errors_named("--to"), _connected(target, "--to") as connection:
            filled = [table.name for table in _tables() if _has(connection, table) and not _is_empty(connection, table)]
            obstacles += [f"--to: {reason}" for reason in _find_users(connection)]
            obstacles += [f"--to: is not empty: there are rows in {name}" for name in filled[:1]]
    return Plan(rows, obstacles)


def move_store(source: str, target: str, now_ms: int, *, progress: Progress | None = None) -> dict[str, int]:
    """Copy every table, prove the copy, and return the rows of each; the act is on record in the target.

    Raises InputError naming `database` or `--to` when one is in use, the source is of another version of the program,
    the target is not empty, or a row does not fit into it.
    """
    _check_urls(source, target)
    with _alone(source, "database") as old, _alone(target, "--to", writes=True) as new:
        _make_ready(old, new)
        copied: dict[str, Contents] = {}
        done = 0
        for table in _tables():
            with _errors_named("--to", table.name):
                copied[table.name] = _copy(old, new, table, done, progress)
            done += copied[table.name].rows
        for table in _tables():
            if _read_contents(new, table) != copied[table.name]:
                raise InputError("--to", f"table {table.name} is not what was written to it; nothing was kept")
        _continue_numbers(old, new)
        act = Act("command line", "migrate_store", "hub", f'"{old.dialect.name}"', f'"{new.dialect.name}"')
        record_act(new, act, now_ms)
    return {name: contents.rows for name, contents in copied.items()}


def digest_rows(rows: Iterator[Sequence[object]]) -> Contents:
    """Return the number of rows, and the sum of their hashes: rows need no order that two databases agree on."""
    count = total = 0
    for row in rows:
        count += 1
        total += _hash(row)
    return Contents(count, total % (1 << _DIGEST_BITS))


def _hash(row: Sequence[object]) -> int:
    return int.from_bytes(sha256(msgspec.msgpack.encode(tuple(row))).digest())


def _tables() -> Sequence[Table]:
    return schema.metadata.sorted_tables  # a table stands behind those that it refers to


def _check_urls(source: str, target: str) -> None:
    try:
        old, new = make_url(source), make_url(target)
    except ArgumentError as error:
        raise InputError("--to", "is not a database URL such as postgresql+psycopg://user@host/name") from error
    if old == new:
        raise InputError("--to", "is the database in use")
    if old.get_backend_name() == "sqlite" and not Path(old.database or "").is_file():
        raise InputError("database", f"there is none at {old.database}")


def _make_ready(old: Connection, new: Connection) -> None:
    with _errors_named("--to"):
        upgrade_schema(new)
        for table in _tables():
            if not _is_empty(new, table):
                raise InputError("--to", f"is not empty: there are rows in {table.name}")
        new.execute(delete(schema.hub_state))
    found, needed = schema_version(old), schema_version(new)
    if found != needed:
        reason = f"has tables of version {found}, this program has {needed}: start its hub on them once"
        raise InputError("database", reason)


def _is_empty(connection: Connection, table: Table) -> bool:
    """Whether a table is as a hub that was only started leaves it."""
    if table is schema.hub_state:
        return connection.execute(select(table.c.id).where(table.c.generation > 1)).first() is None
    return connection.execute(select(*table.primary_key).limit(1)).first() is None


def _copy(old: Connection, new: Connection, table: Table, done: int, progress: Progress | None) -> Contents:
    """Copy a table. Columns that refer to the table's own rows are set when all of these are there."""
    own = [column.name for column in table.columns if any(key.column.table is table for key in column.foreign_keys)]
    count = total = 0
    for batch in _batches(old, table):
        rows = [dict(zip(table.columns.keys(), row, strict=True)) for row in batch]
        new.execute(insert(table), [row | dict.fromkeys(own) for row in rows])
        count += len(rows)
        total += sum(map(_hash, batch))
        if progress is not None:
            progress(done + count)
    for name in own:
        _refer(old, new, table, name)
    return Contents(count, total % (1 << _DIGEST_BITS))


def _refer(old: Connection, new: Connection, table: Table, name: str) -> None:
    """Set a column by which a table's rows refer to each other."""
    wanted = select(table.c.id, table.c[name]).where(table.c[name].is_not(None)).order_by(table.c.id)
    change = update(table).where(table.c.id == bindparam("of")).values({name: bindparam("to")})
    for batch in old.execute(wanted.execution_options(yield_per=FETCHED)).partitions():
        new.execute(change, [{"of": row[0], "to": row[1]} for row in batch])


def _batches(connection: Connection, table: Table) -> Iterator[Sequence[Sequence[object]]]:
    wanted = select(table).order_by(*table.primary_key)
    yield from connection.execute(wanted.execution_options(yield_per=FETCHED)).partitions()


def _read_contents(connection: Connection, table: Table) -> Contents:
    return digest_rows(row for batch in _batches(connection, table) for row in batch)


def _continue_numbers(old: Connection, new: Connection) -> None:
    """Let generated keys go on behind the source's: one that was given and removed must not come back."""
    for table in _tables():
        column = table.autoincrement_column
        if column is None:
            continue
        highest = new.execute(select(func.coalesce(func.max(column), 0))).scalar_one()
        last = max(highest, _last_number(old, table, column.name))
        if last == 0:
            continue
        if new.dialect.name != "sqlite":
            sequence = text("SELECT setval(pg_get_serial_sequence(:name, :key), :last)")
            new.execute(sequence, {"name": table.name, "key": column.name, "last": last})
        elif _numbers_apart(table):
            new.execute(text("DELETE FROM sqlite_sequence WHERE name = :name"), {"name": table.name})
            new.execute(text("INSERT INTO sqlite_sequence VALUES (:name, :last)"), {"name": table.name, "last": last})


def _last_number(connection: Connection, table: Table, column: str) -> int:
    """Return the last key that a table gave, as far as the database remembers it."""
    if connection.dialect.name == "sqlite":
        if not _numbers_apart(table):
            return 0
        wanted = text("SELECT seq FROM sqlite_sequence WHERE name = :name")
        return int(connection.execute(wanted, {"name": table.name}).scalar() or 0)
    wanted = text("SELECT pg_sequence_last_value(CAST(pg_get_serial_sequence(:name, :key) AS regclass))")
    return int(connection.execute(wanted, {"name": table.name, "key": column}).scalar() or 0)


def _numbers_apart(table: Table) -> bool:
    """Whether SQLite remembers the highest key of a table apart from its rows."""
    return bool(table.dialect_options["sqlite"]["autoincrement"])


def _count(connection: Connection, table: Table) -> int:
    return int(connection.execute(select(func.count()).select_from(table)).scalar_one())


def _has(connection: Connection, table: Table) -> bool:
    return inspect(connection).has_table(table.name)


def _make_engine(url: str, field: str) -> Engine:
    try:
        return make_engine(url)
    except InputError as error:
        raise InputError(field, error.reason) from error


@contextmanager
def _connected(url: str, field: str) -> Iterator[Connection]:
    engine = _make_engine(url, field)
    try:
        with engine.connect() as connection:
            yield connection
    finally:
        engine.dispose()


@contextmanager
def _alone(url: str, field: str, *, writes: bool = False) -> Iterator[Connection]:
    """Yield a transaction beside which no other program writes."""
    engine = _make_engine(url, field)
    if engine.dialect.name == "sqlite":
        # Before anything else touches the file: from then on nobody else can open it, and it fails if anybody has.
        event.listen(engine, "connect", _open_alone, insert=True)
    try:
        with _errors_named(field), engine.connect() as connection:
            if not writes and engine.dialect.name != "sqlite":
                connection.execution_options(isolation_level="REPEATABLE READ")
            with connection.begin():
                _keep_others_out(connection, field, writes=writes)
                yield connection
    finally:
        engine.dispose()


def _keep_others_out(connection: Connection, field: str, *, writes: bool) -> None:
    if connection.dialect.name == "sqlite":
        return
    for reason in _find_users(connection):
        raise InputError(field, reason)
    if writes:
        wait_for_locks(connection, "schema", [""])  # a hub that starts now waits, then finds what was written
        return
    names = ", ".join(table.name for table in _tables() if _has(connection, table))
    connection.execute(text(f"LOCK TABLE {names} IN SHARE MODE NOWAIT"))


def _find_users(connection: Connection) -> list[str]:
    """Return whether others are connected to a PostgreSQL; a hub keeps its connections open. SQLite does not tell."""
    if connection.dialect.name == "sqlite":
        return []
    others = connection.execute(_OTHERS).scalar_one()
    return [f"{_IN_USE} ({others} connections)"] if others else []


def _find_holder(url: URL) -> list[str]:
    """Return whether anybody has an SQLite file open, by having it alone for a moment."""
    try:
        with closing(sqlite3.connect(f"file:{url.database}?mode=rw", uri=True)) as connection:
            _open_alone(connection, None)
            connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
    except sqlite3.OperationalError as error:
        return [_IN_USE if "locked" in str(error) else str(error)]
    return []


def _open_alone(connection: sqlite3.Connection, _entry: ConnectionPoolEntry | None) -> None:
    connection.execute(f"PRAGMA busy_timeout = {BUSY_TIMEOUT_MS}")
    connection.execute("PRAGMA locking_mode = EXCLUSIVE")


@contextmanager
def _errors_named(field: str, table: str = "") -> Iterator[None]:
    """Translate what a database complains of."""
    try:
        yield
    except DBAPIError as error:
        said = " ".join(str(error.orig).split())
        reason = _IN_USE if "locked" in said or "could not obtain lock" in said else f"cannot be used: {said}"
        raise InputError(field, f"table {table}: {said}" if table else reason) from error
