"""Pages for people: the bench, and a reference of the HTTP interface. Made on the server, usable without scripts."""

from __future__ import annotations

import time
from http import HTTPStatus
from pathlib import Path

from fastapi import APIRouter, FastAPI, Request
from fastapi.responses import HTMLResponse, Response
from fastapi.routing import iter_route_contexts
from starlette.exceptions import HTTPException
from starlette.routing import Route, compile_path
from starlette.staticfiles import StaticFiles

from gateway.hub.access.roles import Right, roles_with
from gateway.hub.api.access import AnyCaller, HubRooms, MissingRightError
from gateway.hub.api.problems import problem
from gateway.hub.api.rates import Rates
from gateway.hub.web import (
    acknowledging,
    arrivals,
    hand_in,
    hand_ins,
    labels,
    languages,
    login,
    receiving,
    registration,
    sign_on,
)
from gateway.hub.web.errors import tell, wants_page
from gateway.hub.web.headers import SecurityHeaders
from gateway.hub.web.languages import Reader
from gateway.hub.web.quality.alerts import count_what_waits
from gateway.hub.web.quality.pages import PAGES as QUALITY
from gateway.hub.web.reference import list_operations
from gateway.hub.web.rendering import render
from gateway.hub.web.setup import (
    boxes,
    certificates,
    choices,
    consignments,
    gateways,
    loggers,
    notification,
    parts,
    people,
    policies,
    profiles,
)

LOGINS_AT_ONCE = 20
LOGIN_EACH_S = 6.0
"""Of one address: a ward's computers behind one address, after a shift change, against who guesses."""
_HERE = Path(__file__).parent
SET_UP = (
    parts,
    boxes,
    loggers,
    certificates,
    gateways,
    consignments,
    profiles,
    people,
    notification,
    policies,
    choices,
)

router = APIRouter(include_in_schema=False, default_response_class=HTMLResponse)


def include_pages(routes: APIRouter) -> None:
    """Add the pages."""
    routes.include_router(router)
    for part in (
        acknowledging,
        arrivals,
        hand_in,
        hand_ins,
        labels,
        login,
        languages,
        receiving,
        registration,
        sign_on,
        *SET_UP,
        *QUALITY,
    ):
        routes.include_router(part.router)


def install_pages(app: FastAPI) -> None:
    """Add what pages load, their bounds, and their security headers to an application."""
    app.state.login_rates = Rates(LOGINS_AT_ONCE, LOGIN_EACH_S, time.monotonic)
    app.state.hand_in_rates = Rates(hand_in.AT_ONCE, hand_in.EACH_S, time.monotonic)
    app.mount("/static", StaticFiles(directory=_HERE / "static"), name="static")
    app.add_middleware(SecurityHeaders)

    @app.exception_handler(HTTPException)
    async def _refuse(request: Request, error: HTTPException) -> Response:
        return await refuse(request, error)


async def refuse(request: Request, error: HTTPException) -> Response:
    """Answer an error as a problem, which becomes a page where one was asked for, or by the way to the login."""
    if error.status_code == HTTPStatus.METHOD_NOT_ALLOWED:
        error.headers = {**(error.headers or {}), "Allow": ", ".join(sorted(allowed_methods(request)))}
    if wants_page(request.url.path, request.headers):
        if error.status_code == HTTPStatus.UNAUTHORIZED and request.method == "GET":
            return login.to_login(own_path(request))
        if isinstance(error, MissingRightError):
            return await tell(request, error.status_code, error.detail, roles=roles_with(error.right))
    detail = error.detail if error.detail != HTTPStatus(error.status_code).phrase else ""
    return problem(error.status_code, detail, headers=error.headers)


def allowed_methods(request: Request) -> set[str]:
    """Return the methods of the routes at this address; the router itself names those of the first one only.

    A route of exactly this address goes before those that have a variable there.
    """
    here = [
        (context.path, context.original_route.methods or set())
        for context in iter_route_contexts(request.app.routes)
        if isinstance(context.original_route, Route)
        and compile_path(context.path or "")[0].match(request.url.path) is not None
    ]
    exact = [methods for path, methods in here if path == request.url.path]
    return set().union(*(exact or [methods for _, methods in here]))


def own_path(request: Request) -> str:
    """Return where a reader is, to come back to."""
    return request.url.path + (f"?{request.url.query}" if request.url.query else "")


@router.get("/")
def show_start(rooms: HubRooms, caller: AnyCaller, reader: Reader) -> HTMLResponse:
    """Show the way in, what waits, and the consignments registered last to those who may list them."""
    recent = rooms.registry.consignments(8) if caller.may(Right.LIST) else None
    return render("start.html", rooms, caller, reader, recent=recent, counts=count_what_waits(rooms, caller))


@router.get("/api/docs")
def show_reference(rooms: HubRooms, request: Request, caller: AnyCaller, reader: Reader) -> HTMLResponse:
    """Show the HTTP interface."""
    description: FastAPI = request.app
    return render("reference.html", rooms, caller, reader, groups=list_operations(description.openapi()))
