"""A check-up of what a vehicle needs: each finding says how it stands and what to do about it."""

from __future__ import annotations

import asyncio
import os
import random
import shutil
import tempfile
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

import httpx
from pydantic import BaseModel

from gateway.clock import Clock
from gateway.core.dating import TRUSTED_ERROR_MS
from gateway.core.errors import InputError
from gateway.mqtt import MqttClient
from gateway.vehicle.alarm import make_hub_client
from gateway.vehicle.bluez import AdapterFacts, BluezError, read_adapters, read_version
from gateway.vehicle.driver import url_of
from gateway.vehicle.enrolment import load_enrolment
from gateway.vehicle.gpsd import GpsReceiver
from gateway.vehicle.settings import VehicleSettings
from gateway.vehicle.state import BoxView, VehicleState
from gateway.vehicle.time_sources import TimeSources
from gateway.vehicle.timekeeping import SANE_FROM_MS

LINK_TIMEOUT_S = 10.0
"""For broker and hub, each: a mobile link that needs longer serves nobody."""
OLDEST_BLUEZ = (5, 55)
"""Debian 11 and Raspberry Pi OS 11; advertisement monitors begin with 5.56."""
GPS_TIMEOUT_S = 5.0
"""A receiver with a fix reports once a second."""
SERVER_ERROR = 500


class State(StrEnum):
    """How something stands. Only WRONG makes the check-up fail."""

    GOOD = "ok"
    ODD = "note"
    WRONG = "wrong"


@dataclass(frozen=True, slots=True)
class Finding:
    """What was found; `advice` is what to do, empty where nothing is."""

    subject: str
    state: State
    text: str
    advice: str = ""


async def check_up(settings: VehicleSettings, clock: Clock) -> list[Finding]:
    """Look at everything, the slow things at once."""
    checks: Sequence[Callable[[], Awaitable[list[Finding]]]] = (
        lambda: check_bluetooth(settings),
        lambda: check_radio(settings),
        lambda: check_broker(settings),
        lambda: check_hub(settings),
        lambda: check_loggers(settings),
    )
    found = [finding for findings in await asyncio.gather(*(check() for check in checks)) for finding in findings]
    gps = await check_gps(settings)
    return [*found, check_clock(clock), *gps, *await asyncio.to_thread(check_disk, settings)]


# --- Bluetooth


async def check_bluetooth(settings: VehicleSettings) -> list[Finding]:
    """Permission, adapter, version, passive scanning."""
    try:
        adapters = await read_adapters()
    except BluezError as error:
        return [Finding("bluetooth", State.WRONG, error.reason, error.advice)]
    findings = [Finding("bluetooth", State.GOOD, "BlueZ answers this user"), _version_finding(await read_version())]
    wanted = settings.radio.adapters or sorted(adapters)
    if not wanted:
        findings.append(Finding("adapter", State.WRONG, "BlueZ has no adapter", "plug one in"))
    for name in wanted:
        adapter = adapters.get(name)
        findings.append(_adapter_finding(name, adapter, sorted(adapters)))
        if adapter is not None:
            findings.append(_passive_finding(name, settings.radio.scanning, adapter))
    return findings


def _adapter_finding(name: str, adapter: AdapterFacts | None, others: Sequence[str]) -> Finding:
    if adapter is None:
        there = f"there is {', '.join(others)}: set radio.adapters" if others else "plug one in"
        return Finding("adapter", State.WRONG, f"no adapter {name}", there)
    if not adapter.powered:
        return Finding("adapter", State.WRONG, f"{name} is off", "rfkill unblock bluetooth; bluetoothctl power on")
    return Finding("adapter", State.GOOD, f"{name} is on")


def _version_finding(version: str | None) -> Finding:
    if version is None:
        return Finding("bluez", State.ODD, "its version is not known", "install bluetoothctl (package bluez)")
    numbers = tuple(int(part) for part in version.split(".") if part.isdigit())
    if numbers < OLDEST_BLUEZ:
        return Finding("bluez", State.WRONG, f"version {version}", "update BlueZ to 5.55 or newer")
    return Finding("bluez", State.GOOD, f"version {version}")


def _passive_finding(name: str, scanning: str, adapter: AdapterFacts) -> Finding:
    if adapter.listens_passively:
        return Finding("passive scan", State.GOOD, f"BlueZ has advertisement monitors on {name}")
    advice = "start bluetoothd with --experimental (systemctl edit bluetooth)"
    if scanning == "passive":
        return Finding(
            "passive scan", State.WRONG, f"BlueZ offers none on {name}, and radio.scanning asks for it", advice
        )
    if scanning == "active":
        return Finding("passive scan", State.GOOD, "not asked for")
    return Finding(
        "passive scan", State.ODD, f"BlueZ offers none on {name}; active scanning costs loggers some battery", advice
    )


async def check_radio(settings: VehicleSettings) -> list[Finding]:
    """Ask the vehicle that runs on this machine, if one does, how its radio fares."""
    if not settings.driver.port:
        return []  # it serves its state nowhere that is known
    host = "127.0.0.1" if settings.driver.host in {"0.0.0.0", "::"} else settings.driver.host  # noqa: S104  compared
    try:
        async with asyncio.timeout(LINK_TIMEOUT_S), httpx.AsyncClient() as client:
            answer = await client.get(f"http://{host}:{settings.driver.port}/api/v1/state")
            radio = VehicleState.model_validate_json(answer.content).radio
    except (httpx.HTTPError, TimeoutError, ValueError):
        return [Finding("radio", State.ODD, "the vehicle does not run, or does not tell")]
    steps = f"restarted {radio.restarts}, reset {radio.resets}, service restarted {radio.service_restarts} times"
    findings = []
    for adapter in radio.adapters:
        state = State.GOOD if adapter.scanning else State.WRONG if adapter.is_down else State.ODD
        text = f"scans {adapter.mode}ly" if adapter.scanning else f"does not scan: {adapter.reason}"
        advice = "docs/radio.md says what it tries; power off and on what does not come back" if adapter.is_down else ""
        findings.append(Finding("radio", state, f"{adapter.name} {text}; {steps}", advice))
    return findings or [Finding("radio", State.WRONG, radio.reason, "plug an adapter in, start bluetooth")]


# --- broker and hub


async def check_broker(settings: VehicleSettings) -> list[Finding]:
    """Connect, under another name than the vehicle's, which may be running."""
    where = settings.broker.url
    try:
        client = MqttClient(settings.broker, f"{settings.gateway}-doctor")
    except InputError as error:
        return [Finding("broker", State.WRONG, str(error), "correct it in the settings")]
    untried = client.reason
    async with client:
        with suppress(TimeoutError):
            async with asyncio.timeout(LINK_TIMEOUT_S):
                while not client.connected and client.reason == untried:  # noqa: ASYNC110  the client has no such event
                    await asyncio.sleep(0.05)
        if not client.connected:
            text = f"{where}: {client.reason}"
            return [Finding("broker", State.WRONG, text, "check broker.url, network, firewall")]
    return [Finding("broker", State.GOOD, f"{where} accepts this vehicle")]


async def check_hub(settings: VehicleSettings) -> list[Finding]:
    """Ask for its page, and whether this vehicle is enrolled there."""
    try:
        enrolment = load_enrolment(settings.data_dir)
    except InputError as error:
        return [Finding("enrolment", State.WRONG, str(error), "enrol again with a new code")]
    findings = []
    if enrolment is None:
        advice = f"coldchain hub enrol {settings.gateway}, then start once with --enrol CODE"
        findings.append(Finding("enrolment", State.WRONG, f"{settings.gateway} is not enrolled", advice))
    else:
        findings.append(Finding("enrolment", State.GOOD, f"{settings.gateway} is enrolled, the hub's key is pinned"))
    try:
        async with asyncio.timeout(LINK_TIMEOUT_S), make_hub_client(settings.hub, "") as client:
            answer = await client.get("/")
    except InputError as error:
        return [*findings, Finding("hub", State.WRONG, str(error), "correct it in the settings")]
    except (httpx.HTTPError, TimeoutError) as error:
        reason = f"{settings.hub.url}: {str(error) or type(error).__name__}"
        return [*findings, Finding("hub", State.WRONG, reason, "check hub.url, network, firewall")]
    if answer.status_code >= SERVER_ERROR:
        text = f"{settings.hub.url} answers {answer.status_code}"
        return [*findings, Finding("hub", State.WRONG, text, "look into the hub's log")]
    return [*findings, Finding("hub", State.GOOD, f"{settings.hub.url} answers")]


# --- loggers

_ADVICE = {
    "battery_low": "change the battery, or coldchain swap OLD NEW --reason battery",
    "calibration_due": "send it for calibration within 30 days: coldchain swap OLD NEW --reason calibration",
    "calibration_overdue": "coldchain swap OLD NEW --reason calibration; nothing is accepted on it",
    "not_calibrated": "coldchain enrol LOGGER --certificate …; nothing is accepted on it where a profile asks for one",
    "silent": "is the box on board, and its battery good? coldchain scan shows what is within reach",
    "stuck": "coldchain swap OLD NEW --reason defect",
    "out_of_range": "coldchain swap OLD NEW --reason defect",
}


class _Boxes(BaseModel):
    """Of a vehicle's state only this matters here."""

    boxes: list[BoxView]


async def check_loggers(settings: VehicleSettings) -> list[Finding]:
    """Ask the running vehicle what its loggers need."""
    stands_still = Finding("vehicle", State.ODD, "it does not run", "systemctl start coldchain-vehicle")
    url = url_of(settings)
    if url is None:
        return [stands_still]
    try:
        async with httpx.AsyncClient(trust_env=False, timeout=LINK_TIMEOUT_S) as client:
            answer = (await client.get(f"{url}/api/v1/state")).raise_for_status()
            boxes = _Boxes.model_validate_json(answer.content).boxes
    except httpx.ConnectError:
        return [stands_still]
    except (httpx.HTTPError, ValueError) as error:
        text = f"{url} does not say how it stands: {type(error).__name__}"
        return [Finding("vehicle", State.WRONG, text, "systemctl restart coldchain-vehicle")]
    findings = [
        Finding("loggers", State.ODD, f"{box.code}: {word.replace('_', ' ')}", _ADVICE.get(word, "coldchain loggers"))
        for box in boxes
        for word in (*box.faults, *box.needs)
    ]
    running = Finding("vehicle", State.GOOD, f"it runs, with {len(boxes)} boxes")
    return [running, *(findings or [Finding("loggers", State.GOOD, "nothing is needed")])]


# --- this machine


def check_clock(clock: Clock) -> Finding:
    """Whether the time can be relied upon. An untrusted clock stops no recording."""
    advice = "let chrony or systemd-timesyncd run; without a network readings are dated later"
    vouched = TimeSources(clock).ask()
    if vouched is not None and vouched.error_ms <= TRUSTED_ERROR_MS:
        last_ms = vouched.synchronised_at_ms
        since = "" if last_ms is None else f", last {max(0, (vouched.at_ms - last_ms) // 1000)} s ago"
        return Finding("clock", State.GOOD, f"synchronised ({vouched.reference}){since}, within {vouched.error_ms} ms")
    if clock.now_ms() < SANE_FROM_MS:
        return Finding("clock", State.WRONG, "not set since power came", advice)
    return Finding("clock", State.WRONG, "not synchronised", advice)


async def check_gps(settings: VehicleSettings) -> list[Finding]:
    """Whether gpsd answers and its receiver sees enough satellites; nothing where none is configured."""
    address = settings.gpsd.host_and_port
    if address is None:
        return []
    found = asyncio.Event()
    receiver = GpsReceiver(
        address,
        position=False,
        on_time=lambda _at, _error: found.set(),
        on_fix=lambda _fix: None,
        rng=random.Random(),  # noqa: S311  jitter, no secret
    )
    listening = asyncio.create_task(receiver.run(), name="doctor gpsd")
    try:
        with suppress(TimeoutError):
            async with asyncio.timeout(GPS_TIMEOUT_S):
                await found.wait()
    finally:
        listening.cancel()
        await asyncio.gather(listening, return_exceptions=True)
    where = settings.gpsd.address
    if found.is_set():
        stops = "stops are recorded, without positions" if settings.gpsd.position else "stops are not recorded"
        return [Finding("gps", State.GOOD, f"gpsd at {where} tells the time; {stops}")]
    if receiver.connected:
        return [Finding("gps", State.ODD, "gpsd answers, its receiver has no fix", "let its antenna see the sky")]
    return [Finding("gps", State.WRONG, f"no gpsd at {where}", "systemctl status gpsd; check gpsd.address")]


def check_disk(settings: VehicleSettings) -> list[Finding]:
    """Whether data_dir can be written durably, and how much fits."""
    folder = settings.data_dir
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o750)
        _write_durably(folder)
        usage = shutil.disk_usage(folder)
    except OSError as error:
        text = f"{folder}: {error.strerror or error}"
        return [Finding("disk", State.WRONG, text, "make data_dir writable for this user, check the card")]
    held = sum(file.stat().st_size for file in folder.glob("*") if file.is_file())
    free_mib, wanted_mib = usage.free >> 20, max(0, settings.outbox.max_bytes - held) >> 20
    if free_mib < wanted_mib:
        text = f"{free_mib} MiB free, the log may grow by {wanted_mib} MiB"
        return [Finding("disk", State.WRONG, text, "free some, or lower outbox.max_bytes")]
    return [Finding("disk", State.GOOD, f"{folder}: {free_mib} MiB free")]


def _write_durably(folder: Path) -> None:
    with tempfile.NamedTemporaryFile(dir=folder, prefix="doctor-") as file:
        file.write(b"durable")
        file.flush()
        os.fsync(file.fileno())
