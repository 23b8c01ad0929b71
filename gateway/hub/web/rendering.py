"""Templates and what all of them know."""

from __future__ import annotations

from fastapi.responses import HTMLResponse
from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape

from gateway.core.verdicts import Verdict
from gateway.hub.access.callers import Caller, Way
from gateway.hub.access.roles import Right
from gateway.hub.rooms import Rooms
from gateway.hub.web import figures, words


def render(template: str, rooms: Rooms, caller: Caller | None, **values: object) -> HTMLResponse:
    """Return a page; `caller` is who asked, None before they have logged in."""
    text = _templates.get_template(template).render(demonstration=rooms.settings.demonstration, caller=caller, **values)
    return HTMLResponse(text, headers={"Cache-Control": "no-store"})


def _make_environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("gateway.hub.web"),
        autoescape=select_autoescape(),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals.update(words=words, figures=figures, Verdict=Verdict, Right=Right, Way=Way)
    return environment


_templates = _make_environment()
