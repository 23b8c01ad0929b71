"""Loggers that are lost, and found again."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, HTTPException
from pydantic import Field

from gateway.core.configuration import Code
from gateway.core.profiles import Model
from gateway.hub.access.callers import Caller
from gateway.hub.access.roles import Right
from gateway.hub.api.access import HubRooms, Requirement, needs
from gateway.hub.api.bounds import Words
from gateway.hub.api.problems import documented
from gateway.hub.review.losses import REASON_MAX, Loss, UnknownLoggerError
from gateway.hub.rooms import Rooms

router = APIRouter(prefix="/loggers")

Reviewing = Annotated[Caller, Depends(Requirement(Right.REVIEW))]
_ACTS = documented(401, 403, 404, 409, 413, 422)


class LossReason(Model):
    """Why."""

    reason: Annotated[Words, Field(min_length=1, max_length=REASON_MAX, examples=["left in the ambulance to Odda"])]


@router.get("/lost", dependencies=needs(Right.READ_FLEET), responses=documented(401, 403))
def list_lost_loggers(rooms: HubRooms) -> list[Loss]:
    """List the loggers that somebody has said are lost."""
    return rooms.losses.all()


@router.post("/{address}/lost", responses=_ACTS)
def lose_logger(address: Code, said: LossReason, rooms: HubRooms, who: Reviewing) -> Loss:
    """Say that a logger is lost. Breaches that run in its box are closed with the ending `logger_lost`.

    Not if another logger is in the box; one under investigation stays there, and runs no longer.
    """
    try:
        return _told(rooms, rooms.losses.lose(address, who, said.reason))
    except UnknownLoggerError as error:
        raise HTTPException(404, error.reason) from error


@router.post("/{address}/found", responses=_ACTS)
def find_logger(address: Code, said: LossReason, rooms: HubRooms, who: Reviewing) -> Loss:
    """Take it back: the logger is found. What its loss had closed waits for somebody again."""
    return _told(rooms, rooms.losses.find(address, who, said.reason))


def _told(rooms: Rooms, loss: Loss) -> Loss:
    rooms.bells.told.ring()
    return loss
