"""A round over a link of 2 Mbit/s that loses packets, with a stretch without any network: all of it arrives."""

from __future__ import annotations

import asyncio
import ctypes
import os
import re
import socket
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import pytest

from gateway.demo.processes import Child, ChildDied
from tests.faults.rounds import begun, finish
from tests.faults.wire import FAR

SEED, RATE_BIT_S, LOSS, DELAY_S = 7, 2e6, 0.03, 0.04
_CLONE_NEWNET = 0x40000000

Dial = Callable[[], Awaitable[socket.socket]]


def socket_in(namespace_of: int) -> socket.socket:
    """Make a TCP socket that lives in the network namespace of a process; this thread stays where it is."""
    libc = ctypes.CDLL(None, use_errno=True)
    with open("/proc/self/ns/net") as ours, open(f"/proc/{namespace_of}/ns/net") as theirs:  # noqa: PTH123  kernel interfaces
        if libc.setns(theirs.fileno(), _CLONE_NEWNET):
            raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
        try:
            made = socket.socket()
        finally:
            libc.setns(ours.fileno(), _CLONE_NEWNET)
    made.setblocking(False)
    return made


@asynccontextmanager
async def relay(listening: socket.socket, dial: Dial) -> AsyncIterator[int]:
    """Carry what connects to a socket to where `dial` leads; yields the port."""
    tasks: set[asyncio.Task[None]] = set()

    async def pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while data := await reader.read(65536):
                writer.write(data)
                await writer.drain()
        except OSError:
            pass  # the other side has gone
        finally:
            writer.close()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            far_reader, far_writer = await asyncio.open_connection(sock=await dial())
        except OSError:
            writer.transport.abort()
            return
        for one in (pump(reader, far_writer), pump(far_reader, writer)):
            tasks.add(asyncio.ensure_future(one))

    server = await asyncio.start_server(serve, sock=listening)
    try:
        yield int(listening.getsockname()[1])
    finally:
        server.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def dial_to(port: int, make: Callable[[], socket.socket]) -> Dial:
    async def dial() -> socket.socket:
        made = make()
        await asyncio.get_running_loop().sock_connect(made, ("127.0.0.1", port))
        return made

    return dial


def plain_socket() -> socket.socket:
    made = socket.socket()
    made.setblocking(False)
    return made


async def lay_wire(folder: Path) -> tuple[Child, dict[str, int]]:
    program = Path(__file__).with_name("wire.py")
    command = [sys.executable, str(program), str(SEED), str(RATE_BIT_S), str(LOSS), str(DELAY_S)]
    wire = Child("wire", command, {}, folder)
    try:
        return wire, await wire.start()
    except ChildDied as error:
        pytest.skip(f"no network namespaces with TUN devices here: {error}")


async def test_a_slow_and_lossy_link_delays_and_loses_nothing(tmp_path: Path) -> None:
    wire, ends = await lay_wire(tmp_path)
    async with AsyncExitStack() as stack:
        stack.push_async_callback(wire.stop)
        company = await stack.enter_async_context(begun(tmp_path, lambda _folder, _stack: None))
        settings = company.folder / "vehicle.toml"
        text = settings.read_text()
        for road in company.roads:
            listening = socket_in(ends["far"])
            listening.bind((FAR, 0))
            port = await stack.enter_async_context(relay(listening, dial_to(road.listening_port, plain_socket)))
            text = re.sub(rf"127\.0\.0\.1:{road.listening_port}\b", f"{FAR}:{port}", text)
        settings.write_text(text)
        await company.vehicle.stop()
        company.vehicle.command = ["nsenter", f"--net=/proc/{ends['near']}/ns/net", *company.vehicle.command]
        await company.start_vehicle()
        page = plain_socket()
        page.bind(("127.0.0.1", 0))
        vehicle_port = int(company.vehicle_url.rpartition(":")[2])
        near = dial_to(vehicle_port, lambda: socket_in(ends["near"]))
        company.vehicle_url = f"http://127.0.0.1:{await stack.enter_async_context(relay(page, near))}"
        timing = company.timing
        await timing.until(timing.start_ms + 30 * 60_000)
        company.cut_roads()
        await timing.until(timing.start_ms + 70 * 60_000)
        company.mend_roads()
        account = await finish(company)
        assert account.recorded == account.delivered
