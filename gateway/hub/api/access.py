"""Who asks, and whether they may: each operation states the right that it needs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, HTTPException, Request
from fastapi.params import Depends as DependsParam
from fastapi.security import APIKeyCookie, HTTPAuthorizationCredentials, HTTPBearer

from gateway.hub.access.callers import Caller, Way, make_caller
from gateway.hub.access.roles import Right, Role, roles_with
from gateway.hub.access.tokens import is_same
from gateway.hub.rooms import Rooms

CSRF_HEADER = "x-csrf-token"
CSRF_FIELD = "csrf"
_API = "/api/v1"
_FORMS = ("application/x-www-form-urlencoded", "multipart/form-data")
_SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
_PROXIED = {"forwarded", "x-forwarded-for", "x-forwarded-host", "x-real-ip"}
"""What a proxy adds: then whoever asks is not on this machine."""
_CHALLENGE = {"WWW-Authenticate": "Bearer"}

COOKIE = "coldchain"
SECURE_COOKIE = "__Host-coldchain"
"""Browsers take a cookie of this name only over TLS, for this host alone, for all of it."""

_gateway_bearer = HTTPBearer(
    scheme_name="gateway", description="The token that a gateway got at enrolment.", auto_error=False
)
_bearer = HTTPBearer(
    scheme_name="token",
    description="A program's token, or what stands in data_dir/admin.token of the hub.",
    auto_error=False,
)
_session = APIKeyCookie(
    name=SECURE_COOKIE,
    scheme_name="session",
    description=f"The cookie of somebody who has logged in. Writes also carry {CSRF_HEADER}. Without TLS: {COOKIE}.",
    auto_error=False,
)

Bearer = Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)]


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


async def csrf_of(request: Request) -> str:
    """Return what a script or a form of our own pages sent to show that it is ours."""
    if request.method in _SAFE:
        return ""
    given = request.headers.get(CSRF_HEADER)
    is_form = request.headers.get("content-type", "").startswith(_FORMS) and not request.url.path.startswith(_API)
    if given is None and is_form:
        field = (await request.form()).get(CSRF_FIELD)
        given = field if isinstance(field, str) else None
    return given or ""


def session_secret_of(request: Request, rooms: Rooms) -> str:
    """Return what the session's cookie holds, "" if there is none."""
    return request.cookies.get(SECURE_COOKIE if rooms.settings.http.is_secure else COOKIE, "")


def caller_of(
    request: Request,
    rooms: HubRooms,
    bearer: Bearer,
    _cookie: Annotated[str | None, Depends(_session)],
    csrf: Annotated[str, Depends(csrf_of)],
) -> Caller:
    """Return who asks; answers 401 for nobody, 403 for a write that another site has caused."""
    if bearer is not None:
        caller = _find_bearer(rooms, bearer.credentials)
        if caller is None:
            raise HTTPException(401, "this token is not valid, or no longer", headers=_CHALLENGE)
        return caller
    is_write = request.method not in _SAFE
    if is_write and request.headers.get("sec-fetch-site", "same-origin") not in {"same-origin", "none"}:
        raise HTTPException(403, "another site has caused this request")
    secret = session_secret_of(request, rooms)
    caller = rooms.sessions.find(secret) if secret else None
    if caller is not None:
        if is_write and not rooms.sessions.is_csrf(csrf, secret):
            raise HTTPException(403, f"{CSRF_HEADER} is missing or of another session: load the page again")
        return caller
    if rooms.settings.access.anonymous and not _PROXIED.intersection(request.headers):
        return make_caller("anonymous", frozenset(rooms.settings.access.anonymous), Way.NOBODY)
    raise HTTPException(401, "log in, or send a token", headers=_CHALLENGE)


def _find_bearer(rooms: Rooms, given: str) -> Caller | None:
    if is_same(given, rooms.admin_token_hash):
        return make_caller("admin", frozenset({Role.ADMINISTRATOR}), Way.HUB)
    return rooms.api_tokens.find(given)


AnyCaller = Annotated[Caller, Depends(caller_of)]


class MissingRightError(HTTPException):
    """Whoever asks may not do that; it says who may."""

    def __init__(self, right: Right) -> None:
        who = ", ".join(role.replace("_", " ") for role in roles_with(right))
        super().__init__(403, f"this is for: {who}")
        self.right = right


@dataclass(frozen=True, slots=True)
class Requirement:
    """A dependency that lets those through who have a right; answers 401 or 403 otherwise."""

    right: Right

    def __call__(self, caller: AnyCaller) -> Caller:
        """Return who asks."""
        if not caller.may(self.right):
            raise MissingRightError(self.right)
        return caller


def needs(right: Right) -> list[DependsParam]:
    """Return the `dependencies` of an operation that asks for a right and does not care whose it is."""
    return [Depends(Requirement(right))]


CallingGateway = Annotated[str, Depends(gateway_of)]
LookingUp = Annotated[Caller, Depends(Requirement(Right.LOOK_UP))]
Listing = Annotated[Caller, Depends(Requirement(Right.LIST))]
Registering = Annotated[Caller, Depends(Requirement(Right.REGISTER))]
Receiving = Annotated[Caller, Depends(Requirement(Right.RECEIVE))]
ReadingBoxes = Annotated[Caller, Depends(Requirement(Right.READ_BOXES))]
ReadingFleet = Annotated[Caller, Depends(Requirement(Right.READ_FLEET))]
ReadingProfiles = Annotated[Caller, Depends(Requirement(Right.READ_PROFILES))]
Configuring = Annotated[Caller, Depends(Requirement(Right.CONFIGURE))]
WritingProfiles = Annotated[Caller, Depends(Requirement(Right.WRITE_PROFILES))]
ApprovingProfiles = Annotated[Caller, Depends(Requirement(Right.APPROVE_PROFILES))]
EditingChoices = Annotated[Caller, Depends(Requirement(Right.EDIT_CHOICES))]
ManagingUsers = Annotated[Caller, Depends(Requirement(Right.MANAGE_USERS))]


def administrator_name(caller: Configuring) -> str:
    """Return the name of somebody who may change boxes, loggers and gateways."""
    return caller.name


Administrator = Annotated[str, Depends(administrator_name)]
