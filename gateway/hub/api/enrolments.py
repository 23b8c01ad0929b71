"""Enrolment of gateways, and what is known of them."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, HTTPException, Path
from pydantic import Field, StringConstraints

from gateway.core.configuration import Code
from gateway.core.profiles import Model
from gateway.hub.access.roles import Right
from gateway.hub.api.access import Administrator, HubRooms, needs
from gateway.hub.api.problems import documented
from gateway.hub.registry.enrolment import EnrolmentRefusedError, GatewayState

router = APIRouter(tags=["gateways"])

PublicKey = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]


class EnrolmentRequest(Model):
    """A gateway's name, its one-time code, and the Ed25519 public key that it made (hexadecimal)."""

    gateway: Annotated[Code, Field(examples=["VAN-1"])]
    code: Annotated[str, StringConstraints(min_length=8, max_length=64), Field(examples=["ABCD-EFGH-2345-JKLM-NPQR"])]
    public_key: Annotated[
        PublicKey, Field(examples=["d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a"])
    ]


class EnrolmentAnswer(Model):
    """The hub's public key to pin (hexadecimal), and the token for everything the gateway posts."""

    hub_public_key: PublicKey
    token: str


@router.post("/enrolments", responses=documented(403, 422))
def enrol(request: EnrolmentRequest, rooms: HubRooms) -> EnrolmentAnswer:
    """Enrol a gateway. The same code with the same key may be used again and answers the same."""
    try:
        token = rooms.enrolment.enrol(request.gateway, request.code, bytes.fromhex(request.public_key))
    except EnrolmentRefusedError as error:
        raise HTTPException(403, "this code does not enrol this gateway: ask for a new one") from error
    rooms.bells.registered.ring()
    return EnrolmentAnswer(hub_public_key=rooms.key.public_bytes.hex(), token=token)


@router.get("/gateways", dependencies=needs(Right.READ_FLEET), responses=documented(401, 403))
def list_gateways(rooms: HubRooms) -> list[GatewayState]:
    """List the enrolled gateways, their link, and how far their logs have arrived."""
    return rooms.enrolment.gateways()


class Placement(Model):
    """Where a gateway is: in a vehicle, or at a reception, where it is told of every box and reads out what arrives."""

    reception: Annotated[bool, Field(examples=[True])]


@router.put("/gateways/{gateway}/placement", responses=documented(401, 403, 413, 422))
def place_gateway(
    gateway: Annotated[Code, Path(examples=["BENCH-1"])], placement: Placement, rooms: HubRooms, who: Administrator
) -> Placement:
    """Say whether a gateway stands at a reception. It gets a new configuration at once."""
    rooms.enrolment.place(gateway, who, reception=placement.reception)
    rooms.bells.registered.ring()
    return placement
