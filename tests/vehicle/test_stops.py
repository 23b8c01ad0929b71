"""Stops from fixes that scatter, jump and fail."""

from __future__ import annotations

import random
from collections.abc import Iterator
from itertools import groupby
from math import cos, radians

from hypothesis import given
from hypothesis import strategies as st

from gateway.core.configuration import Site
from gateway.vehicle.stops import DWELL_S, Fix, StopChange, StopDetector, distance_m

LAB = Site(name="LAB", latitude=60.38, longitude=5.33, radius_m=150)
WARD = Site(name="WARD", latitude=60.40, longitude=5.33, radius_m=100)
HOME = (60.391234, 5.345678)


def near(place: tuple[float, float], rng: random.Random, scatter_m: float) -> Fix:
    """A fix that is off by a normal error, as receivers are between houses."""
    north, east = (rng.gauss(0, scatter_m / 2) for _ in range(2))
    latitude = place[0] + north / 111_195
    return Fix(latitude, place[1] + east / (111_195 * cos(radians(place[0]))), scatter_m)


class Drive:
    """A drive with one fix a second."""

    def __init__(self, *sites: Site, seed: int = 1, scatter_m: float = 10) -> None:
        self.detector = StopDetector(sites)
        self.rng, self.scatter_m = random.Random(seed), scatter_m  # noqa: S311  a test
        self.at_ms = 0
        self.here = (60.30, 5.30)
        self.told: list[StopChange] = []

    def stand(self, seconds: int) -> Drive:
        for _ in range(seconds):
            self._hear(near(self.here, self.rng, self.scatter_m))
        return self

    def go(self, to: tuple[float, float], *, metres_per_s: float = 12) -> Drive:
        way_m = distance_m(Fix(*self.here, None), Fix(*to, None))
        count = max(1, round(way_m / metres_per_s))
        begin = self.here
        for step in range(1, count + 1):
            self.here = tuple(a + (b - a) * step / count for a, b in zip(begin, to, strict=True))  # type: ignore[assignment]  # two of them
            self._hear(near(self.here, self.rng, self.scatter_m))
        return self

    def _hear(self, fix: Fix) -> None:
        self.at_ms += 1000
        self.told += self.detector.hear(fix, self.at_ms)

    def acts(self) -> list[tuple[str, str]]:
        return [(change.act, change.place) for change in self.told]


def test_sites_are_named_and_other_stops_numbered() -> None:
    drive = Drive(LAB, WARD).go((60.40, 5.33)).stand(300).go(HOME).stand(300).go((60.38, 5.33)).stand(300)
    assert drive.acts() == [
        ("arrived", "WARD"),
        ("left", "WARD"),
        ("arrived", "stop 1"),
        ("left", "stop 1"),
        ("arrived", "LAB"),
    ]
    assert [change.is_site for change in drive.told] == [True, True, False, False, True]
    assert drive.detector.place == "LAB"


def test_the_same_home_again_gets_another_number() -> None:
    drive = Drive().go(HOME).stand(200).go((60.30, 5.30)).go(HOME).stand(200)
    assert [place for act, place in drive.acts() if act == "arrived"] == ["stop 1", "stop 2"]


def test_a_traffic_light_is_no_stop() -> None:
    assert Drive().go((60.31, 5.30)).stand(DWELL_S - 20).go((60.33, 5.30)).acts() == []


def test_an_arrival_is_dated_back_to_when_it_came_to_stand() -> None:
    drive = Drive().go(HOME)
    arrived_ms = drive.at_ms
    drive.stand(300)
    assert abs(drive.told[0].monotonic_ms - arrived_ms) <= 15_000


def test_wild_fixes_end_no_stop() -> None:
    drive = Drive().go(HOME).stand(300)
    for _ in range(20):
        drive._hear(Fix(HOME[0] + 0.05, HOME[1], 30))
        drive.stand(5)
    assert drive.acts() == [("arrived", "stop 1")]


def test_fixes_that_say_they_are_bad_are_not_heard() -> None:
    detector = StopDetector()
    for second in range(500):
        assert detector.hear(Fix(*HOME, 400.0), second * 1000) == []


def test_of_sites_within_each_other_the_nearer_one_counts() -> None:
    campus = Site(name="CAMPUS", latitude=60.381, longitude=5.33, radius_m=1000)
    assert Drive(campus, LAB).go((60.38, 5.33)).stand(200).acts() == [("arrived", "LAB")]


def test_a_fix_shows_itself_to_nobody() -> None:
    assert "60.39" not in f"{Fix(*HOME, 5.0)!r} {Fix(*HOME, 5.0)!s}"


def strands(drive: Drive, legs: list[tuple[float, float, int]]) -> Iterator[None]:
    for latitude, longitude, seconds in legs:
        drive.go((60.3 + latitude, 5.3 + longitude), metres_per_s=15).stand(seconds)
        yield


@given(
    legs=st.lists(
        st.tuples(st.floats(-0.02, 0.02), st.floats(-0.04, 0.04), st.integers(0, 400)), min_size=1, max_size=5
    ),
    scatter_m=st.floats(0, 25),
    seed=st.integers(0, 999),
)
def test_arrivals_and_departures_alternate_and_belong_together(
    legs: list[tuple[float, float, int]], scatter_m: float, seed: int
) -> None:
    drive = Drive(LAB, seed=seed, scatter_m=scatter_m)
    for _ in strands(drive, legs):
        pass
    for place, changes in groupby(drive.told, key=lambda change: change.place):
        acts = [change.act for change in changes]
        assert acts == ["arrived", "left"] or (acts == ["arrived"] and place == drive.detector.place)
    times = [change.monotonic_ms for change in drive.told]
    assert times == sorted(times)
    numbered = [change.place for change in drive.told if change.act == "arrived" and not change.is_site]
    assert numbered == [f"stop {number}" for number in range(1, len(numbered) + 1)]
    stood = sum(seconds >= 2 * DWELL_S for _, _, seconds in legs)
    assert drive.acts().count(("arrived", "LAB")) + len(numbered) >= min(stood, 1)
