"""Acknowledging at the bench: by whoever was told of a breach, and has no business with the queue of all."""

from __future__ import annotations

from collections.abc import Callable
from http import HTTPStatus
from typing import Annotated
from urllib.parse import urlencode

from fastapi import APIRouter, Depends, Form
from fastapi.responses import HTMLResponse, RedirectResponse

from gateway.core.errors import InputError
from gateway.core.gs1 import SCAN_MAX
from gateway.hub.access.callers import Caller
from gateway.hub.access.roles import Right
from gateway.hub.api.access import HubRooms, Requirement
from gateway.hub.api.alerts import AcknowledgingAlerts
from gateway.hub.api.bounds import Number
from gateway.hub.breaches.lifecycle import NotNowError
from gateway.hub.review.alerts import UnknownAlertError
from gateway.hub.review.competence import NotYoursError
from gateway.hub.rooms import Rooms
from gateway.hub.web.languages import Reader
from gateway.hub.web.quality.queue import Acknowledging
from gateway.hub.web.quality.refusals import say_refusal
from gateway.hub.web.receiving import render_bench
from gateway.language import Speech

router = APIRouter(
    include_in_schema=False,
    default_response_class=HTMLResponse,
    dependencies=[Depends(Requirement(Right.LOOK_UP))],
)

Answer = HTMLResponse | RedirectResponse
_Code = Annotated[str, Form(max_length=SCAN_MAX)]


@router.post("/bench/breaches/{breach_id}/acknowledge", response_model=None)
def acknowledge_breach(
    breach_id: Number, rooms: HubRooms, caller: Acknowledging, reader: Reader, code: _Code = ""
) -> Answer:
    """Acknowledge a breach, and show again what was on the bench."""
    return _do(rooms, caller, reader, code, lambda: rooms.reviews.acknowledge(breach_id, caller))


@router.post("/bench/alerts/{number}/acknowledge", response_model=None)
def acknowledge_alert(
    number: Number, rooms: HubRooms, caller: AcknowledgingAlerts, reader: Reader, code: _Code = ""
) -> Answer:
    """Acknowledge an alert that is no breach's, as that a new sample is wanted."""
    return _do(rooms, caller, reader, code, lambda: rooms.alerts.acknowledge([number], caller))


def _do(rooms: Rooms, caller: Caller, speech: Speech, code: str, act: Callable[[], object]) -> Answer:
    try:
        act()
    except (InputError, NotNowError, NotYoursError) as error:
        refused, status = say_refusal(error, speech)
        page = render_bench(rooms, caller, speech, code, refused=refused)
        page.status_code = HTTPStatus.NOT_FOUND if isinstance(error, UnknownAlertError) else status
        return page
    rooms.bells.told.ring()
    return RedirectResponse("/bench?" + urlencode({"code": code}), HTTPStatus.SEE_OTHER)
