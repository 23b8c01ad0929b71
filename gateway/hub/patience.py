"""Patience with a database that is away for a while: restarted, failed over, its disk full."""

from __future__ import annotations

import asyncio
import logging
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
