"""What loggers need from people: a new battery, a calibration. Pure: time comes in with each call."""

from __future__ import annotations

from datetime import datetime, timedelta
from enum import StrEnum

from gateway.core.configuration import Logger

NOTICE = timedelta(days=30)
"""So long ahead a calibration that falls due is told of: laboratories take two to three weeks."""
BATTERY_LOW_MV = 2400
BATTERY_LOW_COLD_MV = 2200
COLD_MC = 0
"""A lithium coin cell is empty at 2.0 V; the load of the radio takes some 0.2 V off, and frost lowers the voltage of a
cell that is still good by as much."""
BATTERY_LOW_PCT = 10
BATTERY_RECOVERED = 1.05
"""A battery is well again 5 % above the threshold: it does not flicker around it."""


class Need(StrEnum):
    """What a logger in a box needs."""

    NOT_CALIBRATED = "not_calibrated"
    CALIBRATION_DUE = "calibration_due"
    CALIBRATION_OVERDUE = "calibration_overdue"
    BATTERY_LOW = "battery_low"


def calibration_need(logger: Logger, now: datetime) -> Need | None:
    """Return what a logger's certificate asks for; nothing of one that is in no box."""
    if logger.box is None:
        return None
    if logger.calibration is None:
        return Need.NOT_CALIBRATED
    if logger.calibration.due_at <= now:
        return Need.CALIBRATION_OVERDUE
    return Need.CALIBRATION_DUE if logger.calibration.due_at - NOTICE <= now else None


def is_battery_low(
    millivolts: int | None, percent: int | None, *, temperature_mc: int | None, was_low: bool = False
) -> bool:
    """Say whether a battery is low by its voltage, else by its percentage; False where neither is known."""
    factor = BATTERY_RECOVERED if was_low else 1.0
    if millivolts is None:
        return percent is not None and percent < BATTERY_LOW_PCT * factor
    is_cold = temperature_mc is not None and temperature_mc < COLD_MC
    return millivolts < (BATTERY_LOW_COLD_MV if is_cold else BATTERY_LOW_MV) * factor
