"""How much a hub takes: ``.venv/bin/python benchmarks/hub.py [--full] [--only PART] [--json]``.

load     real hub processes, a real Mosquitto and a simulated fleet (`coldchain simulate fleet`) on this machine, with
         signed segments of 50 readings: readings a second until all is archived, judged, and in InfluxDB; what each
         kind of process takes of the processors, and of memory. PostgreSQL waits for the disk at each commit.
points   the projection alone
growth   an archive alone: what a reading costs as the store fills, to a million readings or, with --full, to 50
         million, and how long the read of one logger's four hours takes out of it
losses   what is lost when InfluxDB or the program that writes to it is killed in the middle, beside the script that a
         user would otherwise write: paho's callback into influxdb-client's batching WriteApi

Goals on 2 cores that do nothing else: 100,000 readings a second on SQLite, 50,000 on PostgreSQL and for the projection;
a reading costs at most 1.5 times as much at the end as at the beginning; a trip is read within 20 ms; nothing is lost.
On a machine that does other work look at the processor time, and at the ratios.

InfluxDB is Debian's influxdb 1.6 behind a translation of v2 writes, as in tests/integration.
"""  # noqa: INP001  a script, not a package

from __future__ import annotations

import json
import signal
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click
from fleet.growth import Projected, Stage, grow, project
from fleet.hubs import BUCKET, Hub, Taken, measure
from fleet.losses import Fault, Kept, try_hub, try_script

from gateway.hub.database.store import open_existing_store
from gateway.hub.settings import InfluxSettings
from tests.integration.influx_engine import Debian, Front, ask
from tests.servers.mosquitto import running_mosquitto
from tests.servers.postgres import PostgresMissingError, running_cluster

PARTS = ("load", "points", "growth", "losses")
GROWTH_GOAL, TRIP_GOAL_MS, POINTS_GOAL = 1.5, 20.0, 50_000
HUBS = (
    # name, on PostgreSQL, with InfluxDB, judging apart, workers
    ("SQLite", False, False, False, 0),
    ("SQLite, judging apart", False, False, True, 0),
    ("SQLite + InfluxDB", False, True, False, 0),
    ("SQLite + InfluxDB, judging apart", False, True, True, 0),
    ("PostgreSQL, one worker of each", True, False, False, 1),
    ("PostgreSQL + InfluxDB, one worker of each", True, True, False, 1),
    ("PostgreSQL + InfluxDB, one worker of each, judging apart", True, True, True, 1),
    ("PostgreSQL + InfluxDB, two workers of each", True, True, False, 2),
)
MILLION = 1_000_000
Outcome = Taken | Projected | Stage | Kept


class Bench:
    """Servers of one's own, started when they are needed first."""

    def __init__(self, stack: ExitStack) -> None:
        self._stack = stack
        self._engine: Debian | None = None
        self.front: Front | None = None

    def folder(self) -> Path:
        """A new folder."""
        return Path(self._stack.enter_context(tempfile.TemporaryDirectory(prefix="coldchain-bench-")))

    def broker(self) -> str:
        """A Mosquitto."""
        return self._stack.enter_context(running_mosquitto(self.folder()))

    def database(self) -> str:
        """An empty database in a PostgreSQL of its own; raises PostgresMissingError."""
        return self._stack.enter_context(running_cluster(durable=True)).make_database(empty=True)

    def influx(self) -> tuple[Debian, Front]:
        """The InfluxDB, one for all that this is asked."""
        if self._engine is None or self.front is None:
            self._engine = Debian(self.folder())
            self._stack.callback(self._engine.close)
            self.front = Front(self._engine)
            self._stack.callback(self.front.close)
        return self._engine, self.front

    def hub(self, database: str, workers: int, influx: str, *, apart: bool = False) -> Hub:
        """A hub with a broker of its own."""
        hub = Hub(self.folder(), database, self.broker(), workers, influx, apart=apart)
        self._stack.callback(hub.stop)
        return hub

    def bucket(self, name: str) -> InfluxSettings:
        """A new bucket."""
        engine, front = self.influx()
        settings = InfluxSettings(url=front.url, bucket=name)
        for one in (name, settings.long_bucket_name):
            ask(engine.url, "", f'CREATE DATABASE "{one}"')
        return settings


def load(gateways: int, segments: int, only: str) -> Iterator[Taken]:
    """Measure each way of running a hub, one after another."""
    for name, is_postgres, has_influx, is_apart, workers in HUBS:
        if not name.startswith(only):
            continue
        with ExitStack() as stack:
            bench = Bench(stack)
            try:
                database = bench.database() if is_postgres else ""
                influx = bench.bucket(BUCKET).url if has_influx else ""
            except (PostgresMissingError, FileNotFoundError) as error:
                click.echo(f"{name}: {error}", err=True)
                continue
            hub = bench.hub(database, workers, influx, apart=is_apart)
            store = open_existing_store(hub.database)
            stack.callback(store.close)
            yield measure(name, hub, store, gateways, segments, projects=has_influx)


def points(gateways: int, segments: int) -> Iterator[Projected]:
    """Measure the projection alone."""
    for name in ("SQLite", "PostgreSQL"):
        with ExitStack() as stack:
            bench = Bench(stack)
            database = bench.database() if name == "PostgreSQL" else f"sqlite:///{bench.folder() / 'hub.sqlite3'}"
            yield project(name, database, bench.bucket("points"), gateways, segments)


def losses(segments: int, outage_s: float) -> Iterator[Kept]:
    """Kill this and that: the script's first, then the hub's."""
    with ExitStack() as stack:
        bench = Bench(stack)
        engine, front = bench.influx()
        broker = bench.broker()
        for fault in Fault:
            yield try_script(broker, engine, front, 20 * segments, fault, outage_s)
    for fault in Fault:
        with ExitStack() as stack:
            bench = Bench(stack)
            engine, front = bench.influx()
            bench.bucket(BUCKET)
            yield try_hub(bench.hub("", 0, front.url), engine, 20, segments, fault, outage_s)


@click.command(help=__doc__)
@click.option("--full", is_flag=True, help="Millions of readings through each hub, an archive of 50 million.")
@click.option("--gateways", default=20, show_default=True, help="Vehicles; ten loggers each.")
@click.option("--segments", type=int, help="Of each vehicle; `load` 1,000, or 4,000 with --full; others 60, or 2,000.")
@click.option("--outage", default=10.0, show_default=True, help="Seconds for which InfluxDB is away.")
@click.option("--only", multiple=True, type=click.Choice(PARTS), help="These parts alone.")
@click.option("--hub", default="", help="Only hubs whose name begins like this.")
@click.option("--millions", type=int, help="Readings that the archive grows to.")
@click.option("--json", "as_json", is_flag=True, help="Write JSON.")
def main(**options: Any) -> None:  # noqa: ANN401  click hands over what is declared above
    """Measure and print."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # what was started is ended
    full, gateways = options["full"], options["gateways"]
    parts = options["only"] or PARTS
    each = options["segments"] or (2_000 if full else 60)
    loaded = options["segments"] or (4_000 if full else 1_000)
    last = options["millions"] or (50 if full else 1)
    stages = [MILLION, 10 * MILLION, 25 * MILLION, 50 * MILLION] if last > 1 else [MILLION // 4, MILLION // 2, MILLION]
    stages = [stage for stage in stages if stage < last * MILLION] + [last * MILLION]
    measured: dict[str, Iterator[tuple[Outcome, str]]] = {
        "load": ((one, _taken_in_words(one)) for one in load(gateways, loaded, options["hub"])),
        "points": ((one, _projected_in_words(one)) for one in points(gateways, each)),
        "growth": ((one, _stage_in_words(one)) for one in grow(stages, 100)),
        "losses": ((one, _kept_in_words(one)) for one in losses(each, options["outage"])),
    }
    told: dict[str, list[dict[str, Any]]] = {}
    for part in parts:
        for one, words in measured[part]:
            told.setdefault(part, []).append(asdict(one))
            if not options["as_json"]:
                click.echo(words)
    if options["as_json"]:
        click.echo(json.dumps(told))
    elif "growth" in told:
        click.echo(_growth_in_words(told["growth"]))


def _taken_in_words(one: Taken) -> str:
    projected = "" if one.projected_per_s is None else f", {one.projected_per_s:,.0f} projected"
    cpu = ", ".join(f"{kind} {us:.1f}" for kind, us in one.cpu_us.items() if us > 0)
    mib = ", ".join(f"{process} {mib:.0f}" for process, mib in one.mib.items())
    return (
        f"{one.hub}: {one.archived_per_s:,.0f} readings/s archived, {one.judged_per_s:,.0f} judged{projected};"
        f" acknowledged after {one.latency_p50_s:.2f} s (half), {one.latency_p99_s:.2f} s (99 of 100)\n"
        f"    µs of processor a reading: {cpu}\n    MiB: {mib}"
    )


def _projected_in_words(one: Projected) -> str:
    return (
        f"projection from {one.database}: {one.readings_per_s:,} readings/s (goal {POINTS_GOAL:,}),"
        f" {one.cpu_us:.1f} µs of its processor a reading"
    )


def _stage_in_words(one: Stage) -> str:
    cost = f"{one.cpu_us_per_reading:.2f} µs of processor a reading ({one.fresh_us:.2f} in an empty archive meanwhile)"
    trip = f"a trip in {one.trip_ms:.1f} ms ({one.trip_cpu_ms:.1f} ms of processor)"
    size = f"{one.bytes_per_reading:.1f} B a reading"
    return f"{one.readings:>12,} readings: {cost}, {one.readings_per_s:,} a second; {trip}; {size}"


def _growth_in_words(grown: list[dict[str, Any]]) -> str:
    ratio = grown[-1]["cpu_us_per_reading"] / grown[-1]["fresh_us"]
    slowest_ms = max(stage["trip_ms"] for stage in grown)
    return (
        f"cost at the end / in an empty archive: {ratio:.2f} (goal {GROWTH_GOAL}); slowest trip {slowest_ms:.1f} ms"
        f" (goal {TRIP_GOAL_MS:.0f})"
    )


def _kept_in_words(one: Kept) -> str:
    rate = f", {one.readings_per_s:,.0f} readings/s" if one.killed is Fault.NOTHING else ""
    return f"{one.program}, killed: {one.killed}: {one.lost:,} of {one.readings:,} readings lost{rate}"


if __name__ == "__main__":
    main()
