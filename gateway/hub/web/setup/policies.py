"""Who is told of what, as a form: which alerts a policy is for, and who hears of them, step by step."""

from __future__ import annotations

from typing import Annotated
from urllib.parse import urlencode

from fastapi import APIRouter, HTTPException, Query
from fastapi.responses import HTMLResponse, RedirectResponse

from gateway.core.errors import InputError
from gateway.core.identifiers import CODE_MAX_LENGTH
from gateway.core.profiles import Kind
from gateway.hub.access.callers import Caller
from gateway.hub.api.access import Configuring, HubRooms
from gateway.hub.notification.directory import Directory
from gateway.hub.notification.policies import DEFAULTS, Policy
from gateway.hub.rooms import Rooms
from gateway.hub.web.languages import Reader
from gateway.hub.web.setup.parts import show
from gateway.hub.web.setup.policy_sheet import fill_policy_sheet, read_policy_sheet, step_rows
from gateway.hub.web.setup.policy_words import SUBJECTS, day_names, is_changed, say_policy_title, say_target
from gateway.hub.web.setup.recipient_sheet import quiet_rows
from gateway.hub.web.setup.sheets import Fields, Filled, Sheet
from gateway.language import Speech
from gateway.language.speech import N_
from gateway.language.verdicts import say_kind

LIST = "/setup/notification"
HERE = f"{LIST}/policy"
TAKEN = N_("There is a rule of this name already.")

router = APIRouter(include_in_schema=False, default_response_class=HTMLResponse)

_Name = Annotated[str, Query(max_length=CODE_MAX_LENGTH)]


@router.get(HERE)
def show_policy(rooms: HubRooms, caller: Configuring, reader: Reader, name: _Name = "") -> HTMLResponse:
    """Show the form of a new policy, or that of one."""
    known = _known(rooms, name) if name else None
    return _show(rooms, caller, reader, known, fill_policy_sheet(known))


@router.post(HERE, response_model=None)
def save_policy(rooms: HubRooms, caller: Configuring, reader: Reader, sheet: Filled) -> HTMLResponse | RedirectResponse:
    """Register a policy, or change it. It holds for alerts from now on."""
    known = _known(rooms, sheet.text("known")) if sheet.text("known") else None
    fields = Fields(sheet, reader)
    policy = read_policy_sheet(fields, sheet, known)
    if known is None and policy is not None and _find(rooms, policy.name) is not None:
        fields.refuse("name", TAKEN)
    if policy is not None and fields.is_sound:
        try:
            _directory(rooms).put_policy(policy, caller.name)
        except InputError as error:
            fields.refuse_as(error, {"name": "name", "places": "places"})
    if policy is None or not fields.is_sound:
        return _show(rooms, caller, reader, known, fields.sheet)
    return RedirectResponse(f"{LIST}?{urlencode({'saved': policy.name})}#policies", 303)


@router.post(f"{HERE}/remove")
def remove_policy(rooms: HubRooms, caller: Configuring, sheet: Filled) -> RedirectResponse:
    """Remove a policy; one that the hub brings along is then as it was."""
    known = _known(rooms, sheet.text("name"))
    _directory(rooms).remove_policy(known.name, caller.name)
    return RedirectResponse(f"{LIST}?{urlencode({'saved': known.name})}#policies", 303)


def _directory(rooms: Rooms) -> Directory:
    return Directory(rooms.store, rooms.settings.notification, rooms.clock.now_ms)


def _find(rooms: Rooms, name: str) -> Policy | None:
    return next((one for one in _directory(rooms).policies() if one.name == name), None)


def _known(rooms: Rooms, name: str) -> Policy:
    known = _find(rooms, name)
    if known is None:
        raise HTTPException(404, "no policy of that name")
    return known


def _show(rooms: Rooms, caller: Caller, speech: Speech, known: Policy | None, sheet: Sheet) -> HTMLResponse:
    name = "" if known is None else known.name
    directory = _directory(rooms)
    duties = {duty for one in directory.recipients() for duty in (*one.duties, one.name)}
    duties |= {to for one in DEFAULTS for step in one.steps for to in step.to if not to.startswith("@")}
    return show(
        "policy.html",
        rooms,
        caller,
        speech,
        HERE + (f"?{urlencode({'name': name})}" if name else ""),
        status=422 if sheet.faults else 200,
        sheet=sheet,
        name=name,
        title=say_policy_title(name, speech),
        is_ours=name in {one.name for one in DEFAULTS},
        is_changed=known is not None and is_changed(known),
        subjects=[(one.value, speech.gettext(words)) for one, words in SUBJECTS.items()],
        kinds=[(one.value, say_kind(one, speech)) for one in Kind],
        steps=range(1, step_rows(sheet) + 1),
        hours=range(1, quiet_rows(sheet) + 1),
        days=day_names(speech),
        duties=[(one, say_target(one, speech)) for one in sorted(duties)],
    )
