"""Enrols a simulated fleet and registers what it carries, over the hub's API, as an installer and a ward would."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta

import httpx

from gateway.core.configuration import Box, Calibration, Carriage, Consignment, Examination, Item, Logger
from gateway.core.errors import InputError
from gateway.core.profiles import Kind, Model
from gateway.load.vehicles import Shape, SimulatedVehicle

AT_ONCE = 8
"""Requests under way: the hub's acts happen one after another anyway."""
TIMEOUT_S = 60.0


async def register_fleet(
    client: httpx.AsyncClient,
    vehicles: Sequence[SimulatedVehicle],
    shape: Shape,
    codes: dict[str, str],
    *,
    profile: str,
    begins: datetime,
    progress: Callable[[int], None] | None = None,
) -> bytes:
    """Enrol and register all vehicles; return the hub's public key. Raises InputError with the hub's reason.

    Each carries one consignment with an item in each of its boxes, judged by `profile`; without a profile they are only
    enrolled. `codes` are the one-time codes by vehicle.
    """
    gate, done, keys = asyncio.Semaphore(AT_ONCE), 0, set[str]()

    async def register(vehicle: SimulatedVehicle) -> None:
        nonlocal done
        async with gate:
            keys.add(await _enrol(client, vehicle, codes[vehicle.name]))
            if profile:
                for place in range(shape.loggers):
                    await _register_box(client, vehicle, place, begins)
                carried = _consignment(vehicle, shape, profile, begins)
                await _put(client, f"/api/v1/consignments/{carried.code}", carried)
        done += 1
        if progress is not None:
            progress(done)

    # The first failure ends it; the others are cancelled with the loop.
    await asyncio.gather(*(register(vehicle) for vehicle in vehicles))
    (key,) = keys
    return bytes.fromhex(key)


async def _enrol(client: httpx.AsyncClient, vehicle: SimulatedVehicle, code: str) -> str:
    body = {"gateway": vehicle.name, "code": code, "public_key": vehicle.key.public_bytes.hex()}
    answer = _checked(await client.post("/api/v1/enrolments", json=body))
    return str(answer.json()["hub_public_key"])


async def _register_box(client: httpx.AsyncClient, vehicle: SimulatedVehicle, place: int, begins: datetime) -> None:
    box = Box(code=vehicle.box(place), gateways=(vehicle.name,))
    calibration = Calibration(
        certificate="simulated", calibrated_at=begins - timedelta(days=1), due_at=begins + timedelta(days=3650)
    )
    logger = Logger(address=vehicle.logger(place), box=box.code, calibration=calibration)
    await _put(client, f"/api/v1/boxes/{box.code}", box)
    await _put(client, f"/api/v1/loggers/{logger.address}", logger)


def _consignment(vehicle: SimulatedVehicle, shape: Shape, profile: str, begins: datetime) -> Consignment:
    items = tuple(
        Item(
            code=f"{vehicle.name}-I{place}-{vehicle.run.hex()}",
            kind=Kind.MEDICINE,
            examinations=(Examination(code="transport", profile=profile),),
            carriage=(Carriage(box=vehicle.box(place), begins=begins),),
        )
        for place in range(shape.loggers)
    )
    return Consignment(code=f"{vehicle.name}-{vehicle.run.hex()}", items=items)


async def _put(client: httpx.AsyncClient, path: str, document: Model) -> None:
    text = document.model_dump_json(exclude_none=True, exclude_defaults=True)
    _checked(await client.put(path, content=text, headers={"Content-Type": "application/json"}))


def _checked(answer: httpx.Response) -> httpx.Response:
    if answer.is_error:
        raise InputError("hub", f"{answer.request.url.path}: {answer.status_code} {answer.text[:300]}")
    return answer


def now_rounded() -> datetime:
    """The moment at which a fleet sets out, to the second."""
    return datetime.now(UTC).replace(microsecond=0)
