"""People: accounts with their roles, passwords and tokens."""

from __future__ import annotations

from typing import Annotated
from urllib.parse import urlencode

from fastapi import APIRouter, HTTPException, Query
from fastapi.responses import HTMLResponse, RedirectResponse

from gateway.core.errors import InputError
from gateway.hub.access.accounts import NAME_MAX, PRINTED_NAME_MAX, Account
from gateway.hub.access.callers import Caller
from gateway.hub.access.passwords import LENGTH_MAX, LENGTH_MIN
from gateway.hub.access.roles import Role
from gateway.hub.api.access import HubRooms, ManagingUsers
from gateway.hub.rooms import Rooms
from gateway.hub.times import real_ms
from gateway.hub.web.languages import Reader
from gateway.hub.web.setup.parts import ROWS_MAX, show
from gateway.hub.web.setup.sheets import Fields, Filled, Sheet, sheet_of
from gateway.language import Speech
from gateway.language.mistakes import MISSING
from gateway.language.speech import N_

HERE = "/setup/people"
REASON_MAX = 200
ROLES: dict[Role, str] = {
    Role.NURSE: N_("nurse: registers what is sent"),
    Role.DRIVER: N_("driver"),
    Role.RECEIVER: N_("receiver: the bench"),
    Role.LABORATORY_DOCTOR: N_("laboratory doctor"),
    Role.PHARMACIST: N_("pharmacist"),
    Role.QUALITY: N_("quality: reviews and signs"),
    Role.ADMINISTRATOR: N_("administrator: sets up"),
    Role.INSPECTOR: N_("inspector: reads only"),
}
NO_ROLE = N_("An account needs at least one role.")
TAKEN = N_("There is an account of this name already.")
NOT_A_NAME = N_("1 to {n} printable characters, no blanks at the ends.")
WEAK = N_("{low} to {high} characters, not the account’s name, and not easy to guess.")
DIFFERENT = N_("The two are not the same.")
NOT_YOURSELF = N_("This is your own account: somebody else disables it, or takes its administrator role.")

router = APIRouter(include_in_schema=False, default_response_class=HTMLResponse)


@router.get(HERE)
def list_people(
    rooms: HubRooms, caller: ManagingUsers, reader: Reader, q: Annotated[str, Query(max_length=NAME_MAX)] = ""
) -> HTMLResponse:
    """List the accounts, or those with some text in their names."""
    wanted = q.strip().casefold()
    found = [one for one in rooms.accounts.accounts() if wanted in f"{one.name} {one.printed_name}".casefold()]
    return show(
        "people.html",
        rooms,
        caller,
        reader,
        HERE,
        found=found[:ROWS_MAX],
        total=len(found),
        q=q,
        roles=_roles(reader),
        now_ms=real_ms(),
    )


@router.get(f"{HERE}/new")
def show_new(rooms: HubRooms, caller: ManagingUsers, reader: Reader) -> HTMLResponse:
    """Show the form for a new account."""
    return _show_new(rooms, caller, reader, sheet_of())


@router.post(f"{HERE}/new", response_model=None)
def add(rooms: HubRooms, caller: ManagingUsers, reader: Reader, sheet: Filled) -> HTMLResponse | RedirectResponse:
    """Make an account with a password."""
    fields = Fields(sheet, reader)
    name = fields.text("name", longest=NAME_MAX, needed=True)
    printed_name = fields.text("printed_name", longest=PRINTED_NAME_MAX, needed=True)
    roles = _read_roles(fields, sheet)
    password = _read_password(fields, sheet)
    if name and rooms.accounts.account(name) is not None:
        fields.refuse("name", TAKEN)
    if fields.is_sound:
        try:
            rooms.accounts.add(name, printed_name, roles, caller.name, password=password)
        except InputError as error:
            _refuse(fields, error)
    if not fields.is_sound:
        return _show_new(rooms, caller, reader, fields.sheet)
    return _to_one(name, "added")


@router.get(f"{HERE}/one")
def show_person(
    rooms: HubRooms,
    caller: ManagingUsers,
    reader: Reader,
    name: Annotated[str, Query(max_length=NAME_MAX)],
    done: Annotated[str, Query(max_length=16)] = "",
) -> HTMLResponse:
    """Show an account and what can be done with it."""
    return _show(rooms, caller, reader, _known(rooms, name), "", sheet_of(), done=done)


@router.post(f"{HERE}/change", response_model=None)
def change(rooms: HubRooms, caller: ManagingUsers, reader: Reader, sheet: Filled) -> HTMLResponse | RedirectResponse:
    """Change the printed name and the roles."""
    known = _known(rooms, sheet.text("name"))
    fields = Fields(sheet, reader)
    printed_name = fields.text("printed_name", longest=PRINTED_NAME_MAX, needed=True)
    roles = _read_roles(fields, sheet)
    reason = fields.text("reason", longest=REASON_MAX)
    if known.name == caller.name and Role.ADMINISTRATOR in known.roles and Role.ADMINISTRATOR not in roles:
        fields.refuse("roles", NOT_YOURSELF)
    if fields.is_sound:
        try:
            rooms.accounts.change(known.name, caller.name, roles=roles, printed_name=printed_name, reason=reason)
        except InputError as error:
            _refuse(fields, error)
    if not fields.is_sound:
        return _show(rooms, caller, reader, known, "change", fields.sheet)
    return _to_one(known.name, "saved")


@router.post(f"{HERE}/password", response_model=None)
def set_password(
    rooms: HubRooms, caller: ManagingUsers, reader: Reader, sheet: Filled
) -> HTMLResponse | RedirectResponse:
    """Set a password; sessions of the account end."""
    known = _known(rooms, sheet.text("name"))
    fields = Fields(sheet, reader)
    password = _read_password(fields, sheet)
    if fields.is_sound:
        try:
            rooms.accounts.set_password(known.name, password, caller.name)
        except InputError as error:
            _refuse(fields, error)
    if not fields.is_sound:
        return _show(rooms, caller, reader, known, "password", fields.sheet)
    return _to_one(known.name, "password")


@router.post(f"{HERE}/switch", response_model=None)
def switch(rooms: HubRooms, caller: ManagingUsers, reader: Reader, sheet: Filled) -> HTMLResponse | RedirectResponse:
    """Disable an account, or enable one; why a disabled one was is on record."""
    known = _known(rooms, sheet.text("name"))
    fields = Fields(sheet, reader)
    disables = bool(sheet.text("disable"))
    reason = fields.text("why", longest=REASON_MAX, needed=disables)
    if disables and known.name == caller.name:
        fields.refuse("why", NOT_YOURSELF)
    if not fields.is_sound:
        return _show(rooms, caller, reader, known, "switch", fields.sheet)
    act = rooms.accounts.disable if disables else rooms.accounts.enable
    act(known.name, caller.name, reason)
    return _to_one(known.name, "disabled" if disables else "enabled")


@router.post(f"{HERE}/token")
def revoke_token(rooms: HubRooms, caller: ManagingUsers, reader: Reader, sheet: Filled) -> RedirectResponse:
    """End a token of an account at once."""
    known = _known(rooms, sheet.text("name"))
    number = Fields(sheet, reader).whole("token", 1, 2**53, needed=True)
    if number is None:
        raise HTTPException(404, "there is no such token")
    try:
        rooms.api_tokens.revoke(number, caller.name, of=known.name)
    except InputError as error:
        raise HTTPException(404, error.reason) from error
    return _to_one(known.name, "revoked")


def _read_roles(fields: Fields, sheet: Sheet) -> list[Role]:
    roles = [Role(one) for one in sheet.all("roles") if one in set(Role)]
    if not roles:
        fields.refuse("roles", NO_ROLE)
    return roles


def _read_password(fields: Fields, sheet: Sheet) -> str:
    """Return the password that was typed twice. What is wrong with it is said, what it was is not."""
    password, again = sheet.text("password"), sheet.text("again")
    if not password:
        fields.refuse("password", MISSING)
    elif password != again:
        fields.refuse("again", DIFFERENT)
    return password


def _refuse(fields: Fields, error: InputError) -> None:
    """Note what the accounts have refused, in words of the catalogue."""
    match error.field:
        case "password":
            fields.refuse("password", WEAK, low=LENGTH_MIN, high=LENGTH_MAX)
        case "printed_name":
            fields.refuse("printed_name", NOT_A_NAME, n=PRINTED_NAME_MAX)
        case _:
            fields.refuse("name", NOT_A_NAME, n=NAME_MAX)


def _known(rooms: Rooms, name: str) -> Account:
    known = rooms.accounts.account(name)
    if known is None:
        raise HTTPException(404, "there is no account of that name")
    return known


def _to_one(name: str, done: str) -> RedirectResponse:
    return RedirectResponse(f"{HERE}/one?{urlencode({'name': name, 'done': done})}", 303)


def _roles(speech: Speech) -> dict[str, str]:
    return {role.value: speech.gettext(words) for role, words in ROLES.items()}


def _show_new(rooms: Rooms, caller: Caller, speech: Speech, sheet: Sheet) -> HTMLResponse:
    status = 422 if sheet.faults else 200
    return show(
        "person_new.html",
        rooms,
        caller,
        speech,
        f"{HERE}/new",
        status=status,
        sheet=sheet,
        roles=_roles(speech),
        least=LENGTH_MIN,
    )


def _show(
    rooms: Rooms, caller: Caller, speech: Speech, known: Account, refused: str, sheet: Sheet, *, done: str = ""
) -> HTMLResponse:
    """Show an account; `refused` names the form that could not be taken."""
    filled = sheet_of(printed_name=known.printed_name, roles=sorted(known.roles))
    return show(
        "person.html",
        rooms,
        caller,
        speech,
        f"{HERE}/one?{urlencode({'name': known.name})}",
        status=422 if refused else 200,
        known=known,
        refused=refused,
        change=sheet if refused == "change" else filled,
        sheet=sheet,
        done=done,
        roles=_roles(speech),
        tokens=rooms.api_tokens.tokens(known.name),
        now_ms=real_ms(),
        least=LENGTH_MIN,
    )
