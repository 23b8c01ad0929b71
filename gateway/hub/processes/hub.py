"""The hub as one process: broker (if embedded), exchange, watch, alerts, projection and pages, stopped together."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
import sys
from collections.abc import AsyncIterator, Callable, Mapping

from gateway.hub.notification.worker import run_notification
from gateway.hub.processes.broker import EmbeddedBroker
from gateway.hub.processes.judge import run_judge
from gateway.hub.processes.serving import describe_address, listen, make_server
from gateway.hub.projection.running import run_projection
from gateway.hub.replication.exchange import Exchange, open_clients
from gateway.hub.rooms import Rooms, open_rooms
from gateway.hub.settings import HubSettings
from gateway.hub.signals.dispatch import send_alerts
from gateway.hub.upkeep.departures import run_departures
from gateway.hub.upkeep.retention import run_retention
from gateway.mqtt import MqttClient, MqttSettings

log = logging.getLogger(__name__)

CLIENT_ID = "coldchain-hub"
SWITCH_S = 0.0005
"""A thread that works keeps the interpreter so long while another one wants it, a tenth of Python's usual time. Ingest
lets go of it at each row that SQLite writes, and waits for judging to give it back: it took 1.5 times as much a second
so (measured), and judging lost nothing."""

Announce = Callable[[Mapping[str, object]], None]


async def run_hub(settings: HubSettings, stop: asyncio.Event, announce: Announce) -> None:
    """Run until `stop` is set. `announce` is called once when everything serves.

    Raises InputError for a setting that cannot work, BrokerError when the embedded broker does not start.
    """
    sys.setswitchinterval(SWITCH_S)
    rooms = open_rooms(settings)
    try:
        with listen(settings.http) as sock:
            async with _broker(settings) as (broker, mqtt), open_clients(mqtt, CLIENT_ID) as (ears, voice):
                await _serve(rooms, ears, voice, broker, sock, stop, announce)
    finally:
        rooms.store.close()


async def _serve(
    rooms: Rooms,
    ears: MqttClient,
    voice: MqttClient,
    broker: EmbeddedBroker | None,
    sock: socket.socket,
    stop: asyncio.Event,
    announce: Announce,
) -> None:
    bells = rooms.bells
    exchange = Exchange(ears, voice, rooms.ingest, rooms.configurations, rooms.enrolment, rooms.key)
    server = make_server(rooms)
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(server.serve([sock]), name="hub http")
        workers = [
            tasks.create_task(exchange.run(bells.registered, bells.arrived), name="hub exchange"),
            tasks.create_task(run_judge(rooms), name="hub watch"),
            tasks.create_task(send_alerts(rooms.store, rooms.clock, bells.told, bells.told), name="hub alerts"),
            tasks.create_task(run_notification(rooms, bells.told), name="hub notification"),
            tasks.create_task(run_departures(rooms), name="hub heads"),
            tasks.create_task(run_retention(rooms), name="hub retention"),
        ]
        if rooms.settings.influx.url:
            workers.append(tasks.create_task(run_projection(rooms, bells.arrived), name="hub projection"))
        if broker is not None:
            workers.append(tasks.create_task(broker.keep_running(), name="hub broker"))
        await server.is_ready.wait()
        announce({**describe_address(sock), "broker": ears.settings.url, "broker_port": ears.settings.port})
        await stop.wait()
        rooms.closing.set()
        bells.told.ring()
        for worker in workers:
            worker.cancel()
        server.should_exit = True


@contextlib.asynccontextmanager
async def _broker(settings: HubSettings) -> AsyncIterator[tuple[EmbeddedBroker | None, MqttSettings]]:
    if settings.broker != "embedded":
        yield None, settings.broker
        return
    async with EmbeddedBroker(settings.data_dir / "broker", settings.broker_port) as broker:
        yield broker, MqttSettings(url=broker.url)
