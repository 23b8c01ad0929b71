"""Pages for people: the bench, and a reference of the HTTP interface. Made on the server, usable without scripts."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from fastapi import APIRouter, FastAPI, Query, Request
from fastapi.responses import HTMLResponse
from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape
from starlette.staticfiles import StaticFiles

from gateway.core.verdicts import Verdict
from gateway.hub.api.access import HubRooms
from gateway.hub.web import figures, words
from gateway.hub.web.bench import BenchView, look_up
from gateway.hub.web.headers import SecurityHeaders
from gateway.hub.web.reference import list_operations

SCAN_MAX = 64
_HERE = Path(__file__).parent

router = APIRouter(include_in_schema=False, default_response_class=HTMLResponse)


def install_pages(app: FastAPI) -> None:
    """Add the pages, what they load, and their security headers to an application."""
    app.include_router(router)
    app.mount("/static", StaticFiles(directory=_HERE / "static"), name="static")
    app.add_middleware(SecurityHeaders)


@router.get("/")
def show_start(rooms: HubRooms) -> HTMLResponse:
    """Show the way in, and the consignments registered last."""
    recent = rooms.registry.consignments(8)
    return _page("start.html", rooms, recent=recent)


@router.get("/bench")
def show_bench(
    rooms: HubRooms, request: Request, code: Annotated[str, Query(max_length=SCAN_MAX)] = ""
) -> HTMLResponse:
    """Show what a scanned code stands for; with X-Fragment only the part that a scan replaces."""
    view: BenchView | None = look_up(rooms, code.strip()) if code.strip() else None
    name = "result.html" if "x-fragment" in request.headers else "bench.html"
    return _page(name, rooms, view=view, now_ms=rooms.clock.now_ms())


@router.get("/api/docs")
def show_reference(rooms: HubRooms, request: Request) -> HTMLResponse:
    """Show the HTTP interface."""
    description: FastAPI = request.app
    return _page("reference.html", rooms, groups=list_operations(description.openapi()))


def _page(name: str, rooms: HubRooms, **values: object) -> HTMLResponse:
    text = _pages.get_template(name).render(demonstration=rooms.settings.demonstration, **values)
    return HTMLResponse(text, headers={"Cache-Control": "no-store"})


def _make_environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("gateway.hub.web"),
        autoescape=select_autoescape(),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals.update(words=words, figures=figures, Verdict=Verdict)
    return environment


_pages = _make_environment()
