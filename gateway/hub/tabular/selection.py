"""Which readings leave, and their rows: read a day of one logger at a time, however long the span is."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, func, select

from gateway.core.assignments import Tenure, offset_at, tenures_in, tenures_of
from gateway.core.configuration import Consignment, Logger
from gateway.core.errors import InputError
from gateway.core.exposure import to_ms
from gateway.core.readings import HALF_WRAP_MS, Reading, merge_observations
from gateway.hub.database.rows import read_loggers
from gateway.hub.database.schema import consignments, logger_hours
from gateway.hub.database.store import Store
from gateway.hub.record.archive import ALWAYS_MS, Archive
from gateway.hub.record.index import HOUR_MS

WINDOW_MS = 24 * HOUR_MS
"""Read at once: 2,880 readings of a logger that measures each 30 s."""
BEFORE_MS = HALF_WRAP_MS + HOUR_MS
"""Merging looks so far back: the same counter within half a wrap is the same measurement."""
AFTER_MS = HOUR_MS
"""And so far ahead: a memory's record gives way to what lies within half its interval, half an hour at the most."""


@dataclass(frozen=True, slots=True)
class Selection:
    """What is asked for: everything of these loggers and boxes and of this consignment, [from_ms, to_ms).

    Without any of the three it is all loggers; without a moment the span is open.
    """

    loggers: Sequence[str] = ()
    boxes: Sequence[str] = ()
    consignment: str | None = None
    from_ms: int | None = None
    to_ms: int | None = None

    @property
    def is_everything(self) -> bool:
        """Whether no logger, box or consignment is named."""
        return not (self.loggers or self.boxes or self.consignment)


@dataclass(frozen=True, slots=True)
class Piece:
    """One logger's part of a selection: [from_ms, to_ms). `known` is None for a logger that was only heard."""

    logger: str
    known: Logger | None
    from_ms: int
    to_ms: int


@dataclass(frozen=True, slots=True)
class Row:
    """A reading as it leaves: calibrated, with the box that its logger was in ("" if in none)."""

    logger: str
    box: str
    reading: Reading


def select_pieces(store: Store, selection: Selection) -> list[Piece]:
    """Return what a selection amounts to, by logger and time; raises InputError for what is not known."""
    with store.read() as connection:
        known = {logger.address: logger for logger in read_loggers(connection)}
        spans: dict[str, list[tuple[int, int]]] = {}
        asked_ms = (selection.from_ms or 0, ALWAYS_MS if selection.to_ms is None else selection.to_ms)
        for address, begins_ms, ends_ms in _find(connection, selection, known):
            span = (max(begins_ms, asked_ms[0]), min(ends_ms, asked_ms[1]))
            if span[0] < span[1]:
                spans.setdefault(address, []).append(span)
        return [
            Piece(address, known.get(address), *span)
            for address in sorted(spans)
            for span in _trimmed(connection, address, _joined(spans[address]))
        ]


def iter_rows(archive: Archive, pieces: Sequence[Piece]) -> Iterator[list[Row]]:
    """Yield the rows of a day of one logger at a time, in order of time within each piece."""
    for piece in pieces:
        for begins_ms in range(piece.from_ms, piece.to_ms, WINDOW_MS):
            if rows := _read_window(archive, piece, begins_ms, min(begins_ms + WINDOW_MS, piece.to_ms)):
                yield rows


def _read_window(archive: Archive, piece: Piece, begins_ms: int, ends_ms: int) -> list[Row]:
    tenures = [] if piece.known is None else tenures_of(piece.known)
    around = archive.observations(piece.logger, begins_ms - BEFORE_MS, ends_ms + AFTER_MS)
    within = [o.measured_at_ms for o in around if begins_ms <= o.measured_at_ms < ends_ms]
    rows = [
        Row(piece.logger, _box_at(tenures, reading.at_ms), reading)
        for offset_c in {_offset_at(piece.known, at_ms) for at_ms in within}  # one, unless a certificate changed
        for reading in merge_observations(around, offset_c=offset_c).readings
        if begins_ms <= reading.at_ms < ends_ms and _offset_at(piece.known, reading.at_ms) == offset_c
    ]
    return sorted(rows, key=lambda row: row.reading.at_ms)


def _offset_at(known: Logger | None, at_ms: int) -> float:
    return 0.0 if known is None else offset_at(known, at_ms)


def _box_at(tenures: Sequence[Tenure], at_ms: int) -> str:
    return next((tenure.box for tenure in reversed(tenures) if tenure.covers(at_ms)), "")


def _find(connection: Connection, selection: Selection, known: dict[str, Logger]) -> Iterator[tuple[str, int, int]]:
    """Yield (logger, from_ms, to_ms); they may overlap."""
    stored = list(_stored_loggers(connection)) if selection.is_everything or selection.loggers else []
    for address in stored if selection.is_everything else selection.loggers:
        if address not in stored and address not in known:
            raise InputError("--logger", f"nothing is known of a logger {address!r}")
        yield address, 0, ALWAYS_MS
    for box in selection.boxes:
        tenures = tenures_in(known.values(), box)
        if not tenures:
            raise InputError("--box", f"no logger was ever in a box {box!r}")
        yield from ((t.logger, t.from_ms, ALWAYS_MS if t.until_ms is None else t.until_ms) for t in tenures)
    if selection.consignment is not None:
        yield from _find_carried(connection, selection.consignment, known)


def _find_carried(connection: Connection, code: str, known: dict[str, Logger]) -> Iterator[tuple[str, int, int]]:
    document = connection.execute(select(consignments.c.document).where(consignments.c.code == code)).scalar()
    if document is None:
        raise InputError("--consignment", f"there is no consignment {code!r}")
    consignment = Consignment.model_validate_json(document)
    received = ALWAYS_MS if consignment.received_at is None else to_ms(consignment.received_at)
    carriages = [carriage for item in consignment.items for carriage in consignment.carriage_of(item)]
    for carriage in carriages:
        begins_ms = to_ms(carriage.begins)
        ends_ms = received if carriage.ends is None else min(received, to_ms(carriage.ends))
        for tenure in tenures_in(known.values(), carriage.box, begins_ms, ends_ms):
            until_ms = ALWAYS_MS if tenure.until_ms is None else tenure.until_ms
            yield tenure.logger, max(begins_ms, tenure.from_ms), min(ends_ms, until_ms)


def _stored_loggers(connection: Connection) -> Iterator[str]:
    """Yield who is in the index, by leaps: it has millions of rows, and few loggers."""
    last = ""
    while True:
        wanted = select(func.min(logger_hours.c.logger)).where(logger_hours.c.logger > last)
        found = connection.execute(wanted).scalar()
        if found is None:
            return
        yield found
        last = found


def _joined(spans: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    joined: list[tuple[int, int]] = []
    for begins_ms, ends_ms in sorted(spans):
        if joined and begins_ms <= joined[-1][1]:
            joined[-1] = (joined[-1][0], max(joined[-1][1], ends_ms))
        else:
            joined.append((begins_ms, ends_ms))
    return joined


def _trimmed(connection: Connection, logger: str, spans: Sequence[tuple[int, int]]) -> Iterator[tuple[int, int]]:
    """Yield the parts of spans in which anything is stored."""
    for begins_ms, ends_ms in spans:
        first, last = connection.execute(
            select(func.min(logger_hours.c.hour), func.max(logger_hours.c.hour)).where(
                logger_hours.c.logger == logger,
                logger_hours.c.hour >= begins_ms // HOUR_MS,
                logger_hours.c.hour <= ends_ms // HOUR_MS,
            )
        ).one()
        if first is not None:
            yield max(begins_ms, first * HOUR_MS), min(ends_ms, (last + 1) * HOUR_MS)
