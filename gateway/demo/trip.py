"""The trip that is played: a scenario file, validated by the simulator and read here."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError

from gateway.core.configuration import Box, Calibration, Code, CodeRule, Consignment, Instruction, Logger
from gateway.core.errors import ColdchainError, InputError
from gateway.core.profiles import Model, Profile
from gateway.core.verdicts import Verdict

WRONG_INPUT = 2
"""What the simulator ends with when the scenario is at fault."""
SCENARIO_BYTES_MAX = 4 << 20
"""The whole day takes 20 KiB."""


class _Part(BaseModel):
    """A part of the simulator's scenario; what only the simulator needs is left aside."""

    model_config = ConfigDict(extra="ignore", frozen=True)


class Span(_Part):
    """The trip's time and how much faster than real time it is played."""

    start: AwareDatetime
    stop: AwareDatetime
    rate: float


class SimulatedLogger(_Part):
    """What the gateway is told about a simulated logger."""

    address: Code
    memory: bool
    memory_interval_s: float
    offset_c: float
    dies_at: AwareDatetime | None = None


class Stretch(_Part):
    """From a moment to another."""

    begins_at: AwareDatetime = Field(alias="from")
    ends_at: AwareDatetime = Field(alias="to")


class SimulatedBox(_Part):
    """A box and its logger, when its lid is open and when it is out of reach."""

    code: Code
    lid_open: tuple[Stretch, ...] = ()
    carried_away: tuple[Stretch, ...] = ()
    logger: SimulatedLogger


class NetworkDown(Stretch):
    """No network between vehicle and hub."""

    kind: Literal["network_down"]


class KillVehicle(_Part):
    """The vehicle's process is killed, as by a power cut, and starts again after so many domain seconds."""

    kind: Literal["kill_vehicle"]
    at: AwareDatetime
    restart_after_s: float


class Expectation(Model):
    """The verdict that the day is made for."""

    consignment: Code
    item: Code
    examination: str
    verdict: Verdict


class Certificate(Model):
    """The calibration that all of the trip's loggers have; each one's offset is what the simulator gave it."""

    certificate: str
    calibrated_at: AwareDatetime
    due_at: AwareDatetime
    uncertainty_c: float


class Stage(Model):
    """The table `demo`: what the day needs besides physics, radio and goods.

    instructions  by box, what the vehicle's screen says at a breach: an example, as everything of the day is
    code_rules  what codes are that somebody may scan on the vehicle's screen, though nobody registered them
    """

    gateway: Code = "VAN-1"
    calibration: Certificate | None = None
    labels: Mapping[str, str] = {}
    instructions: Mapping[str, Instruction] = {}
    code_rules: tuple[CodeRule, ...] = ()
    expected: tuple[Expectation, ...] = ()


class Trip(_Part):
    """All of it."""

    clock: Span
    boxes: tuple[SimulatedBox, ...]
    events: tuple[Annotated[NetworkDown | KillVehicle, Field(discriminator="kind")], ...] = ()
    consignments: tuple[Consignment, ...] = ()
    profiles: tuple[Profile, ...] = ()
    demo: Stage = Stage()

    def registered_loggers(self) -> tuple[Logger, ...]:
        """The loggers as they are enrolled at the hub."""
        return tuple(self._register(box) for box in self.boxes)

    def registered_boxes(self) -> tuple[Box, ...]:
        """The boxes as they are registered at the hub."""
        labels, instructions = self.demo.labels, self.demo.instructions
        return tuple(
            Box(code=box.code, label=labels.get(box.code, ""), instruction=instructions.get(box.code))
            for box in self.boxes
        )

    def _register(self, box: SimulatedBox) -> Logger:
        given, logger = self.demo.calibration, box.logger
        calibration = given and Calibration(
            certificate=f"{given.certificate}/{box.code}",
            calibrated_at=given.calibrated_at,
            due_at=given.due_at,
            uncertainty_c=given.uncertainty_c,
            offset_c=-logger.offset_c,
        )
        return Logger(
            address=logger.address,
            box=box.code,
            memory_interval_s=round(logger.memory_interval_s) if logger.memory else None,
            calibration=calibration,
        )


async def load_trip(path: Path, *, rate: float | None = None) -> Trip:
    """Have the simulator check a scenario and return it; raises InputError naming the field and the reason."""
    child = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "firmware_sim", "check", str(path), "--json"),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    output, complaint = await child.communicate()
    said = complaint.decode(errors="replace").strip()
    if child.returncode == WRONG_INPUT:
        raise InputError("scenario", said)
    if child.returncode:
        raise ColdchainError(f"the simulator ended with status {child.returncode}: {said}")
    if len(output) > SCENARIO_BYTES_MAX:
        raise InputError("scenario", f"{len(output)} bytes, at most {SCENARIO_BYTES_MAX}", where=str(path))
    return parse_trip(json.loads(output), where=str(path), rate=rate)


def parse_trip(tables: dict[str, Any], *, where: str, rate: float | None = None) -> Trip:
    """Read a checked scenario, at its own rate or another; raises InputError."""
    try:
        trip = Trip.model_validate(tables)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        field = ".".join(str(part) for part in first["loc"])
        raise InputError(field, first["msg"].removeprefix("Value error, "), where=where) from error
    _check_references(trip, where)
    return trip if rate is None else trip.model_copy(update={"clock": trip.clock.model_copy(update={"rate": rate})})


def _check_references(trip: Trip, where: str) -> None:
    profiles = {profile.id for profile in trip.profiles}
    boxes = {box.code for box in trip.boxes}
    known = set()
    for number, consignment in enumerate(trip.consignments):
        for item in consignment.items:
            for examination in item.examinations:
                known.add((consignment.code, item.code, examination.code))
                if profiles and examination.profile not in profiles:
                    raise InputError(
                        f"consignments.{number}.items", f"there is no profile {examination.profile!r}", where=where
                    )
            for carriage in consignment.carriage_of(item):
                if carriage.box not in boxes:
                    raise InputError(f"consignments.{number}.carriage", f"no box {carriage.box!r}", where=where)
    for number, expected in enumerate(trip.demo.expected):
        if (expected.consignment, expected.item, expected.examination) not in known:
            raise InputError(f"demo.expected.{number}", "names nothing that is carried", where=where)
