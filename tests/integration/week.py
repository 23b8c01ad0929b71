"""A week of two boxes, simulated: what was measured, what was recorded, and what is therefore true."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from math import pi, sin
from pathlib import Path

from sqlalchemy import insert

from gateway.core.configuration import Box, Consignment, Logger
from gateway.core.contents import Content, encode_content
from gateway.core.observations import Observation, Source
from gateway.core.records import AnyRecord, ClockCorrection, CustodyEvent, DeviceFault, Health, MemoryRead
from gateway.core.verdicts import BreachKind
from gateway.hub.breaches.keeping import reconcile
from gateway.hub.database import schema
from gateway.hub.database.store import Store, open_store
from gateway.hub.judgement.redating import Redating
from gateway.hub.record.archive import Archive
from gateway.hub.registry.registry import Registry
from gateway.hub.replication.ingest import Ingest
from tests.hub.samples import breach, judgement
from tests.hub.vans import START_MS, Van, iso

MINUTE, HOUR, DAY = 60, 3600, 86_400
LENGTH_S = 7 * DAY
NOW_MS = START_MS + (LENGTH_S + DAY) * 1000
WARM, COLD = "C0:FF:EE:00:00:01", "C0:FF:EE:00:00:02"
BOXES = {WARM: "BOX-1", COLD: "BOX-2"}
INTERVAL_S = 60

EXCURSION_S = range(DAY + 8 * HOUR, DAY + 8 * HOUR + 40 * MINUTE)
SILENT_S = range(3 * DAY + 10 * HOUR, 3 * DAY + 12 * HOUR)
REMEMBERED_S = range(3 * DAY + 10 * HOUR, 3 * DAY + 11 * HOUR)
TRIP_S = range(DAY + 6 * HOUR, DAY + 16 * HOUR)
SECOND_VAN_S = range(5 * DAY, 5 * DAY + 6 * HOUR)
BACKLOG_S = range(2 * DAY, 2 * DAY + 12 * HOUR)
EXTREME_C = 12.345


@dataclass(slots=True)
class Week:
    """A hub's store with the week in it, and the readings that are true of each logger: (ms, °C)."""

    store: Store
    archive: Archive
    van: Van
    true: dict[str, list[tuple[int, float]]] = field(default_factory=dict)

    def temperatures(self, logger: str, begins_s: float, ends_s: float) -> list[float]:
        """The true readings within a stretch of seconds since the start."""
        span = (START_MS + begins_s * 1000, START_MS + ends_s * 1000)
        return [value for at_ms, value in self.true[logger] if span[0] <= at_ms < span[1]]


def temperature_c(logger: str, at_s: int) -> float:
    if logger == WARM and at_s in EXCURSION_S:
        return EXTREME_C if at_s - EXCURSION_S.start == 20 * MINUTE else 11.0
    return round((5.0 if logger == WARM else 4.0) + 1.5 * sin(2 * pi * at_s / DAY), 3)


def make_week(folder: Path) -> Week:
    store = open_store(f"sqlite:///{folder / 'hub.sqlite3'}")
    first, second = Van("van-1", b"1"), Van("van-2", b"2")
    week = Week(store, Archive(store), first)
    enrol(store, first, second)
    _register(store)
    week.true = {logger: [] for logger in BOXES}
    for begins_s in range(0, LENGTH_S, HOUR):
        moments = range(begins_s, begins_s + HOUR, INTERVAL_S)
        live = [_observe(logger, at_s) for logger in BOXES for at_s in moments if _is_heard(logger, at_s)]
        memory = []
        if begins_s == SILENT_S.stop:
            memory = [_remember(WARM, at_s) for at_s in REMEMBERED_S[:: 5 * MINUTE]]
        _seal(first, [*live, *memory], _records(begins_s))
        for one in (*live, *memory[1:]):  # the first repeats what was heard a minute before
            week.true[one.logger].append((one.measured_at_ms, one.temperature_mc / 1000))
        if begins_s in SECOND_VAN_S:  # hears the same measurements, a second later by its clock
            _seal(second, [_observe(WARM, at_s, late_ms=1000) for at_s in moments], [])
    for readings in week.true.values():
        readings.sort()
    ingest = Ingest(store, lambda: NOW_MS)
    deliveries = [*first.deliveries(), *second.deliveries()]
    for start in range(0, len(deliveries), 50):
        ingest.take(deliveries[start : start + 50])
    redating = Redating(store, week.archive, lambda: NOW_MS)
    while redating.work():
        pass
    _find_breaches(store)
    return week


def _is_heard(logger: str, at_s: int) -> bool:
    return not (logger == WARM and at_s in SILENT_S)


def _observe(logger: str, at_s: int, *, late_ms: int = 0) -> Observation:
    return Observation(
        logger=logger,
        source=Source.LIVE,
        measured_at_ms=START_MS + at_s * 1000 + late_ms,
        clock_trusted=at_s >= HOUR,
        monotonic_ms=at_s * 1000,
        interval_s=INTERVAL_S,
        temperature_mc=round(temperature_c(logger, at_s) * 1000),
        counter=(at_s // INTERVAL_S) % 65_536,
    )


def _remember(logger: str, at_s: int) -> Observation:
    return Observation(
        logger=logger,
        source=Source.MEMORY,
        measured_at_ms=START_MS + at_s * 1000,
        clock_trusted=True,
        monotonic_ms=at_s * 1000,
        interval_s=300,
        temperature_mc=round(temperature_c(logger, at_s) * 1000),
        time_error_ms=2000,
    )


def _records(begins_s: int) -> list[AnyRecord]:
    """What happens besides in the hour, with the state of the gateway at its end."""
    ends_ms = START_MS + (begins_s + HOUR) * 1000 - 1
    counters = {"heard": begins_s // 10, "scanning": 1}
    if begins_s in BACKLOG_S:
        counters |= {"waiting_segments": 7, "waiting_bytes": 7000}
    if begins_s == 4 * DAY:
        counters |= {"scanning": 0}
    found: list[AnyRecord] = [Health(ends_ms, clock_trusted=begins_s >= HOUR, counters=counters)]
    if begins_s == 0:
        corrected_ms = START_MS + 30 * MINUTE * 1000
        found.append(ClockCorrection(corrected_ms, True, 30 * MINUTE * 1000, corrected_ms - 2500, "ntp"))
    if begins_s == TRIP_S.start:
        at_ms = START_MS + TRIP_S.start * 1000
        found += [
            CustodyEvent(at_ms, True, "loaded", "BOX-1", "C-1", f"T-{number}", "BADGE-7", "SITE-1")
            for number in range(1, 6)
        ]
    if begins_s == TRIP_S.stop - HOUR:
        at_ms = START_MS + (TRIP_S.stop - 60) * 1000
        found.append(CustodyEvent(at_ms, True, "received", "BOX-1", "C-1", "", "BADGE-9", "LAB"))
    if begins_s == SILENT_S.stop:
        at_ms = START_MS + SILENT_S.stop * 1000
        span = (START_MS + SILENT_S.start * 1000, at_ms)
        found.append(MemoryRead(at_ms, True, WARM, *span, records=12, new_records=12, complete=False))
        found.append(DeviceFault(at_ms, True, WARM, "log_incomplete", {"records": 12}))
    return found


def _seal(van: Van, observations: Sequence[Observation], records: Sequence[AnyRecord]) -> None:
    van.seal_bytes(encode_content(Content(tuple(observations), tuple(records))))


def enrol(store: Store, *vans: Van) -> None:
    with store.write() as connection:
        for van in vans:
            connection.execute(insert(schema.gateways).values(name=van.name, created_at_ms=START_MS))
            connection.execute(
                insert(schema.gateway_keys).values(
                    gateway=van.name,
                    public_key=van.key.public_bytes,
                    token_hash=sha256(van.name.encode()).digest(),
                    enrolled_at_ms=START_MS,
                )
            )


def _register(store: Store) -> None:
    registry = Registry(store, lambda: START_MS)
    for logger, box in BOXES.items():
        registry.put_box(Box(code=box), "test")
        registry.put_logger(Logger(address=logger, box=box), "test")
    items = [
        {"code": f"T-{number}", "kind": "medicine", "examinations": [{"code": "K", "profile": "vaccines"}]}
        for number in range(1, 6)
    ]
    carriage = {"box": "BOX-1", "begins": iso(TRIP_S.start), "ends": iso(TRIP_S.stop)}
    document = {"code": "C-1", "items": items, "carriage": [carriage]}
    registry.put_consignment(Consignment.model_validate(document), "test")


def _find_breaches(store: Store) -> None:
    """One breach that stands, found while it lasted, and one that was taken back."""
    began_min = EXCURSION_S.start / 60
    stands = breach(began_min, began_min + 40)
    gone = breach(began_min + 300, began_min + 301, BreachKind.FORBIDDEN)
    for found in (judgement(stands, gone), judgement(stands)):
        with store.write() as connection:
            reconcile(connection, found, frozenset(), START_MS + (EXCURSION_S.start + 600) * 1000)
