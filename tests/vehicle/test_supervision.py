from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable

import pytest

from gateway.core.errors import InputError
from gateway.vehicle import supervision as module
from gateway.vehicle.supervision import Supervision

Until = Callable[[Callable[[], object]], Awaitable[None]]


@pytest.fixture
def supervision(monkeypatch: pytest.MonkeyPatch) -> Supervision:
    monkeypatch.setattr(module, "PAUSE_MAX_S", 0.001)
    return Supervision(random.Random(1))  # noqa: S311  jitter, no secret


async def test_a_task_that_fails_or_ends_begins_anew_and_others_go_on(supervision: Supervision, until: Until) -> None:
    begun = {"bad": 0, "ends": 0, "good": 0}

    async def bad() -> None:
        begun["bad"] += 1
        raise RuntimeError("broken")

    async def ends() -> None:
        begun["ends"] += 1

    async def good() -> None:
        begun["good"] += 1
        await asyncio.Event().wait()

    running = asyncio.create_task(supervision.run({"bad": bad, "ends": ends, "good": good}))
    await until(lambda: begun["bad"] > 2 and begun["ends"] > 2)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    assert begun["good"] == 1
    assert supervision.failures["bad"] >= 2


async def test_wrong_input_ends_everything(supervision: Supervision) -> None:
    async def wrong() -> None:
        raise InputError("driver.port", "taken")

    async def good() -> None:
        await asyncio.Event().wait()

    with pytest.raises(ExceptionGroup) as caught:
        await supervision.run({"wrong": wrong, "good": good})
    assert caught.group_contains(InputError)
