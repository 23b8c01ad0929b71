"""Leadership: work that one of many processes does, for as long as it lives."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack

from sqlalchemy import text
from sqlalchemy.exc import InterfaceError, OperationalError

from gateway.hub.database.store import Claim, Store

log = logging.getLogger(__name__)

LOOK_S = 5.0
"""Real seconds between looks whether the claim stands, or has become free: so long nobody leads after a crash."""


async def lead(store: Store, task: str, run: Callable[[], Awaitable[None]]) -> None:
    """Run `run` for ever while this process holds the claim to `task`; wait for the claim while another has it."""
    while True:
        try:
            await _lead_once(store, task, run)
        except (OperationalError, InterfaceError) as error:
            log.warning("%s: the database does not answer: %s", task, " ".join(str(error.orig).split()))
        await asyncio.sleep(LOOK_S)


async def _lead_once(store: Store, task: str, run: Callable[[], Awaitable[None]]) -> None:
    async with AsyncExitStack() as stack:
        claim = await asyncio.to_thread(stack.enter_context, store.claim("leader", [task], 1))
        if not claim.names:
            return
        work = asyncio.ensure_future(run())
        try:
            while not work.done():
                await asyncio.wait({work}, timeout=LOOK_S)
                await asyncio.to_thread(_check, claim)
            await work
        finally:
            work.cancel()
            await asyncio.wait({work})


def _check(claim: Claim) -> None:
    with claim.write() as connection:  # fails with its connection, and then another process leads
        connection.execute(text("SELECT 1"))
