"""The table of bands: what a temperature range meets."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.bands import BandTable
from gateway.core.profiles import Band
from tests.core.specimens import examples

COLD, MILD, ROOM = (
    Band(name="cold", from_c=2, to_c=8),
    Band(name="mild", from_c=8, to_c=15),
    Band(name="room", from_c=20, to_c=25),
)
TABLE = BandTable([ROOM, COLD, MILD])


@pytest.mark.parametrize(
    ("low_c", "high_c", "bands", "unstated"),
    [
        (5, 5, (0,), False),
        (2, 8, (0,), False),
        (8, 8, (0,), False),  # shared: the lower one
        (8.001, 8.001, (1,), False),
        (8, 9, (0, 1), False),
        (7.5, 8.5, (0, 1), False),
        (2, 15, (0, 1), False),
        (1.999, 1.999, (), True),
        (1.5, 2.5, (0,), True),
        (15, 15, (1,), False),
        (15, 15.001, (1,), True),
        (17, 18, (), True),
        (14, 21, (1, 2), True),
        (25, 25, (2,), False),
        (25.001, 30, (), True),
        (-20, 40, (0, 1, 2), True),
    ],
)
def test_what_a_range_meets(low_c: float, high_c: float, bands: tuple[int, ...], *, unstated: bool) -> None:
    touched = TABLE.touch(low_c, high_c)
    assert (touched.bands, touched.unstated) == (bands, unstated)


def test_open_bands_leave_nothing_unstated() -> None:
    table = BandTable([Band(name="up", from_c=8), Band(name="down", to_c=8)])
    assert [table.touch(c, c).bands for c in (-273.15, 8, 8.001, 200)] == [(0,), (0,), (1,), (1,)]
    assert not table.touch(-math.inf, math.inf).unstated


def test_without_bands_everything_is_unstated() -> None:
    assert BandTable([]).touch(5, 5).unstated


temperatures = st.sampled_from([2, 8, 15, 20, 25]) | st.floats(-30, 40)


@examples
@given(st.lists(st.tuples(temperatures, temperatures), max_size=20))
def test_what_was_looked_up_before_does_not_matter(pairs: list[tuple[float, float]]) -> None:
    table = BandTable([COLD, MILD, ROOM])
    for pair in pairs:
        low_c, high_c = sorted(pair)
        once = BandTable([COLD, MILD, ROOM]).touch(low_c, high_c)
        touched = table.touch(low_c, high_c)
        assert (touched.bands, touched.unstated) == (once.bands, once.unstated)
        assert table.touch(low_c, high_c) is touched


@examples
@given(temperatures)
def test_each_temperature_has_one_place(temperature_c: float) -> None:
    touched = TABLE.touch(temperature_c, temperature_c)
    assert len(touched.slots) == 1
    assert touched.unstated is (touched.bands == ())
    inside = [place for place, band in enumerate(TABLE.bands) if band.low_c <= temperature_c <= band.high_c]
    assert touched.bands == tuple(inside[:1])
