"""The hub's HTTP server: its socket, and its way to stop."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Iterator

import uvicorn

from gateway.core.errors import InputError
from gateway.hub.processes.app import create_app
from gateway.hub.rooms import Rooms
from gateway.hub.settings import HttpSettings

HTTP_STOP_S = 1
"""Requests still running when the hub stops get so long; streams are told to end before."""
LISTEN_BACKLOG = 128


def make_server(rooms: Rooms) -> Server:
    """Return the server of API and pages, for one event loop."""
    return Server(
        uvicorn.Config(
            create_app(rooms),
            log_config=None,
            access_log=False,
            lifespan="off",
            timeout_graceful_shutdown=HTTP_STOP_S,
            server_header=False,
        )
    )


def describe_address(sock: socket.socket) -> dict[str, object]:
    """Return where a socket listens, for the line that says so."""
    host, port = sock.getsockname()[:2]
    shown = f"[{host}]" if ":" in host else host
    return {"http": f"http://{shown}:{port}", "http_port": port}


@contextlib.contextmanager
def listen(settings: HttpSettings) -> Iterator[socket.socket]:
    """Open the listening socket; raises InputError naming the setting."""
    try:
        address = socket.getaddrinfo(settings.host, settings.port, type=socket.SOCK_STREAM)[0]
        sock = socket.socket(*address[:3])
    except OSError as error:
        raise InputError("http.host", f"{settings.host!r}: {error.strerror}") from error
    with sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            sock.bind(address[4])
        except OSError as error:
            raise InputError("http.port", f"{settings.host}:{settings.port}: {error.strerror}") from error
        sock.listen(LISTEN_BACKLOG)
        sock.setblocking(False)
        yield sock


class Server(uvicorn.Server):
    """uvicorn without its own signal handlers: the process stops all its rooms in order."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.is_ready = asyncio.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begin to serve, and say so."""
        await super().startup(sockets)
        self.is_ready.set()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave signals to the process."""
        yield
