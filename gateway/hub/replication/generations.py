"""Generations: how a hub that was restored from a backup says so, and how it notices by itself.

Within a generation an acknowledgement only grows, so a restored hub that stayed silent would never get back what it
lost. A new generation may acknowledge less, and vehicles send again what they still store. A small file beside the
database, the witness, remembers how far the database had come; a database that knows less is an older copy.
"""

from __future__ import annotations

import logging
import os
from dataclasses import dataclass
from pathlib import Path

import msgspec
from sqlalchemy import Connection, func, select, update

from gateway.core.errors import InputError
from gateway.hub.audit.acts import Act, begin_act, record_act
from gateway.hub.database.schema import epochs, hub_state
from gateway.hub.database.store import Store, read_generation
from gateway.hub.registry.configurations import raise_versions

log = logging.getLogger(__name__)

WITNESS = "hub.witness"
SPACING_MS = 60_000
"""Between two writings of the witness. What was stored in the last minute before a failure it may not know of: where a
backup was made within that minute, or nothing was stored between, `coldchain hub restored` must say it."""


class _Memory(msgspec.Struct, frozen=True):
    """What the witness file says."""

    generation: int
    segments: int


_decode = msgspec.json.Decoder(_Memory).decode


@dataclass(slots=True)
class Witness:
    """The file that remembers how far the database had come. Used by one thread at a time."""

    path: Path
    written_at_ms: int | None = None
    is_behind: bool = False
    """Whether something was stored since it was written."""

    def note(self, store: Store, now_ms: int) -> None:
        """Write it, if the last time is long enough ago. What the disk refuses is logged: the archive goes on."""
        if self.written_at_ms is not None and 0 <= now_ms - self.written_at_ms < SPACING_MS:
            self.is_behind = True
            return
        self.written_at_ms, self.is_behind = now_ms, False
        with store.claim("witness", [""], 1) as claim:  # workers may share a folder
            if not claim.names:
                return
            with store.read() as connection:
                memory = _Memory(read_generation(connection), _count_chained(connection))
            try:
                _write(self.path, memory)
            except OSError as error:
                log.error("the witness %s cannot be written: %s", self.path, error)  # noqa: TRY400  the reason says it

    def read(self) -> _Memory | None:
        """What it says; None if there is none. Raises InputError if it is unreadable."""
        try:
            return _decode(self.path.read_bytes())
        except FileNotFoundError:
            return None
        except msgspec.MsgspecError as error:
            reason = f"{error}; remove the file, and run `coldchain hub restored` if the database is an older copy"
            raise InputError("data_dir", reason, where=str(self.path)) from error


def open_witness(store: Store, data_dir: Path, now_ms: int) -> Witness:
    """Compare the database with the witness; begin a new generation if it is an older copy."""
    witness = Witness(data_dir / WITNESS)
    memory = witness.read()
    if memory is not None:
        with store.write() as connection:
            begin_act(connection)
            known = _Memory(read_generation(connection), _count_chained(connection))
            if known.generation < memory.generation or known.segments < memory.segments:
                reason = f"{known.segments} segments here, {memory.segments} when the witness was written"
                log.error("the database is an older copy: %s; a new generation begins", reason)
                begin_generation(connection, now_ms, above=memory.generation, who="hub", reason=reason)
    witness.note(store, now_ms)
    return witness


def begin_generation(connection: Connection, now_ms: int, *, above: int = 0, who: str, reason: str) -> int:
    """Begin a generation greater than any before, and return it.

    Counted in minutes of UTC, so that two restorations of one backup do not begin the same one. Configurations get
    versions beyond any that was given out since the backup: a gateway adopts only a greater one.
    """
    begin_act(connection)
    old = read_generation(connection)
    new = max(old, above, now_ms // 60_000) + 1
    connection.execute(update(hub_state).values(generation=new))
    raise_versions(connection, new, now_ms)
    record_act(connection, Act(who, "restore", "hub", f"generation {old}", f"generation {new}", reason), now_ms)
    return new


def _count_chained(connection: Connection) -> int:
    return int(connection.execute(select(func.coalesce(func.sum(epochs.c.next_offset), 0))).scalar_one())


def _write(path: Path, memory: _Memory) -> None:
    partial = path.with_suffix(".new")
    with partial.open("wb") as file:
        file.write(msgspec.json.encode(memory))
        file.flush()
        os.fsync(file.fileno())
    partial.replace(path)
