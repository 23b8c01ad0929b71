"""One client of the bus: its handshake, its socket, what waits to be written to it."""

import array
import asyncio
import os
import socket
from collections import deque
from collections.abc import Callable, Sequence

from dbus_fast import InvalidMessageError, Message

from firmware_sim.bluez.rules import MatchRule
from firmware_sim.bluez.wire import split, stamp

MAX_AUTH_BYTES = 16 * 1024
"""The handshake is four short lines; whoever sends more is no D-Bus client."""
MAX_QUEUED_BYTES = 8 << 20
"""A client that leaves so much unread is stuck; a real bus cuts it off as well."""
READ_BYTES = 64 * 1024
SERIALS = 0xFFFF_FFFF


async def authenticate(sock: socket.socket, guid: str) -> bytes | None:
    """Do the server's side of the SASL handshake; any user may come in, the socket's permissions decide.

    Returns the bytes that follow BEGIN, or None when the client went away or spoke nonsense.
    """
    loop = asyncio.get_running_loop()
    received = bytearray()
    while len(received) <= MAX_AUTH_BYTES:
        chunk = await loop.sock_recv(sock, READ_BYTES)
        if not chunk:
            return None
        received += chunk
        while (end := received.find(b"\r\n")) >= 0:
            line = bytes(received[:end]).lstrip(b"\0")
            del received[: end + 2]
            if line == b"BEGIN":
                return bytes(received)
            await loop.sock_sendall(sock, _answer(line, guid))
    return None


def _answer(line: bytes, guid: str) -> bytes:
    if line.startswith((b"AUTH EXTERNAL", b"DATA")):
        return f"OK {guid}\r\n".encode()
    if line == b"NEGOTIATE_UNIX_FD":
        return b"AGREE_UNIX_FD\r\n"
    if line.startswith(b"AUTH"):
        return b"REJECTED EXTERNAL\r\n"
    return b"ERROR\r\n"


class Connection:
    """A client after its handshake.

    ``deliver`` gets each message that comes in, its sender filled in; ``gone`` is called once at the end.
    """

    def __init__(
        self,
        sock: socket.socket,
        name: str,
        deliver: Callable[["Connection", Message], None],
        gone: Callable[["Connection"], None],
    ) -> None:
        self.name = name
        self.rules: list[MatchRule] = []
        self._sock = sock
        self._deliver = deliver
        self._gone = gone
        self._loop = asyncio.get_running_loop()
        self._incoming = bytearray()
        self._outgoing: deque[tuple[bytes, tuple[int, ...]]] = deque()
        self._queued_bytes = 0
        self._serial = 0
        self._is_waiting = False
        self.is_open = True

    def open(self, received: bytes) -> None:
        """Begin to read; ``received`` came together with the handshake."""
        self._loop.add_reader(self._sock.fileno(), self._read)
        self._accept(received)

    def send(self, data: bytearray, fds: Sequence[int] = ()) -> int:
        """Queue an encoded message and return its serial; ``fds`` are closed once they are on their way."""
        self._serial = self._serial % SERIALS + 1
        if not self.is_open:
            _close_all(fds)
            return self._serial
        self._outgoing.append((stamp(data, self._serial), tuple(fds)))
        self._queued_bytes += len(data)
        if self._queued_bytes > MAX_QUEUED_BYTES:
            self.close()
        elif not self._is_waiting:
            self._write()
        return self._serial

    @property
    def queued(self) -> int:
        """Return how many messages wait for the client to read."""
        return len(self._outgoing)

    def close(self) -> None:
        """Cut the client off; may be called again."""
        if not self.is_open:
            return
        self.is_open = False
        self._loop.remove_reader(self._sock.fileno())
        self._loop.remove_writer(self._sock.fileno())
        self._sock.close()
        for _, fds in self._outgoing:
            _close_all(fds)
        self._outgoing.clear()
        self._gone(self)

    def _read(self) -> None:
        try:
            chunk = self._sock.recv(READ_BYTES)
        except BlockingIOError:
            return
        except OSError:
            chunk = b""
        if chunk:
            self._accept(chunk)
        else:
            self.close()

    def _accept(self, chunk: bytes) -> None:
        self._incoming += chunk
        try:
            for message in split(self._incoming):
                message.sender = self.name
                self._deliver(self, message)
                if not self.is_open:
                    return
        except InvalidMessageError:
            self.close()

    def _write(self) -> None:
        try:
            while self._outgoing:
                data, fds = self._outgoing[0]
                rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", fds))] if fds else []
                sent = self._sock.sendmsg([data], rights)
                _close_all(fds)
                self._queued_bytes -= sent
                if sent == len(data):
                    self._outgoing.popleft()
                else:
                    self._outgoing[0] = (data[sent:], ())
        except BlockingIOError:
            self._wait()
        except OSError:
            self.close()
        else:
            self._stop_waiting()

    def _wait(self) -> None:
        if not self._is_waiting:
            self._loop.add_writer(self._sock.fileno(), self._write)
            self._is_waiting = True

    def _stop_waiting(self) -> None:
        if self._is_waiting:
            self._loop.remove_writer(self._sock.fileno())
            self._is_waiting = False


def _close_all(fds: Sequence[int]) -> None:
    for fd in fds:
        os.close(fd)
