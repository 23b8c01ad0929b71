"""The vehicle's SQLite file: opened for one process alone, durable at each commit.

WAL with synchronous=FULL: a commit that has returned survives a power cut. All of it is used from one dedicated
thread (see `DiskThread`), because a commit waits for the card, which takes milliseconds at best and seconds at worst,
and meanwhile the event loop must hear advertisements and answer the broker.
"""

from __future__ import annotations

import asyncio
import json
import logging
import sqlite3
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any, ParamSpec, TypeVar
from zlib import crc32

from gateway.core.errors import InputError
from gateway.vehicle.salvage import carve, count_unreached_commits, survey

log = logging.getLogger(__name__)

P = ParamSpec("P")
R = TypeVar("R")

SCHEMA_VERSION = 1
LOG_PAGES = 256
"""Pages in the write-ahead log before they go to the file: 1 MiB, which bounds what a full card must have room for."""
DAMAGE = "damage"
"""The fact that says what was found damaged at a start, until the outbox has put it on the record."""
_CLOSED = "closed"
_SCHEMA = """
CREATE TABLE epochs (
    first INTEGER PRIMARY KEY,               -- sequence of its offset 0: sequence = first + offset
    epoch BLOB NOT NULL UNIQUE,
    acknowledged INTEGER NOT NULL DEFAULT 0, -- the hub holds offsets below this one
    cut INTEGER,                             -- from this offset on it is not sent: a corrupt segment closed it
    seal INTEGER NOT NULL                    -- checksum of the row
) STRICT;
CREATE TABLE segments (
    sequence INTEGER PRIMARY KEY,
    sealed_at_ms INTEGER NOT NULL,
    hash BLOB NOT NULL,
    data BLOB NOT NULL                       -- verbatim what travels
) STRICT;
CREATE TABLE facts (name TEXT PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID, STRICT;
INSERT INTO facts VALUES ('closed', x'01');  -- nothing is open yet: see OutboxConnection
CREATE TABLE missing (
    logger TEXT NOT NULL, from_ms INTEGER NOT NULL, to_ms INTEGER NOT NULL,
    PRIMARY KEY (logger, from_ms, to_ms)
) WITHOUT ROWID, STRICT;
CREATE TABLE flags (
    key TEXT PRIMARY KEY,
    sequence INTEGER NOT NULL,               -- of the trigger's segment
    body TEXT NOT NULL,                      -- what is posted
    state TEXT NOT NULL,                     -- waiting, delivered, passed, refused
    answer TEXT NOT NULL DEFAULT ''
) WITHOUT ROWID, STRICT;
"""


class OutboxConnection(sqlite3.Connection):
    """Says on the disk that it was closed in order, so that a write-ahead log which is gone is noticed."""

    def close(self) -> None:
        """Close; after a crash, or with the disk refusing, nothing is said."""
        with suppress(sqlite3.Error):
            if not self.in_transaction:
                self.execute("INSERT OR REPLACE INTO facts VALUES (?, x'01')", (_CLOSED,))
        super().close()


def open_database(path: Path, is_intact: Callable[[bytes], bool] = lambda _: True) -> sqlite3.Connection:
    """Open or create; raises InputError if another process has it open or it is of a later version.

    A damaged file is set aside under a name that says so, and what is intact of it is salvaged into a new one.
    What was found stands in the fact DAMAGE until the outbox has told it. `is_intact` knows a segment that is ours.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    had_log = _log_of(path).exists()
    if had_log and not (path.exists() and path.stat().st_size):
        return _begin_anew(path, "only its write-ahead log is there", is_intact)
    if unreached := count_unreached_commits(_log_of(path)):
        return _begin_anew(path, f"its write-ahead log is damaged before the last {unreached} commits", is_intact)
    try:
        connection, damage = _open_checked(path, had_log=had_log)
    except sqlite3.OperationalError as error:
        reason = "another process has it open" if "locked" in str(error) else str(error)
        raise InputError("data_dir", reason, where=str(path)) from error
    except sqlite3.DatabaseError as error:
        return _begin_anew(path, str(error), is_intact)
    if not damage:
        return connection
    sqlite3.Connection.close(connection)
    return _begin_anew(path, damage, is_intact)


def _open_checked(path: Path, *, had_log: bool) -> tuple[sqlite3.Connection, str]:
    connection = _open(path)
    with _closing_on_failure(connection):
        damage = _find_damage(connection)
        if not damage:
            _note_start(connection, had_log=had_log)
        return connection, damage


@contextmanager
def _closing_on_failure(connection: sqlite3.Connection) -> Iterator[None]:
    try:
        yield
    except BaseException:
        sqlite3.Connection.close(connection)
        raise


def _open(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(
        path, isolation_level=None, check_same_thread=False, timeout=1.0, factory=OutboxConnection
    )
    connection.text_factory = _read_text
    with _closing_on_failure(connection):
        # Exclusive: a second process on the same data would write a second truth; and WAL then needs no shared memory.
        connection.execute("PRAGMA locking_mode = EXCLUSIVE")
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA temp_store = MEMORY")
        connection.execute(f"PRAGMA wal_autocheckpoint = {LOG_PAGES}")
        _migrate(connection, path)
    return connection


def _read_text(data: bytes) -> str:
    """Damaged text is read and then found wanting by whoever knows what it should be."""
    return data.decode(errors="replace")


def _migrate(connection: sqlite3.Connection, path: Path) -> None:
    """Bring the schema up to date; takes the lock now, not at the first segment."""
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    if version > SCHEMA_VERSION:
        raise InputError("data_dir", f"written by a later version (schema {version})", where=str(path))
    if version == 0:
        connection.executescript(f"BEGIN IMMEDIATE; {_SCHEMA} PRAGMA user_version = {SCHEMA_VERSION}; COMMIT;")
    else:
        connection.executescript("BEGIN IMMEDIATE; COMMIT;")


def _find_damage(connection: sqlite3.Connection) -> str:
    """What is wrong with the file's structure; empty if nothing is. Reads all of it: a week's 30 MB, a year's 2 GB."""
    found = connection.execute("PRAGMA quick_check(1)").fetchone()[0]
    if found != "ok":
        return str(found).replace("\n", " ")
    for row in connection.execute("SELECT first, epoch, acknowledged, cut, seal FROM epochs"):
        if row[4] != epoch_seal(*row[:4]):
            return f"the watermark of epoch {bytes(row[1]).hex()} is not what was written"
    return ""


def epoch_seal(first: int, epoch: bytes, acknowledged: int, cut: int | None) -> int:
    """A checksum over what no signature covers: a watermark that is too high would lose segments."""
    return crc32(f"{first} {epoch.hex()} {acknowledged} {cut}".encode())


def _note_start(connection: sqlite3.Connection, *, had_log: bool) -> None:
    with transaction(connection):
        was_closed = connection.execute("DELETE FROM facts WHERE name = ?", (_CLOSED,)).rowcount > 0
        if not was_closed and not had_log:
            log.error("the write-ahead log of the outbox is gone: what was sealed last may be lost")
            note_damage(connection, {"write_ahead_log_missing": 1})


def note_damage(connection: sqlite3.Connection, detail: dict[str, int]) -> None:
    """Leave word for the outbox, which puts it on the record."""
    connection.execute("INSERT OR REPLACE INTO facts VALUES (?, ?)", (DAMAGE, json.dumps(detail).encode()))


def _begin_anew(path: Path, damage: str, is_intact: Callable[[bytes], bool]) -> sqlite3.Connection:
    """Set the damaged file aside and fill a new one with what is intact."""
    aside = _set_aside(path)
    log.error("%s is damaged (%s); it is kept as %s, what is intact of it is salvaged", path, damage, aside)
    connection = _open(path)
    with _closing_on_failure(connection):
        log.warning("salvaged: %s", refill(connection, aside, is_intact))
        _note_start(connection, had_log=True)
    return connection


def refill(connection: sqlite3.Connection, aside: Path, is_intact: Callable[[bytes], bool]) -> dict[str, int]:
    """Write what is intact in a file set aside into a new database; note and return what was found."""
    haul = survey(aside, is_intact)
    with transaction(connection):
        for row in carve(aside):
            first = haul.firsts.get(row.position.epoch)
            if first is None or not is_intact(row.data):
                continue
            # The longer form of a segment whose payload was dropped is the one with the payload.
            connection.execute(
                "INSERT INTO segments VALUES (?, ?, ?, ?) ON CONFLICT (sequence) DO UPDATE SET data = excluded.data"
                " WHERE LENGTH(excluded.data) > LENGTH(data)",
                (first + row.position.offset, row.sealed_at_ms, row.hash, row.data),
            )
        watermarks = _read_watermarks(aside)
        for epoch, first in haul.firsts.items():
            (oldest,) = connection.execute(
                "SELECT MIN(sequence) FROM segments WHERE sequence >= ?", (first,)
            ).fetchone()
            acknowledged, cut = watermarks.get((first, epoch), (oldest - first, None))
            connection.execute(
                "INSERT INTO epochs VALUES (?, ?, ?, ?, ?)",
                (first, epoch, acknowledged, cut, epoch_seal(first, epoch, acknowledged, cut)),
            )
        others = _copy_others(connection, aside)
        (count,) = connection.execute("SELECT COUNT(*) FROM segments").fetchone()
        detail = {"epochs": len(haul.firsts), "segments": count, "other_rows": others}
        note_damage(connection, detail)
    return detail


def _read_watermarks(aside: Path) -> dict[tuple[int, bytes], tuple[int, int | None]]:
    """The watermarks that are as they were written, so far as SQLite can read them."""
    found: dict[tuple[int, bytes], tuple[int, int | None]] = {}
    for row in _read_rows(aside, "SELECT first, epoch, acknowledged, cut, seal FROM epochs"):
        with suppress(TypeError, AttributeError, ValueError):
            first, epoch, acknowledged, cut, seal = row
            if seal == epoch_seal(first, epoch, acknowledged, cut):
                found[first, epoch] = acknowledged, cut
    return found


def _copy_others(connection: sqlite3.Connection, aside: Path) -> int:
    """Copy the small facts, row by row; what is wrong about them is found by whoever reads them."""
    copied = 0
    for table, columns in (("facts", 2), ("missing", 3), ("flags", 5)):
        marks = ", ".join("?" * columns)
        for row in _read_rows(aside, f"SELECT * FROM {table}"):  # noqa: S608  names of our own tables
            with suppress(sqlite3.Error):
                connection.execute(f"INSERT OR IGNORE INTO {table} VALUES ({marks})", row)  # noqa: S608  the same
                copied += 1
    return copied


def _read_rows(aside: Path, query: str) -> list[tuple[Any, ...]]:
    rows: list[tuple[Any, ...]] = []
    if not aside.stat().st_size:
        return rows  # SQLite would throw its write-ahead log away
    with suppress(sqlite3.Error), closing(sqlite3.connect(aside, timeout=1.0)) as connection:
        connection.text_factory = _read_text
        connection.execute("PRAGMA locking_mode = EXCLUSIVE")
        rows.extend(connection.execute(query))
    return rows


def _set_aside(path: Path) -> Path:
    number = 1
    while (aside := path.with_name(f"{path.name}.unreadable-{number}")).exists():
        number += 1
    path.touch()
    path.rename(aside)
    for suffix in ("-wal", "-shm"):
        companion = path.with_name(path.name + suffix)
        if companion.exists():
            companion.rename(aside.with_name(aside.name + suffix))
    return aside


def _log_of(path: Path) -> Path:
    return path.with_name(path.name + "-wal")


def is_disk_full(error: BaseException | None) -> bool:
    """Whether SQLite found no room."""
    return isinstance(error, sqlite3.Error) and getattr(error, "sqlite_errorcode", None) == sqlite3.SQLITE_FULL


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
