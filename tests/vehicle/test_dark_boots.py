"""What a vehicle keeps straight over boots in which it did not know the time, also when the power is cut in one."""

from __future__ import annotations

import sqlite3

from msgspec.structs import replace

from gateway.core.contents import Content
from gateway.core.observations import Observation
from gateway.core.records import ClockCorrection, Health
from gateway.keys import SigningKey
from gateway.vehicle.loggers.measurement import Measurement
from gateway.vehicle.moments import Moment
from gateway.vehicle.outbox import Outbox
from gateway.vehicle.recorder import Enrolled, Recorder, Stretch
from gateway.vehicle.redater import Redater
from gateway.vehicle.vehicle import LOOK_BACK_MS, _find_last_observations, last_trusted_ms
from tests.vehicle.samples import T0, TAG, VAN, observe

HOUR_MS = 3_600_000
MINUTE_MS = 60_000


def wrong(number: int) -> Observation:
    """The `number`-th observation, by a clock that is a month ahead and trusted by nobody."""
    true = observe(number)
    return replace(true, measured_at_ms=true.measured_at_ms + 30 * 24 * HOUR_MS, clock_trusted=False)


def make_recorder(*, resumed_ms: int | None = None, since_ms: int | None = None) -> Recorder:
    recorder = Recorder(30)
    recorder.enrol({TAG: Enrolled(memory_interval_s=300, since_ms=since_ms)})
    if resumed_ms is not None:
        recorder.resume(TAG, resumed_ms, 7)
    return recorder


def hear(recorder: Recorder, counter: int, at_ms: int, *, trusted: bool = False) -> Stretch | None:
    moment = Moment(at_ms, 1_000_000 + counter * 30_000, trusted)
    return recorder.hear(TAG, Measurement(5000, counter=counter), moment).missing


def test_a_clock_that_nobody_trusts_says_nothing_about_what_was_missed_before_it() -> None:
    recorder = make_recorder(resumed_ms=T0)
    assert hear(recorder, 100, T0 + 1000) is None
    assert recorder.shift(8 * HOUR_MS) == (Stretch(TAG, T0, T0 + 1000 + 8 * HOUR_MS),)
    assert recorder.shift(0) == ()


def test_what_is_in_the_box_longer_than_this_boot_knows_is_asked_for_since_then() -> None:
    recorder = make_recorder(since_ms=T0 + HOUR_MS)
    assert hear(recorder, 100, T0) is None
    assert recorder.shift(3 * HOUR_MS) == (Stretch(TAG, T0 + HOUR_MS - 300_000, T0 + 3 * HOUR_MS),)


def test_nothing_missed_is_nothing_asked_for() -> None:
    recorder = make_recorder(resumed_ms=T0)
    assert hear(recorder, 100, T0 + 10) is None
    assert recorder.shift(MINUTE_MS) == ()


def test_a_hole_within_the_boot_is_one_by_any_clock() -> None:
    recorder = make_recorder(resumed_ms=T0)
    hear(recorder, 100, T0 + 1000)
    assert hear(recorder, 200, T0 + 1000 + HOUR_MS) == Stretch(TAG, T0 + 1000, T0 + 1000 + HOUR_MS)


def test_a_correction_is_not_taken_for_silence() -> None:
    recorder = make_recorder(resumed_ms=T0)
    hear(recorder, 100, T0 + 1000)
    recorder.shift(8 * HOUR_MS)
    assert hear(recorder, 101, T0 + 31_000 + 8 * HOUR_MS, trusted=True) is None


def test_after_a_cut_in_the_dark_everything_since_the_last_known_time_is_asked_for(
    database: sqlite3.Connection, key: SigningKey
) -> None:
    """The dark boot's own stamps say nothing, also where they lie in the future."""
    outbox = Outbox(database, VAN, key, boot=b"boot-one")
    outbox.seal(Content((observe(1), observe(2))), sealed_at_ms=T0, config_version=1)
    dark = Outbox(database, VAN, key, boot=b"boot-two")
    dark.seal(Content((wrong(900), wrong(901))), sealed_at_ms=T0 + 30 * 24 * HOUR_MS, config_version=1)
    light = Outbox(database, VAN, key, boot=b"bootthre")
    assert last_trusted_ms(light) == T0 + 2 * 30_000
    last = _find_last_observations(light, T0 - LOOK_BACK_MS)[TAG]
    assert (last.observed_ms, last.counter) == (T0 + 2 * 30_000, 901)
    recorder = make_recorder()
    recorder.resume(TAG, last.observed_ms, last.counter)
    assert hear(recorder, 902, T0 + 9 * HOUR_MS, trusted=True) == Stretch(TAG, T0 + 60_000, T0 + 9 * HOUR_MS)


def test_a_card_that_never_knew_the_time_has_no_floor(database: sqlite3.Connection, key: SigningKey) -> None:
    outbox = Outbox(database, VAN, key, boot=b"boot-one")
    assert last_trusted_ms(outbox) == 0
    outbox.seal(Content((wrong(1),)), sealed_at_ms=T0, config_version=1)
    assert last_trusted_ms(outbox) == 0
    outbox.seal(Content((), (Health(T0 + 5, True, {}),)), sealed_at_ms=T0, config_version=1)
    assert last_trusted_ms(outbox) == T0 + 5


def test_the_early_warning_reads_its_own_log_with_the_times_that_are_known_now(
    database: sqlite3.Connection, key: SigningKey
) -> None:
    outbox = Outbox(database, VAN, key, boot=b"boot-one")
    mark = ClockCorrection(T0 + 3 * 30_000, True, 3 * 30_000, T0, "became trusted", 10, "ntp")
    outbox.seal(Content((wrong(1), wrong(2))), sealed_at_ms=T0, config_version=1)
    outbox.seal(Content((observe(3),), (mark,)), sealed_at_ms=T0, config_version=1)
    other = Outbox(database, VAN, key, boot=b"boot-two")
    other.seal(Content((wrong(7),)), sealed_at_ms=T0, config_version=1)
    redater = Redater()
    assert [o.counter for sealed in other.contents(0) for o in redater.take(sealed)] == [3]
    first, second, dark = redater.redated()
    assert [first.measured_at_ms, second.measured_at_ms] == [T0 + 30_000, T0 + 60_000]
    assert first.clock_trusted
    assert dark == wrong(7)


def test_what_is_salvaged_keeps_the_name_of_its_boot(database: sqlite3.Connection, key: SigningKey) -> None:
    """Sealed again by a later boot, it would be dated by that one's clock."""
    first = Outbox(database, VAN, key, boot=b"boot-one")
    for number in (1, 2, 3):
        first.seal(Content((wrong(number),)), sealed_at_ms=T0, config_version=1)
    row = database.execute("SELECT data FROM segments WHERE sequence = 0").fetchone()
    damaged = bytearray(row[0])
    damaged[-1] ^= 1
    database.execute("UPDATE segments SET data = ? WHERE sequence = 0", (bytes(damaged),))
    later = Outbox(database, VAN, key, boot=b"boot-two")
    later.pending(1 << 20, -1, Moment(T0, 0, trusted=True))
    boots = {o.counter: sealed.boot for sealed in later.contents(0) for o in sealed.content.observations}
    assert boots == {2: b"boot-one", 3: b"boot-one"}
