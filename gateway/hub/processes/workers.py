"""The hub as many processes: ingest, watch and pages apart, any number of each, over one PostgreSQL.

`gateway.hub.processes.hub` is the same rooms in one process. What the processes share is the database alone: who takes
which message is the broker's choice (a shared subscription), who judges what is settled by claims (`Store.claim`), and
they find each other's work by looking every few seconds.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from gateway.core.errors import InputError
from gateway.core.identifiers import check_code
from gateway.hub.database.leadership import lead
from gateway.hub.notification.worker import run_notification
from gateway.hub.processes.hub import Announce
from gateway.hub.processes.judge import run_judge
from gateway.hub.processes.serving import describe_address, listen, make_server
from gateway.hub.projection.running import run_projection
from gateway.hub.replication.exchange import Exchange, open_clients
from gateway.hub.rooms import Rooms, open_rooms
from gateway.hub.settings import HubSettings
from gateway.hub.signals.dispatch import send_alerts
from gateway.hub.upkeep.departures import run_departures
from gateway.hub.upkeep.retention import run_retention
from gateway.mqtt import MqttSettings

SHARE = "coldchain-hub"
"""The group among which the broker deals out the logs."""
SESSION_S = 60
"""How long the broker keeps what it dealt to a worker that is away. A worker that is started again gets it; of one
that is not, the vehicles send it again to the others."""


async def run_ingest(settings: HubSettings, name: str, stop: asyncio.Event, announce: Announce) -> None:
    """Take a share of the logs until `stop` is set. `name` tells the broker who this is: no two may have one name.

    Raises InputError for settings that only fit a hub of one process.
    """
    mqtt = _broker_of(settings)
    check_code("name", name)
    async with _rooms(settings) as rooms:
        session = mqtt.model_copy(update={"session_expiry_s": min(SESSION_S, mqtt.session_expiry_s)})
        async with open_clients(session, f"coldchain-ingest-{name}") as (ears, voice), asyncio.TaskGroup() as tasks:
            exchange = Exchange(
                ears,
                voice,
                rooms.ingest,
                rooms.configurations,
                rooms.enrolment,
                rooms.key,
                share=SHARE,
                store=rooms.store,
            )
            work = tasks.create_task(exchange.run(rooms.bells.registered, rooms.bells.arrived), name="hub exchange")
            announce({"broker": mqtt.url, "name": name})
            await stop.wait()
            work.cancel()


async def run_watch(settings: HubSettings, stop: asyncio.Event, announce: Announce) -> None:
    """Judge and alert until `stop` is set; one of several also projects to InfluxDB. Raises InputError as above."""
    async with _rooms(settings) as rooms, asyncio.TaskGroup() as tasks:
        bells = rooms.bells
        workers = [
            tasks.create_task(run_judge(rooms), name="hub watch"),
            tasks.create_task(send_alerts(rooms.store, rooms.clock, bells.told, bells.told), name="hub alerts"),
            tasks.create_task(
                lead(rooms.store, "notification", lambda: run_notification(rooms, bells.told)), name="hub notification"
            ),
            tasks.create_task(lead(rooms.store, "heads", lambda: run_departures(rooms)), name="hub heads"),
            tasks.create_task(lead(rooms.store, "retention", lambda: run_retention(rooms)), name="hub retention"),
        ]
        if settings.influx.url:
            projection = lead(rooms.store, "projection", lambda: run_projection(rooms, bells.arrived))
            workers.append(tasks.create_task(projection, name="hub projection"))
        announce({})
        await stop.wait()
        for worker in workers:
            worker.cancel()


async def run_pages(settings: HubSettings, stop: asyncio.Event, announce: Announce) -> None:
    """Serve API and pages until `stop` is set. Raises InputError as above, and for an address that is taken."""
    async with _rooms(settings) as rooms:
        with listen(settings.http) as sock:
            server = make_server(rooms)
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(server.serve([sock]), name="hub http")
                await server.is_ready.wait()
                announce(describe_address(sock))
                await stop.wait()
                rooms.closing.set()
                rooms.bells.told.ring()
                server.should_exit = True


@asynccontextmanager
async def _rooms(settings: HubSettings) -> AsyncIterator[Rooms]:
    if settings.database_url.startswith("sqlite"):
        reason = "SQLite serves a hub of one process (coldchain hub run); several need PostgreSQL"
        raise InputError("database", reason)
    rooms = open_rooms(settings)
    try:
        yield rooms
    finally:
        rooms.store.close()


def _broker_of(settings: HubSettings) -> MqttSettings:
    if settings.broker == "embedded":
        raise InputError(
            "broker", "the embedded one serves a hub of one process (coldchain hub run); name a broker's url"
        )
    return settings.broker
