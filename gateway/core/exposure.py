"""Exposure: where an item was, and when, as a list of stretches that cover its time once.

A stretch is declared by a named sender, or carried in a box with a logger, or nobody speaks for it. An item's time
begins when it was collected or prepared and ends when it is received: what nobody speaks for in between is unmonitored.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

from pydantic import AwareDatetime

from gateway.core.configuration import Consignment, Item

HOUR_MS = 3_600_000


@dataclass(frozen=True, slots=True)
class Stretch:
    """A piece of an exposure: carried in `box`; or declared between low_c and high_c; or, with neither, unknown.

    `uncertainty_c` is that of the logger which measures in it, None if nobody states it.
    """

    begins_ms: int
    ends_ms: int | None
    box: str | None = None
    range_c: tuple[float, float] | None = None
    phase: str = "in_transit"
    uncertainty_c: float | None = None


def exposure_of(consignment: Consignment, item: Item) -> tuple[Stretch, ...]:
    """Return the item's stretches in order, without overlap; where both exist, measured wins over declared.

    What lies before it was collected or prepared, or after it was received, is none of its time.
    """
    begins_ms, received_ms = _life_begins_ms(item), _optional_ms(consignment.received_at)
    carried = _without_overlap(
        Stretch(to_ms(carriage.begins), _optional_ms(carriage.ends), carriage.box, phase=carriage.phase)
        for carriage in consignment.carriage_of(item)
    )
    declared = [
        piece
        for stretch in item.declared
        for piece in _subtract(
            Stretch(to_ms(stretch.begins), to_ms(stretch.ends), range_c=(stretch.low_c, stretch.high_c)), carried
        )
    ]
    spoken_for = clip_exposure(_without_overlap([*carried, *declared]), begins_ms, received_ms)
    return tuple(_with_unknown(spoken_for, begins_ms, received_ms))


def to_ms(moment: AwareDatetime) -> int:
    """Return UTC milliseconds."""
    return round(moment.timestamp() * 1000)


def clip_exposure(exposure: Iterable[Stretch], begins_ms: int | None, ends_ms: int | None) -> tuple[Stretch, ...]:
    """Return the part of an exposure within [begins_ms, ends_ms); None is open."""
    part = list(exposure)
    if ends_ms is not None:
        part = _clipped(part, ends_ms)
    if begins_ms is None:
        return tuple(part)
    return tuple(
        replace(stretch, begins_ms=max(stretch.begins_ms, begins_ms))
        for stretch in part
        if stretch.ends_ms is None or stretch.ends_ms > begins_ms
    )


def _optional_ms(moment: AwareDatetime | None) -> int | None:
    return None if moment is None else to_ms(moment)


def _clipped(stretches: Iterable[Stretch], end_ms: int) -> list[Stretch]:
    return [
        replace(stretch, ends_ms=end_ms if stretch.ends_ms is None else min(stretch.ends_ms, end_ms))
        for stretch in stretches
        if stretch.begins_ms < end_ms
    ]


def _without_overlap(stretches: Iterable[Stretch]) -> list[Stretch]:
    """An item is in one place: the stretch that begins later counts, and the one before goes on if it outlasts it."""
    placed: list[Stretch] = []
    for stretch in sorted(stretches, key=lambda stretch: (stretch.begins_ms, stretch.box or "")):
        placed = [*_subtract_all(placed, stretch), stretch]
    return sorted(placed, key=lambda stretch: stretch.begins_ms)


def _subtract(stretch: Stretch, others: Iterable[Stretch]) -> list[Stretch]:
    """Return what is left of a stretch outside the others."""
    pieces = [stretch]
    for other in others:
        pieces = _subtract_all(pieces, other)
    return pieces


def _subtract_all(pieces: Iterable[Stretch], other: Stretch) -> list[Stretch]:
    return [left for piece in pieces for left in _subtract_one(piece, other)]


def _subtract_one(piece: Stretch, other: Stretch) -> Iterator[Stretch]:
    """Yield what is left of a piece outside another; one without an end is over when the other begins."""
    if _ends_by(piece, other.begins_ms) or _ends_by(other, piece.begins_ms):
        yield piece
        return
    if other.begins_ms > piece.begins_ms:
        yield replace(piece, ends_ms=other.begins_ms)
    if other.ends_ms is not None and piece.ends_ms is not None and other.ends_ms < piece.ends_ms:
        yield replace(piece, begins_ms=other.ends_ms)


def _ends_by(stretch: Stretch, at_ms: int) -> bool:
    return stretch.ends_ms is not None and stretch.ends_ms <= at_ms


def _life_begins_ms(item: Item) -> int | None:
    moments = [to_ms(moment) for moment in (item.collected_at, item.prepared_at) if moment is not None]
    return min(moments, default=None)


def _with_unknown(stretches: Sequence[Stretch], begins_ms: int | None, received_ms: int | None) -> Iterator[Stretch]:
    """Yield the stretches, with an unknown one wherever nobody speaks for the item's time."""
    if not stretches:
        return
    first, last = stretches[0], stretches[-1]
    if begins_ms is not None and begins_ms < first.begins_ms:
        yield Stretch(begins_ms, first.begins_ms)
    for stretch, following in pairwise(stretches):
        yield stretch
        if stretch.ends_ms is not None and stretch.ends_ms < following.begins_ms:
            yield Stretch(stretch.ends_ms, following.begins_ms)
    yield last
    if received_ms is not None and last.ends_ms is not None and last.ends_ms < received_ms:
        yield Stretch(last.ends_ms, received_ms)
