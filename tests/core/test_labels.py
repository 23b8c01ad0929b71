"""What a label says: alternative, sequential, nested and independent lives, rate laws, clock lives, storage."""

from __future__ import annotations

from dataclasses import replace

import pytest

from gateway.core.profiles import Profile
from gateway.core.verdicts import BreachKind, LifeLeft, Verdict
from tests.core.trips import (
    COLD,
    MILD,
    ROOM,
    Course,
    at,
    carry,
    codes,
    judge_course,
    make_profile,
    ms,
    reason_of,
    spent_of,
    steady,
    with_life,
)

HOUR = 60


def hours(temperature_c: float, begin: float, end: float) -> list[tuple[float, float]]:
    """A reading every five minutes."""
    return steady(temperature_c, begin * HOUR, end * HOUR, 5)


def life_of(profile: Profile, course: Course) -> LifeLeft:
    (life,) = judge_course(profile, course, interval_s=300).lives
    return life


# --- alternative -----------------------------------------------------------------------------------------------------

DAY_OR_SIX = [{"band": "cold", "life": "24 h"}, {"band": "mild", "life": "6 h"}]
DAY_OR_SIX_HOURS = with_life("alternative", (COLD, MILD), allowances=DAY_OR_SIX)


@pytest.mark.parametrize(("last_c", "left_h"), [(5, 8.0), (18, 2.0)])
def test_alternative_is_one_budget(last_c: float, left_h: float) -> None:
    """10 h at 5 °C and 1.5 h at 18 °C: two thirds are spent; 8 h are left in the cold or 2 h in the warm."""
    stays = [hours(18, 0, 1.5), hours(5, 1.5, 11.5)] if last_c == 5 else [hours(5, 0, 10), hours(18, 10, 11.5)]
    life = life_of(DAY_OR_SIX_HOURS, [*stays[0], *stays[1]])
    assert life.spent == pytest.approx(0.666667, rel=5e-6)
    assert life.left_now_h == pytest.approx(left_h, rel=5e-6)


@pytest.mark.parametrize(
    ("mixing", "verdict"), [("review", Verdict.REVIEW), ("approved", Verdict.ACCEPT), (None, Verdict.REVIEW)]
)
def test_mixed_bands_are_reviewed_unless_the_owner_approved_mixing(mixing: str | None, verdict: Verdict) -> None:
    profile = with_life(
        "alternative", (COLD, MILD), allowances=DAY_OR_SIX, **({} if mixing is None else {"mixing": mixing})
    )
    judgement = judge_course(profile, [*hours(5, 0, 10), *hours(18, 10, 11.5)], interval_s=300)
    assert judgement.verdict is verdict
    assert ("life_mixed" in codes(judgement)) is (verdict is Verdict.REVIEW)


def test_one_band_alone_is_not_mixed() -> None:
    profile = DAY_OR_SIX_HOURS
    assert judge_course(profile, hours(18, 0, 5), interval_s=300).verdict is Verdict.ACCEPT


@pytest.mark.parametrize("mixing", ["review", "approved"])
def test_a_spent_budget_rejects(mixing: str) -> None:
    profile = with_life("alternative", (COLD, MILD), allowances=DAY_OR_SIX, mixing=mixing)
    judgement = judge_course(profile, [*hours(5, 0, 12), *hours(18, 12, 16)], interval_s=300)
    assert judgement.verdict is Verdict.REJECT
    (breach,) = judgement.breaches
    assert (breach.kind, breach.triggered_at_ms) == (BreachKind.LIFE, ms(15 * HOUR))


def test_the_value_that_two_bands_share_belongs_to_the_colder_one() -> None:
    assert life_of(DAY_OR_SIX_HOURS, hours(8, 0, 6)).spent == pytest.approx(0.25)


def test_a_pause_that_is_no_gap_is_spent_only_as_a_possibility() -> None:
    judgement = judge_course(DAY_OR_SIX_HOURS, steady(5, 0, 60), end=69)
    (life,) = judgement.lives
    assert life.spent == pytest.approx(60 / 1440)
    assert life.spent_possible == pytest.approx(69 / 1440)


def test_a_label_is_not_interpolated_between_its_bands() -> None:
    profile = with_life("alternative", allowances=[{"band": "cold", "life": "24 h"}, {"band": "room", "life": "4 h"}])
    judgement = judge_course(profile, hours(12, 0, 1), interval_s=300)
    assert judgement.verdict is Verdict.REVIEW
    assert reason_of(judgement, "life_unstated").parameters["minutes"] == 60


def test_a_life_not_stated_for_a_band_is_unknown_and_never_unlimited() -> None:
    profile = with_life("alternative", (COLD, ROOM), allowances=[{"band": "cold", "life": "24 h"}])
    judgement = judge_course(profile, hours(20, 0, 1), interval_s=300)
    assert judgement.verdict is Verdict.REVIEW
    assert "life_unstated" in codes(judgement)


@pytest.mark.parametrize("temperature_c", [12, 30, 60])
def test_above_a_band_no_less_is_spent_than_in_it(temperature_c: float) -> None:
    """What the label does not state is unknown; that it spends less than the cold would be absurd."""
    profile = with_life("alternative", allowances=[{"band": "cold", "life": "24 h"}, {"band": "room", "life": "4 h"}])
    least = 1 / 24 if temperature_c == 12 else 1 / 4
    assert life_of(profile, hours(temperature_c, 0, 1)).spent == pytest.approx(least)


def test_where_two_bands_are_possible_the_harsher_one_is_possible_and_the_milder_one_proven() -> None:
    judgement = judge_course(DAY_OR_SIX_HOURS, hours(7.9, 0, 6), interval_s=300, uncertainty_c=0.5)
    (life,) = judgement.lives
    assert life.spent == pytest.approx(6 / 24)
    assert life.spent_possible == pytest.approx(1)
    assert reason_of(judgement, "life_spent").parameters["certainty"] == "within_uncertainty"
    assert judgement.verdict is Verdict.REVIEW


def test_above_bands_of_equal_life_no_less_is_spent_either() -> None:
    profile = with_life("alternative", allowances=[{"band": "cold", "life": "4 h"}, {"band": "room", "life": "4 h"}])
    assert life_of(profile, hours(30, 0, 1)).spent == pytest.approx(1 / 4)


def test_nothing_is_proven_above_a_band_where_the_label_is_not_harsher_when_warmer() -> None:
    profile = with_life("alternative", allowances=[{"band": "cold", "life": "4 h"}, {"band": "room", "life": "24 h"}])
    judgement = judge_course(profile, hours(12, 0, 5), interval_s=300)
    assert judgement.verdict is Verdict.REVIEW
    assert spent_of(judgement) == 0


# --- sequential ------------------------------------------------------------------------------------------------------

DAY_THEN_TWELVE = {"steps": [{"band": "cold", "life": "24 h"}, {"band": "room", "life": "12 h", "dwell": "30 min"}]}
THEN = with_life("sequential", **DAY_THEN_TWELVE)


def test_sequential_clocks_run_one_after_the_other() -> None:
    judgement = judge_course(THEN, [*hours(5, 0, 18), *hours(20, 18, 28)], interval_s=300)
    assert judgement.verdict is Verdict.ACCEPT
    assert spent_of(judgement) == pytest.approx(10 / 12)
    assert judgement.lives[0].left_now_h == pytest.approx(2)


def test_the_second_clock_alone_can_run_out() -> None:
    judgement = judge_course(THEN, [*hours(5, 0, 1), *hours(20, 1, 14)], interval_s=300)
    assert judgement.verdict is Verdict.REJECT
    (breach,) = judgement.breaches
    assert breach.triggered_at_ms == ms(13 * HOUR)


def test_the_first_clock_alone_can_run_out() -> None:
    assert judge_course(THEN, hours(5, 0, 24), interval_s=300).verdict is Verdict.REJECT


@pytest.mark.parametrize(("minutes", "left_it"), [(30, False), (35, True)])
def test_a_short_stay_in_the_warm_does_not_leave_the_first_step(minutes: int, *, left_it: bool) -> None:
    course = [*hours(5, 0, 2), *steady(20, 120, 120 + minutes, 5), *steady(5, 120 + minutes, 300, 5)]
    judgement = judge_course(THEN, course, interval_s=300)
    assert ("life_returned" in codes(judgement)) is left_it
    assert judgement.verdict is (Verdict.REVIEW if left_it else Verdict.ACCEPT)


def test_short_stays_do_not_add_up_to_one_stretch() -> None:
    course = [*hours(5, 0, 1), *steady(20, 60, 80, 5), *steady(5, 80, 90, 5), *steady(20, 90, 110, 5)]
    course += steady(5, 110, 180, 5)
    assert judge_course(THEN, course, interval_s=300).verdict is Verdict.ACCEPT


def test_a_return_to_the_cold_is_reviewed_and_the_second_clock_runs_on() -> None:
    judgement = judge_course(THEN, [*hours(5, 0, 2), *hours(20, 2, 5), *hours(5, 5, 9)], interval_s=300)
    assert judgement.verdict is Verdict.REVIEW
    assert reason_of(judgement, "life_returned").parameters["minutes"] == 240
    assert spent_of(judgement) == pytest.approx(7 / 12)


@pytest.mark.parametrize("every", [1, 4, 8])
def test_the_first_clock_has_the_dwell_and_no_more_however_the_readings_divide_it(every: int) -> None:
    course = [*steady(5, 0, 720, every), *steady(20, 720, 760, every)]
    judgement = judge_course(THEN, course, interval_s=every * 60)
    assert spent_of(judgement) == pytest.approx(12.5 / 24)


@pytest.mark.parametrize("every", [5, 60])
def test_the_second_clock_has_all_of_its_stretch(every: int) -> None:
    course = [*steady(5, 0, 60, every), *steady(20, 60, 180, every)]
    assert spent_of(judge_course(THEN, course, interval_s=every * 60)) == pytest.approx(2 / 12)


def test_a_gap_is_not_proven_to_be_the_first_steps_time() -> None:
    """20 h cold, 5 h unknown: it may have been in the second step for those five."""
    judgement = judge_course(THEN, [*hours(5, 0, 20), *hours(5, 25, 25.5)], interval_s=300)
    assert judgement.verdict is Verdict.INSUFFICIENT_DATA


def test_a_gap_ends_a_stretch_of_dwelling() -> None:
    """Twenty warm minutes, twelve silent, twenty warm: nobody measured more than the thirty that are allowed."""
    course = [*hours(5, 0, 1), *steady(20, 60, 80, 5), *steady(20, 95, 115, 5), *steady(5, 115, 180, 5)]
    judgement = judge_course(THEN, course, interval_s=300)
    assert judgement.verdict is Verdict.INSUFFICIENT_DATA
    assert reason_of(judgement, "life_returned").parameters["certainty"] == "gap"


def test_what_is_spent_for_certain_is_possibly_spent_whatever_step_it_may_be_in() -> None:
    """At 8.2 ± 0.5 °C it may have gone on to the long second step, or still be in the short first one."""
    profile = with_life(
        "sequential", (COLD, MILD), steps=[{"band": "mild", "life": "2 h"}, {"band": "cold", "life": "30 h"}]
    )
    judgement = judge_course(profile, hours(8.2, 0, 2), interval_s=300, uncertainty_c=0.5)
    (life,) = judgement.lives
    assert life.spent == life.spent_possible == 1


def test_a_gap_runs_on_the_last_clock() -> None:
    """Once warm, the second clock runs until use, heard or not."""
    judgement = judge_course(THEN, [*hours(5, 0, 1), *hours(20, 1, 3), *hours(20, 14, 15)], interval_s=300)
    assert judgement.verdict is Verdict.REJECT


def test_a_long_gap_may_hide_a_return() -> None:
    judgement = judge_course(THEN, [*hours(5, 0, 1), *hours(16, 1, 2), *hours(16, 8, 8.5)], interval_s=300)
    assert judgement.verdict is Verdict.INSUFFICIENT_DATA
    assert reason_of(judgement, "life_returned").parameters["certainty"] == "gap"


# --- nested ----------------------------------------------------------------------------------------------------------

FOUR_OF_WHICH_ONE = with_life(
    "nested", (COLD, MILD), total="4 h", bands=["cold", "mild"], within=[{"band": "mild", "life": "1 h"}]
)


@pytest.mark.parametrize(
    ("cold_h", "warm_h", "verdict"),
    [
        (3, 0.75, Verdict.ACCEPT),
        (2, 1, Verdict.REJECT),  # the cap inside
        (3.25, 0.75, Verdict.REJECT),  # the total
        (4, 0, Verdict.REJECT),
    ],
)
def test_nested_has_a_total_and_a_cap_inside_it(cold_h: float, warm_h: float, verdict: Verdict) -> None:
    course = [*hours(5, 0, cold_h), *hours(20, cold_h, cold_h + warm_h)]
    judgement = judge_course(FOUR_OF_WHICH_ONE, course, interval_s=300)
    assert judgement.verdict is verdict
    end = [ms((cold_h + warm_h) * HOUR)] if verdict is Verdict.REJECT else []
    assert [breach.triggered_at_ms for breach in judgement.breaches] == end


def test_a_cap_is_proven_only_where_no_other_band_is_possible() -> None:
    judgement = judge_course(FOUR_OF_WHICH_ONE, hours(8.1, 0, 1), interval_s=300, uncertainty_c=0.5)
    assert judgement.verdict is Verdict.REVIEW
    assert reason_of(judgement, "life_spent").parameters["certainty"] == "within_uncertainty"


def test_the_total_runs_by_the_clock_heard_or_not() -> None:
    course = [*hours(5, 0, 1), *hours(5, 3.5, 4)]
    judgement = judge_course(FOUR_OF_WHICH_ONE, course, interval_s=300)
    assert judgement.verdict is Verdict.REJECT
    assert reason_of(judgement, "life_spent").parameters["certainty"] == "proven"


def test_nested_leaves_the_smaller_of_both() -> None:
    life = life_of(FOUR_OF_WHICH_ONE, [*hours(5, 0, 2), *hours(20, 2, 2.5)])
    assert life.left_now_h == pytest.approx(0.5)
    life = life_of(FOUR_OF_WHICH_ONE, [*hours(20, 0, 0.5), *hours(5, 0.5, 3)])
    assert life.left_now_h == pytest.approx(1)


def test_hotter_than_the_capped_band_counts_against_the_cap() -> None:
    judgement = judge_course(FOUR_OF_WHICH_ONE, hours(30, 0, 1), interval_s=300)
    assert judgement.verdict is Verdict.REJECT


# --- independent -----------------------------------------------------------------------------------------------------

PLUS = with_life(
    "independent", (COLD, MILD), allowances=[{"band": "cold", "life": "30 h"}, {"band": "mild", "life": "24 h"}]
)


def test_independent_bands_have_a_clock_each_in_any_order() -> None:
    course = [*hours(20, 0, 10), *hours(5, 10, 35), *hours(20, 35, 45)]
    judgement = judge_course(PLUS, course, interval_s=300)
    assert judgement.verdict is Verdict.ACCEPT
    assert spent_of(judgement) == pytest.approx(25 / 30)
    assert judgement.lives[0].left_now_h == pytest.approx(4)
    spent = judge_course(PLUS, [*course, *hours(20, 45, 52)], interval_s=300)
    assert spent.verdict is Verdict.REJECT
    assert [breach.triggered_at_ms for breach in spent.breaches] == [ms(49 * HOUR)]


@pytest.mark.parametrize("order", [("10 h", "20 h"), ("20 h", "10 h")])
def test_the_first_of_several_lives_to_end_is_noticed_when_it_ends(order: tuple[str, str]) -> None:
    """After hours of calm, to the minute, whichever life stands first."""
    lives = [
        {"kind": "alternative", "name": f"life-{place}", "allowances": [{"band": "cold", "life": life}]}
        for place, life in enumerate(order)
    ]
    judgement = judge_course(make_profile(bands=[COLD], lives=lives), steady(5, 0, 15 * HOUR, 7), interval_s=420)
    (breach,) = judgement.breaches
    assert (breach.rule, breach.triggered_at_ms) == (f"life-{order.index('10 h')}", ms(10 * HOUR))


def test_a_life_that_is_just_spent_is_spent() -> None:
    profile = with_life("alternative", (COLD,), allowances=[{"band": "cold", "life": "2 h"}])
    judgement = judge_course(profile, hours(5, 0, 2), interval_s=300)
    assert judgement.verdict is Verdict.REJECT
    assert [breach.triggered_at_ms for breach in judgement.breaches] == [ms(2 * HOUR)]


# --- rate laws -------------------------------------------------------------------------------------------------------

LAW = {"reference_c": 5, "reference_life": "720 h", "q10": 3, "valid_from_c": 2, "valid_to_c": 30}


def test_a_rate_law_adds_up_damage() -> None:
    course = [*hours(5, 0, 4), *hours(12, 4, 5), *hours(25, 5, 5.5), *hours(8, 5.5, 7.5)]
    life = life_of(with_life("q10", (), **LAW), course)
    # The trapezoid between readings differs from the worked segments only where the temperature changes.
    assert life.spent == pytest.approx(0.0186645, rel=0.03)
    assert life.left_now_h == pytest.approx((1 - life.spent) * 517.841, rel=1e-6)


def test_the_trapezoid_is_the_worked_one() -> None:
    course = [(15 * place, c) for place, c in enumerate((5, 5, 9, 14, 10))]
    judgement = judge_course(with_life("q10", (), **LAW), course, interval_s=900)
    last = 0.25 / 720 * 3**0.5
    assert spent_of(judgement) - last == pytest.approx(0.00229366, rel=5e-6)


@pytest.mark.parametrize(
    ("temperature_c", "verdict"), [(30, Verdict.ACCEPT), (31, Verdict.REVIEW), (1, Verdict.REVIEW)]
)
def test_a_rate_law_says_nothing_outside_its_validity(temperature_c: float, verdict: Verdict) -> None:
    judgement = judge_course(with_life("q10", (), **LAW), hours(temperature_c, 0, 1), interval_s=300)
    assert judgement.verdict is verdict


def test_outside_its_validity_no_less_is_spent_than_at_its_end() -> None:
    profile = with_life("q10", (), **LAW)
    assert life_of(profile, hours(40, 0, 1)).spent >= life_of(profile, hours(30, 0, 1)).spent


@pytest.mark.parametrize(
    ("kind", "law", "factor"),
    [
        ("q10", {"q10": 3}, 1.05647),
        ("arrhenius", {"activation_energy_kj_mol": 83.144}, 1.06664),
    ],
)
def test_half_a_kelvin_of_uncertainty_makes_the_heat_worse(kind: str, law: dict[str, float], factor: float) -> None:
    fields = {"reference_c": 5, "reference_life": "10 h", "valid_from_c": 2, "valid_to_c": 30, **law}
    profile = with_life(kind, (), **fields)
    judgement = judge_course(profile, hours(5, 0, 1), interval_s=300, uncertainty_c=0.5)
    (life,) = judgement.lives
    assert life.spent == pytest.approx(0.1)
    assert life.spent_possible / life.spent == pytest.approx(factor, rel=5e-6)


# --- clocks, storage, several lives ----------------------------------------------------------------------------------

FOUR_HOURS = make_profile(lives=[{"kind": "clock", "name": "life", "since": "collected", "life": "4 h"}])


@pytest.mark.parametrize(("received", "verdict"), [(240, Verdict.ACCEPT), (240.1, Verdict.REJECT)])
def test_a_clock_life_runs_whatever_the_temperature(received: float, verdict: Verdict) -> None:
    trip = carry(FOUR_HOURS, steady(5, 0, 250))
    trip = replace(trip, item={"collected_at": at(0)}, consignment={"received_at": at(received)})
    judgement = trip.judgement(now=300)
    assert judgement.verdict is verdict
    assert [breach.kind for breach in judgement.breaches] == [BreachKind.DEADLINE] * (verdict is Verdict.REJECT)


@pytest.mark.parametrize(("now", "warns"), [(191, False), (192, True)])
def test_a_clock_life_warns_and_foresees(now: int, *, warns: bool) -> None:
    trip = replace(carry(FOUR_HOURS, steady(5, 0, now)), item={"collected_at": at(0)})
    judgement = replace(trip, consignment={"planned_arrival": at(250)}).judgement(now=now)
    assert judgement.verdict is Verdict.ACCEPT
    assert ("life_warning" in codes(judgement)) is warns
    assert reason_of(judgement, "life_ends_before_arrival").parameters["expires_at_ms"] == ms(240)
    in_time = replace(trip, consignment={"planned_arrival": at(240)}).judgement(now=now)
    assert "life_ends_before_arrival" not in codes(in_time)


def test_a_clock_life_needs_its_event() -> None:
    judgement = carry(FOUR_HOURS, steady(5, 0, 30)).judgement(now=30)
    assert judgement.verdict is Verdict.INSUFFICIENT_DATA
    assert reason_of(judgement, "event_time_missing").parameters == {"life": "life", "event": "collected"}


STORED = with_life(
    "alternative", ({**COLD, "storage": True}, {**MILD, "to_c": 30}), allowances=[{"band": "mild", "life": "6 h"}]
)


def test_no_life_is_spent_in_the_labels_own_storage() -> None:
    judgement = judge_course(STORED, hours(5, 0, 48), interval_s=300)
    assert judgement.verdict is Verdict.ACCEPT
    assert spent_of(judgement) == 0


def test_out_of_storage_the_life_is_spent() -> None:
    judgement = judge_course(STORED, [*hours(5, 0, 10), *hours(20, 10, 13), *hours(5, 13, 20)], interval_s=300)
    assert judgement.verdict is Verdict.ACCEPT
    assert spent_of(judgement) == pytest.approx(0.5)


def test_where_it_may_have_been_out_of_storage_life_is_possibly_spent() -> None:
    judgement = judge_course(STORED, hours(7.9, 0, 3), interval_s=300, uncertainty_c=0.5)
    (life,) = judgement.lives
    assert life.spent == 0
    assert life.spent_possible == pytest.approx(0.5)


def test_the_smallest_of_several_lives_counts() -> None:
    profile = make_profile(
        bands=[COLD],
        lives=[
            {"kind": "alternative", "name": "chemical", "allowances": [{"band": "cold", "life": "14 d"}]},
            {"kind": "clock", "name": "microbiological", "since": "prepared", "life": "24 h"},
        ],
    )
    trip = replace(carry(profile, hours(5, 0, 25)), item={"prepared_at": at(0)})
    judgement = trip.judgement(now=25 * HOUR)
    assert judgement.verdict is Verdict.REJECT
    (breach,) = judgement.breaches
    assert breach.rule == "microbiological"


@pytest.mark.parametrize(("spent_h", "warns"), [(19, False), (19.5, True)])
def test_four_fifths_of_a_life_warn(spent_h: float, *, warns: bool) -> None:
    profile = with_life("alternative", (COLD,), allowances=[{"band": "cold", "life": "24 h"}])
    judgement = judge_course(profile, hours(5, 0, spent_h), interval_s=300)
    assert judgement.verdict is Verdict.ACCEPT
    assert ("life_warning" in codes(judgement)) is warns


def test_a_life_that_ends_before_the_planned_arrival_warns_before_it_happens() -> None:
    profile = with_life("alternative", (COLD,), allowances=[{"band": "cold", "life": "4 h"}])
    trip = replace(carry(profile, hours(5, 0, 2)), consignment={"planned_arrival": at(5 * HOUR)})
    judgement = trip.judgement(now=2 * HOUR)
    assert judgement.verdict is Verdict.ACCEPT
    assert reason_of(judgement, "life_ends_before_arrival").parameters["expires_at_ms"] == ms(4 * HOUR)


def test_what_is_left_is_told_at_the_planned_storage() -> None:
    profile = DAY_OR_SIX_HOURS.model_copy(update={"planned_storage_c": 5})
    life = life_of(profile, [*hours(5, 0, 10), *hours(18, 10, 11.5)])
    assert life.left_now_h == pytest.approx(2)
    assert life.left_planned_h == pytest.approx(8)
