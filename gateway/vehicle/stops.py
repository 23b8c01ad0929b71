"""Stops: where a vehicle stands still, told without telling where.

Pure; time comes in with each fix. A registered site is told by its name, any other place as "stop 1", "stop 2", … in
the order of this start of the gateway; a place that is visited again gets a new number, since nothing is remembered of
the old one. The only coordinates held are those of the place where the vehicle stands, or seems to, in memory alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import asin, cos, radians, sin, sqrt

from gateway.core.configuration import Site

STOP_RADIUS_M = 60
"""Fixes of a vehicle that stands still among buildings scatter by tens of metres."""
DWELL_S = 120
"""Shorter than a delivery, longer than a traffic light."""
LEAVE_RADIUS_M = 120
"""Twice the radius in which it came to stand: jitter at the edge is neither leaving nor coming."""
LEAVE_S = 20
"""So long outside before it counts: a single wild fix is none."""
ERROR_MAX_M = 100
"""A fix that its receiver calls less certain than this says nothing of a stop."""
_EARTH_M = 6_371_000


@dataclass(frozen=True, slots=True, repr=False)
class Fix:
    """A position in degrees (WGS 84). It has no repr, so that no log and no traceback can show it."""

    latitude: float
    longitude: float
    error_m: float | None


@dataclass(frozen=True, slots=True)
class StopChange:
    """The vehicle "arrived" at a place or "left" it, at a monotonic moment."""

    act: str
    place: str
    is_site: bool
    monotonic_ms: int


class StopDetector:
    """Turns fixes into arrivals and departures."""

    def __init__(self, sites: Sequence[Site] = ()) -> None:
        self.sites = sites
        self.count = 0
        """Stops numbered so far."""
        self._anchor: Fix | None = None
        self._radius_m = 0.0
        self._since_ms = 0
        self._place: tuple[str, bool] | None = None
        self._outside_ms: int | None = None

    @property
    def place(self) -> str:
        """Where the vehicle stands; empty while it does not, or nothing is known."""
        return self._place[0] if self._place is not None else ""

    def hear(self, fix: Fix, monotonic_ms: int) -> list[StopChange]:
        """Take a fix, in order of time."""
        if fix.error_m is not None and fix.error_m > ERROR_MAX_M:
            return []
        if self._anchor is None:
            self._begin(fix, monotonic_ms)
            return []
        if distance_m(self._anchor, fix) <= self._radius_m:
            self._outside_ms = None
            return self._dwell(monotonic_ms) if self._place is None else []
        if self._outside_ms is None:
            self._outside_ms = monotonic_ms
        if monotonic_ms - self._outside_ms < LEAVE_S * 1000:
            return []
        left = [] if self._place is None else [StopChange("left", *self._place, self._outside_ms)]
        self._begin(fix, monotonic_ms)
        return left

    def _begin(self, fix: Fix, monotonic_ms: int) -> None:
        self._anchor, self._radius_m, self._since_ms = fix, STOP_RADIUS_M, monotonic_ms
        self._place = self._outside_ms = None

    def _dwell(self, monotonic_ms: int) -> list[StopChange]:
        if self._anchor is None or monotonic_ms - self._since_ms < DWELL_S * 1000:
            return []
        near = [(distance_m(_centre(site), self._anchor), site) for site in self.sites]
        within = [(away_m, site) for away_m, site in near if away_m <= site.radius_m]
        if within:
            _, site = min(within, key=lambda pair: (pair[0], pair[1].name))
            self._place = (site.name, True)
            self._anchor, self._radius_m = _centre(site), site.radius_m + LEAVE_RADIUS_M - STOP_RADIUS_M
        else:
            self.count += 1
            self._place = (f"stop {self.count}", False)
            self._radius_m = LEAVE_RADIUS_M
        return [StopChange("arrived", *self._place, self._since_ms)]


def distance_m(one: Fix, other: Fix) -> float:
    """Return the distance over ground on a sphere, right to half a percent."""
    lat, other_lat = radians(one.latitude), radians(other.latitude)
    half_lat, half_lon = (other_lat - lat) / 2, radians(other.longitude - one.longitude) / 2
    return 2 * _EARTH_M * asin(min(1.0, sqrt(sin(half_lat) ** 2 + cos(lat) * cos(other_lat) * sin(half_lon) ** 2)))


def _centre(site: Site) -> Fix:
    return Fix(site.latitude, site.longitude, None)
