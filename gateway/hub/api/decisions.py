"""Decisions about items, and the inbox of breaches that belong to nothing registered."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, HTTPException
from pydantic import Field

from gateway.core.configuration import Code, Consignment
from gateway.core.profiles import Model
from gateway.hub.access.callers import Caller
from gateway.hub.access.roles import Right
from gateway.hub.api.access import HubRooms, LookingUp, Registering, Requirement, needs
from gateway.hub.api.bounds import After, Limit, Number, Words
from gateway.hub.api.problems import documented
from gateway.hub.breaches.inbox import Entry, check_covers, dismiss, read_entry, read_inbox
from gateway.hub.breaches.keeping import lock_breaches
from gateway.hub.breaches.records import Author
from gateway.hub.review.decisions import Decision, NewDecision
from gateway.hub.rooms import Rooms

router = APIRouter(tags=["decisions"])

Deciding = Annotated[Caller, Depends(Requirement(Right.DECIDE))]
Settling = Annotated[Caller, Depends(Requirement(Right.ACKNOWLEDGE))]


class Dismissal(Model):
    """Why nothing needs to be registered."""

    reason: Annotated[Words, Field(min_length=1, max_length=1000, examples=["the box was being cooled, and empty"])]


@router.get("/consignments/{code}/decisions", responses=documented(401, 403))
def list_decisions(code: Code, rooms: HubRooms, _who: LookingUp) -> list[Decision]:
    """List what was decided about a consignment's items, replaced decisions included, oldest first."""
    return rooms.decisions.of(code)


@router.post(
    "/consignments/{code}/items/{item}/decisions", status_code=201, responses=documented(401, 403, 404, 409, 413, 422)
)
def decide(code: Code, item: Code, decision: NewDecision, rooms: HubRooms, who: Deciding) -> Decision:
    """Decide what becomes of an item: receive, hold, reject. Only a pharmacist decides about a medicine.

    The verdict stays as it is. 409 if it is no longer the one that was `seen`.
    """
    decided = rooms.decisions.decide(code, item, decision, who)
    rooms.bells.told.ring()
    return decided


@router.get("/inbox", dependencies=needs(Right.READ_BREACHES), responses=documented(401, 403))
def list_inbox(rooms: HubRooms, *, waiting: bool = True, after: After = 0, limit: Limit = 100) -> list[Entry]:
    """List breaches in boxes on no known trip, by ascending id; settled ones too with waiting=false."""
    with rooms.store.read() as connection:
        return read_inbox(connection, waiting=waiting, after=after, limit=limit)


@router.post("/inbox/{number}/dismiss", responses=documented(401, 403, 404, 409, 413, 422))
def dismiss_entry(number: Number, dismissal: Dismissal, rooms: HubRooms, who: Settling) -> Entry:
    """Settle an entry with which nothing needs to be registered. Its breach is closed with the reason."""
    entry = _known(number, rooms)
    with rooms.store.write() as connection:
        lock_breaches(connection, [entry.consignment])
        author = Author(who.name, who.printed_name)
        settled = dismiss(connection, number, author, dismissal.reason, rooms.clock.now_ms())
    rooms.bells.told.ring()
    return settled


@router.post("/inbox/{number}/register", responses=documented(401, 403, 404, 409, 413, 422))
def register_entry(number: Number, consignment: Consignment, rooms: HubRooms, who: Registering) -> Entry:
    """Register, late, what was in the box: it is judged from the stored readings.

    Registering it as any other consignment settles the entry too.
    """
    entry = _known(number, rooms)
    if entry.resolved_at_ms is not None:
        raise HTTPException(409, "this entry is settled already")
    check_covers(entry, consignment)
    known = rooms.registry.consignment(consignment.code)
    if known is not None and known.consignment != consignment:
        raise HTTPException(409, f"{consignment.code} is registered already, and says something else")
    late = consignment.model_copy(update={"registered_late": True})
    rooms.registry.put_consignment(late, who.name)
    rooms.bells.ring_all()
    return _known(number, rooms)


def _known(number: int, rooms: Rooms) -> Entry:
    with rooms.store.read() as connection:
        entry = read_entry(connection, number)
    if entry is None:
        raise HTTPException(404, f"there is no entry {number}")
    return entry
