from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import pytest

from gateway.core.configuration import Configuration, Consignment
from gateway.core.flags import BreachFlag
from gateway.core.messages import Ack, EpochAck
from gateway.core.observations import Observation
from gateway.core.segments import parse_segment
from gateway.core.verdicts import Breach, BreachKind, Judgement
from gateway.keys import SigningKey
from gateway.vehicle import alarm as module
from gateway.vehicle.alarm import Alarm, make_hub_client
from gateway.vehicle.memos import FlagState
from gateway.vehicle.outbox import Sealed
from gateway.vehicle.settings import HubSettings
from gateway.vehicle.storage import Storage
from tests.vehicle.carried import breach, configuration, judgement
from tests.vehicle.fakes import HandClock
from tests.vehicle.samples import BOOT, NOW, T0, VAN, content

Until = Callable[[Callable[[], object]], Awaitable[None]]


class FakeJudge:
    """Says that what the test put into `breaches` holds, once it has seen an observation."""

    breaches: list[Breach]
    seen: list[int]

    def __init__(self, consignment: Consignment, configuration: Configuration) -> None:
        pass

    def add(self, observations: Iterable[Observation]) -> None:
        type(self).seen += [observation.counter or 0 for observation in observations]

    def judgements(self, now_ms: int) -> tuple[Judgement, ...]:
        return (judgement(*self.breaches),) if self.seen else ()


class Bench:
    """An alarm whose hub is a function of this test."""

    def __init__(self, folder: Path, key: SigningKey) -> None:
        FakeJudge.breaches, FakeJudge.seen = [], []
        self.folder, self.key = folder, key
        self.posted: list[BreachFlag] = []
        self.tokens: list[str] = []
        self.answers: list[int | httpx.HTTPError] = []
        self.default: int | httpx.HTTPError = 201
        self.clock = HandClock()
        self.clock.passed_ms = 7_200_000

    @asynccontextmanager
    async def running(self, settings: Configuration | None = None) -> AsyncIterator[None]:
        self.storage = Storage.open(self.folder, VAN, self.key, max_bytes=1 << 30, boot=BOOT)
        client = httpx.AsyncClient(
            transport=httpx.MockTransport(self._answer), base_url="http://hub", headers={"Authorization": "Bearer t"}
        )
        self.alarm = Alarm(
            VAN,
            client,
            self.storage,
            self.clock,
            make_judge=FakeJudge,
            rng=random.Random(1),  # noqa: S311  jitter, no secret
        )
        self.alarm.adopt(settings or configuration())
        task = asyncio.create_task(self.alarm.run())
        try:
            yield
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            await client.aclose()
            self.storage.close()

    async def seal(self, number: int) -> Sealed:
        sealed = await self.storage.disk.run(
            self.storage.outbox.seal, content(number), sealed_at_ms=T0 + number, config_version=1
        )
        self.alarm.take(sealed)
        return sealed

    def flags(self, state: FlagState) -> list[str]:
        return [stored.flag.key for stored in self.storage.memos.flags(state)]

    def _answer(self, request: httpx.Request) -> httpx.Response:
        answer = self.answers.pop(0) if self.answers else self.default
        if isinstance(answer, httpx.HTTPError):
            raise answer
        assert request.url.path == "/api/v1/breaches"
        self.tokens.append(request.headers["Authorization"])
        self.posted.append(BreachFlag.model_validate_json(request.content))
        said = {"id": 1, "key": self.posted[-1].key} if answer == 201 else {"title": "No", "detail": "because"}
        return httpx.Response(answer, json=said)


@pytest.fixture
def bench(tmp_path: Path, key: SigningKey, monkeypatch: pytest.MonkeyPatch) -> Bench:
    monkeypatch.setattr(module, "POST_PAUSE_MAX_S", 0.001)
    return Bench(tmp_path, key)


async def test_a_breach_is_flagged_once_with_its_sealed_trigger(bench: Bench, until: Until) -> None:
    async with bench.running():
        await bench.seal(0)
        FakeJudge.breaches = [breach()]
        sealed = await bench.seal(1)
        await until(lambda: bench.posted)
        await bench.seal(2)
        await bench.seal(3)
        await until(lambda: 3 in FakeJudge.seen)
        await until(lambda: bench.flags(FlagState.DELIVERED))
    (flag,) = bench.posted
    assert (flag.gateway, flag.consignment, flag.item, flag.rule) == (VAN, "C1", "I1", "hot")
    assert flag.position == sealed.position
    assert flag.config_version == 1
    assert bench.tokens == ["Bearer t"]


@pytest.mark.parametrize("failure", [503, 429, 408, 401, httpx.ConnectError("no network"), httpx.ReadTimeout("slow")])
async def test_what_may_pass_is_tried_again(bench: Bench, until: Until, failure: int | httpx.HTTPError) -> None:
    bench.answers = [failure, failure]
    FakeJudge.breaches = [breach()]
    async with bench.running():
        await bench.seal(0)
        await until(lambda: bench.flags(FlagState.DELIVERED) and bench.alarm.failure == "")
        assert bench.flags(FlagState.WAITING) == []


async def test_a_refusal_for_good_is_kept_and_not_repeated(bench: Bench, until: Until) -> None:
    bench.default = 422
    FakeJudge.breaches = [breach(started_s=0, ended_s=10), breach(started_s=500)]
    async with bench.running():
        await bench.seal(0)
        await until(lambda: len(bench.flags(FlagState.REFUSED)) == 2)
        await bench.seal(1)
        await until(lambda: 1 in FakeJudge.seen)
    assert len(bench.posted) == 2


async def test_posting_ends_when_the_hub_has_the_trigger(bench: Bench, until: Until) -> None:
    bench.default = httpx.ConnectError("no network")
    FakeJudge.breaches = [breach()]
    async with bench.running():
        await bench.seal(0)
        await until(lambda: bench.alarm.failure)
        (row,) = bench.storage.outbox.pending(1 << 20, -1, NOW)
        segment = parse_segment(VAN, row.data)
        ack = Ack(1, VAN, [EpochAck(segment.header.epoch, 1, segment.hash)])
        await bench.storage.disk.run(bench.storage.outbox.acknowledge, ack)
        await until(lambda: bench.flags(FlagState.PASSED))
    assert bench.posted == []


async def test_a_restart_neither_forgets_nor_repeats(bench: Bench, until: Until) -> None:
    bench.default = httpx.ConnectError("no network")
    FakeJudge.breaches = [breach()]
    async with bench.running():
        await bench.seal(0)
        await until(lambda: bench.flags(FlagState.WAITING))
    bench.default = 201
    FakeJudge.seen = []
    async with bench.running():
        await until(lambda: bench.flags(FlagState.DELIVERED))
        await until(lambda: FakeJudge.seen == [0])  # judged from what was sealed before
    async with bench.running():
        await bench.seal(1)
        await until(lambda: 1 in FakeJudge.seen)
    assert len(bench.posted) == 1


async def test_a_breach_whose_start_a_late_reading_moves_is_the_same(bench: Bench, until: Until) -> None:
    FakeJudge.breaches = [breach(started_s=600)]
    async with bench.running():
        await bench.seal(0)
        await until(lambda: bench.posted)
        FakeJudge.breaches = [breach(started_s=300)]
        await bench.seal(1)
        FakeJudge.breaches = [breach(started_s=300), breach(BreachKind.CUMULATIVE, rule="sum")]
        await bench.seal(2)
        await until(lambda: len(bench.posted) == 2)
    assert [flag.rule for flag in bench.posted] == ["hot", "sum"]


async def test_separate_stretches_are_separate_breaches(bench: Bench, until: Until) -> None:
    FakeJudge.breaches = [breach(started_s=0, ended_s=100), breach(started_s=5000, ended_s=6000)]
    async with bench.running():
        await bench.seal(0)
        await until(lambda: len(bench.posted) == 2)


@pytest.mark.parametrize(
    "silent", [configuration(state="empty"), configuration(received_at="2026-06-01T12:00:00+02:00")]
)
async def test_what_is_empty_or_received_does_not_alert(bench: Bench, until: Until, silent: Configuration) -> None:
    FakeJudge.breaches = [breach()]
    async with bench.running(silent):
        await bench.seal(0)
        await until(lambda: bench.alarm.warning is not None and not bench.alarm._sealed)
    assert FakeJudge.seen == []
    assert bench.posted == []


async def test_a_new_configuration_judges_all_that_is_sealed(bench: Bench, until: Until) -> None:
    async with bench.running(configuration(state="empty")):
        await bench.seal(0)
        await bench.seal(1)
        bench.alarm.adopt(configuration(version=2))
        await until(lambda: {0, 1} <= set(FakeJudge.seen))


async def test_a_long_history_is_read_back_in_pages(
    bench: Bench, until: Until, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "HISTORY_PAGE", 3)
    async with bench.running(configuration(state="empty")):
        for number in range(10):
            await bench.seal(number)
        await until(lambda: not bench.alarm._sealed)
        pages, run = [], bench.storage.disk.run

        async def counting(function: Callable[..., object], *arguments: object) -> object:
            found = await run(function, *arguments)
            pages.extend([len(found)] if isinstance(found, list) and function is list else [])
            return found

        monkeypatch.setattr(type(bench.storage.disk), "run", lambda _, *arguments: counting(*arguments))
        bench.alarm.adopt(configuration(version=2))
        await until(lambda: bench.alarm.warning is not None and pages[-1:] == [0])
    assert FakeJudge.seen == list(range(10))
    assert pages == [3, 3, 3, 1, 0]


async def test_the_hub_is_reached_as_the_settings_say(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://nowhere:1")
    async with make_hub_client(HubSettings(url="http://hub:8080/"), "secret") as client:
        assert client.headers["Authorization"] == "Bearer secret"
        assert str(client.base_url) == "http://hub:8080"
        assert not client._mounts
