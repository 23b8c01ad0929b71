"""Consignments: registered, received, judged; their readings."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Body, HTTPException, Query
from pydantic import AwareDatetime, BaseModel, ConfigDict

from gateway.core.batches import ConsignmentBatch, ConsignmentsDone
from gateway.core.configuration import Code, Consignment
from gateway.core.errors import InputError
from gateway.core.observations import Source
from gateway.core.profiles import Model
from gateway.core.verdicts import Verdict, worst
from gateway.hub.api.access import HubRooms, Listing, LookingUp, Receiving, Registering
from gateway.hub.api.bounds import DryRun
from gateway.hub.api.problems import documented
from gateway.hub.breaches.keeping import StoredBreach, read_breaches
from gateway.hub.database.rows import Registered
from gateway.hub.judgement.verdict_history import VersionedJudgement, read_current, read_versions
from gateway.hub.judgement.watch import carried_span
from gateway.hub.rooms import Rooms
from gateway.hub.times import to_datetime
from gateway.hub.views.stops import StopSeen, read_stops
from gateway.hub.views.trips import behind_ms, read_trips, until_ms

router = APIRouter(tags=["consignments"])

_EXAMPLE: dict[str, Any] = {
    "code": "C-1001",
    "carriage": [{"box": "BOX-1", "begins": "2026-10-24T08:00:00+02:00"}],
    "items": [
        {
            "code": "T-4711",
            "kind": "sample",
            "collected_at": "2026-10-24T07:40:00+02:00",
            "examinations": [{"code": "K", "profile": "potassium"}],
            "declared": [
                {
                    "begins": "2026-10-24T07:40:00+02:00",
                    "ends": "2026-10-24T08:00:00+02:00",
                    "low_c": 18,
                    "high_c": 24,
                    "by": "WARD-3",
                }
            ],
        }
    ],
    "planned_arrival": "2026-10-24T13:00:00+02:00",
}


class ConsignmentSummary(BaseModel):
    """A consignment in a list. `verdict` is the worst of its current ones, None before it was judged."""

    code: str
    version: int
    items: int
    received_at: AwareDatetime | None
    verdict: Verdict | None


class ConsignmentState(BaseModel):
    """A consignment with its current judgements and its breaches.

    `behind_ms` is how far the archive is behind; more than 0 means that data is incomplete and verdicts may change.
    """

    consignment: Consignment
    version: int
    behind_ms: int
    judgements: list[VersionedJudgement]
    breaches: list[StoredBreach]


class ReadingSeen(BaseModel):
    """One measurement; see gateway.core.readings."""

    model_config = ConfigDict(from_attributes=True)

    at_ms: int
    temperature_c: float
    interval_s: int
    source: Source
    clock_trusted: bool
    counter: int | None
    light_lux: int | None
    shock_g: float | None
    time_error_ms: int


class TripSeen(BaseModel):
    """One logger's part: readings with calibration applied, in order of time, within [from_ms, to_ms)."""

    model_config = ConfigDict(from_attributes=True)

    logger: str
    box: str
    from_ms: int
    to_ms: int
    readings: list[ReadingSeen]
    repeated: int
    conflicts: int


class Receipt(Model):
    """When a consignment arrived; now, if nothing is stated."""

    at: AwareDatetime | None = None


@router.get("/consignments", responses=documented(401, 403, 422))
def list_consignments(
    rooms: HubRooms, _who: Listing, limit: Annotated[int, Query(ge=1, le=500)] = 100
) -> list[ConsignmentSummary]:
    """List the consignments registered last, newest first."""
    listed = rooms.registry.consignments(limit)
    with rooms.store.read() as connection:
        verdicts = {
            known.consignment.code: [
                versioned.judgement.verdict for versioned in read_current(connection, known.consignment.code)
            ]
            for known in listed
        }
    return [
        ConsignmentSummary(
            code=known.consignment.code,
            version=known.version,
            items=len(known.consignment.items),
            received_at=known.consignment.received_at,
            verdict=worst(verdicts[known.consignment.code]) if verdicts[known.consignment.code] else None,
        )
        for known in listed
    ]


@router.post("/consignments", status_code=201, responses=documented(401, 403, 409, 413, 422))
def register_consignment(
    consignment: Annotated[Consignment, Body(openapi_examples={"one tube": {"value": _EXAMPLE}})],
    who: Registering,
    rooms: HubRooms,
) -> Consignment:
    """Register a consignment whose code is new."""
    known = rooms.registry.consignment(consignment.code)
    if known is not None and known.consignment != consignment:
        raise HTTPException(409, f"{consignment.code} is registered already: PUT a new version of it")
    return _put(consignment, who.name, rooms).consignment


@router.post("/consignments/batch", responses=documented(401, 403, 413, 422))
def register_consignments(
    batch: Annotated[ConsignmentBatch, Body(openapi_examples={"one": {"value": {"consignments": [_EXAMPLE]}}})],
    who: Registering,
    rooms: HubRooms,
    *,
    dry_run: DryRun = False,
) -> ConsignmentsDone:
    """Register consignments, all of them or none; each fault names place and field.

    What is registered already and says the same is left as it is, so that a batch can be sent again; one that says
    something else is a fault.
    """
    new = rooms.registry.add_consignments(batch.consignments, who.name, dry_run=dry_run)
    if new and not dry_run:
        rooms.bells.ring_all()
    return ConsignmentsDone(dry_run=dry_run, consignments=len(batch.consignments), new=tuple(new))


@router.put("/consignments/{code}", responses=documented(401, 403, 413, 422))
def put_consignment(
    code: Code,
    consignment: Annotated[Consignment, Body(openapi_examples={"one tube": {"value": _EXAMPLE}})],
    who: Registering,
    rooms: HubRooms,
) -> Consignment:
    """Register a consignment, or a new version of it; it is judged anew."""
    if consignment.code != code:
        raise InputError("code", f"{consignment.code} is not the one in the address ({code})")
    return _put(consignment, who.name, rooms).consignment


@router.get("/consignments/{code}", responses=documented(401, 403, 404))
def show_consignment(code: str, rooms: HubRooms, _who: LookingUp) -> ConsignmentState:
    """Show a consignment, its current judgements, its breaches, and how complete its data is."""
    known = _known(code, rooms)
    case = rooms.configurations.case(code)
    loggers = () if case is None else case.configuration.loggers
    with rooms.store.read() as connection:
        return ConsignmentState(
            consignment=known.consignment,
            version=known.version,
            behind_ms=behind_ms(connection, known.consignment, loggers, rooms.clock.now_ms()),
            judgements=read_current(connection, code),
            breaches=read_breaches(connection, consignment=code),
        )


@router.post("/consignments/{code}/receive", responses=documented(401, 403, 404, 413, 422))
def receive_consignment(code: str, who: Receiving, rooms: HubRooms, receipt: Receipt | None = None) -> Consignment:
    """Note that a consignment has arrived. What was noted first stays."""
    _known(code, rooms)
    stated = None if receipt is None else receipt.at
    at = stated if stated is not None else to_datetime(rooms.clock.now_ms())
    received = rooms.registry.receive(code, at, who.name)
    rooms.bells.ring_all()
    return received.consignment


@router.get("/consignments/{code}/judgements", responses=documented(401, 403, 404))
def list_judgements(
    code: str,
    rooms: HubRooms,
    _who: LookingUp,
    item: Annotated[str | None, Query(max_length=64)] = None,
    examination: Annotated[str | None, Query(max_length=64)] = None,
) -> list[VersionedJudgement]:
    """List the judgements in force; with `item` and `examination`, all versions of that one, newest first."""
    _known(code, rooms)
    if (item is None) != (examination is None):
        raise InputError("examination" if examination is None else "item", "item and examination belong together")
    with rooms.store.read() as connection:
        if item is None or examination is None:
            return read_current(connection, code)
        return read_versions(connection, code, item, examination)


@router.get("/consignments/{code}/readings", responses=documented(401, 403, 404))
def list_readings(code: str, rooms: HubRooms, _who: LookingUp) -> list[TripSeen]:
    """List the readings of each of the consignment's loggers while it was carried."""
    known = _known(code, rooms)
    case = rooms.configurations.case(code)
    loggers = () if case is None else case.configuration.loggers
    carried = [carriage for item in known.consignment.items for carriage in known.consignment.carriage_of(item)]
    trips = read_trips(rooms.archive, carried, loggers, until_ms(known.consignment, rooms.clock.now_ms()))
    return [TripSeen.model_validate(trip) for trip in trips]


@router.get("/consignments/{code}/stops", responses=documented(401, 403, 404))
def list_stops(code: str, rooms: HubRooms, _who: LookingUp) -> list[StopSeen]:
    """List where the vehicles that carried the consignment stopped meanwhile: sites by name, others by number.

    Empty where vehicles do not record stops. There are no positions.
    """
    known = _known(code, rooms)
    case = rooms.configurations.case(code)
    loggers = () if case is None else tuple(logger.address for logger in case.configuration.loggers)
    span = carried_span(known.consignment, rooms.clock.now_ms())
    with rooms.store.read() as connection:
        return [] if span is None else read_stops(connection, loggers, span)


def _put(consignment: Consignment, who: str, rooms: Rooms) -> Registered:
    registered = rooms.registry.put_consignment(consignment, who)
    rooms.bells.ring_all()
    return registered


def _known(code: str, rooms: Rooms) -> Registered:
    known = rooms.registry.consignment(code)
    if known is None:
        raise HTTPException(404, "no consignment of that code is registered")
    return known
