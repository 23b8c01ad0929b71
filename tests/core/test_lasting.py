from __future__ import annotations

from dataclasses import replace

import pytest

from gateway.core.lasting import goes_on
from gateway.core.verdicts import Breach, BreachKind, Excursion, Figures, Gap, Judgement, Verdict

NOTHING = Figures(0, None, None, None, None, 0.0, 0, 0, 0)


def breach(begins: int, ends: int | None, rule: str = "warm", kind: BreachKind = BreachKind.SINGLE) -> Breach:
    return Breach(rule, kind, begins, begins + 1, ends, 9.0, 1.0)


def excursion(begins: int, ends: int) -> Excursion:
    return Excursion("warm", begins, None, ends, 9.0, 1.0, 1.0)


def judgement(
    breaches: list[Breach], gaps: list[tuple[int, int]], excursions: list[Excursion] | None = None
) -> Judgement:
    return Judgement(
        consignment="C",
        item="T",
        examination="K",
        profile="p",
        profile_version=1,
        verdict=Verdict.REJECT,
        reasons=(),
        breaches=tuple(breaches),
        excursions=tuple(excursions or ()),
        cumulative_minutes={},
        gaps=tuple(Gap(*gap) for gap in gaps),
        lives=(),
        figures=NOTHING,
        urgent=False,
        through_ms=1000,
    )


FIRST, SECOND = breach(0, 100), breach(200, None)


def test_what_a_gap_alone_cuts_goes_on() -> None:
    assert goes_on(SECOND, judgement([FIRST, SECOND], [(100, 200)]))
    assert not goes_on(FIRST, judgement([FIRST, SECOND], [(100, 200)]))


@pytest.mark.parametrize("gaps", [[], [(100, 190)], [(110, 200)], [(100, 140), (150, 200)]])
def test_time_that_was_measured_in_between_ends_it(gaps: list[tuple[int, int]]) -> None:
    assert not goes_on(SECOND, judgement([FIRST, SECOND], gaps))


def test_another_rule_is_another_matter() -> None:
    cold = breach(0, 100, "cold")
    assert not goes_on(SECOND, judgement([cold, SECOND], [(100, 200)]))


def test_what_adds_up_is_one_breach_anyway() -> None:
    late = replace(SECOND, kind=BreachKind.CUMULATIVE)
    assert not goes_on(late, judgement([replace(FIRST, kind=BreachKind.CUMULATIVE), late], [(100, 200)]))


def test_a_short_piece_between_two_gaps_carries_it_on() -> None:
    last = breach(300, None)
    gaps = [(100, 200), (220, 300)]
    assert goes_on(last, judgement([FIRST, last], gaps, [excursion(0, 100), excursion(200, 220)]))
    assert not goes_on(last, judgement([FIRST, last], gaps))


def test_what_was_no_breach_before_the_gap_is_not_continued() -> None:
    assert not goes_on(SECOND, judgement([SECOND], [(100, 200)], [excursion(0, 100)]))
