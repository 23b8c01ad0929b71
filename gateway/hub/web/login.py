"""Logging in and out."""

from __future__ import annotations

import math
from typing import Annotated
from urllib.parse import urlencode

from fastapi import APIRouter, Form, HTTPException, Query, Request
from fastapi.responses import HTMLResponse, RedirectResponse

from gateway.hub.access.accounts import NAME_MAX, LoginRefusedError
from gateway.hub.access.passwords import LENGTH_MAX
from gateway.hub.access.sessions import LONGEST_MS
from gateway.hub.api.access import COOKIE, SECURE_COOKIE, AnyCaller, HubRooms, session_secret_of
from gateway.hub.rooms import Rooms
from gateway.hub.web.languages import Reader
from gateway.hub.web.paths import to_own_path
from gateway.hub.web.rendering import render
from gateway.language import Speech
from gateway.language.speech import N_

NEXT_MAX = 512
REFUSED = N_("Name or password is wrong. After five wrong ones an account rests for a while.")

router = APIRouter(include_in_schema=False, default_response_class=HTMLResponse)


@router.get("/login")
def show_login(
    rooms: HubRooms, reader: Reader, next_: Annotated[str, Query(alias="next", max_length=NEXT_MAX)] = "/"
) -> HTMLResponse:
    """Ask for name and password."""
    return _ask(rooms, reader, next_)


@router.post("/login", response_model=None)
def log_in(
    rooms: HubRooms,
    request: Request,
    reader: Reader,
    name: Annotated[str, Form(max_length=NAME_MAX)],
    password: Annotated[str, Form(max_length=LENGTH_MAX)],
    next_: Annotated[str, Form(alias="next", max_length=NEXT_MAX)] = "/",
) -> HTMLResponse | RedirectResponse:
    """Open a session, or say that it did not work."""
    if request.headers.get("sec-fetch-site", "same-origin") not in {"same-origin", "none"}:
        raise HTTPException(403, "another site has caused this request")
    check_rate(request)
    try:
        account = rooms.accounts.check(name.strip(), password)
    except LoginRefusedError:
        page = _ask(rooms, reader, next_, refused=REFUSED, name=name)
        page.status_code = 401
        return page
    answer = RedirectResponse(to_own_path(next_), 303)
    set_session(answer, rooms, rooms.sessions.open(account).secret)
    return answer


@router.post("/logout")
def log_out(rooms: HubRooms, request: Request, _who: AnyCaller) -> RedirectResponse:
    """End the session."""
    was_signed_on = rooms.sessions.end(session_secret_of(request, rooms))
    answer = RedirectResponse("/logged-out" if was_signed_on and rooms.sign_on is not None else "/login", 303)
    answer.delete_cookie(_cookie_name(rooms), path="/", secure=rooms.settings.http.is_secure, httponly=True)
    return answer


def check_rate(request: Request) -> None:
    """Count an attempt to log in; answers 429 for one too many from an address."""
    wait_s = request.app.state.login_rates.take(request.client.host if request.client else "")
    if wait_s:
        seconds = math.ceil(wait_s)
        raise HTTPException(429, f"too many attempts: wait {seconds} s", headers={"Retry-After": str(seconds)})


def set_session(answer: RedirectResponse, rooms: Rooms, secret: str) -> None:
    """Give a browser its session."""
    answer.set_cookie(
        _cookie_name(rooms),
        secret,
        max_age=LONGEST_MS // 1000,
        path="/",
        secure=rooms.settings.http.is_secure,
        httponly=True,
        samesite="lax",
    )


def to_login(path: str) -> RedirectResponse:
    """Return the way to the login and back."""
    return RedirectResponse("/login?" + urlencode({"next": path}), 303)


def _ask(rooms: Rooms, reader: Speech, next_: str, *, refused: str = "", name: str = "") -> HTMLResponse:
    known = {"next_path": to_own_path(next_), "refused": refused, "name": name}
    sign_on = rooms.sign_on.settings.name if rooms.sign_on is not None else ""
    return render("login.html", rooms, None, reader, sign_on=sign_on, **known)


def _cookie_name(rooms: Rooms) -> str:
    return SECURE_COOKIE if rooms.settings.http.is_secure else COOKIE
