"""The page of a breach, and every act on it: a form posted, an answer that leads back, a refusal shown at the form."""

# ruff: noqa: FAST003  the number in the path is taken by `visit_of`

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Depends, Form, HTTPException, Request
from fastapi.responses import HTMLResponse, RedirectResponse
from pydantic import BaseModel, Field, StringConstraints

from gateway.core.errors import InputError
from gateway.hub.access.callers import Caller, Way
from gateway.hub.access.passwords import LENGTH_MAX
from gateway.hub.access.roles import Right, Role, rights_of
from gateway.hub.api.access import HubRooms, Requirement
from gateway.hub.api.bounds import Number
from gateway.hub.breaches.lifecycle import NotNowError, ReviewEvent, ReviewState
from gateway.hub.breaches.records import Record
from gateway.hub.review.choices import Choice, ChoiceList
from gateway.hub.review.competence import NotYoursError, may_acknowledge
from gateway.hub.review.desk import Review, ReviewDesk, UnknownBreachError
from gateway.hub.review.signing import Meaning
from gateway.hub.rooms import Rooms
from gateway.hub.web.languages import Reader
from gateway.hub.web.quality.breach import BreachView, say_choice, view_breach
from gateway.hub.web.quality.queue import Acknowledging, Reading
from gateway.hub.web.quality.refusals import say_refusal
from gateway.hub.web.quality.signing import Signing, offer_signing, prove_signer
from gateway.hub.web.quality.words import MEANINGS
from gateway.hub.web.rendering import render
from gateway.language import Speech

router = APIRouter(include_in_schema=False, default_response_class=HTMLResponse)

Reviewing = Annotated[Caller, Depends(Requirement(Right.REVIEW))]
Signer = Annotated[Caller, Depends(Requirement(Right.SIGN))]
Answer = HTMLResponse | RedirectResponse


@dataclass(frozen=True, slots=True)
class Visit:
    """One request for the page of a breach."""

    rooms: Rooms
    request: Request
    speech: Speech
    breach_id: int


def visit_of(breach_id: Number, rooms: HubRooms, request: Request, reader: Reader) -> Visit:
    """Return what a request is about."""
    return Visit(rooms, request, reader, breach_id)


Visiting = Annotated[Visit, Depends(visit_of)]

# A little more than the desk takes: it is the desk that refuses, and the page that keeps what was typed.
_Words = Annotated[str, StringConstraints(max_length=20_000, strip_whitespace=True)]
_Code = Annotated[str, StringConstraints(max_length=64, pattern=r"^[^\x00]*$")]

_RIGHTS: Mapping[ReviewEvent, Right] = {
    ReviewEvent.ACKNOWLEDGE: Right.ACKNOWLEDGE,
    ReviewEvent.COMMENT: Right.ACKNOWLEDGE,
    ReviewEvent.ASSIGN: Right.REVIEW,
    ReviewEvent.BEGIN: Right.REVIEW,
    ReviewEvent.CONCLUDE: Right.REVIEW,
    ReviewEvent.CLOSE: Right.REVIEW,
    ReviewEvent.REOPEN: Right.REVIEW,
    ReviewEvent.SIGN: Right.SIGN,
}


@dataclass(frozen=True, slots=True)
class Typed:
    """What stands in one form, to be shown again where it could not be taken. `of` is the record that it corrects."""

    act: str = ""
    values: Mapping[str, str] = field(default_factory=dict)
    of: int | None = None
    refused: str = ""

    def text(self, act: str, name: str, otherwise: str = "", of: int | None = None) -> str:
        """Return what stands in a field of a form."""
        return self.values.get(name, "") if self.is_at(act, of) else otherwise

    def is_at(self, act: str, of: int | None = None) -> bool:
        """Whether this is the form that was refused."""
        return self.act == act and self.of == of


_NOTHING = Typed()


@dataclass(frozen=True, slots=True)
class Means:
    """What a reader can do with a breach, and what they choose from: pairs of code and words.

    possible  the acts that the state allows and that are theirs
    first     the one that leads on, None if nothing does
    """

    possible: frozenset[ReviewEvent]
    first: ReviewEvent | None
    causes: Sequence[tuple[str, str]]
    actions: Sequence[tuple[str, str]]
    endings: Sequence[tuple[str, str]]
    people: Sequence[tuple[str, str]]
    signing: Signing | None

    def may(self, event: str) -> bool:
        """Whether they can do it, now."""
        return event in self.possible


class Remark(BaseModel):
    """A form of words; `corrects` is the record that they replace."""

    text: _Words = ""
    corrects: int | None = None


class Conclusion(Remark):
    """Root cause and corrective action."""

    cause: _Code = ""
    action: _Code = ""


class Closing(Remark):
    """The end of a review."""

    ending: _Code = ""


class SignatureForm(BaseModel):
    """A signature; `seen` is the hash of what the page showed. A password is never shown again."""

    password: Annotated[str, Field(max_length=LENGTH_MAX)] = ""
    meaning: _Code = ""
    seen: Annotated[str, Field(max_length=64)] = ""


@router.get("/review/{breach_id}")
def show_breach(visit: Visiting, caller: Reading) -> HTMLResponse:
    """Show a breach and all that was done with it."""
    return _render(visit, caller, _NOTHING)


@router.post("/review/{breach_id}/acknowledge", response_model=None)
def acknowledge(visit: Visiting, caller: Acknowledging, form: Annotated[Remark, Form()]) -> Answer:
    """Acknowledge a breach, with a word if there is one to say."""
    typed = Typed("acknowledge", {"text": form.text})
    return _do(visit, caller, typed, lambda desk: desk.acknowledge(visit.breach_id, caller, form.text))


@router.post("/review/{breach_id}/comment", response_model=None)
def comment(visit: Visiting, caller: Acknowledging, form: Annotated[Remark, Form()]) -> Answer:
    """Comment on a breach, or correct a comment."""
    typed = Typed("comment", {"text": form.text}, form.corrects)
    return _do(visit, caller, typed, lambda desk: desk.comment(visit.breach_id, caller, form.text, form.corrects))


@router.post("/review/{breach_id}/assign", response_model=None)
def assign(visit: Visiting, caller: Reviewing, to: Annotated[_Code, Form()] = "") -> Answer:
    """Give a breach to somebody."""
    return _do(visit, caller, Typed("assign", {"to": to}), lambda desk: desk.assign(visit.breach_id, caller, to))


@router.post("/review/{breach_id}/begin", response_model=None)
def begin(visit: Visiting, caller: Reviewing) -> Answer:
    """Begin to investigate."""
    return _do(visit, caller, Typed("begin"), lambda desk: desk.begin(visit.breach_id, caller))


@router.post("/review/{breach_id}/conclude", response_model=None)
def conclude(visit: Visiting, caller: Reviewing, form: Annotated[Conclusion, Form()]) -> Answer:
    """State root cause and corrective action, or correct them."""
    typed = Typed("conclude", {"cause": form.cause, "action": form.action, "text": form.text})
    act = (visit.breach_id, caller, form.cause, form.action, form.text, form.corrects)
    return _do(visit, caller, typed, lambda desk: desk.conclude(*act))


@router.post("/review/{breach_id}/close", response_model=None)
def close(visit: Visiting, caller: Reviewing, form: Annotated[Closing, Form()]) -> Answer:
    """Close a breach whose cause is stated."""
    typed = Typed("close", {"ending": form.ending, "text": form.text})
    return _do(visit, caller, typed, lambda desk: desk.close(visit.breach_id, caller, form.ending, form.text))


@router.post("/review/{breach_id}/reopen", response_model=None)
def reopen(visit: Visiting, caller: Reviewing, form: Annotated[Remark, Form()]) -> Answer:
    """Take a closed breach up again."""
    typed = Typed("reopen", {"text": form.text})
    return _do(visit, caller, typed, lambda desk: desk.reopen(visit.breach_id, caller, form.text))


@router.post("/review/{breach_id}/sign", response_model=None)
def sign(visit: Visiting, caller: Signer, form: Annotated[SignatureForm, Form()]) -> Answer:
    """Sign a closed breach."""

    def act(desk: ReviewDesk) -> Review:
        if form.meaning not in set(Meaning):
            raise InputError("meaning", "is none")
        meaning = Meaning(form.meaning)
        prove_signer(visit.request, visit.rooms, caller, visit.breach_id, meaning, form.seen, form.password)
        return desk.sign(visit.breach_id, caller, meaning, form.seen)

    return _do(visit, caller, Typed("sign", {"meaning": form.meaning}), act)


def _do(visit: Visit, caller: Caller, typed: Typed, act: Callable[[ReviewDesk], Review]) -> Answer:
    try:
        act(visit.rooms.reviews)
    except UnknownBreachError as error:
        raise HTTPException(HTTPStatus.NOT_FOUND, error.reason) from error
    except (InputError, NotNowError, NotYoursError) as error:
        refused, status = say_refusal(error, visit.speech)
        if not caller.may(Right.READ_BREACHES):
            raise HTTPException(status, refused) from error
        page = _render(visit, caller, Typed(typed.act, typed.values, typed.of, refused))
        page.status_code = status
        return page
    visit.rooms.bells.told.ring()
    return RedirectResponse(f"/review/{visit.breach_id}#next", HTTPStatus.SEE_OTHER)


def _render(visit: Visit, caller: Caller, typed: Typed) -> HTMLResponse:
    rooms, speech = visit.rooms, visit.speech
    try:
        view = view_breach(rooms, visit.breach_id, speech)
    except UnknownBreachError as error:
        raise HTTPException(HTTPStatus.NOT_FOUND, error.reason) from error
    return render(
        "quality/breach.html",
        rooms,
        caller,
        speech,
        view=view,
        means=_means(visit, caller, view),
        typed=typed,
        own=[record.id for record in view.review.records if _is_own_comment(record, caller)],
        meaning_words={meaning: speech.gettext(words) for meaning, words in MEANINGS.items()},
        csrf=caller.csrf,  # a macro knows no `caller` but the block that calls it
        signer=caller.printed_name,
        here=f"/review/{visit.breach_id}",
    )


def _is_own_comment(record: Record, caller: Caller) -> bool:
    return record.event is ReviewEvent.COMMENT and record.who == caller.name


def _means(visit: Visit, caller: Caller, view: BreachView) -> Means:
    rooms, speech = visit.rooms, visit.speech
    possible = {event for event in view.review.possible if caller.may(_RIGHTS[event])}
    if not may_acknowledge(caller.roles, view.review.kind):
        possible.discard(ReviewEvent.ACKNOWLEDGE)
    if caller.way is not Way.SESSION:
        possible.discard(ReviewEvent.SIGN)
    if view.conclusion is None:
        possible.discard(ReviewEvent.CLOSE)
    choices, signs = rooms.choices.all(), ReviewEvent.SIGN in possible

    def offered(name: ChoiceList) -> list[tuple[str, str]]:
        entries: Sequence[Choice] = choices[name]
        return [(one.code, say_choice(entries, one.code, speech)) for one in entries if not one.retired]

    return Means(
        possible=frozenset(possible),
        first=_first(view, possible),
        causes=offered(ChoiceList.CAUSE),
        actions=offered(ChoiceList.ACTION),
        endings=offered(ChoiceList.ENDING),
        people=_people(rooms) if ReviewEvent.ASSIGN in possible else (),
        signing=offer_signing(visit.request, rooms, caller, view.review, speech) if signs else None,
    )


def _first(view: BreachView, possible: set[ReviewEvent]) -> ReviewEvent | None:
    match view.review.standing.state:
        case ReviewState.OPEN:
            leads = ReviewEvent.ACKNOWLEDGE
        case ReviewState.ACKNOWLEDGED:
            leads = ReviewEvent.BEGIN
        case ReviewState.IN_REVIEW:
            leads = ReviewEvent.CONCLUDE if view.conclusion is None else ReviewEvent.CLOSE
        case ReviewState.CLOSED:
            leads = ReviewEvent.SIGN
    return leads if leads in possible else None


def _people(rooms: Rooms) -> list[tuple[str, str]]:
    """Return who can be given a breach: those who can investigate it."""
    found = [one for one in rooms.accounts.accounts() if one.disabled_at_ms is None]
    return [(one.name, one.printed_name) for one in found if _reviews(one.roles)]


def _reviews(roles: frozenset[Role]) -> bool:
    return Right.REVIEW in rights_of(roles)
