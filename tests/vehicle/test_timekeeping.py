"""The vehicle's clock over a machine's that starts in 1970, runs away, is set by hand, and is put right."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.dating import TRUSTED_ERROR_MS, Dating, Mark
from gateway.core.records import ClockCorrection
from gateway.vehicle.moments import read_moment
from gateway.vehicle.time_sources import TimeSources, Vouched, parse_tracking
from gateway.vehicle.timekeeping import SANE_FROM_MS, Timekeeping, VehicleClock
from tests.vehicle.fakes import HandClock
from tests.vehicle.samples import T0

HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS


class Machine(HandClock):
    """A machine's clock and whoever vouches for it: `source` says how well it is known, None: not at all."""

    def __init__(self, *, offset_ms: int = 0, trusted: bool = False) -> None:
        super().__init__()
        self.step_ms, self.is_trusted = offset_ms, trusted

    def go(self, passed_ms: int) -> None:
        self.passed_ms += passed_ms


class Sources(TimeSources):
    """Vouches for the true time, T0 + what passed, while it is asked to."""

    def __init__(self, machine: Machine) -> None:
        super().__init__(machine)
        self.machine = machine
        self.error_ms: int | None = None
        self.off_ms = 0

    def ask(self) -> Vouched | None:
        if self.error_ms is None:
            return None
        passed_ms = self.machine.passed_ms
        return Vouched("ntp", T0 + passed_ms + self.off_ms, passed_ms, self.error_ms)


def make(machine: Machine, *, floor_ms: int = 0, error_ms: int | None = None) -> tuple[VehicleClock, Sources]:
    sources = Sources(machine)
    sources.error_ms = error_ms
    return VehicleClock(machine, sources, floor_ms=floor_ms), sources


def look_for(clock: VehicleClock) -> str | None:
    correction = clock.look()
    return None if correction is None else correction.source


def test_a_steady_trusted_clock_has_nothing_to_tell() -> None:
    machine = Machine()
    clock, _ = make(machine, error_ms=30)
    machine.go(10_000)
    assert clock.look() is None
    assert clock.now_ms() == T0 + 10_000
    assert clock.trusted()


@pytest.mark.parametrize("offset_ms", [-T0, -T0 + 5_000, 60 * 365 * DAY_MS])
def test_neither_1970_nor_an_empty_batterys_date_reaches_the_record(offset_ms: int) -> None:
    machine = Machine(offset_ms=offset_ms)
    held, _ = make(machine, floor_ms=T0 - HOUR_MS)
    assert read_moment(held).at_ms == T0 - HOUR_MS
    empty, _ = make(machine)
    assert read_moment(empty).at_ms == SANE_FROM_MS
    machine.go(60_000)
    assert held.look() is None
    assert read_moment(held).at_ms == T0 - HOUR_MS + 60_000


def test_what_fake_hwclock_restored_is_believed_but_not_trusted() -> None:
    clock, _ = make(Machine(offset_ms=-8 * HOUR_MS), floor_ms=T0 - 9 * HOUR_MS)
    assert clock.now_ms() == T0 - 8 * HOUR_MS
    assert not clock.trusted()
    began = clock.began()
    assert (began.source, began.clock_trusted, began.before_ms) == ("began", False, T0 - 9 * HOUR_MS)


def test_becoming_trusted_says_how_wrong_it_was_and_how_right_it_is() -> None:
    machine = Machine(offset_ms=-8 * HOUR_MS)
    clock, sources = make(machine, floor_ms=T0 - 9 * HOUR_MS)
    machine.go(60_000)
    sources.error_ms = 40
    machine.step_ms = 0
    assert clock.look() == ClockCorrection(
        T0 + 60_000, True, 60_000, T0 + 60_000 - 8 * HOUR_MS, "became trusted", 64, "ntp"
    )
    assert clock.look() is None


@pytest.mark.parametrize("step_ms", [-DAY_MS, -1500, 1500, DAY_MS])
def test_a_step_that_nobody_vouches_for_is_noted_and_not_followed(step_ms: int) -> None:
    machine = Machine()
    clock, sources = make(machine, error_ms=30)
    sources.error_ms = None
    machine.step_ms += step_ms
    machine.go(10_000)
    assert look_for(clock) == "step not followed"
    assert clock.now_ms() == T0 + 10_000
    assert look_for(clock) is None


@pytest.mark.parametrize("step_ms", [-DAY_MS // 2, -1500, 1500, DAY_MS])
def test_a_step_that_is_vouched_for_is_followed(step_ms: int) -> None:
    machine = Machine()
    clock, sources = make(machine, error_ms=30)
    sources.off_ms = step_ms
    machine.go(10_000)
    correction = clock.look()
    assert correction is not None
    assert (correction.source, correction.at_ms - correction.before_ms) == ("stepped", step_ms)
    assert clock.now_ms() == T0 + 10_000 + step_ms


def test_an_unknown_time_set_by_hand_is_followed_where_it_is_plausible() -> None:
    machine = Machine(offset_ms=-T0)
    clock, _ = make(machine, floor_ms=T0 - HOUR_MS)
    machine.step_ms = 0
    assert look_for(clock) == "stepped"
    assert (clock.now_ms(), clock.trusted()) == (T0, False)
    machine.step_ms = 9 * 365 * DAY_MS
    assert look_for(clock) == "step not followed"


def test_slewing_is_no_step_and_small_errors_leave_the_stamps_alone() -> None:
    machine = Machine()
    clock, sources = make(machine, error_ms=30)
    sources.off_ms = 80
    assert clock.look() is None
    assert (clock.now_ms(), clock.error_ms()) == (T0, 110)
    sources.off_ms = 700
    assert clock.look() is None
    assert (clock.now_ms(), clock.error_ms()) == (T0 + 700, 30)


def test_without_a_source_the_error_grows_until_the_time_is_no_longer_trusted() -> None:
    machine = Machine()
    clock, sources = make(machine, error_ms=1000)
    sources.error_ms = None
    machine.go(72 * HOUR_MS)
    assert clock.look() is None
    assert clock.error_ms() == 1000 + 25_920  # 100 ppm of three days
    assert read_moment(clock).error_ms == 32_768
    machine.go(TRUSTED_ERROR_MS * 10_000 - 72 * HOUR_MS)
    assert look_for(clock) == "lost trust"
    assert read_moment(clock).error_ms == 0
    assert look_for(clock) is None


def test_a_receiver_that_is_20_years_behind_is_not_believed() -> None:
    machine = Machine(offset_ms=-T0)
    clock, sources = make(machine, floor_ms=T0 - HOUR_MS)
    sources.error_ms, sources.off_ms = 1000, -1024 * 7 * DAY_MS
    assert look_for(clock) is None
    assert not clock.trusted()


def test_gps_vouches_while_it_is_fresh_and_ntp_does_not() -> None:
    machine = Machine(offset_ms=-T0)
    sources = TimeSources(machine)
    assert sources.ask() is None
    sources.hear_gps(T0, 1200)
    assert sources.ask() == Vouched("gps", T0, 0, 1200, T0)
    machine.go(60_000)
    assert sources.ask() is None


def test_chronys_own_bound_is_taken() -> None:
    said = "C0A80101,192.168.1.1,3,1750000000.25,-0.000012,0.000004,0.00002,-12.3,0.001,0.03,0.02,0.0015,64.4,Normal"
    tracking = parse_tracking(said)
    assert tracking is not None
    assert (tracking.error_ms, tracking.synchronised_at_ms) == (12, T0 + 250)
    for bad in (said.replace("Normal", "Not synchronised"), "", "506 Cannot talk to daemon", said.replace("0.02", "x")):
        assert parse_tracking(bad) is None


def test_corrections_are_told_once_and_whoever_keeps_utc_hears_how_far_it_moved() -> None:
    machine = Machine(offset_ms=-HOUR_MS)
    clock, sources = make(machine, floor_ms=T0 - 2 * HOUR_MS)
    told: list[ClockCorrection] = []
    moved: list[int] = []
    timekeeping = Timekeeping(clock, told.append, moved.append)
    sources.error_ms = 20
    timekeeping.look()
    timekeeping.look()
    assert [record.source for record in told] == ["began", "became trusted"]
    assert moved == [HOUR_MS]
    assert timekeeping.corrections == 1


steps = st.lists(
    st.tuples(
        st.integers(1, 3 * HOUR_MS),
        st.sampled_from([0, -DAY_MS, DAY_MS, -2000, 2000, -T0]),
        st.sampled_from([None, None, 5, 900]),
    ),
    max_size=12,
)


@given(steps=steps, offset_ms=st.sampled_from([0, -T0, -8 * HOUR_MS, 90 * DAY_MS]))
def test_whatever_the_machines_clock_does_the_record_can_be_dated(
    steps: list[tuple[int, int, int | None]], offset_ms: int
) -> None:
    """Every stamp is sane, every trusted one is right to its error, and every other is put right by a mark."""
    machine = Machine(offset_ms=offset_ms)
    clock, sources = make(machine, floor_ms=T0 - DAY_MS)
    stamps, marks = [], []
    for passed_ms, step_ms, error_ms in steps:
        machine.go(passed_ms)
        machine.step_ms += step_ms
        sources.error_ms = error_ms
        correction = clock.look()
        if correction is not None and correction.clock_trusted and correction.source != "step not followed":
            marks.append(Mark(correction.monotonic_ms, correction.at_ms, correction.error_ms))
        stamps.append(read_moment(clock))
        machine.go(1000)
        assert clock.monotonic_ms() == machine.passed_ms
    for stamp in stamps:
        truth_ms = T0 + stamp.monotonic_ms
        assert stamp.at_ms >= T0 - DAY_MS
        if stamp.trusted:
            assert abs(stamp.at_ms - truth_ms) <= stamp.error_ms
        dated = Dating(tuple(marks)).date(stamp.monotonic_ms, stamp.at_ms)
        if dated is not None:
            assert abs(dated.at_ms - truth_ms) <= dated.error_ms
