"""Waiting for what has no event: other processes, other threads, tasks. The limits only end a test that has failed."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

LIMIT_S = 240
"""Anything waited for takes seconds, unless the machine is busy with something else."""
LIMIT_MS = LIMIT_S * 1000
"""The same for a browser."""


async def until(condition: Callable[[], object], *, each_s: float = 0.02) -> None:
    """Wait for a condition that looks at what is here, and does not block."""
    async with asyncio.timeout(LIMIT_S):
        while not condition():  # noqa: ASYNC110  any condition, no event
            await asyncio.sleep(each_s)


async def until_found(condition: Callable[[], object], *, each_s: float = 0.02) -> None:
    """Wait for a condition that blocks, such as a query: it is asked in a thread."""
    async with asyncio.timeout(LIMIT_S):
        while not await asyncio.to_thread(condition):  # noqa: ASYNC110  another process has no event
            await asyncio.sleep(each_s)
