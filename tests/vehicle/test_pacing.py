from __future__ import annotations

from gateway.vehicle.pacing import PATIENCE_FACTOR, WINDOW_FIRST, Pace


def test_it_begins_with_little_and_doubles_with_each_answer_up_to_the_window() -> None:
    pace = Pace(256 * 1024, 5.0, 300.0)
    seen = [pace.window_bytes]
    for _ in range(6):
        pace.moved(0.1)
        seen.append(pace.window_bytes)
    assert seen == [WINDOW_FIRST * 2**n for n in range(6)] + [256 * 1024]


def test_after_a_stall_it_sends_little_and_waits_twice_as_long() -> None:
    pace = Pace(256 * 1024, 5.0, 12.0)
    pace.moved(0.1)
    pace.stalled()
    assert (pace.window_bytes, pace.patience_s) == (WINDOW_FIRST, 10.0)
    pace.stalled()
    assert pace.patience_s == 12.0


def test_late_answers_are_waited_for_and_quick_ones_end_that() -> None:
    pace = Pace(256 * 1024, 5.0, 300.0)
    pace.moved(20.0)
    assert pace.patience_s == PATIENCE_FACTOR * 20.0
    pace.moved(0.1)
    assert pace.patience_s == 5.0


def test_a_smaller_window_is_never_exceeded() -> None:
    pace = Pace(1024, 5.0, 300.0)
    pace.moved(0.1)
    assert pace.window_bytes == 1024


def swamp(vehicles: int, segments: int, per_tick: int) -> int:
    """A hub that takes so many segments a second, first come, first served; return how many were sent in all."""
    paces = [Pace(256 * 1024, 5.0, 300.0) for _ in range(vehicles)]
    acknowledged, sent, moved = [0] * vehicles, [0] * vehicles, [0] * vehicles
    queue: list[tuple[int, int]] = []
    total = 0
    for tick in range(100_000):
        if min(acknowledged) == segments:
            return total
        for number, pace in enumerate(paces):
            if acknowledged[number] < sent[number] and tick - moved[number] >= pace.patience_s:
                pace.stalled()
                sent[number], moved[number] = acknowledged[number], tick
            while sent[number] < segments and (sent[number] - acknowledged[number]) * 900 < pace.window_bytes:
                queue.append((number, sent[number]))
                sent[number] += 1
                total += 1
        taken, queue = queue[:per_tick], queue[per_tick:]
        for number in {number for number, _ in taken}:
            last = max(place for one, place in taken if one == number) + 1
            if last > acknowledged[number]:
                acknowledged[number] = last
                paces[number].moved(tick - moved[number])
                moved[number] = tick
                sent[number] = max(sent[number], last)
    raise AssertionError("it never ends")


def test_two_hundred_at_once_do_not_drown_the_hub_in_repetitions() -> None:
    assert swamp(200, 240, 300) < 1.5 * 200 * 240
