"""The lists that reviewers choose from: causes, corrective actions, reasons."""

from __future__ import annotations

from typing import Annotated
from urllib.parse import urlencode

from fastapi import APIRouter, HTTPException, Query
from fastapi.responses import HTMLResponse, RedirectResponse
from pydantic import TypeAdapter, ValidationError

from gateway.core.errors import InputError
from gateway.hub.access.callers import Caller
from gateway.hub.api.access import EditingChoices, HubRooms
from gateway.hub.review.choices import CHOICES_MAX, Choice, ChoiceCode, ChoiceList
from gateway.hub.rooms import Rooms
from gateway.hub.web.languages import Reader
from gateway.hub.web.setup.parts import show
from gateway.hub.web.setup.sheets import Fields, Filled, Sheet, sheet_of
from gateway.language import Speech
from gateway.language.speech import N_

HERE = "/setup/choices"
LABEL_MAX = 120
REASON_MAX = 200
LISTS: dict[ChoiceList, str] = {
    ChoiceList.CAUSE: N_("Causes of breaches"),
    ChoiceList.ACTION: N_("Corrective actions"),
    ChoiceList.ENDING: N_("Why a breach that still runs is ended"),
    ChoiceList.REJECTION: N_("Reasons to reject an item"),
}
NOT_A_CODE = N_("Up to 32 letters, digits, - and _.")
TAKEN = N_("This list has an entry of this code already.")
FULL = N_("The list has {n} entries already.")

_CODE: TypeAdapter[str] = TypeAdapter(ChoiceCode)

router = APIRouter(include_in_schema=False, default_response_class=HTMLResponse)


@router.get(HERE)
def list_choices(
    rooms: HubRooms,
    caller: EditingChoices,
    reader: Reader,
    saved: Annotated[str, Query(max_length=LABEL_MAX)] = "",
) -> HTMLResponse:
    """Show all lists, entries that are offered no more included."""
    lists = [(name.value, reader.gettext(LISTS[name]), found) for name, found in rooms.choices.all().items()]
    return show("choices.html", rooms, caller, reader, HERE, lists=lists, saved=saved)


@router.get(f"{HERE}/edit")
def show_choice(
    rooms: HubRooms,
    caller: EditingChoices,
    reader: Reader,
    name: Annotated[ChoiceList, Query(alias="list")],
    code: Annotated[str, Query(max_length=32)] = "",
) -> HTMLResponse:
    """Show the form of a new entry, or that of an entry."""
    known = _find(rooms, name, code)
    if code and known is None:
        raise HTTPException(404, "this list has no entry of that code")
    filled = {} if known is None else {"code": known.code, "en": known.en, "nb": known.nb}
    return _show(rooms, caller, reader, name, known, sheet_of(**filled))


@router.post(f"{HERE}/edit", response_model=None)
def save_choice(
    rooms: HubRooms, caller: EditingChoices, reader: Reader, sheet: Filled
) -> HTMLResponse | RedirectResponse:
    """Add an entry, change its words, retire it, or bring it back."""
    try:
        name = ChoiceList(sheet.text("list"))
    except ValueError as error:
        raise HTTPException(404, "there is no such list") from error
    known = _find(rooms, name, sheet.text("known"))
    fields = Fields(sheet, reader)
    code = known.code if known is not None else fields.text("code", needed=True)
    if known is None and code:
        _check_new(rooms, fields, name, code)
    en, nb = (fields.text(language, longest=LABEL_MAX, needed=True) for language in ("en", "nb"))
    reason = fields.text("reason", longest=REASON_MAX)
    if fields.is_sound:
        choice = Choice(code=code, en=en, nb=nb, retired=bool(sheet.text("retired")))
        try:
            rooms.choices.put(name, choice, caller.name, reason)
        except InputError:
            fields.refuse("code", FULL, n=CHOICES_MAX)
    if not fields.is_sound:
        return _show(rooms, caller, reader, name, known, fields.sheet)
    return RedirectResponse(f"{HERE}?{urlencode({'saved': en})}", 303)


def _check_new(rooms: Rooms, fields: Fields, name: ChoiceList, code: str) -> None:
    try:
        _CODE.validate_python(code)
    except ValidationError:
        fields.refuse("code", NOT_A_CODE)
    if _find(rooms, name, code) is not None:
        fields.refuse("code", TAKEN)


def _find(rooms: Rooms, name: ChoiceList, code: str) -> Choice | None:
    return next((one for one in rooms.choices.all()[name] if one.code == code), None)


def _show(
    rooms: Rooms, caller: Caller, speech: Speech, name: ChoiceList, known: Choice | None, sheet: Sheet
) -> HTMLResponse:
    return show(
        "choice.html",
        rooms,
        caller,
        speech,
        f"{HERE}/edit?{urlencode({'list': name.value, 'code': '' if known is None else known.code})}",
        status=422 if sheet.faults else 200,
        list_name=name.value,
        title=speech.gettext(LISTS[name]),
        known=known,
        sheet=sheet,
    )
