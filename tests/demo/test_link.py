"""The link carries bytes both ways, and carries none while it is cut."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from gateway.demo.link import Link


@asynccontextmanager
async def _echo() -> AsyncIterator[int]:
    """Serve an echo on a free port."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while line := await reader.read(1 << 16):
            writer.write(line)
            await writer.drain()
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()


async def _ask(port: int, question: bytes) -> bytes:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(question)
        writer.write_eof()
        return await reader.read()
    finally:
        writer.close()


async def test_carries_both_ways_to_the_end() -> None:
    question = bytes(range(256)) * 4096
    async with _echo() as port, Link("127.0.0.1", port) as link:
        assert await _ask(link.listening_port, question) == question


async def test_a_cut_resets_what_is_open_and_refuses_what_comes() -> None:
    async with _echo() as port, Link("127.0.0.1", port) as link:
        reader, writer = await asyncio.open_connection("127.0.0.1", link.listening_port)
        writer.write(b"before")
        assert await reader.readexactly(6) == b"before"
        link.cut()
        with pytest.raises(ConnectionResetError):
            await reader.read()
        writer.close()
        with pytest.raises(ConnectionResetError):
            await _ask(link.listening_port, b"during")
        assert link.refused == 1
        link.mend()
        assert await _ask(link.listening_port, b"after") == b"after"


async def test_a_server_that_is_not_there_refuses() -> None:
    async with _echo() as port:
        free = port
    async with Link("127.0.0.1", free) as link:
        with pytest.raises(ConnectionResetError):
            await _ask(link.listening_port, b"hello")
        assert link.refused == 1
