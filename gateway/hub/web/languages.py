"""Which language a reader gets: the one chosen, else the browser's, else the hub's."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Form, Request
from fastapi.responses import RedirectResponse

from gateway.hub.api.access import rooms_of
from gateway.hub.web.paths import to_own_path
from gateway.language import Language, Speech, speech_of

COOKIE = "language"
YEAR_S = 366 * 86_400
_NORWEGIAN = {"nb", "no", "nn", "da", "sv"}
"""Whoever reads these reads bokmål more easily than English."""

router = APIRouter(include_in_schema=False)


def speech_for(request: Request) -> Speech:
    """Return the speech for whoever asks."""
    chosen = request.cookies.get(COOKIE, "")
    if chosen in set(Language):
        return speech_of(Language(chosen))
    for part in request.headers.get("accept-language", "").split(","):
        code = part.split(";")[0].strip().split("-")[0].lower()
        if code in _NORWEGIAN:
            return speech_of(Language.NB)
        if code == Language.EN:
            return speech_of(Language.EN)
    return speech_of(rooms_of(request).settings.language)


Reader = Annotated[Speech, Depends(speech_for)]


@router.post("/language")
def choose_language(
    language: Annotated[Language, Form()], next_: Annotated[str, Form(alias="next", max_length=512)] = "/"
) -> RedirectResponse:
    """Remember a reader's language; it says nothing of who they are."""
    answer = RedirectResponse(to_own_path(next_), 303)
    answer.set_cookie(COOKIE, language.value, max_age=YEAR_S, path="/", samesite="lax", httponly=True)
    return answer
