"""Alerts that are no breach's, as a page: what waits, who took care of it, what ended by itself; and lost loggers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Annotated, Literal
from urllib.parse import urlencode

from fastapi import APIRouter, Depends, Form, HTTPException, Query
from fastapi.responses import HTMLResponse, RedirectResponse
from pydantic import BaseModel, Field
from sqlalchemy import Connection

from gateway.core.errors import InputError
from gateway.core.identifiers import CODE_MAX_LENGTH
from gateway.hub.access.callers import Caller
from gateway.hub.access.roles import Right
from gateway.hub.api.access import HubRooms, Requirement
from gateway.hub.breaches.inbox import count_waiting
from gateway.hub.breaches.lifecycle import NotNowError
from gateway.hub.notification.facts import Story, read_story
from gateway.hub.notification.wording import say_alert
from gateway.hub.review.alerts import (
    BULK_MAX,
    PAGES_MAX,
    REASON_MAX,
    AlertPage,
    StoredAlert,
    UnknownAlertError,
    check_alert_is_theirs,
    count_open,
    read_page,
)
from gateway.hub.review.competence import NotYoursError
from gateway.hub.review.losses import UnknownLoggerError
from gateway.hub.rooms import Rooms
from gateway.hub.signals.alerts import AlertKind, Resolution
from gateway.hub.web.languages import Reader
from gateway.hub.web.quality.queue import Reading
from gateway.hub.web.quality.refusals import say_refusal
from gateway.hub.web.rendering import render
from gateway.language import Speech
from gateway.language.speech import N_

HERE = "/alerts"
ENDINGS: dict[Resolution, str] = {
    Resolution.HEARD: N_("It was heard again."),
    Resolution.DELIVERED: N_("It has left after all."),
    Resolution.ENDED: N_("What it told of is over."),
    Resolution.RECEIVED: N_("The consignment has arrived."),
    Resolution.RECOVERED: N_("The verdict is no worse than it was before."),
    Resolution.DECIDED: N_("Somebody has decided about the item."),
}
NONE_SELECTED = N_("Select at least one alert.")
NO_LOGGER = N_("Nothing was stored: no logger of this address is enrolled.")
LOGGER_CHANGED = N_("Nothing was stored: somebody has said so already. Look again.")

router = APIRouter(include_in_schema=False, default_response_class=HTMLResponse)

AcknowledgingAlerts = Annotated[Caller, Depends(Requirement(Right.ACKNOWLEDGE_ALERTS))]
Reviewing = Annotated[Caller, Depends(Requirement(Right.REVIEW))]
Answer = HTMLResponse | RedirectResponse


class AlertsQuery(BaseModel):
    """What stands in the address."""

    show: Literal["open", "all"] = "open"
    page: Annotated[int, Field(ge=1, le=PAGES_MAX)] = 1

    def address(self, **changes: object) -> str:
        """Return the address of the page that asks for the same but for the changes."""
        kept = self.model_dump(exclude_defaults=True) | changes
        kept = {name: value for name, value in kept.items() if (name, value) not in {("page", 1), ("show", "open")}}
        return HERE + (f"?{urlencode(kept)}" if kept else "")


@dataclass(frozen=True, slots=True)
class Line:
    """An alert in words. `is_offered`: this reader may acknowledge it, now; `loggers`: asked whether they are lost."""

    alert: StoredAlert
    title: str
    sentences: Sequence[str]
    links: Sequence[tuple[str, str]]
    state: str
    outcome: str
    loggers: Sequence[str]
    is_offered: bool


@dataclass(frozen=True, slots=True)
class Typed:
    """What somebody has selected and typed, to be shown again where it could not be taken; `logger` of which form."""

    ids: frozenset[int] = frozenset()
    reason: str = ""
    logger: str = ""
    refused: str = ""


_NOTHING = Typed()


class AcknowledgeForm(BaseModel):
    """Alerts to acknowledge; `one` is the button beside a single one, and then the others do not count."""

    ids: Annotated[list[Annotated[int, Field(ge=1, le=1 << 53)]], Field(max_length=BULK_MAX)] = []
    one: Annotated[int | None, Field(ge=1, le=1 << 53)] = None
    reason: Annotated[str, Field(max_length=REASON_MAX)] = ""
    show: Literal["open", "all"] = "open"
    page: Annotated[int, Field(ge=1, le=PAGES_MAX)] = 1


class LoggerForm(BaseModel):
    """A logger that is lost, or found, and why."""

    logger: Annotated[str, Field(max_length=CODE_MAX_LENGTH)] = ""
    reason: Annotated[str, Field(max_length=REASON_MAX)] = ""


@router.get(HERE)
def show_alerts(
    rooms: HubRooms, caller: Reading, reader: Reader, query: Annotated[AlertsQuery, Query()]
) -> HTMLResponse:
    """Show what waits, or all there ever was."""
    return _render(rooms, caller, reader, query, _NOTHING)


@router.post(f"{HERE}/acknowledge", response_model=None)
def acknowledge(
    rooms: HubRooms, caller: AcknowledgingAlerts, reader: Reader, form: Annotated[AcknowledgeForm, Form()]
) -> Answer:
    """Acknowledge one alert, or all that are selected, or none."""
    query = AlertsQuery(show=form.show, page=form.page)
    wanted = form.ids if form.one is None else [form.one]
    try:
        rooms.alerts.acknowledge(wanted, caller, form.reason)
    except (InputError, NotNowError, NotYoursError) as error:
        return _refuse(rooms, caller, reader, query, error, Typed(frozenset(wanted), form.reason))
    rooms.bells.told.ring()
    return RedirectResponse(query.address() if caller.may(Right.READ_BREACHES) else "/", HTTPStatus.SEE_OTHER)


@router.post(f"{HERE}/lost", response_model=None)
def lose(rooms: HubRooms, caller: Reviewing, reader: Reader, form: Annotated[LoggerForm, Form()]) -> Answer:
    """Say that a logger is lost."""
    try:
        rooms.losses.lose(form.logger, caller, form.reason.strip())
    except (InputError, NotNowError, NotYoursError) as error:
        typed = Typed(reason=form.reason, logger=form.logger)
        return _refuse(rooms, caller, reader, AlertsQuery(), error, typed)
    rooms.bells.told.ring()
    return RedirectResponse(f"{HERE}#lost", HTTPStatus.SEE_OTHER)


@router.post(f"{HERE}/found", response_model=None)
def find(rooms: HubRooms, caller: Reviewing, reader: Reader, form: Annotated[LoggerForm, Form()]) -> Answer:
    """Take it back: a logger is found again."""
    try:
        rooms.losses.find(form.logger, caller, form.reason.strip())
    except (InputError, NotNowError, NotYoursError) as error:
        typed = Typed(reason=form.reason, logger=form.logger)
        return _refuse(rooms, caller, reader, AlertsQuery(), error, typed)
    rooms.bells.told.ring()
    return RedirectResponse(f"{HERE}#lost", HTTPStatus.SEE_OTHER)


def count_what_waits(rooms: Rooms, caller: Caller) -> dict[str, int]:
    """Return how many alerts and how many entries of the inbox wait, for those who may see them."""
    if not caller.may(Right.READ_BREACHES):
        return {}
    with rooms.store.read() as connection:
        return {"alerts": count_open(connection), "inbox": count_waiting(connection)}


def _refuse(
    rooms: Rooms,
    caller: Caller,
    speech: Speech,
    query: AlertsQuery,
    error: InputError | NotNowError | NotYoursError,
    typed: Typed,
) -> HTMLResponse:
    said, status = say_refusal(error, speech)
    if isinstance(error, UnknownAlertError):
        status = HTTPStatus.NOT_FOUND
    elif isinstance(error, UnknownLoggerError):
        said, status = speech.gettext(NO_LOGGER), HTTPStatus.NOT_FOUND
    elif isinstance(error, InputError) and error.field == "ids":
        said = speech.gettext(NONE_SELECTED)
    elif isinstance(error, NotNowError) and typed.logger:
        said = speech.gettext(LOGGER_CHANGED)
    if not caller.may(Right.READ_BREACHES):
        raise HTTPException(status, said) from error
    page = _render(rooms, caller, speech, query, Typed(typed.ids, typed.reason, typed.logger, said))
    page.status_code = status
    return page


def _render(rooms: Rooms, caller: Caller, speech: Speech, query: AlertsQuery, typed: Typed) -> HTMLResponse:
    with rooms.store.read() as connection:
        found = read_page(connection, waiting=query.show == "open", page=query.page)
        lines = [to_line(connection, alert, caller, speech) for alert in found.alerts]
    sees_losses = caller.may(Right.READ_FLEET) or caller.may(Right.REVIEW)
    return render(
        "quality/alerts.html",
        rooms,
        caller,
        speech,
        query=query,
        found=found,
        lines=lines,
        typed=typed,
        losses=rooms.losses.all() if sees_losses else None,
        counts=count_what_waits(rooms, caller),
        ways=_ways(query, found),
        here=query.address(),
    )


def to_line(connection: Connection, alert: StoredAlert, caller: Caller, speech: Speech) -> Line:
    """Return an alert as a reader sees it, in the words in which it was sent."""
    story = read_story(connection, alert.id)
    said = say_alert(story, speech)
    state, outcome = _say_state(alert, speech)
    loggers = alert.about.get("loggers") if alert.kind is AlertKind.LOGGER_LOST and state == "open" else None
    return Line(
        alert=alert,
        title=said.title,
        sentences=said.text.splitlines(),
        links=_links(story, caller, speech),
        state=state,
        outcome=outcome,
        loggers=[str(one) for one in loggers or ()] if caller.may(Right.REVIEW) else [],
        is_offered=state == "open" and _is_theirs(connection, alert, caller),
    )


def _say_state(alert: StoredAlert, speech: Speech) -> tuple[str, str]:
    """Return the state as the marks know it, and what has become of it in words."""
    if alert.acknowledged_at_ms is not None:
        said = speech.gettext(N_("Acknowledged by {name}, {moment}."))
        moment = speech.moment(alert.acknowledged_at_ms)
        return "acknowledged", said.format(name=alert.acknowledged_by, moment=moment)
    if alert.resolved_at_ms is not None:
        why = speech.gettext(ENDINGS[Resolution(alert.resolution or Resolution.ENDED)])
        said = speech.gettext(N_("Ended by itself {moment}."))
        return "closed", f"{said.format(moment=speech.moment(alert.resolved_at_ms))} {why}"
    return "open", ""


def _is_theirs(connection: Connection, alert: StoredAlert, caller: Caller) -> bool:
    if not caller.may(Right.ACKNOWLEDGE_ALERTS):
        return False
    try:
        check_alert_is_theirs(connection, alert, caller)
    except NotYoursError:
        return False
    return True


def _links(story: Story, caller: Caller, speech: Speech) -> list[tuple[str, str]]:
    """Return the ways to what an alert is about: words and address."""
    found = []
    if story.consignment and caller.may(Right.LOOK_UP):
        said = speech.gettext(N_("Consignment {code}")).format(code=story.consignment)
        found.append((said, f"/bench?{urlencode({'code': story.consignment})}"))
    for box in story.about.get("boxes") or ():
        if caller.may(Right.READ_BOXES):
            said = speech.gettext(N_("Box {code}")).format(code=box)
            found.append((said, f"/setup/boxes?{urlencode({'q': box})}"))
    if not caller.may(Right.READ_FLEET):
        return found
    if gateway := story.about.get("gateway"):
        said = speech.gettext(N_("Vehicle {name}")).format(name=gateway)
        found.append((said, f"/setup/gateways/one?{urlencode({'name': gateway})}"))
    for logger in story.about.get("loggers") or ():
        said = speech.gettext(N_("Logger {address}")).format(address=logger)
        found.append((said, f"/setup/loggers/one?{urlencode({'address': logger})}"))
    return found


def _ways(query: AlertsQuery, found: AlertPage) -> dict[str, str]:
    ways = {"before": found.page - 1, "after": found.page + 1}
    return {name: query.address(page=page) for name, page in ways.items() if 1 <= page <= found.pages}
