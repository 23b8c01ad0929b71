"""The archive: what verdicts, traces and reports read. It decodes the verbatim segments, found by their index.

Times that a gateway did not trust are replaced, on reading, by what the dating of its boot says (see `redating`).
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace
from threading import Lock

from sqlalchemy import Connection, func, select

from gateway.core.contents import Content, decode_content
from gateway.core.dating import Dating
from gateway.core.observations import Observation
from gateway.core.segments import Position, parse_segment
from gateway.hub.boots import dated, has_untrusted, read_datings
from gateway.hub.index import find_segments
from gateway.hub.schema import epochs, segments
from gateway.hub.store import Store

CACHED_SEGMENTS = 2000
"""Decoded contents kept: some 20 MiB at ten observations each. A trip of six boxes for five hours has 600 segments."""
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
    segments: frozenset[int]


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
    is_untrusted: bool


class Archive:
    """Reads of the archive. Blocking: call it from a thread; several threads may share one."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._cache: OrderedDict[int, _Decoded] = OrderedDict()
        self._lock = Lock()

    def observations(self, logger: str, from_ms: int, to_ms: int) -> tuple[Observation, ...]:
        """Return what is known of a logger with from_ms <= measured_at_ms < to_ms, in order of storage."""
        return self.page(logger, from_ms, to_ms).observations

    def page(self, logger: str, from_ms: int, to_ms: int, *, seen: Collection[int] = ()) -> Page:
        """Return the same, but only from segments that are not among `seen`."""
        with self._store.read() as connection:
            wanted = [i for i in find_segments(connection, logger, from_ms, to_ms) if i not in seen]
            decoded = self._read(connection, wanted)
        observations = tuple(
            observation
            for entry in decoded
            for observation in entry.content.observations
            if observation.logger == logger and from_ms <= observation.measured_at_ms < to_ms
        )
        return Page(observations, frozenset(wanted))

    def stored(self, logger: str, from_ms: int, to_ms: int) -> tuple[Stored, ...]:
        """Return the observations with their identities."""
        with self._store.read() as connection:
            decoded = self._read(connection, find_segments(connection, logger, from_ms, to_ms))
        return tuple(
            Stored(entry.gateway, entry.position, index, observation)
            for entry in decoded
            for index, observation in enumerate(entry.content.observations)
            if observation.logger == logger and from_ms <= observation.measured_at_ms < to_ms
        )

    def raw(self, logger: str) -> tuple[Observation, ...]:
        """Return all that is stored of a logger as its gateways sealed it, with the times that they believed in."""
        with self._store.read() as connection:
            decoded = self._decode(connection, find_segments(connection, logger, 0, ALWAYS_MS))
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

    def _read(self, connection: Connection, ids: list[int]) -> list[_Decoded]:
        """Return contents with the times that are known now."""
        decoded = self._decode(connection, ids)
        datings: dict[int, Dating] = {}
        untrusted = [i for i, entry in zip(ids, decoded, strict=True) if entry.is_untrusted]
        for start in range(0, len(untrusted), _CHUNK):
            datings |= read_datings(connection, untrusted[start : start + _CHUNK])
        return [
            replace(entry, content=dated(entry.content, datings[i])) if i in datings else entry
            for i, entry in zip(ids, decoded, strict=True)
        ]

    def _decode(self, connection: Connection, ids: list[int]) -> list[_Decoded]:
        found = self._recall(ids)
        missing = [i for i in ids if i not in found]
        for start in range(0, len(missing), _CHUNK):
            for segment_id, entry in _read_decoded(connection, missing[start : start + _CHUNK]):
                found[segment_id] = entry
                self._remember(segment_id, entry)
        return [found[i] for i in ids]

    def _recall(self, ids: list[int]) -> dict[int, _Decoded]:
        with self._lock:
            found = {i: self._cache[i] for i in ids if i in self._cache}
            for segment_id in found:
                self._cache.move_to_end(segment_id)
        return found

    def _remember(self, segment_id: int, entry: _Decoded) -> None:
        with self._lock:
            self._cache[segment_id] = entry
            if len(self._cache) > CACHED_SEGMENTS:
                self._cache.popitem(last=False)


def _read_decoded(connection: Connection, ids: list[int]) -> Iterator[tuple[int, _Decoded]]:
    rows = connection.execute(
        select(segments.c.id, segments.c.verbatim, epochs.c.gateway)
        .join(epochs, epochs.c.id == segments.c.epoch_id)
        .where(segments.c.id.in_(ids))
    )
    for row in rows:
        segment = parse_segment(row.gateway, bytes(row.verbatim))
        content = Content() if segment.body is None else decode_content(segment.body)
        yield int(row.id), _Decoded(row.gateway, segment.header.position, content, has_untrusted(content))
