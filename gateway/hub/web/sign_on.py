"""The way to the hospital's single sign-on and back, to log in and to sign."""

from __future__ import annotations

import logging
import re
from typing import Annotated, TypeVar

from fastapi import APIRouter, Depends, HTTPException, Query, Request
from fastapi.responses import HTMLResponse, RedirectResponse

from gateway.core.errors import ColdchainError, InputError
from gateway.hub.access.admission import NotAdmittedError, Refusal
from gateway.hub.access.callers import Caller, Way
from gateway.hub.access.id_tokens import TokenError
from gateway.hub.access.identities import ClaimError
from gateway.hub.access.proofs import check_purpose
from gateway.hub.access.provider import ProviderError
from gateway.hub.access.roles import Right
from gateway.hub.access.sign_on import BACK_PATH, WAY_MS, Answer, Begun, Lapse, SignOn, WayError
from gateway.hub.api.access import HubRooms, Requirement, session_secret_of
from gateway.hub.rooms import Rooms
from gateway.hub.web.languages import Reader
from gateway.hub.web.login import NEXT_MAX, check_rate, set_session
from gateway.hub.web.paths import to_own_path
from gateway.hub.web.rendering import render
from gateway.language import Speech
from gateway.language.speech import N_

COOKIE = "coldchain-sign-on"
SECURE_COOKIE = "__Host-coldchain-sign-on"
PART_MAX = 4096
"""Of what the provider sends along: codes are tens of characters, of some providers a thousand."""
_OWN = frozenset({"same-origin", "none"})
_ERROR = re.compile(r"[a-z_]{1,64}")

_DOWN = N_("{name} cannot be reached just now. Passwords work as before.")
_UNTRUSTED = N_("What {name} says of you cannot be used here. An administrator finds the reason in the hub’s log.")
_LAPSES = {
    Lapse.LOST: N_("This login was begun in another window, is over, or took more than ten minutes. Begin again."),
    Lapse.FULL: N_("Too many logins are under way. Wait a minute, or use a password."),
    Lapse.REFUSED: N_("{name} has not confirmed who you are."),
    Lapse.NOT_ANEW: N_("{name} has not asked again who you are: nothing is signed."),
    Lapse.SOMEBODY_ELSE: N_("At {name} you are not whose account this is: nothing is signed."),
}
_REFUSALS = {
    Refusal.UNKNOWN: N_("No account here is linked to you. An administrator can link one to what stands below."),
    Refusal.DISABLED: N_("Your account here is disabled."),
    Refusal.NO_ROLE: N_("None of your groups at {name} has a role here. An administrator knows who decides that."),
    Refusal.NAME_TAKEN: N_(
        "An account of your name is here already, and is not linked to you. An administrator can link one to what"
        " stands below."
    ),
    Refusal.NO_NAME: N_(
        "What {name} calls you cannot be the name of an account. An administrator can link one to what stands below."
    ),
}
_TOLD = frozenset({Refusal.UNKNOWN, Refusal.NAME_TAKEN, Refusal.NO_NAME})

log = logging.getLogger(__name__)
router = APIRouter(include_in_schema=False, default_response_class=HTMLResponse)

A = TypeVar("A", HTMLResponse, RedirectResponse)
Part = Annotated[str, Query(max_length=PART_MAX)]
Next = Annotated[str, Query(alias="next", max_length=NEXT_MAX)]
Signing = Annotated[Caller, Depends(Requirement(Right.SIGN))]


def sign_on_of(rooms: HubRooms) -> SignOn:
    """Return the single sign-on; answers 404 where there is none."""
    if rooms.sign_on is None:
        raise HTTPException(404, "this hub has no single sign-on")
    return rooms.sign_on


Offered = Annotated[SignOn, Depends(sign_on_of)]


@router.get("/login/sign-on", response_model=None)
def go(
    rooms: HubRooms, sign_on: Offered, request: Request, reader: Reader, next_: Next = "/"
) -> HTMLResponse | RedirectResponse:
    """Lead a browser to the provider."""
    check_rate(request)
    try:
        return _leave(rooms, sign_on.begin(to_own_path(next_)))
    except (ProviderError, WayError) as error:
        return _explain(rooms, sign_on, reader, error)


@router.get(BACK_PATH, response_model=None)
def come_back(
    rooms: HubRooms,
    sign_on: Offered,
    request: Request,
    reader: Reader,
    state: Part = "",
    code: Part = "",
    iss: Annotated[str | None, Query(max_length=NEXT_MAX)] = None,
    error: Part = "",
) -> HTMLResponse | RedirectResponse:
    """Let somebody in whom the provider has named, or note that they have shown again who they are."""
    browser, session = request.cookies.get(_cookie_name(rooms), ""), session_secret_of(request, rooms)
    given = Answer(state, code, iss, error if _ERROR.fullmatch(error) else "error" if error else "")
    try:
        arrived = sign_on.finish(given, browser, session)
    except (WayError, ProviderError, TokenError, ClaimError, NotAdmittedError) as refused:
        return _forget(rooms, _explain(rooms, sign_on, reader, refused))
    answer = RedirectResponse(to_own_path(arrived.next_path), 303)
    if arrived.account is not None:
        rooms.sessions.end(session)
        set_session(answer, rooms, rooms.sessions.open(arrived.account, signed_on=True).secret)
    return _forget(rooms, answer)


@router.get("/sign-in-again", response_model=None)
def go_again(
    rooms: HubRooms,
    who: Signing,
    sign_on: Offered,
    request: Request,
    reader: Reader,
    purpose: Annotated[str, Query(alias="for", max_length=NEXT_MAX)],
    next_: Next = "/",
) -> HTMLResponse | RedirectResponse:
    """Lead whoever is about to sign to the provider, to show again who they are; then back to `next`."""
    if request.headers.get("sec-fetch-site", "same-origin") not in _OWN:
        raise HTTPException(403, "another site has caused this request")
    account = rooms.accounts.account(who.name) if who.way is Way.SESSION else None
    if account is None or account.identity is None:
        raise HTTPException(403, "your account is not linked to the single sign-on: give your password")
    try:
        check_purpose(purpose)
    except InputError as error:
        raise HTTPException(422, f"{error.field}: {error.reason}") from error
    check_rate(request)
    try:
        begun = sign_on.begin(to_own_path(next_), purpose=purpose, session=session_secret_of(request, rooms))
    except (ProviderError, WayError) as error:
        return _explain(rooms, sign_on, reader, error)
    return _leave(rooms, begun)


@router.get("/logged-out")
def show_logged_out(rooms: HubRooms, sign_on: Offered, request: Request, reader: Reader) -> HTMLResponse:
    """Say that the session here has ended, and lead on to the provider's own logout where it has one."""
    try:
        url = sign_on.provider.logout_url(rooms.settings.http.public_url + "/login")
    except ProviderError as error:
        log.warning("no logout at the single sign-on: %s", error)
        url = ""
    page = render("logged_out.html", rooms, None, reader, name=sign_on.settings.name, url=url)
    if url and request.headers.get("sec-fetch-site", "same-origin") in _OWN:
        # Not by a redirect: the form that ended the session may lead to this host only, redirects included.
        page.headers["Refresh"] = f"1;url={url}"
    return page


def _leave(rooms: Rooms, begun: Begun) -> RedirectResponse:
    answer = RedirectResponse(begun.url, 303, headers={"Cache-Control": "no-store"})
    answer.set_cookie(
        _cookie_name(rooms),
        begun.browser,
        max_age=WAY_MS // 1000,
        path="/",
        secure=rooms.settings.http.is_secure,
        httponly=True,
        samesite="lax",
    )
    return answer


def _forget(rooms: Rooms, answer: A) -> A:
    answer.delete_cookie(_cookie_name(rooms), path="/", secure=rooms.settings.http.is_secure, httponly=True)
    return answer


def _explain(rooms: Rooms, sign_on: SignOn, reader: Speech, error: ColdchainError) -> HTMLResponse:
    """Say on a page what went wrong, and in the log why."""
    log.warning("single sign-on: %s: %r", type(error).__name__, str(error))
    status, message, told = 403, _UNTRUSTED, ""
    if isinstance(error, ProviderError):
        status, message = 503, _DOWN
    elif isinstance(error, WayError):
        status, message = 400 if error.lapse is Lapse.LOST else 403, _LAPSES[error.lapse]
    elif isinstance(error, NotAdmittedError):
        message = _REFUSALS[error.refusal]
        told = error.identity.subject if error.refusal in _TOLD else ""
    text = reader.gettext(message).format(name=sign_on.settings.name)
    page = render("sign_on.html", rooms, None, reader, text=text, subject=told)
    page.status_code = status
    return page


def _cookie_name(rooms: Rooms) -> str:
    return SECURE_COOKIE if rooms.settings.http.is_secure else COOKIE
