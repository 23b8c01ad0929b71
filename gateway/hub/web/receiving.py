"""Receiving at the bench: noting an arrival, and deciding what becomes of an item. What was seen goes with it."""

from __future__ import annotations

from dataclasses import dataclass
from http import HTTPStatus
from typing import Annotated, Literal
from urllib.parse import urlencode

from fastapi import APIRouter, Form, HTTPException, Query, Request
from fastapi.responses import HTMLResponse, RedirectResponse
from pydantic import BaseModel, Field
from sqlalchemy import Connection

from gateway.core.errors import InputError
from gateway.core.gs1 import SCAN_MAX
from gateway.core.identifiers import CODE_MAX_LENGTH
from gateway.core.profiles import Kind
from gateway.hub.access.callers import Caller
from gateway.hub.access.roles import Right
from gateway.hub.api.access import HubRooms, LookingUp, Receiving
from gateway.hub.api.decisions import Deciding
from gateway.hub.breaches.inbox import Entry, read_inbox
from gateway.hub.breaches.lifecycle import NotNowError
from gateway.hub.review.choices import ChoiceList, read_offered
from gateway.hub.review.competence import NotYoursError, check_decider
from gateway.hub.review.decisions import Course, Decision, NewDecision, read_decisions
from gateway.hub.rooms import Rooms
from gateway.hub.signals.events import newest_event
from gateway.hub.times import to_datetime
from gateway.hub.web.bench import look_up
from gateway.hub.web.breaches_here import NOTHING_HERE, read_here
from gateway.hub.web.languages import Reader
from gateway.hub.web.rendering import render
from gateway.language import Language, Speech
from gateway.language.speech import N_

COMMENT_MAX = 4000
EXAMINATIONS_MAX = 50
INBOX_SHOWN = 5
"""The oldest entries of the inbox beside an unknown code; the others follow as these are settled."""

router = APIRouter(include_in_schema=False, default_response_class=HTMLResponse)


@dataclass(frozen=True, slots=True)
class Typed:
    """What stands in the form of one item, to be shown again where it could not be taken."""

    item: str = ""
    comment: str = ""
    reason: str = ""


_NOTHING = Typed()


class DecisionForm(BaseModel):
    """The form of one item. `version` are those of the verdicts that the page showed, one for each `examination`."""

    consignment: Annotated[str, Field(max_length=CODE_MAX_LENGTH)]
    item: Annotated[str, Field(max_length=CODE_MAX_LENGTH)]
    choice: Course | Literal["reject-and-ask"]
    examination: Annotated[list[str], Field(max_length=EXAMINATIONS_MAX)]
    version: Annotated[list[int], Field(max_length=EXAMINATIONS_MAX)]
    code: Annotated[str, Field(max_length=SCAN_MAX)] = ""
    comment: Annotated[str, Field(max_length=COMMENT_MAX)] = ""
    reason: Annotated[str, Field(max_length=32)] = ""
    corrects: int | None = None

    def read(self) -> NewDecision:
        """Return the decision; a reason that was chosen and not needed is left out."""
        asks = self.choice == "reject-and-ask"
        choice = Course.REJECT if asks else Course(self.choice)
        return NewDecision(
            choice=choice,
            seen=dict(zip(self.examination, self.version, strict=False)),
            comment=self.comment,
            reason=(self.reason or None) if choice is Course.REJECT else None,
            corrects=self.corrects,
            new_sample=asks,
        )


@dataclass(frozen=True, slots=True)
class Desk:
    """What somebody at the bench can do, and what was done, for the template.

    reasons    offered to reject: code and words
    decisions  by consignment and item, the one in force
    refused    why the last thing was not done, "" if it was
    """

    caller: Caller
    reasons: list[tuple[str, str]]
    decisions: dict[tuple[str, str], Decision]
    typed: Typed
    refused: str

    def may_decide(self, item: str, kind: Kind) -> bool:
        """Whether this person decides about such an item."""
        try:
            check_decider(self.caller, kind)
        except NotYoursError:
            return False
        return bool(item) and self.caller.may(Right.DECIDE)

    def say_reason(self, code: str | None) -> str:
        """Return the words of a reason; its code where it is offered no more."""
        return next((words for known, words in self.reasons if known == code), code or "")

    def typed_in(self, item: str) -> Typed:
        """Return what stands in the form of an item."""
        return self.typed if self.typed.item == item else Typed()


def open_desk(
    connection: Connection, caller: Caller, speech: Speech, codes: list[str], typed: Typed, refused: str
) -> Desk:
    """Return what somebody can do about some consignments. Blocking."""
    offered = read_offered(connection, ChoiceList.REJECTION)
    reasons = [(one.code, one.nb if speech.language is Language.NB else one.en) for one in offered]
    decided = {
        (one.consignment, one.item): one for code in codes for one in read_decisions(connection, code) if one.in_force
    }
    return Desk(caller, reasons, decided, typed, refused)


def render_bench(
    rooms: Rooms,
    caller: Caller,
    speech: Speech,
    code: str,
    *,
    is_part: bool = False,
    typed: Typed = _NOTHING,
    refused: str = "",
) -> HTMLResponse:
    """Return what a code stands for and what can be done about it; `is_part`: only what a scan replaces."""
    waiting: list[Entry] = []
    with rooms.store.read() as connection:
        told = newest_event(connection)  # before all else: what happens meanwhile is told once more, never missed
        view = look_up(rooms, connection, code, speech) if code else None
        codes = [] if view is None else [found.code for found in view.found]
        desk = open_desk(connection, caller, speech, codes, typed, refused)
        matters = NOTHING_HERE
        if view is not None:
            matters = read_here(connection, caller, speech, view, desk.decisions.values())
        if view is not None and not view.found and caller.may(Right.READ_BREACHES):
            waiting = read_inbox(connection, waiting=True, limit=INBOX_SHOWN)
    name = "result.html" if is_part else "bench.html"
    here = "/bench" + (f"?{urlencode({'code': code})}" if code else "")
    values = {"view": view, "desk": desk, "matters": matters, "waiting": waiting, "here": here, "told": told}
    return render(name, rooms, caller, speech, **values)


@router.get("/bench")
def show_bench(
    rooms: HubRooms,
    request: Request,
    caller: LookingUp,
    reader: Reader,
    code: Annotated[str, Query(max_length=SCAN_MAX)] = "",
) -> HTMLResponse:
    """Show what a scanned code stands for; with X-Fragment only the part that a scan replaces."""
    return render_bench(rooms, caller, reader, code.strip(), is_part="x-fragment" in request.headers)


@router.post("/bench/receive")
def receive(
    rooms: HubRooms,
    caller: Receiving,
    consignment: Annotated[str, Form(max_length=CODE_MAX_LENGTH)],
    code: Annotated[str, Form(max_length=SCAN_MAX)] = "",
) -> RedirectResponse:
    """Note that a consignment has arrived, now. Again: what was noted first stays."""
    rooms.registry.receive(consignment, to_datetime(rooms.clock.now_ms()), caller.name)
    rooms.bells.ring_all()
    return RedirectResponse("/bench?" + urlencode({"code": code or consignment}), 303)


@router.post("/bench/decide", response_model=None)
def decide(
    rooms: HubRooms,
    caller: Deciding,
    reader: Reader,
    form: Annotated[DecisionForm, Form()],
) -> HTMLResponse | RedirectResponse:
    """Record what becomes of an item, with the versions of its verdicts that were on the page."""
    shown = form.code or form.consignment
    try:
        rooms.decisions.decide(form.consignment, form.item, form.read(), caller)
    except NotYoursError as error:
        raise HTTPException(HTTPStatus.FORBIDDEN, str(error)) from error
    except (InputError, NotNowError) as error:
        typed = Typed(form.item, form.comment, form.reason)
        page = render_bench(rooms, caller, reader, shown, typed=typed, refused=_say_refusal(error, reader))
        page.status_code = HTTPStatus.CONFLICT if isinstance(error, NotNowError) else HTTPStatus.UNPROCESSABLE_ENTITY
        return page
    rooms.bells.told.ring()
    return RedirectResponse("/bench?" + urlencode({"code": shown}), 303)


def _say_refusal(error: InputError | NotNowError, speech: Speech) -> str:
    if isinstance(error, NotNowError):
        return speech.gettext(N_("Nothing was stored: the verdict or a decision has changed meanwhile. Look again."))
    known = {"comment": N_("Say why, in the comment."), "reason": N_("To reject needs a reason from the list.")}
    return speech.gettext(known[error.field]) if error.field in known else f"{error.field}: {error.reason}"
