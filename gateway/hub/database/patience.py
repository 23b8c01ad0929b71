"""Patience with a database that is away for a while: restarted, failed over, its disk full."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable
from typing import TypeVar

from sqlalchemy.exc import InterfaceError, OperationalError

log = logging.getLogger(__name__)

RETRY_S = 1.0
"""A database that does not answer is tried again each second; until then nothing is acknowledged."""

T = TypeVar("T")


async def keep_trying(function: Callable[[], T], what: str) -> T:
    """Call in a thread until the database takes it; `what` says in the log what waits. Other errors are raised.

    Two transactions of which one had to give way to the other (a deadlock) come here too.
    """
    while True:
        try:
            return await asyncio.to_thread(function)
        except (OperationalError, InterfaceError) as error:
            reason = " ".join(str(error.orig).split())
            log.error("%s; the database does not answer, trying again: %s", what, reason)  # noqa: TRY400  a trace says no more
            await asyncio.sleep(RETRY_S)


async def call_apart(function: Callable[[], T], name: str) -> T:
    """Call in a thread that the process does not wait for when it ends: a server that hangs must not keep the hub."""
    loop = asyncio.get_running_loop()
    future: asyncio.Future[T] = loop.create_future()

    def tell(outcome: Callable[[], None]) -> None:
        if not loop.is_closed():
            loop.call_soon_threadsafe(lambda: None if future.done() else outcome())

    def work() -> None:
        try:
            result = function()
        except BaseException as error:  # noqa: BLE001  whatever it is belongs to the caller
            failure = error
            tell(lambda: future.set_exception(failure))
        else:
            tell(lambda: future.set_result(result))

    threading.Thread(target=work, name=name, daemon=True).start()
    return await future
