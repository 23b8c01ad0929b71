"""How fast an alert leaves: ``.venv/bin/python benchmarks/alerts.py [--vehicles N] [--seconds S] [--json]``.

A real hub process (SQLite), a real Mosquitto, and simulated vehicles that seal, sign and send their logs over MQTT as
vehicles do, three times as often. Each has a box that grows warm at some moment: from that reading the vehicle seals,
judges and flags over HTTP, the hub takes it, plans it, and posts it to the webhook of whoever asked for it. Measured is
the time from the reading to the arrival of that webhook. Then all boxes grow hot within a second.

Goal: p99 at most 1 s with 200 vehicles whose breaches come one by one, on 2 cores that do nothing else. Vehicles,
broker, hub and webhooks share them here. The other end, all at once, has no goal: it says how long the last one waits.
"""  # noqa: INP001  a script, not a package

from __future__ import annotations

import asyncio
import json
import os
import random
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from hashlib import sha256
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from statistics import quantiles

import click
import httpx
from sqlalchemy import insert

from gateway.core.configuration import Box, Carriage, Configuration, Consignment, Examination, Item, Logger
from gateway.core.contents import Content, encode_content
from gateway.core.flags import flag_breach
from gateway.core.judgement import ConsignmentJudge
from gateway.core.observations import Observation, Source
from gateway.core.profiles import Evidence, Forbidden, Kind, Profile
from gateway.core.segments import NO_HASH, Position, SegmentHeader, seal_segment
from gateway.core.topics import LOG, topic_of
from gateway.hub.database import schema
from gateway.hub.database.store import Store, open_store
from gateway.hub.notification.directory import Directory
from gateway.hub.notification.recipients import Channel, Recipient
from gateway.hub.registry.registry import Registry
from gateway.hub.settings import HubSettings
from gateway.load.vehicles import SimulatedVehicle, name_fleet
from gateway.mqtt import MqttClient, MqttSettings
from gateway.settings import load_settings
from tests.servers.mosquitto import running_mosquitto

ROOT = Path(__file__).resolve().parents[1]
GOAL_P99_S = 1.0
SEAL_EACH_S = 10.0
CALM_C, WARM_C, HOT_C = 5.0, 30.0, 45.0
ARRIVE_S = 30.0
READY_S = 60
PROFILE = Profile(
    id="benchmark",
    title="Benchmark",
    kind=Kind.SAMPLE,
    owner="benchmark",
    source="none: figures of a benchmark",
    evidence=Evidence.DEMONSTRATION,
    forbidden=(Forbidden(name="warm", above_c=25), Forbidden(name="hot", above_c=40)),
)


@dataclass(frozen=True)
class Delays:
    """From readings to webhooks, in seconds."""

    what: str
    alerts: int
    missing: int
    p50_s: float
    p99_s: float
    max_s: float


class Sink(ThreadingHTTPServer):
    """Takes webhooks and remembers when each recipient heard of each rule."""

    daemon_threads = True
    request_queue_size = 512

    def __init__(self) -> None:
        self.heard_s: dict[tuple[str, str], float] = {}
        super().__init__(("127.0.0.1", 0), _Handler)


class _Handler(BaseHTTPRequestHandler):
    server: Sink

    def do_POST(self) -> None:
        """Take one."""
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        now_s = time.monotonic()
        for alert in body["alerts"]:
            if alert["kind"] == "breach":
                self.server.heard_s.setdefault((alert["about"]["consignment"], alert["about"]["rule"]), now_s)
        self.send_response(204)
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  the base's name
        """Be quiet."""


class Van:
    """A vehicle: seals, judges, flags and sends."""

    def __init__(self, vehicle: SimulatedVehicle, begins: datetime) -> None:
        self.vehicle = vehicle
        self.name = vehicle.name
        self.box, self.logger = vehicle.box(0), vehicle.logger(0)
        self.token = f"ccg_{sha256(vehicle.name.encode()).hexdigest()}"
        self.measured_s: dict[str, float] = {}
        self._sign = vehicle.key.sign  # reading the key each time is no part of a vehicle's work
        self._offset, self._previous, self._counter = 0, NO_HASH, 0
        carriage = (Carriage(box=self.box, begins=begins),)
        item = Item(
            code=f"T-{self.name}",
            kind=Kind.SAMPLE,
            examinations=(Examination(code="x", profile=PROFILE.id),),
            carriage=carriage,
        )
        self.consignment = Consignment(code=f"C-{self.name}", items=(item,), requester=f"WARD-{self.name}")
        configuration = Configuration(
            version=1,
            gateway=self.name,
            demonstration=True,
            loggers=(Logger(address=self.logger, box=self.box),),
            boxes=(Box(code=self.box),),
            consignments=(self.consignment,),
            profiles=(PROFILE,),
        )
        self._judge = ConsignmentJudge(self.consignment, configuration)

    def seal(self, temperature_c: float) -> bytes:
        """Take a reading and seal it."""
        now_ms = time.time_ns() // 1_000_000
        self._counter += 1
        reading = Observation(
            logger=self.logger,
            source=Source.LIVE,
            measured_at_ms=now_ms,
            clock_trusted=True,
            monotonic_ms=now_ms,
            interval_s=round(SEAL_EACH_S),
            temperature_mc=round(temperature_c * 1000),
            counter=self._counter,
        )
        header = SegmentHeader(self.vehicle.epoch, self._offset, now_ms, self.vehicle.epoch, 1, self._previous)
        segment = seal_segment(self.name, header, encode_content(Content((reading,))), self._sign)
        self._offset, self._previous = self._offset + 1, segment.hash
        self._judge.add([reading])
        return segment.to_bytes()

    def find(self, rule: str) -> str | None:
        """Judge; return the flag of a breach of this rule as JSON, None if there is none."""
        after_ms = time.time_ns() // 1_000_000 + 1  # a vehicle has written to its card meanwhile
        for judgement in self._judge.judgements(after_ms):
            for breach in judgement.breaches:
                if breach.rule == rule:
                    position = Position(self.vehicle.epoch, self._offset - 1)
                    return flag_breach(
                        breach, judgement, gateway=self.name, config_version=1, position=position
                    ).model_dump_json()
        return None


def prepare(store: Store, settings: HubSettings, vans: Sequence[Van], sink: Sink) -> None:
    """Enrol the vehicles and register what they carry, and who asked for it."""
    now_ms = time.time_ns() // 1_000_000
    registry = Registry(store, lambda: now_ms)
    directory = Directory(store, settings.notification, lambda: now_ms)
    registry.put_profile(PROFILE, "benchmark")
    with store.write() as connection:
        for van in vans:
            connection.execute(insert(schema.gateways).values(name=van.name, created_at_ms=now_ms))
            connection.execute(
                insert(schema.gateway_keys).values(
                    gateway=van.name,
                    public_key=van.vehicle.key.public_bytes,
                    token_hash=sha256(van.token.encode()).digest(),
                    enrolled_at_ms=now_ms,
                )
            )
    for van in vans:
        registry.put_box(Box(code=van.box, gateways=(van.name,)), "benchmark")
        registry.put_logger(Logger(address=van.logger, box=van.box), "benchmark")
        registry.put_consignment(van.consignment, "benchmark")
        url = f"http://127.0.0.1:{sink.server_address[1]}/{van.name}"
        channel = Channel.model_validate({"id": "web", "url": url, "secret": van.token})
        directory.put_recipient(Recipient(name=str(van.consignment.requester), channels=(channel,)), "benchmark")


class Drive:
    """All vehicles under way."""

    def __init__(self, vans: Sequence[Van], mqtt: MqttClient, http: httpx.AsyncClient, sink: Sink) -> None:
        self._vans = vans
        self._mqtt = mqtt
        self._http = http
        self._sink = sink
        self._rng = random.Random(7)  # noqa: S311  a repeatable course, no secret
        self._calm = True

    async def run(self, seconds: float) -> list[Delays]:
        """Let boxes grow warm one by one, then hot all at once."""
        async with asyncio.TaskGroup() as tasks:
            logs = [tasks.create_task(self._keep_sealing(van)) for van in self._vans]
            await asyncio.sleep(SEAL_EACH_S / 2)
            found = [await self._break("warm", WARM_C, seconds), await self._break("hot", HOT_C, 1.0)]
            for log in logs:
                log.cancel()
        return found

    async def _keep_sealing(self, van: Van) -> None:
        await asyncio.sleep(self._rng.uniform(0, SEAL_EACH_S))
        while True:
            await self._mqtt.publish(topic_of(van.name, LOG), van.seal(CALM_C))
            await asyncio.sleep(SEAL_EACH_S)

    async def _break(self, rule: str, temperature_c: float, within_s: float) -> Delays:
        async with asyncio.TaskGroup() as tasks:
            for van in self._vans:
                tasks.create_task(self._break_one(van, rule, temperature_c, self._rng.uniform(0, within_s)))
        ends_s = time.monotonic() + ARRIVE_S
        keys = {(van.consignment.code, rule): van.measured_s[rule] for van in self._vans}
        while keys.keys() - self._sink.heard_s.keys() and time.monotonic() < ends_s:  # noqa: ASYNC110  threads
            await asyncio.sleep(0.1)
        delays = sorted(self._sink.heard_s[key] - at_s for key, at_s in keys.items() if key in self._sink.heard_s)
        cuts = quantiles(delays, n=100, method="inclusive")
        what = "one by one" if within_s > 1 else "all within a second"
        missing = len(keys) - len(delays)
        return Delays(what, len(delays), missing, round(cuts[49], 3), round(cuts[98], 3), round(delays[-1], 3))

    async def _break_one(self, van: Van, rule: str, temperature_c: float, after_s: float) -> None:
        await asyncio.sleep(after_s)
        van.measured_s[rule] = time.monotonic()
        sealed = van.seal(temperature_c)
        await self._mqtt.publish(topic_of(van.name, LOG), sealed)
        flag = van.find(rule)
        if flag is None:
            raise click.ClickException(f"{van.name} found no breach of {rule}")
        headers = {"Authorization": f"Bearer {van.token}", "Content-Type": "application/json"}
        answer = await self._http.post("/api/v1/breaches", content=flag, headers=headers)
        if answer.is_error:
            raise click.ClickException(f"the hub answers {answer.status_code}: {answer.text[:300]}")


def measure(vehicles: int, seconds: float) -> list[Delays]:
    """Run a hub, let the vehicles drive, and say how long alerts took."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="coldchain-bench-")))
        (folder / "broker").mkdir()
        broker = stack.enter_context(running_mosquitto(folder / "broker"))
        file = folder / "hub.toml"
        named = f'data_dir = "{folder / "data"}"\ndemonstration = true\n[broker]\nurl = "{broker}"\n'
        file.write_text(f'{named}[notification]\nprivate = ["127.0.0.1"]\n', encoding="utf-8")
        settings = load_settings(HubSettings, file)
        sink = Sink()
        threading.Thread(target=sink.serve_forever, daemon=True).start()
        stack.callback(sink.shutdown)
        begins = datetime.now(UTC)
        vans = [Van(vehicle, begins) for vehicle in name_fleet("VAN", vehicles, begins.isoformat().encode())]
        store = open_store(settings.database_url)
        prepare(store, settings, vans, sink)
        store.close()
        url = _start_hub(stack, file)
        return asyncio.run(_drive(vans, broker, url, sink, seconds))


async def _drive(vans: Sequence[Van], broker: str, url: str, sink: Sink, seconds: float) -> list[Delays]:
    limits = httpx.Limits(max_connections=len(vans))
    mqtt = MqttClient(MqttSettings(url=broker), "vans", repeat_in_flight=False)
    async with httpx.AsyncClient(base_url=url, timeout=60, trust_env=False, limits=limits) as http, mqtt:
        await mqtt.ready()
        return await Drive(vans, mqtt, http, sink).run(seconds)


def _start_hub(stack: ExitStack, file: Path) -> str:
    command = [sys.executable, "-m", "gateway.cli", "hub", "run", "--settings", str(file)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    log = stack.enter_context((file.parent / "hub.log").open("w"))
    child = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, text=True, env=environment)  # noqa: S603  ours
    stack.callback(child.communicate, timeout=READY_S)
    stack.callback(child.terminate)
    said = child.stdout.readline() if child.stdout else ""
    if not said.startswith("READY"):
        raise click.ClickException("the hub does not start")
    return str(json.loads(said.removeprefix("READY"))["http"])


@click.command()
@click.option("--vehicles", type=click.IntRange(2, 2000), default=200, show_default=True)
@click.option("--seconds", type=click.FloatRange(2, 600), default=30.0, show_default=True, help="For the breaches.")
@click.option("--json", "as_json", is_flag=True)
def main(vehicles: int, seconds: float, *, as_json: bool) -> None:
    """Measure how fast alerts leave."""
    found = measure(vehicles, seconds)
    if as_json:
        click.echo(json.dumps([asdict(one) for one in found]))
        return
    load = os.getloadavg()[0]
    click.echo(f"{vehicles} vehicles; from the reading to the webhook (load of this machine meanwhile: {load:.1f})")
    for one in found:
        times = f"p50 {one.p50_s:6.3f} s   p99 {one.p99_s:6.3f} s   longest {one.max_s:6.3f} s"
        click.echo(f"  {one.what:20} {one.alerts:4} alerts, {one.missing} missing   {times}")
    verdict = "reached" if found[0].p99_s <= GOAL_P99_S else "missed"
    click.echo(f"  goal: p99 at most {GOAL_P99_S:g} s, one by one: {verdict}")
    if any(one.missing for one in found):
        raise click.ClickException("alerts are missing")


if __name__ == "__main__":
    main()
