"""The memories of three makers, read through unmodified bleak from simulated firmware that shares no code with us."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest

from firmware_sim.bluez import FakeBluez
from firmware_sim.misbehaviour import BadLog
from firmware_sim.reference.firmware import ReferenceLogger
from gateway.core.configuration import Logger
from gateway.core.records import DeviceFault
from gateway.vehicle import download as module
from gateway.vehicle.download import MemoryAnswer
from gateway.vehicle.loggers.memories import MEMORIES
from gateway.vehicle.loggers.memory import MemoryRecord, MemoryRequest
from gateway.vehicle.radio import Radio, RadioError
from tests.vehicle.makers import Simulated
from tests.vehicle.samples import T0, TAG
from tests.vehicle.test_radio import scanning

Until = Callable[[Callable[[], object]], Awaitable[None]]
KINDS = ("ruuvitag", "reference", "bluemaestro")
INTERVAL_S = 60
TEMPERATURES_C = [5.0 + number / 10 for number in range(-80, 40)]
RESOLUTION_MC = 101  # the coarsest has tenths
each_kind = pytest.mark.parametrize("kind", KINDS)


class LoggerClock:
    """Domain time as the simulated logger has it."""

    rate = 1.0

    def __init__(self, logger: Simulated) -> None:
        self.logger = logger

    def now_ms(self) -> int:
        return round(self.logger.now_ms)

    def monotonic_ms(self) -> int:
        return round(self.logger.now_ms) - T0

    def trusted(self) -> bool:
        return True

    async def sleep(self, seconds: float) -> None:
        raise NotImplementedError


class Bench:
    """One logger within reach, and the radio that reads it."""

    def __init__(self, radio: Radio, logger: Simulated, heard: list[object]) -> None:
        self.radio = radio
        self.logger = logger
        self.heard = heard
        self.interval_s = round(logger.firmware.settings.log_interval_s)
        self.measured: list[tuple[int, float]] = []
        self.known: dict[int, int] = {}

    def measure(self, temperatures_c: list[float]) -> None:
        """Let it measure out of earshot."""
        for temperature_c in temperatures_c:
            self.logger.measure(temperature_c, aloud=False)
            self.measured.append((round(self.logger.now_ms), temperature_c))

    async def read(self, from_ms: int = T0, to_ms: int | None = None) -> MemoryAnswer:
        """Download."""
        end_ms = round(self.logger.now_ms) if to_ms is None else to_ms
        request = MemoryRequest(TAG, from_ms, end_ms, self.interval_s, self.known)
        return await self.radio.read_memory(request, LoggerClock(self.logger))

    def check(self, records: tuple[MemoryRecord, ...], measured: list[tuple[int, float]]) -> None:
        """Each record is the measurement of its time, within the error that it states."""
        assert len(records) == len(measured)
        for record, (at_ms, temperature_c) in zip(records, measured, strict=True):
            assert abs(record.at_ms - at_ms) <= record.error_ms + 1
            assert abs(record.temperature_mc - temperature_c * 1000) <= RESOLUTION_MC


@asynccontextmanager
async def bench_of(bluez: FakeBluez, until: Until, kind: str, **settings: float) -> AsyncIterator[Bench]:
    settings = {"heartbeat_s": float(INTERVAL_S), "log_interval_s": float(INTERVAL_S), **settings}
    logger = Simulated(bluez, TAG, kind, **settings)
    interval_s = round(settings["log_interval_s"])
    enrolled = Logger.model_validate({"address": TAG, "box": "B", "kind": kind, "memory_interval_s": interval_s})
    async with scanning(enrolled, scanning="active") as (radio, heard):
        await until(lambda: radio.health.scanning)
        bench = Bench(radio, logger, heard)  # type: ignore[arg-type]  # only its length matters
        bench.measure(TEMPERATURES_C[:1])
        logger.advertise()
        await until(lambda: heard)
        bench.measure(TEMPERATURES_C[1:])
        yield bench
    await logger.served.stop()


def test_the_kinds_tried_here_are_those_that_can_be_read() -> None:
    assert {kind.value for kind in MEMORIES} == set(KINDS)


@each_kind
async def test_a_whole_memory_is_read(bluez: FakeBluez, until: Until, kind: str) -> None:
    async with bench_of(bluez, until, kind) as bench:
        answer = await bench.read()
        assert answer.complete
        bench.check(answer.told.records, bench.measured)


@each_kind
async def test_what_goes_wrong_is_known_and_the_next_download_is_whole(
    bluez: FakeBluez, until: Until, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with bench_of(bluez, until, kind) as bench:
        for bad in (BadLog(truncates_after=5), BadLog(disconnects_after=5)):
            bench.logger.misbehaviour.bad_log, bench.logger.misbehaviour.bad_downloads = bad, 1
            with monkeypatch.context() as impatient:  # for this one alone
                impatient.setattr(module, "IDLE_TIMEOUT_S", 0.1)
                answer = await bench.read()
            assert not answer.complete
            bench.check(answer.told.records, bench.measured[: len(answer.told.records)])
        assert (await bench.read()).complete


@pytest.mark.parametrize("kind", ["reference", "bluemaestro"])
async def test_a_lost_frame_is_known(bluez: FakeBluez, until: Until, kind: str) -> None:
    async with bench_of(bluez, until, kind) as bench:
        bench.logger.misbehaviour.bad_log = BadLog(loses_frame=3)
        answer = await bench.read()
        assert not answer.complete
        through_ms = answer.told.through_ms
        if through_ms is None:
            assert answer.told.records == (), "without numbers nothing has its place"
        else:
            lost_ms = [at_ms for at_ms, _ in bench.measured if at_ms not in _times(answer, bench)]
            assert lost_ms
            assert through_ms <= min(lost_ms)


def _times(answer: MemoryAnswer, bench: Bench) -> set[int]:
    return {
        at_ms for at_ms, _ in bench.measured if any(abs(r.at_ms - at_ms) <= r.error_ms for r in answer.told.records)
    }


class TestRuuvi:
    """No check sum, no count, no numbers: a hole shows by what came around it, and is asked for again at once."""

    @pytest.mark.parametrize("kind_of_value", [0, 1, 2])
    @pytest.mark.parametrize("field", ["loses_frame", "corrupts_frame"])
    async def test_a_frame_that_does_not_arrive_as_sent_is_asked_for_again(
        self, bluez: FakeBluez, until: Until, field: str, kind_of_value: int
    ) -> None:
        async with bench_of(bluez, until, "ruuvitag") as bench:
            bench.logger.misbehaviour.bad_log = BadLog(**{field: 60 + kind_of_value})
            bench.logger.misbehaviour.bad_downloads = 1
            answer = await bench.read()
            assert answer.complete
            bench.check(answer.told.records, bench.measured)
            assert all(record.humidity_cpct is not None for record in answer.told.records)

    async def test_where_each_download_loses_another_one_it_is_not_whole(
        self, bluez: FakeBluez, until: Until, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        lost = iter((240, 90, 300))
        async with bench_of(bluez, until, "ruuvitag") as bench:
            monkeypatch.setattr(bench.logger.misbehaviour, "take_bad_log", lambda: BadLog(loses_frame=next(lost)))
            answer = await bench.read()
            assert not answer.complete
            assert answer.told.through_ms is not None
            sure = [record for record in answer.told.records if record.at_ms <= answer.told.through_ms]
            bench.check(tuple(sure), bench.measured[:100])

    async def test_a_hole_of_the_memory_itself_is_asked_for_twice_and_then_believed(
        self, bluez: FakeBluez, until: Until
    ) -> None:
        async with bench_of(bluez, until, "ruuvitag") as bench:
            whole = len(bench.measured)
            bench.logger.firmware.sensor.is_broken = True
            bench.measure([9.9] * 3)
            bench.logger.firmware.sensor.is_broken = False
            bench.measure([6.0, 6.1])
            answer = await bench.read()
            assert answer.complete
            bench.check(answer.told.records, bench.measured[:whole] + bench.measured[whole + 3 :])


@pytest.mark.parametrize("kind", ["ruuvitag", "bluemaestro"])
async def test_the_stated_error_covers_the_drift_of_the_oscillator(bluez: FakeBluez, until: Until, kind: str) -> None:
    logger = {"heartbeat_s": 300.0, "log_interval_s": 300.0, "drift_ppm": 90.0}
    async with bench_of(bluez, until, kind, **logger) as bench:
        bench.measure([5.0] * 2500)
        answer = await bench.read(bench.measured[0][0] - 600_000)
        assert answer.complete
        bench.check(answer.told.records, bench.measured)
        oldest, newest = answer.told.records[0], answer.told.records[-1]
        apart_ms = bench.measured[-1][0] - bench.measured[0][0]
        assert abs(newest.at_ms - oldest.at_ms - apart_ms) > 60_000, "or it drifted too little to show anything"
        assert oldest.error_ms - newest.error_ms > 60_000


class TestReference:
    async def test_a_corrupt_frame_is_dropped_and_known(self, bluez: FakeBluez, until: Until) -> None:
        async with bench_of(bluez, until, "reference") as bench:
            bench.logger.misbehaviour.bad_log = BadLog(corrupts_frame=2)
            answer = await bench.read()
            assert not answer.complete
            assert 0 < len(answer.told.records) < len(bench.measured)
            assert answer.told.through_ms is not None
            good = [record for record in answer.told.records if record.at_ms <= answer.told.through_ms]
            bench.check(tuple(good), bench.measured[: len(good)])

    async def test_only_what_is_missing_is_asked_for(self, bluez: FakeBluez, until: Until) -> None:
        async with bench_of(bluez, until, "reference") as bench:
            boot = 1 << 24
            bench.known = {boot | number: at_ms for number, (at_ms, _) in enumerate(bench.measured)}
            for number in range(40, 60):
                del bench.known[boot | number]
            answer = await bench.read(bench.measured[39][0], bench.measured[60][0])
            assert answer.complete
            bench.check(answer.told.records, bench.measured[40:60])
            assert [record.counter for record in answer.told.records] == [boot | number for number in range(40, 60)]

    async def test_a_download_resumes_behind_what_arrived(self, bluez: FakeBluez, until: Until) -> None:
        async with bench_of(bluez, until, "reference") as bench:
            bench.logger.misbehaviour.bad_log = BadLog(disconnects_after=3)
            bench.logger.misbehaviour.bad_downloads = 1
            first = (await bench.read()).told.records
            bench.known = {record.counter: record.at_ms for record in first if record.counter is not None}
            second = await bench.read(first[-1].at_ms)
            assert second.complete
            bench.check((*first, *second.told.records), bench.measured)

    async def test_a_shifted_clock_is_corrected_and_reported(self, bluez: FakeBluez, until: Until) -> None:
        shift_ms = -3_600_000
        async with bench_of(bluez, until, "reference") as bench:
            _firmware(bench).set_clock(round(bench.logger.now_ms) + shift_ms, bench.logger.now_ms)
            bench.measure([6.0, 6.1, 6.2])
            answer = await bench.read()
            bench.check(answer.told.records, bench.measured)
        (fault,) = answer.told.notes
        assert isinstance(fault, DeviceFault)
        assert (fault.code, fault.logger) == ("clock_shifted", TAG)
        assert abs(fault.detail["shift_ms"] + shift_ms) < 2000

    async def test_a_clock_that_is_right_is_no_fault(self, bluez: FakeBluez, until: Until) -> None:
        async with bench_of(bluez, until, "reference") as bench:
            _firmware(bench).set_clock(round(bench.logger.now_ms), bench.logger.now_ms)
            bench.measure([6.0, 6.1])
            assert (await bench.read()).told.notes == ()

    async def test_a_boot_before_is_dated_by_what_was_heard_of_it(self, bluez: FakeBluez, until: Until) -> None:
        async with bench_of(bluez, until, "reference") as bench:
            heard_ms = bench.measured[7][0] + 1500
            bench.known = {1 << 24 | 7: heard_ms}
            bench.logger.firmware.reboot(bench.logger.now_ms + 30_000)
            bench.measure([7.0, 7.1])
            answer = await bench.read(T0 - 600_000)
            assert answer.complete
            bench.check(answer.told.records, bench.measured)

    async def test_a_boot_before_of_which_nothing_was_heard_is_counted_not_guessed(
        self, bluez: FakeBluez, until: Until
    ) -> None:
        async with bench_of(bluez, until, "reference") as bench:
            bench.logger.firmware.reboot(bench.logger.now_ms + 30_000)
            before = len(bench.measured)
            bench.measure([7.0, 7.1])
            answer = await bench.read(T0 - 600_000)
            bench.check(answer.told.records, bench.measured[before:])
            assert [(note.code, note.detail) for note in answer.told.notes if isinstance(note, DeviceFault)] == [
                ("memory_undated", {"records": before})
            ]

    async def test_an_empty_memory_has_nothing_to_ask(self, bluez: FakeBluez, until: Until) -> None:
        async with bench_of(bluez, until, "reference") as bench:
            _firmware(bench)._records.clear()
            answer = await bench.read()
            assert (answer.complete, answer.told.records) == (True, ())


def _firmware(bench: Bench) -> ReferenceLogger:
    firmware = bench.logger.firmware
    assert isinstance(firmware, ReferenceLogger)
    return firmware


async def test_something_else_on_the_uart_is_an_error(bluez: FakeBluez, until: Until) -> None:
    async with bench_of(bluez, until, "bluemaestro") as bench:
        bench.logger.misbehaviour.bad_log = BadLog(loses_frame=0)  # what follows is taken for the header
        with pytest.raises(RadioError, match="no header"):
            await bench.read()
        await asyncio.sleep(0)
