"""The hub as one process: broker (if embedded), exchange, watch, alerts, projection and pages, stopped together."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
from collections.abc import AsyncIterator, Callable, Iterator, Mapping

import uvicorn

from gateway.core.errors import InputError
from gateway.hub.app import create_app
from gateway.hub.broker import EmbeddedBroker
from gateway.hub.dispatch import send_alerts
from gateway.hub.exchange import Exchange
from gateway.hub.projection.running import run_projection
from gateway.hub.rooms import Rooms, open_rooms
from gateway.hub.settings import HttpSettings, HubSettings
from gateway.mqtt import MqttClient, MqttSettings

log = logging.getLogger(__name__)

CLIENT_ID = "coldchain-hub"
HTTP_STOP_S = 1
"""Requests still running when the hub stops get so long; streams are told to end before."""
LISTEN_BACKLOG = 128

Announce = Callable[[Mapping[str, object]], None]


async def run_hub(settings: HubSettings, stop: asyncio.Event, announce: Announce) -> None:
    """Run until `stop` is set. `announce` is called once when everything serves.

    Raises InputError for a setting that cannot work, BrokerError when the embedded broker does not start.
    """
    rooms = open_rooms(settings)
    try:
        with _listen(settings.http) as sock:
            async with _broker(settings) as (broker, mqtt):
                client = MqttClient(mqtt, CLIENT_ID, manual_ack=True, repeat_in_flight=False)
                async with client:
                    await _serve(rooms, client, broker, sock, stop, announce)
    finally:
        rooms.store.close()


async def _serve(
    rooms: Rooms,
    client: MqttClient,
    broker: EmbeddedBroker | None,
    sock: socket.socket,
    stop: asyncio.Event,
    announce: Announce,
) -> None:
    bells = rooms.bells
    exchange = Exchange(client, rooms.ingest, rooms.configurations, rooms.enrolment, rooms.key)
    server = _Server(
        uvicorn.Config(
            create_app(rooms),
            log_config=None,
            access_log=False,
            lifespan="off",
            timeout_graceful_shutdown=HTTP_STOP_S,
            server_header=False,
        )
    )
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(server.serve([sock]), name="hub http")
        workers = [
            tasks.create_task(exchange.run(bells.registered, bells.arrived), name="hub exchange"),
            tasks.create_task(rooms.watch.run(bells.arrived, bells.told), name="hub watch"),
            tasks.create_task(send_alerts(rooms.store, rooms.clock, bells.told, bells.told), name="hub alerts"),
        ]
        if rooms.settings.influx.url:
            workers.append(tasks.create_task(run_projection(rooms, bells.arrived), name="hub projection"))
        if broker is not None:
            workers.append(tasks.create_task(broker.keep_running(), name="hub broker"))
        await server.is_ready.wait()
        announce(_announcement(sock, client.settings))
        await stop.wait()
        rooms.closing.set()
        bells.told.ring()
        for worker in workers:
            worker.cancel()
        server.should_exit = True


def _announcement(sock: socket.socket, mqtt: MqttSettings) -> dict[str, object]:
    host, port = sock.getsockname()[:2]
    shown = f"[{host}]" if ":" in host else host
    return {
        "http": f"http://{shown}:{port}",
        "http_port": port,
        "broker": mqtt.url,
        "broker_port": mqtt.port,
    }


@contextlib.asynccontextmanager
async def _broker(settings: HubSettings) -> AsyncIterator[tuple[EmbeddedBroker | None, MqttSettings]]:
    if settings.broker != "embedded":
        yield None, settings.broker
        return
    async with EmbeddedBroker(settings.data_dir / "broker", settings.broker_port) as broker:
        yield broker, MqttSettings(url=broker.url)


@contextlib.contextmanager
def _listen(settings: HttpSettings) -> Iterator[socket.socket]:
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


class _Server(uvicorn.Server):
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
