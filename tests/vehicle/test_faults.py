from __future__ import annotations

import pytest

from gateway.core.configuration import LoggerKind
from gateway.core.records import DeviceFault
from gateway.vehicle import faults as module
from gateway.vehicle.faults import FaultDetector
from gateway.vehicle.loggers.measurement import Measurement
from gateway.vehicle.moments import Moment
from tests.vehicle.samples import T0, TAG


class Bench:
    """One logger that says what the test wants, and the faults that were found."""

    def __init__(self, kind: LoggerKind = LoggerKind.RUUVITAG) -> None:
        self.detector = FaultDetector()
        self.passed_s = 0.0
        self.found: list[DeviceFault] = []
        self.detector.enrol({TAG: kind}, self.now)

    @property
    def now(self) -> Moment:
        return Moment(T0 + round(self.passed_s * 1000), round(self.passed_s * 1000), trusted=True)

    def hear(self, temperature_c: float | None = 5.0, *, after_s: float = 10.0, **fields: object) -> None:
        self.passed_s += after_s
        temperature_mc = None if temperature_c is None else round(temperature_c * 1000)
        self.found += self.detector.hear(TAG, Measurement(temperature_mc, **fields), self.now)  # type: ignore[arg-type]  # a test's own

    def look(self, *, after_s: float) -> None:
        self.passed_s += after_s
        self.found += self.detector.look(self.now)

    @property
    def codes(self) -> list[str]:
        return [fault.code for fault in self.found]


def test_a_healthy_logger_has_no_faults() -> None:
    bench = Bench()
    for number in range(500):
        bench.hear(5.0 + number % 3 / 200, battery_mv=2900, humidity_cpct=5000)
        bench.look(after_s=0)
    assert bench.codes == []


def test_silence_is_an_episode() -> None:
    bench = Bench()
    bench.hear()
    bench.look(after_s=module.SILENT_S - 1)
    assert bench.codes == []
    bench.look(after_s=1)
    bench.look(after_s=1)
    assert bench.codes == ["silent"]
    assert bench.detector.present(TAG) == ("silent",)
    bench.hear(after_s=100)
    assert bench.codes == ["silent", "silent_over"]
    assert bench.found[-1].detail == {"lasted_s": 101}
    assert bench.detector.present(TAG) == ()


def test_a_logger_that_was_never_heard_is_silent_since_its_enrolment() -> None:
    bench = Bench()
    bench.look(after_s=module.SILENT_S)
    assert bench.found == [DeviceFault(bench.now.at_ms, True, TAG, "silent", {"silent_s": module.SILENT_S})]


def test_a_stuck_sensor_goes_on_measuring_the_same() -> None:
    bench = Bench()
    for _ in range(181):
        bench.hear(5.005, humidity_cpct=5000)
    assert bench.codes == ["stuck"]
    assert bench.found[0].detail == {"same_s": 1800, "temperature_mc": 5005}
    bench.hear(5.01, humidity_cpct=5000)
    assert bench.codes == ["stuck", "stuck_over"]


def test_a_few_equal_measurements_are_no_stuck_sensor() -> None:
    bench = Bench()
    for _ in range(module.STUCK_MEASUREMENTS - 1):
        bench.hear(after_s=600)
    assert bench.codes == []


@pytest.mark.parametrize("kind", [LoggerKind.BLUEMAESTRO, LoggerKind.QINGPING])
def test_tenths_stand_still_in_a_good_box(kind: LoggerKind) -> None:
    bench = Bench(kind)
    for _ in range(500):
        bench.hear()
    assert bench.codes == []


@pytest.mark.parametrize(
    ("step_c", "after_s", "jumps"),
    [(5.0, 1.3, True), (-5.0, 1.3, True), (4.0, 1.3, False), (12.0, 10, False), (14.0, 10, True), (60.0, 61, False)],
)
def test_a_jump_is_more_than_a_sensor_can_follow(step_c: float, after_s: float, *, jumps: bool) -> None:
    bench = Bench()
    bench.hear(5.0)
    bench.hear(5.0 + step_c, after_s=after_s)
    assert bench.codes == (["jumped"] if jumps else [])


def test_jumps_do_not_flood_the_record() -> None:
    bench = Bench()
    for number in range(240):
        bench.hear(5.0 + 30 * (number % 2))
    assert bench.codes == ["jumped"] * 4, "one in ten minutes"


@pytest.mark.parametrize(
    ("temperature_c", "fields", "detail"),
    [
        (None, {}, {}),
        (None, {"code_mc": -3_276_800}, {"code_mc": -3_276_800}),
        (180.0, {}, {"code_mc": 180_000}),
    ],
)
def test_what_is_no_temperature_is_out_of_range(
    temperature_c: float | None, fields: dict[str, int], detail: dict[str, int]
) -> None:
    bench = Bench()
    bench.hear(5.0)
    bench.hear(temperature_c, **fields)
    bench.hear(temperature_c, **fields)
    assert bench.codes == ["out_of_range"]
    assert bench.found[0].detail == detail
    bench.hear(5.0)
    assert bench.codes == ["out_of_range", "out_of_range_over"], "and no jump from what was no temperature"


@pytest.mark.parametrize(
    ("temperature_c", "fields", "is_low"),
    [
        (5.0, {"battery_mv": 2399}, True),
        (5.0, {"battery_mv": 2400}, False),
        (-20.0, {"battery_mv": 2300}, False),
        (-20.0, {"battery_mv": 2199}, True),
        (5.0, {"battery_pct": 9}, True),
        (5.0, {"battery_pct": 9, "battery_mv": 2900}, False),
        (5.0, {"battery_low": True}, True),
        (5.0, {}, False),
    ],
)
def test_a_low_battery(temperature_c: float, fields: dict[str, int], *, is_low: bool) -> None:
    bench = Bench()
    bench.hear(temperature_c, **fields)
    assert bench.codes == (["battery_low"] if is_low else [])


def test_a_battery_does_not_flicker() -> None:
    bench = Bench()
    for millivolts in (2390, 2410, 2390, 2500, 2530):
        bench.hear(battery_mv=millivolts)
    assert bench.codes == ["battery_low", "battery_low_over"]


def test_strangers_have_no_faults() -> None:
    bench = Bench()
    assert bench.detector.hear("C0:FF:EE:00:00:99", Measurement(None), bench.now) == []
    assert bench.detector.tell("C0:FF:EE:00:00:99", "rebooted", bench.now, {}) == []
    assert bench.detector.present("C0:FF:EE:00:00:99") == ()


def test_enrolment_keeps_what_is_known_unless_the_kind_changes() -> None:
    bench = Bench()
    bench.hear(None)
    bench.detector.enrol({TAG: LoggerKind.RUUVITAG}, bench.now)
    assert bench.detector.present(TAG) == ("out_of_range",)
    bench.detector.enrol({TAG: LoggerKind.REFERENCE}, bench.now)
    assert bench.detector.present(TAG) == ()
