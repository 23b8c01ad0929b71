from __future__ import annotations

import pytest

from gateway.core.configuration import LoggerKind
from gateway.vehicle.loggers.numbering import NUMBERS, Order
from gateway.vehicle.recorder import Enrolled, Recorder
from tests.vehicle.samples import TAG
from tests.vehicle.test_recorder import at, measure

RUUVI, REFERENCE = NUMBERS[LoggerKind.RUUVITAG], NUMBERS[LoggerKind.REFERENCE]
HOUR_MS = 3_600_000


@pytest.mark.parametrize(
    ("before", "now", "passed_ms", "order"),
    [
        (100, 100, 1_300, Order.REPEATED),
        (100, 101, 1_300, Order.NEXT),
        (65_534, 0, 1_300, Order.NEXT),
        (65_000, 300, 1_300_000, Order.NEXT),
        (100, 9_000, 3 * HOUR_MS, Order.NEXT),
        (100, 900, 5_000, Order.NEXT),
        (20_000, 3, 10_000, Order.REBOOTED),
        (50_000, 3, 10_000, Order.REBOOTED),
        (50_000, 2_000, 1_300_000, Order.REBOOTED),
        (20_000, 19_000, 1_300, Order.OLD),
        (20_000, 19_999, 1_300, Order.OLD),
        (20_000, 30_000, 1_300, Order.OLD),
    ],
)
def test_a_ruuvitags_numbers(before: int, now: int, passed_ms: int, order: Order) -> None:
    assert RUUVI.order(before, now, passed_ms) is order


@pytest.mark.parametrize(
    ("before", "now", "order"),
    [
        ((3, 70), (3, 70), Order.REPEATED),
        ((3, 70), (3, 71), Order.NEXT),
        ((3, 0xFF_FFFF), (3, 0), Order.NEXT),
        ((3, 70), (3, 69), Order.OLD),
        ((3, 70), (4, 0), Order.REBOOTED),
        ((255, 70), (0, 0), Order.REBOOTED),
        ((3, 70), (2, 71), Order.OLD),
    ],
)
def test_the_reference_loggers_numbers(before: tuple[int, int], now: tuple[int, int], order: Order) -> None:
    assert REFERENCE.order(before[0] << 24 | before[1], now[0] << 24 | now[1], 0) is order


@pytest.fixture
def recorder() -> Recorder:
    made = Recorder(30)
    made.enrol({TAG: Enrolled(numbers=RUUVI)})
    return made


def hear(recorder: Recorder, counters: list[int]) -> list[Order]:
    """Each half a minute after the one before."""
    return [recorder.hear(TAG, measure(counter), at(place * 30_000)).order for place, counter in enumerate(counters)]


def numbers(recorder: Recorder) -> list[int | None]:
    return [observation.counter for observation in recorder.take(100)]


def test_an_old_packet_is_no_reading_and_what_follows_is(recorder: Recorder) -> None:
    assert hear(recorder, [20_000, 20_023, 19_000, 20_069]) == [Order.NEXT, Order.NEXT, Order.OLD, Order.NEXT]
    assert numbers(recorder) == [20_000, 20_023, 20_069]


def test_after_a_reboot_numbers_name_nothing_until_they_cannot_be_confused(recorder: Recorder) -> None:
    assert hear(recorder, [20_000, 20_023, 5, 28])[2:] == [Order.REBOOTED, Order.NEXT]
    assert numbers(recorder) == [20_000, 20_023, None, None]
    recorder.hear(TAG, measure(30_000), at(11 * HOUR_MS + 60_000))
    assert numbers(recorder)[-1] == 30_000


def test_numbers_that_go_on_from_an_old_one_are_believed(recorder: Recorder) -> None:
    orders = hear(recorder, [20_000, 40_000, 40_023, 40_046])
    assert orders == [Order.NEXT, Order.OLD, Order.REBOOTED, Order.NEXT]
    assert len(numbers(recorder)) == 3, "one is lost, not all"


def test_a_restarted_gateway_remembers_the_reboot(recorder: Recorder) -> None:
    recorder.resume(TAG, at(0).at_ms, None, at(0).at_ms)
    hear(recorder, [7])
    assert numbers(recorder) == [None]


def test_a_reference_loggers_reboot_keeps_its_names() -> None:
    recorder = Recorder(30)
    recorder.enrol({TAG: Enrolled(numbers=REFERENCE)})
    assert hear(recorder, [3 << 24 | 9, 4 << 24, 3 << 24 | 8, 4 << 24 | 1]) == [
        Order.NEXT,
        Order.REBOOTED,
        Order.OLD,
        Order.NEXT,
    ]
    assert numbers(recorder) == [3 << 24 | 9, 4 << 24, 4 << 24 | 1]
