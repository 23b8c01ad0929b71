"""No task dies silently: one that fails is logged, counted and begun anew."""

from __future__ import annotations

import asyncio
import logging
import random
from collections import Counter
from collections.abc import Awaitable, Callable

from gateway.core.errors import InputError
from gateway.mqtt import backoff_s

log = logging.getLogger(__name__)

PAUSE_MAX_S = 30.0
"""Longest real pause before a failed task begins anew: half a minute of one room's work, the others go on."""

SOUND_S = 300.0
"""A task that worked for so long before it failed is not failing in a row."""


class Supervision:
    """Runs named tasks for ever."""

    def __init__(self, rng: random.Random) -> None:
        self.failures: Counter[str] = Counter()
        """How often each task has failed."""
        self._rng = rng

    async def run(self, tasks: dict[str, Callable[[], Awaitable[None]]]) -> None:
        """Run all until cancelled. Wrong input ends all and is raised; it would be as wrong at the next attempt."""
        async with asyncio.TaskGroup() as group:
            for name, task in tasks.items():
                group.create_task(self._keep_alive(name, task), name=name)

    async def _keep_alive(self, name: str, task: Callable[[], Awaitable[None]]) -> None:
        loop = asyncio.get_running_loop()
        in_a_row = 0
        while True:
            began_s = loop.time()
            try:
                await task()
            except InputError:
                raise
            except Exception:  # the process's top edge: whatever went wrong, the other tasks must go on
                log.exception("task %s failed and begins anew", name)
            else:
                log.error("task %s ended by itself and begins anew", name)
            self.failures[name] += 1
            in_a_row = 1 if loop.time() - began_s > SOUND_S else in_a_row + 1
            await asyncio.sleep(backoff_s(in_a_row, PAUSE_MAX_S, self._rng))
