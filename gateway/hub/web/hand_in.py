"""Handing in by a one-time code: one page for whoever holds the code, without an account, on a telephone.

The code stands behind the # of its address, which browsers never send: a script posts it, and without scripts it is
typed. So no log, of this hub or of a proxy before it, ever sees one. From then on a cookie of these pages alone carries
it, and another one the secret by which the same browser may undo.
"""

from __future__ import annotations

import math
import re
from datetime import datetime, timedelta
from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, HTTPException, Query, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from gateway.core.errors import InputError
from gateway.core.identifiers import check_code
from gateway.core.scans import own_code_of
from gateway.hub.api.access import HubRooms
from gateway.hub.hand_in.codes import PATH, HandIn, Standing
from gateway.hub.hand_in.desk import UNDO_MS, NothingToHandInError, NotOpenError
from gateway.hub.hand_in.statements import ITEMS_MAX, PLACE_MAX, Handler, MomentError, Statement, UnknownKindError
from gateway.hub.rooms import Rooms
from gateway.hub.times import real_ms, to_datetime
from gateway.hub.web.handlers import HANDLERS, say_handler
from gateway.hub.web.languages import Reader
from gateway.hub.web.moments import write_local
from gateway.hub.web.rendering import render
from gateway.hub.web.setup.sheets import NOT_OFFERED, Fields, Filled, Sheet, sheet_of
from gateway.language import Speech
from gateway.language.mistakes import MISSING, NOT_A_CODE
from gateway.language.speech import N_

HERE = PATH
CODE_MAX = 64
CODE_COOKIE = "hand-in"
UNDO_COOKIE = "hand-in-undo"
CODE_S = 3600
"""How long a browser keeps a code: as long as somebody packs. After that it is scanned again."""
AT_ONCE = 30
EACH_S = 4.0
"""Of one address: a surgery behind one address, and a taxi company. Guessing 128 bits is hopeless; this bounds work."""

_AGO = {"0": 0, "15": 15, "30": 30, "60": 60}
_SEPARATORS = re.compile(r"[\s,;]+", re.ASCII)
_FNC1 = "\x1d"
UNKNOWN = N_("This code is not known. Type all of it, as it stands below the square.")
MIXED_UP = N_("Another code has been opened in this browser meanwhile. Scan the code of this box again.")
NO_NAMES = N_("A code or a number, never a name.")
TOO_MANY_ITEMS = N_("At most {n} items.")
TWICE = N_("{item} stands here twice.")
NOT_KNOWN = N_("{item}: nobody knows what this is. Check the code, or call the laboratory.")
NOTHING = N_("Scan or type at least one item: nothing is registered in this box.")
BEYOND = N_("It lies ahead, or more than a week back.")
TOO_LATE = N_("It cannot be undone any more. Call the laboratory.")
IMPOSSIBLE = N_("This could not be registered. Call the laboratory.")

router = APIRouter(include_in_schema=False, default_response_class=HTMLResponse)


@router.get(HERE)
def show_hand_in(
    rooms: HubRooms, request: Request, reader: Reader, other: Annotated[str, Query(max_length=1)] = ""
) -> HTMLResponse:
    """Show what the code in this browser's cookie stands for; without one, or for another one, ask for it."""
    code = "" if other else request.cookies.get(CODE_COOKIE, "")
    return _show(rooms, request, reader, rooms.hand_ins.find(code) if code else None)


@router.post(f"{HERE}/open", response_model=None)
def open_code(rooms: HubRooms, request: Request, reader: Reader, sheet: Filled) -> Response:
    """Take a code that was scanned or typed."""
    _admit(request)
    code = sheet.text("code")[:CODE_MAX]
    if not code or rooms.hand_ins.find(code) is None:
        fields = Fields(sheet_of(), reader)
        fields.refuse("code", UNKNOWN)
        return _show(rooms, request, reader, None, fields.sheet)
    answer = RedirectResponse(HERE, HTTPStatus.SEE_OTHER)
    _keep(answer, rooms, CODE_COOKIE, code, CODE_S)
    return answer


@router.post(HERE, response_model=None)
def hand_in(rooms: HubRooms, request: Request, reader: Reader, sheet: Filled) -> Response:
    """Hand in what the form states, and use the code up."""
    _admit(request)
    code = request.cookies.get(CODE_COOKIE, "")
    known = rooms.hand_ins.find(code) if code else None
    fields = Fields(sheet, reader)
    if known is None or str(known.number) != sheet.text("number"):
        return _mixed_up(rooms, request, reader)
    statement = _read(fields, sheet, to_datetime(rooms.clock.now_ms()))
    if statement is not None and fields.is_sound:
        try:
            done = rooms.hand_ins.hand_in(code, statement)
        except NotOpenError:
            return RedirectResponse(HERE, HTTPStatus.SEE_OTHER)
        except InputError as error:
            _refuse(fields, error)
        else:
            rooms.bells.ring_all()
            answer = RedirectResponse(HERE, HTTPStatus.SEE_OTHER)
            _keep(answer, rooms, UNDO_COOKIE, done.secret, UNDO_MS // 1000)
            return answer
    return _show(rooms, request, reader, known, fields.sheet)


@router.post(f"{HERE}/undo", response_model=None)
def undo(rooms: HubRooms, request: Request, reader: Reader, sheet: Filled) -> Response:
    """Undo what this browser has handed in: the code can be used again."""
    _admit(request)
    code = request.cookies.get(CODE_COOKIE, "")
    known = rooms.hand_ins.find(code) if code else None
    if known is None or str(known.number) != sheet.text("number"):
        return _mixed_up(rooms, request, reader)
    try:
        rooms.hand_ins.undo(code, request.cookies.get(UNDO_COOKIE, ""))
    except NotOpenError:
        fields = Fields(sheet_of(), reader)
        fields.refuse("form", TOO_LATE)
        return _show(rooms, request, reader, known, fields.sheet)
    rooms.bells.ring_all()
    return RedirectResponse(HERE, HTTPStatus.SEE_OTHER)


def _admit(request: Request) -> None:
    """Answer 403 to what another site has caused, and 429 to one request too many from an address."""
    if request.headers.get("sec-fetch-site", "same-origin") not in {"same-origin", "none"}:
        raise HTTPException(403, "another site has caused this request")
    wait_s = request.app.state.hand_in_rates.take(request.client.host if request.client else "")
    if wait_s:
        seconds = math.ceil(wait_s)
        raise HTTPException(429, f"too many attempts: wait {seconds} s", headers={"Retry-After": str(seconds)})


def _keep(answer: Response, rooms: Rooms, name: str, value: str, seconds: int) -> None:
    """Give a browser something to bring back to these pages, and nowhere else."""
    is_secure = rooms.settings.http.is_secure
    answer.set_cookie(name, value, max_age=seconds, path=HERE, secure=is_secure, httponly=True, samesite="strict")


def _mixed_up(rooms: Rooms, request: Request, reader: Speech) -> HTMLResponse:
    fields = Fields(sheet_of(), reader)
    fields.refuse("code", MIXED_UP)
    return _show(rooms, request, reader, None, fields.sheet)


# --- the form


def _read(fields: Fields, sheet: Sheet, now: datetime) -> Statement | None:
    items = _read_items(fields, sheet)
    collected_at = _read_collected(fields, sheet, now)
    handler = fields.choice("handler", Handler, needed=True)
    since = fields.choice("since", {"collected": "collected", "now": "now"}.__getitem__, needed=True)
    own = fields.code("handler_code")
    if own and not any(sign.isdigit() for sign in own):
        fields.refuse("handler_code", NO_NAMES)
    place = fields.text("place", longest=PLACE_MAX, needed=True)
    if handler is None or since is None or not fields.is_sound:
        return None
    return Statement.model_validate(
        {
            "items": items,
            "collected_at": collected_at,
            "since": since,
            "handler": handler,
            "handler_code": own or None,
            "place": place,
        }
    )


def _read_items(fields: Fields, sheet: Sheet) -> tuple[str, ...]:
    """Return the codes of the items. A GS1 mark is registered under its element string, as at the bench."""
    typed = sheet.text("items")
    parts = [part.strip() for part in _SEPARATORS.split(typed.replace(_FNC1, "~")) if part.strip()]
    found: list[str] = []
    if len(parts) > ITEMS_MAX:
        fields.refuse("items", TOO_MANY_ITEMS, n=ITEMS_MAX)
        return ()
    fields.text("items", longest=ITEMS_MAX * 130)  # refuses what looks like an identity number
    for part in parts:
        try:
            code = check_code("items", own_code_of(part))
        except InputError:
            fields.refuse("items", NOT_A_CODE)
            continue
        if code in found:
            fields.refuse("items", TWICE, item=code)
        found.append(code)
    return tuple(found)


def _read_collected(fields: Fields, sheet: Sheet, now: datetime) -> datetime | None:
    chosen = fields.text("collected", needed=True)
    if chosen == "at":
        return fields.moment("collected_at", needed=True)
    if chosen == "unknown":
        return None
    if chosen and chosen not in _AGO:
        fields.refuse("collected", NOT_OFFERED)
    return now - timedelta(minutes=_AGO.get(chosen, 0)) if sheet.text("collected") else None


def _refuse(fields: Fields, error: InputError) -> None:
    match error:
        case UnknownKindError():
            fields.refuse("items", NOT_KNOWN, item=error.item)
        case NothingToHandInError():
            fields.refuse("items", NOTHING)
        case MomentError():
            fields.refuse("collected", BEYOND)
        case _:
            fields.refuse("form", IMPOSSIBLE)


def _show(
    rooms: Rooms, request: Request, speech: Speech, known: HandIn | None, sheet: Sheet | None = None
) -> HTMLResponse:
    given = sheet or Sheet()
    now_ms = rooms.clock.now_ms()
    standing = None if known is None else known.standing(real_ms())
    secret = request.cookies.get(UNDO_COOKIE, "")
    box = None if known is None else rooms.hand_ins.box_of(known)
    page = render(
        "hand_in.html",
        rooms,
        None,
        speech,
        known=known,
        standing=None if standing is None else standing.value,
        box=box,
        can_undo=known is not None and bool(secret) and rooms.hand_ins.may_undo(known, secret),
        handlers=[(one.value, speech.gettext(words)) for one, words in HANDLERS.items()],
        handed_by="" if known is None else say_handler(known, speech),
        sheet=given,
        latest=write_local(now_ms),
        missing=speech.gettext(MISSING),
        here=HERE,
    )
    if given.faults:
        page.status_code = HTTPStatus.UNPROCESSABLE_ENTITY
    elif standing in {Standing.EXPIRED, Standing.REVOKED}:
        page.status_code = HTTPStatus.GONE
    return page
