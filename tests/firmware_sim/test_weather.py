import pytest

from firmware_sim.physics import STEP_S
from firmware_sim.weather import Curve, Place

OUTSIDE = Curve([(0, -10.0), (3600, 0.0), (7200, -5.0)])


@pytest.mark.parametrize(("seconds", "celsius"), [(-5, -10), (0, -10), (1800, -5), (3600, 0), (5400, -2.5), (9999, -5)])
def test_curve_is_linear_between_its_points(seconds: float, celsius: float) -> None:
    assert OUTSIDE.at(seconds) == pytest.approx(celsius)


def test_place_without_lag_is_the_weather() -> None:
    place = Place(OUTSIDE, heated_to_c=None, starts_at_c=None, lag_s=0)
    assert place.at_step(int(1800 / STEP_S)) == pytest.approx(-5)


def test_heater_only_heats() -> None:
    warm = Curve([(0, 10.0), (1000, 40.0)])
    place = Place(warm, heated_to_c=21.0, starts_at_c=None, lag_s=0)
    assert place.at_step(0) == 21
    assert place.at_step(int(1000 / STEP_S)) == 40


def test_lag() -> None:
    place = Place(Curve([(0, 0.0)]), heated_to_c=None, starts_at_c=10.0, lag_s=600)
    assert place.at_step(0) == 10
    assert place.at_step(int(600 / STEP_S)) == pytest.approx(10 / 2.71828, rel=0.001)
    assert place.at_step(3) > place.at_step(4)  # asked again, further back
