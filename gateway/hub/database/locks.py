"""Locks across processes: PostgreSQL's advisory locks, which end with the transaction or with its process.

A lock has a kind ("consignment", "breaches", …) and a name. SQLite has one writer and serves one process: there the
functions have nothing to do.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from hashlib import sha256

from sqlalchemy import Connection, text

_TRY = text("SELECT key FROM unnest(CAST(:keys AS bigint[])) AS key WHERE pg_try_advisory_xact_lock(key)")
_WAIT = text("SELECT pg_advisory_xact_lock(key) FROM unnest(CAST(:keys AS bigint[])) AS key")


def wait_for_locks(connection: Connection, kind: str, names: Iterable[str]) -> None:
    """Take locks until the transaction ends, in one order everywhere, so that nobody waits in a circle."""
    if connection.dialect.name == "sqlite":
        return
    keys = sorted({_key(kind, name) for name in names})
    if keys:
        connection.execute(_WAIT, {"keys": keys})


def try_locks(connection: Connection, kind: str, names: Sequence[str], enough: int) -> list[str]:
    """Take the locks that are free, at most `enough`, until the transaction ends; return their names in order."""
    if connection.dialect.name == "sqlite":
        return list(names[:enough])
    won: list[str] = []
    rest = list(names)
    while rest and len(won) < enough:
        asked, rest = rest[: enough - len(won)], rest[enough - len(won) :]
        by_key = {_key(kind, name): name for name in asked}
        got = set(connection.execute(_TRY, {"keys": list(by_key)}).scalars())
        won += [name for key, name in by_key.items() if key in got]
    return won


def _key(kind: str, name: str) -> int:
    """Return the lock's number. Two names of one number only wait for each other."""
    return int.from_bytes(sha256(f"coldchain {kind} {name}".encode()).digest()[:8], signed=True)
