"""The index of the archive: which chained segments hold observations of a logger in a stretch of time."""

from __future__ import annotations

from sqlalchemy import Connection, insert, select

from gateway.core.contents import Content
from gateway.hub.dirty import Span
from gateway.hub.schema import segment_loggers

ENTRY_MS_MAX = 6 * 3_600_000
"""No entry spans more, so that a search looks back at most so far, even where a memory's ten days fill one segment."""


def index_content(connection: Connection, segment_id: int, content: Content) -> list[Span]:
    """Add the entries of one segment; return the stretch of each logger in it."""
    times = _times_by_logger(content)
    entries = [
        {"logger": entry.logger, "first_ms": entry.first_ms, "last_ms": entry.last_ms, "segment_id": segment_id}
        for entry in _entries(times)
    ]
    if entries:
        connection.execute(insert(segment_loggers), entries)
    return [Span(logger, min(measured), max(measured)) for logger, measured in times.items()]


def entries_of(content: Content) -> list[Span]:
    """Return what the index must say of a segment's content."""
    return _entries(_times_by_logger(content))


def find_segments(connection: Connection, logger: str, from_ms: int, to_ms: int) -> list[int]:
    """Return the ids of the segments that may hold observations of `logger` with from_ms <= time < to_ms, ascending."""
    entry = segment_loggers.c
    rows = connection.execute(
        select(entry.segment_id)
        .where(
            entry.logger == logger,
            entry.first_ms >= from_ms - ENTRY_MS_MAX,
            entry.first_ms < to_ms,
            entry.last_ms >= from_ms,
        )
        .distinct()
        .order_by(entry.segment_id)
    )
    return [int(row.segment_id) for row in rows]


def _times_by_logger(content: Content) -> dict[str, list[int]]:
    times: dict[str, list[int]] = {}
    for observation in content.observations:
        times.setdefault(observation.logger, []).append(observation.measured_at_ms)
    return times


def _entries(times: dict[str, list[int]]) -> list[Span]:
    return [Span(logger, *span) for logger, measured in times.items() for span in _split(sorted(measured))]


def _split(times: list[int]) -> list[tuple[int, int]]:
    spans: list[tuple[int, int]] = []
    for time in times:
        if spans and time - spans[-1][0] <= ENTRY_MS_MAX:
            spans[-1] = (spans[-1][0], time)
        else:
            spans.append((time, time))
    return spans
