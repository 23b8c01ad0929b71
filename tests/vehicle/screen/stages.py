"""A vehicle's screen with nothing behind it but values: boxes as told, acts kept in memory, really served."""

from __future__ import annotations

import random
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any, cast

import uvicorn
from fastapi import FastAPI

from gateway.core.configuration import Configuration
from gateway.core.custody import boxes_here, handed_over
from gateway.core.records import AnyRecord
from gateway.core.verdicts import Judgement
from gateway.vehicle.custody import CustodyDesk
from gateway.vehicle.moments import Moment
from gateway.vehicle.screen.page import serve_screen
from gateway.vehicle.screen.scene import Scene
from gateway.vehicle.sealer import Sealer
from gateway.vehicle.settings import DriverSettings
from gateway.vehicle.state import BoxView, BoxWord
from tests.vehicle.carried import PROFILE
from tests.vehicle.samples import VAN
from tests.waiting import LIMIT_S

NOW = datetime(2026, 6, 15, 12, 0, tzinfo=UTC)
NOW_MS = round(NOW.timestamp() * 1000)
MINUTE_MS = 60_000
INSTRUCTION = {"do": "Do not open it.", "call": "815 00 000", "approved_by": "LAB-1", "approved_at": NOW.isoformat()}


def box_view(number: int, state: BoxWord = BoxWord.OK, temperature_c: float | None = 4.6, age_s: float = 3) -> BoxView:
    return BoxView(code=f"BOX-{number}", label=f"Box {number}", temperature_c=temperature_c, age_s=age_s, state=state)


def make_configuration() -> Configuration:
    """Four boxes with loggers, a dose in the second, a rule for tubes."""
    begins = (NOW - timedelta(hours=2)).isoformat()
    document: dict[str, Any] = {
        "version": 1,
        "gateway": VAN,
        "demonstration": True,
        "loggers": [{"address": f"C0:FF:EE:00:00:0{n}", "box": f"BOX-{n}"} for n in range(1, 5)],
        "boxes": [
            {"code": f"BOX-{n}", "label": f"Box {n}", "instruction": INSTRUCTION if n == 3 else None}
            for n in range(1, 5)
        ],
        "consignments": [
            {
                "code": "C1",
                "carriage": [{"box": "BOX-2", "begins": begins}],
                "planned_arrival": (NOW + timedelta(minutes=20)).isoformat(),
                "items": [
                    {
                        "code": "DOSE-1",
                        "kind": "medicine",
                        "use_before": (NOW + timedelta(hours=7, minutes=40)).isoformat(),
                        "examinations": [{"code": "K", "profile": "cold"}],
                    }
                ],
            }
        ],
        "profiles": [PROFILE],
        "code_rules": [
            {
                "prefix": "T-",
                "kind": "sample",
                "examinations": [{"code": "K", "profile": "cold"}],
                "before_packing": {"low_c": 18, "high_c": 25},
            }
        ],
    }
    return Configuration.model_validate(document)


class MemorySealer:
    """Keeps what is noted; `sealed` is what a disk would have."""

    def __init__(self) -> None:
        self.noted: list[AnyRecord] = []
        self.sealed: list[AnyRecord] = []

    def note(self, record: AnyRecord) -> None:
        self.noted.append(record)

    async def seal_waiting(self) -> None:
        self.sealed += self.noted
        self.noted.clear()


@dataclass
class Stage:
    """What the screen sees; a test changes it as it goes."""

    boxes: tuple[BoxView, ...] = (box_view(1), box_view(2))
    configuration: Configuration = field(default_factory=make_configuration)
    judgements: dict[str, tuple[Judgement, ...]] = field(default_factory=dict)
    now_ms: int = NOW_MS
    clock_trusted: bool = True
    settings: DriverSettings = field(default_factory=DriverSettings)
    sealer: MemorySealer = field(default_factory=MemorySealer)

    def __post_init__(self) -> None:
        rng = random.Random(1)  # noqa: S311  ids, no secret
        self.desk = CustodyDesk(cast("Sealer", self.sealer), self._moment, rng)

    def scene(self) -> Scene:
        records = self.desk.records
        return Scene(
            gateway=VAN,
            now_ms=self.now_ms,
            clock_trusted=self.clock_trusted,
            boxes=self.boxes,
            configuration=self.desk.extend(self.configuration),
            judgements=self.judgements,
            here=boxes_here(records),
            left=handed_over(records),
        )

    def app(self) -> FastAPI:
        app = FastAPI()
        serve_screen(app, self.settings, self.desk, self.scene, lambda: self.now_ms)
        return app

    def show(self, *views: BoxView) -> None:
        """Show these instead of the boxes of the same codes."""
        fresh = {view.code: view for view in views}
        self.boxes = tuple(fresh.get(view.code, view) for view in self.boxes)

    def _moment(self) -> Moment:
        self.now_ms += 1
        return Moment(self.now_ms, self.now_ms - NOW_MS, trusted=self.clock_trusted)


def judged(item: str, judgement: Judgement, consignment: str = "C1") -> Judgement:
    return replace(judgement, item=item, consignment=consignment)


@dataclass
class Served:
    """A running server: where it is, and how it ends."""

    url: str
    server: uvicorn.Server
    thread: threading.Thread

    def stop(self) -> None:
        self.server.should_exit = True
        self.thread.join(LIMIT_S)


@contextmanager
def serving(stage: Stage) -> Iterator[Served]:
    """Serve a stage from a thread of its own: a browser's test is not asynchronous."""
    # It listens before its thread begins: whoever comes early waits in the queue.
    listening = socket.create_server(("127.0.0.1", 0))
    config = uvicorn.Config(stage.app(), log_config=None, lifespan="off", timeout_graceful_shutdown=1)
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, args=([listening],), name="screen", daemon=True)
    thread.start()
    served = Served(f"http://127.0.0.1:{listening.getsockname()[1]}", server, thread)
    try:
        yield served
    finally:
        served.stop()
