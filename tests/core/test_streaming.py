"""In whatever order, portions and repetitions observations come: the outcome is that of all at once."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.configuration import Logger
from gateway.core.errors import ForgottenError
from gateway.core.judgement import ConsignmentJudge, judge_consignment
from gateway.core.observations import Observation, Source
from tests.core.specimens import SPECIMENS, examples, names, pauses, temperatures, uncertainties
from tests.core.trips import BOX, LOGGER, Trip, at, calibrated, ms, observe, ride, vouch

OTHER_BOX, OTHER_LOGGER = "BOX-2", "C0:FF:EE:00:00:02"
LOGGERS = tuple(Logger(address=address, box=box) for address, box in ((LOGGER, BOX), (OTHER_LOGGER, OTHER_BOX)))
NOW = 1500


@st.composite
def heard(draw: st.DrawFn) -> list[Observation]:
    """What gateways heard and read: repeated numbers, wrapped numbers, conflicts, memory beside and between."""
    observations, minute = [], 0.0
    for pause in draw(st.lists(pauses, max_size=30)):
        source = draw(st.sampled_from([Source.LIVE, Source.LIVE, Source.LIVE, Source.MEMORY]))
        observations.append(
            observe(
                minute + draw(st.sampled_from([0, 0, 0.1, -700])),
                draw(temperatures),
                logger=draw(st.sampled_from([LOGGER, OTHER_LOGGER])),
                source=source,
                interval_s=300 if source is Source.MEMORY else 30,
                counter=draw(st.none() | st.integers(0, 2)) if source is Source.LIVE else None,
                clock_trusted=draw(st.sampled_from([True, True, True, False])),
            )
        )
        minute += pause
    return observations


def trip_of(name: str, uncertainty_c: float) -> Trip:
    trip = Trip(
        SPECIMENS[name],
        rides=(ride(0, 100, phase="at_origin"), ride(100, 300), ride(310, box=OTHER_BOX)),
        declared=(vouch(-60, 0, 4, 7),),
        loggers=LOGGERS,
        item={"collected_at": at(-70)},
        consignment={"planned_arrival": at(2000)},
    )
    return replace(
        trip, loggers=tuple(logger.model_copy(update={"calibration": calibrated(uncertainty_c)}) for logger in LOGGERS)
    )


@examples
@given(name=names, uncertainty_c=uncertainties, observations=heard(), data=st.data())
def test_streaming_is_batch(
    name: str, uncertainty_c: float, observations: list[Observation], data: st.DataObject
) -> None:
    trip = trip_of(name, uncertainty_c)
    at_once = judge_consignment(trip.sent(), trip.configuration(), observations, ms(NOW))
    again = data.draw(st.lists(st.sampled_from(observations), max_size=10) if observations else st.just([]))
    order = data.draw(st.permutations([*observations, *again]))
    judge = trip.judge()
    while order:
        size = data.draw(st.integers(1, len(order)))
        judge.add(order[:size])
        order = order[size:]
        if data.draw(st.booleans()):
            judge.judgements(ms(data.draw(st.integers(-100, NOW))))
    assert judge.judgements(ms(NOW)) == at_once


@examples
@given(name=names, observations=heard())
def test_in_order_one_by_one_is_batch(name: str, observations: list[Observation]) -> None:
    trip = trip_of(name, 0.2)
    judge = trip.judge()
    for place, observation in enumerate(sorted(observations, key=lambda one: one.measured_at_ms)):
        judge.add([observation])
        judge.judgements(observation.measured_at_ms + place % 3 * 60_000)
    assert judge.judgements(ms(NOW)) == judge_consignment(trip.sent(), trip.configuration(), observations, ms(NOW))


@examples
@given(name=names, observations=heard())
def test_one_logger_after_the_other_is_batch(name: str, observations: list[Observation]) -> None:
    trip = trip_of(name, 0.2)
    judge = trip.judge()
    for observation in sorted(observations, key=lambda one: (one.logger == LOGGER, one.measured_at_ms)):
        judge.add([observation])
        judge.judgements(ms(NOW))
    assert judge.judgements(ms(NOW)) == judge_consignment(trip.sent(), trip.configuration(), observations, ms(NOW))


@examples
@given(name=names, observations=heard())
def test_asking_changes_nothing(name: str, observations: list[Observation]) -> None:
    judge = trip_of(name, 0.2).judge()
    judge.add(observations)
    assert judge.judgements(ms(NOW)) == judge.judgements(ms(NOW))


@examples
@given(name=names, observations=heard(), data=st.data())
def test_a_judge_that_goes_on_from_what_was_kept_is_batch(
    name: str, observations: list[Observation], data: st.DataObject
) -> None:
    """Whoever is told that something was forgotten begins anew with everything, as the hub does."""
    trip = trip_of(name, 0.2)
    in_order = sorted(observations, key=lambda one: one.measured_at_ms)
    order = data.draw(st.sampled_from([in_order, observations]))
    judge, given_so_far = trip.judge(), list[Observation]()
    while order:
        size = data.draw(st.integers(1, len(order)))
        portion, order = order[:size], order[size:]
        given_so_far += portion
        now_ms = ms(data.draw(st.integers(-100, NOW)))
        try:
            judge.add(portion)
            found = judge.judgements(now_ms)
        except ForgottenError:
            judge = trip.judge()
            judge.add(given_so_far)
            found = judge.judgements(now_ms)
        assert found == judge_consignment(trip.sent(), trip.configuration(), given_so_far, now_ms)
        if data.draw(st.booleans()):
            kept, judge = judge.keep(), trip.judge()
            judge.resume(kept)
            assert judge.judgements(now_ms) == found


def test_what_another_judge_kept_is_refused() -> None:
    trip = trip_of(next(iter(SPECIMENS)), 0.2)
    kept = trip.judge().keep()
    other = replace(trip, rides=(ride(0),), item={})
    with pytest.raises(ForgottenError):
        other.judge().resume(kept)
    with pytest.raises(ForgottenError):
        trip.judge().resume(b"nothing of the kind")


def test_items_of_which_the_same_is_asked_share_a_fold() -> None:
    trip = trip_of(next(iter(SPECIMENS)), 0.2)
    sent = trip.sent()
    (item,) = sent.items
    both = sent.model_copy(update={"items": (item, item.model_copy(update={"code": "T-2"}))})
    judge = ConsignmentJudge(both, trip.configuration())
    judge.add([observe(minute, 5.0) for minute in range(0, 100, 5)])
    one, other = judge.judgements(ms(NOW))
    assert replace(other, item=one.item) == one
    assert len(judge._folds._folds) == len(trip.judge()._folds._folds)
