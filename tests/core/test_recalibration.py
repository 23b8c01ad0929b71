"""A calibration found out of tolerance lists the verdicts that would change."""

from __future__ import annotations

import pytest

from gateway.core.recalibration import Change, verdicts_that_change
from gateway.core.verdicts import Verdict
from tests.core.trips import LOGGER, calibrated, carry, ms, steady, with_limit

TRIP = carry(with_limit(above_c=8, single="30 min"), steady(7.5, 0, 60))


def changes_if(*, logger: str = LOGGER, offset_c: float = 0, uncertainty_c: float = 0) -> list[Change]:
    found = calibrated(uncertainty_c, offset_c=offset_c)
    return verdicts_that_change(TRIP.sent(), TRIP.configuration(), TRIP.observations, logger, found, ms(60))


def test_what_would_be_rejected_is_listed_with_both_judgements() -> None:
    (change,) = changes_if(offset_c=0.6)
    assert (change.before.verdict, change.after.verdict) == (Verdict.ACCEPT, Verdict.REJECT)
    assert (change.before.figures.max_c, change.after.figures.max_c) == (7.5, 8.1)


@pytest.mark.parametrize("offset_c", [0, 0.4, -0.6])
def test_what_would_stay_is_not(offset_c: float) -> None:
    assert changes_if(offset_c=offset_c) == []


def test_a_larger_uncertainty_can_change_a_verdict() -> None:
    (change,) = changes_if(uncertainty_c=0.7)
    assert change.after.verdict is Verdict.REVIEW


def test_another_loggers_calibration_changes_nothing() -> None:
    assert changes_if(logger="C0:FF:EE:00:00:02", offset_c=3) == []
