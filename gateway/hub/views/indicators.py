"""How well it goes, over time: shares of items and breaches by week or month, by vehicle, box, route or profile.

One query reads what was received in the period, with the few figures of its current verdicts; another its breaches.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from enum import StrEnum
from typing import Any

from sqlalchemy import JSON, ColumnElement, Connection, cast, func, or_, select

from gateway.core.errors import InputError
from gateway.core.exposure import to_ms
from gateway.core.verdicts import Verdict
from gateway.hub.breaches.keeping import BreachState
from gateway.hub.database.schema import (
    assignments,
    breaches,
    carriages,
    consignments,
    epochs,
    judgements,
    logger_hours,
    reviews,
)
from gateway.hub.record.index import HOUR_MS
from gateway.hub.times import OSLO

ROWS_MAX = 200_000
"""Verdicts of one question: 600 a day for a year; they take a few seconds. More is asked for in parts."""
BUCKETS_MAX = 53
GROUPS_MAX = 100
"""The groups with the most items; a table of more is read by a program, from the CSV of a shorter period."""
REVIEW_MS = 24 * HOUR_MS
_AT_ONCE = 500


class Step(StrEnum):
    """How long a bucket is."""

    WEEK = "week"
    MONTH = "month"


class Grouping(StrEnum):
    """What is told apart. A consignment in two boxes counts for both; its route is requester and receiver."""

    NONE = ""
    VEHICLE = "vehicle"
    BOX = "box"
    ROUTE = "route"
    PROFILE = "profile"


class Measure(StrEnum):
    """What is counted. All but REVIEWED are shares of items received.

    MONITORED  measured without a gap in custody
    ON_TIME    received by the planned arrival, of those that have one
    ACCEPTED   whose verdicts all are Accept
    REVIEWED   breaches closed within 24 h of being found, of those older than that or closed
    """

    MONITORED = "monitored"
    ON_TIME = "on_time"
    ACCEPTED = "accepted"
    REVIEWED = "reviewed"


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked: buckets from the one with `since` to the one with `until`, days in Norway."""

    since: date
    until: date
    step: Step = Step.WEEK
    by: Grouping = Grouping.NONE


@dataclass(slots=True)
class Tally:
    """Of each measure how many met it, and of how many."""

    met: Counter[Measure] = field(default_factory=Counter)
    of: Counter[Measure] = field(default_factory=Counter)

    def add(self, measure: Measure, *, is_met: bool) -> None:
        """Count one."""
        self.of[measure] += 1
        self.met[measure] += is_met

    def share(self, measure: Measure) -> float | None:
        """Return the share, None where there was nothing."""
        return self.met[measure] / self.of[measure] if self.of[measure] else None


@dataclass(slots=True)
class Quality:
    """How good the data is of what was received. Readings are those of each item's logger."""

    items: int = 0
    with_gaps: int = 0
    unmonitored_ms: int = 0
    readings: int = 0
    backfilled: int = 0
    untrusted: int = 0


@dataclass(frozen=True, slots=True)
class Indicators:
    """The answer. `buckets` are the first days; `cells` by group and bucket; `totals` by group; "" is all of it."""

    question: Question
    buckets: Sequence[date]
    cells: Mapping[tuple[str, date], Tally]
    totals: Mapping[str, Tally]
    quality: Quality
    left_out: int

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to count in the whole period."""
        return not any(self.totals[""].of.values())

    @property
    def groups(self) -> list[str]:
        """The groups, those with the most items first."""
        named = [group for group in self.totals if group]
        return sorted(named, key=lambda group: (-sum(self.totals[group].of.values()), group))


def buckets_of(question: Question) -> list[date]:
    """Return the first day of each bucket; raises InputError for none or too many."""
    if question.until < question.since:
        raise InputError("until", "is before since")
    found = [_first_day(question.since, question.step)]
    while (following := _after(found[-1], question.step)) <= question.until:
        found.append(following)
        if len(found) > BUCKETS_MAX:
            raise InputError("since", f"at most {BUCKETS_MAX} at once: choose a shorter period, or months")
    return found


def read_indicators(connection: Connection, question: Question, now_ms: int) -> Indicators:
    """Return the indicators; raises InputError for what is too much at once."""
    buckets = buckets_of(question)
    span = midnight_ms(buckets[0]), midnight_ms(_after(buckets[-1], question.step))
    items = list(_read_items(connection, span))
    found = _read_breaches(connection, span, now_ms)
    everything: list[_Item | _Found] = [*items, *found]
    groups = _groups(connection, question.by, everything)
    cells: dict[tuple[str, date], Tally] = defaultdict(Tally)
    totals: dict[str, Tally] = defaultdict(Tally)
    quality = Quality()
    for item in items:
        _count_quality(quality, item)
    for one in everything:
        day = _first_day(datetime.fromtimestamp(one.at_ms / 1000, OSLO).date(), question.step)
        for group in {"", *groups(one)}:
            for tally in (cells[group, day], totals[group]):
                for measure, is_met in one.measures():
                    tally.add(measure, is_met=is_met)
    totals.setdefault("", Tally())
    kept = set(Indicators(question, buckets, cells, totals, quality, 0).groups[:GROUPS_MAX]) | {""}
    return Indicators(
        question,
        buckets,
        {key: tally for key, tally in cells.items() if key[0] in kept},
        {group: tally for group, tally in totals.items() if group in kept},
        quality,
        len(totals) - len(kept),
    )


@dataclass(slots=True)
class _Item:
    """An item received at `at_ms`, by the current verdicts of its examinations."""

    consignment: str
    at_ms: int
    planned_ms: int | None
    vehicle: str | None
    route: str
    profiles: set[str] = field(default_factory=set)
    is_accepted: bool = True
    is_monitored: bool = True
    unmonitored_ms: int = 0
    readings: int = 0
    backfilled: int = 0
    untrusted: int = 0

    def measures(self) -> Iterator[tuple[Measure, bool]]:
        yield Measure.MONITORED, self.is_monitored
        yield Measure.ACCEPTED, self.is_accepted
        if self.planned_ms is not None:
            yield Measure.ON_TIME, self.at_ms <= self.planned_ms


@dataclass(frozen=True, slots=True)
class _Found:
    """A breach found at `at_ms`."""

    consignment: str
    at_ms: int
    vehicle: str | None
    route: str
    profiles: set[str]
    is_reviewed: bool

    def measures(self) -> Iterator[tuple[Measure, bool]]:
        yield Measure.REVIEWED, self.is_reviewed


_Grouper = Callable[[_Item | _Found], Collection[str]]


def _read_items(connection: Connection, span: tuple[int, int]) -> Iterable[_Item]:
    table, judged = consignments.c, judgements.c
    figures = [
        _inside(connection, judged.document, "figures", name).label(name)
        for name in ("monitored_fraction", "unmonitored_ms", "readings", "backfilled", "untrusted")
    ]
    rows = connection.execute(
        select(
            table.code,
            table.received_at_ms,
            table.planned_ms,
            table.vehicle,
            table.receiver,
            _inside(connection, table.document, "requester").label("requester"),
            judged.item,
            judged.verdict,
            _inside(connection, judged.document, "profile").label("profile"),
            *figures,
        )
        .join(judgements, (judged.consignment == table.code) & judged.current)
        .where(table.received_at_ms >= span[0], table.received_at_ms < span[1])
        .limit(ROWS_MAX + 1)
    ).all()
    if len(rows) > ROWS_MAX:
        raise InputError("since", f"more than {ROWS_MAX} verdicts: choose a shorter period")
    items: dict[tuple[str, str], _Item] = {}
    for row in rows:
        route = _route(row.requester, row.receiver)
        fresh = _Item(row.code, row.received_at_ms, row.planned_ms, row.vehicle, route)
        item = items.setdefault((row.code, row.item), fresh)
        item.profiles.add(row.profile)
        item.is_accepted &= row.verdict == Verdict.ACCEPT
        item.is_monitored &= float(row.monitored_fraction) >= 1
        # Examinations of one item share its readings.
        item.unmonitored_ms = max(item.unmonitored_ms, int(row.unmonitored_ms))
        item.readings = max(item.readings, int(row.readings))
        item.backfilled = max(item.backfilled, int(row.backfilled))
        item.untrusted = max(item.untrusted, int(row.untrusted))
    return items.values()


def _read_breaches(connection: Connection, span: tuple[int, int], now_ms: int) -> list[_Found]:
    table = breaches.c
    rows = connection.execute(
        select(
            table.consignment,
            table.found_at_ms,
            table.profile,
            reviews.c.closed_at_ms,
            consignments.c.vehicle,
            consignments.c.receiver,
            _inside(connection, consignments.c.document, "requester").label("requester"),
        )
        .join(reviews, reviews.c.breach_id == table.id)
        .outerjoin(consignments, consignments.c.code == table.consignment)
        .where(
            table.found_at_ms >= span[0],
            table.found_at_ms < span[1],
            table.state.in_([BreachState.PROVISIONAL.value, BreachState.CONFIRMED.value]),
            or_(reviews.c.closed_at_ms.is_not(None), table.found_at_ms <= now_ms - REVIEW_MS),
        )
        .limit(ROWS_MAX + 1)
    ).all()
    if len(rows) > ROWS_MAX:
        raise InputError("since", f"more than {ROWS_MAX} breaches: choose a shorter period")
    return [
        _Found(
            consignment=row.consignment,
            at_ms=row.found_at_ms,
            vehicle=row.vehicle,
            route=_route(row.requester, row.receiver),
            profiles={row.profile},
            is_reviewed=row.closed_at_ms is not None and row.closed_at_ms - row.found_at_ms <= REVIEW_MS,
        )
        for row in rows
    ]


def _inside(connection: Connection, document: ColumnElement[str], *path: str) -> ColumnElement[Any]:
    """Return a part of a JSON text: as text from PostgreSQL, as what it is from SQLite."""
    if connection.dialect.name == "sqlite":
        return func.json_extract(document, "$." + ".".join(path))
    return func.json_extract_path_text(cast(document, JSON), *path)


def _route(requester: str | None, receiver: str | None) -> str:
    return f"{requester or '?'} → {receiver or '?'}" if requester or receiver else "?"


def _groups(connection: Connection, by: Grouping, all_: Sequence[_Item | _Found]) -> _Grouper:
    match by:
        case Grouping.NONE:
            return lambda _: ()
        case Grouping.ROUTE:
            return lambda one: (one.route,)
        case Grouping.PROFILE:
            return lambda one: one.profiles
        case Grouping.BOX:
            boxes = _read_boxes(connection, {one.consignment for one in all_})
            return lambda one: boxes.get(one.consignment, ("?",))
        case Grouping.VEHICLE:
            unstated = {one.consignment for one in all_ if one.vehicle is None}
            heard = _read_heard(connection, unstated)
            return lambda one: (one.vehicle or heard.get(one.consignment, "?"),)


def _read_boxes(connection: Connection, codes: set[str]) -> dict[str, set[str]]:
    found: dict[str, set[str]] = defaultdict(set)
    for part in _parts(codes):
        wanted = select(carriages.c.consignment, carriages.c.box).where(carriages.c.consignment.in_(part))
        for row in connection.execute(wanted):
            found[row.consignment].add(row.box)
    return found


def _read_heard(connection: Connection, codes: set[str]) -> dict[str, str]:
    """Return for each consignment the vehicle that heard its loggers in the most hours, or the first by name."""
    hours: dict[str, Counter[str]] = defaultdict(Counter)
    joined = (
        carriages.join(consignments, consignments.c.code == carriages.c.consignment)
        .join(assignments, assignments.c.box == carriages.c.box)
        .join(logger_hours, logger_hours.c.logger == assignments.c.logger)
        .join(epochs, epochs.c.id == logger_hours.c.epoch_id)
    )
    ends_ms = func.coalesce(carriages.c.ends_ms, consignments.c.received_at_ms)
    for part in _parts(codes):
        rows = connection.execute(
            select(carriages.c.consignment, epochs.c.gateway, func.count(logger_hours.c.hour.distinct()).label("hours"))
            .select_from(joined)
            .where(
                carriages.c.consignment.in_(part),
                logger_hours.c.hour >= carriages.c.begins_ms // HOUR_MS,
                logger_hours.c.hour <= ends_ms // HOUR_MS,
                assignments.c.from_ms <= ends_ms,
                or_(assignments.c.until_ms.is_(None), assignments.c.until_ms > carriages.c.begins_ms),
            )
            .group_by(carriages.c.consignment, epochs.c.gateway)
        )
        for row in rows:
            hours[row.consignment][row.gateway] += row.hours
    return {code: min(counted, key=lambda name: (-counted[name], name)) for code, counted in hours.items()}


def _parts(codes: set[str]) -> Iterator[list[str]]:
    ordered = sorted(codes)
    for at in range(0, len(ordered), _AT_ONCE):
        yield ordered[at : at + _AT_ONCE]


def _count_quality(quality: Quality, item: _Item) -> None:
    quality.items += 1
    quality.with_gaps += not item.is_monitored
    quality.unmonitored_ms += item.unmonitored_ms
    quality.readings += item.readings
    quality.backfilled += item.backfilled
    quality.untrusted += item.untrusted


def _first_day(day: date, step: Step) -> date:
    return day - timedelta(days=day.weekday()) if step is Step.WEEK else day.replace(day=1)


def _after(first: date, step: Step) -> date:
    return first + timedelta(days=7) if step is Step.WEEK else (first + timedelta(days=31)).replace(day=1)


def midnight_ms(day: date) -> int:
    """Return when a day begins in Norway."""
    return to_ms(datetime.combine(day, time(), OSLO))
