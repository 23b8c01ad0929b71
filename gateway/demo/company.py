"""The company that plays the day: hub, simulator and vehicle as processes, and the roads between them."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from gateway.core.errors import ColdchainError
from gateway.demo.link import Link
from gateway.demo.processes import Child
from gateway.demo.reception import Reception
from gateway.demo.timing import Timing
from gateway.demo.trip import Trip
from gateway.hub.access.tokens import ADMIN_TOKEN_FILE
from gateway.vehicle.storage import DATABASE

RECONNECT_MAX_S = 1.0
RECORDED_EACH_S = 30
"""Domain seconds: the traces of a day of five hours are drawn with twice the readings of an ordinary van."""
STALL_S = 2.0
"""Back-off is real time. Half a minute of it, right for a van, would be two hours of the demonstration's day."""


class TooLateError(ColdchainError):
    """The trip's time began before all processes were ready."""


@dataclass
class Company:
    """All that runs, and where it keeps its files."""

    trip: Trip
    timing: Timing
    folder: Path
    hub: Child
    simulator: Child
    vehicle: Child
    roads: tuple[Link, Link]
    hub_url: str
    vehicle_url: str
    reception: Reception

    @property
    def truth(self) -> Path:
        """What the simulator says really happened."""
        return self.folder / "truth.jsonl"

    @property
    def outbox(self) -> Path:
        """The vehicle's log."""
        return self.folder / "vehicle" / DATABASE

    @property
    def database_url(self) -> str:
        """The hub's archive."""
        return f"sqlite:///{self.folder / 'hub' / 'hub.sqlite3'}"

    @property
    def is_link_up(self) -> bool:
        """Whether the vehicle reaches the hub."""
        return all(road.is_up for road in self.roads)

    def cut_roads(self) -> None:
        """Drive into the dead zone."""
        for road in self.roads:
            road.cut()

    def mend_roads(self) -> None:
        """Leave it."""
        for road in self.roads:
            road.mend()

    async def start_vehicle(self) -> None:
        """Start the vehicle's process; again after it was killed."""
        announced = await self.vehicle.start()
        self.vehicle_url = f"http://127.0.0.1:{announced['port']}"

    async def watch(self) -> None:
        """Raise ChildDied when a process ends by itself; never return."""
        async with asyncio.TaskGroup() as tasks:
            for child in (self.hub, self.simulator, self.vehicle):
                tasks.create_task(child.watch(), name=f"watch {child.name}")


@asynccontextmanager
async def assemble(trip: Trip, scenario: Path, timing: Timing, folder: Path, seed: int) -> AsyncIterator[Company]:
    """Start everything and register the day; stop everything in order at the end.

    Raises TooLateError if the trip's time has begun meanwhile, ChildDied if a process does not come up.
    """
    async with AsyncExitStack() as stack:
        # A socket's path may have 107 characters; the folder may be anywhere.
        sockets = Path(stack.enter_context(TemporaryDirectory(prefix="coldchain-")))
        bus = f"unix:path={sockets / 'bus'}"
        hub = _hub(folder, timing, trip)
        simulator = _simulator(folder, timing, scenario, bus, seed)
        stack.push_async_callback(hub.stop)
        stack.push_async_callback(simulator.stop)
        starts = await asyncio.gather(hub.start(), simulator.start())
        announced = starts[0]
        mqtt = await stack.enter_async_context(Link("127.0.0.1", int(announced["broker_port"])))
        http = await stack.enter_async_context(Link("127.0.0.1", int(announced["http_port"])))
        token = (folder / "hub" / ADMIN_TOKEN_FILE).read_text(encoding="ascii").strip()
        reception = await stack.enter_async_context(Reception(str(announced["http"]), token))
        await reception.register(trip)
        code = await _issue_code(folder, trip.demo.gateway)
        vehicle = _vehicle(folder, timing, trip.demo.gateway, (mqtt.listening_port, http.listening_port), bus, code)
        stack.push_async_callback(vehicle.stop)
        company = Company(
            trip, timing, folder, hub, simulator, vehicle, (mqtt, http), str(announced["http"]), "", reception
        )
        await company.start_vehicle()
        if timing.lead_s() < 0:
            raise TooLateError(f"the processes were ready {-timing.lead_s():.1f} s after the trip had begun")
        yield company


def _hub(folder: Path, timing: Timing, trip: Trip) -> Child:
    hub = {
        "data_dir": str(folder / "hub"),
        "demonstration": True,
        "broker": "embedded",
        "language": "en",
        "access": {"anonymous": ["receiver", "quality"]},  # on this machine only; elsewhere people log in
    }
    _write_toml(folder / "hub.toml", hub)
    command = _gateway("hub", "--settings", str(folder / "hub.toml"))
    rules = [rule.model_dump(mode="json") for rule in trip.demo.code_rules]
    environment = {**timing.gateway_environment(), "COLDCHAIN_CODE_RULES": json.dumps(rules)}
    return Child("hub", command, environment, folder)


def _simulator(folder: Path, timing: Timing, scenario: Path, bus: str, seed: int) -> Child:
    command = [sys.executable, "-m", "firmware_sim", "run", str(scenario), "--bus", bus, "--seed", str(seed)]
    command += ["--truth", str(folder / "truth.jsonl"), "--shim-dir", str(folder / "bin")]
    return Child("simulator", command, timing.simulator_environment(), folder)


def _vehicle(folder: Path, timing: Timing, gateway: str, roads: tuple[int, int], bus: str, code: str) -> Child:
    mqtt_port, http_port = roads
    settings = {
        "gateway": gateway,
        "data_dir": str(folder / "vehicle"),
        "hub": {"url": f"http://127.0.0.1:{http_port}"},
        "broker": {"url": f"mqtt://127.0.0.1:{mqtt_port}", "reconnect_max_s": RECONNECT_MAX_S},
        "uplink": {"stall_s": STALL_S, "stall_max_s": STALL_S},
        "recording": {"interval_s": RECORDED_EACH_S},
    }
    _write_toml(folder / "vehicle.toml", settings)
    environment = {
        **timing.gateway_environment(),
        "COLDCHAIN_HUB__ENROLMENT_CODE": code,
        "DBUS_SYSTEM_BUS_ADDRESS": bus,
        "PATH": f"{folder / 'bin'}{os.pathsep}{os.environ.get('PATH', os.defpath)}",
    }
    return Child("vehicle", _gateway("vehicle", "--settings", str(folder / "vehicle.toml")), environment, folder)


async def _issue_code(folder: Path, gateway: str) -> str:
    """Have the hub's own command make the one-time code, as its administrator would."""
    process = await asyncio.create_subprocess_exec(
        *_gateway("hub", "enrol", gateway, "--settings", str(folder / "hub.toml")),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    code, complaint = await process.communicate()
    if process.returncode:
        raise ColdchainError(f"no enrolment code: {complaint.decode(errors='replace').strip()}")
    return code.decode().strip()


def _gateway(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "gateway.cli", *arguments]


def _write_toml(path: Path, settings: Mapping[str, object]) -> None:
    """Write a settings file; JSON's texts, numbers and booleans are TOML's as well."""
    plain = [f"{key} = {json.dumps(value)}" for key, value in settings.items() if not isinstance(value, dict)]
    for key, value in settings.items():
        if isinstance(value, dict):
            plain += ["", f"[{key}]", *(f"{name} = {json.dumps(inner)}" for name, inner in value.items())]
    path.write_text("\n".join(plain) + "\n", encoding="utf-8")
