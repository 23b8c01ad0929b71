from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

import pytest

from gateway.core.records import Health, MemoryRead
from gateway.keys import SigningKey
from gateway.vehicle import sealer as module
from gateway.vehicle.loggers.measurement import Measurement
from gateway.vehicle.moments import Moment
from gateway.vehicle.outbox import Sealed
from gateway.vehicle.recorder import Enrolled, Recorder, Stretch
from gateway.vehicle.sealer import Sealer
from gateway.vehicle.storage import Storage
from tests.vehicle.fakes import HandClock
from tests.vehicle.samples import BOOT, T0, TAG, VAN, observe

Until = Callable[[Callable[[], object]], Awaitable[None]]


class Bench:
    """A sealer with all that it needs."""

    def __init__(self, folder: Path, key: SigningKey, interval_s: int = 30) -> None:
        self.clock = HandClock()
        self.recorder = Recorder(30)
        self.recorder.enrol({TAG: Enrolled(300, (8000,))})
        self.storage = Storage.open(folder, VAN, key, max_bytes=1 << 30, boot=BOOT)
        self.sealer = Sealer(self.clock, self.recorder, self.storage.outbox, self.storage.disk, interval_s=interval_s)
        self.sealed: list[Sealed] = []
        self.sealer.on_sealed.append(self.sealed.append)

    def hear(self, number: int, temperature_mc: int = 5000) -> bool:
        measured = Measurement(temperature_mc, None, None, None, None, number, TAG)
        moment = Moment(T0 + number * 30_000, number * 30_000, trusted=True)
        return self.recorder.hear(TAG, measured, moment).urgent


@pytest.fixture
def bench(tmp_path: Path, key: SigningKey) -> Iterator[Bench]:
    made = Bench(tmp_path, key)
    yield made
    made.storage.close()


def health(number: int) -> Health:
    return Health(T0 + number, clock_trusted=True, counters={"number": number})


async def test_what_waits_becomes_a_segment(bench: Bench) -> None:
    bench.hear(1)
    bench.sealer.note(health(1))
    bench.sealer.config_version = 7
    await bench.sealer.seal_waiting()
    (sealed,) = bench.sealed
    assert [observation.counter for observation in sealed.content.observations] == [1]
    assert sealed.content.records == (health(1),)
    assert sealed.config_version == 7
    assert bench.recorder.waiting == 0


async def test_nothing_waiting_seals_nothing(bench: Bench) -> None:
    await bench.sealer.seal_waiting()
    assert bench.sealed == []


async def test_more_than_a_segment_holds_becomes_several(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "RECORDS_MAX", 4 + module.RECORDS_ADDED_MAX)
    for number in range(10):
        bench.hear(number)
    await bench.sealer.seal_waiting()
    assert [len(sealed.content) for sealed in bench.sealed] == [4, 4, 2]


async def test_a_crossing_does_not_wait_for_the_interval(tmp_path: Path, key: SigningKey, until: Until) -> None:
    bench = Bench(tmp_path, key, interval_s=3600 * 1000)
    running = asyncio.create_task(bench.sealer.run())
    bench.hear(1, 7900)
    if bench.hear(2, 8100):
        bench.sealer.hurry()
    await until(lambda: bench.sealed)
    assert len(bench.sealed[0].content.observations) == 2
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    bench.storage.close()


async def test_a_disk_that_refuses_costs_nothing_but_time(bench: Bench, until: Until) -> None:
    bench.storage.database.execute("PRAGMA query_only = ON")
    running = asyncio.create_task(bench.sealer.run())
    bench.hear(1)
    await until(lambda: bench.sealer.failures >= 2)
    assert "readonly" in bench.sealer.failure
    assert bench.recorder.waiting == 1
    await bench.storage.disk.run(bench.storage.database.execute, "PRAGMA query_only = OFF")
    await until(lambda: bench.sealed)
    assert bench.sealer.failure == ""
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


async def test_a_cancelled_seal_is_still_known_as_sealed(bench: Bench) -> None:
    bench.hear(1)
    sealing = asyncio.create_task(bench.sealer.seal_waiting())
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    sealing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await sealing
    await bench.sealer.seal_waiting()
    assert bench.storage.outbox.sealed_segments == len(bench.sealed) == 1


async def test_a_missing_stretch_is_kept_with_the_observation_that_ended_it(bench: Bench) -> None:
    stretch = Stretch(TAG, 1, 2)
    bench.sealer.miss(stretch)
    await bench.sealer.seal_waiting()
    assert bench.storage.memos.missing() == ()
    bench.hear(1)
    await bench.sealer.seal_waiting()
    assert bench.storage.memos.missing() == (stretch,)


async def test_a_memory_is_sealed_with_what_it_resolves(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "RECORDS_MAX", 3 + module.RECORDS_ADDED_MAX)
    kept, unkept, left = Stretch(TAG, 1, 2), Stretch(TAG, 3, 4), Stretch(TAG, 5, 6)
    bench.sealer.miss(kept)
    bench.hear(1)
    await bench.sealer.seal_waiting()
    bench.sealer.miss(unkept)
    record = MemoryRead(T0, True, TAG, 1, 2, 5, 5, True)
    observations = [observe(number) for number in range(5)]
    await bench.sealer.seal_memory(observations, record, resolved=[kept, unkept], missing=[left])
    assert [len(sealed.content) for sealed in bench.sealed[1:]] == [2, 2, 2]
    assert bench.sealed[-1].content.records == (record,)
    bench.hear(2)
    await bench.sealer.seal_waiting()
    assert bench.storage.memos.missing() == (left,)


async def test_an_empty_memory_leaves_its_record(bench: Bench) -> None:
    record = MemoryRead(T0, True, TAG, 1, 2, 0, 0, True)
    await bench.sealer.seal_memory([], record, resolved=[])
    assert [sealed.content.records for sealed in bench.sealed] == [(record,)]
