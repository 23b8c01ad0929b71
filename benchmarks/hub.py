"""How much a hub takes: ``.venv/bin/python benchmarks/hub.py [--full] [--json]``.

First real hub processes, a real Mosquitto and a simulated fleet (`coldchain simulate fleet`) on this machine, with
signed segments of 50 readings: readings per second until all is archived and acknowledged, and until all is judged.
Then an archive alone that grows, to a million readings or, with --full, to 50 million: what a reading costs as the
store fills, and how long the read of one logger's four hours takes out of it.

Goals on 2 cores that do nothing else: 100,000 readings a second on SQLite, 50,000 on PostgreSQL; a reading costs at
most 1.5 times as much at the end as at the beginning; a trip is read within 20 ms. On a machine that does other work
look at the processor time, and at the ratios.
"""  # noqa: INP001  a script, not a package

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from hashlib import sha256
from pathlib import Path

import click
from sqlalchemy import func, insert, select

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))  # the servers that the tests start

from gateway.hub import schema  # noqa: E402  after the path
from gateway.hub.archive import Archive  # noqa: E402  the same
from gateway.hub.ingest import Delivery, Ingest  # noqa: E402  the same
from gateway.hub.store import Store, open_existing_store, open_store  # noqa: E402  the same
from gateway.load.vehicles import Shape, SimulatedVehicle, name_fleet, seal_logs  # noqa: E402  the same
from tests.servers.mosquitto import running_mosquitto  # noqa: E402  the same
from tests.servers.postgres import PostgresMissingError, running_cluster  # noqa: E402  the same

SHAPE = Shape(loggers=10, readings=5, interval_s=30)
START_MS = 1_782_000_000_000
BATCH = 256
GROWTH_GOAL, TRIP_GOAL_MS = 1.5, 20.0
TRIP_MS = 4 * 3_600_000
TRIPS = 15
POLL_S = 0.1
READY_S = 60


@dataclass(frozen=True)
class Taken:
    """One way of running a hub, under load. Memory is the most that its processes have had, together."""

    hub: str
    readings: int
    archived_per_s: float
    judged_per_s: float
    latency_p50_s: float
    latency_p99_s: float
    cpu_us_per_reading: float
    peak_mib: float


@dataclass(frozen=True)
class Stage:
    """An archive with so many readings: processor time of the last of them, and the median read of a trip."""

    readings: int
    cpu_us_per_reading: float
    trip_ms: float
    bytes_per_reading: float


class Hub:
    """The processes of one hub: one of everything, or `workers` of ingest and watch each."""

    def __init__(self, folder: Path, database: str, broker: str, workers: int) -> None:
        data = folder / "data"
        self.settings = folder / "hub.toml"
        named = f'database = "{database}"\n' if database else ""
        self.settings.write_text(f'data_dir = "{data}"\n{named}[broker]\nurl = "{broker}"\n', encoding="utf-8")
        self.database = database or f"sqlite:///{data / 'hub.sqlite3'}"
        self.url = ""
        self._children: list[subprocess.Popen[str]] = []
        self._start("serve" if workers else "run")
        for number in range(workers):
            self._start("ingest", "--name", f"i-{number}")
            self._start("watch")

    def load(self, gateways: int, segments: int, prefix: str) -> dict[str, float]:
        """Send a fleet's segments; return what the fleet says."""
        options = ["--hub", self.url, "--gateways", str(gateways), "--segments", str(segments), "--prefix", prefix]
        command = _command("simulate", "fleet", "--settings", str(self.settings), *options, "--json")
        done = subprocess.run(command, check=False, capture_output=True, text=True, env=_environment())  # noqa: S603  ours
        if done.returncode:
            raise click.ClickException(f"the fleet failed: {done.stderr.strip()[-500:]}")
        said: dict[str, float] = json.loads(done.stdout)
        return said

    def cpu_s(self) -> float:
        """Processor time of all processes so far."""
        stats = (Path(f"/proc/{child.pid}/stat").read_text(encoding="ascii") for child in self._children)
        return sum(sum(map(int, s.rpartition(")")[2].split()[11:13])) for s in stats) / os.sysconf("SC_CLK_TCK")

    def peak_mib(self) -> float:
        """The most memory that each process has had, together."""
        texts = (Path(f"/proc/{child.pid}/status").read_text(encoding="ascii") for child in self._children)
        return sum(int(text.partition("VmHWM:")[2].split()[0]) for text in texts) / 1024

    def stop(self) -> None:
        """End all."""
        for child in self._children:
            child.terminate()
        for child in self._children:
            child.communicate(timeout=READY_S)

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


def _command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "gateway.cli", *arguments]


def _environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(ROOT)}


def measure(name: str, database: str, workers: int, gateways: int, segments: int) -> Taken:
    """Run a hub with a broker of its own, load it, and wait until everything is judged."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="coldchain-bench-")))
        (folder / "broker").mkdir()
        broker = stack.enter_context(running_mosquitto(folder / "broker"))
        hub = Hub(folder, database, broker, workers)
        stack.callback(hub.stop)
        store = open_existing_store(hub.database)
        stack.callback(store.close)
        used_s = [hub.cpu_s()]
        for _ in range(2):  # the second time registers what every run registers: that is taken off
            hub.load(gateways, 1, "LOAD")
            _wait_judged(store)
            used_s.append(hub.cpu_s())
        said = hub.load(gateways, segments, "LOAD")
        ended_s = time.monotonic()
        _wait_judged(store)
        lasted_s = said["lasted_s"] + time.monotonic() - ended_s
        readings = int(said["readings"])
        return Taken(
            hub=name,
            readings=readings,
            archived_per_s=said["readings_per_s"],
            judged_per_s=round(readings / lasted_s, 1),
            latency_p50_s=said["latency_p50_s"],
            latency_p99_s=said["latency_p99_s"],
            cpu_us_per_reading=round((hub.cpu_s() - 2 * used_s[2] + used_s[1]) / readings * 1e6, 2),
            peak_mib=round(hub.peak_mib(), 1),
        )


def _wait_judged(store: Store) -> None:
    while True:
        with store.read() as connection:
            if not connection.execute(select(func.count()).select_from(schema.dirty)).scalar_one():
                return
        time.sleep(POLL_S)


def grow(stages: list[int], gateways: int) -> Iterator[Stage]:
    """Fill a SQLite archive stage by stage; each goes on where the last one ended, with a new epoch of each vehicle."""
    with tempfile.TemporaryDirectory(prefix="coldchain-bench-") as folder:
        path = Path(folder) / "hub.sqlite3"
        store = open_store(f"sqlite:///{path}")
        enrol(store, name_fleet("GROW", gateways, b""))
        stored = 0
        for number, readings in enumerate(stages):
            fleet = name_fleet("GROW", gateways, b"%d" % number)
            each = max(1, (readings - stored) // (gateways * SHAPE.readings_per_segment))
            starts_ms = START_MS + stored // (gateways * SHAPE.loggers) * SHAPE.interval_s * 1000
            cpu_s = take(store, fleet, each, starts_ms)
            added = each * gateways * SHAPE.readings_per_segment
            stored += added
            trip_ms = statistics.median(read_trip(store, fleet[i % gateways], starts_ms) for i in range(TRIPS))
            size = sum(file.stat().st_size for file in path.parent.iterdir())
            yield Stage(stored, round(cpu_s / added * 1e6, 3), round(trip_ms, 2), round(size / stored, 1))
        store.close()


def enrol(store: Store, fleet: list[SimulatedVehicle]) -> None:
    """Let the hub know the vehicles' keys."""
    with store.write() as connection:
        for vehicle in fleet:
            connection.execute(insert(schema.gateways).values(name=vehicle.name, created_at_ms=START_MS))
            connection.execute(
                insert(schema.gateway_keys).values(
                    gateway=vehicle.name,
                    public_key=vehicle.key.public_bytes,
                    token_hash=sha256(vehicle.name.encode()).digest(),
                    enrolled_at_ms=START_MS,
                )
            )


def take(store: Store, fleet: list[SimulatedVehicle], each: int, starts_ms: int) -> float:
    """Take all logs as the exchange does, in batches; return the processor time."""
    logs = list(seal_logs(fleet, SHAPE, each, starts_ms, os.cpu_count() or 1))
    deliveries = [Delivery(v.name, log[n]) for n in range(each) for v, log in zip(fleet, logs, strict=True)]
    ingest = Ingest(store, lambda: starts_ms + each * SHAPE.readings * SHAPE.interval_s * 1000)
    began_s = time.process_time()
    for start in range(0, len(deliveries), BATCH):
        ingest.take(deliveries[start : start + BATCH])
    return time.process_time() - began_s


def read_trip(store: Store, vehicle: SimulatedVehicle, starts_ms: int) -> float:
    """Read one logger's four hours with nothing remembered; return milliseconds."""
    archive = Archive(store)
    began_s = time.process_time()
    found = archive.observations(vehicle.logger(0), starts_ms, starts_ms + TRIP_MS)
    if not found:
        raise click.ClickException("a trip that was stored is not found")
    return (time.process_time() - began_s) * 1000


@contextmanager
def databases() -> Iterator[list[tuple[str, str, int]]]:
    """Yield (name, database, workers) of each hub that can run here."""
    hubs = [("SQLite, one process", "", 0)]
    try:
        with running_cluster() as cluster:
            hubs += [
                ("PostgreSQL, one process", cluster.make_database(empty=True), 0),
                ("PostgreSQL, one worker of each", cluster.make_database(empty=True), 1),
                ("PostgreSQL, two workers of each", cluster.make_database(empty=True), 2),
            ]
            yield hubs
    except PostgresMissingError as error:
        click.echo(str(error), err=True)
        yield hubs


@click.command(help=__doc__)
@click.option("--full", is_flag=True, help="Millions of readings through each hub, an archive of 50 million.")
@click.option("--gateways", default=20, show_default=True, help="Vehicles; ten loggers each.")
@click.option("--segments", type=int, help="Of each vehicle; 60, or 2,000 with --full.")
@click.option("--only", help="Only hubs whose name begins like this; 'grow' for the archive alone.")
@click.option("--json", "as_json", is_flag=True, help="Write JSON.")
def main(*, full: bool, gateways: int, segments: int | None, only: str | None, as_json: bool) -> None:
    """Measure and print."""
    each = segments or (2_000 if full else 60)
    million = 1_000_000
    stages = [million, 10 * million, 25 * million, 50 * million] if full else [million // 4, million // 2, million]
    taken: list[Taken] = []
    if only != "grow":
        with databases() as hubs:
            wanted = [hub for hub in hubs if only is None or hub[0].startswith(only)]
            taken = [measure(*hub, gateways, each) for hub in wanted]
    grown = list(grow(stages, 100)) if only in (None, "grow") else []
    if as_json:
        click.echo(json.dumps({"taken": [asdict(one) for one in taken], "grown": [asdict(one) for one in grown]}))
        return
    for one in taken:
        click.echo(
            f"{one.hub:<32} {one.archived_per_s:>9,.0f}/s archived {one.judged_per_s:>9,.0f}/s judged"
            f" {one.cpu_us_per_reading:>6.1f} µs CPU a reading {one.peak_mib:>6.0f} MiB"
            f" ack {one.latency_p50_s:.2f} s, p99 {one.latency_p99_s:.2f} s"
        )
    for stage in grown:
        click.echo(
            f"{stage.readings:>12,} readings: {stage.cpu_us_per_reading:.2f} µs CPU a reading,"
            f" a trip in {stage.trip_ms:.1f} ms, {stage.bytes_per_reading:.1f} B a reading"
        )
    if grown:
        ratio = grown[-1].cpu_us_per_reading / grown[0].cpu_us_per_reading
        slowest_ms = max(stage.trip_ms for stage in grown)
        click.echo(f"cost at the end / at the beginning: {ratio:.2f} (goal {GROWTH_GOAL})")
        click.echo(f"slowest trip: {slowest_ms:.1f} ms (goal {TRIP_GOAL_MS:.0f})")


if __name__ == "__main__":
    main()
