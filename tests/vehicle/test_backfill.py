from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from gateway.clock import Clock
from gateway.core.observations import Observation, Source
from gateway.core.records import MemoryRead
from gateway.keys import SigningKey
from gateway.vehicle import backlog
from gateway.vehicle.backfill import Backfill, still_missing
from gateway.vehicle.backlog import Backlog
from gateway.vehicle.download import MemoryAnswer
from gateway.vehicle.loggers.memory import MemoryRequest, Told
from gateway.vehicle.loggers.ruuvi_log import LogRecord, RequestTiming, date_records
from gateway.vehicle.moments import Moment
from gateway.vehicle.radio import RadioError
from gateway.vehicle.recorder import Recorder, Stretch
from gateway.vehicle.sealer import Sealer
from gateway.vehicle.storage import Storage
from tests.vehicle.fakes import HandClock
from tests.vehicle.samples import BOOT, T0, TAG, VAN, observe

Until = Callable[[Callable[[], object]], Awaitable[None]]
T0_S = T0 // 1000
OTHER = "C0:FF:EE:00:00:02"
STRETCH = Stretch(TAG, T0 - 1_200_000, T0)
AGES_S = (1050, 750, 450, 150)


class FakeRadio:
    """Gives each caller the next prepared answer."""

    def __init__(self) -> None:
        self.answers: list[MemoryAnswer | RadioError] = []
        self.asked: list[tuple[str, int]] = []
        self.is_there = [TAG]

    def present(self) -> list[str]:
        return self.is_there

    async def read_memory(self, request: MemoryRequest, _clock: Clock) -> MemoryAnswer:
        self.asked.append((request.logger, request.from_ms))
        answer = self.answers.pop(0) if self.answers else RadioError("gone")
        if isinstance(answer, RadioError):
            raise answer
        return answer


def remembers(*ages_s: int, complete: bool = True) -> MemoryAnswer:
    records = tuple(LogRecord(T0_S - age_s, 4000 + age_s, None) for age_s in ages_s)
    return MemoryAnswer(Told(date_records(records, RequestTiming(T0, 0))), Moment(T0, 0, trusted=True), complete)


class Bench:
    def __init__(self, folder: Path, key: SigningKey) -> None:
        self.radio = FakeRadio()
        self.storage = Storage.open(folder, VAN, key, max_bytes=1 << 30, boot=BOOT)
        clock = HandClock()
        self.sealer = Sealer(clock, Recorder(30), self.storage.outbox, self.storage.disk, interval_s=30)
        rng = random.Random(1)  # noqa: S311  jitter, no secret
        self.backfill = Backfill(self.radio, Backlog(rng), self.sealer, clock)
        self.backfill.intervals_s = {TAG: 300, OTHER: 300}
        self.observations: list[Observation] = []
        self.reads: list[MemoryRead] = []
        self.sealer.on_sealed.append(lambda sealed: self.observations.extend(sealed.content.observations))
        self.sealer.on_sealed.append(
            lambda sealed: self.reads.extend(r for r in sealed.content.records if isinstance(r, MemoryRead))
        )

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        task = asyncio.create_task(self.backfill.run())
        try:
            yield
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            self.storage.close()


@pytest.fixture
def bench(tmp_path: Path, key: SigningKey, monkeypatch: pytest.MonkeyPatch) -> Bench:
    monkeypatch.setattr(backlog, "FIRST_PAUSE_S", 0.001)
    return Bench(tmp_path, key)


async def test_a_stretch_is_fetched_sealed_and_told(bench: Bench, until: Until) -> None:
    bench.radio.answers = [remembers(1350, *AGES_S)]
    async with bench.running():
        bench.backfill.add(STRETCH)
        await until(lambda: bench.reads)
    assert bench.radio.asked == [(TAG, STRETCH.from_ms - 600_000)]
    assert [T0_S - o.measured_at_ms // 1000 for o in bench.observations] == list(AGES_S)
    assert {o.source for o in bench.observations} == {Source.MEMORY}
    (read,) = bench.reads
    assert (read.logger, read.from_ms, read.to_ms) == (TAG, STRETCH.from_ms, STRETCH.to_ms)
    assert (read.records, read.new_records, read.complete) == (4, 2, True)
    assert len(bench.backfill) == 0


async def test_failures_are_repeated_until_it_answers(bench: Bench, until: Until) -> None:
    bench.radio.answers = [RadioError("link"), RadioError("link"), remembers(*AGES_S)]
    async with bench.running():
        bench.backfill.add(STRETCH)
        await until(lambda: bench.reads)
    assert bench.backfill.failures == 2


async def test_a_download_that_breaks_off_is_kept_and_resumed(bench: Bench, until: Until) -> None:
    bench.radio.answers = [remembers(1050, 750, complete=False), remembers(750, 450, 150)]
    async with bench.running():
        bench.backfill.add(STRETCH)
        await until(lambda: len(bench.reads) == 2)
    assert [read.complete for read in bench.reads] == [False, True]
    assert bench.radio.asked[1][1] == T0 - 750_000 - 600_000
    assert {T0_S - o.measured_at_ms // 1000 for o in bench.observations} == set(AGES_S)


async def test_a_download_that_broke_off_before_anything_is_no_read(bench: Bench, until: Until) -> None:
    bench.radio.answers = [remembers(complete=False), remembers(*AGES_S)]
    async with bench.running():
        bench.backfill.add(STRETCH)
        await until(lambda: bench.reads)
    assert [read.complete for read in bench.reads] == [True]
    assert bench.backfill.failures == 1


async def test_an_empty_memory_resolves_the_stretch(bench: Bench, until: Until) -> None:
    bench.radio.answers = [remembers()]
    async with bench.running():
        bench.backfill.add(STRETCH)
        await until(lambda: bench.reads)
    assert (bench.reads[0].records, len(bench.backfill)) == (0, 0)


async def test_one_read_resolves_all_stretches_of_a_logger(bench: Bench, until: Until) -> None:
    earlier = Stretch(TAG, T0 - 5_000_000, T0 - 4_000_000)
    bench.radio.answers = [remembers(4500, *AGES_S)]
    bench.backfill.add(STRETCH)
    bench.backfill.add(earlier)
    async with bench.running():
        await until(lambda: bench.reads)
    assert bench.radio.asked == [(TAG, earlier.from_ms - 600_000)]
    assert len(bench.observations) == 5
    assert len(bench.backfill) == 0


async def test_a_logger_that_is_not_there_is_not_asked(bench: Bench, until: Until) -> None:
    bench.radio.answers = [remembers(*AGES_S)]
    async with bench.running():
        bench.backfill.add(Stretch(OTHER, STRETCH.from_ms, STRETCH.to_ms))
        bench.backfill.add(STRETCH)
        await until(lambda: bench.reads)
        assert {address for address, _ in bench.radio.asked} == {TAG}
        assert len(bench.backfill) == 1


async def test_a_silent_logger_rests_until_it_is_heard(bench: Bench, until: Until) -> None:
    async with bench.running():
        bench.backfill.add(STRETCH)
        await until(lambda: bench.backfill.failures == backlog.ATTEMPTS)
        bench.radio.answers = [remembers(*AGES_S)]
        bench.backfill.heard(TAG)
        await until(lambda: bench.reads)


def test_what_is_still_missing_after_a_part() -> None:
    early, late = Stretch(TAG, T0, T0 + 100_000), Stretch(TAG, T0 + 300_000, T0 + 500_000)
    assert still_missing([early, late], [observe(2)]) == (Stretch(TAG, T0 + 60_000, T0 + 100_000), late)
    assert still_missing([early, late], [observe(12)]) == (Stretch(TAG, T0 + 360_000, T0 + 500_000),)
    assert still_missing([early, late], [observe(17)]) == ()
    assert still_missing([early], []) == (early,)


class StubbornRadio(FakeRadio):
    """Some loggers hang until they are let go; nobody may connect to more than `most` at once."""

    def __init__(self, hanging: set[str]) -> None:
        super().__init__()
        self.hanging = hanging
        self.connected: set[str] = set()
        self.most = 0

    async def read_memory(self, request: MemoryRequest, _clock: Clock) -> MemoryAnswer:
        assert request.logger not in self.connected
        self.asked.append((request.logger, request.from_ms))
        self.connected.add(request.logger)
        self.most = max(self.most, len(self.connected))
        try:
            if request.logger in self.hanging:
                await asyncio.sleep(0.05)
                raise RadioError("it hangs")
            await asyncio.sleep(0)
            return remembers(*AGES_S)
        finally:
            self.connected.discard(request.logger)


@pytest.mark.parametrize("connections", [1, 2])
async def test_bad_loggers_starve_nobody(bench: Bench, until: Until, connections: int) -> None:
    bad = {f"C0:FF:EE:00:01:{number:02X}" for number in range(5)}
    good = [f"C0:FF:EE:00:02:{number:02X}" for number in range(5)]
    radio = StubbornRadio(bad)
    radio.is_there = [*bad, *good]
    clock, rng = HandClock(), random.Random(1)  # noqa: S311  jitter, no secret
    bench.backfill = Backfill(radio, Backlog(rng), bench.sealer, clock, connections=connections)
    bench.backfill.intervals_s = dict.fromkeys(radio.is_there, 300)
    async with bench.running():
        for logger in radio.is_there:
            bench.backfill.add(Stretch(logger, STRETCH.from_ms, STRETCH.to_ms))
        await until(lambda: {read.logger for read in bench.reads} == set(good))
        turns = [logger for logger, _ in radio.asked]
    assert radio.most == connections
    before = turns[: max(turns.index(logger) for logger in good)]
    assert all(before.count(logger) <= 2 for logger in bad), "nobody had a third turn before all had their first"
