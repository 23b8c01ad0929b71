"""Errors as pages: what happened, what became of what was sent, and what to do next, in the reader's language.

Every error is made as a problem (RFC 9457), wherever it arises: in a route, in a bound kept before routing, in a
database that does not answer. Where a person asked for a page, the problem is told as one on its way out.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import cast

from fastapi import FastAPI, Request
from fastapi.concurrency import run_in_threadpool
from sqlalchemy.exc import InterfaceError, OperationalError
from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from gateway.hub.access.callers import Caller
from gateway.hub.access.roles import Role
from gateway.hub.api.access import rooms_of, session_secret_of
from gateway.hub.api.problems import MEDIA_TYPE, Problem
from gateway.hub.web.headers import HEADERS
from gateway.hub.web.languages import speech_for
from gateway.hub.web.rendering import render
from gateway.hub.web.setup.people import ROLES
from gateway.language.faults import say_fault
from gateway.language.speech import N_

_NOT_PAGES = ("/api/v1", "/api/openapi", "/static", "/explore/data")


@dataclass(frozen=True, slots=True)
class Told:
    """An error in words of the catalogue; `{wait}` in `next` is how long to wait."""

    title: str
    text: str
    next: str


_FORMS_OF_FIELD = re.compile(r"\.(date|datetime|int|float|str)$")
"""What a field that may also be empty is called beside its name."""
_BACK = N_("Go back with the browser’s button: what you typed is still there. Correct it and send it again.")
_AGAIN = N_("Wait {wait} and try again.")
_TELL = N_("Try again in a while. If it comes back, tell whoever looks after the hub what stands below.")
TOLD: Mapping[int, Told] = {
    400: Told(
        N_("The hub does not understand this"), N_("What was sent is not as expected. Nothing was stored."), _BACK
    ),
    401: Told(
        N_("You are not logged in"),
        N_("Nothing was stored."),
        N_("Log in, open the page again, and repeat what you did."),
    ),
    403: Told(
        N_("This is not allowed"),
        N_("Nothing was stored. The page was open for too long, another site has sent it, or it is for others."),
        N_("Open the page again from the menu and repeat what you did."),
    ),
    404: Told(
        N_("There is nothing here"),
        N_("The address leads nowhere, or what it showed is no longer there."),
        N_("Check the address, or scan the code at the bench."),
    ),
    405: Told(
        N_("This is no page to open"),
        N_("The address only takes what a form sends."),
        N_("Open the page of the form from the menu."),
    ),
    408: Told(
        N_("It did not arrive"),
        N_("The network was too slow: not all of it has come. Nothing was stored."),
        _BACK,
    ),
    409: Told(
        N_("It has changed meanwhile"),
        N_("Somebody else was faster, or it is no longer as you saw it. Nothing was stored."),
        N_("Open it again, see how it is now, and decide then."),
    ),
    413: Told(
        N_("This is too large"),
        N_("What was sent is larger than the hub takes. Nothing was stored."),
        N_("Send it in several parts, or a smaller file."),
    ),
    422: Told(N_("Something cannot be read"), N_("Something in it is missing or not as it must be."), _BACK),
    429: Told(N_("Too many attempts"), N_("Too many came from this address at once. Nothing is lost."), _AGAIN),
    500: Told(
        N_("The hub has a fault"),
        N_("It is not your doing. What was stored before is still there; whether this was stored is not sure."),
        _TELL,
    ),
    503: Told(
        N_("The database does not answer"),
        N_("Nothing was stored now. What vehicles measure waits in the vehicles, and nothing of it is lost."),
        _AGAIN,
    ),
}
_OTHER = Told(N_("This did not work"), N_("Nothing was stored."), _TELL)


class ErrorPages:
    """Tells problems as pages to who asks for pages; everything else passes as it is."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one connection."""
        if scope["type"] != "http" or not wants_page(scope["path"], Headers(scope=scope)):
            await self._app(scope, receive, send)
            return
        held: list[Message] = []

        async def look(message: Message) -> None:
            if message["type"] == "http.response.start" and _is_problem(message):
                held.append(message)
            elif held and message["type"] == "http.response.body":
                # A problem is one message: JSONResponse sends no more.
                page = await _tell_problem(Request(scope), held[0], message.get("body", b""))
                await send(_keep_headers(held[0], page))
                await send({"type": "http.response.body", "body": page.body})
            else:
                await send(message)

        await self._app(scope, receive, look)


def install_error_pages(app: FastAPI) -> None:
    """Tell all errors as pages where a page was asked for; to be called after the problems are installed."""
    app.add_middleware(ErrorPages)
    answer_fault = cast("Callable[[Request, Exception], Awaitable[Response]]", app.exception_handlers[Exception])

    @app.exception_handler(Exception)
    async def _fault(request: Request, error: Exception) -> Response:
        """Tell a fault: it is answered outside of all middleware, which would have added the security headers."""
        if not wants_page(request.url.path, request.headers):
            return await answer_fault(request, error)
        page = await tell(request, 500)
        page.headers.update(HEADERS)
        return page


def wants_page(path: str, headers: Headers) -> bool:
    """Whether it is a person who asks, for a page: no program, no script that replaces a part of one."""
    accepted = headers.get("accept", "*/*")
    is_html = "text/html" in accepted or "*/*" in accepted
    return is_html and "x-fragment" not in headers and not path.startswith(_NOT_PAGES)


async def tell(
    request: Request,
    status: int,
    detail: str = "",
    *,
    faults: Sequence[tuple[str, str]] = (),
    roles: Sequence[Role] = (),
    wait_s: int = 0,
) -> Response:
    """Return the page of an error. `faults` are fields with reasons; `roles` those who may what was refused."""
    speech, rooms = speech_for(request), rooms_of(request)
    told = TOLD.get(status, _OTHER)
    caller = None if status >= HTTPStatus.INTERNAL_SERVER_ERROR else await run_in_threadpool(_find_caller, request)
    page = render(
        "refused.html",
        rooms,
        caller,
        speech,
        status=status,
        title=speech.gettext(told.title),
        text=speech.gettext(told.text),
        advice=speech.gettext(told.next).format(wait=speech.duration(max(1, wait_s) / 60)),
        detail=detail,
        faults=[(field, say_fault(reason, speech), reason) for field, reason in faults],
        roles=[speech.gettext(ROLES[role]) for role in roles],
        at_ms=rooms.clock.now_ms(),
    )
    page.status_code = status
    return page


async def _tell_problem(request: Request, start: Message, body: bytes) -> Response:
    said = Problem.model_validate_json(body)
    wait = Headers(raw=start["headers"]).get("retry-after", "")
    told = [fault for fault in said.errors if "literal['']" not in fault.field]
    faults = [(_FORMS_OF_FIELD.sub("", fault.field), fault.reason) for fault in told]
    detail = "" if faults else said.detail
    return await tell(request, said.status, detail, faults=faults, wait_s=int(wait) if wait.isdecimal() else 0)


def _find_caller(request: Request) -> Caller | None:
    """Return who has logged in, for the menu; an error's page can do without."""
    rooms = rooms_of(request)
    secret = session_secret_of(request, rooms)
    try:
        return rooms.sessions.find(secret) if secret else None
    except (InterfaceError, OperationalError):
        return None


def _is_problem(message: Message) -> bool:
    return Headers(raw=message["headers"]).get("content-type", "").startswith(MEDIA_TYPE)


def _keep_headers(start: Message, page: Response) -> Message:
    """Return the start of the answer: as it was, but for what belongs to the body."""
    headers = MutableHeaders(raw=list(start["headers"]))
    for name in ("content-type", "content-length", "cache-control", "content-language"):
        headers[name] = page.headers[name]
    return {**start, "headers": headers.raw}
