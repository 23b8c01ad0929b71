"""What holds of every judgement, whatever the profile and the course."""

from __future__ import annotations

from itertools import accumulate, pairwise

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.evaluator import Calm, Evaluator, State, decode_state, encode_state
from gateway.core.exposure import Stretch
from gateway.core.figures import CalibrationSpan
from gateway.core.spans import Span
from gateway.core.spent import Spent
from gateway.core.thresholds import ThresholdState
from gateway.core.tracks import TRACKS, Track
from gateway.core.verdicts import Verdict
from tests.core.specimens import (
    MONOTONE,
    SPECIMENS,
    courses,
    examples,
    names,
    pauses,
    steps,
    temperatures,
    uncertainties,
)
from tests.core.trips import BOX, judge_course, ms, to_readings

Readings = list[tuple[float, float]]


stays = st.lists(st.tuples(st.integers(1, 20), temperatures), min_size=1, max_size=8)
"""(stretches of ten minutes, °C)."""


def make_evaluator(name: str, uncertainty_c: float, kind: type[Evaluator] = Evaluator) -> Evaluator:
    exposure = (
        Stretch(ms(-30), ms(0), range_c=(4, 7)),
        Stretch(ms(0), ms(200), BOX, phase="at_origin"),
        Stretch(ms(200), None, BOX),
    )
    return kind(
        SPECIMENS[name],
        exposure,
        uncertainty_by_box_c={BOX: uncertainty_c},
        calibration_by_box={BOX: CalibrationSpan(ms(-1000), ms(100_000))},
    )


@examples
@given(name=names, uncertainty_c=uncertainties, course=courses(pauses))
def test_a_state_can_be_stored_at_any_point_and_goes_on(name: str, uncertainty_c: float, course: Readings) -> None:
    evaluator = make_evaluator(name, uncertainty_c)
    kept, stored = evaluator.begin(), evaluator.begin()
    for reading in to_readings(course):
        evaluator.push(kept, BOX, [reading])
        stored = decode_state(encode_state(stored))
        evaluator.push(stored, BOX, [reading])
    assert stored == kept
    assert evaluator.close(stored, ms(5000)) == evaluator.close(kept, ms(5000))


class Restless(Evaluator):
    """Passes each span on to the rules by itself."""

    def _calm_after(self, state: State, span: Span) -> Calm:
        return msgspec.structs.replace(super()._calm_after(state, span), slot=-1)


@examples
@given(name=names, uncertainty_c=uncertainties, stays=stays, data=st.data())
def test_calm_time_passed_on_in_one_piece_changes_no_bit(
    name: str, uncertainty_c: float, stays: list[tuple[int, float]], data: st.DataObject
) -> None:
    evaluator = make_evaluator(name, uncertainty_c)
    restless = make_evaluator(name, uncertainty_c, Restless)
    wobble = st.sampled_from([-0.05, 0, 0, 0.05])
    temperatures_c = [round(c + data.draw(wobble), 3) for tens, c in stays for _ in range(tens)]
    course = [(5.0 * place, c) for place, c in enumerate(temperatures_c)]
    one, other = (_folded(each, course, 5.0 * len(course) + 3) for each in (restless, evaluator))
    assert other.thresholds == one.thresholds
    assert (other.outside, other.measured, other.gaps) == (one.outside, one.measured, one.gaps)
    assert [life.tracks for life in other.lives] == [life.tracks for life in one.lives]


@pytest.mark.parametrize("name", SPECIMENS)
def test_what_ends_a_long_calm_is_noticed(name: str) -> None:
    """A reading each minute, calm for half an hour; then over a limit, silent, under one, beyond all that is stated."""
    calm = [5.0 + 0.01 * (minute % 3) for minute in range(30)]
    rests = [*calm, *[9.0] * 10, *calm, *[None] * 40, *calm, *[1.9] * 10, *calm, *[31.0] * 5, *[-1.0] * 5, *calm]
    course = [(float(minute), c) for minute, c in enumerate(rests) if c is not None]
    one, other = (_folded(make_evaluator(name, 0.2, kind), course, len(rests)) for kind in (Restless, Evaluator))
    assert other.thresholds == one.thresholds
    assert (other.outside, other.measured, other.gaps) == (one.outside, one.measured, one.gaps)
    assert [life.tracks for life in other.lives] == [life.tracks for life in one.lives]


@examples
@given(name=names, uncertainty_c=uncertainties, course=courses(pauses))
def test_spent_life_never_comes_back(name: str, uncertainty_c: float, course: Readings) -> None:
    evaluator = make_evaluator(name, uncertainty_c)
    state = evaluator.begin()
    before = _fractions(evaluator, state)
    for reading in to_readings(course):
        evaluator.push(state, BOX, [reading])
        after = _fractions(evaluator, state)
        assert all(late >= early for early, late in zip(before, after, strict=True))
        before = after


def _fractions(evaluator: Evaluator, state: State) -> list[float]:
    return [
        life.fraction(life_state.tracks[track])
        for life, life_state in zip(evaluator.lives, state.lives, strict=True)
        for track in TRACKS
    ]


@examples
@given(name=names, uncertainty_c=uncertainties, course=courses(pauses))
def test_a_life_is_spent_when_its_fraction_says_so(name: str, uncertainty_c: float, course: Readings) -> None:
    evaluator = make_evaluator(name, uncertainty_c)
    state = evaluator.begin()
    for reading in to_readings(course):
        evaluator.push(state, BOX, [reading])
        for life, life_state in zip(evaluator.lives, state.lives, strict=True):
            for spent in life_state.tracks:
                assert (spent.spent_at_ms is not None) == (life.fraction(spent) >= 1)
                assert spent.spent_at_ms is None or spent.spent_at_ms <= reading.at_ms


ORDERED = (Track.PROVEN, Track.WORST, Track.POSSIBLE)


@examples
@given(name=names, uncertainty_c=uncertainties, course=courses(pauses))
def test_what_is_proven_is_also_at_worst_and_possible(name: str, uncertainty_c: float, course: Readings) -> None:
    evaluator = make_evaluator(name, uncertainty_c)
    state = evaluator.begin()
    evaluator.push(state, BOX, to_readings(course))
    closed = evaluator.close(state, ms(course[-1][0] + 5))
    for milder, harsher in pairwise(ORDERED):
        for threshold in closed.thresholds:
            mild, harsh = threshold.runs[milder], threshold.runs[harsher]
            assert mild.total_ms <= harsh.total_ms
            for reached, before in ((mild.single_ms, harsh.single_ms), (mild.cumulative_ms, harsh.cumulative_ms)):
                assert reached is None or (before is not None and before <= reached)
        assert closed.outside[milder] <= closed.outside[harsher]
        for life in closed.lives:
            assert life.tracks[milder].unstated_ms <= life.tracks[harsher].unstated_ms
            assert life.tracks[milder].returned_ms <= life.tracks[harsher].returned_ms or harsher is Track.POSSIBLE


@examples
@given(name=names, uncertainty_c=uncertainties, stays=stays, data=st.data())
def test_dividing_a_stay_at_one_temperature_changes_nothing(
    name: str, uncertainty_c: float, stays: list[tuple[int, float]], data: st.DataObject
) -> None:
    """Each stay begins and ends with a reading; between them there is one every ten minutes, or more."""
    coarse: Readings = []
    fine: Readings = []
    begin = 0.0
    for tens, c in stays:
        end = begin + 10 * tens - 0.25
        minutes = {end, *(begin + 10 * ten for ten in range(tens))}
        more = data.draw(st.lists(st.integers(0, 40 * tens - 1), max_size=5))
        coarse.extend((minute, c) for minute in sorted(minutes))
        fine.extend((minute, c) for minute in sorted({*minutes, *(begin + quarter / 4 for quarter in more)}))
        begin = end + 0.25
    evaluator = make_evaluator(name, uncertainty_c)
    one, other = (_folded(evaluator, course, begin) for course in (coarse, fine))
    assert [_pasts(threshold) for threshold in other.thresholds] == [_pasts(threshold) for threshold in one.thresholds]
    assert [_marks(threshold) for threshold in other.thresholds] == [_marks(threshold) for threshold in one.thresholds]
    assert other.outside == one.outside
    assert other.gaps == one.gaps
    for mine, yours in zip(_spents(other), _spents(one), strict=True):
        assert mine.clocks == pytest.approx(yours.clocks, rel=1e-9, abs=1e-12)
        assert (mine.step, mine.run_step, mine.run_ms) == (yours.step, yours.run_step, yours.run_ms)
        assert (mine.returned_ms, mine.unstated_ms) == (yours.returned_ms, yours.unstated_ms)
        assert (mine.spent_at_ms is None) == (yours.spent_at_ms is None)
        assert abs((mine.spent_at_ms or 0) - (yours.spent_at_ms or 0)) <= 1


def _folded(evaluator: Evaluator, course: Readings, end: float) -> State:
    state = evaluator.begin()
    evaluator.push(state, BOX, to_readings(course, interval_s=15))
    return evaluator.close(state, ms(end))


def _marks(threshold: ThresholdState) -> list[tuple[object, ...]]:
    return [(run.started_ms, run.total_ms, run.single_ms, run.cumulative_ms) for run in threshold.runs]


def _pasts(threshold: ThresholdState) -> list[tuple[object, ...]]:
    return [
        (past.started_ms, past.ended_ms, past.extreme_c, pytest.approx(past.degree_ms, rel=1e-9))
        for past in threshold.past
    ]


def _spents(state: State) -> list[Spent]:
    return [spent for life in state.lives for spent in life.tracks]


@examples
@given(
    name=st.sampled_from(list(MONOTONE)),
    uncertainty_c=uncertainties,
    course=courses(steps),
    warmer=st.lists(st.integers(0, 200).map(lambda tenths: tenths / 10), min_size=40, max_size=40),
)
def test_hotter_never_costs_less_life(name: str, uncertainty_c: float, course: Readings, warmer: list[float]) -> None:
    hotter = [(minute, round(c + rise, 3)) for (minute, c), rise in zip(course, warmer, strict=False)]
    (cool,) = judge_course(SPECIMENS[name], course, uncertainty_c=uncertainty_c).lives
    (hot,) = judge_course(SPECIMENS[name], hotter, uncertainty_c=uncertainty_c).lives
    assert hot.spent >= cool.spent - 1e-12
    assert hot.spent_possible >= cool.spent_possible - 1e-12


@st.composite
def humps(draw: st.DrawFn) -> tuple[Readings, Readings]:
    """A reading each minute: level, then up or down and back below the slew limit of gaps (3 K/h); with and without."""
    level_c = draw(temperatures) + draw(st.sampled_from([-1.5, -1, -0.5, 0, 0.5, 1, 1.5]))
    slope = draw(st.sampled_from([-2.5, -2, 2, 2.5])) / 60
    up, top = draw(st.integers(6, 90)), draw(st.integers(0, 30))
    rises = [0] * 15 + [1] * up + [0] * top + [-1] * up + [0] * 15
    course = [(float(minute), round(level_c + slope * risen, 3)) for minute, risen in enumerate(accumulate(rises))]
    begin, end = draw(st.integers(5, 17)), len(course) - draw(st.integers(5, 15))  # over 10 min: a gap by the rule
    return course, [*course[:begin], *course[end:]]


@examples
@given(name=names, uncertainty_c=uncertainties, course=courses(pauses))
def test_what_is_spent_is_possibly_spent(name: str, uncertainty_c: float, course: Readings) -> None:
    for life in judge_course(SPECIMENS[name], course, uncertainty_c=uncertainty_c).lives:
        assert life.spent <= life.spent_possible


@examples
@given(name=names, uncertainty_c=uncertainties, hump=humps())
def test_a_gap_never_makes_an_item_safer(name: str, uncertainty_c: float, hump: tuple[Readings, Readings]) -> None:
    """What is accepted with a gap would have been accepted without it."""
    course, gapped_course = hump
    gapped = judge_course(SPECIMENS[name], gapped_course, uncertainty_c=uncertainty_c)
    assert gapped.gaps
    if gapped.verdict is Verdict.ACCEPT:
        assert judge_course(SPECIMENS[name], course, uncertainty_c=uncertainty_c).verdict is Verdict.ACCEPT
