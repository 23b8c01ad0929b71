"""One step of the projection: what waits is read, written, and only then ticked off.

The three parts are apart so that a server which hangs holds nothing but the thread that writes: no transaction, no
lock. A batch that was prepared is written until the server takes it; written twice it is the same points. While it is
written the next one may be prepared, but it is written and ticked off only afterwards.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from sqlalchemy import Connection, func, select

from gateway.hub.breaches.keeping import read_breach
from gateway.hub.database.locks import wait_for_locks
from gateway.hub.database.schema import epochs
from gateway.hub.database.store import Store
from gateway.hub.projection import portions
from gateway.hub.projection.certificates import NONE, Certificates, Drawer
from gateway.hub.projection.hours import HOUR_MS, read_around, summarise
from gateway.hub.projection.news import gather_heard, tell
from gateway.hub.projection.points import (
    breach_line,
    hour_line,
    observation_lines,
    reading_lines,
    record_line,
    ride_line,
    withdrawal_lines,
)
from gateway.hub.projection.portions import Portion
from gateway.hub.projection.rides import read_rides
from gateway.hub.projection.settling import Change, Settling
from gateway.hub.projection.writing import Refused, Writer, deliver
from gateway.hub.record.archive import Archive
from gateway.hub.record.index import Places, join
from gateway.hub.record.quarantine import set_aside
from gateway.hub.settings import InfluxSettings
from gateway.hub.signals import marks
from gateway.hub.signals.marks import Subject, Waiting

Progress = Callable[[int], None]

log = logging.getLogger(__name__)

_MAKING = "projection"
"""The lock under which things are ticked off, and under which everything is to be made anew."""
MARKS_MAX = 500
HOURS_MAX = 100
"""Hours in one step; each is read from the archive, about 120 readings."""
HOUR_LATE_MS = 15 * 60_000
"""An hour is summarised so long after its end: most of what is late is there, and what comes later does it again."""


@dataclass(frozen=True, slots=True)
class Batch:
    """What one step writes, and what it then ticks off."""

    lines: Sequence[str]
    long_lines: Sequence[str]
    portions: Sequence[Portion]
    marks: Sequence[Waiting]
    hours: frozenset[tuple[str, int]]
    whole: int = 0
    """In which making of the whole projection it was read."""

    @property
    def segments(self) -> int:
        """How many segments are ticked off."""
        return sum(portion.end - portion.begin for portion in self.portions)


@dataclass(slots=True)
class Projector:
    """Projects what is stored. `prepare` and `finish` are for one thread at a time; `write` touches no database."""

    store: Store
    archive: Archive
    writer: Writer
    settings: InfluxSettings
    _settling: Settling = field(init=False)
    _drawer: Drawer = field(init=False, default_factory=Drawer)
    _after_epoch: int = field(init=False, default=0)
    _marked_hours: set[tuple[str, int]] = field(init=False, default_factory=set)

    def __post_init__(self) -> None:
        self._settling = Settling(self.archive)

    def step(self, now_ms: int) -> int:
        """Project the next batch; return how many lines it had, -1 if nothing waits. Raises InfluxError."""
        batch = self.prepare(now_ms)
        if batch is None:
            return -1
        self.finish(batch, self.write(batch), now_ms)
        return len(batch.lines) + len(batch.long_lines)

    def prepare(self, now_ms: int, under_way: Batch | None = None) -> Batch | None:
        """Read what waits; None if nothing does.

        `under_way` is read already and not ticked off yet: what is read now comes after it, and is ticked off after it.
        """
        ahead = {portion.epoch_id: portion.end for portion in under_way.portions} if under_way else {}
        ticked = frozenset(under_way.marks) if under_way else frozenset()
        with self.store.read() as connection:
            whole = marks.read_whole(connection)
            waiting = portions.read_portions(connection, self.archive, self._after_epoch, ahead)
            found = _read_marks(connection, Subject.BREACH, now_ms, MARKS_MAX, ticked)
            found += _read_marks(connection, Subject.CONSIGNMENT, now_ms, MARKS_MAX, ticked)
            lines = [line for one in found for line in _lines_of(connection, one)]
            # The long history waits until the readings have caught up.
            backlog = sum(portion.end - portion.begin for portion in waiting) >= portions.SEGMENTS_MAX
            hours = [] if backlog else _read_marks(connection, Subject.HOUR, now_ms, HOURS_MAX, ticked)
            heard = gather_heard(waiting)
            certificates = self._drawer.read(connection, {*heard, *(_hour_of(one)[0] for one in hours)})
        if not (waiting or found or hours):
            return None
        self._after_epoch = waiting[-1].epoch_id if waiting else 0
        seen: Places = {}
        for portion in waiting:
            join(seen, portion.places)
        changes = self._settling.settle(tell(heard, certificates), seen)
        for change in changes:
            lines += withdrawal_lines(change.logger, change.withdrawn)
            lines += reading_lines(change.logger, change.settled)
            lines += observation_lines(change.logger, change.added, change.offset_c)
        lines += _record_lines(waiting)
        long_lines = self._hour_lines(hours, certificates)
        return Batch(lines, long_lines, waiting, [*found, *hours], frozenset(_hours_of(changes)), whole)

    def write(self, batch: Batch) -> list[Refused]:
        """Write a batch; return what the server refused for good. Raises InfluxError if it cannot take it now."""
        refused = deliver(self.writer, self.settings.bucket, batch.lines)
        return refused + deliver(self.writer, self.settings.long_bucket_name, batch.long_lines)

    def finish(self, batch: Batch, refused: Sequence[Refused], now_ms: int) -> None:
        """Tick off what the server has, and set aside what it refused, in one transaction.

        Nothing is ticked off that was read before everything was to be made anew: its points may have been removed.
        """
        fresh = batch.hours - self._marked_hours
        with self.store.write() as connection:
            wait_for_locks(connection, _MAKING, [""])
            if marks.read_whole(connection) == batch.whole:
                portions.advance(connection, batch.portions)
                marks.clear(connection, batch.marks)
            due_ms = {f"{logger} {begins_ms}": begins_ms + HOUR_MS + HOUR_LATE_MS for logger, begins_ms in fresh}
            marks.mark_all(connection, Subject.HOUR, due_ms)
            for one in refused:
                log.warning("InfluxDB refused a point, it was set aside: %s", one.reason)
                _set_aside(connection, "hub", "point_refused", one.reason, one.line.encode(), now_ms)
            for unreadable in (one for portion in batch.portions for one in portion.unreadable):
                log.error("the archive holds a segment that cannot be read: %s", unreadable.reason)
                code = "archive_unreadable"
                _set_aside(connection, unreadable.gateway, code, unreadable.reason, unreadable.verbatim, now_ms)
        # A mark that is not due yet is still there when the next reading of its hour comes.
        kept = {(logger, at) for logger, at in self._marked_hours | fresh if at + HOUR_MS + HOUR_LATE_MS > now_ms}
        self._marked_hours = kept

    def _hour_lines(self, waiting: Iterable[Waiting], certificates: Mapping[str, Certificates]) -> list[str]:
        """Return the lines of hours. One in which the certificate changed is corrected as it began."""
        wanted: dict[int, list[str]] = {}
        for one in waiting:
            logger, begins_ms = _hour_of(one)
            wanted.setdefault(begins_ms, []).append(logger)
        lines = []
        for begins_ms, names in wanted.items():
            for name, around in read_around(self.archive, names, begins_ms).items():
                offset_c = certificates.get(name, NONE).offset_c(begins_ms)
                lines.append(hour_line(name, summarise(around, begins_ms, offset_c)))
        return lines


@dataclass(frozen=True, slots=True)
class Done:
    """What was projected in one go."""

    segments: int
    points: int
    refused: int


def project_all(projector: Projector, now_ms: Callable[[], int], progress: Progress | None = None) -> Done:
    """Project until nothing waits; `progress` is told how many segments are done. Raises InfluxError.

    A batch is read while the one before is written.
    """
    segments = points = refused = 0
    batch = projector.prepare(now_ms())
    with ThreadPoolExecutor(1, "influx write") as pool:
        while batch is not None:
            writing = pool.submit(projector.write, batch)
            following = projector.prepare(now_ms(), batch)
            set_apart = writing.result()
            projector.finish(batch, set_apart, now_ms())
            segments += batch.segments
            points += len(batch.lines) + len(batch.long_lines) - len(set_apart)
            refused += len(set_apart)
            if progress is not None:
                progress(segments)
            batch = following or projector.prepare(now_ms())
    return Done(segments, points, refused)


def restart(store: Store) -> int:
    """Let everything be projected anew; return how many segments that is."""
    with store.write() as connection:
        wait_for_locks(connection, _MAKING, [""])
        portions.rewind(connection)
        marks.mark_everything(connection)
        return int(connection.execute(select(func.coalesce(func.sum(epochs.c.next_offset), 0))).scalar_one())


def _read_marks(
    connection: Connection, subject: Subject, now_ms: int, limit: int, ticked: AbstractSet[Waiting]
) -> list[Waiting]:
    found = marks.read_waiting(connection, subject, now_ms, limit + len(ticked))
    return [one for one in found if one not in ticked][:limit]


def _record_lines(waiting: Iterable[Portion]) -> list[str]:
    return [
        record_line(portion.gateway, position, index, record)
        for portion in waiting
        for position, content in portion.contents
        for index, record in enumerate(content.records)
    ]


def _lines_of(connection: Connection, waiting: Waiting) -> list[str]:
    if waiting.subject is Subject.BREACH:
        breach = read_breach(connection, int(waiting.name))
        return [] if breach is None else [breach_line(breach)]
    return [ride_line(ride) for ride in read_rides(connection, waiting.name)]


def _hour_of(waiting: Waiting) -> tuple[str, int]:
    """Return whose hour a mark is about, and when it begins."""
    logger, _, begins_ms = waiting.name.rpartition(" ")
    return logger, int(begins_ms)


def _hours_of(changes: Iterable[Change]) -> set[tuple[str, int]]:
    return {
        (change.logger, hour * HOUR_MS)
        for change in changes
        for hour in {
            *(reading.at_ms // HOUR_MS for reading in (*change.settled, *change.withdrawn)),
            *(observation.measured_at_ms // HOUR_MS for observation in change.added),
        }
    }


def _set_aside(connection: Connection, gateway: str, code: str, reason: str, data: bytes, now_ms: int) -> None:
    set_aside(connection, source="projection", gateway=gateway, code=code, reason=reason, data=data, now_ms=now_ms)
