"""What the vehicle's process needs: ``.venv/bin/python benchmarks/vehicle.py [--json] [--loggers N] [--seconds S]``.

The real processes: a hub with its broker, a fake BlueZ with simulated RuuviTags, and the vehicle, each item watched by
the alarm. Each logger measures and advertises once a second, more often than any maker's does. Processor time is the
kernel's count of the vehicle's process, all its threads, in percent of one core; memory is what it holds resident.
The goal with 50 loggers is 5 % and 100 MiB.
"""  # noqa: INP001  a script, not a package

from __future__ import annotations

import asyncio
import json
import os
import tempfile
import time
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import click
import httpx

from gateway.demo.company import Company, TooLateError, assemble
from gateway.demo.timing import Timing, measure_lead_s
from gateway.demo.trip import load_trip

LOGGERS = 50
SECONDS = 60.0
SETTLE_S = 10.0
"""The first connections, the first segment and whatever is imported late are no part of the steady state."""
ATTEMPTS = 3
CPU_GOAL_PERCENT = 5.0
MEMORY_GOAL_MIB = 100.0
START = datetime(2026, 3, 10, 8, 0, tzinfo=UTC)

_HEAD = """
[clock]
start = {start}
stop = {stop}
[weather]
curve = [{{ at = {start}, temperature_c = -6.0 }}]
[places.cabin]
heated_to_c = 20.0
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
logger = {{ address = "C0:FF:EE:00:{high:02X}:{low:02X}", heartbeat_s = 1.0, tx_interval_s = 1.0 }}
[[consignments]]
code = "C-{number}"
carriage = [{{ box = "BOX-{number}", begins = {start} }}]
items = [{{ code = "I-{number}", kind = "medicine", examinations = [{{ code = "K", profile = "cold" }}] }}]
"""


@dataclass(frozen=True)
class Outcome:
    """What was measured: advertisements heard and decoded, percent of one core, MiB resident and at most."""

    loggers: int
    seconds: float
    heard_per_s: float
    decoded_per_s: float
    cpu_percent: float
    resident_mib: float
    peak_mib: float

    @property
    def is_met(self) -> bool:
        """Whether the goal is reached."""
        return self.cpu_percent <= CPU_GOAL_PERCENT and self.peak_mib <= MEMORY_GOAL_MIB


def write_scenario(path: Path, loggers: int) -> None:
    """Write a trip with so many cold boxes, an item in each."""
    times = {"start": START.isoformat(), "stop": (START + timedelta(hours=6)).isoformat()}
    boxes = [_BOX.format(number=number, high=number >> 8, low=number & 0xFF, **times) for number in range(loggers)]
    path.write_text(_HEAD.format(**times) + "".join(boxes), encoding="utf-8")


async def measure(loggers: int, seconds: float, folder: Path) -> Outcome:
    """Start everything, let it settle, and look at the vehicle for so long."""
    scenario = folder / "trip.toml"
    write_scenario(scenario, loggers)
    trip = await load_trip(scenario, rate=1.0)
    lead_s = measure_lead_s()
    for attempt in range(ATTEMPTS):
        run = folder / str(attempt)
        run.mkdir()
        timing = Timing.ahead(trip.clock.start, trip.clock.stop, 1.0, lead_s)
        try:
            async with assemble(trip, scenario, timing, run, 1) as company:
                await asyncio.sleep(max(0.0, timing.lead_s()) + SETTLE_S)
                return await look(company, loggers, seconds)
        except TooLateError:
            lead_s *= 2
    raise TooLateError(f"the processes were not ready {lead_s / 2:.0f} s ahead, {ATTEMPTS} times")


async def look(company: Company, loggers: int, seconds: float) -> Outcome:
    """Compare the vehicle's process before and after."""
    pid = company.vehicle.pid
    async with httpx.AsyncClient(base_url=company.vehicle_url) as client:
        before, cpu_before_s, began_s = await _radio(client), _cpu_s(pid), time.monotonic()
        await asyncio.sleep(seconds)
        passed_s, cpu_s = time.monotonic() - began_s, _cpu_s(pid) - cpu_before_s
        after = await _radio(client)
    memory = _memory_mib(pid)
    return Outcome(
        loggers=loggers,
        seconds=passed_s,
        heard_per_s=(after["heard"] - before["heard"]) / passed_s,
        decoded_per_s=(after["decoded"] - before["decoded"]) / passed_s,
        cpu_percent=100 * cpu_s / passed_s,
        resident_mib=memory["VmRSS"],
        peak_mib=memory["VmHWM"],
    )


async def _radio(client: httpx.AsyncClient) -> dict[str, Any]:
    answer = await client.get("/api/v1/state")
    radio: dict[str, Any] = answer.raise_for_status().json()["radio"]
    return radio


def _cpu_s(pid: int) -> float:
    """Processor time of a process so far, user and system, all threads."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _memory_mib(pid: int) -> dict[str, float]:
    """What a process holds resident (VmRSS), and the most that it ever did (VmHWM)."""
    lines = Path(f"/proc/{pid}/status").read_text(encoding="ascii").splitlines()
    sizes = (line.split() for line in lines if line.startswith(("VmRSS:", "VmHWM:")))
    return {name.rstrip(":"): int(kib) / 1024 for name, kib, _unit in sizes}


@click.command(help=__doc__)
@click.option("--loggers", default=LOGGERS, show_default=True, help="loggers, each once a second")
@click.option("--seconds", default=SECONDS, show_default=True, help="how long to look")
@click.option("--json", "as_json", is_flag=True, help="write JSON")
def main(loggers: int, seconds: float, *, as_json: bool) -> None:
    """Measure and print."""
    with tempfile.TemporaryDirectory(prefix="coldchain-bench-") as folder:
        outcome = asyncio.run(measure(loggers, seconds, Path(folder)))
    if as_json:
        goals = {"cpu_goal_percent": CPU_GOAL_PERCENT, "memory_goal_mib": MEMORY_GOAL_MIB, "is_met": outcome.is_met}
        click.echo(json.dumps(asdict(outcome) | goals))
        return
    click.echo(
        f"{outcome.loggers} loggers, {outcome.heard_per_s:.1f} advertisements/s heard, {outcome.decoded_per_s:.1f}/s"
        f" decoded, for {outcome.seconds:.0f} s"
    )
    click.echo(f"processor   {outcome.cpu_percent:6.2f} % of one core (goal {CPU_GOAL_PERCENT:g} %)")
    click.echo(
        f"memory      {outcome.resident_mib:6.1f} MiB, at most {outcome.peak_mib:.1f} (goal {MEMORY_GOAL_MIB:g})"
    )
    click.echo(f"goal: {'met' if outcome.is_met else 'missed'}")


if __name__ == "__main__":
    main()
