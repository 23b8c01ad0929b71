"""Calibration certificates in forms, and what one that was found out of tolerance would do to verdicts given."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Annotated
from urllib.parse import urlencode

from fastapi import APIRouter, HTTPException, Query
from fastapi.responses import HTMLResponse

from gateway.core.configuration import Calibration
from gateway.core.exposure import to_ms
from gateway.core.gs1 import SCAN_MAX
from gateway.hub.api.access import HubRooms, ReadingFleet
from gateway.hub.views.recalibrations import find_changes, find_riders
from gateway.hub.web.languages import Reader
from gateway.hub.web.setup.parts import show
from gateway.hub.web.setup.sheets import Fields, Sheet, sheet_of, write_day
from gateway.language.speech import N_

HERE = "/setup/loggers/recalibration"
CERTIFICATE_MAX = 100
OFFSET_MAX_C = 5
JUDGED_MAX = 200
"""Consignments judged twice for one page: each takes some ten milliseconds. `coldchain recalibrate` judges all."""
NOT_AFTER = N_("It must lie after the day of the certificate.")
_NAMES = ("certificate", "calibrated_at", "due_at", "offset_c", "uncertainty_c")

router = APIRouter(include_in_schema=False, default_response_class=HTMLResponse)


def read_certificate(fields: Fields, *, needed: bool = False) -> Calibration | None:
    """Return the certificate that a form states; None where none is stated, or something in it is wrong."""
    stated = needed or any(fields.text(name) for name in _NAMES)
    if not stated:
        return None
    number = fields.text("certificate", longest=CERTIFICATE_MAX, needed=True)
    calibrated_at = fields.day("calibrated_at", needed=True)
    due_at = fields.day("due_at", needed=True)
    offset_c = fields.number("offset_c", -OFFSET_MAX_C, OFFSET_MAX_C, needed=True)
    uncertainty_c = fields.number("uncertainty_c", 0, OFFSET_MAX_C, needed=True)
    if calibrated_at is not None and due_at is not None and due_at <= calibrated_at:
        fields.refuse("due_at", NOT_AFTER)
        return None
    if not number or calibrated_at is None or due_at is None or offset_c is None or uncertainty_c is None:
        return None
    return Calibration(
        certificate=number,
        calibrated_at=calibrated_at,
        due_at=due_at,
        offset_c=offset_c,
        uncertainty_c=uncertainty_c,
    )


def certificate_sheet(calibration: Calibration | None) -> Sheet:
    """Return a form that is filled in with a certificate."""
    if calibration is None:
        return sheet_of()
    return sheet_of(
        certificate=calibration.certificate,
        calibrated_at=write_day(calibration.calibrated_at),
        due_at=write_day(calibration.due_at),
        offset_c=f"{calibration.offset_c:g}",
        uncertainty_c=f"{calibration.uncertainty_c:g}",
    )


@router.get(HERE)
def show_changes(
    rooms: HubRooms,
    caller: ReadingFleet,
    reader: Reader,
    address: Annotated[str, Query(max_length=SCAN_MAX)],
    offset_c: Annotated[float, Query(ge=-OFFSET_MAX_C, le=OFFSET_MAX_C)] = 0.0,
    uncertainty_c: Annotated[float, Query(ge=0, le=OFFSET_MAX_C)] = 0.2,
    since: Annotated[date | None, Query()] = None,
) -> HTMLResponse:
    """List the verdicts that would change if the logger had been off like this all along. Nothing is stored."""
    if all(one.address != address for one in rooms.registry.loggers()):
        raise HTTPException(404, "no logger of that address is enrolled")
    begins = None if since is None else datetime.combine(since, datetime.min.time(), UTC)
    codes = find_riders(rooms.store, address, since_ms=None if begins is None else to_ms(begins))
    found = Calibration(
        certificate="as found",
        calibrated_at=datetime(1970, 1, 1, tzinfo=UTC),
        due_at=datetime(9999, 1, 1, tzinfo=UTC),
        offset_c=offset_c,
        uncertainty_c=uncertainty_c,
    )
    changes = find_changes(
        rooms.store, rooms.configurations, address, found, codes=codes[:JUDGED_MAX], now_ms=rooms.clock.now_ms()
    )
    asked = {"address": address, "offset_c": offset_c, "uncertainty_c": uncertainty_c}
    return show(
        "recalibration.html",
        rooms,
        caller,
        reader,
        f"{HERE}?{urlencode(asked)}",
        address=address,
        found=found,
        since=since,
        changes=list(changes),
        judged=min(len(codes), JUDGED_MAX),
        total=len(codes),
    )
