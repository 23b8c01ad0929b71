"""Codes to hand in by, at the laboratory: made and printed as labels, listed with what became of them, taken back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, RedirectResponse
from markupsafe import Markup

from gateway.core.errors import InputError
from gateway.hub.access.callers import Caller
from gateway.hub.api.access import HubRooms, Receiving
from gateway.hub.hand_in.codes import LISTED_MAX, HandIn, Standing, address_of
from gateway.hub.hand_in.desk import AT_ONCE_MAX, Made, Order
from gateway.hub.rooms import Rooms
from gateway.hub.times import real_ms
from gateway.hub.web.barcodes import draw_qr
from gateway.hub.web.handlers import say_handler
from gateway.hub.web.languages import Reader
from gateway.hub.web.rendering import render
from gateway.hub.web.setup.sheets import Fields, Filled, Sheet, sheet_of
from gateway.language import Speech
from gateway.language.mistakes import UNKNOWN_BOX, UNKNOWN_PROFILE
from gateway.language.profiles import sort_profiles
from gateway.language.speech import N_

HERE = "/hand-ins"
VALID: Final[Mapping[int, str]] = {
    24: N_("one day"),
    72: N_("three days"),
    168: N_("a week"),
    720: N_("thirty days"),
}
"""Hours, in words."""
STANDINGS: Final[Mapping[Standing, str]] = {
    Standing.OPEN: N_("can be used"),
    Standing.HANDED_IN: N_("handed in"),
    Standing.EXPIRED: N_("expired"),
    Standing.REVOKED: N_("taken back"),
}
TOO_MANY = N_("Too many codes can be used already: take some back.")

router = APIRouter(include_in_schema=False, default_response_class=HTMLResponse)


@dataclass(frozen=True, slots=True)
class Line:
    """A hand-in in the list. `by` and `place` are what was stated."""

    hand_in: HandIn
    standing: str
    words: str
    by: str
    place: str


@dataclass(frozen=True, slots=True)
class CodeLabel:
    """A label with a code, shown this once."""

    made: Made
    qr: Markup


@router.get(HERE)
def list_hand_ins(rooms: HubRooms, caller: Receiving, reader: Reader) -> HTMLResponse:
    """List the hand-ins made last, and offer to make codes."""
    return _show(rooms, caller, reader, sheet_of(valid="168", count="1"))


@router.post(HERE)
def make_codes(rooms: HubRooms, request: Request, caller: Receiving, reader: Reader, sheet: Filled) -> HTMLResponse:
    """Make codes, and show them as labels, this once: what is stored is only their hashes."""
    fields = Fields(sheet, reader)
    box = fields.code("box", needed=True)
    requester, profile = fields.code("requester"), fields.text("profile", longest=64)
    hours = fields.choice("valid", lambda text: {str(one): one for one in VALID}[text], needed=True)
    count = fields.whole("count", 1, AT_ONCE_MAX, needed=True)
    if not fields.is_sound or hours is None or count is None:
        return _show(rooms, caller, reader, fields.sheet)
    try:
        made = rooms.hand_ins.make(Order(box, hours, requester or None, profile or None), caller.name, count=count)
    except InputError as error:
        fields.refuse(error.field, {"box": UNKNOWN_BOX, "profile": UNKNOWN_PROFILE}.get(error.field, TOO_MANY))
        return _show(rooms, caller, reader, fields.sheet)
    address = address_of(rooms.settings.http.public_url, str(request.base_url))
    title = reader.gettext(N_("QR code to hand in box {box}")).format(box=box)
    labels = [CodeLabel(one, draw_qr(f"{address}#{one.code}", title)) for one in made]
    return render("hand_in_labels.html", rooms, caller, reader, labels=labels, address=address, here=HERE)


@router.post(f"{HERE}/revoke", response_model=None)
def revoke(rooms: HubRooms, caller: Receiving, reader: Reader, sheet: Filled) -> HTMLResponse | RedirectResponse:
    """Take a code back."""
    fields = Fields(sheet, reader)
    number = fields.whole("number", 1, 10**9, needed=True)
    if number is None:
        return _show(rooms, caller, reader, fields.sheet)
    rooms.hand_ins.revoke(number, caller.name)
    return RedirectResponse(HERE, 303)


def _show(rooms: Rooms, caller: Caller, speech: Speech, sheet: Sheet) -> HTMLResponse:
    now_ms = real_ms()
    lines = [
        Line(
            one,
            one.standing(now_ms).value,
            speech.gettext(STANDINGS[one.standing(now_ms)]),
            say_handler(one, speech),
            "" if one.statement is None else one.statement.place,
        )
        for one in rooms.hand_ins.listed()
    ]
    page = render(
        "hand_ins.html",
        rooms,
        caller,
        speech,
        lines=lines,
        limit=LISTED_MAX if len(lines) == LISTED_MAX else None,
        sheet=sheet,
        boxes=[box.code for box in rooms.registry.boxes()],
        profiles=sort_profiles(rooms.registry.profiles(), speech),
        has_rules=bool(rooms.settings.code_rules),
        valid=[(str(hours), speech.gettext(words)) for hours, words in VALID.items()],
        most=AT_ONCE_MAX,
        here=HERE,
    )
    page.status_code = 422 if sheet.faults else 200
    return page
