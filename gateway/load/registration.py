"""Registers what a simulated fleet carries and enrols it, over the hub's API, as an installer and a ward would."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TypeVar

from gateway.client import AsyncHubClient, Call, HubError, ProblemError, calls
from gateway.core.batches import BOXES_MAX, CONSIGNMENTS_MAX, GATEWAYS_MAX, ConsignmentBatch, SetUp
from gateway.core.configuration import Box, Calibration, Carriage, Consignment, Examination, Item, Logger
from gateway.core.errors import InputError
from gateway.core.profiles import Kind
from gateway.load.vehicles import Shape, SimulatedVehicle

AT_ONCE = 8
"""Requests under way: the hub's acts happen one after another anyway."""
ITEMS_AT_ONCE = 2000
"""Items of the consignments in one request: half a MiB."""
CALIBRATION = Calibration(
    certificate="simulated",
    calibrated_at=datetime(2026, 1, 1, tzinfo=UTC),
    due_at=datetime(2036, 1, 1, tzinfo=UTC),
)
"""The same in every run, so that a logger that is there already is left as it is."""
Progress = Callable[[int], None]
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Load:
    """What each vehicle carries: one consignment with an item in each of its boxes, since `begins`.

    profile  judges every item; "" for vehicles that carry nothing
    """

    shape: Shape
    profile: str
    begins: datetime


async def register_fleet(
    hub: AsyncHubClient, vehicles: Sequence[SimulatedVehicle], load: Load, progress: Progress | None = None
) -> bytes:
    """Register and enrol all vehicles; return the hub's public key. Raises InputError with the hub's reason.

    What an earlier run has registered is left as it is; a consignment is of this run alone. `progress` takes the number
    of vehicles that are ready.
    """
    known = {one.name for one in await _ask(hub, calls.list_gateways()) if one.enrolled}
    hub_key, ready = b"", 0
    for portion in _portions(vehicles, load.shape):
        # The hub tells its key to whom it enrols, so that one is enrolled in any case.
        fresh = [vehicle for vehicle in portion if vehicle.name not in known] or ([] if hub_key else [portion[0]])
        codes = (await _ask(hub, calls.set_up(_set_up(portion, fresh, load)))).codes
        for key in await _enrol_all(hub, fresh, codes):
            hub_key = key
        if load.profile:
            batch = ConsignmentBatch(consignments=tuple(_consignment(vehicle, load) for vehicle in portion))
            await _ask(hub, calls.add_consignments(batch))
        ready += len(portion)
        if progress is not None:
            progress(ready)
    return hub_key


def _portions(vehicles: Sequence[SimulatedVehicle], shape: Shape) -> Iterator[Sequence[SimulatedVehicle]]:
    size = max(1, min(GATEWAYS_MAX, CONSIGNMENTS_MAX, BOXES_MAX // shape.loggers, ITEMS_AT_ONCE // shape.loggers))
    for first in range(0, len(vehicles), size):
        yield vehicles[first : first + size]


def _set_up(portion: Sequence[SimulatedVehicle], fresh: Sequence[SimulatedVehicle], load: Load) -> SetUp:
    places = [(vehicle, place) for vehicle in portion for place in range(load.shape.loggers)] if load.profile else []
    return SetUp(
        boxes=tuple(Box(code=vehicle.box(place), gateways=(vehicle.name,)) for vehicle, place in places),
        loggers=tuple(
            Logger(address=vehicle.logger(place), box=vehicle.box(place), calibration=CALIBRATION)
            for vehicle, place in places
        ),
        codes_for=tuple(vehicle.name for vehicle in fresh),
        reason="simulated fleet",
    )


async def _enrol_all(hub: AsyncHubClient, vehicles: Sequence[SimulatedVehicle], codes: dict[str, str]) -> list[bytes]:
    """Enrol vehicles; return the hub's key as each was told it."""
    gate = asyncio.Semaphore(AT_ONCE)

    async def enrol(vehicle: SimulatedVehicle) -> bytes:
        async with gate:
            enrolled = await _ask(hub, calls.enrol(vehicle.name, codes[vehicle.name], vehicle.key.public_bytes))
        return bytes.fromhex(enrolled.hub_public_key)

    # The first failure ends it; the others are cancelled with the loop.
    return await asyncio.gather(*(enrol(vehicle) for vehicle in vehicles))


def _consignment(vehicle: SimulatedVehicle, load: Load) -> Consignment:
    items = tuple(
        Item(
            code=f"{vehicle.name}-I{place}-{vehicle.run.hex()}",
            kind=Kind.MEDICINE,
            examinations=(Examination(code="transport", profile=load.profile),),
            carriage=(Carriage(box=vehicle.box(place), begins=load.begins),),
        )
        for place in range(load.shape.loggers)
    )
    return Consignment(code=f"{vehicle.name}-{vehicle.run.hex()}", items=items)


async def _ask(hub: AsyncHubClient, call: Call[T]) -> T:
    try:
        return await hub.ask(call)
    except ProblemError as error:
        raise InputError("hub", f"{call.path}: {error}") from error
    except HubError as error:
        raise InputError("--hub", f"{hub.url} does not answer: {error}") from error


def now_rounded() -> datetime:
    """The moment at which a fleet sets out, to the second."""
    return datetime.now(UTC).replace(microsecond=0)
