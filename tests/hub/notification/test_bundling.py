from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.hub.notification.bundling import GATHERED_MAX, Bundled, bundle

WINDOW_MS = 600_000


@pytest.mark.parametrize(
    ("due", "made", "expected"),
    [
        ([], [], Bundled((), None)),
        ([1], [], Bundled(((1,),), None)),
        ([1, 2], [], Bundled(((1,), (2,)), None)),
        ([1, 2, 3], [], Bundled(((1,), (2,), (3,)), None)),
        ([1, 2, 3, 4, 5, 6], [], Bundled(((1,), (2,), (3,), (4, 5, 6)), None)),
        ([7, 8], [1000, 1000, 1000], Bundled(((7, 8),), None)),
        ([7], [1000, 1000, 1000], Bundled(((7,),), None)),
        ([7, 8], [500, 1000, 1000, 1000], Bundled((), 500 + WINDOW_MS)),
        ([7, 8], [2000 - WINDOW_MS, 1000, 1000, 1000], Bundled(((7, 8),), None)),  # the first has grown old
    ],
)
def test_a_digest_instead_of_a_flood(due: list[int], made: list[int], expected: Bundled) -> None:
    assert bundle(due, made, 2000, most=4, window_ms=WINDOW_MS) == expected


def test_a_digest_has_an_end() -> None:
    bundled = bundle(list(range(GATHERED_MAX + 9)), [], 0, most=1, window_ms=WINDOW_MS)
    assert [len(message) for message in bundled.messages] == [GATHERED_MAX]
    assert bundled.again_ms == WINDOW_MS


@given(
    st.lists(st.tuples(st.integers(0, 300_000), st.integers(1, 250)), max_size=12),
    st.integers(1, 6),
    st.integers(1, 20),
)
def test_nothing_is_lost_and_no_window_has_too_many(arrivals: list[tuple[int, int]], most: int, minutes: int) -> None:
    """Alerts come in bursts; it is asked at each burst, and when it said that it can go on."""
    window_ms, now_ms, number = minutes * 60_000, 0, 0
    waiting: list[int] = []
    made: list[int] = []
    told: list[int] = []
    for pause_ms, count in [*arrivals, *((window_ms + 1, 0) for _ in range(60))]:
        now_ms += pause_ms
        waiting += range(number, number + count)
        number += count
        bundled = bundle(waiting, made, now_ms, most=most, window_ms=window_ms)
        gone = [one for message in bundled.messages for one in message]
        assert gone == waiting[: len(gone)]
        waiting = waiting[len(gone) :]
        made += [now_ms] * len(bundled.messages)
        told += gone
        if waiting:
            assert bundled.again_ms is not None
            assert now_ms < bundled.again_ms <= now_ms + window_ms
        assert sum(at_ms > now_ms - window_ms for at_ms in made) <= most
    assert told == list(range(number))
