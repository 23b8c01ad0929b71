"""Who signs shows once more who they are: by the password, or at the single sign-on on the way to the signature."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import urlencode

from fastapi import HTTPException, Request

from gateway.core.errors import InputError
from gateway.hub.access.callers import Caller
from gateway.hub.api.signers import confirm_signer, signing_purpose, ways_to_sign
from gateway.hub.review.desk import Review
from gateway.hub.review.signing import Meaning
from gateway.hub.rooms import Rooms
from gateway.hub.web.quality.words import MEANINGS
from gateway.language import Speech


@dataclass(frozen=True, slots=True)
class Choice:
    """A meaning that can be signed. `again` is the way to the sign-on and back, "" where there is none.

    is_proven  whoever asks has just been there for it: a button is all that is left
    """

    meaning: Meaning
    words: str
    again: str
    is_proven: bool


@dataclass(frozen=True, slots=True)
class Signing:
    """How somebody can sign a breach. `sign_on` is what the single sign-on is called, "" if they cannot use it."""

    password: bool
    sign_on: str
    choices: Sequence[Choice]


def offer_signing(request: Request, rooms: Rooms, caller: Caller, review: Review, speech: Speech) -> Signing:
    """Return how whoever asks can sign what the page shows."""
    choices, password, sign_on = [], False, ""
    for meaning, words in MEANINGS.items():
        purpose = signing_purpose(review.breach.id, meaning, review.hash)
        ways = ways_to_sign(request, rooms, caller, purpose)
        password, sign_on = ways.password, ways.sign_on
        back = {"for": purpose, "next": f"/review/{review.breach.id}#next"}
        again = f"/sign-in-again?{urlencode(back)}" if sign_on else ""
        choices.append(Choice(meaning, speech.gettext(words), again, ways.proven))
    return Signing(password, sign_on, choices)


def prove_signer(
    request: Request, rooms: Rooms, caller: Caller, breach_id: int, meaning: Meaning, seen: str, password: str
) -> None:
    """Return if this is the caller's own password or there is a proof; raises InputError naming `password`."""
    try:
        confirm_signer(request, rooms, caller, signing_purpose(breach_id, meaning, seen), password)
    except HTTPException as error:
        raise InputError("password", error.detail) from error
