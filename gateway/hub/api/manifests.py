"""Consignments by CSV: checked line by line, registered all or none."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Body
from fastapi.responses import PlainTextResponse
from pydantic import BaseModel, Field

from gateway.hub.access.roles import Right
from gateway.hub.api.access import HubRooms, Registering, needs
from gateway.hub.api.bounds import DryRun
from gateway.hub.api.problems import MEDIA_TYPE, documented
from gateway.hub.manifests.columns import COLUMNS, write_sample
from gateway.hub.manifests.importing import ManifestError, check_manifest, register_manifest

router = APIRouter(tags=["consignments"])


class _CsvResponse(PlainTextResponse):
    media_type = "text/csv"


_SAMPLE_MS = 1_792_824_000_000
_EXAMPLES: dict[str, Any] = {
    "two tubes of one consignment": {"value": write_sample(_SAMPLE_MS)},
    "with a semicolon, as Norwegian spreadsheets write it": {
        "value": "consignment;box;in_box_since;item;profile\r\nC-1;BOX-1;24.10.2026 08:00;T-1;potassium\r\n"
    },
}
_PROBLEM = {
    "type": "about:blank",
    "title": "Unprocessable Content",
    "status": 422,
    "detail": "line 3, in_box_since: This is missing.",
    "field": "line 3, in_box_since",
    "errors": [
        {"field": "line 3, in_box_since", "reason": "This is missing."},
        {"field": "line 4, profile", "reason": "There is no profile of this name."},
    ],
}
_RESPONSES = documented(401, 403, 413, 422)
_RESPONSES[422] = _RESPONSES[422] | {
    "content": {MEDIA_TYPE: _RESPONSES[422]["content"][MEDIA_TYPE] | {"example": _PROBLEM}}
}


class Imported(BaseModel):
    """What a file has registered, or would register."""

    dry_run: bool
    lines: Annotated[int, Field(description="below the first")]
    consignments: list[str]
    items: int
    examinations: int
    new: Annotated[int, Field(description="consignments that were not registered before")]


@router.post("/consignments/import", responses=_RESPONSES)
def import_consignments(
    manifest: Annotated[
        bytes,
        Body(
            media_type="text/csv",
            description="UTF-8, at most 512 KiB and 1000 lines; comma, semicolon or tab between the cells. Columns: "
            + "; ".join(f"`{one.name}`{' (needed)' if one.is_needed else ''}: {one.about}" for one in COLUMNS),
            openapi_examples=_EXAMPLES,
        ),
    ],
    who: Registering,
    rooms: HubRooms,
    *,
    dry_run: DryRun = False,
) -> Imported:
    """Register the consignments of a CSV file, all or none; each fault is named by its line and column.

    One line is one examination of one item. What is registered already and says the same is left as it is, so that a
    file can be sent again.
    """
    checked = check_manifest(manifest, rooms.registry)
    if checked.faults:
        raise ManifestError(checked.faults)
    new = len(checked.consignments) - len(checked.known)
    if not dry_run:
        new = register_manifest(checked, rooms.registry, who.name)
        rooms.bells.ring_all()
    return Imported(
        dry_run=dry_run,
        lines=checked.lines,
        consignments=[one.code for one in checked.consignments],
        items=checked.items,
        examinations=checked.examinations,
        new=new,
    )


@router.get(
    "/consignments/import/sample",
    dependencies=needs(Right.REGISTER),
    responses=documented(401, 403),
    response_class=_CsvResponse,
)
def show_sample(rooms: HubRooms) -> PlainTextResponse:
    """Show a file that could be imported, if its box and codes were yours."""
    return _CsvResponse(write_sample(rooms.clock.now_ms()))
