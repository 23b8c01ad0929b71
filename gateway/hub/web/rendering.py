"""Templates and what all of them know."""

from __future__ import annotations

from fastapi.responses import HTMLResponse
from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape

from gateway.core.verdicts import Verdict
from gateway.hub.access.callers import Caller, Way
from gateway.hub.access.roles import Right
from gateway.hub.rooms import Rooms
from gateway.language import Language, Speech
from gateway.language.verdicts import ACCEPT_NOTE, DEMONSTRATION, MEDICINE_NOTE, say_kind, say_meaning, say_verdict
from gateway.language.words import say_clock


def render(template: str, rooms: Rooms, caller: Caller | None, speech: Speech, **values: object) -> HTMLResponse:
    """Return a page in a language; `caller` is who asked, None before they have logged in."""
    text = _templates.get_template(template).render(
        demonstration=rooms.settings.demonstration,
        caller=caller,
        speech=speech,
        _=speech.gettext,
        ngettext=speech.ngettext,
        **values,
    )
    return HTMLResponse(text, headers={"Cache-Control": "no-store", "Content-Language": speech.language.value})


def _make_environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("gateway.hub.web"),
        autoescape=select_autoescape(),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals.update(
        Verdict=Verdict,
        Right=Right,
        Way=Way,
        Language=Language,
        ACCEPT_NOTE=ACCEPT_NOTE,
        DEMONSTRATION=DEMONSTRATION,
        MEDICINE_NOTE=MEDICINE_NOTE,
        say_clock=say_clock,
        say_kind=say_kind,
        say_meaning=say_meaning,
        say_verdict=say_verdict,
    )
    return environment


_templates = _make_environment()
