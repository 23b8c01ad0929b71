"""The worked vectors of the stability maths, to six significant digits."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from itertools import pairwise

import pytest

from gateway.core.laws import Modelled
from gateway.core.profiles import ModelLife
from gateway.core.stability import (
    GAS_CONSTANT_KJ_MOL_K,
    KELVIN,
    Rate,
    arrhenius_rate,
    damage_of_linear_q10,
    damage_of_samples,
    damage_of_segments,
    kinetic_mean_c,
    mean_kinetic_temperature_c,
    q10_rate,
    relaxed_c,
    tent_c,
)

six_digits = partial(pytest.approx, rel=5e-6)

LIFE_H, REFERENCE_C, Q10, CONSTANT_K = 720.0, 5.0, 3.0, 10_000.0
SEGMENTS = [(4.0, 5.0), (1.0, 12.0), (0.5, 25.0), (2.0, 8.0)]
BY_Q10 = q10_rate(LIFE_H, REFERENCE_C, Q10)
BY_ARRHENIUS = arrhenius_rate(LIFE_H, REFERENCE_C, CONSTANT_K)


@pytest.mark.parametrize(
    ("rate", "temperature_c", "life_h", "damage"),
    [
        (BY_ARRHENIUS, 5, 720, 0.00555556),
        (BY_ARRHENIUS, 12, 297.879, 0.00335706),
        (BY_ARRHENIUS, 25, 64.5597, 0.00774476),
        (BY_ARRHENIUS, 8, 490.600, 0.00407664),
        (BY_Q10, 5, 720, 0.00555556),
        (BY_Q10, 12, 333.693, 0.00299676),
        (BY_Q10, 25, 80, 0.00625000),
        (BY_Q10, 8, 517.841, 0.00386219),
    ],
)
def test_life_at_a_temperature_and_what_a_segment_spends(
    rate: Rate, temperature_c: float, life_h: float, damage: float
) -> None:
    assert 1 / rate(temperature_c) == six_digits(life_h)
    (segment,) = [segment for segment in SEGMENTS if segment[1] == temperature_c]
    assert damage_of_segments(rate, [segment]) == six_digits(damage)


@pytest.mark.parametrize(
    ("rate", "damage", "left_at_5_h", "left_at_25_h"),
    [(BY_ARRHENIUS, 0.0207340, 705.072, 63.2212), (BY_Q10, 0.0186645, 706.562, 78.5068)],
)
def test_what_is_left_after_the_segments(rate: Rate, damage: float, left_at_5_h: float, left_at_25_h: float) -> None:
    spent = damage_of_segments(rate, SEGMENTS)
    assert spent == six_digits(damage)
    assert (1 - spent) / rate(5) == six_digits(left_at_5_h)
    assert (1 - spent) / rate(25) == six_digits(left_at_25_h)


@pytest.mark.parametrize(("temperature_c", "q10"), [(5, 3.48225), (15, 3.20266)])
def test_q10_from_the_temperature_constant(temperature_c: float, q10: float) -> None:
    assert BY_ARRHENIUS(temperature_c + 10) / BY_ARRHENIUS(temperature_c) == six_digits(q10)


def test_mean_kinetic_temperature_of_the_segments() -> None:
    mkt_c = mean_kinetic_temperature_c(SEGMENTS, CONSTANT_K * GAS_CONSTANT_KJ_MOL_K)
    assert mkt_c is not None
    assert mkt_c == six_digits(10.4297)
    assert mkt_c + KELVIN == six_digits(283.580)
    assert sum(hours * c for hours, c in SEGMENTS) / 7.5 == six_digits(8.06667)


def test_the_life_at_the_mean_kinetic_temperature_gives_the_same_damage() -> None:
    mkt_c = mean_kinetic_temperature_c(SEGMENTS, CONSTANT_K * GAS_CONSTANT_KJ_MOL_K)
    assert mkt_c is not None
    assert 7.5 * BY_ARRHENIUS(mkt_c) == pytest.approx(damage_of_segments(BY_ARRHENIUS, SEGMENTS), rel=1e-12)


def test_mean_kinetic_temperature_of_equal_weights() -> None:
    temperatures_c = [2, 5, 8, 12, 25, 6]
    mkt_c = mean_kinetic_temperature_c([(1, c) for c in temperatures_c], CONSTANT_K * GAS_CONSTANT_KJ_MOL_K)
    assert mkt_c is not None
    assert mkt_c == six_digits(13.6989)
    assert mkt_c + KELVIN == six_digits(286.849)
    assert sum(temperatures_c) / 6 == six_digits(9.66667)


def test_there_is_no_mean_kinetic_temperature_of_nothing() -> None:
    assert mean_kinetic_temperature_c([], 83.144) is None
    assert kinetic_mean_c(0.0, 1.0, 10_000) is None


def test_azacitidine_fitted_to_its_published_losses() -> None:
    k_room = -math.log(1 - 0.15) / 9.6
    k_cold = -math.log(1 - 0.32) / 96
    assert k_room == six_digits(0.0169291)
    assert k_cold == six_digits(0.00401732)
    constant_k = math.log(k_room / k_cold) / (1 / (4 + KELVIN) - 1 / (23 + KELVIN))
    # With R unrounded; the pharmacopoeia's rounded R moves the sixth digit.
    assert constant_k * 8.314462618e-3 == six_digits(51.6645)
    t90_room_h, t90_cold_h = (math.log(1 / 0.9) / k for k in (k_room, k_cold))
    assert t90_room_h == six_digits(6.22365)
    assert t90_cold_h == six_digits(26.2266)
    assert 1 / arrhenius_rate(t90_cold_h, 4, constant_k)(23) == pytest.approx(t90_room_h, rel=1e-12)


BETWEEN = [(0.25 * place, c) for place, c in enumerate((5, 5, 9, 14, 10))]


def _held(choose: Callable[[float, float], float]) -> float:
    return damage_of_segments(BY_Q10, [(0.25, choose(before, after)) for (_, before), (_, after) in pairwise(BETWEEN)])


@pytest.mark.parametrize(
    ("damage", "expected", "against_exact"),
    [
        (_held(lambda before, _: before), 0.00216657, -0.0399),
        (damage_of_samples(BY_Q10, BETWEEN), 0.00229366, 0.0164),
        (damage_of_linear_q10(LIFE_H, REFERENCE_C, Q10, BETWEEN), 0.00225659, 0),
        (_held(lambda _, after: after), 0.00242075, 0.073),
        (_held(max), 0.00275264, 0.220),
    ],
    ids=["previous hold", "trapezoid", "exact", "next hold", "worse end"],
)
def test_between_samples(damage: float, expected: float, against_exact: float) -> None:
    assert damage == six_digits(expected)
    assert damage / 0.00225659 - 1 == pytest.approx(against_exact, abs=5e-4)


def _integrated(rate: Rate, course: Callable[[float], float], until_h: float) -> float:
    """Simpson's rule, fine enough for ten digits."""
    count = 2000
    step_h = until_h / count
    weights = [1, *(4 if place % 2 else 2 for place in range(1, count)), 1]
    values = (weight * rate(course(place * step_h)) for place, weight in enumerate(weights))
    return math.fsum(values) * step_h / 3


def test_arrhenius_between_samples() -> None:
    def linear(hours: float) -> float:
        place = min(int(hours / 0.25), 3)
        before, after = BETWEEN[place][1], BETWEEN[place + 1][1]
        return before + (after - before) * (hours / 0.25 - place)

    def after(begin_h: float) -> Callable[[float], float]:
        return lambda hours: linear(begin_h + hours)

    exact = math.fsum(_integrated(BY_ARRHENIUS, after(begin_h), 0.25) for begin_h, _ in BETWEEN[:-1])
    assert exact == six_digits(0.00244888)
    assert damage_of_samples(BY_ARRHENIUS, BETWEEN) == six_digits(0.00249791)


def test_exact_damage_of_a_flat_stretch_is_that_of_the_segment() -> None:
    flat = damage_of_linear_q10(LIFE_H, REFERENCE_C, Q10, [(0, 12), (1, 12)])
    assert flat == pytest.approx(damage_of_segments(BY_Q10, [(1, 12)]), rel=1e-12)


def test_gap_tent() -> None:
    tent = tent_c(5, 8, 2, 3)
    assert tent == [(0, 5), (six_digits(1.5), six_digits(9.5)), (2, 8)]
    assert damage_of_linear_q10(LIFE_H, REFERENCE_C, Q10, tent) == six_digits(0.00374445)


def test_gap_that_the_slew_limit_cannot_bridge_is_a_straight_line() -> None:
    assert tent_c(5, 20, 2, 3) == [(0, 5), (2, 20)]


def test_open_end_relaxes_towards_the_ambient() -> None:
    assert relaxed_c(5, 25, 2, 6) == six_digits(10.6694)
    damage = _integrated(BY_Q10, lambda hours: relaxed_c(5, 25, hours, 6), 2)
    assert damage == six_digits(0.00392088)


@pytest.mark.parametrize(("rate", "factor"), [(BY_Q10, 1.05647), (BY_ARRHENIUS, 1.06664)])
def test_half_a_kelvin_of_sensor_error(rate: Rate, factor: float) -> None:
    assert rate(5.5) / rate(5) == six_digits(factor)


def test_a_profiles_arrhenius_law_uses_the_pharmacopoeias_gas_constant() -> None:
    modelled = Modelled(
        ModelLife.model_validate(
            {
                "kind": "arrhenius",
                "name": "law",
                "reference_c": 5,
                "reference_life": "720 h",
                "activation_energy_kj_mol": 83.144,
                "valid_from_c": 0,
                "valid_to_c": 40,
            }
        )
    )
    left_ms = modelled.left_ms(modelled.begin(), 25)
    assert left_ms is not None
    assert left_ms / 3_600_000 == six_digits(64.5597)
