"""The parts of the set-up, and who finds them: one entry in the main menu leads to all."""

from __future__ import annotations

from dataclasses import dataclass

from fastapi import APIRouter
from fastapi.responses import HTMLResponse

from gateway.hub.access.callers import Caller
from gateway.hub.access.roles import Right
from gateway.hub.api.access import HubRooms, ReadingBoxes
from gateway.hub.rooms import Rooms
from gateway.hub.web.languages import Reader
from gateway.hub.web.rendering import render
from gateway.language import Speech
from gateway.language.speech import N_

router = APIRouter(include_in_schema=False, default_response_class=HTMLResponse)

ROWS_MAX = 500
"""Rows of a list; a search narrows it. A hub has a few hundred boxes, and no one reads more lines than that."""


@dataclass(frozen=True, slots=True)
class Part:
    """One part: where it is, what it is called, what it is for, and the right to see it."""

    path: str
    title: str
    about: str
    right: Right


PARTS = (
    Part("/setup/boxes", N_("Boxes"), N_("Codes, states, and what a driver does at a breach."), Right.READ_BOXES),
    Part("/setup/loggers", N_("Loggers"), N_("Where they are, batteries, calibration certificates."), Right.READ_FLEET),
    Part("/setup/gateways", N_("Gateways"), N_("Vehicles: link, clock, keys, codes for new ones."), Right.READ_FLEET),
    Part("/setup/consignments", N_("Consignments"), N_("Registered by a form, or many by a file."), Right.REGISTER),
    Part(
        "/setup/profiles",
        N_("Profiles"),
        N_("What an item tolerates; versions, and who approved."),
        Right.READ_PROFILES,
    ),
    Part("/setup/people", N_("People"), N_("Accounts, roles, passwords, tokens of programs."), Right.MANAGE_USERS),
    Part(
        "/setup/notification",
        N_("Notification"),
        N_("Who is told of alerts, and what has not left."),
        Right.CONFIGURE,
    ),
    Part("/setup/choices", N_("Choices"), N_("Causes, actions and reasons to choose from."), Right.EDIT_CHOICES),
)


def show(
    template: str, rooms: Rooms, caller: Caller, speech: Speech, here: str, *, status: int = 200, **values: object
) -> HTMLResponse:
    """Return a page of the set-up, with the way to the other parts."""
    parts = [part for part in PARTS if caller.may(part.right)]
    page = render(f"setup/{template}", rooms, caller, speech, parts=parts, here=here, **values)
    page.status_code = status
    return page


@router.get("/setup")
def show_parts(rooms: HubRooms, caller: ReadingBoxes, reader: Reader) -> HTMLResponse:
    """Show the parts of the set-up that somebody may see."""
    return show("start.html", rooms, caller, reader, "/setup")
