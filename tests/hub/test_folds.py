"""A hub that starts again goes on from what was saved, and says the same as one that reads everything."""

from __future__ import annotations

import random
from collections.abc import Collection
from datetime import datetime

import pytest
from msgspec.structs import replace
from sqlalchemy import delete, func, select, update

from gateway.core.configuration import Box, Calibration, Logger
from gateway.core.errors import ForgottenError
from gateway.core.judgement import judge_consignment
from gateway.core.observations import Observation, Source
from gateway.core.profiles import Profile
from gateway.core.records import ClockCorrection
from gateway.core.segments import Segment
from gateway.core.verdicts import Judgement
from gateway.hub.database import schema
from gateway.hub.database.store import Store
from gateway.hub.judgement import folds as hub_folds
from gateway.hub.judgement import watch
from gateway.hub.judgement.folds import SAVED_EACH, UNTOUCHED_MS
from gateway.hub.judgement.verdict_history import read_current
from gateway.hub.judgement.watch import Watch
from gateway.hub.record.archive import Archive, News
from gateway.hub.record.index import NOTHING, Places, count_places
from gateway.hub.registry.configurations import Configurations
from gateway.hub.registry.registry import Registry
from gateway.hub.replication.ingest import Ingest
from tests.hub.test_watch import Hand, consignment
from tests.hub.vans import LOGGER, START_MS, Van, iso, observe, sqlite_only

OTHER = "C0:FF:EE:00:00:02"


def profile(version: int = 1, above_c: float = 8) -> Profile:
    return Profile.model_validate(
        {
            "id": "tested",
            "version": version,
            "title": "Tested",
            "kind": "sample",
            "owner": "tests",
            "source": "tests",
            "evidence": "verified",
            "bands": [{"name": "cold", "from_c": 2, "to_c": 8}],
            "lives": [{"kind": "alternative", "name": "life", "allowances": [{"band": "cold", "life": "2 d"}]}],
            "limits": [{"name": "warm", "above_c": above_c, "single": "5 min", "cumulative": "10 min"}],
        }
    )


class CountingArchive(Archive):
    """Counts what it reads for judging."""

    def __init__(self, store: Store) -> None:
        super().__init__(store)
        self.segments = self.heard = 0

    def news(
        self, loggers: Collection[str], from_ms: int, to_ms: int, seen: Places, passed: tuple[int, int] = NOTHING
    ) -> News:
        found = super().news(loggers, from_ms, to_ms, seen, passed)
        self.segments += count_places(found.places)
        self.heard += len(found.observations)
        return found


class Hub:
    """A hub's rooms over a store; `restart` is what a killed and started process has: the store, and nothing else."""

    def __init__(self, store: Store, van: Van) -> None:
        self.store, self.van, self.clock = store, van, Hand()
        self.registry = Registry(store, self.clock.now_ms)
        self.ingest = Ingest(store, self.clock.now_ms)
        self.configurations = Configurations(store, self.clock.now_ms, demonstration=True)
        self.registry.put_profile(profile(), "test")
        calibration = Calibration(certificate="K-1", calibrated_at=iso(-86_400), due_at=iso(864_000))
        for number, address in enumerate((LOGGER, OTHER), 1):
            self.registry.put_box(Box(code=f"BOX-{number}"), "test")
            self.registry.put_logger(Logger(address=address, box=f"BOX-{number}", calibration=calibration), "test")
        examined = [{"code": "K", "profile": "tested"}]
        items = [{"code": "T-1", "kind": "sample", "examinations": examined}]
        rides = [{"box": "BOX-1", "begins": iso(0), "ends": iso(1800)}, {"box": "BOX-2", "begins": iso(1800)}]
        self.registry.put_consignment(consignment(items=items, carriage=rides), "test")
        self.minute = 0
        self.restart()

    def restart(self) -> None:
        self.archive = CountingArchive(self.store)
        self.watch = Watch(self.store, self.archive, self.registry, self.configurations, self.clock)

    def ride(self, minutes: int, temperature_c: float = 5.0) -> None:
        """A segment a minute, then a judgement."""
        segments = []
        for _ in range(minutes):
            at_s, counter = 60 * self.minute, self.minute
            one = observe(at_s, temperature_c, counter=counter)
            other = observe(at_s + 20, temperature_c, counter=counter, logger=OTHER)
            segments.append(self.van.seal(one, other))
            self.minute += 1
        self._take(segments)

    def deliver(self, *observations: Observation) -> None:
        self._take([self.van.seal(*observations)])

    def _take(self, segments: list[Segment]) -> None:
        self.clock.now = max(self.clock.now, START_MS + 60_000 * self.minute)
        self.ingest.take(self.van.deliveries(segments))
        self.judge()

    def judge(self) -> Judgement:
        self.watch.judge_marked()
        with self.store.read() as connection:
            (current,) = read_current(connection, "C-1")
        return current.judgement

    def touch(self) -> Judgement:
        """Judge without anything new."""
        self.watch.patrol()
        return self.judge()

    def judge_at_once(self) -> Judgement:
        """Judge all that the archive holds, with nothing remembered."""
        case = self.configurations.case("C-1")
        assert case is not None
        archive = Archive(self.store)
        far_ms = self.clock.now + 7_200_000
        observations = [o for logger in (LOGGER, OTHER) for o in archive.observations(logger, 0, far_ms)]
        (judged,) = judge_consignment(case.consignment, case.configuration, observations, self.clock.now)
        return judged

    def saved(self) -> int:
        with self.store.read() as connection:
            return int(connection.execute(select(func.count()).select_from(schema.folds)).scalar_one())


@pytest.fixture
def hub(store: Store, van: Van) -> Hub:
    return Hub(store, van)


def test_a_hub_that_starts_again_reads_only_what_came_after(hub: Hub) -> None:
    hub.ride(4 * SAVED_EACH)
    hub.ride(SAVED_EACH - 1)
    hub.restart()
    hub.ride(1)
    assert (hub.archive.segments, hub.archive.heard) == (SAVED_EACH, 2 * SAVED_EACH)
    assert hub.judge() == hub.judge_at_once()
    assert hub.judge().figures.readings == 50
    hub.ride(3)
    hub.restart()
    hub.ride(1)
    assert hub.archive.segments == 4
    assert hub.judge() == hub.judge_at_once()


def test_what_is_late_is_folded_in_from_the_archive(hub: Hub) -> None:
    hub.ride(2 * SAVED_EACH)
    hub.restart()
    late = observe(60 * SAVED_EACH + 30, 12.0)
    hub.deliver(replace(late, source=Source.MEMORY, interval_s=30))
    assert hub.archive.segments >= 2 * SAVED_EACH
    assert hub.judge().figures.max_c == 12.0
    assert hub.judge() == hub.judge_at_once()
    read = hub.archive.segments
    hub.ride(1)
    assert hub.archive.segments == read + 1
    assert hub.judge() == hub.judge_at_once()


@sqlite_only
def test_a_corrected_profile_is_not_asked_of_what_was_saved(hub: Hub) -> None:
    hub.ride(2 * SAVED_EACH, 7.0)
    assert not hub.judge().breaches
    hub.registry.put_profile(profile(2, 6), "test")
    hub.restart()
    hub.ride(1, 7.0)
    assert hub.archive.segments == 2 * SAVED_EACH + 1
    assert hub.judge().breaches
    assert hub.judge() == hub.judge_at_once()


@sqlite_only
@pytest.mark.parametrize("damage", ["cut", "altered", "emptied", "another's", "of another version"])
def test_what_does_not_fit_is_folded_again(hub: Hub, damage: str, monkeypatch: pytest.MonkeyPatch) -> None:
    hub.ride(2 * SAVED_EACH)
    with hub.store.write() as connection:
        state = bytes(connection.execute(select(schema.folds.c.state)).scalar_one())
        middle = len(state) // 2
        altered = {
            "cut": {"state": state[:-3]},
            "altered": {"state": state[:middle] + bytes([state[middle] ^ 1]) + state[middle + 1 :]},
            "emptied": {"state": b""},
            "another's": {"identity": bytes(32)},
            "of another version": {},
        }[damage]
        if altered:
            connection.execute(update(schema.folds).values(**altered))
    if damage == "of another version":
        monkeypatch.setattr(hub_folds, "engine_version", lambda: b"another")
    hub.restart()
    hub.ride(1)
    assert hub.archive.segments == 2 * SAVED_EACH + 1
    assert hub.judge() == hub.judge_at_once()


@sqlite_only
def test_times_that_were_corrected_meanwhile_are_folded_again(hub: Hub) -> None:
    early = [replace(observe(60 * m, 5.0, counter=m), clock_trusted=False) for m in range(5)]
    moved = [replace(o, measured_at_ms=o.measured_at_ms + 120_000) for o in early]
    hub.deliver(*moved)
    hub.minute = 10
    hub.ride(2 * SAVED_EACH)
    hub.restart()
    at_ms = START_MS + 60_000 * hub.minute
    truth = ClockCorrection(at_ms, True, 60_000 * hub.minute, at_ms, "became trusted", 50, "ntp")
    other = CountingArchive(hub.store)
    process = Watch(hub.store, other, hub.registry, hub.configurations, hub.clock)
    hub.clock.now = max(hub.clock.now, at_ms)
    hub.ingest.take(hub.van.deliveries([hub.van.seal(records=[truth])]))
    process._redating.work()  # by another process, which judges nothing
    hub.ride(1)
    assert hub.archive.segments >= 2 * SAVED_EACH
    assert hub.judge() == hub.judge_at_once()


@sqlite_only
def test_what_a_clock_puts_hours_ahead_is_found_when_its_hour_comes(hub: Hub) -> None:
    hub.ride(1)
    hub.deliver(observe(3 * 3600, 12.0, logger=OTHER))
    for _ in range(13):
        hub.ride(10)
    assert hub.judge().figures.max_c == 12.0
    assert hub.judge() == hub.judge_at_once()


@sqlite_only
def test_it_is_kept_while_the_consignment_is_under_way(hub: Hub) -> None:
    hub.ride(SAVED_EACH)
    assert hub.saved() == 1
    hub.registry.receive("C-1", datetime.fromisoformat(iso(60 * hub.minute)), "test")
    hub.judge()
    assert hub.saved() == 0


@sqlite_only
def test_what_is_never_received_is_dropped_in_the_end(hub: Hub) -> None:
    hub.ride(SAVED_EACH)
    hub.clock.now += UNTOUCHED_MS - 60_000
    hub.touch()
    assert hub.saved() == 1
    hub.clock.now += 120_000
    hub.touch()
    assert hub.saved() == 0


@sqlite_only
def test_where_more_is_under_way_than_memory_keeps_it_is_saved_each_time(
    hub: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hub_folds, "FOLDS_KEPT", 1)
    hub.registry.put_consignment(consignment("C-2"), "test")
    hub.ride(3)
    with hub.store.read() as connection:
        assert connection.execute(select(schema.folds.c.consignment)).scalars().all() != []
    read = hub.archive.segments
    hub.ride(1)
    assert hub.archive.segments <= read + 2  # one for each of the two consignments
    assert hub.judge() == hub.judge_at_once()


def test_verdict_and_fold_are_saved_together_or_not_at_all(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    hub.ride(SAVED_EACH - 1)

    def fail(*_: object) -> None:
        raise ArithmeticError("the power is gone")

    with monkeypatch.context() as patch:
        patch.setattr(watch, "clear_mark", fail)
        with pytest.raises(ArithmeticError):
            hub.ride(1)
    assert hub.saved() == 0
    hub.restart()
    hub.minute += 1
    hub.ride(1)
    assert hub.saved() == 1
    assert hub.judge() == hub.judge_at_once()


@sqlite_only
def test_a_judge_that_breaks_down_over_what_was_saved_begins_again(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    hub.ride(SAVED_EACH)
    hub.restart()

    def break_down(*_: object) -> None:
        raise ArithmeticError("what was saved is odd")

    with monkeypatch.context() as patch:
        patch.setattr("gateway.core.judgement.ConsignmentJudge.resume", break_down)
        hub.ride(1)
    assert hub.saved() == 0
    hub.ride(1)
    assert hub.judge() == hub.judge_at_once()


@sqlite_only
@pytest.mark.parametrize("seed", range(4))
def test_restarted_at_random_it_says_what_judging_at_once_says(hub: Hub, seed: int) -> None:
    rng = random.Random(seed)  # noqa: S311  a reproducible order
    for _ in range(25):
        event = rng.random()
        if event < 0.3:
            hub.restart()
        elif event < 0.4:
            hub.minute += rng.randint(1, 30)
        elif event < 0.5 and hub.minute:
            record = observe(60 * rng.randrange(hub.minute) + 30, rng.uniform(3, 12))
            hub.deliver(replace(record, source=Source.MEMORY, interval_s=30))
        elif event < 0.6 and hub.minute:  # a second gateway's, or one that was put down again
            hub.deliver(observe(60 * hub.minute, rng.choice([5.0, 9.0]), counter=rng.randrange(hub.minute)))
        else:
            hub.ride(rng.randint(1, SAVED_EACH), rng.choice([5.0, 5.0, 5.0, 9.0]))
        if hub.minute:
            assert hub.touch() == hub.judge_at_once()


@sqlite_only
def test_what_was_saved_is_small(hub: Hub) -> None:
    hub.ride(300)
    with hub.store.read() as connection:
        assert len(bytes(connection.execute(select(schema.folds.c.state)).scalar_one())) < 4096


@sqlite_only
def test_without_the_cache_everything_is_read(hub: Hub) -> None:
    hub.ride(2 * SAVED_EACH)
    with hub.store.write() as connection:
        connection.execute(delete(schema.folds))
    hub.restart()
    hub.ride(1)
    assert hub.archive.segments == 2 * SAVED_EACH + 1


def test_what_is_too_large_is_refused() -> None:
    with pytest.raises(ForgottenError):
        hub_folds._unpack(bytes.fromhex("28b52ffda0ffffff7f"))
