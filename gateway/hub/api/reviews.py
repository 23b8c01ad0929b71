"""What people do with breaches: the queue, the life of each, signatures; and the lists that they choose from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, TypeVar

from fastapi import APIRouter, Depends, Query, Request
from pydantic import Field, SecretStr

from gateway.core.errors import InputError
from gateway.core.profiles import Model
from gateway.hub.access.callers import Caller
from gateway.hub.access.roles import Right
from gateway.hub.api.access import HubRooms, Requirement, needs
from gateway.hub.api.bounds import After, Limit, Number, Word, Words
from gateway.hub.api.problems import documented
from gateway.hub.api.signers import confirm_signer, signing_purpose
from gateway.hub.breaches.keeping import StoredBreach, read_breach
from gateway.hub.breaches.lifecycle import ReviewState
from gateway.hub.breaches.records import Standing, read_standings
from gateway.hub.review.choices import Choice, ChoiceCode, ChoiceList
from gateway.hub.review.desk import BULK_MAX, Review
from gateway.hub.review.signing import Meaning
from gateway.hub.rooms import Rooms

router = APIRouter(tags=["review"])

Acknowledging = Annotated[Caller, Depends(Requirement(Right.ACKNOWLEDGE))]
Reviewing = Annotated[Caller, Depends(Requirement(Right.REVIEW))]
Signing = Annotated[Caller, Depends(Requirement(Right.SIGN))]
EditingChoices = Annotated[Caller, Depends(Requirement(Right.EDIT_CHOICES))]

_ACTS = documented(401, 403, 404, 409, 413, 422)
_Corrects = Annotated[int, Field(ge=1, le=1 << 53, description="the record that this one replaces")]


Answer = TypeVar("Answer", Review, list[Review])


@dataclass(frozen=True, slots=True)
class Waiting:
    """A breach and where it stands."""

    breach: StoredBreach
    standing: Standing


class Acknowledgement(Model):
    """A word with an acknowledgement, if there is one to say."""

    comment: Annotated[Words, Field(examples=["called VAN-1: the lid is closed again"])] = ""


class BulkAcknowledgement(Model):
    """Several breaches acknowledged at once, and why."""

    ids: Annotated[
        list[Annotated[int, Field(ge=1, le=1 << 53)]], Field(min_length=1, max_length=BULK_MAX, examples=[[4, 5, 6]])
    ]
    reason: Annotated[Words, Field(examples=["one box, left open at the ward"])]


class Comment(Model):
    """A comment, or the correction of one."""

    text: Annotated[Words, Field(examples=["The lid was open from 09:10 to 09:40."])]
    corrects: _Corrects | None = None


class Assignment(Model):
    """Who takes it on: the name of an account."""

    to: Annotated[Word, Field(min_length=1, max_length=64, examples=["kari"])]


class Conclusion(Model):
    """Root cause and corrective action, from their lists; `corrects` where one was stated before."""

    cause: Annotated[ChoiceCode, Field(examples=["box_open"])]
    action: Annotated[ChoiceCode, Field(examples=["trained"])]
    text: Words = ""
    corrects: _Corrects | None = None


class Closing(Model):
    """The end of a review. A breach that still runs needs an `ending` from its list: the logger is lost, for one."""

    ending: Annotated[ChoiceCode, Field(examples=["logger_lost"])] | None = None
    text: Words = ""


class Reopening(Model):
    """Why a closed breach is taken up again."""

    reason: Annotated[Words, Field(examples=["the memory of the logger was found and read"])]


class NewSignature(Model):
    """A signature: the signer's password, what it means, and the `hash` of the review that was read.

    Without a password the signer has just logged in again for this, at /sign-in-again.
    """

    password: SecretStr = SecretStr("")
    meaning: Meaning
    hash: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class ChoiceEdit(Model):
    """An entry of a list as it shall be, and why."""

    choice: Choice
    reason: Annotated[Words, Field(max_length=1000)] = ""


@router.get("/reviews", dependencies=needs(Right.READ_BREACHES), responses=documented(401, 403))
def list_reviews(
    rooms: HubRooms,
    state: ReviewState | None = None,
    assigned_to: Annotated[Word | None, Query(max_length=64)] = None,
    after: After = 0,
    limit: Limit = 100,
) -> list[Waiting]:
    """List breaches with where they stand, by ascending id."""
    with rooms.store.read() as connection:
        standings = read_standings(connection, state, assigned_to, after, limit)
        found = [(read_breach(connection, standing.breach_id), standing) for standing in standings]
    return [Waiting(breach, standing) for breach, standing in found if breach is not None]


@router.get(
    "/breaches/{breach_id}/review", dependencies=needs(Right.READ_BREACHES), responses=documented(401, 403, 404)
)
def show_review(breach_id: Number, rooms: HubRooms) -> Review:
    """Show a breach, all that was done with it, what can be done next, and whether its signatures hold."""
    return rooms.reviews.review(breach_id)


@router.post("/breaches/acknowledge", responses=_ACTS)
def acknowledge_breaches(several: BulkAcknowledgement, rooms: HubRooms, who: Acknowledging) -> list[Review]:
    """Acknowledge several breaches at once, all or none."""
    return _told(rooms, rooms.reviews.acknowledge_all(several.ids, who, several.reason))


@router.post("/breaches/{breach_id}/acknowledge", responses=_ACTS)
def acknowledge_breach(
    breach_id: Number, rooms: HubRooms, who: Acknowledging, said: Acknowledgement | None = None
) -> Review:
    """Acknowledge a breach: it is seen, and somebody who may takes care of it."""
    return _told(rooms, rooms.reviews.acknowledge(breach_id, who, "" if said is None else said.comment))


@router.post("/breaches/{breach_id}/comments", status_code=201, responses=_ACTS)
def comment_breach(breach_id: Number, comment: Comment, rooms: HubRooms, who: Acknowledging) -> Review:
    """Comment on a breach. A comment is never edited: a correction is a new one that names it."""
    return _told(rooms, rooms.reviews.comment(breach_id, who, comment.text, comment.corrects))


@router.post("/breaches/{breach_id}/assign", responses=_ACTS)
def assign_breach(breach_id: Number, assignment: Assignment, rooms: HubRooms, who: Reviewing) -> Review:
    """Give a breach to somebody."""
    return _told(rooms, rooms.reviews.assign(breach_id, who, assignment.to))


@router.post("/breaches/{breach_id}/begin", responses=_ACTS)
def begin_review(breach_id: Number, rooms: HubRooms, who: Reviewing) -> Review:
    """Begin to investigate an acknowledged breach."""
    return _told(rooms, rooms.reviews.begin(breach_id, who))


@router.post("/breaches/{breach_id}/conclusions", status_code=201, responses=_ACTS)
def conclude_review(breach_id: Number, conclusion: Conclusion, rooms: HubRooms, who: Reviewing) -> Review:
    """State root cause and corrective action."""
    stated = (conclusion.cause, conclusion.action, conclusion.text, conclusion.corrects)
    return _told(rooms, rooms.reviews.conclude(breach_id, who, *stated))


@router.post("/breaches/{breach_id}/close", responses=_ACTS)
def close_breach(breach_id: Number, rooms: HubRooms, who: Reviewing, closing: Closing | None = None) -> Review:
    """Close a breach whose cause is stated."""
    said = closing or Closing()
    return _told(rooms, rooms.reviews.close(breach_id, who, said.ending or "", said.text))


@router.post("/breaches/{breach_id}/reopen", responses=_ACTS)
def reopen_breach(breach_id: Number, reopening: Reopening, rooms: HubRooms, who: Reviewing) -> Review:
    """Take a closed breach up again."""
    return _told(rooms, rooms.reviews.reopen(breach_id, who, reopening.reason))


@router.post("/breaches/{breach_id}/signatures", status_code=201, responses=_ACTS)
def sign_breach(breach_id: Number, signature: NewSignature, request: Request, rooms: HubRooms, who: Signing) -> Review:
    """Sign a closed breach. Whoever signs is logged in, and gives the password again or logs in again."""
    purpose = signing_purpose(breach_id, signature.meaning, signature.hash)
    confirm_signer(request, rooms, who, purpose, signature.password.get_secret_value())
    return _told(rooms, rooms.reviews.sign(breach_id, who, signature.meaning, signature.hash))


@router.get("/choices", dependencies=needs(Right.READ_BREACHES), responses=documented(401, 403))
def list_choices(rooms: HubRooms) -> dict[ChoiceList, list[Choice]]:
    """List causes, corrective actions and reasons, retired ones included."""
    return rooms.choices.all()


@router.put("/choices/{name}/{code}", responses=documented(401, 403, 413, 422))
def put_choice(name: ChoiceList, code: ChoiceCode, edit: ChoiceEdit, rooms: HubRooms, who: EditingChoices) -> Choice:
    """Add an entry, change its words, or retire it."""
    if edit.choice.code != code:
        raise InputError("choice.code", f"{edit.choice.code} is not the one in the address ({code})")
    return rooms.choices.put(name, edit.choice, who.name, edit.reason)


def _told(rooms: Rooms, answer: Answer) -> Answer:
    rooms.bells.told.ring()
    return answer
