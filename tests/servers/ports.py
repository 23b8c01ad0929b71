"""Ports that stay free while a server of a test is down and comes back to its own."""

from __future__ import annotations

import random
import socket
from pathlib import Path

_EPHEMERAL = Path("/proc/sys/net/ipv4/ip_local_port_range")
_LOWEST = 10_000


def free_port() -> int:
    """Choose a free TCP port of the loopback below those that the kernel deals to clients.

    While a server is down, a client's socket must not get its port: on the loopback it could even connect to itself.
    """
    first_dealt = int(_EPHEMERAL.read_text(encoding="ascii").split()[0]) if _EPHEMERAL.exists() else 32_768
    while True:
        port = random.randrange(_LOWEST, max(first_dealt, _LOWEST + 1000))  # noqa: S311  no secret
        with socket.socket() as sock:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                sock.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
