from __future__ import annotations

from itertools import pairwise

from gateway.vehicle.recovery import ALL_STEPS, Recovery, Step


def steps(recovery: Recovery, every_s: float, until_s: float) -> list[tuple[float, Step]]:
    """What is tried when it fails so often."""
    return [(count * every_s, recovery.fail(count * every_s)) for count in range(round(until_s / every_s) + 1)]


def test_each_step_is_stronger_than_the_one_before() -> None:
    first = list(dict.fromkeys(step for _, step in steps(Recovery(), 1, 100)))
    assert first == [Step.SCAN, Step.RESET, Step.SERVICE]


def test_a_daemon_that_is_busy_for_a_moment_is_left_alone() -> None:
    assert {step for _, step in steps(Recovery(), 0.5, 9)} == {Step.SCAN}


def test_a_scan_that_falls_silent_every_minute_is_reset_at_the_second_and_the_service_restarted_at_the_third() -> None:
    assert [step for _, step in steps(Recovery(), 60, 120)] == [Step.SCAN, Step.RESET, Step.SERVICE]


def test_what_does_not_help_is_done_ever_more_rarely() -> None:
    day = steps(Recovery(), 30, 86_400)
    for strong, most in ((Step.RESET, 105), (Step.SERVICE, 32)):
        times = [at_s for at_s, step in day if step is strong]
        apart = [after - before for before, after in pairwise(times)]
        assert len(times) <= most
        assert apart[0] < apart[-1]


def test_it_is_down_when_the_strongest_step_did_not_help() -> None:
    recovery, told = Recovery(), []
    for count in range(5):
        recovery.fail(count * 60)
        told.append(recovery.is_down)
    assert told == [False, False, False, True, True]
    recovery.succeed()
    recovery.fail(1000)
    assert not recovery.is_down
    assert recovery.fail(1001) is Step.SCAN, "after it worked, it begins at the bottom again"


def test_what_is_not_possible_is_not_tried() -> None:
    tried = {step for _, step in steps(Recovery(ALL_STEPS - {Step.RESET}), 1, 1000)}
    assert tried == {Step.SCAN, Step.SERVICE}
    without = Recovery(ALL_STEPS - {Step.SERVICE})
    assert {step for _, step in steps(without, 1, 1000)} == {Step.SCAN, Step.RESET}
    assert without.is_down


def test_trouble_lasts_since_it_last_worked() -> None:
    recovery = Recovery()
    recovery.fail(100, 40)
    assert recovery.lasted_s(100) == 60
    recovery.fail(130, 120)
    assert recovery.lasted_s(130) == 90
