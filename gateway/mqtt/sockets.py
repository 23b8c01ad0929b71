"""Sockets opened without blocking the event loop."""

from __future__ import annotations

import asyncio
import socket
import ssl
import threading
from concurrent.futures import Future
from typing import Any

Address = tuple[int, int, int, Any]
"""Family, kind, protocol, address: what a socket is made from."""


async def open_socket(host: str, port: int, tls: ssl.SSLContext | None) -> socket.socket:
    """Connect (to the first address that answers) and shake hands; raises OSError."""
    loop = asyncio.get_running_loop()
    failure = OSError(f"{host} has no address")
    for family, kind, protocol, address in await _resolve(host, port):
        sock = socket.socket(family, kind, protocol)
        sock.setblocking(False)
        try:
            await loop.sock_connect(sock, address)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if tls is not None:
                sock = tls.wrap_socket(sock, server_hostname=host, do_handshake_on_connect=False)
                await _shake_hands(sock)
        except OSError as error:
            sock.close()
            failure = error
        except BaseException:  # cancelled: the socket must not leak
            sock.close()
            raise
        else:
            return sock
    raise failure


async def _resolve(host: str, port: int) -> list[Address]:
    """Look a name up, in a thread that nobody waits for at the end.

    Without a network this can take half a minute; the loop's own executor would hold up the end of the process so long.
    """
    found: Future[list[Address]] = Future()
    found.set_running_or_notify_cancel()

    def look_up() -> None:
        try:
            addresses = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        except OSError as error:
            found.set_exception(error)
        else:
            found.set_result([(family, kind, protocol, address) for family, kind, protocol, _, address in addresses])

    threading.Thread(target=look_up, name="resolve", daemon=True).start()
    return await asyncio.wrap_future(found)


async def _shake_hands(sock: ssl.SSLSocket) -> None:
    loop = asyncio.get_running_loop()
    while True:
        ready = loop.create_future()
        try:
            sock.do_handshake()
        except ssl.SSLWantReadError:
            loop.add_reader(sock, _settle, ready)
        except ssl.SSLWantWriteError:
            loop.add_writer(sock, _settle, ready)
        else:
            return
        try:
            await ready
        finally:
            loop.remove_reader(sock)
            loop.remove_writer(sock)


def _settle(ready: asyncio.Future[None]) -> None:
    if not ready.done():
        ready.set_result(None)
