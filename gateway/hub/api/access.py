"""Who may do what: gateways by their own token, registration by the administrator's."""

from __future__ import annotations

from typing import Annotated

from fastapi import Depends, HTTPException, Request
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from gateway.hub.rooms import Rooms
from gateway.hub.tokens import is_same

_gateway_bearer = HTTPBearer(
    scheme_name="gateway", description="The token that a gateway got at enrolment.", auto_error=False
)
_admin_bearer = HTTPBearer(
    scheme_name="administrator", description="What stands in data_dir/admin.token of the hub.", auto_error=False
)
_CHALLENGE = {"WWW-Authenticate": "Bearer"}


def rooms_of(request: Request) -> Rooms:
    """Return the hub's rooms."""
    rooms: Rooms = request.app.state.rooms
    return rooms


HubRooms = Annotated[Rooms, Depends(rooms_of)]


def gateway_of(rooms: HubRooms, given: Annotated[HTTPAuthorizationCredentials | None, Depends(_gateway_bearer)]) -> str:
    """Return whose token came with the request; answers 401 if nobody's did."""
    gateway = None if given is None else rooms.enrolment.gateway_of(given.credentials)
    if gateway is None:
        raise HTTPException(401, "a gateway's token is needed", headers=_CHALLENGE)
    return gateway


def admin_of(rooms: HubRooms, given: Annotated[HTTPAuthorizationCredentials | None, Depends(_admin_bearer)]) -> str:
    """Return "admin" if the administrator's token came with the request; answers 401 otherwise."""
    if given is None or not is_same(given.credentials, rooms.admin_token_hash):
        raise HTTPException(401, "the administrator's token is needed", headers=_CHALLENGE)
    return "admin"


CallingGateway = Annotated[str, Depends(gateway_of)]
Administrator = Annotated[str, Depends(admin_of)]
