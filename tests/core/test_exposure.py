"""Exposure: an item's time in boxes, in someone's hands, and in nobody's."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import pytest

from gateway.core.configuration import Carriage, Declared, Logger, Switch
from gateway.core.exposure import Stretch, exposure_of
from gateway.core.verdicts import Gap, Verdict
from tests.core.trips import (
    BOX,
    COLD,
    LOGGER,
    ROOM,
    Course,
    Trip,
    at,
    calibrated,
    carry,
    codes,
    make_profile,
    ms,
    observe_all,
    reason_of,
    ride,
    spent_of,
    steady,
    vouch,
    with_life,
    with_limit,
)

OTHER_BOX, OTHER_LOGGER = "BOX-2", "C0:FF:EE:00:00:02"
HOT = with_limit(above_c=8, single="30 min")
BOTH = tuple(
    Logger(address=address, box=box, calibration=calibrated())
    for address, box in ((LOGGER, BOX), (OTHER_LOGGER, OTHER_BOX))
)
LIFE = with_life(
    "alternative", (COLD, ROOM), allowances=[{"band": "cold", "life": "10 h"}, {"band": "room", "life": "4 h"}]
)


def stretches(
    *rides: Carriage,
    declared: tuple[Declared, ...] = (),
    received: float | None = None,
    item: Mapping[str, object] | None = None,
) -> list[tuple[float, float | None, object]]:
    """The exposure as (begin, end, box or range or None), in minutes."""
    consignment = {} if received is None else {"received_at": at(received)}
    sent = Trip(HOT, rides=rides, declared=declared, item=item or {}, consignment=consignment).sent()

    def minute(at_ms: int | None) -> float | None:
        return None if at_ms is None else (at_ms - ms(0)) / 60_000

    def place(stretch: Stretch) -> object:
        return stretch.range_c if stretch.box is None else stretch.box

    return [
        (minute(stretch.begins_ms) or 0, minute(stretch.ends_ms), place(stretch))
        for stretch in exposure_of(sent, sent.items[0])
    ]


# --- stretches -------------------------------------------------------------------------------------------------------


def test_a_later_carriage_ends_the_one_before() -> None:
    assert stretches(ride(0), ride(60, box="B")) == [(0, 60, BOX), (60, None, "B")]


def test_a_carriage_that_outlasts_a_later_one_goes_on() -> None:
    """Whatever the records say twice, no time is lost between them."""
    assert stretches(ride(0, 120), ride(30, 60, box="B")) == [(0, 30, BOX), (30, 60, "B"), (60, 120, BOX)]


def test_measured_wins_over_declared() -> None:
    assert stretches(ride(30), declared=(vouch(0, 40, 2, 8),)) == [(0, 30, (2, 8)), (30, None, BOX)]
    inside = stretches(ride(30, 60), declared=(vouch(0, 90, 2, 8),))
    assert inside == [(0, 30, (2, 8)), (30, 60, BOX), (60, 90, (2, 8))]


def test_nobodys_time_between_two_stretches_is_unknown() -> None:
    assert stretches(ride(0, 30), ride(50, box="B")) == [(0, 30, BOX), (30, 50, None), (50, None, "B")]


@pytest.mark.parametrize("event", ["collected_at", "prepared_at"])
def test_an_items_time_begins_when_it_is_collected_or_prepared(event: str) -> None:
    assert stretches(ride(30), item={event: at(0)}) == [(0, 30, None), (30, None, BOX)]
    assert stretches(ride(0), item={event: at(30)}) == [(30, None, BOX)]


def test_an_items_time_ends_when_it_is_received() -> None:
    assert stretches(ride(0), received=60) == [(0, 60, BOX)]
    assert stretches(ride(0, 90), received=60) == [(0, 60, BOX)]
    assert stretches(ride(0, 30), received=60) == [(0, 30, BOX), (30, 60, None)]


def test_an_item_of_its_own_way_leaves_its_consignment() -> None:
    trip = Trip(HOT, rides=(ride(0),), item={"carriage": (ride(0, box="B"),)})
    sent = trip.sent()
    assert [stretch.box for stretch in exposure_of(sent, sent.items[0])] == ["B"]


# --- several boxes ---------------------------------------------------------------------------------------------------


def moved(first: Course, second: Course, *rides: Carriage) -> Trip:
    observations = (*observe_all(first), *observe_all(second, logger=OTHER_LOGGER))
    return Trip(HOT, observations, rides=rides, loggers=BOTH)


def test_the_verdict_follows_the_item_from_box_to_box() -> None:
    """The first box gets warm only after the item has left it."""
    first, second = [*steady(5, 0, 60), *steady(20, 60, 120)], steady(5, 0, 120)
    rides = (ride(0, 60), ride(60, box=OTHER_BOX))
    assert moved(first, second, *rides).judgement(now=120).verdict is Verdict.ACCEPT
    assert moved(second, first, *rides).judgement(now=120).verdict is Verdict.REJECT


def test_news_of_the_first_box_that_come_after_those_of_the_second_count() -> None:
    rides = (ride(0, 60), ride(60, box=OTHER_BOX))
    trip = moved([*steady(9, 0, 40), *steady(5, 40, 60)], steady(5, 60, 120), *rides)
    judge = trip.judge()
    for logger in (OTHER_LOGGER, LOGGER):
        judge.add(observation for observation in trip.observations if observation.logger == logger)
        judge.judgements(ms(120))
    assert judge.judgements(ms(120)) == (trip.judgement(now=120),)


def test_one_excursion_goes_on_in_the_next_box() -> None:
    first, second = [*steady(5, 0, 45), *steady(9, 45, 120)], [*steady(9, 0, 75), *steady(5, 75, 120)]
    judgement = moved(first, second, ride(0, 60), ride(60, box=OTHER_BOX)).judgement(now=120)
    assert judgement.verdict is Verdict.REJECT
    (excursion,) = judgement.excursions
    assert (excursion.started_at_ms, excursion.ended_at_ms) == (ms(45), ms(75))


def test_unknown_time_between_boxes_is_a_gap() -> None:
    rides = (ride(0, 60), ride(180, box=OTHER_BOX))
    judgement = moved(steady(5, 0, 60), steady(5, 180, 240), *rides).judgement(now=240)
    assert judgement.gaps == (Gap(ms(60), ms(180)),)
    assert judgement.verdict is Verdict.INSUFFICIENT_DATA


def test_a_late_first_word_of_the_next_box_leaves_a_gap_with_two_known_ends() -> None:
    """An hour and a half between 5 and 5 °C; where nobody had spoken for it, its beginning would be unknown as well."""
    trip = moved(steady(5, 0, 60), steady(5, 150, 180), ride(0, 60), ride(60, box=OTHER_BOX))
    judgement = trip.judgement(now=180)
    assert judgement.gaps == (Gap(ms(60), ms(150)),)
    assert judgement.verdict is Verdict.ACCEPT
    lost = moved(steady(5, 0, 60), steady(5, 200, 230), ride(0, 60), ride(170, box=OTHER_BOX)).judgement(now=230)
    assert lost.verdict is Verdict.INSUFFICIENT_DATA


def test_a_gap_of_a_minute_between_boxes_is_reported_and_can_be_accepted() -> None:
    judgement = moved(steady(5, 0, 60), steady(5, 61, 120), ride(0, 60), ride(61, box=OTHER_BOX)).judgement(now=120)
    assert "unmonitored" in codes(judgement)
    assert judgement.verdict is Verdict.ACCEPT


def test_time_after_the_last_box_and_before_receipt_is_unmonitored() -> None:
    trip = replace(carry(HOT, steady(5, 0, 60)), rides=(ride(0, 60),))
    assert trip.judgement(now=300).verdict is Verdict.ACCEPT, "judged to the end of custody"
    received = replace(trip, consignment={"received_at": at(300)})
    assert received.judgement(now=300).verdict is Verdict.INSUFFICIENT_DATA


def test_a_change_of_phase_in_one_box_breaks_nothing() -> None:
    trip = carry(HOT, [*steady(5, 0.5, 40), *steady(9, 40.5, 80), *steady(5, 80.5, 100)])
    apart = replace(trip, rides=(ride(0, 60, phase="at_origin"), ride(60)))
    assert [e.minutes for e in apart.judgement(now=100).excursions] == [
        e.minutes for e in trip.judgement(now=100).excursions
    ]


def test_a_reading_stands_across_a_change_of_phase() -> None:
    """Every eight minutes one that speaks for one: it stands until the next, also where the phase changes between."""
    trip = carry(HOT, steady(9, 2, 28, 8))
    whole = replace(trip, rides=(ride(0, 28),)).judgement(now=60)
    parted = replace(trip, rides=(ride(0, 14, phase="at_origin"), ride(14, 28))).judgement(now=60)
    assert parted.cumulative_minutes == whole.cumulative_minutes
    assert parted.figures.monitored_fraction == whole.figures.monitored_fraction


def test_no_reading_stands_across_a_gap_at_a_change_of_phase() -> None:
    trip = carry(HOT, [*steady(5, 0, 10), *steady(5, 40, 60)])
    whole = replace(trip, rides=(ride(0, 60),)).judgement(now=60)
    parted = replace(trip, rides=(ride(0, 25, phase="at_origin"), ride(25, 60))).judgement(now=60)
    assert parted.figures.unmonitored_ms == whole.figures.unmonitored_ms == 30 * 60_000


def test_the_worst_of_several_loggers_in_a_box_counts() -> None:
    loggers = tuple(logger.model_copy(update={"box": BOX}) for logger in BOTH)
    trip = replace(moved(steady(5, 0, 60), steady(9, 0, 60), ride(0)), loggers=loggers)
    assert trip.judgement(now=60).verdict is Verdict.REJECT


def test_a_silent_second_logger_is_not_overlooked() -> None:
    loggers = tuple(logger.model_copy(update={"box": BOX}) for logger in BOTH)
    trip = replace(moved(steady(5, 0, 200), steady(5, 0, 20), ride(0)), loggers=loggers)
    assert trip.judgement(now=200).verdict is Verdict.INSUFFICIENT_DATA


# --- declared --------------------------------------------------------------------------------------------------------


def test_declared_time_consumes_life_and_is_no_gap() -> None:
    trip = carry(LIFE, steady(5, 60, 120))
    trip = replace(trip, rides=(ride(60),), declared=(vouch(0, 60, 4, 6),), item={"collected_at": at(0)})
    judgement = trip.judgement(now=120)
    assert judgement.verdict is Verdict.ACCEPT
    assert judgement.gaps == ()
    assert judgement.figures.monitored_fraction == 1
    assert spent_of(judgement) == pytest.approx(2 / 10)


def test_undeclared_time_since_collection_is_a_gap() -> None:
    trip = replace(carry(LIFE, steady(5, 60, 120)), rides=(ride(60),), item={"collected_at": at(0)})
    judgement = trip.judgement(now=120)
    assert judgement.verdict is Verdict.INSUFFICIENT_DATA
    assert judgement.gaps == (Gap(ms(0), ms(60)),)


def test_a_few_minutes_since_collection_need_nobodys_word() -> None:
    """Ten minutes are no gap anywhere; what is known first holds."""
    trip = replace(carry(LIFE, steady(5, 10, 120)), rides=(ride(10),), item={"collected_at": at(0)})
    judgement = trip.judgement(now=120)
    assert judgement.verdict is Verdict.ACCEPT
    assert judgement.gaps == ()
    assert judgement.lives[0].spent_possible == pytest.approx(2 / 10), "they are spent all the same"


def test_a_declared_range_is_at_its_worst_for_the_item() -> None:
    trip = carry(HOT, steady(5, 60, 120))
    for low_c, high_c, verdict in ((3, 7, Verdict.ACCEPT), (6, 9, Verdict.REVIEW), (9, 12, Verdict.REJECT)):
        declared = replace(trip, rides=(ride(60),), declared=(vouch(0, 60, low_c, high_c),))
        assert declared.judgement(now=120).verdict is verdict


@pytest.mark.parametrize(("course", "now"), [(steady(20, 60.5, 120), 120), ([], 60.5)], ids=["read", "not yet read"])
def test_the_loggers_uncertainty_widens_nothing_that_was_declared(course: Course, now: float) -> None:
    """Packed from a room of 15 to 25 °C: until the box's first reading it is no further from that than it was."""
    logger = Logger(address=LOGGER, box=BOX, calibration=calibrated(0.3))
    trip = replace(carry(make_profile(bands=[ROOM]), course), rides=(ride(60),), loggers=(logger,))
    judgement = replace(trip, declared=(vouch(0, 60, 15, 25),)).judgement(now=now)
    assert not {"outside_bands", "life_unstated"} & codes(judgement), judgement.reasons


def test_declared_time_needs_no_reading() -> None:
    trip = replace(carry(LIFE, []), rides=(), declared=(vouch(0, 60, 4, 6),))
    assert trip.judgement(now=60).verdict is Verdict.ACCEPT


def test_a_dead_logger_is_not_excused_by_what_was_declared_before() -> None:
    profile = make_profile(lives=[{"kind": "clock", "name": "life", "since": "collected", "life": "24 h"}])
    trip = replace(carry(profile, []), rides=(ride(60),), declared=(vouch(0, 60, 4, 6),), item={"collected_at": at(0)})
    assert trip.judgement(now=120).verdict is Verdict.INSUFFICIENT_DATA


# --- a switch of profile ---------------------------------------------------------------------------------------------

WHOLE = with_life("alternative", (ROOM,), allowances=[{"band": "room", "life": "4 h"}]).model_copy(
    update={"id": "whole"}
)
SERUM = with_life("alternative", (COLD,), allowances=[{"band": "cold", "life": "24 h"}]).model_copy(
    update={"id": "serum"}
)
SPUN = (Switch(at=at(60), event="centrifuged", profile="serum"),)


def spun(course: Course, switches: tuple[Switch, ...] = SPUN) -> Trip:
    return replace(carry(WHOLE, course), more_profiles=(SERUM,), switches=switches)


def test_a_custody_event_switches_the_profile() -> None:
    """Warm as whole blood, cold as serum; each is outside the other's label."""
    course = [*steady(20, 0, 60), *steady(5, 60, 240)]
    assert spun(course).judgement(now=240).verdict is Verdict.ACCEPT
    assert spun(course, switches=()).judgement(now=240).verdict is Verdict.REVIEW
    late = (SPUN[0].model_copy(update={"at": at(90)}),)
    assert spun(course, switches=late).judgement(now=240).verdict is Verdict.REVIEW


def test_each_profile_judges_its_own_time() -> None:
    judgement = spun([*steady(20, 0, 60), *steady(5, 60, 240)]).judgement(now=240)
    assert [life.spent for life in judgement.lives] == [pytest.approx(1 / 4), pytest.approx(3 / 24)]


def test_a_profiles_deadline_does_not_run_on_after_the_switch() -> None:
    clock = {"kind": "clock", "name": "to-centrifuge", "since": "collected", "life": "2 h"}
    whole = make_profile(id="whole", lives=[clock])
    trip = replace(spun([*steady(20, 0, 60), *steady(5, 60, 240)]), profile=whole, item={"collected_at": at(0)})
    trip = replace(trip, consignment={"planned_arrival": at(300)})
    judgement = trip.judgement(now=240)
    assert judgement.verdict is Verdict.ACCEPT
    assert "life_ends_before_arrival" not in codes(judgement)
    late = replace(trip, switches=(SPUN[0].model_copy(update={"at": at(130)}),))
    assert "deadline_passed" in codes(late.judgement(now=240))


def test_a_stage_that_was_only_declared_needs_no_reading() -> None:
    trip = replace(spun(steady(5, 60, 240)), rides=(ride(60),), declared=(vouch(0, 60, 19, 23),))
    assert trip.judgement(now=240).verdict is Verdict.ACCEPT


def test_a_switch_a_moment_before_receipt_needs_no_reading_of_its_own() -> None:
    trip = spun([*steady(20, 0, 60)], (SPUN[0].model_copy(update={"at": at(59.5), "profile": "whole"}),))
    trip = replace(trip, consignment={"received_at": at(60)}, more_profiles=())
    assert trip.judgement(now=60).verdict is Verdict.ACCEPT


def test_the_worst_stage_counts() -> None:
    judgement = spun([*steady(20, 0, 60), *steady(20, 60, 240)]).judgement(now=240)
    assert judgement.verdict is Verdict.REVIEW


# --- registered late -------------------------------------------------------------------------------------------------


def test_what_was_registered_late_is_judged_from_stored_readings_and_says_so() -> None:
    trip = replace(carry(HOT, steady(9, 0, 60)), consignment={"registered_late": True, "received_at": at(60)})
    judgement = trip.judgement(now=600)
    assert judgement.verdict is Verdict.REJECT
    assert reason_of(judgement, "registered_late").verdict is Verdict.ACCEPT
