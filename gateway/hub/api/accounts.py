"""Accounts and tokens; and whoever asks about themselves."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter
from pydantic import Field, SecretStr

from gateway.core.profiles import Model
from gateway.hub.access.accounts import Account
from gateway.hub.access.api_tokens import DAYS_MAX, ApiToken
from gateway.hub.access.callers import Way
from gateway.hub.access.roles import Right, Role
from gateway.hub.api.access import AnyCaller, HubRooms, ManagingUsers
from gateway.hub.api.bounds import Number
from gateway.hub.api.problems import documented

router = APIRouter(tags=["accounts"])
_WRITES = documented(401, 403, 413, 422)
Name = Annotated[str, Field(max_length=64, examples=["kari"])]
Reason = Annotated[str, Field(max_length=1000, examples=["new in the department"])]


class Self(Model):
    """Whoever asks."""

    name: str
    printed_name: str
    roles: list[Role]
    rights: list[Right]
    way: Way


class NewAccount(Model):
    """An account to be made, with a password or with its subject at the hospital's single sign-on."""

    name: Name
    printed_name: Annotated[str, Field(max_length=120, examples=["Kari Nordmann"])]
    roles: Annotated[list[Role], Field(min_length=1, max_length=len(Role), examples=[["receiver"]])]
    password: SecretStr = SecretStr("")
    subject: Annotated[str, Field(max_length=255)] = ""


class Changes(Model):
    """What to change of an account; what is left out stays. `subject`: at the single sign-on, "" for none any more."""

    roles: Annotated[list[Role], Field(min_length=1, max_length=len(Role))] | None = None
    printed_name: Annotated[str, Field(max_length=120)] | None = None
    password: SecretStr | None = None
    subject: Annotated[str, Field(max_length=255)] | None = None
    is_disabled: bool | None = None
    reason: Reason = ""


class NewToken(Model):
    """A token to be made for an account: a part of its rights, for so many days."""

    account: Name
    label: Annotated[str, Field(max_length=64, examples=["laboratory system"])]
    rights: Annotated[list[Right], Field(min_length=1, max_length=len(Right), examples=[["look_up"]])]
    days: Annotated[int, Field(ge=1, le=DAYS_MAX)] = 90


class MadeToken(Model):
    """A token that was just made. `secret` is shown this once."""

    id: int
    secret: str
    expires_at_ms: int


@router.get("/me", responses=documented(401))
def show_self(caller: AnyCaller) -> Self:
    """Show who asks, and what they may do."""
    return Self(
        name=caller.name,
        printed_name=caller.printed_name,
        roles=sorted(caller.roles),
        rights=sorted(caller.rights),
        way=caller.way,
    )


@router.get("/accounts", responses=documented(401, 403))
def list_accounts(rooms: HubRooms, _who: ManagingUsers) -> list[Account]:
    """List the accounts."""
    return rooms.accounts.accounts()


@router.post("/accounts", status_code=201, responses=_WRITES)
def add_account(new: NewAccount, rooms: HubRooms, who: ManagingUsers) -> Account:
    """Make an account."""
    return rooms.accounts.add(
        new.name,
        new.printed_name,
        new.roles,
        who.name,
        password=new.password.get_secret_value(),
        identity=rooms.settings.access.identity_of(new.subject) if new.subject else None,
    )


@router.patch("/accounts/{name}", responses=_WRITES)
def change_account(name: str, changes: Changes, rooms: HubRooms, who: ManagingUsers) -> Account:
    """Change an account. Disabled, unlinked or with a new password, its sessions end at once."""
    identity = rooms.settings.access.identity_of(changes.subject) if changes.subject else None
    account = rooms.accounts.change(
        name, who.name, roles=changes.roles, printed_name=changes.printed_name, reason=changes.reason
    )
    if changes.password is not None:
        account = rooms.accounts.set_password(name, changes.password.get_secret_value(), who.name)
    if identity is not None:
        account = rooms.accounts.link(name, identity, who.name, changes.reason)
    elif changes.subject is not None:
        account = rooms.accounts.unlink(name, who.name, changes.reason)
    if changes.is_disabled is not None:
        act = rooms.accounts.disable if changes.is_disabled else rooms.accounts.enable
        account = act(name, who.name, changes.reason)
    return account


@router.get("/tokens", responses=documented(401, 403))
def list_tokens(rooms: HubRooms, _who: ManagingUsers) -> list[ApiToken]:
    """List the tokens of programs, ended ones included."""
    return rooms.api_tokens.tokens()


@router.post("/tokens", status_code=201, responses=_WRITES)
def make_token(new: NewToken, rooms: HubRooms, who: ManagingUsers) -> MadeToken:
    """Make a token for a program."""
    token, secret = rooms.api_tokens.make(new.account, new.label, new.rights, new.days, who.name)
    return MadeToken(id=token.id, secret=secret, expires_at_ms=token.expires_at_ms)


@router.delete("/tokens/{number}", responses=documented(401, 403, 422))
def revoke_token(number: Number, rooms: HubRooms, who: ManagingUsers) -> ApiToken:
    """End a token at once."""
    return rooms.api_tokens.revoke(number, who.name)
