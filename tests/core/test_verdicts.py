"""The verdict: what is proven, what is possible, and what keeps an item from Accept."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from itertools import product

import pytest

from gateway.core.assessment import grade
from gateway.core.configuration import Logger
from gateway.core.observations import Source
from gateway.core.profiles import Evidence, Kind, Profile, Severity
from gateway.core.verdicts import Breach, Verdict, worst
from tests.core.trips import (
    BOX,
    COLD,
    LOGGER,
    ROOM,
    START,
    Trip,
    at,
    calibrated,
    carry,
    codes,
    judge_course,
    make_profile,
    observe,
    observe_all,
    reason_of,
    ride,
    steady,
    with_life,
    with_limit,
)

HOT = with_limit(above_c=8, single="30 min")
POTASSIUM = make_profile(
    id="potassium", bands=[ROOM], forbidden=[{"name": "cold", "below_c": 15, "dwell": "15 min"}], examination="K"
)
CRP = make_profile(id="crp", bands=[{"name": "carried", "from_c": 2, "to_c": 25}], examination="CRP")


# --- proven, worst, possible -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("temperature_c", "uncertainty_c", "verdict"),
    [
        (9, 0, Verdict.REJECT),
        (9, 0.9, Verdict.REJECT),
        (9, 1, Verdict.REVIEW),  # 8.0 is within
        (8.5, 0.5, Verdict.REVIEW),
        (7.6, 0.5, Verdict.REVIEW),
        (7.5, 0.5, Verdict.ACCEPT),  # 8.0 is within
        (7.6, 0, Verdict.ACCEPT),
    ],
)
def test_the_uncertainty_works_for_the_item_and_against_it(
    temperature_c: float, uncertainty_c: float, verdict: Verdict
) -> None:
    assert judge_course(HOT, steady(temperature_c, 0, 40), uncertainty_c=uncertainty_c).verdict is verdict


def test_the_uncertainty_comes_from_the_calibration_certificate() -> None:
    trip = carry(HOT, steady(8.3, 0, 40))
    assert trip.with_uncertainty(0.2).judgement(now=40).verdict is Verdict.REJECT
    assert trip.with_uncertainty(0.4).judgement(now=40).verdict is Verdict.REVIEW


def test_the_offset_of_the_certificate_corrects_the_reading() -> None:
    logger = Logger(address=LOGGER, box=BOX, calibration=calibrated(offset_c=-0.4))
    trip = replace(carry(HOT, steady(8.3, 0, 40)), loggers=(logger,))
    judgement = trip.judgement(now=40)
    assert judgement.verdict is Verdict.ACCEPT
    assert judgement.figures.max_c == 7.9


def test_a_proven_limit_broken_rejects() -> None:
    judgement = judge_course(HOT, steady(9, 0, 40), uncertainty_c=0.5)
    assert judgement.verdict is Verdict.REJECT
    assert reason_of(judgement, "limit_single").parameters["certainty"] == "proven"


def test_what_only_the_uncertainty_breaks_is_reviewed() -> None:
    judgement = judge_course(HOT, steady(8.3, 0, 40), uncertainty_c=0.5)
    assert judgement.verdict is Verdict.REVIEW
    assert reason_of(judgement, "limit_single").parameters["certainty"] == "within_uncertainty"


def test_25_minutes_then_11_silent_then_25_is_not_accept() -> None:
    judgement = judge_course(HOT, [*steady(9, 0, 25), *steady(9, 36, 61)])
    assert judgement.verdict is Verdict.INSUFFICIENT_DATA


def test_what_the_gaps_do_not_change_stays_as_it_is() -> None:
    gap = [*steady(9, 40, 65), *steady(9, 76, 101)]
    assert judge_course(HOT, [*steady(9, 0, 30), *steady(5, 30, 40), *gap]).verdict is Verdict.REJECT
    within = [*steady(8.2, 0, 30), *steady(5, 30, 40), *steady(5, 60, 80)]
    assert judge_course(HOT, within, uncertainty_c=0.5).verdict is Verdict.REVIEW


@pytest.mark.parametrize(("proven", "worse", "possible"), list(product((False, True), repeat=3)))
def test_one_rules_verdict_follows_from_its_views(*, proven: bool, worse: bool, possible: bool) -> None:
    graded = grade(Severity.REJECT, proven=proven, worst=worse, possible=possible)
    if proven:
        assert graded == (Verdict.REJECT, "proven")
    elif worse:
        assert graded == (Verdict.REVIEW, "within_uncertainty")
    elif possible:
        assert graded == (Verdict.INSUFFICIENT_DATA, "gap")
    else:
        assert graded is None


def test_the_worst_wins_in_order() -> None:
    order = [Verdict.ACCEPT, Verdict.REVIEW, Verdict.INSUFFICIENT_DATA, Verdict.REJECT]
    for best, second in product(order, repeat=2):
        assert worst([best, second]) is order[max(order.index(best), order.index(second))]
    assert worst([]) is Verdict.ACCEPT


def test_the_worst_reason_stands_first() -> None:
    profile = make_profile(
        bands=[COLD], limits=[{"name": "hot", "above_c": 8, "single": "30 min"}], evidence="proposal"
    )
    judgement = judge_course(profile, [*steady(9, 0, 40), *steady(5, 80, 90)])
    ranks = [reason.verdict.rank for reason in judgement.reasons]
    assert ranks == sorted(ranks, reverse=True)
    assert judgement.verdict is Verdict.REJECT


# --- items and examinations ------------------------------------------------------------------------------------------


def test_one_tube_too_cold_for_potassium_may_still_serve_crp() -> None:
    trip = replace(
        carry(POTASSIUM, steady(5, 0, 60)),
        more_profiles=(CRP,),
        item={"examinations": [{"code": "K", "profile": "potassium"}, {"code": "CRP", "profile": "crp"}]},
    )
    judge = trip.judge()
    judge.add(trip.observations)
    verdicts = {judgement.examination: judgement.verdict for judgement in judge.judgements(START_PLUS_AN_HOUR_MS)}
    assert verdicts == {"K": Verdict.REJECT, "CRP": Verdict.ACCEPT}


START_PLUS_AN_HOUR_MS = round(at(60).timestamp() * 1000)


def test_an_unknown_profile_is_insufficient_data() -> None:
    trip = replace(carry(HOT, steady(5, 0, 60)), item={"examinations": [{"code": "K", "profile": "nowhere"}]})
    judgement = trip.judgement(now=60)
    assert judgement.verdict is Verdict.INSUFFICIENT_DATA
    assert reason_of(judgement, "profile_unknown").parameters == {"profile": "nowhere"}


def test_an_item_that_was_nowhere_is_insufficient_data() -> None:
    judgement = replace(carry(HOT, []), rides=()).judgement(now=60)
    assert judgement.verdict is Verdict.INSUFFICIENT_DATA
    assert codes(judgement) == {"no_exposure"}


def test_a_recording_without_readings_cannot_be_judged() -> None:
    with pytest.raises(ValueError, match="without readings"):
        judge_course(HOT, [])


def test_a_box_that_said_nothing_is_insufficient_data() -> None:
    profile = make_profile(lives=[{"kind": "clock", "name": "life", "since": "collected", "life": "4 h"}])
    trip = replace(carry(profile, []), item={"collected_at": at(0)})
    judgement = trip.judgement(now=60)
    assert judgement.verdict is Verdict.INSUFFICIENT_DATA
    assert "no_readings" in codes(judgement)


# --- what can at most be Review --------------------------------------------------------------------------------------


@pytest.mark.parametrize("by_item", [True, False])
def test_irreplaceable_items_are_review_at_worst(*, by_item: bool) -> None:
    profile = HOT if by_item else HOT.model_copy(update={"irreplaceable": True})
    trip = replace(carry(profile, steady(9, 0, 40)), item={"irreplaceable": by_item})
    judgement = trip.judgement(now=40)
    assert judgement.verdict is Verdict.REVIEW
    assert reason_of(judgement, "irreplaceable").parameters == {"otherwise": "reject"}
    assert judgement.breaches, "the breach is not hidden"
    silent = replace(trip, observations=())
    assert silent.judgement(now=40).verdict is Verdict.REVIEW
    nowhere = replace(trip, rides=(), item={"irreplaceable": True})
    assert nowhere.judgement(now=40).verdict is Verdict.REVIEW


def test_irreplaceable_does_not_worsen_what_is_fine() -> None:
    trip = replace(carry(HOT, steady(5, 0, 40)), item={"irreplaceable": True})
    assert trip.judgement(now=40).verdict is Verdict.ACCEPT


def test_a_profile_that_is_not_approved_gives_at_most_review() -> None:
    trip = replace(carry(HOT, steady(5, 0, 40)), demonstration=False)
    judgement = trip.judgement(now=40)
    assert judgement.verdict is Verdict.REVIEW
    assert reason_of(judgement, "profile_not_approved").parameters == {"profile": "tested", "version": 1}
    broken = replace(carry(HOT, steady(9, 0, 40)), demonstration=False)
    assert broken.judgement(now=40).verdict is Verdict.REJECT


def test_in_a_demonstration_it_counts_as_approved() -> None:
    assert carry(HOT, steady(5, 0, 40)).judgement(now=40).verdict is Verdict.ACCEPT


@pytest.mark.parametrize(
    ("kind", "role", "item"),
    [("sample", "laboratory_doctor", {}), ("medicine", "pharmacist", {"use_before": at(1000)})],
)
def test_an_approved_profile_accepts(kind: str, role: str, item: dict[str, object]) -> None:
    approval = {"by": "A. Approver", "role": role, "at": START, "version": 1}
    profile = make_profile(
        kind=kind, status="approved", approval=approval, limits=[{"name": "hot", "above_c": 8, "single": "30 min"}]
    )
    trip = replace(carry(profile, steady(5, 0, 40)), demonstration=False, item=item)
    assert trip.judgement(now=40).verdict is Verdict.ACCEPT


@pytest.mark.parametrize("demonstration", [True, False])
def test_figures_of_general_knowledge_never_accept(*, demonstration: bool) -> None:
    profile = HOT.model_copy(update={"evidence": Evidence.GENERAL_KNOWLEDGE})
    trip = replace(carry(profile, steady(5, 0, 40)), demonstration=demonstration)
    judgement = trip.judgement(now=40)
    assert judgement.verdict is Verdict.REVIEW
    assert "profile_general_knowledge" in codes(judgement)


# --- temperatures that nobody stated ---------------------------------------------------------------------------------


@pytest.mark.parametrize("temperature_c", [1, 12, 30])
def test_a_temperature_in_no_stated_band_gives_review(temperature_c: float) -> None:
    profile = make_profile(bands=[COLD, ROOM])
    judgement = judge_course(profile, [*steady(5, 0, 30), *steady(temperature_c, 30, 60)])
    assert judgement.verdict is Verdict.REVIEW
    assert reason_of(judgement, "outside_bands").parameters == {"minutes": 30, "certainty": "proven"}


@pytest.mark.parametrize(("minutes", "verdict"), [(10, Verdict.ACCEPT), (11, Verdict.REVIEW)])
def test_a_profile_may_tolerate_a_few_minutes_outside(minutes: int, verdict: Verdict) -> None:
    profile = make_profile(bands=[COLD], outside_tolerance="10 min")
    course = [*steady(9, 0, minutes), *steady(5, minutes, 30)]
    assert judge_course(profile, course).verdict is verdict


def test_a_profile_may_reject_what_it_does_not_state() -> None:
    profile = make_profile(bands=[COLD], outside="reject")
    assert judge_course(profile, steady(9, 0, 30)).verdict is Verdict.REJECT


MEDICINE = make_profile(kind="medicine", bands=[COLD])


@pytest.mark.parametrize(("cited", "verdict"), [(False, Verdict.REVIEW), (True, Verdict.ACCEPT)])
def test_proven_time_outside_a_medicines_label_is_reviewed_unless_data_are_cited(
    *, cited: bool, verdict: Verdict
) -> None:
    profile = MEDICINE.model_copy(update={"stability_data_cited": cited})
    trip = replace(carry(profile, [*steady(5, 0, 30), *steady(10, 30, 60)]), item={"use_before": at(1000)})
    assert trip.judgement(now=60).verdict is verdict


def test_a_gap_that_may_have_left_the_label_is_insufficient_data() -> None:
    course = [*steady(5, 0, 30), *steady(5, 400, 430)]
    assert judge_course(make_profile(bands=[COLD]), course).verdict is Verdict.INSUFFICIENT_DATA


def test_mean_kinetic_temperature_alone_never_accepts() -> None:
    """A mean of 5 °C does not excuse an hour at 20."""
    profile = make_profile(bands=[COLD])
    judgement = judge_course(profile, [*steady(3, 0, 600), *steady(20, 600, 660)])
    assert judgement.figures.mkt_c is not None
    assert judgement.figures.mkt_c < 8
    assert judgement.verdict is Verdict.REVIEW


# --- calibration and clock -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "calibration",
    [
        None,
        calibrated(due_at=at(20)),
        calibrated(calibrated_at=at(20)),
        calibrated(calibrated_at=START - timedelta(days=800), due_at=START - timedelta(days=400)),
    ],
    ids=["missing", "overdue on the way", "calibrated only later", "overdue"],
)
def test_missing_or_overdue_calibration_blocks_accept(calibration: object) -> None:
    logger = Logger.model_validate({"address": LOGGER, "box": BOX, "calibration": calibration})
    judgement = replace(carry(HOT, steady(5, 0, 40)), loggers=(logger,)).judgement(now=40)
    assert judgement.verdict is Verdict.REVIEW
    assert "not_calibrated" in codes(judgement)


def test_only_the_readings_of_that_time_lack_calibration() -> None:
    logger = Logger(address=LOGGER, box=BOX, calibration=calibrated(due_at=at(30)))
    judgement = replace(carry(HOT, steady(5, 0, 40)), loggers=(logger,)).judgement(now=40)
    assert reason_of(judgement, "not_calibrated").parameters == {"readings": 10}


def test_a_profile_may_do_without_calibration() -> None:
    profile = make_profile(limits=[{"name": "hot", "above_c": 8, "single": "30 min"}], calibration={"required": False})
    trip = replace(carry(profile, steady(5, 0, 40)), loggers=(Logger(address=LOGGER, box=BOX),))
    assert trip.judgement(now=40).verdict is Verdict.ACCEPT


def test_without_a_certificate_the_profiles_uncertainty_is_assumed() -> None:
    profile = make_profile(
        limits=[{"name": "hot", "above_c": 8, "single": "30 min"}], calibration={"required": False}, uncertainty_c=0.5
    )
    trip = replace(carry(profile, steady(8.4, 0, 40)), loggers=(Logger(address=LOGGER, box=BOX),))
    assert trip.judgement(now=40).verdict is Verdict.REVIEW


def test_an_untrusted_clock_blocks_accept() -> None:
    observations = tuple(observe(minute, c, clock_trusted=minute != 7) for minute, c in steady(5, 0, 40))
    judgement = Trip(HOT, observations).judgement(now=40)
    assert judgement.verdict is Verdict.REVIEW
    assert reason_of(judgement, "clock_untrusted").parameters == {"readings": 1}


# --- late and conflicting data ---------------------------------------------------------------------------------------


def test_late_data_give_what_they_would_have_given_at_once() -> None:
    observations = observe_all([*steady(5, 0, 30), *steady(9, 30, 65), *steady(5, 65, 90)])
    trip = Trip(HOT, tuple(observations))
    judge = trip.judge()
    judge.add(observations[:20] + observations[50:])
    (before,) = judge.judgements(START_PLUS_AN_HOUR_MS + 30 * 60_000)
    assert before.verdict is Verdict.INSUFFICIENT_DATA
    judge.add(observations[20:50])
    (after,) = judge.judgements(START_PLUS_AN_HOUR_MS + 30 * 60_000)
    assert after == trip.judgement(now=90)
    assert after.verdict is Verdict.REJECT
    assert before.verdict is Verdict.INSUFFICIENT_DATA, "what was said stays as it was"


def test_a_gap_is_closed_by_the_loggers_memory() -> None:
    live = observe_all([*steady(5, 0, 30), *steady(5, 300, 330)])
    memory = observe_all(steady(5, 30, 300, 5), source=Source.MEMORY, interval_s=300)
    assert Trip(HOT, tuple(live)).judgement(now=330).verdict is Verdict.INSUFFICIENT_DATA
    judgement = Trip(HOT, (*live, *memory)).judgement(now=330)
    assert judgement.verdict is Verdict.ACCEPT
    assert judgement.figures.backfilled == 53, "the first lies within half an interval of what was heard"
    assert judgement.gaps == ()


def test_conflicting_duplicates_are_kept_and_flagged() -> None:
    observations = [observe(minute, c, counter=round(minute)) for minute, c in steady(5, 0, 40)]
    judgement = Trip(HOT, (*observations, observe(7, 6, counter=7))).judgement(now=40)
    assert judgement.verdict is Verdict.REVIEW
    assert reason_of(judgement, "conflicting_readings").parameters == {"count": 1}


def test_a_conflict_outside_the_items_time_is_none_of_its() -> None:
    observations = [observe(minute, c, counter=round(minute)) for minute, c in steady(5, 0, 60)]
    trip = Trip(HOT, (*observations, observe(7, 6, counter=7)), rides=(ride(20),))
    assert trip.judgement(now=60).verdict is Verdict.ACCEPT


# --- medicines -------------------------------------------------------------------------------------------------------


def test_a_medicine_without_use_before_is_insufficient_data() -> None:
    judgement = carry(MEDICINE, steady(5, 0, 40)).judgement(now=40)
    assert judgement.verdict is Verdict.INSUFFICIENT_DATA
    assert "use_before_missing" in codes(judgement)


def test_a_medicines_profile_makes_a_medicine() -> None:
    judgement = replace(carry(MEDICINE, steady(5, 0, 40)), item={"kind": "sample"}).judgement(now=40)
    assert "use_before_missing" in codes(judgement)


@pytest.mark.parametrize(("use_before", "verdict"), [(41, Verdict.ACCEPT), (40, Verdict.ACCEPT), (39, Verdict.REJECT)])
def test_use_before_is_a_deadline(use_before: float, verdict: Verdict) -> None:
    trip = replace(carry(MEDICINE, steady(5, 0, 40)), item={"use_before": at(use_before)})
    assert trip.judgement(now=40).verdict is verdict


def test_use_before_caps_every_computed_life() -> None:
    profile = with_life("alternative", (COLD,), allowances=[{"band": "cold", "life": "24 h"}])
    profile = profile.model_copy(update={"kind": Kind.MEDICINE, "planned_storage_c": 5})
    trip = replace(carry(profile, steady(5, 0, 60)), item={"use_before": at(180)})
    judgement = trip.judgement(now=60)
    for life in judgement.lives:
        assert life.left_now_h == 2
        assert life.left_planned_h == 2
        assert life.expires_at_ms == round(at(180).timestamp() * 1000)


# --- urgency ---------------------------------------------------------------------------------------------------------


def test_passing_the_latest_arrival_marks_as_urgent_and_never_lowers_the_verdict() -> None:
    trip = replace(carry(HOT, steady(5, 0, 60)), item={"latest_arrival": at(30)})
    judgement = trip.judgement(now=60)
    assert judgement.urgent
    assert judgement.verdict is Verdict.ACCEPT


def test_an_arrival_planned_too_late_is_urgent_before_it_happens() -> None:
    trip = replace(
        carry(HOT, steady(5, 0, 60)), item={"latest_arrival": at(90)}, consignment={"planned_arrival": at(100)}
    )
    assert trip.judgement(now=60).urgent
    in_time = replace(trip, consignment={"planned_arrival": at(80)})
    assert not in_time.judgement(now=60).urgent


def test_received_in_time_is_not_urgent_later() -> None:
    trip = replace(carry(HOT, steady(5, 0, 60)), item={"latest_arrival": at(90)}, consignment={"received_at": at(60)})
    assert not trip.judgement(now=600).urgent


# --- muting ----------------------------------------------------------------------------------------------------------


def muted(**fields: object) -> Profile:
    return make_profile(limits=[{"name": "hot", "above_c": 8, "single": "30 min"}], **fields)


def test_limits_can_be_muted_in_a_phase_and_no_reading_is_deleted() -> None:
    profile = muted(muted_phases=["at_origin"])
    trip = carry(profile, [*steady(20, 0, 60), *steady(5, 60, 120)])
    trip = replace(trip, rides=(ride(0, 60, phase="at_origin"), ride(60)))
    judgement = trip.judgement(now=120)
    assert judgement.verdict is Verdict.ACCEPT
    assert judgement.excursions == ()
    assert (judgement.figures.readings, judgement.figures.max_c) == (120, 20)
    in_transit = replace(trip, rides=(ride(0, 60), ride(60)))
    assert in_transit.judgement(now=120).verdict is Verdict.REJECT


def test_a_start_delay_mutes_its_own_time_only() -> None:
    profile = muted(start_delay="10 min")
    first = carry(profile, [*steady(9, 0, 39), *steady(5, 39, 60)]).judgement(now=60)
    assert first.verdict is Verdict.ACCEPT
    assert first.cumulative_minutes == {"hot": 29}
    assert carry(profile, [*steady(9, 0, 40), *steady(5, 40, 60)]).judgement(now=60).verdict is Verdict.REJECT


def test_a_start_delay_ends_within_a_reading() -> None:
    judgement = judge_course(muted(start_delay="7 min"), steady(9, 0, 20, 5), interval_s=300)
    assert judgement.cumulative_minutes == {"hot": 13}


# --- what a breach says ----------------------------------------------------------------------------------------------


def breach_of(course: list[tuple[float, float]], uncertainty_c: float) -> Breach:
    (breach,) = judge_course(HOT, course, uncertainty_c=uncertainty_c).breaches
    return breach


def test_a_breach_says_whether_it_is_beyond_the_uncertainty() -> None:
    assert breach_of(steady(9, 0, 40), 0.5).proven
    assert not breach_of(steady(8.3, 0, 40), 0.5).proven


@pytest.mark.parametrize("first_c", [9, 8.3])
def test_of_two_breaches_each_says_it_for_itself(first_c: float) -> None:
    second_c = 8.3 if first_c == 9 else 9
    course = [*steady(first_c, 0, 40), *steady(5, 40, 60), *steady(second_c, 60, 100), *steady(5, 100, 110)]
    judgement = judge_course(HOT, course, uncertainty_c=0.5)
    assert [breach.proven for breach in judgement.breaches] == [first_c == 9, second_c == 9]
    assert judgement.verdict is Verdict.REJECT
