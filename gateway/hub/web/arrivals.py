"""The day list: what is expected, and what was received. Filters stand in the address."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from enum import StrEnum
from typing import Annotated, Literal
from urllib.parse import urlencode

from fastapi import APIRouter, Query, Request
from fastapi.responses import HTMLResponse
from sqlalchemy import Connection, or_, select

from gateway.core.configuration import Consignment
from gateway.core.exposure import to_ms
from gateway.core.verdicts import Verdict
from gateway.hub.api.access import HubRooms, Listing
from gateway.hub.database.rows import Registered, boxes_of, to_registered
from gateway.hub.database.schema import consignments, decisions, judgements
from gateway.hub.times import OSLO, to_oslo
from gateway.hub.web.languages import Reader
from gateway.hub.web.rendering import render

SHOWN_MAX = 300
"""Consignments on a page: a long day of one laboratory; more are found with the filters."""

router = APIRouter(include_in_schema=False, default_response_class=HTMLResponse)


class Show(StrEnum):
    """Which consignments."""

    EXPECTED = "expected"
    RECEIVED = "received"


@dataclass(frozen=True, slots=True)
class Arrival:
    """A line of the list. `undecided` counts items, received, that wait for somebody's decision."""

    code: str
    boxes: Sequence[str]
    items: int
    planned_ms: int | None
    received_ms: int | None
    tally: Sequence[tuple[Verdict, int]]
    undecided: int


def list_arrivals(connection: Connection, show: Show, day: date, verdict: Verdict | None) -> list[Arrival]:
    """Return a day's arrivals, the soonest planned or the latest received first; at most SHOWN_MAX + 1."""
    known = _read(connection, show, day)
    codes = [one.consignment.code for one in known]
    verdicts = _read_verdicts(connection, codes)
    wanted = select(decisions.c.consignment, decisions.c.item).where(decisions.c.consignment.in_(codes))
    decided = {(row.consignment, row.item) for row in connection.execute(wanted)}
    lines = [_to_arrival(one.consignment, verdicts.get(one.consignment.code, []), decided) for one in known]
    if verdict is not None:
        lines = [line for line in lines if any(one is verdict for one, _ in line.tally)]
    return sorted(lines, key=_order)


@router.get("/arrivals")
def show_arrivals(
    rooms: HubRooms,
    request: Request,
    caller: Listing,
    reader: Reader,
    show: Show = Show.EXPECTED,
    day: Annotated[date | Literal[""], Query()] = "",
    verdict: Annotated[Verdict | Literal[""], Query()] = "",
) -> HTMLResponse:
    """Show what is expected or was received on a day, today if none is stated."""
    today = to_oslo(rooms.clock.now_ms()).date()
    chosen = day or today
    with rooms.store.read() as connection:
        lines = list_arrivals(connection, show, chosen, verdict or None)
    kept = {} if not verdict else {"verdict": verdict.value}
    days = {"before": chosen - timedelta(days=1), "after": chosen + timedelta(days=1)}
    if chosen != today:
        days["today"] = today
    ways = {
        name: "/arrivals?" + urlencode({"show": show.value, "day": one.isoformat(), **kept})
        for name, one in days.items()
    }
    here = request.url.path + (f"?{request.url.query}" if request.url.query else "")
    return render(
        "arrivals.html",
        rooms,
        caller,
        reader,
        lines=lines[:SHOWN_MAX],
        limit=SHOWN_MAX if len(lines) > SHOWN_MAX else None,
        show=show,
        day=chosen,
        title=reader.day(to_ms(datetime.combine(chosen, time(12), OSLO))),
        verdict=verdict,
        ways=ways,
        here=here,
    )


def _read(connection: Connection, show: Show, day: date) -> list[Registered]:
    begins_ms, ends_ms = (to_ms(datetime.combine(day + timedelta(days=n), time(), OSLO)) for n in (0, 1))
    table = consignments.c
    if show is Show.RECEIVED:
        wanted = select(consignments).where(table.received_at_ms >= begins_ms, table.received_at_ms < ends_ms)
        order = table.received_at_ms.desc()
    else:
        has_set_out = or_(table.begins_ms.is_(None), table.begins_ms < ends_ms)
        wanted = select(consignments).where(table.received_at_ms.is_(None), has_set_out)
        order = table.registered_at_ms.desc()
    rows = connection.execute(wanted.order_by(order, table.code).limit(SHOWN_MAX + 1))
    return [to_registered(row.document, row.version, row.registered_at_ms) for row in rows]


def _read_verdicts(connection: Connection, codes: Sequence[str]) -> dict[str, list[tuple[str, Verdict]]]:
    table, found = judgements.c, {code: list[tuple[str, Verdict]]() for code in codes}
    wanted = select(table.consignment, table.item, table.verdict).where(table.consignment.in_(codes), table.current)
    for row in connection.execute(wanted):
        found[row.consignment].append((row.item, Verdict(row.verdict)))
    return found


def _to_arrival(
    consignment: Consignment, judged: Sequence[tuple[str, Verdict]], decided: set[tuple[str, str]]
) -> Arrival:
    verdicts = [verdict for _, verdict in judged]
    open_items = {item for item, verdict in judged if verdict is not Verdict.ACCEPT}
    open_items -= {item for code, item in decided if code == consignment.code}
    received, planned = consignment.received_at, consignment.planned_arrival
    return Arrival(
        code=consignment.code,
        boxes=sorted(boxes_of(consignment)),
        items=len(consignment.items),
        planned_ms=None if planned is None else to_ms(planned),
        received_ms=None if received is None else to_ms(received),
        tally=[(one, verdicts.count(one)) for one in reversed(Verdict) if one in verdicts],
        undecided=0 if received is None else len(open_items),
    )


def _order(line: Arrival) -> tuple[bool, int, str]:
    if line.received_ms is not None:
        return False, -line.received_ms, line.code
    return line.planned_ms is None, line.planned_ms or 0, line.code
