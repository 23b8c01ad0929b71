"""Boxes: listed, registered, changed; and the instruction that a driver reads at a breach."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Annotated
from urllib.parse import urlencode

from fastapi import APIRouter, HTTPException, Query
from fastapi.responses import HTMLResponse, RedirectResponse

from gateway.core.configuration import Box, BoxState, Instruction
from gateway.core.gs1 import SCAN_MAX
from gateway.hub.access.callers import Caller
from gateway.hub.api.access import Configuring, HubRooms, ReadingBoxes
from gateway.hub.rooms import Rooms
from gateway.hub.web.languages import Reader
from gateway.hub.web.setup.parts import ROWS_MAX, show
from gateway.hub.web.setup.sheets import Fields, Filled, Sheet, sheet_of, write_day
from gateway.language import Speech
from gateway.language.mistakes import UNKNOWN_PROFILE
from gateway.language.profiles import sort_profiles
from gateway.language.speech import N_

HERE = "/setup/boxes"
LABEL_MAX = 80
DO_MAX = 300
CALL_MAX = 100
GATEWAYS_MAX = 50
STATES: dict[BoxState, str] = {
    BoxState.EMPTY: N_("empty"),
    BoxState.CONDITIONING: N_("being conditioned"),
    BoxState.READY: N_("ready"),
    BoxState.LOADED: N_("loaded"),
    BoxState.RECEIVED: N_("received"),
}
UNKNOWN_GATEWAY = N_("No gateway {name} is enrolled.")
TAKEN = N_("A box of this code is registered already.")
TOO_MANY = N_("At most {n} of them.")

router = APIRouter(include_in_schema=False, default_response_class=HTMLResponse)


@router.get(HERE)
def list_boxes(
    rooms: HubRooms,
    caller: ReadingBoxes,
    reader: Reader,
    q: Annotated[str, Query(max_length=SCAN_MAX)] = "",
    saved: Annotated[str, Query(max_length=SCAN_MAX)] = "",
) -> HTMLResponse:
    """List the boxes, or those whose code or label has some text in it."""
    wanted = q.strip().casefold()
    boxes = [box for box in rooms.registry.boxes() if wanted in f"{box.code} {box.label}".casefold()]
    return show(
        "boxes.html",
        rooms,
        caller,
        reader,
        HERE,
        boxes=boxes[:ROWS_MAX],
        total=len(boxes),
        q=q,
        saved=saved,
        states=STATES,
    )


@router.get(f"{HERE}/edit")
def show_box(
    rooms: HubRooms, caller: Configuring, reader: Reader, code: Annotated[str, Query(max_length=SCAN_MAX)] = ""
) -> HTMLResponse:
    """Show the form for a new box, or that of a box."""
    box = _find(rooms, code) if code else None
    if code and box is None:
        raise HTTPException(404, "no box of that code is registered")
    return _show(rooms, caller, reader, _fill(box, caller), box)


@router.post(f"{HERE}/edit", response_model=None)
def save_box(rooms: HubRooms, caller: Configuring, reader: Reader, sheet: Filled) -> HTMLResponse | RedirectResponse:
    """Register a box, or change it; with `alike` its instruction goes to all boxes of its label."""
    known = _find(rooms, sheet.text("known")) if sheet.text("known") else None
    fields = Fields(sheet, reader)
    box = _read(rooms, fields, sheet, known)
    if box is None:
        return _show(rooms, caller, reader, fields.sheet, known)
    for changed in (box, *(_alike(rooms, box) if sheet.text("alike") and box.label else ())):
        rooms.registry.put_box(changed, caller.name)
    rooms.bells.ring_all()
    return RedirectResponse(f"{HERE}?{urlencode({'saved': box.code})}", 303)


def _read(rooms: Rooms, fields: Fields, sheet: Sheet, known: Box | None) -> Box | None:
    code = known.code if known is not None else fields.code("code", needed=True)
    if known is None and code and _find(rooms, code) is not None:
        fields.refuse("code", TAKEN)
    label = fields.text("label", longest=LABEL_MAX)
    state = fields.choice("state", BoxState, needed=True)
    profile = fields.text("profile")
    if profile and profile not in {one.id for one in rooms.registry.profiles()}:
        fields.refuse("profile", UNKNOWN_PROFILE)
    gateways = _read_gateways(rooms, fields)
    instruction = _read_instruction(fields)
    if not fields.is_sound or state is None:
        return None
    if known is not None and sheet.text("state_seen") == state.value:
        state = known.state  # nobody chose another: what has moved it meanwhile counts
    return Box(
        code=code,
        label=label,
        state=state,
        default_profile=profile or None,
        gateways=gateways,
        instruction=instruction,
    )


def _read_gateways(rooms: Rooms, fields: Fields) -> tuple[str, ...]:
    named = tuple(dict.fromkeys(fields.codes("gateways")))
    if len(named) > GATEWAYS_MAX:
        fields.refuse("gateways", TOO_MANY, n=GATEWAYS_MAX)
    known = {one.name for one in rooms.enrolment.gateways()}
    for name in named:
        if name not in known:
            fields.refuse("gateways", UNKNOWN_GATEWAY, name=name)
    return named


def _read_instruction(fields: Fields) -> Instruction | None:
    """Return what a driver does, None where nothing is said."""
    if not fields.text("do", longest=DO_MAX) and not fields.text("call", longest=CALL_MAX):
        return None
    do = fields.text("do", longest=DO_MAX, needed=True)
    call = fields.text("call", longest=CALL_MAX, needed=True)
    by = fields.code("approved_by", needed=True)
    at = fields.day("approved_at", needed=True)
    if not do or not call or not by or at is None:
        return None
    return Instruction(do=do, call=call, approved_by=by, approved_at=at)


def _alike(rooms: Rooms, box: Box) -> Iterable[Box]:
    """Return the other boxes of a label, with the instruction of this one."""
    others = [one for one in rooms.registry.boxes() if one.label == box.label and one.code != box.code]
    return [one.model_copy(update={"instruction": box.instruction}) for one in others]


def _find(rooms: Rooms, code: str) -> Box | None:
    return next((box for box in rooms.registry.boxes() if box.code == code), None)


def _fill(box: Box | None, caller: Caller) -> Sheet:
    if box is None:
        return sheet_of(state=BoxState.READY.value, approved_by=caller.name)
    told = box.instruction
    return sheet_of(
        code=box.code,
        label=box.label,
        state=box.state.value,
        profile=box.default_profile,
        gateways=", ".join(box.gateways),
        do="" if told is None else told.do,
        call="" if told is None else told.call,
        approved_by=caller.name if told is None else told.approved_by,
        approved_at="" if told is None else write_day(told.approved_at),
    )


def _show(rooms: Rooms, caller: Caller, speech: Speech, sheet: Sheet, known: Box | None) -> HTMLResponse:
    profiles = sort_profiles(rooms.registry.profiles(), speech)
    here = f"{HERE}/edit" + (f"?{urlencode({'code': known.code})}" if known is not None else "")
    return show(
        "box.html",
        rooms,
        caller,
        speech,
        here,
        status=422 if sheet.faults else 200,
        sheet=sheet if known is None else replace(sheet, values={**sheet.values, "code": (known.code,)}),
        known=known,
        profiles=profiles,
        gateways=[one.name for one in rooms.enrolment.gateways()],
        alike=0 if known is None or not known.label else len(list(_alike(rooms, known))),
        state_options=[(state.value, speech.gettext(words)) for state, words in STATES.items()],
    )
