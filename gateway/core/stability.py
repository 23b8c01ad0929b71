"""Stability arithmetic: rate laws, damage, mean kinetic temperature, and what may have happened in a silence.

Temperatures in °C, durations and lives in hours, damage dimensionless: the life is spent at 1. One rate law is
assumed wherever damage is added up (Miner's sum). Freezing, crystallisation, potassium and cells follow no rate
law; profiles forbid thresholds for them instead.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from itertools import pairwise

KELVIN = 273.15
GAS_CONSTANT_KJ_MOL_K = 8.3144e-3
"""R as USP <1160> rounds it, so that published examples are met."""

Rate = Callable[[float], float]
"""Temperature in °C → life spent per hour."""


def q10_rate(reference_life_h: float, reference_c: float, q10: float) -> Rate:
    """Return the rate of L(T) = L_ref · Q10^((T_ref − T)/10)."""
    scale = math.log(q10) / 10

    def rate(temperature_c: float) -> float:
        return math.exp((temperature_c - reference_c) * scale) / reference_life_h

    return rate


def arrhenius_rate(reference_life_h: float, reference_c: float, temperature_constant_k: float) -> Rate:
    """Return the rate of L(T) = L_ref · exp[B(1/T − 1/T_ref)], with B = Ea/R in kelvin."""
    reference_k = reference_c + KELVIN

    def rate(temperature_c: float) -> float:
        exponent = temperature_constant_k * (1 / reference_k - 1 / (temperature_c + KELVIN))
        return math.exp(exponent) / reference_life_h

    return rate


def damage_of_segments(rate: Rate, segments: Iterable[tuple[float, float]]) -> float:
    """Return D = Σ Δt/L(T) over (duration_h, temperature_c) held constant."""
    return math.fsum(duration_h * rate(temperature_c) for duration_h, temperature_c in segments)


def damage_of_samples(rate: Rate, samples: Sequence[tuple[float, float]]) -> float:
    """Return the trapezoid of 1/L over (time_h, temperature_c): an upper bound where T is linear between samples."""
    return math.fsum((t1 - t0) * (rate(c0) + rate(c1)) / 2 for (t0, c0), (t1, c1) in pairwise(samples))


def damage_of_linear_q10(
    reference_life_h: float, reference_c: float, q10: float, samples: Sequence[tuple[float, float]]
) -> float:
    """Return D exactly for T linear between samples under a Q10 law."""
    rate = q10_rate(reference_life_h, reference_c, q10)
    scale = math.log(q10) / 10
    parts = []
    for (t0, c0), (t1, c1) in pairwise(samples):
        rise = (c1 - c0) * scale
        factor = math.expm1(rise) / rise if abs(rise) > 1e-9 else 1.0  # noqa: PLR2004  the limit for a flat stretch
        parts.append((t1 - t0) * rate(c0) * factor)
    return math.fsum(parts)


def mean_kinetic_temperature_c(
    weighted: Iterable[tuple[float, float]], activation_energy_kj_mol: float
) -> float | None:
    """Return the MKT of (weight, temperature_c), None if there is none. Informational only."""
    constant_k = activation_energy_kj_mol / GAS_CONSTANT_KJ_MOL_K
    total = 0.0
    kinetic = 0.0
    for weight, temperature_c in weighted:
        total += weight
        kinetic += weight * math.exp(-constant_k / (temperature_c + KELVIN))
    return kinetic_mean_c(kinetic, total, constant_k)


def kinetic_mean_c(kinetic: float, total: float, constant_k: float) -> float | None:
    """Return the temperature whose rate is the mean of the rates: B / −ln(Σ w·e^(−B/T) / Σ w)."""
    if total <= 0 or kinetic <= 0:
        return None
    return constant_k / -math.log(kinetic / total) - KELVIN


def tent_c(t0_c: float, t1_c: float, gap_h: float, slew_c_per_h: float) -> list[tuple[float, float]]:
    """Return the hottest course between two known ends under a slew limit, as (hour, °C) corners.

    T_peak = (T0 + T1 + s·Δt)/2. Where the ends differ by more than the slew allows, it is the straight line.
    """
    if abs(t1_c - t0_c) >= slew_c_per_h * gap_h:
        return [(0.0, t0_c), (gap_h, t1_c)]
    peak_c = (t0_c + t1_c + slew_c_per_h * gap_h) / 2
    return [(0.0, t0_c), ((peak_c - t0_c) / slew_c_per_h, peak_c), (gap_h, t1_c)]


def relaxed_c(start_c: float, ambient_c: float, after_h: float, time_constant_h: float) -> float:
    """Return T = Ta + (T0 − Ta)·e^(−t/τ)."""
    return ambient_c + (start_c - ambient_c) * math.exp(-after_h / time_constant_h)
