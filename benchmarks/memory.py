"""What memory a long silence costs: ``.venv/bin/python benchmarks/memory.py [--json] [--hours H] [--vehicles N]``.

A vehicle that was offline for days with 50 loggers, all boxes loaded: the real process is started over an outbox that
the product's own rooms have filled, hears its loggers, judges again what it recorded, and sends. And a hub, the real
process on SQLite behind Mosquitto, to which many such vehicles come back at once, each with 50 loggers; as many boxes
are under way as one hub's configuration holds. Memory is the most that a process ever held resident (VmHWM). Nothing
may be lost: each vehicle ends when the hub has acknowledged all it has, hash for hash.

By default each of the hub's vehicles has half an hour behind it, to be quick; ``--hub-hours 72`` gives it three days.
"""  # noqa: INP001  a script, not a package

from __future__ import annotations

import asyncio
import json
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import AsyncExitStack
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import click
import httpx
from fleet.backlog import Returning, fill_outbox
from fleet.tags import hear_contents, make_tags

from gateway.clock import ClockSettings, open_clock
from gateway.core.configuration import Box, Calibration, Consignment, Logger
from gateway.core.contents import Content
from gateway.core.profiles import Profile
from gateway.demo.company import Company, TooLateError, assemble
from gateway.demo.processes import Child
from gateway.demo.timing import Timing, measure_lead_s
from gateway.demo.trip import load_trip
from gateway.hub.rooms import Rooms, open_rooms
from gateway.hub.settings import HubSettings
from gateway.keys import load_or_create_key
from gateway.mqtt import MqttSettings
from gateway.vehicle.identity import KEY_FILE
from gateway.vehicle.settings import RecordingSettings
from tests.servers.mosquitto import running_mosquitto

VEHICLE_GOAL_MIB, HUB_GOAL_MIB = 120.0, 400.0
LOGGERS = 50
BOXES_MAX = 400
"""Boxes under way at the hub: its configuration holds some 500."""
ATTEMPTS = 3
SETTLE_S = 10.0
LIMIT_S = 4 * 3600
START = datetime(2026, 3, 10, 8, 0, tzinfo=UTC)
INTERVAL_S = RecordingSettings().interval_s

_HEAD = """
[clock]
start = {start}
stop = {stop}
[weather]
curve = [{{ at = {start}, temperature_c = -6.0 }}]
[places.cabin]
heated_to_c = 20.0
[demo]
gateway = "VAN-1"
[[profiles]]
id = "cold"
title = "Cold"
kind = "medicine"
owner = "benchmark"
source = "benchmark"
evidence = "demonstration"
bands = [{{ name = "cold", from_c = 2.0, to_c = 8.0 }}]
limits = [{{ name = "warm", above_c = 8.0, single = "30 min" }}]
"""
_BOX = """
[[boxes]]
code = "BOX-{number}"
kind = "pur"
place = "cabin"
payload = {{ mass_kg = 1.0, temperature_c = 5.0 }}
pcm = {{ mass_kg = 2.0 }}
logger = {{ address = "{address}" }}
[[consignments]]
code = "C-{number}"
carriage = [{{ box = "BOX-{number}", begins = {loaded} }}]
items = [{{ code = "I-{number}", kind = "medicine", examinations = [{{ code = "K", profile = "cold" }}] }}]
"""
PROFILE = {
    "id": "cold",
    "title": "Cold",
    "kind": "medicine",
    "owner": "benchmark",
    "source": "benchmark",
    "evidence": "verified",
    "bands": [{"name": "cold", "from_c": 2.0, "to_c": 8.0}],
    "limits": [{"name": "warm", "above_c": 8.0, "single": "30 min"}],
}


@dataclass(frozen=True)
class Outcome:
    """One process: what it had to deal with, how long that took, and the most memory that it held."""

    process: str
    vehicles: int
    hours: float
    segments: int
    seconds: float
    start_mib: float
    peak_mib: float
    goal_mib: float

    @property
    def is_met(self) -> bool:
        """Whether the goal is reached."""
        return self.peak_mib <= self.goal_mib


# --- the vehicle


async def measure_vehicle(folder: Path, loggers: int, hours: float) -> Outcome:
    """Start a vehicle after so many hours without a network."""
    scenario = folder / "trip.toml"
    addresses = [f"C0:FF:EE:00:{number >> 8:02X}:{number & 0xFF:02X}" for number in range(loggers)]
    times = {"start": START.isoformat(), "stop": (START + timedelta(hours=6)).isoformat()}
    loaded = (START - timedelta(hours=hours)).isoformat()
    boxes = [_BOX.format(number=n, address=address, loaded=loaded) for n, address in enumerate(addresses)]
    scenario.write_text(_HEAD.format(**times) + "".join(boxes), encoding="utf-8")
    trip = await load_trip(scenario, rate=1.0)
    lead_s = measure_lead_s()
    for attempt in range(ATTEMPTS):
        run = folder / str(attempt)
        segments = fill_outbox(run / "vehicle", "VAN-1", _recorded(addresses, hours), _since_ms(hours), INTERVAL_S)
        timing = Timing.ahead(trip.clock.start, trip.clock.stop, 1.0, lead_s)
        try:
            async with assemble(trip, scenario, timing, run, 1) as company:
                return await _look(company, loggers, hours, segments)
        except TooLateError:
            lead_s *= 2
    raise TooLateError(f"the processes were not ready {lead_s / 2:.0f} s ahead, {ATTEMPTS} times")


async def _look(company: Company, loggers: int, hours: float, segments: int) -> Outcome:
    began_s, at_start = time.monotonic(), _memory_mib(company.vehicle.pid)
    async with asyncio.timeout(LIMIT_S), httpx.AsyncClient(base_url=company.vehicle_url) as client:
        while True:
            state = (await client.get("/api/v1/state", timeout=60)).raise_for_status().json()
            _say(f"vehicle: {state['outbox']['segments']} segments wait, {len(state['boxes'])} boxes")
            if state["outbox"]["segments"] <= 1 and len(state["boxes"]) == loggers:
                break
            await asyncio.sleep(0.5)
    seconds = time.monotonic() - began_s
    await asyncio.sleep(SETTLE_S)
    peak = _memory_mib(company.vehicle.pid)
    return Outcome("vehicle", 1, hours, segments, seconds, at_start, peak, VEHICLE_GOAL_MIB)


def _recorded(addresses: list[str], hours: float) -> Iterator[Content]:
    tags = make_tags(len(addresses), 5.0)
    for tag, address in zip(tags, addresses, strict=True):
        tag.address = address
    return hear_contents(tags, INTERVAL_S, round(hours * 3600), start_ms=_since_ms(hours))


def _since_ms(hours: float) -> int:
    return round((START.timestamp() - hours * 3600) * 1000)


# --- the hub


async def measure_hub(folder: Path, vehicles: int, loggers: int, hours: float) -> Outcome:
    """Let all vehicles come back at once."""
    settings = folder / "hub.toml"
    (folder / "mosquitto").mkdir()
    with running_mosquitto(folder / "mosquitto") as broker:
        clock = ClockSettings(start=START, anchor_ns=time.monotonic_ns(), quality="declared")
        settings.write_text(
            f'data_dir = "{folder / "hub"}"\n[broker]\nurl = "{broker}"\n'
            f'[clock]\nstart = "{START.isoformat()}"\nanchor_ns = {clock.anchor_ns}\nquality = "declared"\n'
        )
        rooms = open_rooms(
            HubSettings(data_dir=folder / "hub", broker=MqttSettings(url=broker), clock=clock, demonstration=True)
        )
        segments = _prepare(rooms, folder, vehicles, loggers, hours)
        hub_key = rooms.key.public_bytes
        rooms.store.close()
        hub = Child("hub", [sys.executable, "-m", "gateway.cli", "hub", "--settings", str(settings)], {}, folder)
        await hub.start()
        at_start = _memory_mib(hub.pid)
        began_s = time.monotonic()
        try:
            fleet = [
                Returning.open(_name(number), folder / _name(number), broker, hub_key, open_clock(clock))
                for number in range(vehicles)
            ]
            await _drain(fleet, segments)
            seconds = time.monotonic() - began_s
            await asyncio.sleep(SETTLE_S)
            peak = _memory_mib(hub.pid)
        finally:
            await hub.stop()
    stored = _count_stored(folder)
    if stored != segments:
        raise RuntimeError(f"{segments} segments were sealed, the hub has {stored}")
    return Outcome("hub", vehicles, hours, segments, seconds, at_start, peak, HUB_GOAL_MIB)


async def _drain(fleet: list[Returning], segments: int) -> None:
    async with AsyncExitStack() as stack, asyncio.timeout(LIMIT_S):
        for vehicle in fleet:
            stack.callback(vehicle.storage.close)
        async with asyncio.TaskGroup() as tasks:
            lines = [tasks.create_task(vehicle.uplink.run(), name=vehicle.name) for vehicle in fleet]
            while waiting := sum(vehicle.waiting for vehicle in fleet):
                _say(f"hub: {segments - waiting} of {segments} segments")
                await asyncio.sleep(0.5)
            for line in lines:
                line.cancel()


def _prepare(rooms: Rooms, folder: Path, vehicles: int, loggers: int, hours: float) -> int:
    """Register what the hub's configuration holds, enrol the vehicles and fill their outboxes."""
    rooms.registry.put_profile(Profile.model_validate(PROFILE), "benchmark")
    calibration = Calibration(
        certificate="K-1", calibrated_at=START - timedelta(days=30), due_at=START.replace(year=2030)
    )
    templates = list(hear_contents(make_tags(loggers, 5.0), INTERVAL_S, round(hours * 3600), start_ms=_since_ms(hours)))
    segments = 0
    for number in range(vehicles):
        name, data = _name(number), folder / _name(number)
        data.mkdir()
        key = load_or_create_key(data / KEY_FILE)
        rooms.enrolment.enrol(name, rooms.enrolment.issue_code(name, "benchmark"), key.public_bytes)
        contents = [_rename(content, number) for content in templates]
        segments += fill_outbox(data, name, contents, _since_ms(hours), INTERVAL_S)
        for place, address in enumerate(sorted({o.logger for o in contents[0].observations})[: BOXES_MAX // vehicles]):
            code = f"{number}-{place}"
            rooms.registry.put_box(Box(code=f"BOX-{code}"), "benchmark")
            rooms.registry.put_logger(Logger(address=address, box=f"BOX-{code}", calibration=calibration), "benchmark")
            rooms.registry.put_consignment(_consignment(code, hours), "benchmark")
        _say(f"hub: {number + 1} of {vehicles} logs written")
    return segments


def _consignment(code: str, hours: float) -> Consignment:
    item = {"code": f"I-{code}", "kind": "medicine", "examinations": [{"code": "K", "profile": "cold"}]}
    begins = (START - timedelta(hours=hours)).isoformat()
    return Consignment.model_validate(
        {"code": f"C-{code}", "items": [item], "carriage": [{"box": f"BOX-{code}", "begins": begins}]}
    )


def _rename(content: Content, number: int) -> Content:
    """The same readings, of another vehicle's loggers."""
    return Content(
        tuple(
            type(o)(**{name: getattr(o, name) for name in o.__struct_fields__} | {"logger": _address(o.logger, number)})
            for o in content.observations
        ),
        content.records,
    )


def _address(address: str, number: int) -> str:
    return f"{number >> 8:02X}:{number & 0xFF:02X}{address[5:]}"


def _name(number: int) -> str:
    return f"VAN-{number + 1}"


def _count_stored(folder: Path) -> int:
    rooms = open_rooms(HubSettings(data_dir=folder / "hub"))
    try:
        return rooms.archive.counts().chained
    finally:
        rooms.store.close()


def _memory_mib(pid: int) -> float:
    """The most that a process ever held resident."""
    for line in Path(f"/proc/{pid}/status").read_text(encoding="ascii").splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) / 1024
    raise RuntimeError(f"/proc/{pid}/status does not say what it held")


def _say(text: str) -> None:
    if sys.stderr.isatty():
        click.echo(f"\r{text:<70}", nl=False, err=True)


async def measure(folder: Path, vehicles: int, loggers: int, hours: float, hub_hours: float) -> list[Outcome]:
    """Both, one after the other."""
    for part in ("vehicle", "hub"):
        (folder / part).mkdir()
    outcomes = []
    if hours:
        outcomes.append(await measure_vehicle(folder / "vehicle", loggers, hours))
    if vehicles:
        outcomes.append(await measure_hub(folder / "hub", vehicles, loggers, hub_hours))
    return outcomes


@click.command(help=__doc__)
@click.option("--hours", default=72.0, show_default=True, help="that the vehicle was offline; 0: leave it out")
@click.option("--vehicles", default=200, show_default=True, help="that come back to the hub; 0: leave it out")
@click.option("--hub-hours", default=0.5, show_default=True, help="that these were offline")
@click.option("--loggers", default=LOGGERS, show_default=True, help="of each vehicle")
@click.option("--folder", type=click.Path(path_type=Path, file_okay=False), help="where to write")
@click.option("--json", "as_json", is_flag=True, help="write JSON")
def main(hours: float, vehicles: int, hub_hours: float, loggers: int, folder: Path | None, *, as_json: bool) -> None:
    """Measure and print."""
    with tempfile.TemporaryDirectory(prefix="coldchain-bench-", dir=folder) as scratch:
        outcomes = asyncio.run(measure(Path(scratch), vehicles, loggers, hours, hub_hours))
    if as_json:
        click.echo(json.dumps([asdict(one) | {"is_met": one.is_met} for one in outcomes]))
        return
    for one in outcomes:
        click.echo(
            f"{one.process:<8}{one.vehicles:>4} × {one.hours:g} h offline with {loggers} loggers,"
            f" {one.segments} segments, none lost, in {one.seconds:.0f} s:"
            f" {one.start_mib:.0f} MiB at the start, {one.peak_mib:.0f} MiB at most"
            f" (goal {one.goal_mib:.0f}): {'met' if one.is_met else 'missed'}"
        )


if __name__ == "__main__":
    main()
