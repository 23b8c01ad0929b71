import pytest

from gateway.core.observations import Source
from gateway.vehicle import recorder as module
from gateway.vehicle.loggers.measurement import Measurement
from gateway.vehicle.moments import Moment
from gateway.vehicle.recorder import Enrolled, Recorder, Stretch

TAG = "C0:FF:EE:00:00:01"
T0 = 1_750_000_000_000
MINUTE = 60_000
FAR = 1000


def measure(counter: int | None, temperature_c: float | None = 5.0) -> Measurement:
    return Measurement(
        temperature_mc=None if temperature_c is None else round(temperature_c * 1000),
        humidity_cpct=5000,
        pressure_pa=None,
        battery_mv=3000,
        movements=0,
        counter=counter,
        address=TAG,
    )


def at(passed_ms: int, *, trusted: bool = True) -> Moment:
    return Moment(T0 + passed_ms, 600_000 + passed_ms, trusted)


@pytest.fixture
def recorder() -> Recorder:
    made = Recorder(30)
    made.enrol({TAG: Enrolled(memory_interval_s=300, thresholds_mc=(2000, 8000))})
    return made


def recorded(recorder: Recorder) -> list[tuple[int, float]]:
    return [(o.measured_at_ms - T0, o.temperature_mc / 1000) for o in recorder.take(FAR)]


def test_the_first_new_measurement_of_each_slot_is_recorded(recorder: Recorder) -> None:
    for step in range(8):
        recorder.hear(TAG, measure(step), at(step * 10_000))
    assert [time for time, _ in recorded(recorder)] == [0, 30_000, 60_000]
    first = recorder.take(1)[0]
    assert (first.source, first.interval_s, first.counter, first.humidity_cpct) == (Source.LIVE, 30, 0, 5000)


def test_light_is_recorded(recorder: Recorder) -> None:
    recorder.hear(TAG, Measurement(5000, light_lux=120), at(0))
    assert [observation.light_lux for observation in recorder.take(FAR)] == [120]


def test_an_unchanged_counter_is_no_new_reading(recorder: Recorder) -> None:
    recorder.hear(TAG, measure(7), at(0))
    assert not recorder.hear(TAG, measure(7), at(40_000)).is_new
    assert len(recorded(recorder)) == 1


def test_a_wrapped_counter_is_new(recorder: Recorder) -> None:
    recorder.hear(TAG, measure(65_534), at(0))
    assert recorder.hear(TAG, measure(0), at(40_000)).is_new


def test_strangers_are_ignored(recorder: Recorder) -> None:
    assert not recorder.hear("C0:FF:EE:00:00:99", measure(1), at(0)).is_new
    assert recorder.waiting == 0


def test_a_measurement_without_temperature_is_counted(recorder: Recorder) -> None:
    recorder.hear(TAG, measure(1, None), at(0))
    assert (recorder.waiting, recorder.without_temperature) == (0, 1)


def test_a_crossing_within_a_slot_is_recorded_at_once_with_its_extremes_afterwards(recorder: Recorder) -> None:
    temperatures = [7.9, 8.1, 9.0, 7.0, 8.5]
    urgent = [
        recorder.hear(TAG, measure(step, temperature), at(step * 5000)).urgent
        for step, temperature in enumerate(temperatures)
    ]
    assert urgent == [False, True, False, False, False]
    assert recorded(recorder) == [(0, 7.9), (5000, 8.1)]
    recorder.close_slots(at(31_000))
    assert recorded(recorder) == [(0, 7.9), (5000, 8.1), (10_000, 9.0), (15_000, 7.0)]


def test_at_most_three_more_for_each_slot(recorder: Recorder) -> None:
    for step in range(20):
        recorder.hear(TAG, measure(step, 10.0 + step if step % 2 else 1.0 - step), at(step * 1000))
    recorder.close_slots(at(60_000))
    assert recorder.waiting == 4


def test_without_a_crossing_a_slot_has_one_observation(recorder: Recorder) -> None:
    for step, temperature in enumerate([5.0, 7.9, 2.1]):
        recorder.hear(TAG, measure(step, temperature), at(step * 5000))
    recorder.close_slots(at(60_000))
    assert recorded(recorder) == [(0, 5.0)]


def test_a_crossing_between_slots_is_urgent(recorder: Recorder) -> None:
    assert not recorder.hear(TAG, measure(1, 7.9), at(0)).urgent
    assert recorder.hear(TAG, measure(2, 8.1), at(30_000)).urgent
    assert not recorder.hear(TAG, measure(3, 8.2), at(60_000)).urgent


def test_a_silence_of_which_a_memory_may_hold_a_record_is_missing(recorder: Recorder) -> None:
    assert recorder.hear(TAG, measure(1), at(0)).missing is None
    assert recorder.hear(TAG, measure(2), at(300_000)).missing is None
    assert recorder.hear(TAG, measure(3), at(600_001)).missing == Stretch(TAG, T0 + 300_000, T0 + 600_001)


def test_custody_that_begins_in_silence_is_asked_for_after_half_an_interval() -> None:
    recorder = Recorder(30)
    recorder.enrol({TAG: Enrolled(memory_interval_s=300, since_ms=T0)})
    assert recorder.hear(TAG, measure(1), at(150_001)).missing == Stretch(TAG, T0 - 300_000, T0 + 150_001)
    early = Recorder(30)
    early.enrol({TAG: Enrolled(memory_interval_s=300, since_ms=T0)})
    assert early.hear(TAG, measure(1), at(150_000)).missing is None


def test_a_logger_without_memory_misses_nothing() -> None:
    recorder = Recorder(30)
    recorder.enrol({TAG: Enrolled(memory_interval_s=None, since_ms=T0 - 60 * MINUTE)})
    assert recorder.hear(TAG, measure(1), at(0)).missing is None
    assert recorder.hear(TAG, measure(2), at(60 * MINUTE)).missing is None


def test_a_late_start_asks_from_the_start_of_custody() -> None:
    recorder = Recorder(30)
    recorder.enrol({TAG: Enrolled(memory_interval_s=300, since_ms=T0 - 20 * MINUTE)})
    heard = recorder.hear(TAG, measure(1), at(0))
    assert heard.missing == Stretch(TAG, T0 - 25 * MINUTE, T0)
    assert recorder.hear(TAG, measure(2), at(30_000)).missing is None


def test_a_restart_continues_after_the_last_sealed_observation(recorder: Recorder) -> None:
    recorder.resume(TAG, T0 - 10 * MINUTE, counter=41)
    assert not recorder.hear(TAG, measure(41), at(0)).is_new, "the measurement that is sealed already"
    assert recorder.hear(TAG, measure(42), at(1000)).missing == Stretch(TAG, T0 - 10 * MINUTE, T0 + 1000)


def test_a_quick_restart_misses_nothing(recorder: Recorder) -> None:
    recorder.resume(TAG, T0 - 5 * MINUTE, counter=41)
    assert recorder.hear(TAG, measure(42), at(0)).missing is None


def test_a_registration_after_the_fact_makes_the_earlier_custody_missing(recorder: Recorder) -> None:
    recorder.hear(TAG, measure(1), at(0))
    later = Enrolled(memory_interval_s=300, since_ms=T0 - 30 * MINUTE)
    assert recorder.enrol({TAG: later}) == (Stretch(TAG, T0 - 35 * MINUTE, T0),)
    assert recorder.enrol({TAG: later}) == (), "asked once"


def test_a_clock_set_back_does_not_stop_the_record(recorder: Recorder) -> None:
    recorder.hear(TAG, measure(1), Moment(T0, 600_000, trusted=False))
    recorder.hear(TAG, measure(2), Moment(T0 - 3_600_000, 630_000, trusted=True))
    assert recorder.waiting == 2


def test_what_is_taken_stays_until_it_is_confirmed(recorder: Recorder) -> None:
    for step in range(3):
        recorder.hear(TAG, measure(step), at(step * 30_000))
    assert len(recorder.take(2)) == 2
    assert recorder.waiting == 3
    recorder.confirm(2)
    assert recorded(recorder) == [(60_000, 5.0)]


def test_a_full_buffer_is_counted(recorder: Recorder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "BUFFER_MAX", 1)
    recorder.hear(TAG, measure(1), at(0))
    recorder.hear(TAG, measure(2), at(30_000))
    assert (recorder.waiting, recorder.dropped) == (1, 1)
