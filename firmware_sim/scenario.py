"""Scenario files: a trip with its weather, boxes, loggers and mishaps, as TOML.

Every key is checked and unknown ones are refused. ``consignments``, ``profiles`` and ``demo`` are for the program
that plays the trip: the simulator does not look into them, and ``check --json`` passes them on.
"""

import json
import tomllib
from datetime import datetime
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AwareDatetime, Field, ValidationError

from firmware_sim import propagation, ruuvitag
from firmware_sim.faults import KINDS, Fault, spans
from firmware_sim.makers.table import MAKERS
from firmware_sim.tables import Celsius, Interval, Table

MAX_BOXES = 500
"""More than any vehicle carries; a slip of the pen must not eat the machine."""
Address = Annotated[str, Field(pattern=r"^([0-9A-F]{2}:){5}[0-9A-F]{2}$")]
Code = Annotated[str, Field(min_length=1, max_length=64)]


TAGS = {"network_down", "kill_vehicle", *KINDS}
"""What tells the kinds of events and faults apart: pydantic puts it into the place of an error, a reader does not."""


class ScenarioError(ValueError):
    """A scenario that cannot be used: the field and what is wrong with it."""

    def __init__(self, field: str, reason: str) -> None:
        super().__init__(f"{field}: {reason}")
        self.field = field
        self.reason = reason


class Clock(Table):
    """The trip's span and how much faster than real time it is meant to be played."""

    start: AwareDatetime
    stop: AwareDatetime
    rate: float = Field(1.0, gt=0, le=100_000)


class CurvePoint(Table):
    """One corner of a temperature curve."""

    at: AwareDatetime
    temperature_c: Celsius


class Weather(Table):
    """The air outside, linear between its points."""

    curve: list[CurvePoint] = Field(min_length=1)
    pressure_hpa: float = Field(1013.25, ge=500, le=1155)
    vapour_hpa: float = Field(6.0, ge=0, le=60)
    """Vapour in the air, which makes the humidity at each temperature."""


class Place(Table):
    """Where boxes stand. It follows ``curve``, or the weather, with a lag; a heater holds ``heated_to_c``."""

    curve: list[CurvePoint] | None = Field(None, min_length=1)
    heated_to_c: Celsius | None = None
    starts_at_c: Celsius | None = None
    lag_min: float = Field(0.0, ge=0)


class Payload(Table):
    """What is carried, counted as water."""

    mass_kg: float = Field(gt=0, le=100)
    temperature_c: Celsius


class Pcm(Table):
    """Cold packs; without ``temperature_c`` they are at their melting point, ``solid_fraction`` of them frozen."""

    mass_kg: float = Field(gt=0, le=100)
    melts_at_c: Celsius = 5.0
    latent_kj_per_kg: float = Field(200.0, gt=0)
    solid_fraction: float = Field(1.0, ge=0, le=1)
    temperature_c: Celsius | None = None


class RadioPath(Table):
    """See ``firmware_sim.propagation``."""

    distance_m: float = Field(gt=0, le=1000)
    metal_walls: int = Field(0, ge=0, le=10)
    exponent: float = Field(propagation.EXPONENT, ge=1, le=6)
    shadowing_db: float = Field(propagation.SHADOWING_DB, ge=0, le=20)


class Logger(Table):
    """A logger; the defaults are those of a RuuviTag's firmware."""

    address: Address
    name: str | None = None
    maker: str = "ruuvi"
    model: str = ""
    """One of the maker's; empty is its usual one."""
    bindkey: str | None = Field(None, pattern=r"^[0-9a-fA-F]{32}$")
    """Encrypts what a BTHome sensor broadcasts."""
    heartbeat_s: float = Field(ruuvitag.HEARTBEAT_S, gt=0.1, le=3600)
    tx_interval_s: float = Field(ruuvitag.ADVERTISEMENT_S, gt=0.1, le=3600)
    memory: bool = True
    memory_interval_s: float = Field(ruuvitag.LOG_INTERVAL_S, gt=0)
    memory_records: int = Field(ruuvitag.LOG_RECORDS, gt=0, le=100_000)
    drift_ppm: float = Field(0.0, ge=-1000, le=1000)
    offset_c: float = Field(0.0, ge=-10, le=10)
    lag_s: float = Field(300.0, ge=0)
    battery_age_days: float = Field(100.0, ge=0)
    first_number: int = Field(0, ge=0)
    skips_first_record: bool = False
    brown_out_mv: int = Field(0, ge=0, le=3000)
    """Below this voltage it reboots instead of measuring; 0 is never."""
    dies_at: AwareDatetime | None = None
    rssi_dbm: int = Field(-62, ge=-120, le=20)
    loss: float = Field(0.0, ge=0, le=1)
    """The share of its advertisements that no receiver hears."""
    path: RadioPath | None = None
    """What lies between it and the receiver; it takes the place of ``rssi_dbm``, and loses what is too weak."""
    faults: list[Fault] = Field([])


class Away(Interval):
    """Out of the radio's reach, in surroundings of their own."""

    temperature_c: Celsius


class Box(Table):
    """One box with its logger."""

    code: Code
    kind: Literal["eps", "pur", "vip", "bag", "none"]
    place: str
    payload: Payload
    pcm: Pcm | None = None
    wall_w_per_k: float | None = Field(None, gt=0)
    lid_w_per_k: float = Field(3.0, ge=0)
    lid_open: list[Interval] = Field([])
    carried_away: list[Away] = Field([])
    logger: Logger


class NetworkDown(Interval):
    """The network between vehicle and hub is gone; acted on by the program that plays the trip."""

    kind: Literal["network_down"]


class KillVehicle(Table):
    """The vehicle's process is killed and comes back; acted on by the program that plays the trip."""

    kind: Literal["kill_vehicle"]
    at: AwareDatetime
    restart_after_s: float = Field(60.0, ge=0)
    """Domain seconds."""


class Radio(Table):
    """How the vehicle's Bluetooth behaves; real seconds. See ``firmware_sim.bluez.Settings``."""

    rssi_delta_db: int = Field(8, ge=0, le=100)
    forget_after_s: float = Field(30.0, gt=0)
    connect_delay_s: float = Field(0.1, ge=0)
    disconnect_delay_s: float = Field(0.1, ge=0)
    connect_timeout_s: float = Field(20.0, gt=0)
    notifications_per_s: float = Field(400.0, gt=0)


class Scenario(Table):
    """A whole trip."""

    clock: Clock
    weather: Weather
    places: dict[str, Place]
    boxes: list[Box] = Field(min_length=1, max_length=MAX_BOXES)
    radio: Radio = Radio()
    events: list[Annotated[NetworkDown | KillVehicle, Field(discriminator="kind")]] = Field([])
    consignments: list[dict[str, Any]] = Field([])
    profiles: list[dict[str, Any]] = Field([])
    demo: dict[str, Any] = Field({})

    def as_json(self) -> str:
        """Return all of it, defaults filled in, times in ISO 8601 with their offset."""
        return json.dumps(self.model_dump(mode="json", by_alias=True), indent=2, ensure_ascii=False)


def load(path: Path) -> Scenario:
    """Read and check a scenario file; raises ``ScenarioError``, and ``OSError`` where it cannot be read."""
    try:
        tables = tomllib.loads(path.read_text(encoding="utf-8"))
    except tomllib.TOMLDecodeError as error:
        reason, _, position = str(error).rpartition(" (at ")
        raise ScenarioError(position.rstrip(")") or "TOML", reason or str(error)) from error
    except UnicodeDecodeError as error:
        raise ScenarioError(f"byte {error.start}", "not UTF-8 text") from error
    return parse(tables)


def parse(tables: dict[str, Any]) -> Scenario:
    """Check the tables of a scenario; raises ``ScenarioError`` for the first thing that is wrong."""
    try:
        scenario = Scenario.model_validate(tables)
    except ValidationError as error:
        first, *others = error.errors(include_url=False)
        field = ".".join(str(part) for part in first["loc"] if part not in TAGS)
        reason = "unknown key" if first["type"] == "extra_forbidden" else first["msg"]
        more = f" (and {len(others)} more)" if others else ""
        raise ScenarioError(field or "scenario", f"{reason}{more}") from error
    _check(scenario)
    return scenario


def _check(scenario: Scenario) -> None:
    """Check what no single table can."""
    _check_span("clock", "stop", scenario.clock.start, scenario.clock.stop)
    _check_curve("weather.curve", scenario.weather.curve)
    for name, place in scenario.places.items():
        _check_curve(f"places.{name}.curve", place.curve or [])
    for number, event in enumerate(scenario.events):
        if isinstance(event, NetworkDown):
            _check_span(f"events.{number}", "to", event.begins_at, event.ends_at)
    codes: set[str] = set()
    addresses: set[str] = set()
    for number, box in enumerate(scenario.boxes):
        field = f"boxes.{number}"
        if box.place not in scenario.places:
            raise ScenarioError(f"{field}.place", f"there is no place '{box.place}'")
        _check_new(f"{field}.code", box.code, codes)
        _check_new(f"{field}.logger.address", box.logger.address, addresses)
        _check_kind(f"{field}.logger", box.logger)
        for position, interval in spans(box.logger.faults):
            name = f"{field}.logger.faults.{position}"
            _check_span(name, "to", interval.begins_at, interval.ends_at)
        for name, intervals in (("lid_open", box.lid_open), ("carried_away", box.carried_away)):
            for position, interval in enumerate(intervals):
                _check_span(f"{field}.{name}.{position}", "to", interval.begins_at, interval.ends_at)


def _check_kind(field: str, logger: Logger) -> None:
    maker = MAKERS.get(logger.maker)
    if maker is None:
        raise ScenarioError(f"{field}.maker", f"'{logger.maker}' is none of {', '.join(MAKERS)}")
    if logger.model and logger.model not in maker.models:
        reason = f"'{logger.model}' is none of {', '.join(sorted(maker.models))}" if maker.models else "has no models"
        raise ScenarioError(f"{field}.model", reason)
    if logger.bindkey is not None and logger.maker != "bthome":
        raise ScenarioError(f"{field}.bindkey", f"a logger of {logger.maker} does not encrypt")


def _check_span(field: str, name: str, begins_at: datetime, ends_at: datetime) -> None:
    if ends_at <= begins_at:
        raise ScenarioError(f"{field}.{name}", f"{ends_at.isoformat()} is not after {begins_at.isoformat()}")


def _check_curve(field: str, points: list[CurvePoint]) -> None:
    for number, (before, after) in enumerate(pairwise(points), start=1):
        _check_span(f"{field}.{number}", "at", before.at, after.at)


def _check_new(field: str, value: str, known: set[str]) -> None:
    if value in known:
        raise ScenarioError(field, f"'{value}' is there twice")
    known.add(value)
