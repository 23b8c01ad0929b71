"""The projection: readings to InfluxDB, with a durable cursor of its own for each epoch.

The server may be down, slow or refusing: ingest and verdicts do not notice, and nothing is lost, since a cursor moves
only when the server has confirmed. A line that the server refuses for what it says is set aside, the rest goes on.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from sqlalchemy import Connection, func, select

from gateway.core.contents import decode_content
from gateway.core.readings import merge_observations
from gateway.core.segments import parse_segment
from gateway.hub.archive import Archive
from gateway.hub.dirty import Span
from gateway.hub.events import Bell
from gateway.hub.index import entries_of
from gateway.hub.influx import Fault, InfluxError, InfluxWriter
from gateway.hub.points import reading_line
from gateway.hub.quarantine import set_aside
from gateway.hub.rooms import Rooms
from gateway.hub.rows import read_loggers
from gateway.hub.schema import epochs, projected, segments
from gateway.hub.store import Store, replace_row

log = logging.getLogger(__name__)

NAME = "influx"
SEGMENTS_MAX = 200
"""Segments in one step: some 2,000 readings of a vehicle, or a few full ones of a memory."""
LINES_MAX = 5000
"""Lines in one write; InfluxDB's own advice, about 500 KiB."""
EDGE_MS = 300_000
"""Merging looks so far around: a memory's record repeats a live one within half of its 5 minutes."""
FIRST_WAIT_S = 1.0
LONGEST_WAIT_S = 60.0
"""A server that has come back is noticed within a minute."""
ASKED_WAIT_MAX_S = 600.0
"""What a server asks for in Retry-After is kept up to so long."""
IDLE_S = 5.0


class Writer(Protocol):
    """What takes lines; see gateway.hub.influx."""

    def write(self, lines: Sequence[str]) -> None:
        """Write, or raise InfluxError."""


@dataclass(frozen=True, slots=True)
class _Portion:
    """Segments of one epoch that were not projected yet, and what they say."""

    epoch_id: int
    next_offset: int
    spans: tuple[Span, ...]


class Projection:
    """Projects what is stored. Blocking: call it from one thread."""

    def __init__(self, store: Store, archive: Archive, writer: Writer) -> None:
        self._store = store
        self._archive = archive
        self._writer = writer

    def step(self, now_ms: int) -> int:
        """Project the next segments; return how many lines were written, -1 if nothing waits. Raises InfluxError."""
        with self._store.read() as connection:
            portions = _read_portions(connection)
            offsets = {
                logger.address: logger.calibration.offset_c
                for logger in read_loggers(connection)
                if logger.calibration is not None
            }
        if not portions:
            return -1
        lines = self._lines([span for portion in portions for span in portion.spans], offsets)
        for start in range(0, len(lines), LINES_MAX):
            self._write(lines[start : start + LINES_MAX], now_ms)
        with self._store.write() as connection:
            for portion in portions:
                replace_row(
                    connection,
                    projected,
                    projection=NAME,
                    epoch_id=portion.epoch_id,
                    next_offset=portion.next_offset,
                )
        return len(lines)

    def _lines(self, spans: Sequence[Span], offsets: dict[str, float]) -> list[str]:
        """Return the settled readings of the spans, each once."""
        lines: dict[str, None] = {}
        for span in _join(spans):
            around = self._archive.observations(span.logger, span.first_ms - EDGE_MS, span.last_ms + EDGE_MS + 1)
            merged = merge_observations(around, offset_c=offsets.get(span.logger, 0.0))
            for reading in merged.readings:
                if span.first_ms <= reading.at_ms <= span.last_ms:
                    lines[reading_line(span.logger, reading)] = None
        return list(lines)

    def _write(self, lines: Sequence[str], now_ms: int) -> None:
        """Write lines; halve what is refused for its content until the lines at fault are alone."""
        waiting = [lines]
        while waiting:
            part = waiting.pop()
            try:
                self._writer.write(part)
            except InfluxError as error:
                if error.fault is not Fault.CONTENT:
                    raise
                if len(part) > 1:
                    middle = len(part) // 2
                    waiting += [part[middle:], part[:middle]]
                else:
                    self._set_aside(part[0], error.reason, now_ms)

    def _set_aside(self, line: str, reason: str, now_ms: int) -> None:
        log.warning("InfluxDB refused a point, it was set aside: %s", reason)
        with self._store.write() as connection:
            set_aside(
                connection,
                source="projection",
                gateway="hub",
                code="point_refused",
                reason=reason,
                data=line.encode(),
                now_ms=now_ms,
            )


async def run_projection(rooms: Rooms, work: Bell) -> None:
    """Project for ever."""
    writer = InfluxWriter(rooms.settings.influx)
    projection = Projection(rooms.store, rooms.archive, writer)
    wait_s = FIRST_WAIT_S
    try:
        while True:
            heard = work.rings
            try:
                written = await asyncio.to_thread(projection.step, rooms.clock.now_ms())
            except InfluxError as error:
                delay_s = min(max(wait_s, error.retry_after_s), ASKED_WAIT_MAX_S)
                log.warning("InfluxDB does not take readings, next attempt in %.0f s: %s", delay_s, error.reason)
                await asyncio.sleep(delay_s)
                wait_s = min(wait_s * 2, LONGEST_WAIT_S)
                continue
            wait_s = FIRST_WAIT_S
            if written < 0:
                await work.wait(heard, IDLE_S)
    finally:
        writer.close()


def _read_portions(connection: Connection) -> list[_Portion]:
    """Return the next chained segments that are not projected, epoch by epoch."""
    done = func.coalesce(projected.c.next_offset, 0)
    rows = connection.execute(
        select(epochs.c.id, epochs.c.gateway, epochs.c.next_offset, done.label("done"))
        .outerjoin(projected, (projected.c.epoch_id == epochs.c.id) & (projected.c.projection == NAME))
        .where(done < epochs.c.next_offset)
        .order_by(epochs.c.id)
        .limit(SEGMENTS_MAX)
    ).all()
    portions: list[_Portion] = []
    left = SEGMENTS_MAX
    for row in rows:
        until = min(row.next_offset, row.done + left)
        portions.append(_Portion(row.id, until, _read_spans(connection, row.id, row.gateway, row.done, until)))
        left -= until - row.done
        if left <= 0:
            break
    return portions


def _read_spans(connection: Connection, epoch_id: int, gateway: str, begin: int, end: int) -> tuple[Span, ...]:
    found = connection.execute(
        select(segments.c.verbatim).where(
            segments.c.epoch_id == epoch_id,
            segments.c.position >= begin,
            segments.c.position < end,
            segments.c.content == "readable",
        )
    ).scalars()
    spans: list[Span] = []
    for verbatim in found:
        segment = parse_segment(gateway, bytes(verbatim))
        spans += entries_of(decode_content(segment.body or b""))
    return tuple(spans)


def _join(spans: Sequence[Span]) -> list[Span]:
    """Join stretches of one logger that touch, so that each is read and merged once."""
    joined: list[Span] = []
    for span in sorted(spans, key=lambda span: (span.logger, span.first_ms)):
        if joined and joined[-1].logger == span.logger and span.first_ms <= joined[-1].last_ms + EDGE_MS:
            joined[-1] = replace(joined[-1], last_ms=max(joined[-1].last_ms, span.last_ms))
        else:
            joined.append(span)
    return joined
