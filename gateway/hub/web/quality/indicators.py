"""How well it goes, as a page and as CSV: shares over time, data quality, calibrations that are due."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from http import HTTPStatus
from typing import Annotated, Literal
from urllib.parse import urlencode

from fastapi import APIRouter, Query
from fastapi.responses import HTMLResponse, Response
from markupsafe import Markup
from pydantic import BaseModel
from sqlalchemy import Connection, select

from gateway.core.errors import InputError
from gateway.core.exposure import to_ms
from gateway.core.upkeep import Need, calibration_need
from gateway.hub.access.roles import Right
from gateway.hub.api.access import HubRooms
from gateway.hub.audit.acts import Act, record_act
from gateway.hub.database.rows import read_loggers
from gateway.hub.database.schema import gateways
from gateway.hub.record.logger_faults import read_faults
from gateway.hub.times import OSLO, to_datetime, to_oslo
from gateway.hub.views.indicators import Grouping, Indicators, Measure, Question, Step, Tally, read_indicators
from gateway.hub.web.languages import Reader
from gateway.hub.web.quality.queue import Reading
from gateway.hub.web.quality.shares import Column, draw_shares, say_share
from gateway.hub.web.rendering import render
from gateway.hub.web.setup.loggers import NEEDS
from gateway.language import Speech
from gateway.language.speech import N_

WEEKS_SHOWN = 12
"""Unless a period is chosen: a quarter."""
_BUCKETS_TOLD = 53

MEASURES: dict[Measure, str] = {
    Measure.MONITORED: N_("Fully monitored"),
    Measure.ON_TIME: N_("On time"),
    Measure.ACCEPTED: N_("Transport in order"),
    Measure.REVIEWED: N_("Reviewed within 24 h"),
}
EXPLAINED: dict[Measure, str] = {
    Measure.MONITORED: N_("of the items received: measured without a gap"),
    Measure.ON_TIME: N_("of the items received that had a planned arrival"),
    Measure.ACCEPTED: N_("of the items received: every verdict Accept"),
    Measure.REVIEWED: N_("of the breaches found: closed within 24 hours"),
}
GROUPINGS: dict[Grouping, str] = {
    Grouping.NONE: N_("All together"),
    Grouping.VEHICLE: N_("Vehicle"),
    Grouping.BOX: N_("Box"),
    Grouping.ROUTE: N_("Route: requester and receiver"),
    Grouping.PROFILE: N_("Product: profile"),
}
STEPS: dict[Step, str] = {Step.WEEK: N_("Weeks"), Step.MONTH: N_("Months")}
_FAULTS = {
    "battery_low": N_("battery low"),
    "stuck": N_("always the same value"),
    "out_of_range": N_("values that cannot be"),
}

router = APIRouter(include_in_schema=False, default_response_class=HTMLResponse)


class IndicatorQuery(BaseModel):
    """What stands in the address; without a period, the last weeks."""

    since: date | Literal[""] = ""
    until: date | Literal[""] = ""
    step: Step = Step.WEEK
    by: Grouping = Grouping.NONE

    def to_question(self, today: date) -> Question:
        """Return what is asked on a day."""
        until = self.until or today
        return Question(self.since or until - timedelta(weeks=WEEKS_SHOWN - 1), until, self.step, self.by)


@dataclass(frozen=True, slots=True)
class Chart:
    """One measure over time."""

    title: str
    explained: str
    total: str
    svg: Markup


@dataclass(frozen=True, slots=True)
class Upkeep:
    """A logger that needs something: its certificate, or a fault that lasts."""

    address: str
    box: str
    due_ms: int | None
    need: str
    is_urgent: bool


@dataclass(frozen=True, slots=True)
class ClockState:
    """What a vehicle's log last said of its clock. `error_ms` None: it says nothing."""

    name: str
    is_trusted: bool | None
    error_ms: int | None
    reference: str
    at_ms: int | None


@router.get("/indicators")
def show_indicators(
    rooms: HubRooms, caller: Reading, reader: Reader, query: Annotated[IndicatorQuery, Query()]
) -> HTMLResponse:
    """Show the indicators of a period."""
    now_ms = rooms.clock.now_ms()
    question, refused = query.to_question(to_oslo(now_ms).date()), ""
    found: Indicators | None = None
    sees_fleet = caller.may(Right.READ_FLEET)
    with rooms.store.read() as connection:
        try:
            found = read_indicators(connection, question, now_ms)
        except InputError as error:
            refused = _say_refusal(error, reader)
        upkeep = read_upkeep(connection, now_ms, reader) if sees_fleet else []
        clocks = _read_clocks(connection) if sees_fleet else []
    kept = {"since": question.since.isoformat(), "until": question.until.isoformat(), "step": question.step.value}
    page = render(
        "quality/indicators.html",
        rooms,
        caller,
        reader,
        question=question,
        found=found,
        refused=refused,
        charts=[] if found is None else list(_charts(found, reader)),
        rows=[] if found is None else list(_rows(found, reader)),
        groups=[] if found is None else list(_group_rows(found, reader)),
        measures=[reader.gettext(words) for words in MEASURES.values()],
        groupings=[(one.value, reader.gettext(words)) for one, words in GROUPINGS.items()],
        steps=[(one.value, reader.gettext(words)) for one, words in STEPS.items()],
        grouped=reader.gettext(GROUPINGS[question.by]),
        upkeep=upkeep,
        clocks=clocks,
        sees_fleet=sees_fleet,
        csv_address="/indicators.csv?" + urlencode({**kept, "by": question.by.value}),
        here="/indicators?" + urlencode({**kept, "by": question.by.value}),
    )
    page.status_code = HTTPStatus.UNPROCESSABLE_ENTITY if refused else HTTPStatus.OK
    return page


@router.get("/indicators.csv")
def download_indicators(rooms: HubRooms, caller: Reading, query: Annotated[IndicatorQuery, Query()]) -> Response:
    """Give the indicators as CSV, on record: a line for each bucket, group and measure; codes, not words."""
    now_ms = rooms.clock.now_ms()
    question = query.to_question(to_oslo(now_ms).date())
    with rooms.store.read() as connection:
        found = read_indicators(connection, question, now_ms)
    name = f"indicators-{question.since}-{question.until}.csv"
    with rooms.store.write() as connection:
        record_act(connection, Act(caller.name, "export", "indicators", new=json.dumps({"file": name})), now_ms)
    headers = {"Content-Disposition": f'attachment; filename="{name}"', "Cache-Control": "no-store"}
    return Response(write_csv(found), media_type="text/csv; charset=utf-8", headers=headers)


def write_csv(found: Indicators) -> str:
    """Return the indicators as CSV; `begins` with the offset of Norwegian time, `share` with a decimal point."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\r\n")
    writer.writerow(["begins", "step", "by", "group", "measure", "met", "of", "share"])
    for (group, day), tally in sorted(found.cells.items(), key=lambda cell: (cell[0][1], cell[0][0])):
        begins = datetime.combine(day, time(), OSLO).isoformat()
        for measure in Measure:
            share = tally.share(measure)
            if share is not None:
                by = found.question.by.value if group else ""
                counted = [tally.met[measure], tally.of[measure], f"{share:.6f}"]
                writer.writerow([begins, found.question.step.value, by, _plain(group), measure.value, *counted])
    return text.getvalue()


def _plain(group: str) -> str:
    """Return what no spreadsheet takes for a formula."""
    return f"'{group}" if group.startswith(("=", "+", "-", "@")) else group


def read_upkeep(connection: Connection, now_ms: int, speech: Speech) -> list[Upkeep]:
    """Return the loggers in boxes whose calibration is missing, due or overdue, and those with a fault that lasts."""
    now, faults = to_datetime(now_ms), read_faults(connection)
    found = []
    for logger in read_loggers(connection):
        if logger.box is None:
            continue
        due_ms = None if logger.calibration is None else to_ms(logger.calibration.due_at)
        need = calibration_need(logger, now)
        if need is not None:
            urgent = need is not Need.CALIBRATION_DUE
            found.append(Upkeep(logger.address, logger.box, due_ms, speech.gettext(NEEDS[need]), urgent))
        for code, since_ms in faults.get(logger.address, {}).items():
            since = speech.gettext(N_("{fault} since {moment}"))
            said = speech.gettext(_FAULTS[code]) if code in _FAULTS else code
            said = since.format(fault=said, moment=speech.moment(since_ms))
            found.append(Upkeep(logger.address, logger.box, due_ms, said, is_urgent=True))
    return sorted(found, key=lambda one: (not one.is_urgent, one.due_ms or 0, one.address))


def _read_clocks(connection: Connection) -> list[ClockState]:
    table = gateways.c
    columns = (table.name, table.clock_trusted, table.clock_error_ms, table.clock_reference, table.clock_at_ms)
    rows = connection.execute(select(*columns).where(table.revoked_at_ms.is_(None)).order_by(table.name))
    return [
        ClockState(row.name, row.clock_trusted, row.clock_error_ms, row.clock_reference or "", row.clock_at_ms)
        for row in rows
    ]


def _charts(found: Indicators, speech: Speech) -> Iterator[Chart]:
    total = found.totals[""]
    for measure, words in MEASURES.items():
        columns = []
        for day in found.buckets:
            tally = found.cells.get(("", day), Tally())
            columns.append(Column(_label(found, day, speech), tally.met[measure], tally.of[measure]))
        title = speech.gettext(words)
        yield Chart(
            title=title,
            explained=speech.gettext(EXPLAINED[measure]),
            total=say_share(total.met[measure], total.of[measure], speech),
            svg=draw_shares(columns, speech, name=f"share-{measure.value}", title=title),
        )


def _label(found: Indicators, day: date, speech: Speech) -> str:
    if found.question.step is Step.WEEK:
        week = day.isocalendar()
        return speech.gettext(N_("week {week}")).format(week=f"{week.week}/{week.year % 100:02}")
    return f"{day:%m/%Y}"


def _rows(found: Indicators, speech: Speech) -> Iterator[tuple[str, Sequence[str]]]:
    for day in reversed(found.buckets):
        yield _label(found, day, speech), _cells(found.cells.get(("", day), Tally()), speech)


def _group_rows(found: Indicators, speech: Speech) -> Iterator[tuple[str, Sequence[str]]]:
    for group in found.groups:
        yield speech.gettext(N_("not stated")) if group == "?" else group, _cells(found.totals[group], speech)


def _cells(tally: Tally, speech: Speech) -> list[str]:
    return [say_share(tally.met[measure], tally.of[measure], speech) for measure in MEASURES]


def _say_refusal(error: InputError, speech: Speech) -> str:
    if error.field == "until":
        return speech.gettext(N_("The period ends before it begins."))
    if "verdicts" in error.reason or "breaches" in error.reason:
        return speech.gettext(N_("That is too much at once. Choose a shorter period."))
    return speech.gettext(N_("At most {n} weeks or months at once. Choose a shorter period, or months.")).format(
        n=_BUCKETS_TOLD
    )
