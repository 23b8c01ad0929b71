"""The vehicle's own small web server: its state, for the driver's page and for whoever watches."""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from ipaddress import ip_address

import uvicorn
from fastapi import FastAPI, HTTPException, Request

from gateway.core.errors import InputError
from gateway.vehicle.memory_desk import MemoryDesk, MemoryQuestion, MemoryView
from gateway.vehicle.settings import DriverSettings, VehicleSettings
from gateway.vehicle.state import VehicleState

log = logging.getLogger(__name__)

PORT_FILE = "driver.port"
"""In data_dir: where a running vehicle serves its state, for whoever works on the same machine."""
IPV4 = 4
STOP_TIMEOUT_S = 1
"""A browser that keeps a connection open does not keep the vehicle from stopping."""


def make_app(read_state: Callable[[], VehicleState], memories: MemoryDesk | None = None) -> FastAPI:
    """Build the app of the state; `gateway.vehicle.screen` adds the screen to it, and who may reach them."""
    app = FastAPI(title="Coldchain vehicle", docs_url=None, redoc_url=None)
    if memories is not None:
        _serve_memories(app, memories)

    @app.get("/api/v1/state", summary="Boxes, outbox, link, radio at this moment")
    async def state() -> VehicleState:
        return read_state()

    return app


def _serve_memories(app: FastAPI, memories: MemoryDesk) -> None:
    path = "/api/v1/loggers/{address}/memory"

    @app.get(path, summary="How the reading of a logger's memory stands")
    async def show(address: str) -> MemoryView:
        with _refusing():
            return memories.show(address)

    @app.post(path, status_code=202, summary="Ask a logger's memory for a stretch of time")
    async def ask(address: str, question: MemoryQuestion, request: Request) -> MemoryView:
        # Reading costs the logger's battery, and whoever rides along may reach this page.
        if request.client is None or not _is_here(request.client.host, request.scope["server"][0]):
            raise HTTPException(403, "only from the vehicle's own machine")
        with _refusing():
            return memories.ask(address, question)


@contextmanager
def _refusing() -> Iterator[None]:
    try:
        yield
    except InputError as error:
        raise HTTPException(422, str(error)) from error


def _is_here(host: str, own: str) -> bool:
    try:
        return host == own or ip_address(host).is_loopback
    except ValueError:
        return False


def url_of(settings: VehicleSettings) -> str | None:
    """Return where a running vehicle serves its state, None if none says so."""
    try:
        port = int((settings.data_dir / PORT_FILE).read_text(encoding="ascii"))
    except (OSError, ValueError):
        return None
    host = settings.driver.host
    with suppress(ValueError):
        address = ip_address(host)
        if address.is_unspecified:
            host = "127.0.0.1" if address.version == IPV4 else "::1"
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


class DriverServer:
    """Serves the app. The port is taken at construction, so that it is known before anybody waits for it."""

    def __init__(self, settings: DriverSettings, app: FastAPI) -> None:
        self._socket = _listen(settings)
        self.port: int = self._socket.getsockname()[1]
        config = uvicorn.Config(
            app,
            log_config=None,
            access_log=False,
            lifespan="off",
            timeout_graceful_shutdown=STOP_TIMEOUT_S,
            timeout_keep_alive=30,
            limit_concurrency=50,
        )
        self._server = _Server(config)

    async def run(self) -> None:
        """Serve until cancelled."""
        serving = asyncio.create_task(self._server.serve([self._socket]), name="uvicorn")
        try:
            await asyncio.shield(serving)
        except asyncio.CancelledError:
            self._server.should_exit = True
            await serving
            raise

    def close(self) -> None:
        """Give the port back."""
        self._socket.close()


class _Server(uvicorn.Server):
    """Leaves the process's signals alone: the process decides when it ends."""

    def capture_signals(self) -> _NoSignals:  # type: ignore[override]  # uvicorn returns a generator's context
        return _NoSignals()


class _NoSignals:
    def __enter__(self) -> None:
        """Nothing to install."""

    def __exit__(self, *_exception: object) -> None:
        """Nothing to restore."""


def _listen(settings: DriverSettings) -> socket.socket:
    try:
        return socket.create_server((settings.host, settings.port))
    except OSError as error:
        raise InputError(
            "driver.port", f"cannot listen on {settings.host}:{settings.port}: {error.strerror}"
        ) from error
