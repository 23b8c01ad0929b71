"""A trip on real servers: loggers, vehicle, the hub as many processes, Mosquitto and PostgreSQL, each to be killed."""

from __future__ import annotations

import asyncio
import json
import os
import random
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

import httpx

from gateway.demo.processes import Child
from gateway.demo.reception import Reception
from gateway.demo.timing import Timing
from gateway.demo.trip import Trip
from gateway.hub.access.tokens import ADMIN_TOKEN_FILE
from gateway.vehicle.storage import DATABASE
from tests.servers.mosquitto import DEFAULTS, KEEPING, Mosquitto
from tests.servers.ports import free_port
from tests.servers.postgres import Cluster
from tests.servers.workers import Worker
from tests.waiting import until_found

REVIVE_S = 0.2
WAIT_S = 240
"""For anything that has to happen; it takes seconds, unless the machine is busy with something else."""
DOWN_S = 0.4
"""What was killed stays down for at most so long."""


class TooLateError(Exception):
    """The trip's time began before all processes were ready."""


@dataclass
class Convoy:
    """All that runs, and where it keeps its files. `ended` counts the processes that ended by themselves."""

    trip: Trip
    timing: Timing
    folder: Path
    workers: dict[str, Worker]
    broker: Mosquitto
    cluster: Cluster
    database_url: str
    settings: Path
    vehicle_port: int
    reception: Reception
    ended: dict[str, int] = field(default_factory=dict)
    _down: set[str] = field(default_factory=set)

    @property
    def truth(self) -> Path:
        """What the simulator says really happened."""
        return self.folder / "truth.jsonl"

    @property
    def outbox(self) -> Path:
        """The vehicle's log."""
        return self.folder / "vehicle" / DATABASE

    async def kill(self, victim: str, rng: random.Random) -> None:
        """SIGKILL one of the processes and start it again a moment later."""
        down_s = rng.uniform(0, DOWN_S)
        match victim:
            case "broker":
                self.broker.kill()
                await asyncio.sleep(down_s)
                # Whoever runs it may change their mind: what was kept before comes back, or is gone.
                await asyncio.to_thread(self.broker.start, rng.choice([DEFAULTS, KEEPING]))
            case "postmaster":
                self.cluster.kill()
                await asyncio.sleep(down_s)
                self.cluster.start()
            case "backend":
                # Those whom the last kill threw out may be on their way back, and the database still recovering.
                await until_found(lambda: self.cluster.kill_backend(rng))
                await until_found(self.cluster.answers)
            case _:
                self._down.add(victim)
                self.workers[victim].kill()
                await asyncio.sleep(down_s)
                self.workers[victim].start()
                self._down.discard(victim)

    async def revive(self) -> None:
        """Start for ever what has ended by itself, as its unit does: the database was away when it began."""
        while True:
            for name, worker in self.workers.items():
                if name not in self._down and not worker.is_alive:
                    self.ended[name] = self.ended.get(name, 0) + 1
                    worker.start()
            await asyncio.sleep(REVIVE_S)

    async def waiting(self) -> int | None:
        """Segments and stretches that the vehicle has still to deliver or to fetch; None if it does not answer."""
        try:
            async with httpx.AsyncClient(trust_env=False, verify=False) as client:  # noqa: S501  no TLS: nothing to read
                answer = await client.get(f"http://127.0.0.1:{self.vehicle_port}/api/v1/state")
        except httpx.HTTPError:
            return None
        state = answer.json()
        return int(state["outbox"]["segments"]) + int(state["waiting"])


@asynccontextmanager
async def assemble(
    trip: Trip, scenario: Path, folder: Path, cluster: Cluster, broker: Mosquitto, lead_s: float
) -> AsyncIterator[Convoy]:
    """Start everything and register the trip; raises TooLateError if its time has begun meanwhile."""
    timing = Timing.ahead(trip.clock.start, trip.clock.stop, trip.clock.rate, lead_s)
    database_url = cluster.make_database()
    http_port, vehicle_port = free_port(), free_port()
    clock = timing.gateway_environment()
    hub_toml = folder / "hub.toml"
    hub_toml.write_text(
        f'data_dir = "{folder / "hub"}"\ndatabase = "{database_url}"\ndemonstration = true\n'
        f'[broker]\nurl = "{broker.url}"\nreconnect_max_s = 0.5\n[http]\nport = {http_port}\n'
    )
    async with AsyncExitStack() as stack:
        bus_folder = Path(stack.enter_context(TemporaryDirectory(prefix="coldchain-")))  # a socket's path is short
        bus = f"unix:path={bus_folder / 'bus'}"
        simulator = Child("simulator", _simulate(scenario, bus, folder), timing.simulator_environment(), folder)
        stack.push_async_callback(simulator.stop)
        await simulator.start()
        workers = {
            name: Worker(folder / f"{name}.log", "hub", *command, "--settings", str(hub_toml), environment=clock)
            for name, command in {
                "ingest-1": ("ingest", "--name", "i-1"),
                "ingest-2": ("ingest", "--name", "i-2"),
                "watch-1": ("watch",),
                "watch-2": ("watch",),
                "serve": ("serve",),
            }.items()
        }
        for worker in workers.values():
            stack.callback(worker.kill)
        await until_found(lambda: all(worker.is_ready for worker in workers.values()))
        token = (folder / "hub" / ADMIN_TOKEN_FILE).read_text(encoding="ascii").strip()
        reception = await stack.enter_async_context(Reception(f"http://127.0.0.1:{http_port}", token))
        await reception.register(trip)
        code = await _issue_code(hub_toml, trip.demo.gateway)
        vehicle_toml = folder / "vehicle.toml"
        vehicle_toml.write_text(
            f'gateway = "{trip.demo.gateway}"\ndata_dir = "{folder / "vehicle"}"\n'
            f'[hub]\nurl = "http://127.0.0.1:{http_port}"\nenrolment_code = "{code}"\n'
            f'[broker]\nurl = "{broker.url}"\nreconnect_max_s = 0.5\n'
            f"[uplink]\nstall_s = 1.0\nstall_max_s = 2.0\n[driver]\nport = {vehicle_port}\n"
        )
        environment = {
            **clock,
            "DBUS_SYSTEM_BUS_ADDRESS": bus,
            "PATH": f"{folder / 'bin'}{os.pathsep}{os.environ.get('PATH', os.defpath)}",
        }
        workers["vehicle"] = vehicle = Worker(
            folder / "vehicle.log", "vehicle", "--settings", str(vehicle_toml), environment=environment
        )
        stack.callback(vehicle.kill)
        convoy = Convoy(trip, timing, folder, workers, broker, cluster, database_url, hub_toml, vehicle_port, reception)
        await until_found(lambda: vehicle.is_ready)
        if timing.lead_s() < 0:
            raise TooLateError
        yield convoy


def _simulate(scenario: Path, bus: str, folder: Path) -> list[str]:
    command = [sys.executable, "-m", "firmware_sim", "run", str(scenario), "--bus", bus, "--seed", "1"]
    return [*command, "--truth", str(folder / "truth.jsonl"), "--shim-dir", str(folder / "bin")]


async def _issue_code(settings: Path, gateway: str) -> str:
    command = [sys.executable, "-m", "gateway.cli", "hub", "enrol", gateway, "--settings", str(settings)]
    process = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
    code, _ = await process.communicate()
    assert process.returncode == 0
    return code.decode().strip()


async def verify(settings: Path) -> dict[str, object]:
    """Run `coldchain verify` over the hub's store and return its report."""
    command = [sys.executable, "-m", "gateway.cli", "verify", "--settings", str(settings), "--json"]
    process = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
    output, _ = await process.communicate()
    report: dict[str, object] = json.loads(output)
    assert (process.returncode == 0) == report["proven"]
    return report
