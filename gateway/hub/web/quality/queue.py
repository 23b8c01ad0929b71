"""The queue of breaches as a page: filters in the address, keys to go through it, several acknowledged at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from http import HTTPStatus
from typing import Annotated, Literal
from urllib.parse import parse_qsl, urlencode

from fastapi import APIRouter, Depends, Form, HTTPException, Query
from fastapi.responses import HTMLResponse, RedirectResponse
from pydantic import BaseModel, Field, StringConstraints, ValidationError
from sqlalchemy import select

from gateway.core.errors import InputError
from gateway.core.exposure import to_ms
from gateway.core.profiles import Kind
from gateway.hub.access.callers import Caller
from gateway.hub.access.roles import Right
from gateway.hub.api.access import HubRooms, Requirement
from gateway.hub.breaches.lifecycle import NotNowError, ReviewState
from gateway.hub.database.schema import boxes, breaches, consignments, gateways
from gateway.hub.review.competence import NotYoursError, may_acknowledge
from gateway.hub.review.desk import BULK_MAX, TEXT_MAX
from gateway.hub.review.queue import PAGES_MAX, Filter, Order, Queue, QueuedBreach, Stage, read_queue
from gateway.hub.rooms import Rooms
from gateway.hub.times import OSLO
from gateway.hub.web.languages import Reader
from gateway.hub.web.quality.refusals import say_refusal
from gateway.hub.web.quality.words import ORDERS, STAGES, STATES, say_breach, say_title
from gateway.hub.web.rendering import render
from gateway.language import Speech

OFFERED_MAX = 300
"""Codes offered beside a field; whoever wants another one types it."""

router = APIRouter(include_in_schema=False, default_response_class=HTMLResponse)

Reading = Annotated[Caller, Depends(Requirement(Right.READ_BREACHES))]
Acknowledging = Annotated[Caller, Depends(Requirement(Right.ACKNOWLEDGE))]
Day = Annotated[date, Field(ge=date(1970, 1, 1), le=date(9000, 1, 1))]
"""A day that has one before and one after it, wherever it is reckoned on."""
_Text = Annotated[str, StringConstraints(max_length=64, pattern=r"^[^\x00-\x1f]*$", strip_whitespace=True)]


class QueueQuery(BaseModel):
    """What stands in the address. `since` and `until` are days in Norway, both of them included."""

    stage: Stage = Stage.WAITING
    kind: Kind | Literal[""] = ""
    box: _Text = ""
    vehicle: _Text = ""
    profile: _Text = ""
    receiver: _Text = ""
    since: Day | Literal[""] = ""
    until: Day | Literal[""] = ""
    mine: Literal["", "1"] = ""
    code: _Text = ""
    sort: Order = Order.NEWEST
    page: Annotated[int, Field(ge=1, le=PAGES_MAX)] = 1

    def to_filter(self, who: str) -> Filter:
        """Return what is asked for by somebody of that name."""
        return Filter(
            stage=self.stage,
            kind=self.kind or None,
            box=self.box,
            vehicle=self.vehicle,
            profile=self.profile,
            receiver=self.receiver,
            since_ms=midnight_ms(self.since) if self.since else None,
            until_ms=midnight_ms(self.until + timedelta(days=1)) if self.until else None,
            assigned_to=who if self.mine else "",
            code=self.code,
        )

    def address(self, **changes: object) -> str:
        """Return the address of the page that asks for the same but for the changes."""
        stated = self.model_dump(mode="json", exclude_defaults=True) | changes
        kept = {name: value for name, value in stated.items() if value and (name, value) != ("page", 1)}
        return "/review" + (f"?{urlencode(kept)}" if kept else "")

    @property
    def is_narrowed(self) -> bool:
        """Whether more is asked for than what waits."""
        return bool(self.model_dump(exclude_defaults=True, exclude={"page", "sort"}))

    @property
    def has_details(self) -> bool:
        """Whether one of the filters is set that are folded away."""
        return any((self.box, self.vehicle, self.profile, self.receiver, self.since, self.until))


@dataclass(frozen=True, slots=True)
class Line:
    """A breach in the list, in words. `is_offered`: this reader may acknowledge it, now."""

    queued: QueuedBreach
    title: str
    sentence: str
    state: str
    is_offered: bool


@dataclass(frozen=True, slots=True)
class Selection:
    """What somebody has selected and typed, to be shown again where it could not be taken."""

    ids: frozenset[int] = frozenset()
    reason: str = ""
    refused: str = ""


_NOTHING = Selection()


class BulkForm(BaseModel):
    """Several breaches to acknowledge. `back` is the query of the page that they were selected on."""

    ids: Annotated[list[int], Field(max_length=BULK_MAX)] = []
    reason: Annotated[str, Field(max_length=TEXT_MAX)] = ""
    back: Annotated[str, Field(max_length=2000)] = ""


@router.get("/review")
def show_queue(rooms: HubRooms, caller: Reading, reader: Reader, query: Annotated[QueueQuery, Query()]) -> HTMLResponse:
    """Show what waits, or what else is asked for."""
    return _render(rooms, caller, reader, query, _NOTHING)


@router.post("/review/acknowledge", response_model=None)
def acknowledge_several(
    rooms: HubRooms, caller: Acknowledging, reader: Reader, form: Annotated[BulkForm, Form()]
) -> HTMLResponse | RedirectResponse:
    """Acknowledge all that are selected, or none."""
    query = _read_query(form.back)
    try:
        rooms.reviews.acknowledge_all(form.ids, caller, form.reason)
    except (InputError, NotNowError, NotYoursError) as error:
        refused, status = say_refusal(error, reader)
        if not caller.may(Right.READ_BREACHES):
            raise HTTPException(status, refused) from error
        page = _render(rooms, caller, reader, query, Selection(frozenset(form.ids), form.reason, refused))
        page.status_code = status
        return page
    rooms.bells.told.ring()
    return RedirectResponse(query.address(), HTTPStatus.SEE_OTHER)


def _render(rooms: Rooms, caller: Caller, speech: Speech, query: QueueQuery, selection: Selection) -> HTMLResponse:
    queue = read_queue(rooms.store, query.to_filter(caller.name), query.sort, query.page)
    return render(
        "quality/queue.html",
        rooms,
        caller,
        speech,
        queue=queue,
        lines=[to_line(line, caller, speech) for line in queue.lines],
        query=query,
        selection=selection,
        offered=_offered(rooms),
        stages=[(stage, speech.gettext(words)) for stage, words in STAGES.items()],
        orders=[(order, speech.gettext(words)) for order, words in ORDERS.items()],
        back=query.address().partition("?")[2],
        here=query.address(),
        ways=_ways(query, queue),
        BULK_MAX=BULK_MAX,
    )


def to_line(queued: QueuedBreach, caller: Caller, speech: Speech) -> Line:
    """Return a breach as a reader sees it in a list."""
    is_open = queued.standing.state is ReviewState.OPEN and caller.may(Right.ACKNOWLEDGE)
    return Line(
        queued=queued,
        title=say_title(queued.breach, speech),
        sentence=say_breach(queued.breach, speech),
        state=speech.gettext(STATES[queued.standing.state]),
        is_offered=is_open and may_acknowledge(caller.roles, queued.kind),
    )


def _ways(query: QueueQuery, queue: Queue) -> dict[str, str]:
    """Return the addresses of the pages before and after, where there are any."""
    ways = {"before": queue.page - 1, "after": queue.page + 1}
    return {name: query.address(page=page) for name, page in ways.items() if 1 <= page <= queue.pages}


def _read_query(text: str) -> QueueQuery:
    try:
        return QueueQuery.model_validate(dict(parse_qsl(text)))
    except (ValidationError, ValueError):
        return QueueQuery()  # not an address of ours: the whole queue


def _offered(rooms: Rooms) -> dict[str, Sequence[str]]:
    columns = {"box": boxes.c.code, "vehicle": gateways.c.name, "profile": breaches.c.profile}
    columns["receiver"] = consignments.c.receiver
    found: dict[str, Sequence[str]] = {}
    with rooms.store.read() as connection:
        for name, column in columns.items():
            wanted = select(column).where(column.is_not(None)).distinct().order_by(column).limit(OFFERED_MAX)
            found[name] = connection.execute(wanted).scalars().all()
    return found


def midnight_ms(day: date) -> int:
    """Return when a day begins in Norway, UTC in milliseconds."""
    return to_ms(datetime.combine(day, time(), OSLO))
