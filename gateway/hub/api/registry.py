"""Loggers, boxes and profiles."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Body, HTTPException, Query
from pydantic import BaseModel

from gateway.core.assignments import Swap
from gateway.core.batches import SetUp, SetUpDone
from gateway.core.configuration import Box, Code, Logger, Site
from gateway.core.errors import InputError
from gateway.core.profiles import Identifier, Profile
from gateway.hub.access.roles import Right
from gateway.hub.api import losses
from gateway.hub.api.access import Configuring, HubRooms, WritingProfiles, needs
from gateway.hub.api.bounds import DryRun
from gateway.hub.api.problems import documented
from gateway.hub.review.competence import check_approver
from gateway.hub.rooms import Rooms
from gateway.hub.views.fleet import LoggerState

router = APIRouter(tags=["registry"])
router.include_router(losses.router)


class Swapped(BaseModel):
    """Both loggers after a swap."""

    left: Logger
    came: Logger


_WRITES = documented(401, 403, 413, 422)
_SET_UP: dict[str, Any] = {
    "boxes": [{"code": "BOX-1", "gateways": ["VAN-1"]}, {"code": "BOX-2", "gateways": ["VAN-1"]}],
    "loggers": [{"address": "C0:FF:EE:00:00:01", "box": "BOX-1"}, {"address": "C0:FF:EE:00:00:02", "box": "BOX-2"}],
    "codes_for": ["VAN-1"],
    "reason": "delivery of March",
}


@router.get("/loggers", dependencies=needs(Right.READ_FLEET), responses=documented(401, 403))
def list_loggers(rooms: HubRooms) -> list[Logger]:
    """List the enrolled loggers."""
    return rooms.registry.loggers()


@router.get("/loggers/states", dependencies=needs(Right.READ_FLEET), responses=documented(401, 403))
def list_logger_states(rooms: HubRooms) -> list[LoggerState]:
    """List the loggers with what was heard of them last, and what they need: a battery, a calibration."""
    return rooms.fleet.states()


@router.put("/loggers/{address}", responses=_WRITES)
def put_logger(
    address: Code,
    logger: Logger,
    who: Configuring,
    rooms: HubRooms,
    reason: Annotated[str, Query(max_length=200, description="why, for the audit trail")] = "",
) -> Logger:
    """Enrol a logger, or change its box or its calibration.

    Another box or certificate counts from `since`, now if that is not given; the time before keeps its own. `former`
    is answered, never taken.
    """
    _check_path("address", address, logger.address)
    placed = rooms.registry.put_logger(logger, who.name, reason)
    _ring(rooms)
    return placed


@router.post("/loggers/{address}/swap", responses=documented(401, 403, 404, 413, 422))
def swap_loggers(address: Code, swap: Swap, who: Configuring, rooms: HubRooms) -> Swapped:
    """Let another logger take this one's place in its box. The box keeps its history; the reason is on record."""
    if all(logger.address != address for logger in rooms.registry.loggers()):
        raise HTTPException(404, "no logger of that address is enrolled")
    left, came = rooms.registry.swap_loggers(address, swap, who.name)
    _ring(rooms)
    return Swapped(left=left, came=came)


@router.get("/boxes", dependencies=needs(Right.READ_BOXES), responses=documented(401, 403))
def list_boxes(rooms: HubRooms) -> list[Box]:
    """List the registered boxes."""
    return rooms.registry.boxes()


@router.put("/boxes/{code}", responses=_WRITES)
def put_box(code: Code, box: Box, who: Configuring, rooms: HubRooms) -> Box:
    """Register a box, or change its state or default profile."""
    _check_path("code", code, box.code)
    rooms.registry.put_box(box, who.name)
    _ring(rooms)
    return box


@router.post("/registry", responses=_WRITES)
def set_up(
    wanted: Annotated[SetUp, Body(openapi_examples={"two boxes, their loggers, and a vehicle": {"value": _SET_UP}})],
    who: Configuring,
    rooms: HubRooms,
    *,
    dry_run: DryRun = False,
) -> SetUpDone:
    """Register boxes and loggers and issue one-time codes, all of it or nothing; each fault names place and field.

    Each box and logger is taken as if it were sent alone, and is an entry of its own in the audit trail. What is
    registered already and says the same is left as it is, and so is the state of a box for which none is stated: it can
    be sent again. Each time gives new codes; those of before hold until they are used or end.
    """
    done = rooms.registry.set_up(wanted, who.name, dry_run=dry_run)
    if not dry_run:
        _ring(rooms)
    return done


@router.get("/sites", dependencies=needs(Right.READ_FLEET), responses=documented(401, 403))
def list_sites(rooms: HubRooms) -> list[Site]:
    """List the places by whose names vehicles tell where they stopped."""
    return rooms.registry.sites()


@router.put("/sites/{name}", responses=_WRITES)
def put_site(name: Code, site: Site, who: Configuring, rooms: HubRooms) -> Site:
    """Register a place of the organisation, never a home: vehicles with a GPS receiver tell it by its name."""
    _check_path("name", name, site.name)
    rooms.registry.put_site(site, who.name)
    _ring(rooms)
    return site


@router.get("/profiles", dependencies=needs(Right.READ_PROFILES), responses=documented(401, 403))
def list_profiles(rooms: HubRooms) -> list[Profile]:
    """List the newest version of each profile: registered ones, and the library's others."""
    return rooms.registry.profiles()


@router.put("/profiles/{name}", responses=documented(401, 403, 409, 413, 422))
def put_profile(name: Identifier, profile: Profile, who: WritingProfiles, rooms: HubRooms) -> Profile:
    """Register a version of a profile. A version that exists can be sent again, but says the same for ever.

    One that is approved is registered by somebody who may approve it.
    """
    _check_path("id", name, profile.id)
    if profile.status == "approved":
        check_approver(who, profile.kind)
    try:
        rooms.registry.put_profile(profile, who.name)
    except InputError as error:
        if error.field != "version":
            raise
        raise HTTPException(409, error.reason) from error
    _ring(rooms)
    return profile


def _check_path(field: str, in_path: str, in_body: str) -> None:
    if in_path != in_body:
        raise InputError(field, f"{in_body} is not the one in the address ({in_path})")


def _ring(rooms: Rooms) -> None:
    rooms.bells.registered.ring()
    rooms.bells.arrived.ring()
