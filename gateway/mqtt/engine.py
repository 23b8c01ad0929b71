"""paho as the protocol engine, over a socket that was opened elsewhere and with packets of bounded size."""

from __future__ import annotations

import socket
from typing import TypedDict

import paho.mqtt.client as paho

PACKET_BYTES_MAX = 2 << 20
"""Largest packet that we accept: twice the largest configuration. A packet may announce 256 MiB."""


READ_AHEAD_BYTES = 64 * 1024
"""Taken from the socket at once. paho asks for a packet's first bytes one by one; each time a read of a socket lets go
of the interpreter, which other threads of a busy process then keep for up to 5 ms."""


class _Incoming(TypedDict):
    remaining_length: int


class Engine(paho.Client):
    """paho's client over a socket that was opened without blocking the loop.

    `_create_socket` is paho's only seam for that; its public connect() blocks, TLS handshake included.
    """

    prepared: socket.socket | None = None
    _in_packet: _Incoming  # type: ignore[assignment]  # paho's own type for it is private
    _ahead = memoryview(b"")

    @property
    def has_read_ahead(self) -> bool:
        """Whether bytes were taken from the socket that no packet has been made of: no selector tells of them."""
        return len(self._ahead) > 0

    @property
    def is_flooded(self) -> bool:
        """Whether a packet is under way that is larger than we said we would take.

        paho hands a packet over when it is complete and keeps its beginning in memory until then.
        """
        return self._in_packet["remaining_length"] > PACKET_BYTES_MAX

    def _create_socket(self) -> socket.socket:
        opened, self.prepared = self.prepared, None
        self._ahead = memoryview(b"")
        if opened is None:
            raise ConnectionError("no socket was opened")
        return opened

    def _sock_recv(self, bufsize: int) -> bytes:
        """Read for paho: what was taken ahead, and from the socket only when that is used up."""
        if not self._ahead:
            if bufsize >= READ_AHEAD_BYTES:
                return super()._sock_recv(bufsize)
            self._ahead = memoryview(super()._sock_recv(READ_AHEAD_BYTES))
        taken, self._ahead = self._ahead[:bufsize], self._ahead[bufsize:]
        return bytes(taken)
