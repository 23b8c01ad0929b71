"""Gateways: listed with link and clock, enrolled by a one-time code, their keys revoked."""

from __future__ import annotations

from typing import Annotated
from urllib.parse import urlencode

from fastapi import APIRouter, HTTPException, Query
from fastapi.responses import HTMLResponse, RedirectResponse
from sqlalchemy import Connection

from gateway.core.errors import InputError
from gateway.core.gs1 import SCAN_MAX
from gateway.hub.access.callers import Caller
from gateway.hub.access.roles import Right
from gateway.hub.api.access import Configuring, HubRooms, ReadingFleet
from gateway.hub.audit.acts import begin_act
from gateway.hub.registry.enrolment import CODE_DAYS, GatewayState
from gateway.hub.replication.gateway_keys import read_keys, revoke_keys
from gateway.hub.rooms import Rooms
from gateway.hub.web.barcodes import draw_qr
from gateway.hub.web.languages import Reader
from gateway.hub.web.setup.parts import show
from gateway.hub.web.setup.sheets import Fields, Filled, Sheet, sheet_of
from gateway.language import Speech
from gateway.language.speech import N_

HERE = "/setup/gateways"
REASON_MAX = 200
FINGERPRINT = 16
"""Hexadecimal digits of a key that are shown: enough to tell keys apart, few enough to read aloud."""
NOT_A_NAME = N_("A gateway’s name has letters, digits and . _ : -, and begins with a letter or a digit.")
NOTHING_TO_REVOKE = N_("There is no such key that could be revoked.")

router = APIRouter(include_in_schema=False, default_response_class=HTMLResponse)


@router.get(HERE)
def list_gateways(rooms: HubRooms, caller: ReadingFleet, reader: Reader) -> HTMLResponse:
    """List the gateways with their link, their clock, and how far their logs are here."""
    return _show_all(rooms, caller, reader, sheet_of())


@router.post(f"{HERE}/code")
def issue_code(rooms: HubRooms, caller: Configuring, reader: Reader, sheet: Filled) -> HTMLResponse:
    """Make a one-time code and show it, this once: what is stored is only its hash."""
    fields = Fields(sheet, reader)
    name = fields.code("gateway", needed=True)
    if not name:
        return _show_all(rooms, caller, reader, fields.sheet)
    try:
        code = rooms.enrolment.issue_code(name, caller.name)
    except InputError:
        fields.refuse("gateway", NOT_A_NAME)
        return _show_all(rooms, caller, reader, fields.sheet)
    title = reader.gettext(N_("QR code of the enrolment code"))
    known = any(one.name == name for one in rooms.enrolment.gateways())
    return show(
        "gateway_code.html",
        rooms,
        caller,
        reader,
        HERE,
        name=name,
        code=code,
        qr=draw_qr(code, title),
        days=CODE_DAYS,
        known=known,
    )


@router.get(f"{HERE}/one")
def show_gateway(
    rooms: HubRooms,
    caller: ReadingFleet,
    reader: Reader,
    name: Annotated[str, Query(max_length=SCAN_MAX)],
    done: Annotated[str, Query(max_length=16)] = "",
) -> HTMLResponse:
    """Show a gateway with its keys."""
    return _show(rooms, caller, reader, _known(rooms, name), sheet_of(), done=done)


@router.post(f"{HERE}/revoke", response_model=None)
def revoke(rooms: HubRooms, caller: Configuring, reader: Reader, sheet: Filled) -> HTMLResponse | RedirectResponse:
    """Revoke one key of a gateway, or all of them; why is on record."""
    known = _known(rooms, sheet.text("gateway"))
    fields = Fields(sheet, reader)
    reason = fields.text("reason", longest=REASON_MAX, needed=True)
    key = fields.text("key")
    if fields.is_sound:
        try:
            with rooms.store.write() as connection:
                _revoke(connection, rooms, known.name, caller.name, reason, key)
        except InputError:
            fields.refuse("key", NOTHING_TO_REVOKE)
    if not fields.is_sound:
        return _show(rooms, caller, reader, known, fields.sheet)
    rooms.bells.ring_all()
    return RedirectResponse(f"{HERE}/one?{urlencode({'name': known.name, 'done': 'revoked'})}", 303)


@router.post(f"{HERE}/place")
def place(rooms: HubRooms, caller: Configuring, sheet: Filled) -> RedirectResponse:
    """Say whether a gateway stands at a reception."""
    known = _known(rooms, sheet.text("gateway"))
    rooms.enrolment.place(known.name, caller.name, reception=sheet.text("reception") == "1")
    rooms.bells.ring_all()
    return RedirectResponse(f"{HERE}/one?{urlencode({'name': known.name, 'done': 'placed'})}", 303)


def _revoke(connection: Connection, rooms: Rooms, name: str, who: str, reason: str, key: str) -> None:
    begin_act(connection)
    revoke_keys(connection, name, rooms.clock.now_ms(), who=who, reason=reason, key=key)


def _known(rooms: Rooms, name: str) -> GatewayState:
    known = next((one for one in rooms.enrolment.gateways() if one.name == name), None)
    if known is None:
        raise HTTPException(404, "no gateway of that name is enrolled")
    return known


def _show_all(rooms: Rooms, caller: Caller, speech: Speech, sheet: Sheet) -> HTMLResponse:
    status = 422 if sheet.faults else 200
    return show(
        "gateways.html",
        rooms,
        caller,
        speech,
        HERE,
        status=status,
        gateways=rooms.enrolment.gateways(),
        sheet=sheet,
        days=CODE_DAYS,
    )


def _show(
    rooms: Rooms, caller: Caller, speech: Speech, gateway: GatewayState, sheet: Sheet, *, done: str = ""
) -> HTMLResponse:
    with rooms.store.read() as connection:
        keys = read_keys(connection, gateway.name)
    boxes = [box.code for box in rooms.registry.boxes() if gateway.name in box.gateways]
    return show(
        "gateway.html",
        rooms,
        caller,
        speech,
        f"{HERE}/one?{urlencode({'name': gateway.name})}",
        status=422 if sheet.faults else 200,
        gateway=gateway,
        keys=keys,
        digits=FINGERPRINT,
        boxes=boxes if caller.may(Right.READ_BOXES) else [],
        sheet=sheet,
        done=done,
    )
