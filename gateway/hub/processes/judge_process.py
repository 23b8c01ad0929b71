"""The child process that judges where `judges_apart` is set: ``python -m gateway.hub.processes.judge_process``.

The first line of its standard input is what it needs of the settings; each byte after it says that something has
arrived. It writes a byte after each commit. It ends when its standard input closes, which also happens when its parent
is killed: what was under way is rolled back and stays marked.
"""

from __future__ import annotations

import asyncio
import fcntl
import logging
import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path

from gateway.clock import open_clock
from gateway.hub.database.store import open_existing_store
from gateway.hub.judgement.turns import name_watch
from gateway.hub.judgement.watch import Watch
from gateway.hub.record.archive import Archive
from gateway.hub.registry.configurations import make_configurations
from gateway.hub.registry.registry import Registry
from gateway.hub.settings import HubSettings
from gateway.hub.signals.events import Bell

LOCK = "judge.lock"
READ_BYTES = 4096
QUIET_S = 3600.0


async def judge(settings: HubSettings) -> None:
    """Judge for ever."""
    store = open_existing_store(settings.database_url)
    clock = open_clock(settings.clock)
    configurations = make_configurations(store, clock.now_ms, settings)
    registry = Registry(store, clock.now_ms)
    watch = Watch(store, Archive(store), registry, configurations, clock, name=name_watch(store))
    arrived, told = Bell(), Bell()
    threading.Thread(target=_hear_parent, args=(arrived,), daemon=True).start()
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(watch.run(arrived, told), name="judge watch")
        tasks.create_task(_tell_parent(told), name="judge tells")


def _hear_parent(arrived: Bell) -> None:
    while os.read(sys.stdin.fileno(), READ_BYTES):
        arrived.ring()
    os._exit(0)  # at once: another parent may be starting another judge


async def _tell_parent(told: Bell) -> None:
    heard = 0
    while True:
        await told.wait(heard, QUIET_S)
        if told.rings > heard:
            heard = told.rings
            try:
                os.write(sys.stdout.fileno(), b".")
            except BrokenPipeError:
                return  # the parent was killed; the end of standard input is heard too


@contextmanager
def _alone_in(folder: Path) -> Iterator[None]:
    """Let one judge at a time work for a hub: that of a parent that was killed may still be ending."""
    descriptor = os.open(folder / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _read_line() -> bytes:
    """Return the first line of standard input, and nothing of what follows; b"" if the input ends within it."""
    line = bytearray()
    while not line.endswith(b"\n"):
        if not (byte := os.read(sys.stdin.fileno(), 1)):
            return b""
        line += byte
    return bytes(line)


def main() -> None:
    """Judge until standard input closes."""
    # The terminal sends Ctrl-C to the whole group; the parent closes standard input when it has ended its own work.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s", stream=sys.stderr)
    logging.getLogger("alembic").setLevel(logging.WARNING)
    if not (needed := _read_line()):
        return  # the parent was killed before it had said anything
    settings = HubSettings.model_validate_json(needed)
    # On PostgreSQL claims settle who judges what, and other watches here may have judges of their own.
    is_alone = settings.database_url.startswith("sqlite")
    with _alone_in(settings.data_dir) if is_alone else nullcontext():
        asyncio.run(judge(settings))


if __name__ == "__main__":
    main()
