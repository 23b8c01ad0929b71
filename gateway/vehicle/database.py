"""The vehicle's SQLite file: opened for one process alone, durable at each commit.

WAL with synchronous=FULL: a commit that has returned survives a power cut. All of it is used from one dedicated
thread (see `DiskThread`), because a commit waits for the card, which takes milliseconds at best and seconds at worst,
and meanwhile the event loop must hear advertisements and answer the broker.
"""

from __future__ import annotations

import asyncio
import logging
import sqlite3
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import ParamSpec, TypeVar

from gateway.core.errors import InputError

log = logging.getLogger(__name__)

P = ParamSpec("P")
R = TypeVar("R")

SCHEMA_VERSION = 1
_SCHEMA = """
CREATE TABLE epochs (
    first INTEGER PRIMARY KEY,               -- sequence of its offset 0: sequence = first + offset
    epoch BLOB NOT NULL UNIQUE,
    acknowledged INTEGER NOT NULL DEFAULT 0, -- the hub holds offsets below this one
    cut INTEGER                              -- from this offset on it is not sent: a corrupt segment closed it
);
CREATE TABLE segments (
    sequence INTEGER PRIMARY KEY,
    sealed_at_ms INTEGER NOT NULL,
    hash BLOB NOT NULL,
    data BLOB NOT NULL                       -- verbatim what travels
);
CREATE TABLE facts (name TEXT PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID;
CREATE TABLE missing (
    logger TEXT NOT NULL, from_ms INTEGER NOT NULL, to_ms INTEGER NOT NULL,
    PRIMARY KEY (logger, from_ms, to_ms)
) WITHOUT ROWID;
CREATE TABLE flags (
    key TEXT PRIMARY KEY,
    sequence INTEGER NOT NULL,               -- of the trigger's segment
    body TEXT NOT NULL,                      -- what is posted
    state TEXT NOT NULL,                     -- waiting, delivered, passed, refused
    answer TEXT NOT NULL DEFAULT ''
) WITHOUT ROWID;
"""


def open_database(path: Path) -> sqlite3.Connection:
    """Open or create; raises InputError if another process has it open or it is of a later version.

    A file that is no database any more is set aside under a name that says so, and a new one is begun.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        return _open(path)
    except sqlite3.DatabaseError as error:
        if isinstance(error, sqlite3.OperationalError):
            reason = "another process has it open" if "locked" in str(error) else str(error)
            raise InputError("data_dir", reason, where=str(path)) from error
        aside = _set_aside(path)
        log.error("%s cannot be read (%s); it is kept as %s and a new one begins", path, error, aside)  # noqa: TRY400  no traceback helps a driver
        return _open(path)


def _open(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=1.0)
    try:
        # Exclusive: a second process on the same data would write a second truth; and WAL then needs no shared memory.
        connection.execute("PRAGMA locking_mode = EXCLUSIVE")
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA temp_store = MEMORY")
        _migrate(connection, path)
    except BaseException:
        connection.close()
        raise
    return connection


def _migrate(connection: sqlite3.Connection, path: Path) -> None:
    """Bring the schema up to date; takes the lock now, not at the first segment."""
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    if version > SCHEMA_VERSION:
        raise InputError("data_dir", f"written by a later version (schema {version})", where=str(path))
    if version == 0:
        connection.executescript(f"BEGIN IMMEDIATE; {_SCHEMA} PRAGMA user_version = {SCHEMA_VERSION}; COMMIT;")
    else:
        connection.executescript("BEGIN IMMEDIATE; COMMIT;")


def _set_aside(path: Path) -> Path:
    number = 1
    while (aside := path.with_name(f"{path.name}.unreadable-{number}")).exists():
        number += 1
    path.rename(aside)
    for suffix in ("-wal", "-shm"):
        companion = path.with_name(path.name + suffix)
        if companion.exists():
            companion.rename(aside.with_name(aside.name + suffix))
    return aside


@contextmanager
def transaction(connection: sqlite3.Connection) -> Iterator[sqlite3.Connection]:
    """All or nothing, and durable when it has ended."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield connection
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


class DiskThread:
    """The one thread that touches the card. Calls are carried out in order."""

    def __init__(self) -> None:
        self._executor = ThreadPoolExecutor(max_workers=1, thread_name_prefix="disk")

    async def run(self, function: Callable[P, R], /, *args: P.args, **kwargs: P.kwargs) -> R:
        """Call `function` in the thread. A cancelled caller does not interrupt it: a commit is never half done."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._executor, lambda: function(*args, **kwargs))

    def close(self) -> None:
        """Wait for what is under way."""
        self._executor.shutdown(wait=True)
