"""A vehicle's card: a folder that can be cut off from power, copied, put back, and that refuses on demand."""

from __future__ import annotations

import shutil
import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest import mock

from gateway.vehicle.database import OutboxConnection, open_database

_MEMORY = Path("/dev/shm")  # noqa: S108  a folder of its own is made in it
DATABASE = "outbox.db"

REFUSALS = ("disk I/O error", "database or disk is full", "attempt to write a readonly database")


class PowerCut(BaseException):
    """The machine is off: nothing that follows reaches the disk."""


@dataclass
class Fault:
    """What happens at the `operation`-th statement from now on (1 is the next).

    reason      what SQLite says; empty for a power cut, after which every statement fails
    after       the statement is carried out first
    repetitions how many statements in a row are refused
    """

    operation: int
    reason: str = ""
    after: bool = False
    repetitions: int = 1
    passed: int = 0
    struck: int = 0

    def before_statement(self, sql: str) -> None:
        if self.reason and sql == "ROLLBACK":
            return  # in a write-ahead log nothing is undone on the disk: SQLite has nothing to be refused
        self.passed += 1
        if not self.reason and self.struck:
            raise PowerCut
        if not self.after:
            self._strike()

    def after_statement(self) -> None:
        if self.after:
            self._strike()

    def _strike(self) -> None:
        if self.operation <= self.passed < self.operation + self.repetitions:
            self.struck += 1
            raise sqlite3.OperationalError(self.reason) if self.reason else PowerCut


class FaultyConnection(OutboxConnection):
    """A real connection whose statements fail as told."""

    fault: Fault | None = None

    def execute(self, sql: str, parameters: Any = ()) -> sqlite3.Cursor:  # noqa: ANN401  as in sqlite3
        with self.statement(sql):
            return super().execute(sql, parameters)

    def executemany(self, sql: str, parameters: Any) -> sqlite3.Cursor:  # noqa: ANN401  as in sqlite3
        with self.statement(sql):
            return super().executemany(sql, parameters)

    def executescript(self, sql_script: str) -> sqlite3.Cursor:
        with self.statement(sql_script):
            return super().executescript(sql_script)

    @contextmanager
    def unharmed(self) -> Iterator[None]:
        """A look from outside, which no fault meets."""
        fault, self.fault = self.fault, None
        try:
            yield
        finally:
            self.fault = fault

    @contextmanager
    def statement(self, sql: str) -> Iterator[None]:
        if self.fault is not None:
            self.fault.before_statement(sql)
        yield
        if self.fault is not None:
            self.fault.after_statement()


@contextmanager
def _connections_are(factory: type[sqlite3.Connection]) -> Iterator[None]:
    connect = sqlite3.connect

    def connect_faulty(*arguments: Any, **keywords: Any) -> sqlite3.Connection:  # noqa: ANN401  as in sqlite3
        if keywords.get("factory") is OutboxConnection:
            keywords["factory"] = factory
        connection = connect(*arguments, **keywords)
        assert isinstance(connection, sqlite3.Connection)
        return connection

    with mock.patch.object(sqlite3, "connect", connect_faulty):
        yield


def scratch_folder() -> Path:
    """A new folder, in memory where the system has a place for that."""
    return Path(tempfile.mkdtemp(prefix="coldchain-", dir=_MEMORY if _MEMORY.is_dir() else None))


class Card:
    """The folder that holds the outbox's database."""

    def __init__(self) -> None:
        self._root = scratch_folder()
        self._number = 0
        self.folder = self._new_folder()

    @property
    def path(self) -> Path:
        return self.folder / DATABASE

    def open(self, fault: Fault | None = None) -> FaultyConnection:
        """Open it as the product does. A fault counts from the very first statement."""

        class Connection(FaultyConnection):
            pass

        Connection.fault = fault
        with _connections_are(Connection):
            connection = open_database(self.path)
        assert isinstance(connection, FaultyConnection)
        return connection

    def cut_power(self, connection: sqlite3.Connection) -> None:
        """What the file system holds at this moment is what the next start finds."""
        frozen = self.freeze()
        if isinstance(connection, FaultyConnection):
            connection.fault = None
        connection.close()
        self.thaw(frozen)

    def freeze(self) -> Path:
        """What the file system holds at this moment."""
        return self._copy(self.folder)

    def thaw(self, frozen: Path) -> None:
        """The next start finds what was frozen."""
        shutil.rmtree(self.folder)
        self.folder = frozen

    def copy(self) -> Path:
        """An image of the card, as a running machine would be copied."""
        return self._copy(self.folder)

    def restore(self, image: Path) -> None:
        """Put an image into the machine, which is off; the image can be used again."""
        shutil.rmtree(self.folder)
        self.folder = self._copy(image)

    def replace(self) -> None:
        """A new, empty card."""
        shutil.rmtree(self.folder)
        self.folder = self._new_folder()

    def discard(self) -> None:
        """Throw everything away."""
        shutil.rmtree(self._root)

    def _new_folder(self) -> Path:
        self._number += 1
        folder = self._root / str(self._number)
        folder.mkdir()
        return folder

    def _copy(self, folder: Path) -> Path:
        target = self._new_folder()
        shutil.copytree(folder, target, dirs_exist_ok=True)
        return target
