"""The four views in which every rule is followed, and what each sees of a span.

NOMINAL   what was measured, as it was measured: excursions, breaches and figures
PROVEN    measured time only, the uncertainty in the item's favour: what it breaks rejects
WORST     measured time only, the uncertainty against the item: what only it breaks is reviewed
POSSIBLE  gaps at their worst as well: what only it breaks is insufficient data
"""

from __future__ import annotations

from enum import IntEnum

from gateway.core.spans import Span, SpanKind


class Track(IntEnum):
    """Which view."""

    NOMINAL = 0
    PROVEN = 1
    WORST = 2
    POSSIBLE = 3


TRACKS = tuple(Track)


def range_seen(track: Track, span: Span) -> tuple[float, float] | None:
    """Return (low_c, high_c) that a view must reckon with, None if it sees nothing of this span."""
    if span.kind >= SpanKind.SILENT and track is not Track.POSSIBLE:
        return None
    if track is Track.NOMINAL:
        return span.nominal_c, span.nominal_c
    return span.low_c, span.high_c
