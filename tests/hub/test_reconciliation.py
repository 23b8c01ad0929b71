from __future__ import annotations

from gateway.core.verdicts import Breach, BreachKind
from gateway.hub.breaches.reconciliation import Known, match_breaches

KIND = BreachKind.SINGLE


def found(started: int, ended: int | None, *, triggered: int | None = None, kind: BreachKind = KIND) -> Breach:
    return Breach("warm", kind, started, started + 5 if triggered is None else triggered, ended, 9.0, 1.0)


def known(breach_id: int, started: int, ended: int | None, *, active: bool = True, kind: BreachKind = KIND) -> Known:
    return Known(breach_id, "warm", kind, started, started + 5, ended, active)


def kept(known_ones: list[Known], found_ones: list[Breach]) -> dict[int, int]:
    return {one.id: breach.started_at_ms for one, breach in match_breaches(known_ones, found_ones).kept}


def test_an_overlapping_stretch_keeps_its_identity() -> None:
    match = match_breaches([known(1, 100, 200)], [found(90, 250)])
    assert [(one.id, breach.started_at_ms) for one, breach in match.kept] == [(1, 90)]
    assert (match.new, match.merged, match.gone) == ([], [], [])


def test_a_stretch_elsewhere_is_another_breach() -> None:
    match = match_breaches([known(1, 100, 200)], [found(100, 200), found(300, 400)])
    assert [(b.started_at_ms, alerts) for b, alerts in match.new] == [(300, True)]


def test_merged_the_oldest_survives_and_nothing_alerts() -> None:
    match = match_breaches([known(1, 100, 200), known(2, 300, 400)], [found(100, 400)])
    assert kept([known(1, 100, 200), known(2, 300, 400)], [found(100, 400)]) == {1: 100}
    assert match.merged == [(2, 1)]
    assert match.new == []


def test_split_the_piece_with_the_trigger_keeps_it_and_nothing_alerts() -> None:
    one = Known(1, "warm", KIND, 100, 350, 400, active=True)
    match = match_breaches([one], [found(100, 200), found(300, 400)])
    assert [(k.id, b.started_at_ms) for k, b in match.kept] == [(1, 300)]
    assert [(b.started_at_ms, alerts) for b, alerts in match.new] == [(100, False)]


def test_lasting_breaches_are_one_for_each_rule() -> None:
    kind = BreachKind.CUMULATIVE
    assert kept([known(1, 100, 200, kind=kind)], [found(900, None, kind=kind)]) == {1: 900}


def test_another_kind_is_another_breach() -> None:
    match = match_breaches([known(1, 100, 200)], [found(100, 200, kind=BreachKind.CUMULATIVE)])
    assert match.gone == [1]
    assert [alerts for _, alerts in match.new] == [True]


def test_what_is_no_longer_found_is_gone_and_what_was_withdrawn_is_not() -> None:
    assert match_breaches([known(1, 100, 200), known(2, 300, 400, active=False)], []).gone == [1]


def test_a_withdrawn_one_comes_back_rather_than_a_new_one() -> None:
    assert kept([known(1, 100, 200, active=False)], [found(100, 200)]) == {1: 100}
    assert kept([known(1, 100, 200, active=False), known(2, 100, 200)], [found(100, 200)]) == {2: 100}


def test_two_loggers_that_found_the_same_make_one() -> None:
    match = match_breaches([], [found(100, 200), found(150, None), found(100, 200)])
    assert [(b.started_at_ms, b.ended_at_ms) for b, _ in match.new] == [(100, None)]
