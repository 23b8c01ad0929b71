"""Transports that reports are made of: an ordinary one, and one with the longest codes, many gaps and everything."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

from gateway.core.configuration import Box, Calibration, Consignment, Logger
from gateway.core.records import ClockCorrection, CustodyEvent, Stop
from gateway.hub.access.callers import Way, make_caller
from gateway.hub.access.roles import Role
from gateway.hub.reports.gathering import Sources
from gateway.hub.review.decisions import Course, NewDecision
from gateway.hub.review.signing import Meaning
from gateway.hub.rooms import Rooms, open_rooms
from gateway.hub.settings import HubSettings
from gateway.language import Language
from tests.hub.vans import LOGGER, START_MS, Van, iso, observe

HOURS = 3600
LONG_BOX, LONG_LOGGER, LONG_VAN, LONG_CODE = "X" * 64, "W" * 64, "V" * 64, "S" * 64
EVERYBODY = make_caller("per", frozenset(Role), Way.SESSION, printed_name="Dr. Per Ørn Ålesund 😀")
CALIBRATION = Calibration(certificate="=K-17", calibrated_at=iso(-86400), due_at=iso(8640000), offset_c=-0.1)  # type: ignore[arg-type]  pydantic reads the times


@contextmanager
def open_hub(folder: Path, *, hours: float = 2.0) -> Iterator[Rooms]:
    """A hub whose clock has come to its end, so that what it notes has one time. No bell rings in it."""
    rooms = asyncio.run(_open(folder, hours))
    furnish(rooms)
    yield rooms
    rooms.store.close()


def settings_of(folder: Path, hours: float = 2.0) -> HubSettings:
    """The hub's settings, for tests that open it themselves."""
    end = iso(hours * HOURS)
    clock = {"start": end, "stop": end, "rate": 1.0, "anchor_ns": 0}
    return HubSettings(
        data_dir=folder,
        demonstration=True,
        clock=clock,  # type: ignore[arg-type]  pydantic reads it
        language=Language.EN,
        access={"anonymous": ["receiver"]},  # type: ignore[arg-type]  the same
    )


def furnish(rooms: Rooms) -> None:
    rooms.registry.put_box(Box(code="BOX-1"), "test")
    rooms.registry.put_logger(Logger(address=LOGGER, box="BOX-1", calibration=CALIBRATION, model="B"), "test")


async def _open(folder: Path, hours: float) -> Rooms:
    return open_rooms(settings_of(folder, hours))


def sources_of(rooms: Rooms) -> Sources:
    return Sources(rooms.store, rooms.archive, rooms.configurations, rooms.clock.now_ms)


def deliver(rooms: Rooms, van: Van) -> None:
    rooms.enrolment.enrol(van.name, rooms.enrolment.issue_code(van.name, "test"), van.key.public_bytes)
    rooms.ingest.take(van.deliveries())


def register(rooms: Rooms, document: dict[str, object], received_s: float | None = None) -> None:
    consignment = Consignment.model_validate(document)
    rooms.registry.put_consignment(consignment, "test")
    if received_s is not None:
        rooms.registry.receive(consignment.code, datetime.fromisoformat(iso(received_s)), "kari")
    rooms.watch.judge_marked()


def add_ordinary(rooms: Rooms, code: str = "SEND-1", *, received: bool = True) -> None:
    """A tube that was too cold for a quarter of an hour, with a gap of 25 minutes; a dose beside it."""
    van = Van()
    for i in [*range(61), *range(110, 200)]:
        van.seal(observe(30 * i, 5.0 if i < 30 else 20 + i / 100, counter=i))
    deliver(rooms, van)
    tube = {"code": "TUBE-1", "kind": "sample", "collected_at": iso(-600), "examinations": [_examine("K", "potassium")]}
    dose = {"code": "DOSE-1", "kind": "medicine", "examinations": [_examine("V", "bortezomib")]}
    document = {"code": code, "items": [tube, dose], "carriage": [{"box": "BOX-1", "begins": iso(0)}]}
    register(rooms, document, 6000 if received else None)


def add_long(rooms: Rooms) -> None:
    """Thirty items, two boxes, twenty gaps, the longest codes, and all that people can do."""
    rooms.registry.put_box(Box(code=LONG_BOX), "test")
    rooms.registry.put_logger(Logger(address=LONG_LOGGER, box=LONG_BOX), "test")
    van, heard = Van(name=LONG_VAN), [i for i in range(2800) if i % 120 <= 95 or i >= 2500]
    measured = [
        one
        for i in heard
        for one in (
            observe(30 * i, 5.0 if i % 400 < 300 else 9.5 + (i % 7) / 10, counter=i),
            observe(30 * i, 21.0, counter=i, logger=LONG_LOGGER),
        )
    ]
    records = [
        CustodyEvent(_at(10), True, "loaded", "BOX-1", holder="BADGE-" + "7" * 50, place="SITE-A", id="a1"),
        CustodyEvent(_at(60000), True, "handed_over", "BOX-1", id="a2"),
        ClockCorrection(_at(100), True, 100_000, _at(97), "stepped", 800, "ntp"),
        Stop(_at(4000), True, "arrived", "stop 1", False, 1),
        Stop(_at(9000), True, "arrived", "Lab-A", True, 1),
    ]
    for begin in range(0, len(measured), 200):
        van.seal(*measured[begin : begin + 200], records=records if begin == 0 else ())
    deliver(rooms, van)
    tubes = [
        {
            "code": f"T{i:02}-" + "Y" * 60,
            "kind": "sample",
            "collected_at": iso(-600),
            "examinations": [_examine("K" + "Z" * 60, "potassium")],
            "irreplaceable": i == 3,
            "carriage": [{"box": LONG_BOX, "begins": iso(0)}] if i % 3 == 0 else [],
        }
        for i in range(28)
    ]
    doses = [
        {
            "code": f"DOSE-{name}",
            "kind": "medicine",
            "prepared_at": iso(-900),
            "use_before": iso(80000),
            "examinations": [_examine(name, name)],
        }
        for name in ("bortezomib", "carboplatin")
    ]
    document: dict[str, object] = {
        "code": LONG_CODE,
        "items": [*tubes, *doses],
        "carriage": [{"box": "BOX-1", "begins": iso(0)}],
        "planned_arrival": iso(50000),
        "requester": "WARD-3",
        "receiver": "LAB",
    }
    register(rooms, document, 84000)
    _act(rooms, str(tubes[0]["code"]))


def add_empty(rooms: Rooms) -> None:
    """A dose of which nothing says where it was."""
    register(rooms, {"code": "EMPTY", "items": [_item("E-1")]})


def _act(rooms: Rooms, item: str) -> None:
    """Let somebody review and sign the first breach, and decide about an item."""
    judged = rooms.decisions
    first = 1
    rooms.reviews.acknowledge(first, EVERYBODY, "Seen, called the ward 😀 漢字")
    rooms.reviews.begin(first, EVERYBODY)
    rooms.reviews.conclude(first, EVERYBODY, "box_open", "trained", "The box stood open.\nTwice.")
    rooms.reviews.close(first, EVERYBODY, "used")
    seen = NewDecision(choice=Course.HOLD, seen={"K" + "Z" * 60: 1}, comment="Calling " + "q" * 300)
    judged.decide(LONG_CODE, item, seen, EVERYBODY)
    rooms.reviews.sign(first, EVERYBODY, Meaning.REVIEWED, rooms.reviews.review(first).hash)


def _item(code: str) -> dict[str, object]:
    return {"code": code, "kind": "medicine", "examinations": [_examine("V", "bortezomib")]}


def _examine(code: str, profile: str) -> dict[str, str]:
    return {"code": code, "profile": profile}


def _at(at_s: float) -> int:
    return START_MS + round(at_s * 1000)
