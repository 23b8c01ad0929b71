"""Who is told of alerts: recipients with their channels, policies in words, and messages that wait or failed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Annotated
from urllib.parse import urlencode

from fastapi import APIRouter, HTTPException, Query
from fastapi.responses import HTMLResponse, RedirectResponse

from gateway.core.errors import InputError
from gateway.core.identifiers import CODE_MAX_LENGTH
from gateway.hub.access.callers import Caller
from gateway.hub.api.access import Configuring, HubRooms
from gateway.hub.api.bounds import NUMBER_MAX
from gateway.hub.api.notification import DAY_MS
from gateway.hub.notification.channels import shown
from gateway.hub.notification.directory import Directory
from gateway.hub.notification.ledger import MessageState, count_alerts_for_nobody, read_messages
from gateway.hub.notification.recipients import Recipient
from gateway.hub.notification.worker import send_test
from gateway.hub.rooms import Rooms
from gateway.hub.web.languages import Reader
from gateway.hub.web.setup.parts import ROWS_MAX, show
from gateway.hub.web.setup.policy_words import day_names, say_hours, say_policy, say_target
from gateway.hub.web.setup.recipient_sheet import (
    channel_rows,
    fill_recipient_sheet,
    quiet_rows,
    read_recipient_sheet,
    refuse_channel,
    without_secrets,
)
from gateway.hub.web.setup.sheets import Fields, Filled, Sheet
from gateway.language import Language, Speech
from gateway.language.speech import N_

HERE = "/setup/notification"
MESSAGES_SHOWN = 50
TAKEN = N_("There is a recipient of this name already.")
STATES: dict[MessageState, str] = {
    MessageState.WAITING: N_("waits"),
    MessageState.SENT: N_("sent"),
    MessageState.FAILED: N_("given up"),
}

router = APIRouter(include_in_schema=False, default_response_class=HTMLResponse)

_Name = Annotated[str, Query(max_length=CODE_MAX_LENGTH)]


@router.get(HERE)
def show_notification(
    rooms: HubRooms,
    caller: Configuring,
    reader: Reader,
    saved: _Name = "",
    removed: _Name = "",
    before: Annotated[int, Query(ge=0, le=NUMBER_MAX)] = 0,
) -> HTMLResponse:
    """Show who can be told, who is told of what, and what has not left."""
    directory = _directory(rooms)
    with rooms.store.read() as connection:
        messages = read_messages(connection, None, MESSAGES_SHOWN + 1, before)
        missed = count_alerts_for_nobody(connection, rooms.clock.now_ms() - DAY_MS)
    more = len(messages) > MESSAGES_SHOWN
    known = directory.recipients()
    return show(
        "notification.html",
        rooms,
        caller,
        reader,
        HERE,
        recipients=[
            (one, [say_target(duty, reader) for duty in one.duties], say_hours(one.quiet, reader), _say_channels(one))
            for one in known[:ROWS_MAX]
        ],
        policies=[say_policy(one, reader) for one in directory.policies()],
        messages=messages[:MESSAGES_SHOWN],
        states=STATES,
        older=f"{HERE}?{urlencode({'before': messages[MESSAGES_SHOWN - 1].id})}#messages" if more else "",
        missed=missed,
        saved=saved,
        removed=removed,
    )


@router.get(f"{HERE}/edit")
def show_recipient(rooms: HubRooms, caller: Configuring, reader: Reader, name: _Name = "") -> HTMLResponse:
    """Show the form of a new recipient, or that of one."""
    known = _known(rooms, name) if name else None
    return _show(rooms, caller, reader, known, fill_recipient_sheet(known))


@router.post(f"{HERE}/edit", response_model=None)
def save_recipient(
    rooms: HubRooms, caller: Configuring, reader: Reader, sheet: Filled
) -> HTMLResponse | RedirectResponse:
    """Register a recipient, or change it. A channel without an address keeps the one that is known."""
    known = _known(rooms, sheet.text("known")) if sheet.text("known") else None
    fields = Fields(sheet, reader)
    recipient = read_recipient_sheet(fields, sheet, known)
    if known is None and recipient is not None and _directory(rooms).recipient(recipient.name) is not None:
        fields.refuse("name", TAKEN)
    if recipient is not None and fields.is_sound:
        try:
            _directory(rooms).put_recipient(recipient, caller.name)
        except InputError as error:
            refuse_channel(fields, error, sheet)
    if recipient is None or not fields.is_sound:
        return _show(rooms, caller, reader, known, without_secrets(fields.sheet))
    return RedirectResponse(f"{HERE}?{urlencode({'saved': recipient.name})}", 303)


@router.post(f"{HERE}/test")
def try_recipient(rooms: HubRooms, caller: Configuring, reader: Reader, sheet: Filled) -> HTMLResponse:
    """Send a test to each channel of a recipient, and say what became of it."""
    known = _known(rooms, sheet.text("name"))
    tried = send_test(known, rooms.settings)
    return _show(rooms, caller, reader, known, fill_recipient_sheet(known), tried=tried)


@router.post(f"{HERE}/remove")
def remove_recipient(rooms: HubRooms, caller: Configuring, sheet: Filled) -> RedirectResponse:
    """Remove a recipient; what waits for it is given up."""
    known = _known(rooms, sheet.text("name"))
    _directory(rooms).remove_recipient(known.name, caller.name)
    return RedirectResponse(f"{HERE}?{urlencode({'removed': known.name})}", 303)


def _directory(rooms: Rooms) -> Directory:
    return Directory(rooms.store, rooms.settings.notification, rooms.clock.now_ms)


def _known(rooms: Rooms, name: str) -> Recipient:
    known = _directory(rooms).recipient(name)
    if known is None:
        raise HTTPException(404, "no recipient of that name")
    return known


def _say_channels(recipient: Recipient) -> list[str]:
    return [f"{channel.id} ({shown(channel)})" for channel in recipient.channels]


def _show(
    rooms: Rooms,
    caller: Caller,
    speech: Speech,
    known: Recipient | None,
    sheet: Sheet,
    *,
    tried: Mapping[str, str] | None = None,
) -> HTMLResponse:
    name = "" if known is None else known.name
    return show(
        "recipient.html",
        rooms,
        caller,
        speech,
        f"{HERE}/edit" + (f"?{urlencode({'name': name})}" if name else ""),
        status=422 if sheet.faults else 200,
        sheet=sheet if known is None else replace(sheet, values={**sheet.values, "name": (name,)}),
        name=name,
        channels=channel_rows(sheet, known),
        quiet=range(1, quiet_rows(sheet) + 1),
        days=day_names(speech),
        languages=[(Language.NB.value, "Norsk"), (Language.EN.value, "English")],
        tried=tried,
    )
