from __future__ import annotations

import asyncio
import os
import select
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from gateway.hub.processes.broker import BrokerError, EmbeddedBroker
from tests.waiting import LIMIT_S


async def test_listens_on_loopback_on_a_free_port(tmp_path: Path) -> None:
    async with EmbeddedBroker(tmp_path) as broker:
        assert broker.url == f"mqtt://127.0.0.1:{broker.port}"
        _, writer = await asyncio.open_connection("127.0.0.1", broker.port)
        writer.close()
        await writer.wait_closed()


async def test_refuses_a_port_that_is_taken(tmp_path: Path) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        with pytest.raises(BrokerError, match="cannot listen"):
            async with EmbeddedBroker(tmp_path, port=other.getsockname()[1]):
                pass


async def test_survives_the_terminals_interrupt(tmp_path: Path) -> None:
    async with EmbeddedBroker(tmp_path) as broker:
        os.kill(broker.pid, signal.SIGINT)
        _, writer = await asyncio.open_connection("127.0.0.1", broker.port)
        writer.close()
        await writer.wait_closed()


async def is_served_by_another(broker: EmbeddedBroker, pid: int) -> bool:
    try:
        _, writer = await asyncio.open_connection("127.0.0.1", broker.port)
        writer.close()
        await writer.wait_closed()
        other = broker.pid
    except (OSError, BrokerError):
        return False
    return other != pid


async def test_is_started_again_on_its_port_when_it_ends_by_itself(tmp_path: Path) -> None:
    async with EmbeddedBroker(tmp_path) as broker:
        keeping = asyncio.create_task(broker.keep_running())
        first = broker.pid
        os.kill(first, signal.SIGKILL)
        async with asyncio.timeout(LIMIT_S):
            while not await is_served_by_another(broker, first):  # noqa: ASYNC110  a port has no event
                await asyncio.sleep(0.02)
        keeping.cancel()
        await asyncio.wait({keeping})


async def test_its_port_is_nobody_elses_while_it_is_down(tmp_path: Path) -> None:
    async with EmbeddedBroker(tmp_path) as broker:
        waiter = os.pidfd_open(broker.pid)
        os.kill(broker.pid, signal.SIGKILL)
        try:
            await asyncio.to_thread(select.select, [waiter], [], [], LIMIT_S)
        finally:
            os.close(waiter)
        with socket.socket() as other, pytest.raises(OSError, match="already in use"):
            other.bind(("127.0.0.1", broker.port))


_PARENT = """
import asyncio, sys
from pathlib import Path
from gateway.hub.processes.broker import EmbeddedBroker
async def main():
    async with EmbeddedBroker(Path(sys.argv[1])) as broker:
        print(broker.pid, flush=True)
        await asyncio.sleep(3600)
asyncio.run(main())
"""


def test_dies_with_its_parent(tmp_path: Path) -> None:
    command = [sys.executable, "-c", _PARENT, str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as parent:  # noqa: S603  our own interpreter
        assert parent.stdout is not None
        child = int(parent.stdout.readline())
        waiter = os.pidfd_open(child)
        parent.kill()
    try:
        # A pidfd becomes readable when its process ends; no polling, no timing.
        ready, _, _ = select.select([waiter], [], [], LIMIT_S)
        assert ready
    finally:
        os.close(waiter)
