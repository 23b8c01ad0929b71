"""The bus itself: clients that misbehave harm nobody else."""

import asyncio
import os
import socket
from collections.abc import Awaitable, Callable

import pytest
from bleak import BleakScanner
from dbus_fast import BusType, Message, MessageType
from dbus_fast.aio import MessageBus

from firmware_sim.bluez import FakeBluez, connection
from firmware_sim.bluez.bus import BUS_NAME, BUS_PATH, socket_path
from tests.waiting import LIMIT_S

Until = Callable[[Callable[[], object]], Awaitable[None]]
ADDRESS = "C0:FF:EE:00:00:01"


async def talk(address: str, data: bytes) -> bytes:
    """Send bytes to the bus and return what comes until it hangs up."""
    reader, writer = await asyncio.open_unix_connection(socket_path(address))
    writer.write(data)
    try:
        return await reader.read()
    finally:
        writer.close()


HELLO = b"\0AUTH EXTERNAL 30\r\nBEGIN\r\n"


@pytest.mark.parametrize(
    "data",
    [
        HELLO + b"GET / HTTP/1.1\r\n\r\n",
        HELLO + b"l\1\0\1" + b"\xff" * 12,
        HELLO + b"l\1\0\1" + b"\0" * 12,
        b"\0" + b"x" * (connection.MAX_AUTH_BYTES + 1),
    ],
)
async def test_nonsense_is_hung_up_on(bluez: FakeBluez, data: bytes) -> None:
    async with asyncio.timeout(LIMIT_S):
        await talk(bluez.address, data)
    async with BleakScanner():
        assert bluez.is_scanning


async def test_handshake_refuses_what_it_does_not_know(bluez: FakeBluez) -> None:
    reader, writer = await asyncio.open_unix_connection(socket_path(bluez.address))
    writer.write(b"\0AUTH ANONYMOUS\r\nWHAT\r\n")
    assert await reader.readline() == b"REJECTED EXTERNAL\r\n"
    assert await reader.readline() == b"ERROR\r\n"
    writer.close()


async def test_a_client_that_does_not_read_is_cut_off(
    bluez: FakeBluez, until: Until, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "MAX_QUEUED_BYTES", 10_000)
    device = bluez.add_device(ADDRESS)
    deaf = socket.socket(socket.AF_UNIX)
    deaf.setblocking(False)
    loop = asyncio.get_running_loop()
    await loop.sock_connect(deaf, str(socket_path(bluez.address)))
    await loop.sock_sendall(deaf, HELLO)
    assert await loop.sock_recv(deaf, 1000)
    rule = Message(
        destination=BUS_NAME,
        path=BUS_PATH,
        interface=BUS_NAME,
        member="AddMatch",
        signature="s",
        body=["type='signal'"],
    )
    rule.serial = 1
    await loop.sock_sendall(deaf, rule._marshall(False))
    heard: list[bytes] = []
    with deaf:
        async with BleakScanner(lambda _, advertisement: heard.append(advertisement.manufacturer_data[0x0499])):
            sent: list[bytes] = []
            while len(bluez._bus._clients) == 2:
                sent.append(len(sent).to_bytes(4, "big"))
                device.advertise({0x0499: sent[-1]})
                if len(sent) % 20 == 0:
                    await until(lambda: len(heard) == len(sent))
            await until(lambda: len(heard) == len(sent))
    assert heard == sent
    assert len(sent) > 50


async def test_bus_answers_for_itself(bluez: FakeBluez) -> None:
    bus = await MessageBus(bus_type=BusType.SYSTEM).connect()

    async def ask(member: str, *arguments: str) -> object:
        call = Message(
            destination=BUS_NAME,
            path=BUS_PATH,
            interface=BUS_NAME,
            member=member,
            signature="s" * len(arguments),
            body=list(arguments),
        )
        reply = await bus.call(call)
        assert reply is not None
        return reply.error_name if reply.message_type is MessageType.ERROR else next(iter(reply.body), None)

    assert await ask("GetNameOwner", "org.bluez") == ":0.0"
    assert await ask("GetNameOwner", "org.other") == "org.freedesktop.DBus.Error.NameHasNoOwner"
    assert await ask("NameHasOwner", "org.bluez") is True
    assert await ask("RemoveMatch", "type='signal',member='Never'") == "org.freedesktop.DBus.Error.MatchRuleNotFound"
    assert await ask("BecomeMonitor") == "org.freedesktop.DBus.Error.UnknownMethod"
    bluez.crash_daemon()
    assert await ask("NameHasOwner", "org.bluez") is False
    bus.disconnect()
    await bus.wait_for_disconnect()


async def test_no_descriptor_is_left_open(bus_address: str) -> None:
    before = len(os.listdir("/proc/self/fd"))  # noqa: PTH208 - a count is all that is wanted
    for _ in range(3):
        async with FakeBluez(bus_address):
            bus = await MessageBus(bus_type=BusType.SYSTEM).connect()
            bus.disconnect()
            await bus.wait_for_disconnect()
    assert len(os.listdir("/proc/self/fd")) <= before + 1  # noqa: PTH208 - the same


@pytest.mark.parametrize("address", ["tcp:host=localhost", "unix:abstract=/x", "unix:path=", ""])
def test_only_a_unix_path_is_an_address(address: str) -> None:
    with pytest.raises(ValueError, match="unix:path"):
        socket_path(address)
