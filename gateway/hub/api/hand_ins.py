"""One-time codes to hand in by: made, listed, taken back. They are used at `/hand-in`, without an account."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Request
from pydantic import BaseModel, Field

from gateway.core.configuration import Code
from gateway.core.profiles import Identifier, Model
from gateway.hub.api.access import HubRooms, Receiving
from gateway.hub.api.bounds import Number
from gateway.hub.api.problems import documented
from gateway.hub.hand_in.codes import HandIn, Standing, address_of
from gateway.hub.hand_in.desk import DAYS_MAX, Order
from gateway.hub.hand_in.statements import Statement
from gateway.hub.times import real_ms

router = APIRouter(tags=["hand-ins"])


class NewHandIn(Model):
    """For which box a code is made, and for how many hours it can be used.

    `profile` judges items whose codes no rule of the hub knows.
    """

    box: Code
    hours: Annotated[int, Field(ge=1, le=DAYS_MAX * 24, examples=[168])] = 168
    requester: Annotated[Code | None, Field(examples=["GP-7"])] = None
    profile: Annotated[Identifier | None, Field(examples=["potassium"])] = None


class HandInSeen(BaseModel):
    """A code and what became of it. `consignment` is what it registered, null where all was registered already."""

    number: int
    standing: Standing
    box: str
    requester: str | None
    profile: str | None
    made_at_ms: int
    made_by: str
    expires_at_ms: int
    handed_in_at_ms: int | None
    consignment: str | None
    statement: Statement | None


class NewCode(BaseModel):
    """A new code, told this once, and the address that its QR code holds."""

    hand_in: HandInSeen
    code: Annotated[str, Field(examples=["ABCD-EFGH-IJKL-MNOP-QRST-UVWX-YZ"])]
    address: Annotated[str, Field(examples=["https://hub.example/hand-in#ABCD-EFGH-IJKL-MNOP-QRST-UVWX-YZ"])]


@router.get("/hand-ins", responses=documented(401, 403))
def list_hand_ins(rooms: HubRooms, _who: Receiving) -> list[HandInSeen]:
    """List the 200 codes made last, newest first, with what was handed in by them."""
    return [_seen(one) for one in rooms.hand_ins.listed()]


@router.post("/hand-ins", status_code=201, responses=documented(401, 403, 413, 422))
def make_hand_in(order: NewHandIn, request: Request, rooms: HubRooms, who: Receiving) -> NewCode:
    """Make a one-time code for a box. Only its hash is stored, so this answer is the only one that has it."""
    wanted = Order(order.box, order.hours, order.requester, order.profile)
    (made,) = rooms.hand_ins.make(wanted, who.name)
    address = address_of(rooms.settings.http.public_url, str(request.base_url))
    return NewCode(hand_in=_seen(made.hand_in), code=made.code, address=f"{address}#{made.code}")


@router.post("/hand-ins/{number}/revoke", responses=documented(401, 403, 422))
def revoke_hand_in(number: Number, rooms: HubRooms, who: Receiving) -> HandInSeen:
    """Take a code back. What was handed in by it stays."""
    return _seen(rooms.hand_ins.revoke(number, who.name))


def _seen(one: HandIn) -> HandInSeen:
    return HandInSeen(
        number=one.number,
        standing=one.standing(real_ms()),
        box=one.box,
        requester=one.requester,
        profile=one.profile,
        made_at_ms=one.made_at_ms,
        made_by=one.made_by,
        expires_at_ms=one.expires_at_ms,
        handed_in_at_ms=one.handed_in_at_ms,
        consignment=one.consignment,
        statement=one.statement,
    )
