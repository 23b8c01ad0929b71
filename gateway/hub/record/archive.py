"""The archive: what verdicts, traces and reports read. It decodes the verbatim segments, found by their index.

Times that a gateway did not trust are replaced, on reading, by what the dating of its boot says (see `redating`).
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace
from threading import Lock

from sqlalchemy import Connection, func, select

from gateway.core.contents import Content, decode_content
from gateway.core.dating import Dating
from gateway.core.observations import Observation
from gateway.core.segments import Position, parse_segment
from gateway.hub.database.schema import epochs, segments
from gateway.hub.database.store import Store
from gateway.hub.record.boots import dated, has_untrusted, read_datings
from gateway.hub.record.index import (
    HOUR_MS,
    NOTHING,
    Place,
    Places,
    each_place,
    find_places,
    find_projected_hours,
    without,
)

CACHED_OBSERVATIONS = 100_000
"""Of decoded segments, some 20 MiB: what is judged a second after it came need not be read again. A trip of six boxes
for five hours has 3,600."""
_CHUNK = 500
ALWAYS_MS = 1 << 62


@dataclass(frozen=True, slots=True)
class Stored:
    """An observation with its identity in the archive: (gateway, epoch, offset, index)."""

    gateway: str
    position: Position
    index: int
    observation: Observation


@dataclass(frozen=True, slots=True)
class Page:
    """Observations of one logger, and the segments that they came from."""

    observations: tuple[Observation, ...]
    segments: frozenset[Place]


@dataclass(frozen=True, slots=True)
class News:
    """Observations of some loggers, and the segments that they came from."""

    observations: tuple[Observation, ...]
    places: Places


@dataclass(frozen=True, slots=True)
class Counts:
    """What the archive holds. `held` segments wait for one before them."""

    gateways: int
    epochs: int
    chained: int
    held: int
    undecodable: int
    dropped: int


@dataclass(frozen=True, slots=True)
class _Decoded:
    gateway: str
    position: Position
    content: Content
    untrusted_id: int | None
    """The row of a segment whose times depend on the dating of its boot."""


class Archive:
    """Reads of the archive. Blocking: call it from a thread; several threads may share one."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._cache: OrderedDict[Place, _Decoded] = OrderedDict()
        self._cached = 0
        self._lock = Lock()

    def observations(self, logger: str, from_ms: int, to_ms: int) -> tuple[Observation, ...]:
        """Return what is known of a logger with from_ms <= measured_at_ms < to_ms, in order of storage."""
        return self.page(logger, from_ms, to_ms).observations

    def page(self, logger: str, from_ms: int, to_ms: int, *, seen: Collection[Place] = ()) -> Page:
        """Return the same, but only from segments that are not among `seen`."""
        with self._store.read() as connection:
            found = each_place(find_places(connection, [logger], from_ms, to_ms))
            wanted = [place for place in found if place not in seen]
            decoded = self._read(connection, wanted)
        observations = tuple(
            observation
            for entry in decoded
            for observation in entry.content.observations
            if observation.logger == logger and from_ms <= observation.measured_at_ms < to_ms
        )
        return Page(observations, frozenset(wanted))

    def news(
        self, loggers: Collection[str], from_ms: int, to_ms: int, seen: Places, passed: tuple[int, int] = NOTHING
    ) -> News:
        """Return the observations of several loggers from segments that are not among `seen`: each is read once.

        `passed` is where nothing new is expected; see gateway.hub.record.index.
        """
        with self._store.read() as connection:
            places = without(find_places(connection, loggers, from_ms, to_ms, passed), seen)
            decoded = self._read(connection, list(each_place(places)))
        observations = tuple(
            observation
            for entry in decoded
            for observation in entry.content.observations
            if from_ms <= observation.measured_at_ms < to_ms and observation.logger in loggers
        )
        return News(observations, places)

    def projected_until(self, epochs: Mapping[str, AbstractSet[int]], from_ms: int) -> dict[str, int]:
        """Return up to when other epochs than those given have projected something of each logger, by whole hours.

        Only what is later than `from_ms` is looked for; a logger of which there is nothing is left out.
        """
        until_ms: dict[str, int] = {}
        with self._store.read() as connection:
            for logger, epoch_id, hour in find_projected_hours(connection, epochs, from_ms // HOUR_MS):
                if epoch_id not in epochs[logger]:
                    until_ms[logger] = max(until_ms.get(logger, 0), (hour + 1) * HOUR_MS)
        return until_ms

    def recall(self, places: Iterable[Place]) -> dict[Place, tuple[Position, Content]]:
        """Return contents that are remembered and whose times depend on no dating."""
        return {
            place: (entry.position, entry.content)
            for place, entry in self._recall(places).items()
            if entry.untrusted_id is None
        }

    def observed(self, connection: Connection, logger: str, from_ms: int, places: Places) -> Iterator[Observation]:
        """Yield the observations of a logger in some segments, from a moment on, in order of storage."""
        for entry in self._read(connection, list(each_place(places))):
            for observation in entry.content.observations:
                if observation.logger == logger and observation.measured_at_ms >= from_ms:
                    yield observation

    def remember(self, stored: Iterable[tuple[str, Place, Position, Content]]) -> None:
        """Keep contents that were just stored: (gateway, place, position, content). They will soon be asked for.

        Those with times that were not trusted are left out: they are read with whatever dates them then.
        """
        with self._lock:
            for gateway, place, position, content in stored:
                self._keep(place, _Decoded(gateway, position, content, None))

    def stored(self, logger: str, from_ms: int, to_ms: int) -> tuple[Stored, ...]:
        """Return the observations with their identities."""
        with self._store.read() as connection:
            decoded = self._read(connection, list(each_place(find_places(connection, [logger], from_ms, to_ms))))
        return tuple(
            Stored(entry.gateway, entry.position, index, observation)
            for entry in decoded
            for index, observation in enumerate(entry.content.observations)
            if observation.logger == logger and from_ms <= observation.measured_at_ms < to_ms
        )

    def raw(self, logger: str) -> tuple[Observation, ...]:
        """Return all that is stored of a logger as its gateways sealed it, with the times that they believed in."""
        with self._store.read() as connection:
            decoded = self._decode(connection, list(each_place(find_places(connection, [logger], 0, ALWAYS_MS))))
        return tuple(o for entry in decoded for o in entry.content.observations if o.logger == logger)

    def watermarks(self) -> dict[tuple[str, bytes], int]:
        """Return the next offset of each epoch: what the archive covers, by (gateway, epoch)."""
        with self._store.read() as connection:
            rows = connection.execute(select(epochs.c.gateway, epochs.c.epoch, epochs.c.next_offset)).all()
        return {(row.gateway, bytes(row.epoch)): row.next_offset for row in rows}

    def counts(self) -> Counts:
        """Count what is held."""
        with self._store.read() as connection:
            by_kind = {
                (row.chained, row.content): row.n
                for row in connection.execute(
                    select(segments.c.chained, segments.c.content, func.count().label("n")).group_by(
                        segments.c.chained, segments.c.content
                    )
                )
            }
            known = connection.execute(select(func.count(func.distinct(epochs.c.gateway)), func.count())).one()
        return Counts(
            gateways=known[0],
            epochs=known[1],
            chained=sum(n for (chained, _), n in by_kind.items() if chained),
            held=sum(n for (chained, _), n in by_kind.items() if not chained),
            undecodable=sum(n for (_, content), n in by_kind.items() if content == "undecodable"),
            dropped=sum(n for (_, content), n in by_kind.items() if content == "dropped"),
        )

    def _read(self, connection: Connection, places: Sequence[Place]) -> list[_Decoded]:
        """Return contents with the times that are known now."""
        decoded = self._decode(connection, places)
        untrusted = [entry.untrusted_id for entry in decoded if entry.untrusted_id is not None]
        datings: dict[int | None, Dating] = {}
        for start in range(0, len(untrusted), _CHUNK):
            datings.update(read_datings(connection, untrusted[start : start + _CHUNK]).items())
        return [
            replace(entry, content=dated(entry.content, datings[entry.untrusted_id]))
            if entry.untrusted_id in datings
            else entry
            for entry in decoded
        ]

    def _decode(self, connection: Connection, places: Sequence[Place]) -> list[_Decoded]:
        found = self._recall(places)
        missing: dict[int, list[int]] = {}
        for epoch_id, position in places:
            if (epoch_id, position) not in found:
                missing.setdefault(epoch_id, []).append(position)
        for epoch_id, positions in missing.items():
            for start in range(0, len(positions), _CHUNK):
                read = dict(_read_decoded(connection, epoch_id, positions[start : start + _CHUNK]))
                found |= read
                with self._lock:
                    for place, entry in read.items():
                        self._keep(place, entry)
        return [found[place] for place in places]

    def _recall(self, places: Iterable[Place]) -> dict[Place, _Decoded]:
        with self._lock:
            found = {place: self._cache[place] for place in places if place in self._cache}
            for place in found:
                self._cache.move_to_end(place)
        return found

    def _keep(self, place: Place, entry: _Decoded) -> None:
        if place in self._cache:
            return
        self._cache[place] = entry
        self._cached += len(entry.content.observations)
        while self._cached > CACHED_OBSERVATIONS:
            _, oldest = self._cache.popitem(last=False)
            self._cached -= len(oldest.content.observations)


def _read_decoded(connection: Connection, epoch_id: int, positions: Sequence[int]) -> Iterator[tuple[Place, _Decoded]]:
    rows = connection.execute(
        select(segments.c.id, segments.c.position, segments.c.verbatim, epochs.c.gateway)
        .join(epochs, epochs.c.id == segments.c.epoch_id)
        .where(segments.c.epoch_id == epoch_id, segments.c.position.in_(positions))
    )
    for row in rows:
        segment = parse_segment(row.gateway, bytes(row.verbatim))
        content = Content() if segment.body is None else decode_content(segment.body)
        untrusted_id = row.id if has_untrusted(content) else None
        yield (epoch_id, row.position), _Decoded(row.gateway, segment.header.position, content, untrusted_id)
