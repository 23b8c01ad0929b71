"""The inbox as a page: breaches in boxes on no known trip, each registered or dismissed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Annotated, Literal
from urllib.parse import urlencode

from fastapi import APIRouter, Form, HTTPException, Query
from fastapi.responses import HTMLResponse, RedirectResponse
from pydantic import BaseModel, Field, ValidationError
from sqlalchemy import Connection

from gateway.core.errors import InputError
from gateway.hub.access.callers import Caller
from gateway.hub.access.roles import Right
from gateway.hub.api.access import HubRooms
from gateway.hub.api.bounds import NUMBER_MAX
from gateway.hub.api.decisions import Dismissal, Settling, dismiss_entry
from gateway.hub.breaches.inbox import Entry, read_inbox
from gateway.hub.breaches.keeping import StoredBreach, read_breach
from gateway.hub.breaches.lifecycle import NotNowError
from gateway.hub.rooms import Rooms
from gateway.hub.web.languages import Reader
from gateway.hub.web.quality.alerts import count_what_waits
from gateway.hub.web.quality.queue import Reading
from gateway.hub.web.quality.refusals import say_refusal
from gateway.hub.web.quality.words import say_breach, say_title
from gateway.hub.web.rendering import render
from gateway.language import Speech
from gateway.language.names import say_name
from gateway.language.speech import N_

HERE = "/inbox"
PAGE = 50
REASON_MAX = 1000

router = APIRouter(include_in_schema=False, default_response_class=HTMLResponse)


class InboxQuery(BaseModel):
    """What stands in the address; `after` is the entry that the page before ended with."""

    show: Literal["open", "all"] = "open"
    after: Annotated[int, Field(ge=0, le=NUMBER_MAX)] = 0

    def address(self, **changes: object) -> str:
        """Return the address of the page that asks for the same but for the changes."""
        kept = self.model_dump(exclude_defaults=True) | changes
        return HERE + (f"?{urlencode(kept)}" if kept else "")


@dataclass(frozen=True, slots=True)
class Line:
    """An entry in words. `register` is the address of the form, filled in with what is known."""

    entry: Entry
    title: str
    sentence: str
    outcome: str
    register: str


@dataclass(frozen=True, slots=True)
class Typed:
    """What stands in the form of one entry, to be shown again where it could not be taken."""

    number: int = 0
    reason: str = ""
    refused: str = ""


_NOTHING = Typed()


class DismissForm(InboxQuery):
    """Why nothing needs to be registered."""

    number: Annotated[int, Field(ge=1, le=NUMBER_MAX)]
    reason: Annotated[str, Field(max_length=REASON_MAX)] = ""


@router.get(HERE)
def show_inbox(rooms: HubRooms, caller: Reading, reader: Reader, query: Annotated[InboxQuery, Query()]) -> HTMLResponse:
    """Show what waits, the oldest first, or all there ever was."""
    return _render(rooms, caller, reader, query, _NOTHING)


@router.post(f"{HERE}/dismiss", response_model=None)
def dismiss(
    rooms: HubRooms, caller: Settling, reader: Reader, form: Annotated[DismissForm, Form()]
) -> HTMLResponse | RedirectResponse:
    """Settle an entry with which nothing needs to be registered."""
    query = InboxQuery(show=form.show, after=form.after)
    try:
        dismiss_entry(form.number, _read_dismissal(form.reason), rooms, caller)
    except (InputError, NotNowError) as error:
        refused, status = say_refusal(error, reader)
        if not caller.may(Right.READ_BREACHES):
            raise HTTPException(status, refused) from error
        page = _render(rooms, caller, reader, query, Typed(form.number, form.reason, refused))
        page.status_code = status
        return page
    return RedirectResponse(query.address() if caller.may(Right.READ_BREACHES) else "/", HTTPStatus.SEE_OTHER)


def _read_dismissal(reason: str) -> Dismissal:
    try:
        return Dismissal(reason=reason)
    except ValidationError as error:
        raise InputError("reason", "is missing") from error


def _render(rooms: Rooms, caller: Caller, speech: Speech, query: InboxQuery, typed: Typed) -> HTMLResponse:
    with rooms.store.read() as connection:
        found = read_inbox(connection, waiting=query.show == "open", after=query.after, limit=PAGE + 1)
        lines = [_to_line(connection, entry, speech) for entry in found[:PAGE]]
    return render(
        "quality/inbox.html",
        rooms,
        caller,
        speech,
        query=query,
        lines=lines,
        typed=typed,
        counts=count_what_waits(rooms, caller),
        next=query.address(after=lines[-1].entry.id) if len(found) > PAGE else "",
        here=query.address(),
    )


def _to_line(connection: Connection, entry: Entry, speech: Speech) -> Line:
    breach: StoredBreach | None = read_breach(connection, entry.breach_id)
    known = {"box": entry.box} if entry.box else {"code": entry.consignment}
    return Line(
        entry=entry,
        title=say_name(entry.rule, speech) if breach is None else say_title(breach, speech),
        sentence="" if breach is None else say_breach(breach, speech),
        outcome=_say_outcome(entry, speech),
        register=f"/register?{urlencode({**known, 'since_ms': entry.started_at_ms})}",
    )


def _say_outcome(entry: Entry, speech: Speech) -> str:
    """Return what has become of an entry, "" while it waits."""
    settled: Mapping[str, str] | None = entry.resolution
    if settled is None or entry.resolved_at_ms is None:
        return ""
    moment = speech.moment(entry.resolved_at_ms)
    if settled["how"] == "registered":
        said = speech.gettext(N_("Registered as {code} by {name}, {moment}."))
        return said.format(code=settled["consignment"], name=settled["who"], moment=moment)
    said = speech.gettext(N_("Dismissed by {name}, {moment}: {reason}"))
    return said.format(name=settled["who"], moment=moment, reason=settled["reason"])
