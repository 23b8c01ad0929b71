"""What the record costs: ``.venv/bin/python benchmarks/record.py [--json] [--no-rivals] [--folder DIR]``.

Segments sealed in a second; bytes of a reading on the wire and on the disk; megabytes written and published in a day
with 50 loggers at the settings' defaults; seconds to drain a day of 50 loggers at one reading a minute through a real
Mosquitto into a real hub, and what is still held after SIGKILL, beside ThingsBoard gateway's SQLite storage and plain
paho-mqtt, which come from PyPI into an environment of their own. Their broker has no subscriber: nobody checks,
stores or answers there, while the hub checks each signature, stores durably and acknowledges.

The folder should be on a real disk: what is written is taken from /proc/self/io, which counts nothing in memory,
nor the file system's own journal.
"""  # noqa: INP001  a script, not a package

from __future__ import annotations

import asyncio
import json
import sqlite3
import subprocess
import sys
import tempfile
import time
import venv
from contextlib import closing
from dataclasses import asdict, dataclass, field
from pathlib import Path

import click
from fleet.backlog import Returning, fill_outbox, open_outbox
from fleet.tags import START_MS, hear_contents, make_tags

from gateway.clock import ClockSettings, open_clock
from gateway.core.messages import Ack, EpochAck
from gateway.core.segments import parse_segment
from gateway.core.topics import LOG, topic_of
from gateway.demo.processes import Child
from gateway.hub.rooms import open_rooms
from gateway.hub.settings import HubSettings
from gateway.keys import load_or_create_key
from gateway.mqtt import MqttSettings
from gateway.vehicle.identity import KEY_FILE
from gateway.vehicle.moments import Moment
from gateway.vehicle.settings import RecordingSettings
from gateway.vehicle.storage import DATABASE
from tests.servers.mosquitto import running_mosquitto

VAN = "VAN-1"
LOGGERS = 50
DAY_S = 86_400
EVERYTHING = 1 << 40
REPETITIONS = 200
MQTT_HEADER_BYTES = 8
"""Of a publish: type, length, topic's length, packet identifier, properties' length."""
TRIM_EVERY = 60
KEEP_MS = 7 * 86_400_000
RIVALS = Path(__file__).parent / "rivals"
PACKAGES = ("thingsboard-gateway==3.8.5", "paho-mqtt==2.2.0", "simplejson", "cachetools", "termcolor")
"""Without what else thingsboard-gateway requires: its storage needs no more."""
KILL_AFTER_S = 3.0
LIMIT_S = 600
MB = 1e6
GOALS = {"wire_bytes_at_60": 8.0, "written_mb": 60.0, "published_mb": 2.0}


@dataclass(frozen=True, slots=True)
class Size:
    """Bytes for one reading, header, hash and signature included."""

    loggers: int
    readings: int
    wire_bytes: float
    disk_bytes: float


@dataclass(frozen=True, slots=True)
class Day:
    """A day of 50 loggers, acknowledged after each segment; what is published counts topic and MQTT header."""

    interval_s: int
    segments: int
    published_mb: float
    written_mb: float
    sealed_per_s: float
    disk_bytes: float


@dataclass(frozen=True, slots=True)
class Survival:
    """What was accepted before SIGKILL, and what a new start still found."""

    accepted_per_s: float
    accepted: int
    left: int

    @property
    def lost(self) -> int:
        """Accepted and gone."""
        return max(0, self.accepted - self.left)


@dataclass(slots=True)
class Figures:
    """All that was measured. `drains_s`: seconds for `drained` readings, by who sends them."""

    sizes: list[Size] = field(default_factory=list)
    days: list[Day] = field(default_factory=list)
    drained: int = 0
    drains_s: dict[str, float] = field(default_factory=dict)
    kills: dict[str, Survival] = field(default_factory=dict)


def measure_size(folder: Path, loggers: int, each: int) -> Size:
    """Seal segments of `loggers` × `each` readings."""
    readings = loggers * each
    contents = list(hear_contents(make_tags(loggers), 60, 60 * each * REPETITIONS, each=each, health=False))
    fill_outbox(folder, VAN, contents, START_MS, 60)
    storage = open_outbox(folder, VAN, load_or_create_key(folder / KEY_FILE))
    rows = storage.outbox.pending(EVERYTHING, -1, Moment(START_MS, 0, trusted=True))
    storage.close()
    wire = sum(len(row.data) for row in rows) / len(rows)
    disk = (folder / DATABASE).stat().st_size / len(rows)
    return Size(loggers, readings, wire / readings, disk / readings)


def measure_day(folder: Path, interval_s: int) -> Day:
    """Seal a day, with the hub's acknowledgement after each segment, trimmed now and then as the vehicle does."""
    contents = list(hear_contents(make_tags(LOGGERS), interval_s, DAY_S))
    folder.mkdir()
    storage = open_outbox(folder, VAN, load_or_create_key(folder / KEY_FILE))
    before, sealed_s, published = _written_bytes(), 0.0, 0
    for place, content in enumerate(contents):
        at_ms = START_MS + place * interval_s * 1000
        began_s = time.perf_counter()
        storage.outbox.seal(content, sealed_at_ms=at_ms, config_version=1)
        sealed_s += time.perf_counter() - began_s
        (row,) = storage.outbox.pending(EVERYTHING, -1, Moment(at_ms, 0, trusted=True))
        published += len(row.data) + len(topic_of(VAN, LOG)) + MQTT_HEADER_BYTES
        segment = parse_segment(VAN, row.data)
        storage.outbox.acknowledge(Ack(1, VAN, [EpochAck(segment.header.epoch, place + 1, segment.hash)]))
        if place % TRIM_EVERY == 0:
            storage.outbox.trim(at_ms - KEEP_MS)
    storage.close()
    return Day(
        interval_s=interval_s,
        segments=len(contents),
        published_mb=published / MB,
        written_mb=(_written_bytes() - before) / MB,
        sealed_per_s=len(contents) / sealed_s,
        disk_bytes=(folder / DATABASE).stat().st_size / sum(len(content.observations) for content in contents),
    )


async def measure_drain(folder: Path, seconds: int) -> float:
    """Seconds from the network's return until a real hub has acknowledged everything."""
    (folder / "mosquitto").mkdir(parents=True)
    fill_outbox(folder / VAN, VAN, hear_contents(make_tags(LOGGERS), 60, seconds), START_MS, 60)
    with running_mosquitto(folder / "mosquitto") as broker:
        settings = folder / "hub.toml"
        settings.write_text(f'data_dir = "{folder / "hub"}"\n[broker]\nurl = "{broker}"\n')
        rooms = open_rooms(HubSettings(data_dir=folder / "hub", broker=MqttSettings(url=broker)))
        code = rooms.enrolment.issue_code(VAN, "benchmark")
        rooms.enrolment.enrol(VAN, code, load_or_create_key(folder / VAN / KEY_FILE).public_bytes)
        hub_key = rooms.key.public_bytes
        rooms.store.close()
        hub = Child("hub", [sys.executable, "-m", "gateway.cli", "hub", "--settings", str(settings)], {}, folder)
        await hub.start()
        try:
            vehicle = Returning.open(VAN, folder / VAN, broker, hub_key, open_clock(ClockSettings()))
            began_s = time.monotonic()
            async with asyncio.timeout(LIMIT_S), asyncio.TaskGroup() as tasks:
                line = tasks.create_task(vehicle.uplink.run())
                while vehicle.waiting:  # noqa: ASYNC110  the outbox has no event
                    await asyncio.sleep(0.01)
                spent_s = time.monotonic() - began_s
                line.cancel()
            vehicle.storage.close()
        finally:
            await hub.stop()
    return spent_s


def measure_rival_drains(folder: Path, python: Path, count: int) -> dict[str, float]:
    """The same readings, from others' storages to the same kind of broker."""
    (folder / "mosquitto").mkdir(parents=True)
    (folder / "thingsboard").mkdir()
    with running_mosquitto(folder / "mosquitto") as broker:
        commands = {
            "thingsboard-gateway, SQLite": [
                RIVALS / "thingsboard_storage.py", "drain", folder / "thingsboard", broker, count
            ],
            "paho-mqtt, one reading a message": [RIVALS / "plain_paho.py", "drain", broker, count],
        }  # fmt: skip
        return {name: float(_run(python, *command)) for name, command in commands.items()}


def measure_kills(folder: Path, python: Path) -> dict[str, Survival]:
    """Let each accept readings, kill it, and look what is left."""
    ours, theirs = folder / "ours", folder / "thingsboard"
    ours.mkdir(parents=True)
    theirs.mkdir()
    found = {}
    accepted, spent_s = _kill([sys.executable, str(RIVALS / "our_outbox.py"), str(ours)])
    storage = open_outbox(ours, VAN, load_or_create_key(ours / KEY_FILE))
    left = sum(len(sealed.content) for sealed in storage.outbox.contents(0))
    storage.close()
    found["outbox"] = Survival(accepted / spent_s, accepted, left)
    accepted, spent_s = _kill([str(python), str(RIVALS / "thingsboard_storage.py"), "accept", str(theirs)])
    found["thingsboard-gateway, SQLite"] = Survival(accepted / spent_s, accepted, _count_messages(theirs))
    accepted, spent_s = _kill([str(python), str(RIVALS / "plain_paho.py"), "offline"])
    left = int(_run(python, RIVALS / "plain_paho.py", "count"))
    found["paho-mqtt, offline"] = Survival(accepted / spent_s, accepted, left)
    return found


def make_rivals(environment: Path) -> Path:
    """Install what is compared with; return its Python."""
    venv.create(environment, with_pip=True)
    python = environment / "bin" / "python"
    _run(python, "-m", "pip", "install", "--quiet", "--no-deps", *PACKAGES)
    return python


def _run(python: Path, *arguments: object) -> str:
    command = [str(python), *map(str, arguments)]
    return subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True, timeout=LIMIT_S).stdout  # noqa: S603  our own scripts


def _kill(command: list[str]) -> tuple[int, float]:
    """Run until KILL_AFTER_S after the first report, then SIGKILL: (accepted, seconds that it took)."""
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:  # noqa: S603  our own scripts
        assert process.stdout is not None  # noqa: S101  asked for above
        reported, deadline_s = process.stdout.readline(), time.monotonic() + KILL_AFTER_S
        while time.monotonic() < deadline_s:
            reported = process.stdout.readline() or reported
        process.kill()
        for line in process.stdout:
            reported = line if line.endswith("\n") else reported
    number, spent_s = reported.split()
    return int(number), float(spent_s)


def _count_messages(folder: Path) -> int:
    total = 0
    for file in folder.rglob("*.db"):
        with closing(sqlite3.connect(file)) as connection:
            total += connection.execute("SELECT COUNT(*) FROM messages").fetchone()[0]
    return total


def _written_bytes() -> int:
    """What this process caused to be written to a disk."""
    for line in Path("/proc/self/io").read_text(encoding="ascii").splitlines():
        if line.startswith("write_bytes:"):
            return int(line.split()[1])
    raise RuntimeError("/proc/self/io does not say what was written")


def measure(folder: Path, *, rivals: bool, hours: float) -> Figures:
    """Everything."""
    figures = Figures(drained=round(LOGGERS * hours * 60))
    for loggers, each in [(1, 1), (1, 9), (1, 60), (6, 10), (50, 1)]:
        figures.sizes.append(measure_size(folder / f"size-{loggers}-{each}", loggers, each))
    for interval_s in sorted({RecordingSettings().interval_s, 30}, reverse=True):
        figures.days.append(measure_day(folder / f"day-{interval_s}", interval_s))
    figures.drains_s["outbox to hub"] = asyncio.run(measure_drain(folder / "drain", round(hours * 3600)))
    if rivals:
        python = make_rivals(folder / "environment")
        figures.drains_s |= measure_rival_drains(folder / "rivals", python, figures.drained)
        figures.kills = measure_kills(folder / "kills", python)
    return figures


def show(figures: Figures) -> None:
    """Print for people."""
    click.echo("bytes of a reading, header, hash and signature included (goal: 8 on the wire at 60)")
    for size in figures.sizes:
        what = f"{size.readings:3} readings of {size.loggers:2} loggers"
        click.echo(f"  {what}: {size.wire_bytes:6.1f} on the wire, {size.disk_bytes:6.1f} on the disk")
    click.echo(f"a day of {LOGGERS} loggers (goals: 60 MB written, 2 MB published)")
    for day in figures.days:
        default = " (default)" if day.interval_s == RecordingSettings().interval_s else ""
        click.echo(
            f"  a reading each {day.interval_s} s{default}: {day.written_mb:.1f} MB written, {day.published_mb:.2f} MB"
            f" published, {day.disk_bytes:.1f} bytes a reading kept; {day.sealed_per_s:.0f} segments sealed a second"
        )
    click.echo(f"drain of {figures.drained} readings")
    ours_s = figures.drains_s["outbox to hub"]
    for name, spent_s in figures.drains_s.items():
        click.echo(f"  {name}: {spent_s:.1f} s, {spent_s / ours_s:.1f} times ours")
    for name, survival in figures.kills.items():
        click.echo(
            f"SIGKILL of {name}: {survival.accepted_per_s:.0f} readings accepted a second; of {survival.accepted}"
            f" {survival.lost} lost"
        )
    if figures.kills:
        click.echo(
            "  (the outbox has accepted what is sealed; what was heard since, 30 s at most, is refilled from memories)"
        )


@click.command(help=__doc__)
@click.option("--json", "as_json", is_flag=True, help="Figures for programs.")
@click.option("--rivals/--no-rivals", default=True, help="Compare with packages from PyPI (needs the network).")
@click.option("--hours", default=24.0, show_default=True, help="that are drained")
@click.option("--folder", type=click.Path(path_type=Path, file_okay=False), help="Where to write, on a real disk.")
def main(*, as_json: bool, rivals: bool, hours: float, folder: Path | None) -> None:
    """Measure and print."""
    with tempfile.TemporaryDirectory(prefix="coldchain-bench-", dir=folder) as scratch:
        figures = measure(Path(scratch), rivals=rivals, hours=hours)
    if as_json:
        click.echo(json.dumps(asdict(figures) | {"goals": GOALS}, indent=2))
    else:
        show(figures)


if __name__ == "__main__":
    main()
