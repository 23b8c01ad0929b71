"""Which logger was in which box when, and what a change of loggers or certificates does to a verdict."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.assignments import (
    Swap,
    SwapReason,
    Tenure,
    assign,
    offset_at,
    swap_of,
    tenures_in,
    tenures_of,
)
from gateway.core.configuration import Logger
from gateway.core.errors import InputError
from gateway.core.lanes import lanes_of
from gateway.core.recalibration import verdicts_that_change
from gateway.core.verdicts import Verdict
from tests.core.trips import BOX, LOGGER, Trip, at, calibrated, carry, codes, ms, observe_all, steady, with_limit

NEW = "C0:FF:EE:00:00:02"
HOT = with_limit(above_c=8, single="30 min")
OLD_LOGGER = Logger(address=LOGGER, box=BOX, calibration=calibrated())
NEW_CERTIFICATE = calibrated(0.1, certificate="C-2", calibrated_at=at(-60 * 24), offset_c=-0.5)


def moved(logger: Logger, box: str | None, minute: float, *, now: float = 1000) -> Logger:
    return assign(logger, logger.model_copy(update={"box": box, "since": at(minute)}), at(now))


def swapped(minute: float, **fields: object) -> tuple[Logger, Logger]:
    swap = Swap.model_validate({"new": NEW, "reason": "battery", "at": at(minute), **fields})
    return swap_of(OLD_LOGGER, None, swap, at(1000))


# --- the history


def test_a_first_assignment_holds_from_the_beginning_or_from_the_moment_stated() -> None:
    assert tenures_of(assign(None, OLD_LOGGER, at(0)))[0].from_ms == 0
    stated = OLD_LOGGER.model_copy(update={"since": at(-5)})
    assert tenures_of(assign(None, stated, at(0)))[0].from_ms == ms(-5)


def test_a_move_leaves_the_time_before_in_the_box_before() -> None:
    logger = moved(moved(OLD_LOGGER, "BOX-2", 10), None, 20)
    times = [(tenure.box, tenure.from_ms, tenure.until_ms) for tenure in tenures_of(logger)]
    assert times == [(BOX, 0, ms(10)), ("BOX-2", ms(10), ms(20))]
    assert tenures_in([logger], BOX, ms(10)) == []
    assert [tenure.logger for tenure in tenures_in([logger], BOX, ms(9), ms(10))] == [LOGGER]


def test_a_move_without_a_moment_is_now_also_when_an_old_moment_is_sent_along() -> None:
    first = moved(OLD_LOGGER, "BOX-2", 10)
    second = assign(first, first.model_copy(update={"box": "BOX-3"}), at(50))
    assert second.since == at(50)


def test_the_same_again_changes_nothing() -> None:
    logger = moved(OLD_LOGGER, "BOX-2", 10)
    assert assign(logger, logger, at(99)) == logger
    assert assign(logger, logger.model_copy(update={"since": None, "former": ()}), at(99)) == logger


def test_a_history_sent_along_is_not_taken() -> None:
    forged = moved(OLD_LOGGER, "BOX-2", 10)
    assert assign(None, forged, at(99)).former == ()
    assert assign(OLD_LOGGER, forged.model_copy(update={"box": BOX}), at(99)).former == ()


def test_a_moment_can_be_corrected_and_the_stay_before_follows() -> None:
    logger = moved(moved(OLD_LOGGER, "BOX-2", 10), "BOX-2", 15)
    assert [(tenure.from_ms, tenure.until_ms) for tenure in tenures_of(logger)] == [(0, ms(15)), (ms(15), None)]
    out = moved(moved(OLD_LOGGER, None, 10), None, 12)
    assert [tenure.until_ms for tenure in tenures_of(out)] == [ms(12)]


@pytest.mark.parametrize(
    ("box", "minute", "reason"),
    [
        ("BOX-3", 5, "only since"),
        ("BOX-2", 2000, "future"),
        ("BOX-2", -10, "came to"),
    ],
    ids=["before its beginning", "in the future", "before what came before"],
)
def test_moments_that_contradict_the_history_are_refused(box: str, minute: float, reason: str) -> None:
    started = OLD_LOGGER.model_copy(update={"since": at(-5)})
    with pytest.raises(InputError, match=reason) as raised:
        moved(moved(started, "BOX-2", 10), box, minute)
    assert raised.value.field == "since"


def test_who_was_out_comes_back_only_after_it_had_left() -> None:
    out = moved(OLD_LOGGER, None, 10)
    with pytest.raises(InputError, match="elsewhere"):
        moved(out, "BOX-2", 9)
    assert len(tenures_of(moved(out, "BOX-2", 30))) == 2


def test_a_new_certificate_counts_from_its_day_and_the_old_one_before() -> None:
    logger = assign(OLD_LOGGER, OLD_LOGGER.model_copy(update={"calibration": NEW_CERTIFICATE}), at(30))
    assert [(tenure.offset_c, tenure.until_ms) for tenure in tenures_of(logger)] == [(0.0, ms(30)), (-0.5, None)]
    assert (offset_at(logger, ms(29)), offset_at(logger, ms(30))) == (0.0, -0.5)


def test_the_same_certificate_is_a_correction_of_it() -> None:
    corrected = OLD_LOGGER.model_copy(update={"calibration": calibrated(offset_c=0.3)})
    logger = assign(OLD_LOGGER, corrected, at(30))
    assert logger.former == ()
    assert offset_at(logger, ms(0)) == 0.3


# --- swaps


def test_a_swap_puts_one_in_the_place_of_the_other() -> None:
    left, came = swapped(20, calibration=NEW_CERTIFICATE)
    assert (left.box, left.since, came.box, came.since) == (None, at(20), BOX, at(20))
    assert (came.kind, came.calibration) == (OLD_LOGGER.kind, NEW_CERTIFICATE)
    assert [(t.logger, t.from_ms, t.until_ms) for t in tenures_in([left, came], BOX)] == [
        (LOGGER, 0, ms(20)),
        (NEW, ms(20), None),
    ]


def test_a_certificate_does_not_pass_on() -> None:
    assert swapped(20)[1].calibration is None


def test_the_reason_is_one_text() -> None:
    assert Swap(new=NEW, reason=SwapReason.BATTERY).told == "battery"
    assert Swap(new=NEW, reason=SwapReason.OTHER, note="lost").told == "other: lost"


def test_swaps_that_cannot_be_are_refused() -> None:
    swap = Swap(new=NEW, reason=SwapReason.BATTERY)
    elsewhere = Logger(address=NEW, box="BOX-9")
    with pytest.raises(InputError, match="is in BOX-9: take it out first"):
        swap_of(OLD_LOGGER, elsewhere, swap, at(0))
    with pytest.raises(InputError, match="is in no box"):
        swap_of(moved(OLD_LOGGER, None, 1), None, swap, at(2))
    with pytest.raises(InputError, match="the logger that leaves"):
        swap_of(OLD_LOGGER, None, Swap(new=LOGGER, reason=SwapReason.BATTERY), at(0))


# --- verdicts


def swapped_trip(before_c: float, after_c: float, **fields: object) -> Trip:
    """An hour in one box, whose logger is exchanged after half of it."""
    observations = [
        *observe_all(steady(before_c, 0, 30)),
        *observe_all(steady(after_c, 30, 60), logger=NEW),
        *observe_all(steady(40, 30, 60)),  # the old one lies on a desk
        *observe_all(steady(-40, 0, 30), logger=NEW),  # the new one lay in a freezer
    ]
    loggers = swapped(30, **{"calibration": calibrated(certificate="C-2"), **fields})
    return replace(carry(HOT, []), observations=tuple(observations), loggers=loggers)


def test_a_box_keeps_its_history_through_a_swap() -> None:
    judgement = swapped_trip(5, 6).judgement(now=60)
    assert judgement.verdict is Verdict.ACCEPT
    assert (judgement.figures.readings, judgement.figures.min_c, judgement.figures.max_c) == (60, 5, 6)
    assert judgement.gaps == ()


def test_an_excursion_goes_on_through_a_swap() -> None:
    """20 minutes above under each logger break a limit of 30 that neither breaks alone."""
    trip = swapped_trip(5, 5)
    hot = [*observe_all(steady(9, 10, 30)), *observe_all(steady(9, 30, 50), logger=NEW)]
    kept = [o for o in trip.observations if not ms(10) <= o.measured_at_ms < ms(50)]
    judgement = replace(trip, observations=(*kept, *hot)).judgement(now=60)
    assert judgement.verdict is Verdict.REJECT
    (excursion,) = judgement.excursions
    assert (excursion.started_at_ms, excursion.ended_at_ms) == (ms(10), ms(50))


def test_each_loggers_certificate_counts_for_its_own_time() -> None:
    trip = swapped_trip(5, 8.3, calibration=NEW_CERTIFICATE)
    judgement = trip.judgement(now=60)
    assert judgement.verdict is Verdict.ACCEPT
    assert judgement.figures.max_c == 7.8
    without = swapped_trip(5, 6, calibration=None).judgement(now=60)
    assert without.verdict is Verdict.REVIEW
    assert "not_calibrated" in codes(without)


def test_each_loggers_uncertainty_counts_for_its_own_time() -> None:
    assert swapped_trip(7.7, 5, calibration=calibrated(0.5)).judgement(now=60).verdict is Verdict.ACCEPT
    assert swapped_trip(5, 7.7, calibration=calibrated(0.5)).judgement(now=60).verdict is Verdict.REVIEW


def test_a_pause_between_two_loggers_is_a_gap() -> None:
    left = moved(OLD_LOGGER, None, 20)
    came = Logger(address=NEW, box=BOX, since=at(120), calibration=calibrated())
    observations = (*observe_all(steady(5, 0, 130)), *observe_all(steady(5, 0, 130), logger=NEW))
    judgement = replace(carry(HOT, []), observations=observations, loggers=(left, came)).judgement(now=130)
    (gap,) = judgement.gaps
    assert (gap.begins_ms, gap.ends_ms) == (ms(20), ms(120))


def test_a_second_logger_that_joins_does_not_make_the_time_before_a_gap() -> None:
    second = Logger(address=NEW, box=BOX, since=at(30), calibration=calibrated())
    observations = (*observe_all(steady(5, 0, 60)), *observe_all(steady(5, 30, 60), logger=NEW))
    trip = replace(carry(HOT, []), observations=observations, loggers=(OLD_LOGGER, second))
    assert trip.judgement(now=60).verdict is Verdict.ACCEPT
    hot = (*observe_all(steady(5, 0, 60)), *observe_all(steady(9, 30, 61), logger=NEW))
    assert replace(trip, observations=hot).judgement(now=61).verdict is Verdict.REJECT, "the worst logger counts"


def test_a_calibration_found_bad_is_found_in_former_boxes_too() -> None:
    trip = replace(carry(HOT, steady(7.5, 0, 60)), loggers=(moved(OLD_LOGGER, "BOX-9", 60),))
    found = calibrated(offset_c=0.6)
    (change,) = verdicts_that_change(trip.sent(), trip.configuration(), trip.observations, LOGGER, found, ms(60))
    assert change.after.verdict is Verdict.REJECT


# --- lanes

_stays = st.lists(st.tuples(st.integers(0, 30), st.one_of(st.none(), st.integers(1, 10))), min_size=1, max_size=6).map(
    lambda stays: [
        Tenure(f"L-{place}", BOX, begin, None if length is None else begin + length, None)
        for place, (begin, length) in enumerate(stays)
    ]
)


@given(_stays)
def test_everybody_is_in_some_lane_and_each_lane_has_one_at_a_time(tenures: list[Tenure]) -> None:
    lanes = lanes_of(tenures)
    for moment in range(45):
        there = {tenure.logger for tenure in tenures if tenure.covers(moment)}
        in_lanes = [[tenure.logger for tenure in lane if tenure.covers(moment)] for lane in lanes]
        assert all(len(one) == (1 if there else 0) for one in in_lanes)
        assert {logger for one in in_lanes for logger in one} == there
