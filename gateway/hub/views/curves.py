"""Curves: what loggers measured while they carried something, as columns of numbers, kept for whoever looks again.

A box that is looked at twice is read once: of what is kept, only segments that are new are read, and what they add is
appended. Whether what is kept still fits is asked of the index each time. It is read again from the archive where
segments have gone, where times have been corrected, and where something came that does not plainly come next: late,
heard by two gateways, or out of a logger's memory.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from threading import Lock
from typing import NamedTuple

from sqlalchemy import Connection

from gateway.core.columns import Columns, GrowingColumns, columns_of
from gateway.core.configuration import Carriage, Logger
from gateway.core.errors import ForgottenError
from gateway.core.observations import Observation
from gateway.hub.judgement.redating import read_revision
from gateway.hub.record.archive import Archive
from gateway.hub.record.index import Places, find_places, without
from gateway.hub.views.trips import Trip, rides_in

CURVE_READINGS_MAX = 250_000
"""Readings kept, some 10 MiB: three boxes of a month at a reading each half minute, or eighty of a day."""


class _Key(NamedTuple):
    """What is kept together. `ends_ms` is None for a ride of which no end is known."""

    logger: str
    from_ms: int
    ends_ms: int | None
    offset_c: float


@dataclass(frozen=True, slots=True)
class Curve:
    """One logger's part, within [from_ms, to_ms)."""

    logger: str
    box: str
    from_ms: int
    to_ms: int
    columns: Columns


def to_curve(trip: Trip) -> Curve:
    """Return the curve of a trip."""
    return Curve(trip.logger, trip.box, trip.from_ms, trip.to_ms, columns_of(trip.readings))


@dataclass(slots=True)
class _Known:
    """What is kept of one logger from one moment on.

    revision  of the times that it was read with
    places    the segments that it includes
    later     observations in them that are of later than what was asked for
    """

    revision: int
    places: Places
    growing: GrowingColumns
    later: list[Observation]

    @property
    def size(self) -> int:
        return len(self.growing.columns) + len(self.later)


class Curves:
    """Reads curves. Blocking: call it from a thread; several threads may share one."""

    def __init__(self, archive: Archive) -> None:
        self._archive = archive
        self._known: OrderedDict[_Key, _Known] = OrderedDict()
        self._size = 0
        self._lock = Lock()

    def read(
        self, connection: Connection, carried: Iterable[Carriage], loggers: Sequence[Logger], until_ms: int
    ) -> list[Curve]:
        """Return the curve of each logger in each of the stretches, in order of time; open ones end at `until_ms`."""
        curves = []
        for ride in rides_in(carried, loggers, until_ms):
            key = _Key(ride.logger, ride.from_ms, ride.to_ms if ride.is_over else None, ride.offset_c)
            columns = self._columns(connection, key, ride.to_ms)
            curves.append(Curve(ride.logger, ride.box, ride.from_ms, ride.to_ms, columns))
        return sorted(curves, key=lambda curve: (curve.from_ms, curve.logger))

    def _columns(self, connection: Connection, key: _Key, to_ms: int) -> Columns:
        revision = read_revision(connection)
        places = find_places(connection, [key.logger], key.from_ms, to_ms)
        known = self._take(key)  # nobody else changes it meanwhile; who asks at the same time reads for himself
        if known is None or not _fits(known, revision, places, to_ms):
            known = self._begin(connection, key, revision, places, to_ms)
        else:
            try:
                self._go_on(connection, known, key, places, to_ms)
            except ForgottenError:
                known = self._begin(connection, key, revision, places, to_ms)
        columns = known.growing.columns  # before somebody else takes it and goes on
        self._keep(key, known)
        return columns

    def _begin(self, connection: Connection, key: _Key, revision: int, places: Places, to_ms: int) -> _Known:
        found = list(self._archive.observed(connection, key.logger, key.from_ms, places))
        growing = GrowingColumns((one for one in found if one.measured_at_ms < to_ms), key.offset_c)
        return _Known(revision, places, growing, [one for one in found if one.measured_at_ms >= to_ms])

    def _go_on(self, connection: Connection, known: _Known, key: _Key, places: Places, to_ms: int) -> None:
        """Take what is new up to a moment; raises ForgottenError."""
        news = without(places, known.places)
        found = [*known.later, *self._archive.observed(connection, key.logger, key.from_ms, news)]
        known.growing.add(one for one in found if one.measured_at_ms < to_ms)
        known.later = [one for one in found if one.measured_at_ms >= to_ms]
        known.places = {**known.places, **places}

    def _take(self, key: _Key) -> _Known | None:
        with self._lock:
            known = self._known.pop(key, None)
            self._size -= 0 if known is None else known.size
        return known

    def _keep(self, key: _Key, known: _Known) -> None:
        with self._lock:
            other = self._known.pop(key, None)
            self._size += known.size - (0 if other is None else other.size)
            self._known[key] = known
            while self._size > CURVE_READINGS_MAX:
                _, oldest = self._known.popitem(last=False)
                self._size -= oldest.size


def _fits(known: _Known, revision: int, places: Places, to_ms: int) -> bool:
    """Whether what is kept is part of what is asked for."""
    at_ms = known.growing.columns.at_ms
    is_within = not at_ms or at_ms[-1] < to_ms
    return known.revision == revision and is_within and not without(known.places, places)
