"""Fewer points for the same picture: of each column of pixels the first, the lowest, the highest and the last (M4).

No extreme disappears, and a line through what is left paints the pixels that a line through all would.
"""

from __future__ import annotations

from bisect import bisect_left

from gateway.core.columns import Columns


def decimate(columns: Columns, places: tuple[int, int], span: tuple[int, int], count: int) -> list[int]:
    """Return which of the readings from one place to another to keep, in order.

    `span` (UTC in ms) is what `count` columns of pixels divide evenly.
    """
    at_ms, temperature_c = columns.at_ms, columns.temperature_c
    first, end = places
    from_ms, length_ms = span[0], span[1] - span[0]
    kept: list[int] = []
    while first < end:
        column = (at_ms[first] - from_ms) * count // length_ms
        ends_ms = from_ms - (-(column + 1) * length_ms // count)  # rounded up: the first moment of the next
        after = bisect_left(at_ms, ends_ms, first, end)
        if after - first <= 2:  # noqa: PLR2004  the first and the last
            kept += range(first, after)
        else:
            part = temperature_c[first:after]
            low, high = first + part.index(min(part)), first + part.index(max(part))
            kept += sorted({first, low, high, after - 1})
        first = after
    return kept
