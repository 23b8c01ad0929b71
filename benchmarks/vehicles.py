"""A fleet of a thousand vehicles against one hub: ``.venv/bin/python benchmarks/vehicles.py [--gateways N] [--json]``.

It starts a PostgreSQL that waits for the disk, a Mosquitto, and of each kind of hub process one, and lets `coldchain
simulate fleet` register its vehicles, each with ten boxes, ten loggers and a consignment of ten items, and send over a
connection of its own for each vehicle. Each stage has a new hub:

own    as the fleet does it: a reading of each logger and a segment of each vehicle every 30 s, vehicles in turn
full   as fast as the hub takes it, 50 readings in a segment

All share this machine's processors, so on a busy one look at the processor time, not at the rates. Of a thousand
vehicles `own` takes some three minutes, and `full` as long as the machine needs for 1,000,000 readings.
"""  # noqa: INP001  a script, not a package

from __future__ import annotations

import json
import signal
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path

import click
from fleet.hubs import POLL_S, SAMPLE_S, Hub, count_stored, end_load, is_judged
from fleet.processes import read_cpu_s, read_memory_mib

from gateway.hub.database.store import Store, open_existing_store
from tests.servers.mosquitto import running_mosquitto
from tests.servers.postgres import running_cluster

LOGGERS, INTERVAL_S = 10, 30
OWN, FULL = "own", "full"
FULL_READINGS = 5


@dataclass(frozen=True)
class Stage:
    """What a stage came to. Rates are readings a second, latencies seconds until the hub's own acknowledgement.

    registered_s      by the clock; `registering_cpu_s` what each kind of process took for it
    archived_per_s    until the hub has acknowledged all, `judged_per_s` until all verdicts are there
    cpu_us            of each kind of process for a reading, until all is judged
    mib               the most memory of each process (of PostgreSQL: what it holds at the end)
    """

    stage: str
    gateways: int
    readings: int
    repeated: int
    registered_s: float
    registering_cpu_s: Mapping[str, float]
    archived_per_s: float
    judged_per_s: float
    latency_p50_s: float
    latency_p99_s: float
    latency_max_s: float
    cpu_us: Mapping[str, float]
    mib: Mapping[str, float]


def run_stage(stage: str, gateways: int, segments: int) -> Stage:
    """Start everything, load it, and end it again."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="coldchain-bench-")))
        (folder / "broker").mkdir()
        broker = stack.enter_context(running_mosquitto(folder / "broker"))
        database = stack.enter_context(running_cluster(durable=True)).make_database(empty=True)
        hub = Hub(folder, database, broker, workers=1)
        stack.callback(hub.stop)
        store = open_existing_store(database)
        stack.callback(store.close)
        return _measure(stage, hub, store, gateways, segments)


def _measure(stage: str, hub: Hub, store: Store, gateways: int, segments: int) -> Stage:
    readings = 1 if stage == OWN else FULL_READINGS
    rate = gateways * LOGGERS / INTERVAL_S if stage == OWN else 0
    before = read_cpu_s()
    fleet = hub.begin_load(
        gateways,
        segments,
        *("--loggers", str(LOGGERS), "--readings", str(readings), "--interval", str(INTERVAL_S)),
        *("--rate", str(rate), "--connections", str(gateways)),
    )
    used = before
    while not count_stored(store) and fleet.poll() is None:
        used = read_cpu_s()
        time.sleep(SAMPLE_S)
    began, began_s = used, time.monotonic()
    while fleet.poll() is None:
        used = {**used, **read_cpu_s()}  # of the fleet too, while it is there
        time.sleep(SAMPLE_S)
    said = end_load(fleet)
    while not is_judged(store):
        time.sleep(POLL_S)
    lasted_s = max(said["lasted_s"], time.monotonic() - began_s)
    used = {**used, **read_cpu_s()}
    count = int(said["readings"])
    return Stage(
        stage=stage,
        gateways=gateways,
        readings=count,
        repeated=int(said["repeated"]),
        registered_s=said["registered_s"],
        registering_cpu_s={kind: round(s - before.get(kind, 0.0), 1) for kind, s in began.items()},
        archived_per_s=said["readings_per_s"],
        judged_per_s=round(count / lasted_s, 1),
        latency_p50_s=said["latency_p50_s"],
        latency_p99_s=said["latency_p99_s"],
        latency_max_s=said["latency_max_s"],
        cpu_us={kind: round((s - began.get(kind, 0.0)) / count * 1e6, 1) for kind, s in used.items()},
        mib=read_memory_mib(),
    )


def _in_words(one: Stage) -> Iterator[str]:
    yield (
        f"{one.stage}: {one.gateways:,} vehicles, {one.readings:,} readings; {one.archived_per_s:,.0f}/s archived,"
        f" {one.judged_per_s:,.0f} judged; {one.repeated:,} segments sent again"
    )
    yield (
        f"    acknowledged after {one.latency_p50_s:.2f} s (half), {one.latency_p99_s:.2f} s (99 of 100),"
        f" {one.latency_max_s:.2f} s (all)"
    )
    cpu = ", ".join(f"{kind} {s:.0f}" for kind, s in one.registering_cpu_s.items())
    yield f"    registered in {one.registered_s:.0f} s; seconds of processor until the first segment: {cpu}"
    yield "    µs of processor a reading: " + ", ".join(f"{kind} {us:.0f}" for kind, us in one.cpu_us.items())
    yield "    MiB: " + ", ".join(f"{process} {mib:.0f}" for process, mib in one.mib.items())


@click.command(help=__doc__)
@click.option("--gateways", default=1000, show_default=True, help="Vehicles; ten boxes, loggers and items each.")
@click.option("--own-segments", default=6, show_default=True, help="Of each vehicle, one each 30 s.")
@click.option("--full-segments", default=20, show_default=True, help="Of each vehicle, of 50 readings.")
@click.option("--only", type=click.Choice((OWN, FULL)), help="This stage alone.")
@click.option("--json", "as_json", is_flag=True, help="Write JSON.")
def main(gateways: int, own_segments: int, full_segments: int, only: str | None, *, as_json: bool) -> None:
    """Measure and print."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # what was started is ended
    segments = {OWN: own_segments, FULL: full_segments}
    for stage in (only,) if only else (OWN, FULL):
        done = run_stage(stage, gateways, segments[stage])
        click.echo(json.dumps(asdict(done)) if as_json else "\n".join(_in_words(done)))


if __name__ == "__main__":
    main()
