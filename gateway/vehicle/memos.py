"""The small durable facts beside the log: the configuration in force, stretches to fetch, breaches to flag."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from gateway.core.flags import BreachFlag
from gateway.vehicle.database import transaction
from gateway.vehicle.recorder import Stretch

_CONFIGURATION = "configuration"


class FlagState(StrEnum):
    """Where a flag stands.

    waiting    to be posted
    delivered  the hub answered 2xx
    passed     the hub holds the trigger's segment: posting would tell it nothing new
    refused    the hub refused it for good; kept with its answer, and logged
    """

    WAITING = "waiting"
    DELIVERED = "delivered"
    PASSED = "passed"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class StoredFlag:
    """A flag, and the sequence of the segment in which its trigger is sealed."""

    flag: BreachFlag
    sequence: int
    state: FlagState = FlagState.WAITING


class Memos:
    """Facts on one database. Used from the disk thread."""

    def __init__(self, database: sqlite3.Connection) -> None:
        self._database = database

    def configuration(self) -> bytes | None:
        """The signed envelope of the configuration in force, or None before the first."""
        row = self._database.execute("SELECT value FROM facts WHERE name = ?", (_CONFIGURATION,)).fetchone()
        return None if row is None else bytes(row[0])

    def keep_configuration(self, envelope: bytes) -> None:
        """Keep the envelope in force, verbatim, so that its signature can be checked at each start."""
        with transaction(self._database) as database:
            database.execute("INSERT OR REPLACE INTO facts VALUES (?, ?)", (_CONFIGURATION, envelope))

    def missing(self) -> tuple[Stretch, ...]:
        """The stretches that no memory has told yet."""
        rows = self._database.execute("SELECT logger, from_ms, to_ms FROM missing ORDER BY from_ms").fetchall()
        return tuple(Stretch(*row) for row in rows)

    def add_flag(self, stored: StoredFlag) -> bool:
        """Keep a new flag; False if one with its key is there already, in whatever state."""
        with transaction(self._database) as database:
            cursor = database.execute(
                "INSERT OR IGNORE INTO flags (key, sequence, body, state) VALUES (?, ?, ?, ?)",
                (stored.flag.key, stored.sequence, stored.flag.model_dump_json(), stored.state.value),
            )
            return cursor.rowcount == 1

    def flags(self, state: FlagState) -> tuple[StoredFlag, ...]:
        """The flags in one state, oldest trigger first."""
        rows = self._database.execute(
            "SELECT body, sequence FROM flags WHERE state = ? ORDER BY sequence, key", (state.value,)
        ).fetchall()
        return tuple(StoredFlag(BreachFlag.model_validate_json(body), sequence, state) for body, sequence in rows)

    def flag_keys(self) -> frozenset[str]:
        """The keys of all flags ever made."""
        return frozenset(key for (key,) in self._database.execute("SELECT key FROM flags"))

    def settle_flag(self, key: str, state: FlagState, answer: str = "") -> None:
        """Note what became of a flag."""
        with transaction(self._database) as database:
            database.execute("UPDATE flags SET state = ?, answer = ? WHERE key = ?", (state.value, answer, key))


def write_missing(database: sqlite3.Connection, *, resolved: Iterable[Stretch], missing: Iterable[Stretch]) -> None:
    """Forget stretches that a memory has told, remember new ones; within the caller's transaction."""
    database.executemany(
        "DELETE FROM missing WHERE logger = ? AND from_ms = ? AND to_ms = ?",
        [(stretch.logger, stretch.from_ms, stretch.to_ms) for stretch in resolved],
    )
    database.executemany(
        "INSERT OR IGNORE INTO missing VALUES (?, ?, ?)",
        [(stretch.logger, stretch.from_ms, stretch.to_ms) for stretch in missing],
    )
