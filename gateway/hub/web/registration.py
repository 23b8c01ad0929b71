"""Registering at the bench what nobody registered: a small form, judged from what the box's logger has recorded."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Annotated
from urllib.parse import urlencode

from fastapi import APIRouter, Form, Query
from fastapi.responses import HTMLResponse, RedirectResponse
from pydantic import BaseModel, Field, ValidationError

from gateway.core.configuration import Carriage, Consignment, Examination, Item
from gateway.core.errors import InputError
from gateway.core.gs1 import SCAN_MAX
from gateway.core.identifiers import check_code
from gateway.core.profiles import Profile
from gateway.core.scans import codes_of, own_code_of
from gateway.hub.access.callers import Caller
from gateway.hub.api.access import HubRooms, Registering
from gateway.hub.rooms import Rooms
from gateway.hub.times import to_datetime
from gateway.hub.web.languages import Reader
from gateway.hub.web.moments import read_local, write_local
from gateway.hub.web.rendering import render
from gateway.language import Speech
from gateway.language.mistakes import KNOWN_CONSIGNMENT, NO_ITEM, NO_SUCH_MOMENT, TWO_KINDS, UNKNOWN_BOX
from gateway.language.profiles import sort_profiles
from gateway.language.speech import N_

ROWS_AT_FIRST = 3
ROWS_MAX = 40
"""Rows of one form: a rack of tubes. More come by file or through the HTTP interface."""

router = APIRouter(include_in_schema=False, default_response_class=HTMLResponse)


@dataclass(frozen=True, slots=True)
class Row:
    """One item and one examination of it, as typed. Two rows of one item's code are two examinations of it."""

    code: str = ""
    profile: str = ""
    collected: str = ""

    @property
    def is_empty(self) -> bool:
        """Whether nothing was typed; a time alone says nothing."""
        return not self.code and not self.profile


@dataclass(frozen=True, slots=True)
class Sheet:
    """The form as typed. Moments are local, as `datetime-local` writes them."""

    code: str = ""
    box: str = ""
    since: str = ""
    rows: Sequence[Row] = ()


class SheetForm(BaseModel):
    """The form's fields; `more` asks for more rows."""

    code: Annotated[str, Field(max_length=SCAN_MAX)] = ""
    box: Annotated[str, Field(max_length=SCAN_MAX)] = ""
    since: Annotated[str, Field(max_length=32)] = ""
    item: Annotated[list[str], Field(max_length=ROWS_MAX)] = []
    profile: Annotated[list[str], Field(max_length=ROWS_MAX)] = []
    collected: Annotated[list[str], Field(max_length=ROWS_MAX)] = []
    more: Annotated[str, Field(max_length=8)] = ""

    def read(self) -> Sheet:
        """Return what was typed."""
        columns = zip(self.item, self.profile, self.collected, strict=False)
        rows = [Row(code.strip(), profile.strip(), at.strip()) for code, profile, at in columns]
        return Sheet(self.code.strip(), self.box.strip(), self.since.strip(), rows)


class SheetError(InputError):
    """What is wrong with a form, in words that are in the catalogue; `field` is the id of the field on the page."""


@router.get("/register")
def show_form(
    rooms: HubRooms,
    caller: Registering,
    reader: Reader,
    code: Annotated[str, Query(max_length=SCAN_MAX)] = "",
    box: Annotated[str, Query(max_length=SCAN_MAX)] = "",
    since_ms: Annotated[int | None, Query(ge=0, le=10**14)] = None,
) -> HTMLResponse:
    """Show the form, filled in with what a scan or the inbox knows."""
    known = {one.code for one in rooms.registry.boxes()}
    in_box = next((one for one in codes_of(box or code) if one in known), "")
    own = "" if in_box and not box else own_code_of(code)
    since = "" if since_ms is None else write_local(since_ms)
    return _show(rooms, caller, reader, Sheet(own or _suggest(in_box, rooms.clock.now_ms()), in_box, since))


@router.post("/register", response_model=None)
def register(
    rooms: HubRooms,
    caller: Registering,
    reader: Reader,
    form: Annotated[SheetForm, Form()],
) -> HTMLResponse | RedirectResponse:
    """Register a consignment that has come already; its verdicts say that it was registered late."""
    sheet = form.read()
    if form.more:
        return _show(rooms, caller, reader, replace(sheet, rows=[*sheet.rows, *[Row()] * ROWS_AT_FIRST][:ROWS_MAX]))
    try:
        consignment = read_sheet(sheet, rooms.registry.profiles(), rooms.clock.now_ms())
        _check_known(rooms, consignment, sheet)
        rooms.registry.put_consignment(consignment, caller.name)
    except InputError as error:
        return _show(rooms, caller, reader, sheet, error)
    rooms.bells.ring_all()
    return RedirectResponse("/bench?" + urlencode({"code": consignment.code}), 303)


def read_sheet(sheet: Sheet, profiles: Sequence[Profile], now_ms: int) -> Consignment:
    """Return the consignment that a form describes, marked as registered late. Raises InputError naming the field."""
    code, box = _code("code", sheet.code), _code("box", sheet.box)
    now, begins = to_datetime(now_ms), _moment("since", sheet.since)
    if begins is None:
        raise SheetError("since", N_("Say since when it was in the box."))
    if begins > now:
        raise SheetError("since", N_("This lies ahead."))
    known = {one.id: one for one in profiles}
    items: dict[str, Item] = {}
    for place, row in enumerate(sheet.rows, 1):
        if not row.is_empty:
            read = _read_row(row, place, known, now)
            old = items.get(read.code)
            items[read.code] = read if old is None else _join(old, read, place)
    if not items:
        raise SheetError("item-1", NO_ITEM)
    try:
        return Consignment(
            code=code,
            items=tuple(items.values()),
            carriage=(Carriage(box=box, begins=begins),),
            registered_late=True,
        )
    except ValidationError as error:
        raise InputError("code", error.errors()[0]["msg"]) from error


def _read_row(row: Row, place: int, profiles: dict[str, Profile], now: datetime) -> Item:
    profile = profiles.get(row.profile)
    if profile is None:
        raise SheetError(f"profile-{place}", N_("Choose what will be examined or given."))
    collected = _moment(f"collected-{place}", row.collected)
    if collected is not None and collected > now:
        raise SheetError(f"collected-{place}", N_("This lies ahead."))
    return Item(
        code=_code(f"item-{place}", row.code),
        kind=profile.kind,
        examinations=(Examination(code=profile.id, profile=profile.id),),
        collected_at=collected,
    )


def _join(old: Item, new: Item, place: int) -> Item:
    """Return one item with the examinations of both rows."""
    if old.kind is not new.kind:
        raise SheetError(f"profile-{place}", TWO_KINDS)
    if new.examinations[0] in old.examinations:
        raise SheetError(f"item-{place}", N_("This item stands here twice."))
    first = old.collected_at if new.collected_at is None else new.collected_at
    return old.model_copy(update={"examinations": old.examinations + new.examinations, "collected_at": first})


def _check_known(rooms: Rooms, consignment: Consignment, sheet: Sheet) -> None:
    if rooms.registry.consignment(consignment.code) is not None:
        raise SheetError("code", KNOWN_CONSIGNMENT)
    if sheet.box not in {box.code for box in rooms.registry.boxes()}:
        raise SheetError("box", UNKNOWN_BOX)


def _code(field: str, text: str) -> str:
    if not text:
        raise SheetError(field, N_("A code is missing here."))
    return check_code(field, text)


def _moment(field: str, text: str) -> datetime | None:
    try:
        return read_local(text) if text else None
    except ValueError as error:
        raise SheetError(field, NO_SUCH_MOMENT) from error


def _suggest(box: str, now_ms: int) -> str:
    """Return a code for what has none of its own: its box and the minute."""
    return f"{box}-{write_local(now_ms).translate(_NO_SIGNS)}" if box else ""


_NO_SIGNS = str.maketrans({"-": "", ":": "", "T": "-"})


def _show(rooms: Rooms, caller: Caller, speech: Speech, sheet: Sheet, error: InputError | None = None) -> HTMLResponse:
    offered = sort_profiles(rooms.registry.profiles(), speech)
    rows = list(sheet.rows) or [Row()] * ROWS_AT_FIRST
    reason = "" if error is None else (speech.gettext(error.reason) if isinstance(error, SheetError) else error.reason)
    page = render(
        "register.html",
        rooms,
        caller,
        speech,
        sheet=replace(sheet, rows=rows),
        boxes=[box.code for box in rooms.registry.boxes()],
        profiles=offered,
        wrong="" if error is None else error.field,
        reason=reason,
        latest=write_local(rooms.clock.now_ms()),
        can_grow=len(rows) < ROWS_MAX,
        here="/register",
    )
    page.status_code = 200 if error is None else 422
    return page
