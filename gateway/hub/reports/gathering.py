"""What is known of a transport, gathered from the hub's rooms into one document and the table of its readings."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

from sqlalchemy import Connection, func, select

from gateway.core.assignments import Tenure, tenures_in
from gateway.core.configuration import Carriage, Consignment, Logger
from gateway.core.errors import InputError
from gateway.core.exposure import to_ms
from gateway.core.observations import Source
from gateway.core.profiles import Profile
from gateway.core.segments import Position
from gateway.hub.breaches.keeping import read_breaches
from gateway.hub.breaches.lifecycle import NotNowError
from gateway.hub.breaches.records import read_records, read_standing
from gateway.hub.database import schema
from gateway.hub.database.rows import Registered, read_profile, read_registered
from gateway.hub.database.store import Store
from gateway.hub.judgement.verdict_history import read_current
from gateway.hub.judgement.watch import carried_span
from gateway.hub.proof.verification import extents_of, hash_at, segments_of
from gateway.hub.record.archive import Archive
from gateway.hub.registry.configurations import Configurations
from gateway.hub.reports.document import Judged, LogPart, ReportDocument, Reviewed, Ride
from gateway.hub.reports.happenings import read_clock, read_handlings
from gateway.hub.reports.readings import READINGS_MAX, write_readings
from gateway.hub.review.choices import ChoiceList, read_choices
from gateway.hub.review.decisions import Decision, Decisions
from gateway.hub.review.signing import read_signatures
from gateway.hub.tabular.selection import Row
from gateway.hub.views.stops import read_stops
from gateway.hub.views.trips import Trip, behind_ms, read_trips

ATTEMPTS = 5
"""Times that a transport is read again because it changed meanwhile: under way it does every 30 s, in milliseconds."""
BREACHES_MAX = 500


class UnknownConsignmentError(InputError):
    """No consignment of this code is registered."""

    def __init__(self, code: str) -> None:
        super().__init__("consignment", f"there is no consignment {code!r}")


@dataclass(frozen=True, slots=True)
class Sources:
    """Where a report is read from. Blocking: call it from a thread."""

    store: Store
    archive: Archive
    configurations: Configurations
    now_ms: Callable[[], int]


@dataclass(frozen=True, slots=True)
class Gathered:
    """A document with its readings. `table` is the readings as CSV, whose hash the document states."""

    document: ReportDocument
    rows: Sequence[Row]
    table: bytes


def gather(sources: Sources, code: str) -> Gathered:
    """Return what is known of a consignment.

    Raises UnknownConsignmentError; InputError for more readings than a report holds; NotNowError where it does not
    stand still long enough to be read.
    """
    for _ in range(ATTEMPTS):
        before = _fingerprint(sources.store, code)
        gathered = _gather(sources, code)
        if _fingerprint(sources.store, code) == before:
            return gathered
    raise NotNowError(f"{code} changes faster than it can be read: try again")


def _fingerprint(store: Store, code: str) -> tuple[object, ...]:
    """Return what changes when anything in a report does that is read apart from the rest."""
    judgements = schema.judgements.c
    with store.read() as connection:
        known = read_registered(connection, code)
        if known is None:
            raise UnknownConsignmentError(code)
        judged = connection.execute(
            select(judgements.id, judgements.judged_at_ms)
            .where(judgements.consignment == code, judgements.current)
            .order_by(judgements.id)
        ).all()
        decided = connection.execute(
            select(func.max(schema.decisions.c.id)).where(schema.decisions.c.consignment == code)
        ).scalar()
    return known.version, [tuple(row) for row in judged], decided


def _gather(sources: Sources, code: str) -> Gathered:
    case = sources.configurations.case(code)
    with sources.store.read() as connection:
        known = read_registered(connection, code)
        if known is None or case is None:
            raise UnknownConsignmentError(code)
        judged = tuple(Judged(v.version, v.judged_at_ms, v.judgement) for v in read_current(connection, code))
    until_ms = _until_ms(known, judged)
    loggers = case.configuration.loggers
    trips = read_trips(sources.archive, _joined_carriage(known.consignment), loggers, until_ms)
    if sum(len(trip.readings) for trip in trips) > READINGS_MAX:
        raise InputError("consignment", f"has more than {READINGS_MAX} readings: take them with `coldchain export`")
    rows = [Row(trip.logger, trip.box, reading) for trip in trips for reading in trip.readings]
    table = write_readings(rows)
    decisions = tuple(Decisions(sources.store, sources.now_ms).of(code))
    addresses = [logger.address for logger in loggers]
    with sources.store.read() as connection:
        span = carried_span(known.consignment, until_ms)
        parts = tuple(_log_parts(connection, known.consignment))
        clock, clock_unread = read_clock(connection, parts)
        reviewed = tuple(_reviewed(connection, code))
        document = ReportDocument(
            kind="transport report",
            format=1,
            as_of_ms=max(_moments(known, judged, decisions, reviewed)),
            demonstration=case.configuration.demonstration,
            delivered_ms=_delivered_ms(connection, known.consignment, loggers, sources.now_ms()),
            consignment_version=known.version,
            consignment=known.consignment.model_dump(mode="json"),
            judgements=judged,
            profiles=tuple(_profiles(connection, judged)),
            rides=tuple(_ride(trip, loggers) for trip in trips),
            readings=len(rows),
            readings_sha256=sha256(table).hexdigest(),
            handlings=tuple(read_handlings(connection, known.consignment, until_ms)),
            stops=() if span is None else tuple(read_stops(connection, addresses, span)),
            clock=clock,
            clock_unread=clock_unread,
            breaches=reviewed,
            decisions=decisions,
            choices=_words(connection),
            log_parts=parts,
        )
    return Gathered(document, rows, table)


def _until_ms(known: Registered, judged: Iterable[Judged]) -> int:
    """Return when an open carriage ends: at the receipt, or at what has been judged; not at the time of asking."""
    if known.consignment.received_at is not None:
        return to_ms(known.consignment.received_at)
    return max([known.registered_at_ms, *(one.judgement.through_ms for one in judged)])


def _moments(
    known: Registered, judged: Iterable[Judged], decisions: Iterable[Decision], reviewed: Iterable[Reviewed]
) -> Iterator[int]:
    """Yield the moments of what stands in the report."""
    yield known.registered_at_ms
    if known.consignment.received_at is not None:
        yield to_ms(known.consignment.received_at)
    yield from (one.judged_at_ms for one in judged)
    yield from (one.at_ms for one in decisions)
    yield from (record.at_ms for one in reviewed for record in one.records)


def _joined_carriage(consignment: Consignment) -> list[Carriage]:
    """Return the stretches in boxes of all items together, so that no reading is in two of them."""
    joined: dict[str, list[Carriage]] = {}
    carried = {carriage for item in consignment.items for carriage in consignment.carriage_of(item)}
    for one in sorted(carried, key=lambda carriage: (carriage.box, carriage.begins)):
        stretches = joined.setdefault(one.box, [])
        last = stretches[-1] if stretches else None
        if last is not None and (last.ends is None or one.begins <= last.ends):
            ends = None if last.ends is None or one.ends is None else max(last.ends, one.ends)
            stretches[-1] = last.model_copy(update={"ends": ends})
        else:
            stretches.append(one.model_copy(update={"phase": "in_transit"}))
    return [carriage for stretches in joined.values() for carriage in stretches]


def _ride(trip: Trip, loggers: Sequence[Logger]) -> Ride:
    logger = next(one for one in loggers if one.address == trip.logger)
    tenure = next(one for one in tenures_in(loggers, trip.box, trip.from_ms) if _is_of(one, trip))
    calibration = tenure.calibration
    return Ride(
        logger=trip.logger,
        kind=logger.kind.value,
        model=logger.model,
        serial=logger.serial,
        memory_interval_s=logger.memory_interval_s,
        box=trip.box,
        from_ms=trip.from_ms,
        to_ms=trip.to_ms,
        certificate=None if calibration is None else calibration.model_dump(mode="json"),
        intervals_s=tuple(sorted({reading.interval_s for reading in trip.readings})),
        readings=len(trip.readings),
        backfilled=sum(reading.source is Source.MEMORY for reading in trip.readings),
        untrusted=sum(not reading.clock_trusted for reading in trip.readings),
        time_error_ms=max((reading.time_error_ms for reading in trip.readings), default=0),
        repeated=trip.repeated,
        conflicts=trip.conflicts,
    )


def _is_of(tenure: Tenure, trip: Trip) -> bool:
    return tenure.logger == trip.logger and tenure.overlaps(trip.from_ms, max(trip.to_ms, trip.from_ms + 1))


def _profiles(connection: Connection, judged: Iterable[Judged]) -> Iterator[dict[str, Any]]:
    """Yield the profiles in the versions that judged."""
    for name, version in sorted({(one.judgement.profile, one.judgement.profile_version) for one in judged}):
        table = schema.profiles.c
        wanted = select(table.document).where(table.id == name, table.version == version)
        document = connection.execute(wanted).scalar()
        profile = read_profile(connection, name) if document is None else Profile.model_validate_json(document)
        if profile is not None and profile.version == version:
            yield profile.model_dump(mode="json")


def _reviewed(connection: Connection, code: str) -> Iterator[Reviewed]:
    for breach in read_breaches(connection, consignment=code, limit=BREACHES_MAX):
        records = read_records(connection, breach.id)
        standing = read_standing(connection, breach.id)
        state = "" if standing is None else standing.state.value
        yield Reviewed(breach, state, tuple(records), tuple(read_signatures(connection, breach, records)))


def _words(connection: Connection) -> dict[str, tuple[str, str]]:
    return {
        f"{name.value}/{code}": (choice.en, choice.nb)
        for name in ChoiceList
        for code, choice in read_choices(connection, name).items()
    }


def _delivered_ms(
    connection: Connection, consignment: Consignment, loggers: Sequence[Logger], now_ms: int
) -> int | None:
    """Return up to when everything has arrived, None if nothing is due that has not."""
    span, late_ms = carried_span(consignment, now_ms), behind_ms(connection, consignment, loggers, now_ms)
    return None if span is None or not late_ms else min(span[1], now_ms) - late_ms


def _log_parts(connection: Connection, consignment: Consignment) -> Iterator[LogPart]:
    for epoch, first, last in extents_of(connection, segments_of(connection, consignment)):
        table = schema.segments.c
        within = (table.epoch_id == epoch.id, table.position >= first, table.position <= last)
        versions = connection.execute(
            select(func.min(table.config_version), func.max(table.config_version)).where(*within)
        ).one()
        found = hash_at(connection, epoch.gateway, Position(bytes(epoch.epoch), last))
        yield LogPart(
            gateway=epoch.gateway,
            epoch=bytes(epoch.epoch).hex(),
            first_offset=first,
            last_offset=last,
            hash="" if found is None else found.hex(),
            config_versions=(int(versions[0]), int(versions[1])),
        )
