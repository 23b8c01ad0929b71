"""Alerts: listed, and those that are no breach's acknowledged."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Query
from pydantic import Field

from gateway.core.profiles import Model
from gateway.hub.access.callers import Caller
from gateway.hub.access.roles import Right
from gateway.hub.api.access import HubRooms, Requirement, needs
from gateway.hub.api.bounds import After, Limit, Number, Words
from gateway.hub.api.problems import documented
from gateway.hub.review.alerts import BULK_MAX, REASON_MAX, StoredAlert, read_alert, read_alerts

router = APIRouter(tags=["alerts"])

AcknowledgingAlerts = Annotated[Caller, Depends(Requirement(Right.ACKNOWLEDGE_ALERTS))]
_ACTS = documented(401, 403, 404, 409, 413, 422)


class AlertAcknowledgement(Model):
    """A word with an acknowledgement, if there is one to say."""

    reason: Annotated[Words, Field(max_length=REASON_MAX, examples=["called: the van stands in a parking house"])] = ""


class BulkAlertAcknowledgement(Model):
    """Several alerts acknowledged at once, and why."""

    ids: Annotated[
        list[Annotated[int, Field(ge=1, le=1 << 53)]], Field(min_length=1, max_length=BULK_MAX, examples=[[4, 5]])
    ]
    reason: Annotated[Words, Field(max_length=REASON_MAX, examples=["the mobile network is down"])]


@router.get("/alerts", dependencies=needs(Right.READ_BREACHES), responses=documented(401, 403))
def list_alerts(
    rooms: HubRooms,
    after: After = 0,
    limit: Limit = 500,
    state: Annotated[
        Literal["open"] | None, Query(description="open: only what nobody has acknowledged and nothing has ended")
    ] = None,
) -> list[StoredAlert]:
    """List alerts by ascending id. `sent_at_ms` is null until one has left."""
    with rooms.store.read() as connection:
        return read_alerts(connection, waiting=state is not None, after=after, limit=limit)


@router.get("/alerts/{number:int}", dependencies=needs(Right.READ_BREACHES), responses=documented(401, 403, 404))
def show_alert(number: Number, rooms: HubRooms) -> StoredAlert:
    """Show one alert."""
    with rooms.store.read() as connection:
        return read_alert(connection, number)


@router.post("/alerts/acknowledge", responses=_ACTS)
def acknowledge_alerts(
    several: BulkAlertAcknowledgement, rooms: HubRooms, who: AcknowledgingAlerts
) -> list[StoredAlert]:
    """Acknowledge several alerts at once, all or none."""
    found = rooms.alerts.acknowledge(several.ids, who, several.reason)
    rooms.bells.told.ring()
    return found


@router.post("/alerts/{number}/acknowledge", responses=_ACTS)
def acknowledge_alert(
    number: Number, rooms: HubRooms, who: AcknowledgingAlerts, said: AlertAcknowledgement | None = None
) -> StoredAlert:
    """Acknowledge an alert that is no breach's: nobody further is told. A breach is acknowledged itself."""
    (found,) = rooms.alerts.acknowledge([number], who, "" if said is None else said.reason)
    rooms.bells.told.ring()
    return found
