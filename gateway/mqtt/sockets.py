"""Sockets opened without blocking the event loop."""

from __future__ import annotations

import asyncio
import socket
import ssl


async def open_socket(host: str, port: int, tls: ssl.SSLContext | None) -> socket.socket:
    """Connect (to the first address that answers) and shake hands; raises OSError."""
    loop = asyncio.get_running_loop()
    addresses = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    failure = OSError(f"{host} has no address")
    for family, kind, protocol, _, address in addresses:
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
