"""Who signs shows once more who they are, in the same request as the signature."""

from __future__ import annotations

from gateway.core.errors import InputError
from gateway.hub.access.accounts import LoginRefusedError
from gateway.hub.access.callers import Caller, Way
from gateway.hub.rooms import Rooms


def prove_signer(rooms: Rooms, caller: Caller, password: str) -> None:
    """Return if this is the caller's own password; raises InputError naming `password`."""
    if caller.way is not Way.SESSION:
        raise InputError("password", "people sign, logged in; programs do not")
    try:
        rooms.accounts.check(caller.name, password)
    except LoginRefusedError as error:
        raise InputError("password", "this is not your password, or your account rests") from error
