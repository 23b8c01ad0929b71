"""A hub's processes under the load of a simulated fleet, with a broker, a database and an InfluxDB of their own."""  # noqa: INP001  beside scripts

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import click
from fleet.processes import read_cpu_s, read_memory_mib
from sqlalchemy import func, select

from gateway.hub.database import schema
from gateway.hub.database.store import Store
from gateway.hub.projection.portions import count_waiting

ROOT = Path(__file__).resolve().parents[2]
POLL_S = 0.05
SAMPLE_S = 0.5
"""Looking at all processes takes some 10 ms of a processor."""
READY_S = 300
"""Starting and ending take seconds; on a machine with much else to do, minutes."""


@dataclass(frozen=True)
class Taken:
    """One way of running a hub, under load. Rates are readings a second from the first segment sent.

    archived  until the hub has acknowledged all; `judged` until all verdicts are there, `projected` all points
    cpu_us    processor time of each kind of process for a reading, until all is judged and projected
    mib       the most memory of each process (of PostgreSQL: what it holds at the end)
    """

    hub: str
    readings: int
    archived_per_s: float
    judged_per_s: float
    projected_per_s: float | None
    latency_p50_s: float
    latency_p99_s: float
    cpu_us: dict[str, float]
    mib: dict[str, float]


class Hub:
    """The processes of one hub: one of everything, or `workers` of ingest and watch each."""

    def __init__(
        self, folder: Path, database: str, broker: str, workers: int = 0, influx: str = "", *, apart: bool = False
    ) -> None:
        data = folder / "data"
        self.settings = folder / "hub.toml"
        named = f'database = "{database}"\n' if database else ""
        points = f'[influx]\nurl = "{influx}"\nbucket = "{BUCKET}"\n' if influx else ""
        judges = "judges_apart = true\n" if apart else ""
        text = f'data_dir = "{data}"\n{named}{judges}[broker]\nurl = "{broker}"\n{points}'
        self.settings.write_text(text, encoding="utf-8")
        self.database = database or f"sqlite:///{data / 'hub.sqlite3'}"
        self.url = ""
        self._workers = workers
        self._children: list[subprocess.Popen[str]] = []
        self.start()

    def start(self) -> None:
        """Start all."""
        self._start("serve" if self._workers else "run")
        for number in range(self._workers):
            self._start("ingest", "--name", f"i-{number}")
            self._start("watch")

    def begin_load(self, gateways: int, segments: int, *more: str) -> subprocess.Popen[str]:
        """Begin to send a fleet's segments; `more` are further options of the fleet."""
        options = ["--hub", self.url, "--gateways", str(gateways), "--segments", str(segments), "--json", *more]
        command = _command("simulate", "fleet", "--settings", str(self.settings), *options)
        return subprocess.Popen(  # noqa: S603  our own command
            command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=_environment()
        )

    def load(self, gateways: int, segments: int) -> dict[str, float]:
        """Send a fleet's segments; return what the fleet says."""
        return end_load(self.begin_load(gateways, segments))

    def kill(self) -> None:
        """SIGKILL all."""
        for child in self._children:
            child.kill()
            child.communicate()
        self._children.clear()

    def stop(self) -> None:
        """End all."""
        for child in self._children:
            child.terminate()
        for child in self._children:
            child.communicate(timeout=READY_S)
        self._children.clear()

    def _start(self, *arguments: str) -> None:
        command = _command("hub", *arguments, "--settings", str(self.settings))
        child = subprocess.Popen(  # noqa: S603  our own command
            command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env=_environment()
        )
        self._children.append(child)
        said = child.stdout.readline() if child.stdout else ""
        if not said.startswith("READY"):
            raise click.ClickException(f"coldchain hub {arguments[0]} does not start")
        self.url = json.loads(said.removeprefix("READY")).get("http", self.url)


BUCKET = "measured"


def end_load(fleet: subprocess.Popen[str]) -> dict[str, float]:
    """Wait for a fleet; return what it says."""
    out, err = fleet.communicate()
    if fleet.returncode:
        raise click.ClickException(f"the fleet failed: {err.strip()[-500:]}")
    said: dict[str, float] = json.loads(out)
    return said


def measure(name: str, hub: Hub, store: Store, gateways: int, segments: int, *, projects: bool) -> Taken:
    """Load a running hub, and wait until everything is judged and projected.

    What is counted begins as the first segment is stored: before, the fleet has enrolled, registered what it carries,
    and sealed all that it will send.
    """
    stored = count_stored(store)
    fleet = hub.begin_load(gateways, segments)
    wait_for(lambda: count_stored(store) > stored or fleet.poll() is not None)
    began_s, began = time.monotonic(), read_cpu_s()  # registering and sealing lie before it
    used = began
    while fleet.poll() is None:
        used = {**used, **read_cpu_s()}  # of the fleet too, while it is there: one that has ended has no name
        time.sleep(SAMPLE_S)
    said = end_load(fleet)
    judged_s = projected_s = None
    while judged_s is None or (projects and projected_s is None):
        if judged_s is None and is_judged(store):
            judged_s = max(said["lasted_s"], time.monotonic() - began_s)
        if projected_s is None and projects and is_projected(store):
            projected_s = max(said["lasted_s"], time.monotonic() - began_s)
        time.sleep(POLL_S)
    used = {**used, **read_cpu_s()}
    readings = int(said["readings"])
    cpu_s = {kind: used[kind] - before_s for kind, before_s in began.items()}  # none of a child that has just ended
    return Taken(
        hub=name,
        readings=readings,
        archived_per_s=said["readings_per_s"],
        judged_per_s=round(readings / judged_s, 1),
        projected_per_s=None if projected_s is None else round(readings / projected_s, 1),
        latency_p50_s=said["latency_p50_s"],
        latency_p99_s=said["latency_p99_s"],
        cpu_us={kind: round(s / readings * 1e6, 2) for kind, s in cpu_s.items()},
        mib=read_memory_mib(),
    )


def wait_for(condition: Callable[[], bool]) -> None:
    """Wait until it holds."""
    while not condition():
        time.sleep(POLL_S)


def is_judged(store: Store) -> bool:
    """Whether nothing waits to be judged."""
    with store.read() as connection:
        return not connection.execute(select(func.count()).select_from(schema.dirty)).scalar_one()


def is_projected(store: Store) -> bool:
    """Whether InfluxDB has confirmed every segment."""
    with store.read() as connection:
        return not count_waiting(connection)


def count_stored(store: Store) -> int:
    """Return how many segments are chained."""
    with store.read() as connection:
        return connection.execute(select(func.coalesce(func.sum(schema.epochs.c.next_offset), 0))).scalar_one()


def _command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "gateway.cli", *arguments]


def _environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(ROOT)}
