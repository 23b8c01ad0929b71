"""An event loop on virtual time: nothing sleeps, threads do not exist, and the same calls happen in the same order."""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Callable
from concurrent.futures import Executor
from typing import Any

ROUNDS_MAX = 100_000
"""Rounds of the loop at one moment; a thousand messages that arrive together need a few thousand."""

TARDINESS_S = 1e-6
"""A timer is never early, as it would be by rounding: whoever looked at the clock then would wait in vain."""


class _Patience(selectors.SelectSelector):
    """Waits by moving the clock."""

    loop: VirtualLoop
    rounds = 0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout is None:
            raise RuntimeError("everybody waits and nothing will ever happen")
        self.rounds = 0 if timeout > 0 else self.rounds + 1
        if self.rounds > ROUNDS_MAX:
            raise RuntimeError("time stands still: somebody is busy waiting")
        if timeout > 0:
            self.loop.now_s += timeout + TARDINESS_S
        return []


class VirtualLoop(asyncio.SelectorEventLoop):
    """`now_s` is the time: seconds since the simulation began."""

    def __init__(self) -> None:
        self.now_s = 0.0
        selector = _Patience()
        selector.loop = self
        super().__init__(selector)

    def time(self) -> float:
        return self.now_s

    def call_soon_threadsafe(self, callback, *args, context=None):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN002, ANN201  as in asyncio
        """Nobody sleeps, so nobody need be woken."""
        return self.call_soon(callback, *args, context=context)

    def run_in_executor(  # type: ignore[override]  # asyncio's is awaitable without saying that it is a future
        self,
        _executor: Executor | None,
        function: Callable[..., Any],
        *args: Any,  # noqa: ANN401  as in asyncio
    ) -> asyncio.Future[Any]:
        """Call at once: a thread that takes no time."""
        future: asyncio.Future[Any] = self.create_future()
        try:
            future.set_result(function(*args))
        except Exception as error:  # noqa: BLE001  whatever it is belongs to whoever awaits
            future.set_exception(error)
        return future
