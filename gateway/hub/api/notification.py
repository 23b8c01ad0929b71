"""Who is told of alerts: recipients, policies, and the messages that left or wait."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Body, HTTPException, Query
from pydantic import BaseModel

from gateway.core.configuration import Code
from gateway.core.errors import InputError
from gateway.core.profiles import Identifier
from gateway.hub.access.roles import Right
from gateway.hub.api.access import Configuring, HubRooms, needs
from gateway.hub.api.problems import documented
from gateway.hub.notification.channels import shown
from gateway.hub.notification.directory import Directory
from gateway.hub.notification.ledger import Message, MessageState, count_alerts_for_nobody, read_messages
from gateway.hub.notification.policies import Policy
from gateway.hub.notification.recipients import Recipient
from gateway.hub.notification.worker import send_test
from gateway.hub.rooms import Rooms

router = APIRouter(prefix="/notification", tags=["notification"])

_RECIPIENT: dict[str, Any] = {
    "name": "PHARMACY-ON-CALL",
    "duties": ["pharmacy-on-call"],
    "language": "nb",
    "channels": [
        {"id": "mail", "url": "mailto:pharmacy-on-call@hospital.example"},
        {"id": "board", "url": "https://alerts.hospital.example/in", "secret": "0123456789abcdef0123456789abcdef"},
    ],
    "quiet": [{"begins": "22:00", "ends": "07:00"}],
}
_POLICY: dict[str, Any] = {
    "name": "samples-at-night",
    "order": 50,
    "subjects": ["temperature", "time"],
    "kinds": ["sample"],
    "hours": [{"begins": "16:00", "ends": "08:00"}],
    "steps": [{"to": ["@requester"]}, {"after_min": 15, "to": ["laboratory", "quality-on-call"]}],
}
_READS = documented(401, 403)
_WRITES = documented(401, 403, 413, 422)
DAY_MS = 86_400_000


class ChannelOut(BaseModel):
    """A channel; of its address only what is no secret."""

    id: str
    url: str
    signed: bool


class RecipientOut(BaseModel):
    """A recipient. `about` is what was registered, without its channels."""

    name: str
    channels: list[ChannelOut]
    about: dict[str, Any]


class Tried(BaseModel):
    """What became of a test. `failure` is "" where the channel took it."""

    channel: str
    failure: str


class Outgoings(BaseModel):
    """Messages, newest first. `for_nobody`: alerts of the last day that no recipient was told of."""

    messages: list[Message]
    for_nobody: int


@router.get("/recipients", dependencies=needs(Right.CONFIGURE), responses=_READS)
def list_recipients(rooms: HubRooms) -> list[RecipientOut]:
    """List who can be told. The addresses of channels are not shown to anybody."""
    return [_out(recipient) for recipient in _directory(rooms).recipients()]


@router.put("/recipients/{name}", responses=_WRITES)
def put_recipient(
    name: Code,
    recipient: Annotated[Recipient, Body(openapi_examples={"on call": {"value": _RECIPIENT}})],
    who: Configuring,
    rooms: HubRooms,
) -> RecipientOut:
    """Register a recipient, or change it. A channel without `url` keeps the address that is known."""
    _check_path(name, recipient.name)
    return _out(_directory(rooms).put_recipient(recipient, who.name))


@router.delete("/recipients/{name}", status_code=204, responses=documented(401, 403, 404))
def remove_recipient(name: Code, who: Configuring, rooms: HubRooms) -> None:
    """Remove a recipient; what waits for it is given up."""
    if not _directory(rooms).remove_recipient(name, who.name):
        raise HTTPException(404, "no recipient of that name")


@router.post("/recipients/{name}/test", dependencies=needs(Right.CONFIGURE), responses=documented(401, 403, 404))
def try_recipient(name: Code, rooms: HubRooms) -> list[Tried]:
    """Send a test to each channel of a recipient, and say what became of it."""
    recipient = _directory(rooms).recipient(name)
    if recipient is None:
        raise HTTPException(404, "no recipient of that name")
    return [Tried(channel=name, failure=why) for name, why in send_test(recipient, rooms.settings).items()]


@router.get("/policies", dependencies=needs(Right.CONFIGURE), responses=_READS)
def list_policies(rooms: HubRooms) -> list[Policy]:
    """List the policies in the order in which they are asked; the first that fits an alert decides."""
    return _directory(rooms).policies()


@router.put("/policies/{name}", responses=_WRITES)
def put_policy(
    name: Identifier,
    policy: Annotated[Policy, Body(openapi_examples={"at night": {"value": _POLICY}})],
    who: Configuring,
    rooms: HubRooms,
) -> Policy:
    """Register a policy, or change it. It holds for alerts from now on."""
    _check_path(name, policy.name)
    _directory(rooms).put_policy(policy, who.name)
    return policy


@router.delete("/policies/{name}", status_code=204, responses=documented(401, 403, 404))
def remove_policy(name: Identifier, who: Configuring, rooms: HubRooms) -> None:
    """Remove a policy; one that the hub brings along is then as it was."""
    if not _directory(rooms).remove_policy(name, who.name):
        raise HTTPException(404, "no policy of that name was registered")


@router.get("/messages", dependencies=needs(Right.READ_BREACHES), responses=documented(401, 403, 422))
def list_messages(
    rooms: HubRooms,
    state: Annotated[MessageState | None, Query(description="without it: those that are waiting or failed")] = None,
    before: Annotated[int, Query(ge=0, lt=1 << 53, description="return those with a smaller id")] = 0,
    limit: Annotated[int, Query(ge=1, le=500)] = 100,
) -> Outgoings:
    """List messages: what waits, what was given up, what was sent."""
    with rooms.store.read() as connection:
        found = read_messages(connection, state, limit, before)
        missed = count_alerts_for_nobody(connection, rooms.clock.now_ms() - DAY_MS)
    return Outgoings(messages=found, for_nobody=missed)


def _directory(rooms: Rooms) -> Directory:
    return Directory(rooms.store, rooms.settings.notification, rooms.clock.now_ms)


def _check_path(in_path: str, in_body: str) -> None:
    if in_path != in_body:
        raise InputError("name", f"{in_body} is not the one in the address ({in_path})")


def _out(recipient: Recipient) -> RecipientOut:
    channels = [
        ChannelOut(id=channel.id, url=shown(channel), signed=channel.secret is not None)
        for channel in recipient.channels
    ]
    about = recipient.model_dump(mode="json", exclude={"channels", "name"})
    return RecipientOut(name=recipient.name, channels=channels, about=about)
