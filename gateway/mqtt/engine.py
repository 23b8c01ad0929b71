"""paho as the protocol engine, over a socket that was opened elsewhere and with packets of bounded size."""

from __future__ import annotations

import socket
from typing import TypedDict

import paho.mqtt.client as paho

PACKET_BYTES_MAX = 2 << 20
"""Largest packet that we accept: twice the largest configuration. A packet may announce 256 MiB."""


class _Incoming(TypedDict):
    remaining_length: int


class Engine(paho.Client):
    """paho's client over a socket that was opened without blocking the loop.

    `_create_socket` is paho's only seam for that; its public connect() blocks, TLS handshake included.
    """

    prepared: socket.socket | None = None
    _in_packet: _Incoming  # type: ignore[assignment]  # paho's own type for it is private

    @property
    def is_flooded(self) -> bool:
        """Whether a packet is under way that is larger than we said we would take.

        paho hands a packet over when it is complete and keeps its beginning in memory until then.
        """
        return self._in_packet["remaining_length"] > PACKET_BYTES_MAX

    def _create_socket(self) -> socket.socket:
        opened, self.prepared = self.prepared, None
        if opened is None:
            raise ConnectionError("no socket was opened")
        return opened
