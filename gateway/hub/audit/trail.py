"""The audit trail, read: a page at a time, by who, act or subject; and written out for others."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass

import msgspec
from sqlalchemy import Connection, Row, select

from gateway.core.segments import NO_HASH
from gateway.hub.audit.acts import Act, count_acts, hash_entry
from gateway.hub.database.schema import audit
from gateway.hub.database.store import Store
from gateway.hub.times import to_datetime

PAGE = 1000
"""Entries read at once for an export: with their documents some megabytes."""
_FORMULA = ("=", "+", "-", "@", "\t", "\r")
"""What makes a spreadsheet take a cell for a formula."""


@dataclass(frozen=True, slots=True)
class Entry:
    """An act on record. `old` and `new` are JSON; `previous` and `hash` chain the entries, in hexadecimal."""

    id: int
    at_ms: int
    who: str
    act: str
    subject: str
    old: str | None
    new: str | None
    reason: str
    previous: str
    hash: str


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which entries are asked for; None for all. Moments in UTC milliseconds, the second not included."""

    who: str | None = None
    act: str | None = None
    subject: str | None = None
    from_ms: int | None = None
    to_ms: int | None = None


def read_entries(
    connection: Connection, wanted: Wanted, *, after: int = 0, before: int | None = None, limit: int = 500
) -> list[Entry]:
    """Return entries by ascending id; with `before`, the newest of those before it, still ascending."""
    query = select(audit).where(audit.c.id > after)
    for column, value in ((audit.c.who, wanted.who), (audit.c.act, wanted.act), (audit.c.subject, wanted.subject)):
        if value is not None:
            query = query.where(column == value)
    if wanted.from_ms is not None:
        query = query.where(audit.c.at_ms >= wanted.from_ms)
    if wanted.to_ms is not None:
        query = query.where(audit.c.at_ms < wanted.to_ms)
    if before is None:
        return [_to_entry(row) for row in connection.execute(query.order_by(audit.c.id).limit(limit))]
    newest = query.where(audit.c.id < before).order_by(audit.c.id.desc()).limit(limit)
    return [_to_entry(row) for row in connection.execute(newest)][::-1]


def each_entry(store: Store, wanted: Wanted, through: int, after: int = 0) -> Iterator[Entry]:
    """Yield entries after an id and up to another, page by page: nobody waits for a reader."""
    while after < through:
        with store.read() as connection:
            page = read_entries(connection, wanted, after=after, limit=PAGE)
        yield from (entry for entry in page if entry.id <= through)
        if len(page) < PAGE:
            return
        after = page[-1].id


def write_json_lines(entries: Iterable[Entry]) -> Iterator[bytes]:
    """Yield one JSON object in a line for each entry, all as stored: the chain can be checked from it."""
    for entry in entries:
        yield msgspec.json.encode(asdict(entry)) + b"\n"


def write_csv(entries: Iterable[Entry]) -> Iterator[bytes]:
    """Yield a table for people. A cell that a spreadsheet would take for a formula begins with an apostrophe."""
    yield _line(("id", "at", "who", "act", "subject", "old", "new", "reason", "hash"))
    for entry in entries:
        at = to_datetime(entry.at_ms).isoformat()
        texts = (entry.who, entry.act, entry.subject, entry.old or "", entry.new or "", entry.reason, entry.hash)
        yield _line((str(entry.id), at, *map(_harmless, texts)))


def _harmless(text: str) -> str:
    return f"'{text}" if text.startswith(_FORMULA) else text


def _line(cells: Iterable[str]) -> bytes:
    buffer = io.StringIO()
    csv.writer(buffer).writerow(cells)
    return buffer.getvalue().encode()


def _to_entry(row: Row[tuple[object, ...]]) -> Entry:
    texts = (row.who, row.act, row.subject, row.old, row.new, row.reason)
    return Entry(row.id, row.at_ms, *texts, bytes(row.previous).hex(), bytes(row.hash).hex())


@dataclass(frozen=True, slots=True)
class Chain:
    """The newest entries, checked one by one. `head` is the hash of the last, "" where there is none.

    checked  how many; `is_whole`: these are all there are
    removed  of how many the words are gone after their retention; their places in the chain are kept
    fault    the first entry that was altered, or does not follow the one before it; None for none
    """

    checked: int
    head: str
    is_whole: bool
    removed: int
    fault: int | None


def check_chain(store: Store, most: int) -> Chain:
    """Recompute the hashes of the newest entries, at most so many. `coldchain verify` compares with the heads too."""
    with store.read() as connection:
        through = count_acts(connection)
    after = max(0, through - most)
    previous = NO_HASH.hex() if not after else None
    checked, removed, head = 0, 0, ""
    for entry in each_entry(store, Wanted(), through, after):
        checked += 1
        removed += not entry.who
        follows = previous is None or entry.previous == previous
        if not follows or (entry.who and _hash_again(entry) != entry.hash):
            return Chain(checked, entry.hash, not after, removed, entry.id)
        previous = head = entry.hash
    return Chain(checked, head, not after, removed, None)


def _hash_again(entry: Entry) -> str:
    act = Act(entry.who, entry.act, entry.subject, entry.old, entry.new, entry.reason)
    return hash_entry(act, entry.at_ms, bytes.fromhex(entry.previous)).hex()
