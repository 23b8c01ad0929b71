"""The screen over HTTP: one page, a part of it that is asked for each second, and what a scanner types.

Everything is served by the vehicle: nothing of it needs a network.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Awaitable, Callable
from http import HTTPStatus
from pathlib import Path
from typing import Annotated

from fastapi import APIRouter, Depends, FastAPI, Form, HTTPException, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response
from fastapi.staticfiles import StaticFiles
from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape
from pydantic import BaseModel, ConfigDict, Field

from gateway.language import Language, Speech, speech_of
from gateway.language.speech import N_
from gateway.vehicle.custody import CustodyDesk
from gateway.vehicle.screen.access import COOKIE, Guard
from gateway.vehicle.screen.scanning import AGO_MIN, Mode, Outcome, Scan, Scanner, Tone
from gateway.vehicle.screen.scene import Scene
from gateway.vehicle.screen.view import ScreenView, view_screen
from gateway.vehicle.settings import DriverSettings

LANGUAGE = "language"
TASKS_MAX = 4
"""Shown at a glance; the others unfold."""
YEAR_S = 366 * 86_400
SHIFT_S = 14 * 3600
"""A device that has said the PIN says it again after the longest shift."""
_NORWEGIAN = {"nb", "no", "nn", "da", "sv"}
_CONTENT = (
    "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; connect-src 'self';"
    " form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
_HEADERS = {
    "Content-Security-Policy": _CONTENT,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}
_MODES = {
    Mode.LOOK: N_("Look up"),
    Mode.LOAD: N_("Load"),
    Mode.HAND_OVER: N_("Hand over"),
    Mode.RECEIVE: N_("Take in"),
    Mode.SHIFT: N_("Take over shift"),
    Mode.HOME: N_("In the home"),
}
_ASKED = {
    Mode.LOOK: N_("Scan a box, a dose or a tube"),
    Mode.LOAD: N_("Scan the badge, then each box that is loaded"),
    Mode.HAND_OVER: N_("Scan the badge of whoever takes it, then the box or the dose"),
    Mode.RECEIVE: N_("Scan your badge, then each box that you take"),
    Mode.SHIFT: N_("Scan your badge: boxes and deadlines are listed"),
    Mode.HOME: N_("Scan the box, then each tube"),
}
Code = Annotated[str, Field(max_length=200)]


class ScanForm(BaseModel):
    """What a scanner typed, and what the screen knew before."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    mode: Mode = Mode.LOOK
    code: Code
    box: Code = ""
    holder: Code = ""


class UndoForm(BaseModel):
    """An act to be taken back."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    id: Code
    holder: Code = ""


class AgoForm(BaseModel):
    """How many minutes before its packing a tube was taken."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    id: Code
    minutes: Annotated[int, Field(ge=0, le=max(AGO_MIN))]


def serve_screen(
    app: FastAPI,
    settings: DriverSettings,
    desk: CustodyDesk,
    read_scene: Callable[[], Scene],
    monotonic_ms: Callable[[], int],
) -> None:
    """Add the screen to an app, and its guard to everything that the app serves."""
    guard = Guard(settings)
    page = _Page(guard, settings, Scanner(desk, read_scene), read_scene, monotonic_ms)

    @app.middleware("http")
    async def check(request: Request, call_next: Callable[[Request], Awaitable[Response]]) -> Response:
        try:
            guard.check(request)
        except HTTPException as error:
            return _refuse(error.status_code, error.detail)
        path = request.url.path
        if path == "/pin" or path.startswith("/static/") or guard.knows(request):
            return _with_headers(await call_next(request))
        if request.method == "GET" and path in {"/", "/screen"}:
            return _with_headers(RedirectResponse("/pin", HTTPStatus.SEE_OTHER))
        return _refuse(HTTPStatus.UNAUTHORIZED, "the PIN is asked for at /pin")

    app.mount("/static", StaticFiles(directory=Path(__file__).parent / "static"), name="static")
    app.include_router(page.routes())


class _Page:
    def __init__(
        self,
        guard: Guard,
        settings: DriverSettings,
        scanner: Scanner,
        read_scene: Callable[[], Scene],
        monotonic_ms: Callable[[], int],
    ) -> None:
        self._guard, self._settings, self._scanner = guard, settings, scanner
        self._read_scene, self._monotonic_ms = read_scene, monotonic_ms

    def routes(self) -> APIRouter:
        router = APIRouter(include_in_schema=False)
        router.add_api_route("/", self.start, methods=["GET"])
        router.add_api_route("/screen", self.show, methods=["GET"])
        router.add_api_route("/screen/now", self.show_now, methods=["GET"])
        router.add_api_route("/screen/language", self.choose_language, methods=["POST"])
        router.add_api_route("/pin", self.ask_pin, methods=["GET"])
        router.add_api_route("/pin", self.take_pin, methods=["POST"], response_model=None)
        only_script = [Depends(self._guard.check_script)]
        router.add_api_route("/screen/scan", self.scan, methods=["POST"], dependencies=only_script)
        router.add_api_route("/screen/undo", self.undo, methods=["POST"], dependencies=only_script)
        router.add_api_route("/screen/ago", self.correct, methods=["POST"], dependencies=only_script)
        return router

    async def start(self) -> RedirectResponse:
        return RedirectResponse("/screen", HTTPStatus.SEE_OTHER)

    async def show(self, request: Request) -> HTMLResponse:
        return self._render(
            "screen.html", request, modes=_MODES, asked=_ASKED, view=self._view(request), tasks_max=TASKS_MAX
        )

    async def show_now(self, request: Request) -> HTMLResponse:
        return self._render("now.html", request, view=self._view(request), tasks_max=TASKS_MAX)

    async def scan(self, form: ScanForm, request: Request) -> HTMLResponse:
        speech = self._speech(request)
        return await self._answer(request, self._scanner.take(Scan(**form.model_dump()), speech), speech)

    async def undo(self, form: UndoForm, request: Request) -> HTMLResponse:
        speech = self._speech(request)
        return await self._answer(request, self._scanner.undo(form.id, form.holder, speech), speech)

    async def correct(self, form: AgoForm, request: Request) -> HTMLResponse:
        speech = self._speech(request)
        return await self._answer(request, self._scanner.correct(form.id, form.minutes, speech), speech)

    async def choose_language(self, language: Annotated[Language, Form()]) -> RedirectResponse:
        answer = RedirectResponse("/screen", HTTPStatus.SEE_OTHER)
        answer.set_cookie(LANGUAGE, language.value, max_age=YEAR_S, path="/", samesite="lax", httponly=True)
        return answer

    async def ask_pin(self, request: Request) -> HTMLResponse:
        return self._render("pin.html", request, is_refused=False)

    async def take_pin(self, request: Request, pin: Annotated[str, Form(max_length=64)]) -> Response:
        if not self._guard.try_pin(pin, self._monotonic_ms()):
            return self._render("pin.html", request, HTTPStatus.FORBIDDEN, is_refused=True)
        answer = RedirectResponse("/screen", HTTPStatus.SEE_OTHER)
        answer.set_cookie(COOKIE, self._guard.token(), max_age=SHIFT_S, path="/", samesite="strict", httponly=True)
        return answer

    # --- parts

    async def _answer(self, request: Request, outcome: Awaitable[Outcome], speech: Speech) -> HTMLResponse:
        try:
            return self._render("answer.html", request, outcome=await outcome, ago_min=AGO_MIN)
        except sqlite3.Error:
            text = N_("Kept in memory, not on the disk yet: the disk refuses")
            failed = Outcome(Tone.DOUBT, speech.gettext(text))
            return self._render("answer.html", request, HTTPStatus.SERVICE_UNAVAILABLE, outcome=failed, ago_min=AGO_MIN)

    def _view(self, request: Request) -> ScreenView:
        return view_screen(self._read_scene(), self._speech(request))

    def _speech(self, request: Request) -> Speech:
        chosen = request.cookies.get(LANGUAGE, "")
        if chosen in set(Language):
            return speech_of(Language(chosen))
        for part in request.headers.get("accept-language", "").split(","):
            code = part.split(";")[0].strip().split("-")[0].lower()
            if code in _NORWEGIAN or code == Language.EN:
                return speech_of(Language.NB if code in _NORWEGIAN else Language.EN)
        return speech_of(self._settings.language)

    def _render(self, template: str, request: Request, status: int = HTTPStatus.OK, **values: object) -> HTMLResponse:
        speech = self._speech(request)
        text = _templates.get_template(template).render(
            speech=speech, _=speech.gettext, ngettext=speech.ngettext, Language=Language, **values
        )
        headers = {"Cache-Control": "no-store", "Content-Language": speech.language.value}
        return HTMLResponse(text, status, headers=headers)


def _refuse(status: int, reason: str) -> Response:
    return _with_headers(Response(f"{reason}\n", status, media_type="text/plain"))


def _with_headers(response: Response) -> Response:
    response.headers.update(_HEADERS)
    return response


_templates = Environment(
    loader=PackageLoader("gateway.vehicle.screen"),
    autoescape=select_autoescape(),
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
