"""The watch in a process of its own: judging then has a processor to itself, and ingest its own interpreter.

The two share the database alone, as workers on PostgreSQL do; a pipe each way says that there is something to look at.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import sys
from asyncio.subprocess import PIPE, Process

from gateway.hub.rooms import Rooms
from gateway.hub.settings import HubSettings
from gateway.hub.signals.events import Bell

log = logging.getLogger(__name__)

RESTART_S = 1.0
STOP_TIMEOUT_S = 10.0
READ_BYTES = 4096
QUIET_S = 3600.0
NEEDED = {"data_dir", "database", "clock", "demonstration", "code_rules", "badges"}
"""Of the settings; without the secrets of others."""


async def run_judge(rooms: Rooms) -> None:
    """Judge for ever: here, or where `judges_apart` is set, in a process of its own."""
    arrived, told = rooms.bells.arrived, rooms.bells.told
    if rooms.settings.judges_apart:
        await keep_judging(rooms.settings, arrived, told)
    else:
        await rooms.watch.run(arrived, told)


async def keep_judging(settings: HubSettings, arrived: Bell, told: Bell) -> None:
    """Run the judge for ever, and start it again whenever it ends by itself. `arrived` and `told` are as for a watch.

    What it had not committed stays marked, and is judged by the next.
    """
    while True:
        status = await _judge_once(settings, arrived, told)
        log.error("the judge ended by itself with status %s; it is started again", status)
        await asyncio.sleep(RESTART_S)


async def _judge_once(settings: HubSettings, arrived: Bell, told: Bell) -> int:
    """Run it until it ends; return its status. It is ended when this is cancelled."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "gateway.hub.processes.judge_process", stdin=PIPE, stdout=PIPE
    )
    try:
        async with asyncio.TaskGroup() as tasks:
            speaking = tasks.create_task(_speak(process, settings, arrived), name="hub judge, said")
            if process.stdout is not None:
                while await process.stdout.read(READ_BYTES):
                    told.ring()
            speaking.cancel()
        return await process.wait()
    finally:
        await _end(process)


async def _speak(process: Process, settings: HubSettings, arrived: Bell) -> None:
    needed = settings.model_copy(update={"database": settings.database_url}).model_dump_json(include=NEEDED)
    if process.stdin is None:
        return
    with contextlib.suppress(ConnectionError):  # it has ended, and its output too
        process.stdin.write(needed.encode() + b"\n")
        while True:
            heard = arrived.rings
            await process.stdin.drain()
            await arrived.wait(heard, QUIET_S)
            process.stdin.write(b".")


async def _end(process: Process) -> None:
    if process.stdin is not None:
        process.stdin.close()
    try:
        await asyncio.wait_for(process.wait(), STOP_TIMEOUT_S)
    except TimeoutError:
        process.kill()
        await process.wait()
