"""An archive alone: filled as the exchange fills it, in batches; how it grows, is read and is projected."""  # noqa: INP001  beside scripts

from __future__ import annotations

import os
import statistics
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path

import click
from sqlalchemy import insert

from gateway.core.configuration import Calibration, Logger
from gateway.hub.database import schema
from gateway.hub.database.store import Store, open_store
from gateway.hub.projection.projector import Projector, project_all
from gateway.hub.projection.writing import InfluxWriter
from gateway.hub.record.archive import Archive
from gateway.hub.replication.ingest import Delivery, Ingest
from gateway.hub.settings import InfluxSettings
from gateway.load.vehicles import Shape, SimulatedVehicle, name_fleet, seal_logs

SHAPE = Shape(loggers=10, readings=5, interval_s=30)
START_MS = 1_782_000_000_000
BATCH = 256
TRIP_MS = 4 * 3_600_000
TRIPS = 15
PORTION = 200
"""Segments of each vehicle sealed ahead: 360 kB of 1,000 readings each."""


@dataclass(frozen=True)
class Stage:
    """An archive with so many readings: processor time of the last million of them, and the median read of a trip.

    fresh_us  what a reading costs in an empty archive at the same time: on a busy machine everything costs more
    """

    readings: int
    cpu_us_per_reading: float
    fresh_us: float
    readings_per_s: float
    trip_ms: float
    trip_cpu_ms: float
    bytes_per_reading: float


@dataclass(frozen=True)
class Projected:
    """Projecting what an archive holds. `cpu_us` is what the thread that reads and the one that writes take."""

    database: str
    readings: int
    readings_per_s: float
    cpu_us: float


def grow(stages: list[int], gateways: int) -> Iterator[Stage]:
    """Fill a SQLite archive stage by stage; each goes on where the last one ended, with a new epoch of each vehicle.

    What a stage costs is what its last portion costs.
    """
    with tempfile.TemporaryDirectory(prefix="coldchain-bench-") as folder:
        path = Path(folder) / "hub.sqlite3"
        store = open_store(f"sqlite:///{path}")
        enrol(store, name_fleet("GROW", gateways, b""))
        stored = number = 0
        for readings in stages:
            spent = Spent(0, 0.0, 0.0)
            while stored < readings:
                fleet = name_fleet("GROW", gateways, b"%d" % number)
                left = (readings - stored) // (gateways * SHAPE.readings_per_segment)
                starts_ms = START_MS + stored // (gateways * SHAPE.loggers) * SHAPE.interval_s * 1000
                spent = take(store, fleet, max(1, min(PORTION, left)), starts_ms)
                stored += spent.readings
                number += 1
            trips = [read_trip(store, fleet[i % gateways], starts_ms) for i in range(TRIPS)]
            size = sum(file.stat().st_size for file in path.parent.iterdir())
            yield Stage(
                readings=stored,
                cpu_us_per_reading=round(spent.cpu_s / spent.readings * 1e6, 3),
                fresh_us=round(_take_into_a_new_one(fleet) * 1e6, 3),
                readings_per_s=round(spent.readings / spent.lasted_s),
                trip_ms=round(statistics.median(trip[0] for trip in trips), 2),
                trip_cpu_ms=round(statistics.median(trip[1] for trip in trips), 2),
                bytes_per_reading=round(size / stored, 1),
            )
        store.close()


def _take_into_a_new_one(fleet: list[SimulatedVehicle]) -> float:
    """Return the processor time for a reading in an archive that is empty."""
    with tempfile.TemporaryDirectory(prefix="coldchain-bench-") as folder:
        store = open_store(f"sqlite:///{Path(folder) / 'hub.sqlite3'}")
        enrol(store, fleet)
        spent = take(store, fleet, PORTION // 4, START_MS)
        store.close()
        return spent.cpu_s / spent.readings


@dataclass(frozen=True)
class Spent:
    """On taking so many readings."""

    readings: int
    cpu_s: float
    lasted_s: float


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


def enrol_loggers(store: Store, fleet: list[SimulatedVehicle]) -> None:
    """Let the hub know the vehicles' loggers, each with a certificate."""
    made = datetime.fromtimestamp(START_MS / 1000, UTC)
    calibration = Calibration(certificate="C-1", calibrated_at=made, due_at=made + timedelta(days=365), offset_c=0.05)
    loggers = [
        Logger(address=vehicle.logger(place), box=vehicle.box(place), calibration=calibration)
        for vehicle in fleet
        for place in range(SHAPE.loggers)
    ]
    rows = [{"address": logger.address, "document": logger.model_dump_json()} for logger in loggers]
    with store.write() as connection:
        connection.execute(insert(schema.loggers), rows)


def take(store: Store, fleet: list[SimulatedVehicle], each: int, starts_ms: int) -> Spent:
    """Take all logs as the exchange does, in batches. Sealing them is not counted."""
    logs = list(seal_logs(fleet, SHAPE, each, starts_ms, os.cpu_count() or 1))
    deliveries = [Delivery(v.name, log[n]) for n in range(each) for v, log in zip(fleet, logs, strict=True)]
    ingest = Ingest(store, lambda: starts_ms + each * SHAPE.readings * SHAPE.interval_s * 1000)
    cpu_s, began_s = time.process_time(), time.monotonic()
    for start in range(0, len(deliveries), BATCH):
        ingest.take(deliveries[start : start + BATCH])
    return Spent(len(deliveries) * SHAPE.readings_per_segment, time.process_time() - cpu_s, time.monotonic() - began_s)


def read_trip(store: Store, vehicle: SimulatedVehicle, starts_ms: int) -> tuple[float, float]:
    """Read one logger's four hours with nothing remembered; return milliseconds, and those of processor time."""
    archive = Archive(store)
    began_s, cpu_s = time.monotonic(), time.process_time()
    found = archive.observations(vehicle.logger(0), starts_ms, starts_ms + TRIP_MS)
    if not found:
        raise click.ClickException("a trip that was stored is not found")
    return (time.monotonic() - began_s) * 1000, (time.process_time() - cpu_s) * 1000


class Timed:
    """A writer that notes the processor time of its thread."""

    def __init__(self, writer: InfluxWriter) -> None:
        self._writer = writer
        self.cpu_s = 0.0

    def write(self, bucket: str, lines: Sequence[str]) -> None:
        """Write lines."""
        began_s = time.thread_time()
        self._writer.write(bucket, lines)
        self.cpu_s += time.thread_time() - began_s


def project(name: str, database: str, settings: InfluxSettings, gateways: int, each: int) -> Projected:
    """Fill an empty database, and project it."""
    store = open_store(database)
    writer = InfluxWriter(settings)
    try:
        fleet = name_fleet("POINTS", gateways, b"")
        enrol(store, fleet)
        enrol_loggers(store, fleet)
        stored = take(store, fleet, each, START_MS)
        timed = Timed(writer)
        projector = Projector(store, Archive(store), timed, settings)
        began_s, cpu_s = time.monotonic(), time.thread_time()
        # Before an hour has ended its summary is not made: readings alone.
        done = project_all(projector, lambda: START_MS)
        lasted_s, cpu_s = time.monotonic() - began_s, time.thread_time() - cpu_s + timed.cpu_s
        if done.points < stored.readings or done.refused:
            raise click.ClickException(f"{done.points} of {stored.readings} points were taken")
        return Projected(
            name, stored.readings, round(stored.readings / lasted_s), round(cpu_s / stored.readings * 1e6, 2)
        )
    finally:
        writer.close()
        store.close()
