"""What a gateway recorded by an untrusted clock, and how the hub comes to know when it was."""

from __future__ import annotations

import msgspec
import pytest
from msgspec.structs import replace
from sqlalchemy import select

from gateway.core.configuration import Box, Logger
from gateway.core.judgement import ConsignmentJudge
from gateway.core.observations import Observation
from gateway.core.records import ClockCorrection, Health, Stop
from gateway.core.verdicts import Judgement
from gateway.hub.database import schema
from gateway.hub.database.store import Store
from gateway.hub.judgement.redating import Redating
from gateway.hub.judgement.verdict_history import read_current, read_versions
from gateway.hub.judgement.watch import Watch
from gateway.hub.projection.portions import read_portions
from gateway.hub.proof.verification import verify_store
from gateway.hub.record.archive import Archive
from gateway.hub.registry.configurations import Configurations
from gateway.hub.registry.enrolment import Enrolment
from gateway.hub.registry.registry import Registry
from gateway.hub.replication.ingest import Ingest
from tests.hub.test_watch import Hand, consignment
from tests.hub.vans import LOGGER, START_MS, Van, observe

HOUR_MS = 3_600_000
WRONG_MS = 8 * HOUR_MS
"""By how much the van's clock is behind: it was off for the night, and has no battery of its own."""
OTHER = "C0:FF:EE:00:00:02"


def untrusted(at_s: float, celsius: float, *, monotonic_s: float | None = None, **changes: object) -> Observation:
    """Measured `at_s` after START, stamped with a clock that is WRONG_MS behind."""
    true = observe(at_s, celsius, **changes)  # type: ignore[arg-type]  # the keywords of observe
    return replace(
        true,
        measured_at_ms=true.measured_at_ms - WRONG_MS,
        clock_trusted=False,
        monotonic_ms=round((at_s if monotonic_s is None else monotonic_s) * 1000),
    )


def trusted_at(at_s: float, *, monotonic_s: float | None = None, error_ms: int = 50) -> ClockCorrection:
    monotonic_ms = round((at_s if monotonic_s is None else monotonic_s) * 1000)
    at_ms = START_MS + round(at_s * 1000)
    return ClockCorrection(at_ms, True, monotonic_ms, at_ms - WRONG_MS, "became trusted", error_ms, "ntp")


def began(floor_s: float, *, monotonic_ms: int = 0) -> ClockCorrection:
    floor_ms = START_MS + round(floor_s * 1000)
    return ClockCorrection(floor_ms, False, monotonic_ms, floor_ms, "began")


class Bench:
    """A hub's rooms, with a consignment in a box since START."""

    def __init__(self, store: Store, van: Van) -> None:
        self.store, self.van, self.clock = store, van, Hand()
        self.registry = Registry(store, self.clock.now_ms)
        self.ingest = Ingest(store, self.clock.now_ms)
        self.archive = Archive(store)
        configurations = Configurations(store, self.clock.now_ms, demonstration=True)
        self.watch = Watch(store, self.archive, self.registry, configurations, self.clock, make_judge=ConsignmentJudge)
        self.registry.put_box(Box(code="BOX-1"), "test")
        for address in (LOGGER, OTHER):
            self.registry.put_logger(Logger(address=address, box="BOX-1" if address == LOGGER else "BOX-2"), "test")
        self.registry.put_consignment(consignment(), "test")

    def arrive(self, van: Van | None = None) -> None:
        self.ingest.take((van or self.van).deliveries())
        self.watch.judge_marked()

    def judgement(self) -> Judgement:
        with self.store.read() as connection:
            (current,) = read_current(connection, "C-1")
        return current.judgement

    def reasons(self) -> dict[str, dict[str, object]]:
        return {reason.code: dict(reason.parameters) for reason in self.judgement().reasons}


@pytest.fixture
def bench(store: Store, van: Van) -> Bench:
    return Bench(store, van)


def test_what_came_before_the_clock_was_trusted_is_dated_by_it(bench: Bench) -> None:
    for minute in range(60):
        bench.van.seal(untrusted(minute * 60, 5.0, counter=minute))
    bench.arrive()
    assert "no_readings" in bench.reasons() or "clock_untrusted" in bench.reasons()
    bench.van.seal(observe(3600, 5.0, counter=60), records=[trusted_at(3600)])
    bench.arrive()
    observations = bench.archive.observations(LOGGER, START_MS, START_MS + 2 * HOUR_MS)
    assert [o.measured_at_ms for o in observations] == [START_MS + minute * 60_000 for minute in range(61)]
    assert all(o.clock_trusted for o in observations)
    assert max(o.time_error_ms for o in observations) == 50 + 360  # an hour at 100 ppm
    assert not {"clock_untrusted", "no_readings"} & set(bench.reasons())
    assert bench.judgement().figures.readings == 61
    assert bench.judgement().figures.time_error_ms == 50 + 360


def test_a_correction_of_the_clock_is_an_entry_of_the_audit_trail_once(bench: Bench) -> None:
    for minute in range(3):
        bench.van.seal(untrusted(minute * 60, 5.0, counter=minute))
    bench.arrive()
    for minute in range(3, 6):
        bench.van.seal(observe(minute * 60, 5.0, counter=minute), records=[trusted_at(minute * 60)])
        bench.arrive()
    with bench.store.read() as connection:
        table = schema.audit
        told = connection.execute(select(table).where(table.c.act == "correct_clock").order_by(table.c.id)).all()
    assert {entry.who for entry in told} == {"hub"}
    assert told[-1].subject.startswith("boot van-1/")
    last = msgspec.json.decode(told[-1].new)
    assert (last["by"], last["began_at_ms"], last["error_ms"]) == ("trusted moments", START_MS, 50)
    assert [entry.new for entry in told[:-1]] == [entry.old for entry in told[1:]]
    assert sum("trusted" in entry.new for entry in told) == 1, "what only confirms it is no entry"
    assert verify_store(bench.store).is_proven


def test_the_raw_record_stays_and_the_index_is_proven(bench: Bench) -> None:
    sealed = untrusted(60, 5.0, counter=1)
    bench.van.seal(sealed)
    bench.van.seal(observe(120, 5.0, counter=2), records=[trusted_at(120)])
    bench.arrive()
    assert sealed in bench.archive.raw(LOGGER)
    assert bench.archive.observations(LOGGER, 0, START_MS) == ()
    assert verify_store(bench.store).is_proven
    with bench.store.write() as connection:
        connection.execute(schema.boots.update().values(dating=None))
    assert not verify_store(bench.store).is_proven


def test_an_old_verdict_stays_beside_the_new_one(bench: Bench) -> None:
    for minute in range(30):
        bench.van.seal(untrusted(minute * 60, 4.0, counter=minute))
    bench.arrive()
    bench.van.seal(observe(1800, 4.0, counter=30), records=[trusted_at(1800)])
    bench.arrive()
    assert bench.judgement().verdict == "reject"
    with bench.store.read() as connection:
        versions = read_versions(connection, "C-1", "T-1", "K")
    assert len(versions) >= 2
    assert versions[-1].judgement.figures.untrusted or versions[-1].judgement.figures.readings == 0


def test_a_cold_hour_the_clock_put_before_the_loading_is_found(bench: Bench) -> None:
    """Without redating it lies before the box was loaded, and nobody would ever see it."""
    for minute in range(60):
        bench.van.seal(untrusted(minute * 60, 4.0 if 10 <= minute < 50 else 20.0, counter=minute))
    bench.van.seal(observe(3600, 5.0, counter=60), records=[trusted_at(3600)])
    bench.arrive()
    (broken,) = [b for b in bench.judgement().breaches if b.kind in ("single", "forbidden")][:1]
    assert abs(broken.started_at_ms - (START_MS + 600_000)) <= 60_000


def test_readings_of_a_boot_that_never_knew_the_time_are_bounded_and_said_so(bench: Bench) -> None:
    bench.clock.now = START_MS + 2 * HOUR_MS
    bench.van.seal(observe(0, 5.0, counter=0))
    bench.arrive()
    dark = bench.van.restart(b"epoch--2", b"darkdark")
    dark.seal(untrusted(1800, 5.0, monotonic_s=60, counter=9), records=[began(0)])
    bench.arrive(dark)
    (_, dated) = sorted(bench.archive.observations(LOGGER, 0, 1 << 60), key=lambda o: o.measured_at_ms)
    assert not dated.clock_trusted
    # The stamp is eight hours too early. A minute after the last sealed time is the earliest, the arrival the latest.
    assert dated.measured_at_ms == START_MS + 60_000
    assert dated.time_error_ms == 2 * HOUR_MS - 60_000
    assert bench.reasons()["clock_untrusted"] == {"readings": 1, "error_min": 119}
    assert bench.judgement().verdict != "accept"


def test_the_next_boot_that_knows_the_time_narrows_the_bounds(bench: Bench) -> None:
    bench.clock.now = START_MS + 10 * HOUR_MS
    bench.van.seal(observe(0, 5.0, counter=0))
    dark = bench.van.restart(b"epoch--2", b"darkdark")
    dark.seal(untrusted(1800, 5.0, monotonic_s=60), records=[began(0)])
    light = dark.restart(b"epoch--3", b"lightlig")
    light.seal(observe(3600, 5.0), records=[trusted_at(3600, monotonic_s=0, error_ms=0)])
    for van in (bench.van, dark):
        bench.arrive(van)
    wide = [o for o in bench.archive.observations(LOGGER, 0, 1 << 60) if not o.clock_trusted]
    bench.arrive(light)
    bench.watch.judge_marked()
    narrow = [o for o in bench.archive.observations(LOGGER, 0, 1 << 60) if not o.clock_trusted]
    assert wide[0].time_error_ms > 9 * HOUR_MS
    assert narrow[0].time_error_ms == HOUR_MS - 60_000


def test_loggers_heard_before_and_after_tell_the_time_to_seconds(bench: Bench) -> None:
    """Two RuuviTags count on, once in 1.285 s, while the van has no power and then does not know the time."""

    def count(at_s: float, logger: str) -> int:
        return int((at_s + (5000 if logger == OTHER else 0)) / 1.285) % 65_535

    bench.clock.now = START_MS + 10 * HOUR_MS
    for logger in (LOGGER, OTHER):
        bench.van.seal(observe(0, 5.0, logger=logger, counter=count(0, logger)))
    dark = bench.van.restart(b"epoch--2", b"darkdark")
    woke_s = 6 * 3600.0
    for step in range(60):
        at_s = woke_s + step * 30
        heard = [
            untrusted(at_s, 5.0, monotonic_s=20 + step * 30, logger=logger, counter=count(at_s, logger))
            for logger in (LOGGER, OTHER)
        ]
        dark.seal(*heard, records=[began(0)] if step == 0 else [])
    bench.arrive()
    bench.arrive(dark)
    dated = [o for o in bench.archive.observations(LOGGER, 0, 1 << 60) if not o.clock_trusted]
    first = min(dated, key=lambda o: o.monotonic_ms)
    off_ms = abs(first.measured_at_ms - (START_MS + round(woke_s * 1000)))
    assert off_ms <= first.time_error_ms < 120_000


def test_segments_that_come_after_the_mark_are_read_right_at_once(bench: Bench) -> None:
    bench.van.seal(observe(60, 5.0), records=[trusted_at(60, monotonic_s=60)])
    bench.arrive()
    bench.van.seal(untrusted(90, 5.0))
    bench.arrive()
    assert [o.measured_at_ms - START_MS for o in bench.archive.observations(LOGGER, 0, 1 << 60)] == [60_000, 90_000]


def test_a_clock_in_the_future_does_not_make_a_log_look_complete(bench: Bench) -> None:
    bench.van.seal(observe(60, 5.0))
    bench.clock.now = START_MS - HOUR_MS
    bench.arrive()
    assert Enrolment(bench.store, b"s" * 32, bench.clock.now_ms).gateways()[0].sealed_at_ms == START_MS - HOUR_MS


def test_the_projection_waits_for_the_time_and_then_goes_back(bench: Bench) -> None:
    bench.van.seal(untrusted(60, 5.0), observe(60, 6.0, logger=OTHER))
    bench.arrive()
    with bench.store.write() as connection:
        (portion,) = read_portions(connection, bench.archive, 0)
        assert [o.logger for _, content in portion.contents for o in content.observations] == [OTHER]
        connection.execute(schema.epochs.update().values(projected_offset=1))
    bench.van.seal(records=[trusted_at(120)])
    bench.arrive()
    with bench.store.read() as connection:
        (portion,) = read_portions(connection, bench.archive, 0)
    times = [o.measured_at_ms for _, content in portion.contents for o in content.observations if o.logger == LOGGER]
    assert times == [START_MS + 60_000]


def test_a_thousand_marks_of_one_boot_are_not_all_kept(bench: Bench) -> None:
    bench.van.seal(records=[trusted_at(second) for second in range(100)])
    bench.arrive()
    with bench.store.read() as connection:
        assert len(connection.execute(select(schema.clock_marks)).all()) == 64


def test_stops_are_dated_with_the_rest(bench: Bench) -> None:
    stop = Stop(START_MS - WRONG_MS, False, "arrived", "stop 1", is_site=False, monotonic_ms=90_000)
    bench.van.seal(untrusted(60, 5.0), records=[stop])
    bench.van.seal(records=[trusted_at(120)])
    bench.arrive()
    with bench.store.read() as connection:
        (row,) = connection.execute(select(schema.stops)).all()
    assert (row.at_ms, row.place, row.trusted) == (START_MS + 90_000, "stop 1", True)


def test_a_gateway_tells_how_it_stands_with_its_clock(bench: Bench) -> None:
    bench.van.seal(records=[trusted_at(60), Health(START_MS + 90_000, True, {"clock_error_ms": 77})])
    bench.arrive()
    (known,) = Enrolment(bench.store, b"s" * 32, bench.clock.now_ms).gateways()
    assert (known.clock_trusted, known.clock_error_ms, known.clock_reference) == (True, 77, "ntp")


def test_nothing_due_is_no_work(bench: Bench) -> None:
    assert Redating(bench.store, bench.archive, bench.clock.now_ms).work() == 0
