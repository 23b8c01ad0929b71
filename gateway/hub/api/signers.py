"""Who signs shows once more who they are: by the password, or by a proof that the single sign-on gave for this."""

from __future__ import annotations

from dataclasses import dataclass

from fastapi import HTTPException, Request

from gateway.hub.access.accounts import LoginRefusedError
from gateway.hub.access.callers import Caller, Way
from gateway.hub.api.access import session_secret_of
from gateway.hub.review.signing import Meaning
from gateway.hub.rooms import Rooms


@dataclass(frozen=True, slots=True)
class SigningWays:
    """How somebody can sign.

    password  by giving the password again
    sign_on   what the single sign-on is called by which they can show who they are, "" if they cannot
    proven    they have just done so for this purpose: nothing more is needed
    """

    password: bool
    sign_on: str
    proven: bool


def signing_purpose(breach_id: int, meaning: Meaning, content_hash: str) -> str:
    """Return what a proof is for: this breach, this meaning, and this content of the review."""
    return f"breach:{breach_id}:{meaning.value}:{content_hash}"


def ways_to_sign(request: Request, rooms: Rooms, who: Caller, purpose: str) -> SigningWays:
    """Return how whoever asks can sign, for a page to offer it."""
    account = rooms.accounts.account(who.name) if who.way is Way.SESSION else None
    if account is None:
        return SigningWays(password=False, sign_on="", proven=False)
    is_linked = rooms.sign_on is not None and account.identity is not None
    return SigningWays(
        password=account.has_password,
        sign_on=rooms.sign_on.settings.name if rooms.sign_on is not None and is_linked else "",
        proven=is_linked and rooms.proofs.is_there(session_secret_of(request, rooms), who.name, purpose),
    )


def confirm_signer(request: Request, rooms: Rooms, who: Caller, purpose: str, password: str) -> None:
    """Answer 403 unless the password is right or, without one, there is a proof; a proof is used up by this."""
    if who.way is not Way.SESSION:
        raise HTTPException(403, "people sign, logged in; programs do not")
    if not password:
        if not rooms.proofs.take(session_secret_of(request, rooms), who.name, purpose):
            raise HTTPException(403, "give your password, or log in again at the single sign-on: /sign-in-again")
        return
    try:
        rooms.accounts.check(who.name, password)
    except LoginRefusedError as error:
        raise HTTPException(403, "this is not your password, or your account rests") from error
