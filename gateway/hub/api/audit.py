"""The audit trail, to read and to take away."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from typing import Annotated, Literal

import msgspec
from fastapi import APIRouter, Depends, Query
from fastapi.responses import StreamingResponse

from gateway.hub.access.callers import Caller
from gateway.hub.access.roles import Right
from gateway.hub.api.access import HubRooms, Requirement, needs
from gateway.hub.api.bounds import After, Limit, Moment, Word
from gateway.hub.api.problems import documented
from gateway.hub.audit.acts import Act, count_acts, record_act
from gateway.hub.audit.trail import Entry, Wanted, each_entry, read_entries, write_csv, write_json_lines

router = APIRouter(tags=["audit"])

ReadingAudit = Annotated[Caller, Depends(Requirement(Right.READ_AUDIT))]
_TYPES = {"csv": "text/csv; charset=utf-8", "jsonl": "application/jsonl"}


def wanted_of(
    who: Annotated[Word | None, Query(max_length=64, examples=["kari"])] = None,
    act: Annotated[Word | None, Query(max_length=32, examples=["acknowledge_breach"])] = None,
    subject: Annotated[Word | None, Query(max_length=160, examples=["breach 4"])] = None,
    from_ms: Moment | None = None,
    to_ms: Moment | None = None,
) -> Wanted:
    """Return which entries a query asks for."""
    return Wanted(who, act, subject, from_ms, to_ms)


Asked = Annotated[Wanted, Depends(wanted_of)]


@router.get("/audit", dependencies=needs(Right.READ_AUDIT), responses=documented(401, 403))
def list_acts(
    rooms: HubRooms,
    wanted: Asked,
    after: After = 0,
    before: Annotated[int | None, Query(ge=1, le=1 << 53, description="the newest of those with a smaller id")] = None,
    limit: Limit = 100,
) -> list[Entry]:
    """List who did what, when, from what to what, and why; by ascending id."""
    with rooms.store.read() as connection:
        return read_entries(connection, wanted, after=after, before=before, limit=limit)


@router.get(
    "/audit/export",
    response_class=StreamingResponse,
    responses={
        200: {"content": {kind: {"schema": {"type": "string"}} for kind in ("text/csv", "application/jsonl")}},
        **documented(401, 403),
    },
)
def export_acts(
    rooms: HubRooms, who: ReadingAudit, wanted: Asked, shape: Literal["csv", "jsonl"] = "jsonl"
) -> StreamingResponse:
    """Take the audit trail away: JSON lines (all that is stored) or CSV (for people). The export is an act itself."""
    asked = {name: value for name, value in asdict(wanted).items() if value is not None}
    with rooms.store.write() as connection:
        act = Act(who.name, "export", "audit", new=msgspec.json.encode({"shape": shape, **asked}).decode())
        record_act(connection, act, rooms.clock.now_ms())
        through = count_acts(connection)
    entries = each_entry(rooms.store, wanted, through)
    lines: Iterator[bytes] = write_csv(entries) if shape == "csv" else write_json_lines(entries)
    disposition = f'attachment; filename="audit.{shape}"'
    return StreamingResponse(lines, media_type=_TYPES[shape], headers={"Content-Disposition": disposition})
