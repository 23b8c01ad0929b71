"""``coldchain simulate fleet``: from options to a fleet, and what came of it."""

from __future__ import annotations

import asyncio
import json
import logging
import math
import os
import resource
import secrets
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from pathlib import Path

import click
import httpx
from pydantic import ValidationError

from gateway.cli.progress import show_progress
from gateway.client import AsyncHubClient
from gateway.core.errors import InputError
from gateway.core.exposure import to_ms
from gateway.core.identifiers import check_code
from gateway.hub.access.tokens import ADMIN_TOKEN_FILE
from gateway.hub.settings import HubSettings
from gateway.load.registration import Load, now_rounded, register_fleet
from gateway.load.sending import FleetSender, Outcome
from gateway.load.vehicles import Shape, SimulatedVehicle, name_fleet, seal_logs
from gateway.mqtt import MqttSettings
from gateway.settings import load_settings

TIMEOUT_S = 120.0
"""A hub that judges a backlog, or shares its machine with the fleet, may take long over an act of 500 boxes."""
FILES_BESIDE = 200
"""Files that a fleet opens beside its connections to the broker: libraries, database, processes that seal."""


@dataclass(frozen=True, kw_only=True, slots=True)
class FleetOptions:
    """What was asked for; see the command."""

    settings: Path
    hub: str
    broker: str | None
    gateways: int
    loggers: int
    readings: int
    interval: int
    rate: float
    duration: float
    segments: int | None
    connections: int
    carry: bool
    profile: str
    prefix: str
    as_json: bool


def run_fleet(options: FleetOptions) -> int:
    """Enrol, register, seal, send; print the outcome; 0 if all was acknowledged."""
    logging.getLogger("gateway.mqtt").setLevel(logging.ERROR)  # a lost link shows as segments sent again
    allow_files(options.connections + FILES_BESIDE)
    loaded = load_settings(HubSettings, options.settings)
    mqtt = _broker(loaded, options.broker)
    shape = Shape(options.loggers, options.readings, options.interval)
    each = options.segments or _segments_each(options.rate, options.duration, options.gateways, shape)
    vehicles = name_fleet(options.prefix, options.gateways, secrets.token_bytes(4))
    check_code("--prefix", vehicles[-1].box(shape.loggers - 1))
    span_s = each * shape.readings * shape.interval_s
    begins = now_rounded() - timedelta(seconds=span_s)  # the newest reading is from just now
    load = Load(shape, options.profile if options.carry else "", begins)
    began_s = time.monotonic()
    key = _register(loaded, options.hub, vehicles, load)
    registered_s = round(time.monotonic() - began_s, 1)
    logs = _seal(vehicles, shape, each, begins)
    sender = FleetSender(
        vehicles,
        logs,
        key,
        readings_per_segment=shape.readings_per_segment,
        segments_per_s=options.rate / shape.readings_per_segment,
    )
    with show_progress(f"of {sender.total:,} segments acknowledged") as progress:
        outcome = asyncio.run(sender.run(mqtt, options.connections, progress))
    told = {"registered_s": registered_s, **asdict(outcome)}
    click.echo(json.dumps(told) if options.as_json else _in_words(outcome, registered_s))
    return 0 if outcome.acknowledged == outcome.segments else 1


def allow_files(count: int) -> None:
    """Let this process open so many files: a connection is one. Raises InputError if it may not."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and count > hard:
        raise InputError("--connections", f"this system lets a process open {hard} files (ulimit -Hn)")
    if soft != resource.RLIM_INFINITY and count > soft:
        resource.setrlimit(resource.RLIMIT_NOFILE, (count, hard))


def _seal(vehicles: Sequence[SimulatedVehicle], shape: Shape, each: int, begins: datetime) -> list[list[bytes]]:
    logs = []
    with show_progress("vehicles sealed") as progress:
        for log in seal_logs(vehicles, shape, each, to_ms(begins), os.cpu_count() or 1):
            logs.append(log)
            if progress is not None:
                progress(len(logs))
    return logs


def _segments_each(rate: float, duration: float, gateways: int, shape: Shape) -> int:
    if not rate:
        raise InputError("--segments", "without a rate, say how many segments each vehicle sends")
    return max(1, math.ceil(rate * duration / gateways / shape.readings_per_segment))


def _broker(settings: HubSettings, url: str | None) -> MqttSettings:
    if url is not None:
        known = settings.broker if isinstance(settings.broker, MqttSettings) else None
        try:
            return MqttSettings.model_validate({**(known.model_dump() if known else {}), "url": url})
        except ValidationError as error:
            raise InputError("--broker", error.errors()[0]["msg"].removeprefix("Value error, ")) from error
    if not isinstance(settings.broker, MqttSettings):
        raise InputError("--broker", "the hub's settings name none: say where its embedded one listens")
    return settings.broker


def _register(settings: HubSettings, url: str, vehicles: Sequence[SimulatedVehicle], load: Load) -> bytes:
    token = settings.data_dir / ADMIN_TOKEN_FILE
    if not token.is_file():
        raise InputError("data_dir", "has no admin.token: start the hub first", where=str(token))

    async def register() -> bytes:
        headers = {"Authorization": f"Bearer {token.read_text(encoding='utf-8').strip()}"}
        async with httpx.AsyncClient(base_url=url, headers=headers, timeout=TIMEOUT_S) as http:
            with show_progress(f"of {len(vehicles):,} vehicles registered") as progress:
                return await register_fleet(AsyncHubClient(http), vehicles, load, progress)

    return asyncio.run(register())


def _in_words(outcome: Outcome, registered_s: float) -> str:
    latency = (outcome.latency_p50_s, outcome.latency_p99_s, outcome.latency_max_s)
    return "\n".join(
        (
            (
                f"{outcome.gateways:,} gateways, {outcome.segments:,} segments, {outcome.readings:,} readings;"
                f" registered in {registered_s:.0f} s"
            ),
            f"sent {outcome.sent:,}, again {outcome.repeated:,}, acknowledged {outcome.acknowledged:,}",
            f"{outcome.readings_per_s:,.0f} readings/s for {outcome.lasted_s:.1f} s",
            "acknowledged after {:.2f} s (half), {:.2f} s (99 of 100), {:.2f} s (all)".format(*latency),
        )
    )
