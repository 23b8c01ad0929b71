"""Recordings brought in by hand: a signed log of the hub's own, so that a box that rode without a vehicle is judged.

A file is taken portion by portion, in one transaction with the audit entry that tells of it: all of it, or nothing.

Each file and logger is an epoch of the gateway `import`, named by the hash of the file: the same file twice is the same
epoch. Readings become observations from a logger's memory, so they give way to what was heard live at the same time.
"""

from __future__ import annotations

import fcntl
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import sha256
from itertools import islice
from pathlib import Path

from sqlalchemy import Connection, insert, select

from gateway.core.assignments import tenures_of
from gateway.core.configuration import Logger
from gateway.core.contents import RECORDS_MAX, Content, encode_content
from gateway.core.errors import InputError
from gateway.core.observations import Observation, Source
from gateway.core.readings import Reading
from gateway.core.segments import NO_HASH, Position, SegmentHeader, seal_segment
from gateway.hub.audit.acts import Act, begin_act, record_act
from gateway.hub.database.rows import read_logger
from gateway.hub.database.schema import epochs, gateway_keys, gateways
from gateway.hub.database.store import Store, insert_or_skip
from gateway.hub.record.quarantine import set_aside
from gateway.hub.replication.authenticity import Delivery
from gateway.hub.replication.ingest import take_within
from gateway.hub.times import to_datetime
from gateway.keys import SigningKey, load_or_create_key

IMPORTER = "import"
"""The gateway of this log. No vehicle has this name while the hub has imported anything."""
AHEAD_MS = 3_600_000
"""A logger's clock may be so far ahead; what is further in the future has a wrong year or zone."""
PORTION = 32
"""Segments sealed and stored together: some 130,000 readings, 2 MiB."""
KEPT_BYTES_MAX = 256 * 1024
"""Of a file that cannot be read, so much is kept; its hash is that of what is kept."""


Readings = Callable[[], Iterator[Reading]]
"""Begins to read a file's readings; each call begins anew."""


@dataclass(frozen=True, slots=True)
class File:
    """Where readings come from: name, SHA-256 in hexadecimal digits, and which importer read it."""

    name: str
    sha256: str
    form: str


@dataclass(frozen=True, slots=True)
class Imported:
    """What a file brought. `is_new` is False for a file that was here already, and for a dry run of such."""

    readings: int
    segments: int
    is_new: bool


class Importer:
    """Brings recordings into the archive. One at a time, whatever the number of processes on this machine."""

    def __init__(self, store: Store, data_dir: Path) -> None:
        self._store = store
        self._key_file = data_dir / "import.key"

    def take(
        self, file: File, readings: Readings, logger: str, now_ms: int, *, box: str | None, dry_run: bool
    ) -> Imported:
        """Archive the readings of a file as those of a logger; raises InputError if they cannot be its, or the box's.

        Times must be trusted: whoever imports a file answers for its logger's clock. The readings are gone through
        twice: to check them, and to seal them.
        """
        with self._store.read() as connection:
            count = _check(readings, read_logger(connection, logger), logger, box, now_ms)
            epoch = sha256(f"{logger} {file.sha256}".encode()).digest()[:8]
            is_known = _find_epoch(connection, epoch)
        segments = -(-count // RECORDS_MAX)
        if is_known or dry_run:
            return Imported(count, segments, not is_known)
        with _alone(self._key_file):
            key = load_or_create_key(self._key_file)
            with self._store.write() as connection:
                begin_act(connection)
                if _find_epoch(connection, epoch):  # by another process, meanwhile
                    return Imported(count, segments, is_new=False)
                _enrol(connection, key, now_ms)
                parent, previous = _find_end(connection)
                deliveries = _seal(epoch, parent, previous, logger, readings(), key, now_ms)
                while portion := list(islice(deliveries, PORTION)):
                    take_within(connection, portion, now_ms)
                told = {"file": file.name, "sha256": file.sha256, "form": file.form, "readings": count}
                act = Act("command line", "import", f"logger {logger}", new=json.dumps({**told, "epoch": epoch.hex()}))
                record_act(connection, act, now_ms)
        return Imported(count, segments, is_new=True)

    def set_aside(self, data: bytes, reason: str, now_ms: int) -> None:
        """Keep a file that cannot be read, or its beginning."""
        with self._store.write() as connection:
            set_aside(
                connection,
                source="import",
                gateway=IMPORTER,
                code="import_unreadable",
                reason=reason,
                data=data[:KEPT_BYTES_MAX],
                now_ms=now_ms,
            )


def _check(readings: Readings, known: Logger | None, logger: str, box: str | None, now_ms: int) -> int:
    """Return how many readings there are."""
    if known is None:
        raise InputError("--logger", f"{logger} is not enrolled: `coldchain enrol` puts it into a box")
    tenures = [tenure for tenure in tenures_of(known) if box is None or tenure.box == box]
    count = outside = 0
    for reading in readings():
        count += 1
        if reading.at_ms > now_ms + AHEAD_MS:
            moment = f"{to_datetime(reading.at_ms):%Y-%m-%d %H:%M} UTC"
            raise InputError("time", f"{moment} is in the future: is --timezone right, and the logger's clock?")
        outside += not any(tenure.covers(reading.at_ms) for tenure in tenures)
    if not count:
        raise InputError("file", "has no readings")
    if box is not None and outside:
        raise InputError("--box", f"{logger} was not in {box} at the time of {outside} of the readings")
    return count


def _find_epoch(connection: Connection, epoch: bytes) -> bool:
    wanted = select(epochs.c.id).where(epochs.c.gateway == IMPORTER, epochs.c.epoch == epoch, epochs.c.next_offset > 0)
    return connection.execute(wanted).first() is not None


def _find_end(connection: Connection) -> tuple[Position | None, bytes]:
    """Return where the log ends, so that the next epoch goes on from there as a vehicle's would."""
    row = connection.execute(
        select(epochs.c.epoch, epochs.c.next_offset, epochs.c.head)
        .where(epochs.c.gateway == IMPORTER, epochs.c.next_offset > 0)
        .order_by(epochs.c.id.desc())
        .limit(1)
    ).first()
    return (None, NO_HASH) if row is None else (Position(bytes(row.epoch), row.next_offset - 1), bytes(row.head))


def _enrol(connection: Connection, key: SigningKey, now_ms: int) -> None:
    known = connection.execute(select(gateway_keys.c.public_key).where(gateway_keys.c.gateway == IMPORTER)).scalars()
    public_keys = [bytes(each) for each in known]
    if key.public_bytes in public_keys:
        return
    if public_keys:
        raise InputError("data_dir", f"the key of gateway {IMPORTER!r} is another one: copy import.key here")
    insert_or_skip(connection, gateways, name=IMPORTER, created_at_ms=now_ms)
    nobody = sha256(b"no token " + key.public_bytes).digest()  # it never speaks over the network
    connection.execute(
        insert(gateway_keys).values(
            gateway=IMPORTER, public_key=key.public_bytes, token_hash=nobody, enrolled_at_ms=now_ms
        )
    )
    record_act(connection, Act("import", "enrol", f"gateway {IMPORTER}", new=key.public_bytes.hex()), now_ms)


def _seal(
    epoch: bytes,
    parent: Position | None,
    previous: bytes,
    logger: str,
    readings: Iterator[Reading],
    key: SigningKey,
    now_ms: int,
) -> Iterator[Delivery]:
    offset = 0
    while taken := list(islice(readings, RECORDS_MAX)):
        header = SegmentHeader(
            epoch=epoch,
            offset=offset,
            sealed_at_ms=now_ms,
            boot=epoch,
            config_version=0,
            previous=previous,
            parent=parent if offset == 0 else None,
        )
        observations = tuple(_observe(logger, reading) for reading in taken)
        segment = seal_segment(IMPORTER, header, encode_content(Content(observations)), key.sign)
        previous = segment.hash
        offset += 1
        yield Delivery(IMPORTER, segment.to_bytes())


def _observe(logger: str, reading: Reading) -> Observation:
    return Observation(
        logger=logger,
        source=Source.MEMORY,
        measured_at_ms=reading.at_ms,
        clock_trusted=True,
        monotonic_ms=reading.at_ms,
        interval_s=reading.interval_s,
        temperature_mc=round(reading.temperature_c * 1000),
    )


@contextmanager
def _alone(path: Path) -> Iterator[None]:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with path.with_suffix(".lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
