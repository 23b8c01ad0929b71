import random

from gateway.core.observations import Source
from gateway.vehicle import backlog as module
from gateway.vehicle.backlog import ATTEMPTS, Backlog, count_new, select_records
from gateway.vehicle.loggers.ruuvi_log import LogRecord, RequestTiming, date_records
from gateway.vehicle.moments import Moment
from gateway.vehicle.recorder import Stretch

A, B = "C0:FF:EE:00:00:0A", "C0:FF:EE:00:00:0B"


def make() -> Backlog:
    return Backlog(random.Random(1))  # noqa: S311  jitter, no secret


def test_nothing_missing_asks_nobody() -> None:
    assert make().choose(0.0, [A, B]) is None


def test_only_those_present_are_asked() -> None:
    backlog = make()
    backlog.add(Stretch(A, 0, 1))
    assert backlog.choose(0.0, [B]) is None
    assert backlog.choose(0.0, [A, B]) == A


def test_turns_are_fair() -> None:
    backlog = make()
    backlog.add(Stretch(A, 0, 1))
    backlog.add(Stretch(B, 0, 1))
    backlog.failed(A, 0.0)
    assert backlog.choose(100.0, [A, B]) == B
    backlog.failed(B, 100.0)
    assert backlog.choose(200.0, [A, B]) == A


def test_failures_pause_longer_each_time_and_then_until_heard() -> None:
    backlog = make()
    backlog.add(Stretch(A, 0, 1))
    now_s, pauses_s = 0.0, []
    for _ in range(ATTEMPTS):
        backlog.failed(A, now_s)
        pause_s = next((p / 100 for p in range(10_000) if backlog.choose(now_s + p / 100, [A]) == A), None)
        pauses_s.append(pause_s)
        now_s += pause_s or 0
    assert pauses_s[-1] is None
    known = [pause for pause in pauses_s if pause is not None]
    assert known == sorted(known)
    backlog.heard(A)
    assert backlog.choose(now_s + 100, [A]) == A


def test_resolved_stretches_go_and_later_ones_stay() -> None:
    backlog = make()
    early, late = Stretch(A, 0, 1), Stretch(A, 5, 6)
    backlog.add(early)
    asked = backlog.stretches(A)
    backlog.add(late)
    backlog.resolved(A, asked, 0.0)
    assert backlog.stretches(A) == (late,)


def test_too_many_stretches_become_one() -> None:
    backlog = make()
    for step in range(module.STRETCHES_MAX + 1):
        backlog.add(Stretch(A, step * 10, step * 10 + 5))
    assert backlog.stretches(A) == (Stretch(A, 0, module.STRETCHES_MAX * 10 + 5),)


def test_records_of_the_stretch_become_observations() -> None:
    timing = RequestTiming(now_ms=10_000_000_500, write_ms=200)
    stretch = Stretch(A, 9_999_000_000, 9_999_900_000)
    inside, outside = LogRecord(9_999_300, -4000, 5000), LogRecord(9_998_700, 1, None)
    asked = Moment(10_000_000_500, 500, trusted=True)
    (one,) = select_records(date_records([outside, inside], timing), [stretch], asked=asked, interval_s=300)
    assert one.source is Source.MEMORY
    assert one.measured_at_ms == 9_999_300_600
    assert one.monotonic_ms == 500 - (10_000_000_500 - 9_999_300_600)
    assert (one.temperature_mc, one.humidity_cpct, one.interval_s, one.time_error_ms) == (-4000, 5000, 300, 1170)
    assert one.counter is None


def test_records_beside_what_was_heard_are_not_counted_as_new() -> None:
    timing = RequestTiming(now_ms=10_000_000_000, write_ms=0)
    stretch = Stretch(A, 9_999_000_000, 9_999_900_000)
    records = [LogRecord(at_s, 1, None) for at_s in (9_999_100, 9_999_400, 9_999_700, 9_999_800)]
    kept = select_records(
        date_records(records, timing), [stretch], asked=Moment(10_000_000_000, 0, trusted=True), interval_s=300
    )
    assert len(kept) == 4
    assert count_new(kept, [stretch]) == 2
