"""The bands of a profile as a table to look temperatures up in."""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass

from gateway.core.profiles import Band


@dataclass(frozen=True, slots=True, eq=False)
class Touched:
    """What a temperature range meets. One object for each outcome, so that it can be a key.

    slots     the table's slots that it covers, coldest first
    slot      the only one of them, -1 if there are several
    bands     those of them that are bands, by index, coldest first
    unstated  whether it leaves all bands somewhere
    """

    slots: range
    slot: int
    bands: tuple[int, ...]
    unstated: bool


class BandTable:
    """The bands, coldest first, and between them what nobody stated: slots that cover all temperatures once.

    A value that two bands share belongs to the lower one.
    """

    def __init__(self, bands: Sequence[Band]) -> None:
        self.bands = tuple(sorted(bands, key=lambda band: band.low_c))
        self.index = {band.name: place for place, band in enumerate(self.bands)}
        self._uppers_c: list[float] = []  # each slot's highest temperature
        self.band_of_slot: list[int | None] = []
        reached_c = -math.inf
        for place, band in enumerate(self.bands):
            if band.low_c > reached_c:
                self._uppers_c.append(math.nextafter(band.low_c, -math.inf))
                self.band_of_slot.append(None)
            self._uppers_c.append(band.high_c)
            self.band_of_slot.append(place)
            reached_c = band.high_c
        if reached_c < math.inf:
            self._uppers_c.append(math.inf)
            self.band_of_slot.append(None)
        self._outcomes: dict[tuple[int, int], Touched] = {}
        self._latest: Touched | None = None  # of a range within one slot: most ranges lie where the last one did
        self._latest_from_c, self._latest_to_c = math.inf, -math.inf

    def touch(self, low_c: float, high_c: float) -> Touched:
        """Return what the range meets."""
        if self._latest is not None and self._latest_from_c <= low_c and high_c <= self._latest_to_c:
            return self._latest
        first, last = bisect_left(self._uppers_c, low_c), bisect_left(self._uppers_c, high_c)
        touched = self._outcomes.get((first, last))
        if touched is None:
            touched = self._outcomes[first, last] = self._touched(range(first, last + 1))
        if first == last:
            self._latest = touched
            self._latest_to_c = self._uppers_c[first]
            self._latest_from_c = math.nextafter(self._uppers_c[first - 1], math.inf) if first else -math.inf
        return touched

    def bounds_c(self, slot: int) -> tuple[float, float]:
        """Return what a slot's temperatures are above, and their highest."""
        return (self._uppers_c[slot - 1] if slot else -math.inf), self._uppers_c[slot]

    def _touched(self, slots: range) -> Touched:
        met = [self.band_of_slot[slot] for slot in slots]
        only = slots.start if len(slots) == 1 else -1
        return Touched(slots, only, tuple(band for band in met if band is not None), None in met)
