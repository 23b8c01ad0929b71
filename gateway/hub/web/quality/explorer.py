"""The explorer: several loggers over weeks, to zoom into. The server draws it; a script, where there is one, zooms."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from http import HTTPStatus
from math import fsum
from pathlib import Path
from typing import Annotated
from urllib.parse import urlencode

from fastapi import APIRouter, HTTPException, Query
from fastapi.responses import HTMLResponse, JSONResponse
from pydantic import BaseModel, Field, StringConstraints

from gateway.core.assignments import offset_at
from gateway.core.configuration import Logger
from gateway.core.errors import InputError
from gateway.core.exposure import to_ms
from gateway.core.profiles import Profile
from gateway.hub.api.access import HubRooms
from gateway.hub.api.bounds import NUMBER_MAX
from gateway.hub.database.rows import read_loggers
from gateway.hub.projection.history import ArchiveHistory, HistoryError, InfluxHistory, Interval, Question, ask
from gateway.hub.rooms import Rooms
from gateway.hub.times import to_oslo
from gateway.hub.web.languages import Reader
from gateway.hub.web.moments import read_local
from gateway.hub.web.quality.limits import say_limits
from gateway.hub.web.quality.lines import Line, Lines, draw_lines, make_line, to_document
from gateway.hub.web.quality.queue import Reading
from gateway.hub.web.rendering import render
from gateway.language import Speech
from gateway.language.mistakes import UNKNOWN_PROFILE
from gateway.language.speech import N_

LOGGERS_MAX = 6
"""Lines that can be told apart; of more a table of figures says more."""
SPAN_MAX_MS = 92 * 86_400_000
"""A quarter. From the archive it takes some seconds a logger; longer histories are what the dashboards are for."""
SPAN_MIN_MS = 10 * 60_000
DEFAULT_MS = 86_400_000
INTERVALS = 600
"""Of each line: one for each pixel or two of the picture."""
OFFERED_MAX = 500
VENDOR = Path(__file__).parents[1] / "static" / "vendor"
ASSETS = ("uPlot.iife.min.js", "uPlot.min.css")

router = APIRouter(include_in_schema=False, default_response_class=HTMLResponse)

_Address = Annotated[str, StringConstraints(max_length=64, pattern=r"^[^\x00-\x1f]*$")]
_Profile = Annotated[str, StringConstraints(max_length=80, pattern=r"^[^\x00-\x1f]*$")]
"""Its name, and perhaps which version of it: "potassium@2"."""


class ExplorerQuery(BaseModel):
    """What stands in the address: loggers, whose limits are shown, and a time, local where no offset is stated."""

    logger: Annotated[list[_Address], Field(max_length=LOGGERS_MAX)] = []
    profile: _Profile = ""
    since: Annotated[str, Field(max_length=40)] = ""
    until: Annotated[str, Field(max_length=40)] = ""


class DataQuery(BaseModel):
    """The same for the script; UTC in milliseconds."""

    logger: Annotated[list[_Address], Field(min_length=1, max_length=LOGGERS_MAX)]
    profile: _Profile = ""
    since_ms: Annotated[int, Field(ge=0, le=NUMBER_MAX)]
    until_ms: Annotated[int, Field(ge=0, le=NUMBER_MAX)]


@dataclass(frozen=True, slots=True)
class Summary:
    """One logger's figures in what is shown. Temperatures are None where nothing was measured."""

    logger: str
    box: str
    low_c: float | None
    high_c: float | None
    mean_c: float | None
    readings: int
    gaps: int


@router.get("/explore")
def show_explorer(
    rooms: HubRooms, caller: Reading, reader: Reader, query: Annotated[ExplorerQuery, Query()]
) -> HTMLResponse:
    """Show what some loggers measured; without any, what can be chosen."""
    known = _known(rooms)
    refused, lines = "", None
    span = _default_span(rooms.clock.now_ms())
    try:
        span = _read_span(query, span)
        if query.logger:
            lines = read_lines(rooms, query.logger, span, query.profile)
    except (InputError, HistoryError) as error:
        refused = _say_refusal(error, reader)
    chosen = [code for code in query.logger if code in known]
    page = render(
        "quality/explorer.html",
        rooms,
        caller,
        reader,
        known=list(known.values())[:OFFERED_MAX],
        chosen=chosen,
        span=span,
        since=_write(span[0]),
        until=_write(span[1]),
        lines=lines,
        picture=None if lines is None else draw_lines(lines, reader),
        summaries=[] if lines is None else [_summarise(line) for line in lines.lines],
        refused=refused,
        ways=_ways(chosen, span, query.profile),
        profiles=_offered(rooms, None if lines is None else lines.profile, query.profile, reader),
        profile=query.profile,
        limits="" if lines is None or lines.profile is None else say_limits(lines.profile, reader),
        is_banded=lines is not None and bool(lines.bounds().bands),
        has_script=has_chart_library(),
        LOGGERS_MAX=LOGGERS_MAX,
        here=_address(chosen, span, query.profile),
    )
    page.status_code = HTTPStatus.UNPROCESSABLE_ENTITY if refused else HTTPStatus.OK
    return page


@router.get("/explore/data")
def give_data(rooms: HubRooms, _caller: Reading, reader: Reader, query: Annotated[DataQuery, Query()]) -> JSONResponse:
    """Give the lines of a stretch of time as numbers."""
    try:
        lines = read_lines(rooms, query.logger, (query.since_ms, query.until_ms), query.profile)
    except HistoryError as error:
        raise HTTPException(HTTPStatus.SERVICE_UNAVAILABLE, str(error)) from error
    document = to_document(lines, reader)
    document["here"] = _address(query.logger, (query.since_ms, query.until_ms), query.profile)
    return JSONResponse(document, headers={"Cache-Control": "no-store"})


def read_lines(rooms: Rooms, loggers: Sequence[str], span: tuple[int, int], profile: str = "") -> Lines:
    """Return what some loggers measured, with a profile's limits; raises InputError and HistoryError. Blocking."""
    known = _known(rooms)
    unknown = [code for code in loggers if code not in known]
    if unknown:
        raise InputError("logger", f"{unknown[0]} is not enrolled")
    if span[1] - span[0] > SPAN_MAX_MS:
        raise InputError("until", "more than 92 days at once")
    limits = find_profile(rooms, profile) if profile else None
    if profile and limits is None:
        raise InputError("profile", f"there is no profile {profile}")
    now_ms = rooms.clock.now_ms()
    question = ask(loggers, *span, now_ms, INTERVALS)
    found = _read(rooms, {code: known[code] for code in question.loggers}, question)
    made = [make_line(known[code], found[code], question.step_ms) for code in dict.fromkeys(loggers)]
    return Lines(made, *span, question.step_ms, limits)


def explore_address(loggers: Sequence[str], span: tuple[int, int], profile: str = "") -> str:
    """Return where a stretch of some loggers is explored, with a profile's limits; of many loggers the first."""
    chosen = list(dict.fromkeys(loggers))[:LOGGERS_MAX]
    return _address(chosen, (max(span[0], span[1] - SPAN_MAX_MS), max(span[1], span[0] + SPAN_MIN_MS)), profile)


def find_profile(rooms: Rooms, asked: str) -> Profile | None:
    """Return the newest version of "potassium", version 2 of "potassium@2"; None if there is none. Blocking."""
    name, _, version = asked.partition("@")
    if not version:
        return rooms.registry.profile(name)
    versions = rooms.registry.profile_versions(name)
    return next((one for one, _ in versions if str(one.version) == version), None)


def has_chart_library() -> bool:
    """Whether the build has brought the library along, as it was checked then."""
    return all((VENDOR / name).is_file() for name in ASSETS)


def _read(rooms: Rooms, loggers: dict[str, Logger], question: Question) -> dict[str, tuple[Interval, ...]]:
    if rooms.settings.influx.url:
        history = InfluxHistory(rooms.settings.influx)
        try:
            return history.read(question)
        finally:
            history.close()
    offsets_c = {code: offset_at(logger, question.begins_ms) for code, logger in loggers.items()}
    return ArchiveHistory(rooms.archive, offsets_c).read(question)


def _offered(rooms: Rooms, shown: Profile | None, asked: str, speech: Speech) -> list[tuple[str, str]]:
    """Return the newest version of each profile, and the one that is shown if it is a certain version."""
    offered = [(one.id, speech.gettext(one.title)) for one in rooms.registry.profiles()]
    if shown is not None and "@" in asked:
        title = speech.gettext(shown.title)
        words = speech.gettext(N_("{name}, version {version}")).format(name=title, version=shown.version)
        offered.insert(0, (asked, words))
    return offered


def _known(rooms: Rooms) -> dict[str, Logger]:
    with rooms.store.read() as connection:
        return {logger.address: logger for logger in read_loggers(connection)}


def _default_span(now_ms: int) -> tuple[int, int]:
    ends_ms = now_ms - now_ms % 60_000 + 60_000
    return ends_ms - DEFAULT_MS, ends_ms


def _read_span(query: ExplorerQuery, otherwise: tuple[int, int]) -> tuple[int, int]:
    """Return the stretch that is asked for; one end alone is completed by a day."""
    since_ms = _read_moment("since", query.since)
    until_ms = _read_moment("until", query.until)
    if since_ms is None and until_ms is None:
        return otherwise
    begins_ms = until_ms - DEFAULT_MS if since_ms is None and until_ms is not None else since_ms or 0
    ends_ms = begins_ms + DEFAULT_MS if until_ms is None else until_ms
    if ends_ms <= begins_ms:
        raise InputError("until", "is not after since")
    return max(0, begins_ms), ends_ms


def _read_moment(field: str, text: str) -> int | None:
    if not text:
        return None
    try:
        # A plus sign in an address that nobody encoded is a blank.
        return to_ms(read_local(text.strip().replace(" ", "+")))
    except (ValueError, OverflowError) as error:
        raise InputError(field, "is no moment") from error


def _write(at_ms: int) -> str:
    """Return local time with its offset: of the hour that comes twice it says which."""
    return datetime.isoformat(to_oslo(at_ms - at_ms % 60_000), timespec="minutes")


def _address(loggers: Sequence[str], span: tuple[int, int], profile: str) -> str:
    asked = [("logger", code) for code in loggers] + ([("profile", profile)] if profile else [])
    return "/explore?" + urlencode([*asked, ("since", _write(span[0])), ("until", _write(span[1]))])


def _ways(loggers: Sequence[str], span: tuple[int, int], profile: str) -> dict[str, str]:
    """Return the addresses of what lies around, for those without the script."""
    length_ms = span[1] - span[0]
    half_ms, quarter_ms = length_ms // 2, length_ms // 4
    moved = {
        "earlier": (span[0] - half_ms, span[1] - half_ms),
        "later": (span[0] + half_ms, span[1] + half_ms),
        "closer": (span[0] + quarter_ms, span[1] - quarter_ms),
        "wider": (span[0] - half_ms, span[1] + half_ms),
    }
    if length_ms // 2 < SPAN_MIN_MS:
        del moved["closer"]
    if length_ms * 2 > SPAN_MAX_MS:
        del moved["wider"]
    return {name: _address(loggers, ends, profile) for name, ends in moved.items() if ends[0] >= 0}


def _summarise(line: Line) -> Summary:
    intervals = line.intervals
    readings = sum(one.readings for one in intervals)
    total = fsum(one.mean_c * one.readings for one in intervals)
    return Summary(
        logger=line.logger,
        box=line.box,
        low_c=min((one.min_c for one in intervals), default=None),
        high_c=max((one.max_c for one in intervals), default=None),
        mean_c=total / readings if readings else None,
        readings=readings,
        gaps=max(0, len(line.runs) - 1),
    )


def _say_refusal(error: InputError | HistoryError, speech: Speech) -> str:
    if isinstance(error, HistoryError):
        return speech.gettext(N_("The history cannot be read just now. Try again in a minute."))
    known = {
        "profile": UNKNOWN_PROFILE,
        "logger": N_("One of these loggers is not enrolled."),
        "since": N_("The beginning is no moment. Write 2026-10-24T08:00+02:00."),
        "until": N_("The end is no moment after the beginning, or the period is longer than 92 days."),
        "to": N_("The end is no moment after the beginning, or the period is longer than 92 days."),
    }
    return speech.gettext(known[error.field]) if error.field in known else f"{error.field}: {error.reason}"
