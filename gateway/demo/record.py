"""The stored record, read from both disks: what the vehicle sealed, and what the hub archived."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from contextlib import closing
from pathlib import Path

from gateway.core.contents import decode_content
from gateway.core.errors import InputError, SegmentError
from gateway.core.observations import Observation
from gateway.core.segments import Position, parse_segment
from gateway.demo.reckoning import Place
from gateway.hub.database.store import open_store
from gateway.hub.record.archive import Archive

ALWAYS_MS = 1 << 62


def read_sealed(outbox: Path, gateway: str) -> dict[Place, Observation]:
    """Read every observation in a vehicle's outbox. The vehicle must have ended: it alone has its file open.

    Raises InputError if a stored segment is not what it should be, or the file is none.
    """
    if not outbox.is_file():
        raise InputError("outbox", "there is no such file", where=str(outbox))
    try:
        with closing(sqlite3.connect(outbox)) as database:
            database.execute("PRAGMA query_only = ON")
            rows = database.execute("SELECT sequence, data FROM segments ORDER BY sequence").fetchall()
    except sqlite3.Error as error:
        raise InputError("outbox", str(error), where=str(outbox)) from error
    sealed: dict[Place, Observation] = {}
    for sequence, data in rows:
        try:
            segment = parse_segment(gateway, bytes(data))
            content = decode_content(segment.body or b"")
        except SegmentError as error:
            raise InputError(f"segment {sequence}", str(error), where=str(outbox)) from error
        for index, observation in enumerate(content.observations):
            sealed[_place(gateway, segment.header.position, index)] = observation
    return sealed


def read_archived(database_url: str, loggers: Iterable[str]) -> dict[Place, Observation]:
    """Read every observation of these loggers that the hub holds; it may go on running. Raises InputError."""
    store = open_store(database_url)
    try:
        archive = Archive(store)
        return {
            _place(stored.gateway, stored.position, stored.index): stored.observation
            for logger in loggers
            for stored in archive.stored(logger, 0, ALWAYS_MS)
        }
    finally:
        store.close()


def _place(gateway: str, position: Position, index: int) -> Place:
    return Place(gateway, position.epoch.hex(), position.offset, index)
