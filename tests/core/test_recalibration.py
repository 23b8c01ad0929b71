"""A calibration found out of tolerance lists the verdicts that would change."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import pytest

from gateway.core.configuration import Consignment, Logger
from gateway.core.observations import Observation
from gateway.core.recalibration import verdicts_that_change
from gateway.core.verdicts import Verdict
from tests.core.trips import BOX, LOGGER, Trip, calibrated, carry, ms, ride, steady, with_limit

HOT = with_limit(above_c=8, single="30 min")
TRIP = carry(HOT, steady(7.5, 0, 60))
OTHER = Logger(address="C0:FF:EE:00:00:02", box="BOX-2", calibration=calibrated())


def sent(code: str, trip: Trip = TRIP) -> Consignment:
    return trip.sent().model_copy(update={"code": code})


def observations_of(_: Consignment) -> Iterable[Observation]:
    return TRIP.observations


@pytest.mark.parametrize(
    ("offset_c", "after"), [(0.4, None), (0.6, Verdict.REJECT), (-0.6, None)], ids=["too little", "enough", "colder"]
)
def test_only_verdicts_that_differ_are_listed(offset_c: float, after: Verdict | None) -> None:
    changes = verdicts_that_change(
        [sent("S-1"), sent("S-2")], TRIP.configuration(), observations_of, LOGGER, calibrated(offset_c=offset_c), ms(60)
    )
    if after is None:
        assert changes == []
        return
    assert [change.before.consignment for change in changes] == ["S-1", "S-2"]
    assert {(change.before.verdict, change.after.verdict) for change in changes} == {(Verdict.ACCEPT, after)}


def test_a_larger_uncertainty_can_change_a_verdict() -> None:
    changes = verdicts_that_change(
        [sent("S-1")], TRIP.configuration(), observations_of, LOGGER, calibrated(uncertainty_c=0.7), ms(60)
    )
    assert [change.after.verdict for change in changes] == [Verdict.REVIEW]


def test_what_did_not_ride_with_the_logger_is_not_judged_again() -> None:
    elsewhere = sent("S-1", replace(TRIP, rides=(ride(0, box="BOX-2"),)))
    configuration = TRIP.configuration().model_copy(update={"loggers": (*TRIP.loggers, OTHER)})

    def nobody_asks(_: Consignment) -> Iterable[Observation]:
        raise AssertionError("its readings are not needed")

    found = calibrated(offset_c=3)
    assert verdicts_that_change([elsewhere], configuration, nobody_asks, LOGGER, found, ms(60)) == []


def test_a_logger_that_nobody_enrolled_is_an_error() -> None:
    with pytest.raises(KeyError):
        verdicts_that_change([sent("S-1")], TRIP.configuration(), observations_of, "nobody", calibrated(), ms(60))


def test_the_box_is_the_enrolled_loggers() -> None:
    assert TRIP.loggers[0].box == BOX
