"""Reports on consignments, to take away: PDF, CSV, JSON, FHIR. Each one that leaves is on record."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter, HTTPException, Query, Response

from gateway.hub.api.access import HubRooms, LookingUp
from gateway.hub.api.problems import documented
from gateway.hub.reports.gathering import Sources, UnknownConsignmentError
from gateway.hub.reports.issuing import MEDIA_TYPES, Issued, ReportForm, issue
from gateway.hub.rooms import Rooms
from gateway.language import Language

router = APIRouter(tags=["reports"])

Spoken = Annotated[Language | None, Query(description="the language of its words; the hub's own if not stated")]
_FILE = {"schema": {"type": "string", "format": "binary"}}
_DOCUMENT = {"schema": {"type": "object"}}


def _answers(form: ReportForm) -> dict[int | str, dict[str, object]]:
    kind = MEDIA_TYPES[form].partition(";")[0]
    described = {"description": "the file", "content": {kind: _DOCUMENT if kind.endswith("json") else _FILE}}
    return {200: described, **documented(401, 403, 404, 409, 422)}


@router.get("/consignments/{code:path}/report.pdf", response_class=Response, responses=_answers(ReportForm.PDF))
def take_pdf(code: str, rooms: HubRooms, who: LookingUp, language: Spoken = None) -> Response:
    """Take the report as PDF/A-3a, sealed by the hub, with readings and data attached; `coldchain verify` proves it."""
    return _answer(rooms, code, ReportForm.PDF, language, who.name)


@router.get("/consignments/{code:path}/report.csv", response_class=Response, responses=_answers(ReportForm.CSV))
def take_csv(
    code: str,
    rooms: HubRooms,
    who: LookingUp,
    variant: Annotated[
        Literal["plain", "excel-no"], Query(description="excel-no: semicolons, decimal commas, byte order mark")
    ] = "plain",
) -> Response:
    """Take the readings as CSV: times in ISO 8601 with their offset, temperatures in °C, calibrated."""
    form = ReportForm.EXCEL if variant == "excel-no" else ReportForm.CSV
    return _answer(rooms, code, form, None, who.name)


@router.get("/consignments/{code:path}/report.json", response_class=Response, responses=_answers(ReportForm.JSON))
def take_json(code: str, rooms: HubRooms, who: LookingUp) -> Response:
    """Take all that the report says as data; the same file is attached to the PDF. Readings are in the CSV."""
    return _answer(rooms, code, ReportForm.JSON, None, who.name)


@router.get("/consignments/{code:path}/report.fhir.json", response_class=Response, responses=_answers(ReportForm.FHIR))
def take_fhir(code: str, rooms: HubRooms, who: LookingUp, language: Spoken = None) -> Response:
    """Take the report as a FHIR R4 Bundle of Specimens, Observations and Devices, without any patient."""
    return _answer(rooms, code, ReportForm.FHIR, language, who.name)


def _answer(rooms: Rooms, code: str, form: ReportForm, language: Language | None, who: str) -> Response:
    sources = Sources(rooms.store, rooms.archive, rooms.configurations, rooms.clock.now_ms)
    try:
        issued = issue(sources, rooms.key, code, form, language or rooms.settings.language, who=who)
    except UnknownConsignmentError as error:
        raise HTTPException(404, "no consignment of that code is registered") from error
    name = file_name(code, issued)
    headers = {"Content-Disposition": f"attachment; filename*=UTF-8''{name}", "Cache-Control": "no-store"}
    return Response(issued.data, media_type=MEDIA_TYPES[form], headers=headers)


def file_name(code: str, issued: Issued) -> str:
    """Return what a report's file is called, fit for any file system and for a header."""
    plain = "".join(letter if letter.isascii() and (letter.isalnum() or letter in "-_.") else "_" for letter in code)
    return f"{plain}-{issued.number}.{issued.form.value}"
