"""A hub with data behind a real socket, for programs that ask it as strangers do."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event, Thread
from typing import Any

from gateway.core.assignments import Swap
from gateway.core.configuration import Box, Consignment, Logger
from gateway.hub.access.roles import Role, rights_of
from gateway.hub.api.vocabulary import BY_MODEL
from gateway.hub.breaches.keeping import flag
from gateway.hub.processes.serving import describe_address, listen, make_server
from gateway.hub.rooms import Rooms, open_rooms
from gateway.hub.settings import HttpSettings, HubSettings
from tests.hub.review.reviewing import Ward
from tests.hub.samples import NOW_MS, breach, flagged
from tests.hub.vans import Van, observe

PASSWORD = "ni rolige elger"


@dataclass
class Hub:
    """Where it is, what it holds, and who may do what there. `tokens` by role; "gateway" is that of VAN-1."""

    url: str
    rooms: Rooms
    tokens: dict[str, str] = field(default_factory=dict)

    def headers(self, who: str = "admin") -> dict[str, str]:
        return {"Authorization": f"Bearer {self.tokens[who]}"}


@contextlib.contextmanager
def running_hub(folder: Path, *, streams_end: bool = False, **settings: Any) -> Iterator[Hub]:  # noqa: ANN401  as in a file
    """Serve a hub with data in a thread of its own. With `streams_end`, live events end as soon as they begin."""
    ready, stop, made = Event(), Event(), list[Hub]()

    async def serve() -> None:
        rooms = open_rooms(HubSettings(data_dir=folder, **settings))
        with listen(HttpSettings(port=0)) as sock:
            hub = Hub(str(describe_address(sock)["http"]), rooms)
            await asyncio.to_thread(fill, hub)
            if streams_end:
                rooms.closing.set()
            server = make_server(rooms)
            serving = asyncio.create_task(server.serve([sock]))
            await server.is_ready.wait()
            made.append(hub)
            ready.set()
            await asyncio.to_thread(stop.wait)
            rooms.closing.set()
            rooms.bells.told.ring()
            server.should_exit = True
            await serving
        rooms.store.close()

    thread = Thread(target=lambda: asyncio.run(serve()), name="hub")
    thread.start()
    try:
        while not ready.wait(0.1):
            assert thread.is_alive(), "the hub did not start"
        yield made[0]
    finally:
        stop.set()
        thread.join()


def fill(hub: Hub) -> None:
    """People of every role with their programs, an enrolled gateway, boxes, consignments, readings, breaches."""
    rooms = hub.rooms
    hub.tokens["admin"] = (rooms.settings.data_dir / "admin.token").read_text().strip()
    for role in Role:
        rooms.accounts.add(role.value, f"The {role}", [role], "setup", password=PASSWORD)
        _, hub.tokens[role.value] = rooms.api_tokens.make(role.value, "test", rights_of([role]), 30, "setup")
    rooms.accounts.add("kari", "Kari Nordmann", [Role.QUALITY], "setup", password=PASSWORD)
    van = Van("VAN-1")
    code = rooms.enrolment.issue_code("VAN-1", "setup")
    hub.tokens["gateway"] = rooms.enrolment.enrol("VAN-1", code, van.key.public_bytes)
    for document in (BY_MODEL["Box"], {"code": "BOX-2"}):
        rooms.registry.put_box(Box.model_validate({**_dict(document), "default_profile": None}), "setup")
    rooms.registry.put_logger(Logger.model_validate(BY_MODEL["Logger"]), "setup")
    rooms.registry.put_consignment(Consignment.model_validate(BY_MODEL["Consignment"]), "nurse")
    ward = Ward(rooms.store)
    ward.judge((10, 30), (40, 50), (60, None))
    ward.close(1)
    with rooms.store.write() as connection:
        flag(connection, flagged(breach(100, None)).model_copy(update={"consignment": "C-9", "key": "0" * 32}), NOW_MS)
    van.seal(*(observe(30 * number, 5.0 + number / 10) for number in range(50)))
    rooms.ingest.take(van.deliveries())
    rooms.registry.swap_loggers(
        "C0:FF:EE:00:00:01", Swap.model_validate({"new": "C0:FF:EE:00:00:03", "reason": "battery"}), "setup"
    )


def _dict(document: object) -> dict[str, Any]:
    assert isinstance(document, dict)
    return document
