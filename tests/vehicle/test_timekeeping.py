from gateway.core.records import ClockCorrection
from gateway.vehicle.moments import Moment
from gateway.vehicle.timekeeping import Timekeeping, find_correction
from tests.vehicle.fakes import HandClock
from tests.vehicle.samples import T0


def moment(at_ms: int, monotonic_ms: int, *, trusted: bool = True) -> Moment:
    return Moment(T0 + at_ms, monotonic_ms, trusted)


def test_a_steady_clock_needs_no_correction() -> None:
    assert find_correction(moment(0, 0), moment(10_400, 10_000)) is None


def test_a_step_is_recorded_in_both_directions() -> None:
    forward = find_correction(moment(0, 0), moment(70_000, 10_000))
    assert forward == ClockCorrection(T0 + 70_000, True, 10_000, T0 + 10_000, "stepped")
    back = find_correction(moment(0, 0), moment(-50_000, 10_000))
    assert back is not None
    assert back.at_ms - back.before_ms == -60_000


def test_becoming_trusted_is_recorded_even_without_a_step() -> None:
    correction = find_correction(moment(0, 0, trusted=False), moment(10_000, 10_000))
    assert correction is not None
    assert (correction.source, correction.clock_trusted) == ("became trusted", True)


def test_losing_trust_is_none() -> None:
    assert find_correction(moment(0, 0), moment(10_000, 10_000, trusted=False)) is None


def test_each_correction_is_told_once() -> None:
    clock = HandClock()
    clock.is_trusted = False
    told: list[ClockCorrection] = []
    timekeeping = Timekeeping(clock, told.append)
    clock.passed_ms = 10_000
    timekeeping.look()
    clock.passed_ms, clock.step_ms, clock.is_trusted = 20_000, 3_600_000, True
    timekeeping.look()
    timekeeping.look()
    assert [correction.at_ms - correction.before_ms for correction in told] == [3_600_000]
    assert timekeeping.corrections == 1
