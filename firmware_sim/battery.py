"""A lithium coin cell: it sags with age, and in the cold.

The figures are a plausible CR2477, not a measured one: 3.0 V new, 2.6 V at the end of its life, and below 20 °C
4 mV/K less, since its inner resistance rises.
"""

NEW_MV = 3000
WORN_MV = 2600
LIFE_DAYS = 900.0
COLD_BELOW_C = 20.0
SAG_MV_PER_K = 4.0
EMPTY_MV = 2000


def voltage_mv(age_days: float, temperature_c: float) -> int:
    """Return the voltage that the firmware measures under load."""
    worn = min(1.0, age_days / LIFE_DAYS) * (NEW_MV - WORN_MV)
    cold = max(0.0, COLD_BELOW_C - temperature_c) * SAG_MV_PER_K
    return max(0, round(NEW_MV - worn - cold))


def percent(voltage: int) -> int:
    """Return the charge as firmware tells it that knows the voltage only: 0 at 2.0 V, 100 at 3.0 V."""
    share = (voltage - EMPTY_MV) / (NEW_MV - EMPTY_MV)
    return round(100 * max(0.0, min(1.0, share)))
