"""What happens on the way, in its order: the mishaps that the scenario tells, done or only told."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field

from gateway.core.exposure import to_ms
from gateway.demo.company import Company
from gateway.demo.trip import KillVehicle, NetworkDown, SimulatedBox, Trip

Act = Callable[[Company], Awaitable[None]]


async def _nothing(_company: Company) -> None:
    """The simulator does it by itself."""


async def _cut_roads(company: Company) -> None:
    company.cut_roads()


async def _mend_roads(company: Company) -> None:
    company.mend_roads()


async def _kill_vehicle(company: Company) -> None:
    await company.vehicle.kill()


async def _start_vehicle(company: Company) -> None:
    await company.start_vehicle()


@dataclass(frozen=True, slots=True, order=True)
class Mishap:
    """Something at a moment of domain time, with the words for it."""

    at_ms: int
    text: str
    act: Act = field(default=_nothing, compare=False)


def list_mishaps(trip: Trip) -> list[Mishap]:
    """Return everything that happens on a trip, in order of time."""
    found = [mishap for event in trip.events for mishap in _of_event(event)]
    found += [mishap for box in trip.boxes for mishap in _of_box(box)]
    return sorted(found)


def _of_event(event: NetworkDown | KillVehicle) -> Iterator[Mishap]:
    match event:
        case NetworkDown():
            yield Mishap(to_ms(event.begins_at), "dead zone: no network between vehicle and hub", _cut_roads)
            yield Mishap(to_ms(event.ends_at), "the network is back", _mend_roads)
        case KillVehicle():
            at_ms = to_ms(event.at)
            yield Mishap(at_ms, "power cut: the gateway's process is killed", _kill_vehicle)
            yield Mishap(at_ms + round(event.restart_after_s * 1000), "the gateway starts again", _start_vehicle)


def _of_box(box: SimulatedBox) -> Iterator[Mishap]:
    for lid in box.lid_open:
        yield Mishap(to_ms(lid.begins_at), f"{box.code}: the lid is opened")
        yield Mishap(to_ms(lid.ends_at), f"{box.code}: the lid is closed")
    for away in box.carried_away:
        yield Mishap(to_ms(away.begins_at), f"{box.code}: carried out of the radio's reach")
        yield Mishap(to_ms(away.ends_at), f"{box.code}: back in the vehicle")
    if box.logger.dies_at is not None:
        memory = "" if box.logger.memory else ", and it has no memory"
        yield Mishap(to_ms(box.logger.dies_at), f"{box.code}: the logger's battery is empty{memory}")
