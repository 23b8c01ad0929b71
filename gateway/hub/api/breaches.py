"""Breaches: flagged by gateways, listed for people and programs."""

from __future__ import annotations

import math
from typing import Annotated, Any

from fastapi import APIRouter, Body, HTTPException, Query, Request, Response
from pydantic import BaseModel

from gateway.core.flags import BreachFlag, breach_key
from gateway.core.verdicts import BreachKind
from gateway.hub.access.roles import Right
from gateway.hub.api.access import CallingGateway, HubRooms, needs
from gateway.hub.api.bounds import After, Limit, Number, Word
from gateway.hub.api.problems import documented
from gateway.hub.breaches.keeping import StoredBreach, flag, read_breach, read_breaches

router = APIRouter(tags=["breaches"])

FLAGS_AT_ONCE = 200
FLAG_EACH_S = 0.5
"""Of one gateway: all items of a full van at once, and two a second after that. More is a fault, or a stolen token; the
log, which carries the same news, is not held up."""

_EXAMPLE: dict[str, Any] = {
    "gateway": "VAN-1",
    "consignment": "C-1001",
    "item": "V-77",
    "examination": "dose",
    "profile": "vaccine-fridge",
    "profile_version": 1,
    "config_version": 12,
    "rule": "too-warm",
    "kind": "single",
    "started_at_ms": 1_792_908_000_000,
    "triggered_at_ms": 1_792_909_800_000,
    "extreme_c": 11.4,
    "minutes": 30.0,
    "epoch": "5f0c6d1e2b3a4958",
    "offset": 412,
}
_EXAMPLE["key"] = breach_key(
    consignment=_EXAMPLE["consignment"],
    item=_EXAMPLE["item"],
    examination=_EXAMPLE["examination"],
    rule=_EXAMPLE["rule"],
    kind=BreachKind.SINGLE,
    started_at_ms=_EXAMPLE["started_at_ms"],
)


class Accepted(BaseModel):
    """Under which identity the hub keeps a flagged breach."""

    id: int
    key: str


@router.post("/breaches", status_code=201, responses={200: {"model": Accepted}, **documented(401, 403, 413, 422, 429)})
def flag_breach(
    flagged: Annotated[BreachFlag, Body(openapi_examples={"too warm": {"value": _EXAMPLE}})],
    gateway: CallingGateway,
    rooms: HubRooms,
    request: Request,
    response: Response,
) -> Accepted:
    """Flag a breach as soon as a gateway sees it. Idempotent: 201 the first time, 200 for the same again."""
    if flagged.gateway != gateway:
        raise HTTPException(403, f"this is the token of {gateway}")
    wait_s = request.app.state.flag_rates.take(gateway)
    if wait_s:
        seconds = math.ceil(wait_s)
        headers = {"Retry-After": str(seconds)}
        raise HTTPException(429, f"too many flags of one gateway: wait {seconds} s", headers=headers)
    with rooms.store.write() as connection:
        breach_id, is_new = flag(connection, flagged, rooms.clock.now_ms())
    if is_new:
        rooms.bells.told.ring()
        rooms.bells.arrived.ring()
    else:
        response.status_code = 200
    return Accepted(id=breach_id, key=flagged.key)


@router.get("/breaches", dependencies=needs(Right.READ_BREACHES), responses=documented(401, 403))
def list_breaches(
    rooms: HubRooms,
    consignment: Annotated[Word | None, Query(max_length=64)] = None,
    after: After = 0,
    limit: Limit = 500,
) -> list[StoredBreach]:
    """List breaches by ascending id, withdrawn ones included."""
    with rooms.store.read() as connection:
        return read_breaches(connection, consignment=consignment, after=after, limit=limit)


@router.get("/breaches/{breach_id:int}", dependencies=needs(Right.READ_BREACHES), responses=documented(401, 403, 404))
def show_breach(breach_id: Number, rooms: HubRooms) -> StoredBreach:
    """Show one breach."""
    with rooms.store.read() as connection:
        found = read_breach(connection, breach_id)
    if found is None:
        raise HTTPException(404, f"no breach {breach_id}")
    return found
