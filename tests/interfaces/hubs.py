"""A hub with everything on its pages, and an empty one; each really served, from a thread of its own."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import uvicorn
from fastapi import FastAPI

from gateway.core.configuration import Box, Calibration, Consignment, Logger
from gateway.hub.access.callers import Caller, Way, make_caller
from gateway.hub.access.roles import Role
from gateway.hub.breaches.keeping import flag, read_breaches
from gateway.hub.processes.app import create_app
from gateway.hub.review.signing import Meaning
from gateway.hub.rooms import Rooms, open_rooms
from gateway.hub.settings import HubSettings
from tests.hub.samples import NOW_MS, breach, flagged
from tests.hub.vans import Van, iso, observe
from tests.waiting import LIMIT_S

HOURS = 3
LONGEST = "W" * 60 + "-END"
"""A code of 64 letters, the widest there is: nothing on a page may break because of it."""
SENTENCE = "The lid stood open at the ward; " * 12 + LONGEST
PASSWORD = "ni rolige elger"

BOXES = {"BOX-20": "Blue, 21 l", "BOX-12": "Grey", "BOX-5": "White", "BOX-GAP": "", LONGEST: "L" * 80, "BOX-SPARE": ""}
LOGGERS = {code: f"C0:FF:EE:00:00:0{n}" for n, code in enumerate(BOXES, 1) if code != "BOX-SPARE"}


@dataclass(frozen=True, slots=True)
class Hub:
    """Where a hub is served, what it consists of, and the cookie of somebody with every role."""

    name: str
    url: str
    rooms: Rooms
    app: FastAPI
    secret: str


def fill(rooms: Rooms) -> None:
    """All four verdicts, a breach in each state, gaps, decisions, and the longest codes and texts that there are."""
    _put_boxes(rooms)
    _take_readings(rooms)
    for code, box in (
        ("SEND-20", "BOX-20"),
        ("SEND-12", "BOX-12"),
        ("SEND-5", "BOX-5"),
        ("SEND-GAP", "BOX-GAP"),
        ("SEND-NONE", "BOX-SPARE"),
    ):
        _register(rooms, code, box, items=1)
    _register(rooms, LONGEST, LONGEST, items=8)
    with rooms.store.write() as connection:  # of a consignment that nobody registered: it waits in the inbox
        flag(connection, flagged(breach(10, 30)), NOW_MS)
    rooms.watch.judge_marked()
    _review(rooms)


def nothing(_rooms: Rooms) -> None:
    """Leave it empty."""


@contextmanager
def serving_hub(folder: Path, filled: Callable[[Rooms], None], hours: float = HOURS) -> Iterator[Hub]:
    """Serve a hub until the end; its clock stands so many hours after START_MS."""
    ready: list[Hub] = []
    failed: list[BaseException] = []
    is_ready, ends = threading.Event(), threading.Event()

    async def serve() -> None:
        rooms = open_rooms(_settings(folder, hours))
        rooms.accounts.add("kari", f"Kari {'Kvalitet-' * 8}", list(Role), "setup", password=PASSWORD)
        filled(rooms)
        app = create_app(rooms)
        config = uvicorn.Config(app, port=0, log_level="error", lifespan="off", timeout_graceful_shutdown=1)
        server = uvicorn.Server(config)
        task = asyncio.create_task(server.serve())
        while not server.started:  # noqa: ASYNC110  uvicorn has no event for it
            await asyncio.sleep(0.02)
        port = server.servers[0].sockets[0].getsockname()[1]
        secret = rooms.sessions.open(rooms.accounts.check("kari", PASSWORD)).secret
        ready.append(Hub(folder.name, f"http://127.0.0.1:{port}", rooms, app, secret))
        is_ready.set()
        await asyncio.to_thread(ends.wait)
        rooms.closing.set()
        server.should_exit = True
        await task
        rooms.store.close()

    def run() -> None:
        try:
            asyncio.run(serve())
        except BaseException as error:  # noqa: BLE001  told to the test, whatever it is
            failed.append(error)
            is_ready.set()

    thread = threading.Thread(target=run, name="hub", daemon=True)
    thread.start()
    try:
        assert is_ready.wait(LIMIT_S)
        if failed:
            raise failed[0]
        yield ready[0]
    finally:
        ends.set()
        thread.join(LIMIT_S)


def _settings(folder: Path, hours: float) -> HubSettings:
    clock = {"start": iso(0), "stop": iso(hours * 3600), "rate": 1e5, "anchor_ns": 0}
    return HubSettings(data_dir=folder, demonstration=True, clock=clock)  # type: ignore[arg-type]  pydantic reads it


def _put_boxes(rooms: Rooms) -> None:
    calibration = Calibration(certificate=LONGEST, calibrated_at=iso(-86400), due_at=iso(30 * 86400))
    for code, label in BOXES.items():
        rooms.registry.put_box(Box(code=code, label=label), "setup")
    for box, address in LOGGERS.items():
        rooms.registry.put_logger(Logger(address=address, box=box, calibration=calibration), "setup")


def _take_readings(rooms: Rooms) -> None:
    van = Van()
    for i in range(HOURS * 120 + 1):
        is_gap = 30 <= i <= 350
        celsius = {"BOX-20": 20.0 + i % 7 / 10, "BOX-12": 12.0, "BOX-5": 5.0 if i > 90 else 18.0, LONGEST: 30 - i / 12}
        if not is_gap:
            celsius["BOX-GAP"] = 20.0
        van.seal(*(observe(30 * i, value, logger=LOGGERS[box], counter=i) for box, value in celsius.items()))
    rooms.enrolment.enrol(van.name, rooms.enrolment.issue_code(van.name, "setup"), van.key.public_bytes)
    rooms.ingest.take(van.deliveries())


def _register(rooms: Rooms, code: str, box: str, *, items: int) -> None:
    document: dict[str, Any] = {
        "code": code,
        "planned_arrival": iso(HOURS * 3600),
        "carriage": [{"box": box, "begins": iso(0)}],
        "items": [
            {
                "code": f"{'I' * (60 if items > 1 else 1)}-{code[-4:]}-{n}"[-64:],
                "kind": "sample",
                "collected_at": iso(-600),
                "examinations": [{"code": "K", "profile": "potassium"}],
            }
            for n in range(items)
        ],
    }
    rooms.registry.put_consignment(Consignment.model_validate(document), "nurse")


def _person(role: Role) -> Caller:
    return make_caller(role.value, frozenset({role}), Way.SESSION, printed_name=f"The {role}")


def _review(rooms: Rooms) -> None:
    """Leave the first breach open; have the others acknowledged, in review, closed, and signed."""
    doctor, quality, desk = _person(Role.LABORATORY_DOCTOR), _person(Role.QUALITY), rooms.reviews
    with rooms.store.read() as connection:
        numbers = [one.id for one in read_breaches(connection)]
    for number in numbers[1:5]:
        desk.acknowledge(number, doctor, SENTENCE[:500])
    for number in numbers[2:5]:
        desk.begin(number, quality)
        desk.comment(number, quality, SENTENCE)
    for number in numbers[3:5]:
        desk.conclude(number, quality, "box_open", "trained")
        desk.close(number, quality, ending="box_emptied")
    for number in numbers[4:5]:
        desk.sign(number, doctor, Meaning.REVIEWED, desk.review(number).hash)
