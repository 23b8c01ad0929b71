"""The expected figures are those of a 30 cm cube with 2 kg of water and 2 kg of PCM (200 kJ/kg at 5 °C)."""

from collections.abc import Callable

import pytest

from firmware_sim.physics import STEP_S, WALL_W_PER_K, WATER_J_PER_KG_K, Box, BoxDesign, Pcm

HEAT_J_PER_K = 2 * WATER_J_PER_KG_K + 2 * 2000
WITHIN = 0.06  # the figures treat the content as one node, with no air and no lid


def box(kind: str, solid_fraction: float = 1.0, **pcm: float) -> Box:
    return Box(BoxDesign(WALL_W_PER_K[kind], pcm=Pcm(2.0, solid_fraction=solid_fraction, **pcm)))


def hours_until(box: Box, surroundings_c: float, condition: Callable[[Box], object]) -> float:
    hours = 0.0
    while not condition(box):
        box.step(surroundings_c, is_open=False)
        hours += STEP_S / 3600
        assert hours < 50
    return hours


@pytest.mark.parametrize(("kind", "hours"), [("eps", 7.51), ("pur", 8.74), ("vip", 21.3)])
def test_time_constant(kind: str, hours: float) -> None:
    assert HEAT_J_PER_K / WALL_W_PER_K[kind] / 3600 == pytest.approx(hours, rel=0.005)


@pytest.mark.parametrize(
    ("kind", "surroundings_c", "hours"),
    [
        ("eps", 25, 12.1),
        ("eps", 50, 5.4),
        ("eps", -20, 9.7),
        ("pur", 25, 14.1),
        ("pur", 50, 6.3),
        ("pur", -20, 11.3),
        ("vip", 25, 34.5),
        ("vip", 50, 15.3),
        ("vip", -20, 27.6),
    ],
)
def test_plateau(kind: str, surroundings_c: float, hours: float) -> None:
    starts_solid = surroundings_c > 5
    done = (lambda box: box.solid_fraction == 0) if starts_solid else (lambda box: box.solid_fraction == 1)
    tried = box(kind, solid_fraction=1.0 if starts_solid else 0.0)
    assert hours_until(tried, surroundings_c, done) == pytest.approx(hours, rel=WITHIN)
    assert tried.payload_c == pytest.approx(5, abs=0.6)


@pytest.mark.parametrize(("kind", "hours"), [("eps", 0.96), ("pur", 1.12), ("vip", 2.73)])
def test_frozen_pack_in_winter(kind: str, hours: float) -> None:
    assert hours_until(box(kind), -20, lambda box: box.payload_c <= 2) == pytest.approx(hours, rel=0.12)


@pytest.mark.parametrize(("kind", "hours"), [("eps", 0.52), ("pur", 0.60), ("vip", 1.47)])
def test_melted_pack_in_summer(kind: str, hours: float) -> None:
    tried = box(kind, solid_fraction=0.0)
    assert hours_until(tried, 50, lambda box: box.payload_c >= 8) == pytest.approx(hours, rel=0.15)


def test_pack_from_the_freezer_freezes_the_payload() -> None:
    tried = box("eps", temperature_c=-18.0)
    hours_until(tried, 21, lambda box: box.payload_c < 0)


def test_warm_pack_cools_nothing() -> None:
    tried = box("eps", temperature_c=20.0)
    assert tried.solid_fraction == 0
    hours_until(tried, 21, lambda box: box.payload_c > 8)


def test_open_lid_moves_the_air_and_hardly_the_payload() -> None:
    tried = box("eps")
    for _ in range(int(120 / STEP_S)):
        tried.step(21, is_open=True)
    assert tried.air_c > 11
    assert 5 < tried.logger_c < 8.5
    assert tried.payload_c < 5.5
    for _ in range(int(120 / STEP_S)):
        tried.step(21, is_open=False)
    assert tried.air_c < 6


def test_logger_lags() -> None:
    tried = Box(BoxDesign(WALL_W_PER_K["none"], payload_kg=50.0, payload_c=20.0, logger_lag_s=600.0))
    tried.logger_c = 0.0
    minutes = 60 * hours_until(tried, 20, lambda box: box.logger_c >= 18)
    assert minutes == pytest.approx(23.0, abs=0.2)


def test_no_heat_is_made_or_lost() -> None:
    design = BoxDesign(wall_w_per_k=1e-12, payload_c=15.0, pcm=Pcm(2.0, temperature_c=-10.0), air_j_per_k=1e-9)
    tried = Box(design)
    for _ in range(20_000):
        tried.step(15, is_open=False)
    # Down to 5 °C the payload gives more than the pack takes up to there; what is left melts a part of the pack.
    assert tried.payload_c == pytest.approx(5.0, abs=0.01)
    assert tried.solid_fraction == pytest.approx(1 - (2 * WATER_J_PER_KG_K * 10 - 2 * 2000 * 15) / 400_000, abs=0.002)
