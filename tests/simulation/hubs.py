"""A hub's disk and its archive rooms, as the product opens them, without broker, pages or tasks."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from hashlib import sha256
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Self

from sqlalchemy import event, insert, select

from gateway.core.observations import Observation
from gateway.hub.database import schema
from gateway.hub.database.store import Store, open_store
from gateway.hub.record.archive import Archive
from gateway.hub.replication.authenticity import Delivery
from gateway.hub.replication.generations import open_witness
from gateway.hub.replication.ingest import Ingest, Receipt
from tests.simulation.disks import Fault, FaultyConnection, scratch_folder

DATABASE = "hub.sqlite3"


@cache
def _new_database() -> bytes:
    """The file of a hub that has just been installed: it is the same for every seed."""
    with TemporaryDirectory() as folder:
        file = Path(folder) / DATABASE
        open_store(f"sqlite:///{file}").close()
        return file.read_bytes()


class HubDisk:
    """One hub with its folder: taken down, restored from an image, and refused by its disk on demand."""

    def __init__(self, now_ms: Callable[[], int]) -> None:
        self._root = scratch_folder()
        self._now_ms = now_ms
        self._images = 0
        self.folder = self._root / "hub"
        self.folder.mkdir()
        (self.folder / DATABASE).write_bytes(_new_database())
        self.open()

    def open(self) -> None:
        """Start; a disk that refuses already then would only end the start, as often as it is tried."""
        self.fault = None
        self.store: Store = open_store(f"sqlite:///{self.folder / DATABASE}")
        self.connections: list[_HubConnection] = []
        event.listen(self.store._engine, "do_connect", self._connect)
        self.store.close()  # connections from here on are ours
        self.ingest = Ingest(self.store, self._now_ms, open_witness(self.store, self.folder, self._now_ms()))
        self.archive = Archive(self.store)

    def enrol(self, gateway: str, public_key: bytes) -> None:
        """Let a gateway's key sign."""
        with self.store.write() as connection:
            connection.execute(insert(schema.gateways).values(name=gateway, created_at_ms=0))
            connection.execute(
                insert(schema.gateway_keys).values(
                    gateway=gateway, public_key=public_key, token_hash=sha256(public_key).digest(), enrolled_at_ms=0
                )
            )

    def take(self, gateway: str, messages: list[bytes]) -> list[Receipt]:
        """What the broker delivers in one batch."""
        return self.ingest.take([Delivery(gateway, data) for data in messages])

    def restart(self) -> None:
        """Be killed, and start again."""
        self.store.close()
        self.open()

    def back_up(self) -> Path:
        """Copy the database as a backup would."""
        self._images += 1
        image = self._root / f"image-{self._images}"
        with sqlite3.connect(self.folder / DATABASE) as source, sqlite3.connect(image) as target:
            source.backup(target)
        source.close()
        target.close()
        return image

    def restore(self, image: Path) -> None:
        """Put a backup in the place of the database, and start. The witness stays where it was."""
        self.store.close()
        for suffix in ("-wal", "-shm"):
            (self.folder / (DATABASE + suffix)).unlink(missing_ok=True)
        shutil.copy(image, self.folder / DATABASE)
        self.open()

    def fail(self, fault: Fault | None) -> None:
        """Let statements of all connections fail as told."""
        self.fault = fault
        for connection in self.connections:
            connection.fault = fault

    @contextmanager
    def unharmed(self) -> Iterator[None]:
        """A look from outside, which no fault meets."""
        fault = self.fault
        self.fail(None)
        try:
            yield
        finally:
            self.fail(fault)

    def discard(self) -> None:
        """Throw everything away."""
        self.store.close()
        shutil.rmtree(self._root)

    # --- what it knows

    def segments(self) -> list[tuple[bytes, int, bytes, bool]]:
        """(epoch, offset, verbatim, chained) of every segment."""
        with self.store.read() as connection:
            rows = connection.execute(
                select(
                    schema.epochs.c.epoch,
                    schema.segments.c.position,
                    schema.segments.c.verbatim,
                    schema.segments.c.chained,
                )
                .join(schema.epochs, schema.epochs.c.id == schema.segments.c.epoch_id)
                .order_by(schema.segments.c.id)
            )
            return [(bytes(row.epoch), row.position, bytes(row.verbatim), row.chained) for row in rows]

    def observations(self, logger: str) -> tuple[Observation, ...]:
        """What the archive holds, as it was sealed."""
        return self.archive.raw(logger)

    def dated(self, logger: str) -> tuple[Observation, ...]:
        """What the archive gives to whoever judges: with the times that are known by now."""
        return self.archive.observations(logger, 0, 1 << 48)

    def quarantined(self) -> dict[str, int]:
        """How often each code was set aside."""
        with self.store.read() as connection:
            rows = connection.execute(select(schema.quarantine.c.code, schema.quarantine.c.times)).all()
        return {row.code: row.times for row in rows}

    def alerts(self) -> list[str]:
        """The kinds of all alerts, oldest first."""
        with self.store.read() as connection:
            return list(connection.execute(select(schema.alerts.c.kind).order_by(schema.alerts.c.id)).scalars())

    fault: Fault | None = None

    def _connect(self, _dialect: object, _entry: object, arguments: list[Any], keywords: dict[str, Any]) -> object:
        connection = sqlite3.connect(*arguments, **keywords, factory=_HubConnection)
        assert isinstance(connection, _HubConnection)
        connection.fault = self.fault
        self.connections.append(connection)
        return connection


class _HubCursor(sqlite3.Cursor):
    """A cursor whose statements fail as its connection is told."""

    def execute(self, sql: str, parameters: Any = ()) -> Self:  # noqa: ANN401  as in sqlite3
        assert isinstance(self.connection, _HubConnection)
        with self.connection.statement(sql):
            return super().execute(sql, parameters)

    def executemany(self, sql: str, parameters: Any) -> Self:  # noqa: ANN401  as in sqlite3
        assert isinstance(self.connection, _HubConnection)
        with self.connection.statement(sql):
            return super().executemany(sql, parameters)


class _HubConnection(FaultyConnection):
    """The hub's driver works with cursors, and commits and rolls back by methods."""

    def cursor(self, factory: Any = _HubCursor) -> Any:  # noqa: ANN401  as in sqlite3
        return super().cursor(factory)

    def commit(self) -> None:
        with self.statement("COMMIT"):
            super().commit()
