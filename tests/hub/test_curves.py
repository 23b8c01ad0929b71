"""Curves that are kept: whatever arrives, and in whatever order, they are those that would be read now."""

from __future__ import annotations

import random
from datetime import UTC, datetime

import pytest
from msgspec.structs import replace
from sqlalchemy import delete

from gateway.core.configuration import Calibration, Carriage, Logger
from gateway.core.observations import Observation, Source
from gateway.core.records import ClockCorrection
from gateway.hub.database.schema import logger_hours
from gateway.hub.database.store import Store
from gateway.hub.judgement.redating import Redating
from gateway.hub.record.archive import Archive
from gateway.hub.replication.ingest import Ingest
from gateway.hub.traces.drawing import draw_trace
from gateway.hub.traces.trace import plan_trace
from gateway.hub.views import curves as module
from gateway.hub.views.curves import Curve, Curves, to_curve
from gateway.hub.views.trips import read_trips
from gateway.language import ENGLISH
from tests.hub.vans import LOGGER, START_MS, Enrol, Van, iso, observe, sqlite_only

HOUR_S = 3600
BEHIND_MS = 5 * HOUR_S * 1000
"""How far a clock without a battery is behind."""
OPEN = Carriage(box="BOX-1", begins=datetime.fromtimestamp(START_MS / 1000, UTC))
CLOSED = OPEN.model_copy(update={"ends": datetime.fromtimestamp(START_MS / 1000 + 9 * HOUR_S, UTC)})
LOGGERS = [
    Logger(
        address=LOGGER,
        box="BOX-1",
        calibration=Calibration(certificate="K", calibrated_at=iso(0), due_at=iso(1e6), offset_c=0.25),  # type: ignore[arg-type]  pydantic reads it
    )
]


class Road:
    """Two vans that hear one logger, each in its own way, and what they have sealed and not delivered yet."""

    def __init__(self, rng: random.Random, vans: list[Van]) -> None:
        self.rng = rng
        self.vans = vans
        self.counter = 0
        self.now_s = 0.0
        self.undelivered: list[tuple[Van, int]] = []

    def measure(self) -> list[Observation]:
        """The logger measures now and then; its counter turns, and starts again with its battery."""
        found = []
        for _ in range(self.rng.choice([1, 1, 2, 20])):
            self.now_s += self.rng.choice([30, 30, 30, 31, 90, 1800])
            self.counter = self.rng.choice([0, *[(self.counter + 1) % 40] * 30])
            found.append(observe(self.now_s, self.rng.choice([2, 5, 5.5, 9]), counter=self.counter))
        return found

    def seal(self) -> None:
        """One van seals what it heard; sometimes the other heard it too, an instant later or otherwise."""
        heard = self.measure()
        van, other = self.rng.sample(self.vans, 2)
        kind = self.rng.choice(["live"] * 6 + ["both", "memory", "ahead", "untrusted"])
        if kind == "memory":
            heard = [replace(one, source=Source.MEMORY, counter=None, interval_s=300) for one in heard]
        elif kind == "ahead":
            heard = [replace(one, measured_at_ms=one.measured_at_ms + 600_000) for one in heard]
        elif kind == "untrusted":
            heard = [replace(one, measured_at_ms=one.measured_at_ms - BEHIND_MS, clock_trusted=False) for one in heard]
        self._seal(van, heard)
        if kind == "both":
            self._seal(other, [replace(one, measured_at_ms=one.measured_at_ms + 7) for one in heard])

    def find_the_time(self) -> None:
        """A van's clock becomes trusted: what it stamped before is dated anew."""
        at_ms = START_MS + round(self.now_s * 1000)
        told = ClockCorrection(at_ms, True, round(self.now_s * 1000), at_ms - BEHIND_MS, "became trusted", 50, "ntp")
        van = self.rng.choice(self.vans)
        van.seal(records=[told])
        self.undelivered.append((van, len(van.sealed) - 1))

    def deliver(self, ingest: Ingest) -> None:
        """Some of it arrives, of the newest or the oldest."""
        for _ in range(self.rng.choice([1, 2, 5])):
            if self.undelivered:
                van, number = self.undelivered.pop(self.rng.choice([0, -1]))
                ingest.take(van.deliveries([van.sealed[number]]))

    def _seal(self, van: Van, heard: list[Observation]) -> None:
        van.seal(*heard, observe(self.now_s, 99.0, logger="C0:FF:EE:00:00:99"))
        self.undelivered.append((van, len(van.sealed) - 1))


def as_numbers(found: list[Curve]) -> list[tuple[object, ...]]:
    return [
        (
            one.from_ms,
            one.to_ms,
            list(zip(one.columns.at_ms, one.columns.temperature_c, one.columns.interval_s, strict=True)),
            (one.columns.low_c, one.columns.high_c, one.columns.longest_ms),
        )
        for one in found
    ]


def look(store: Store, kept: Curves, carried: Carriage, until_ms: int) -> list[Curve]:
    with store.read() as connection:
        return kept.read(connection, [carried], LOGGERS, until_ms)


def drawn(found: list[Curve]) -> str:
    trace = plan_trace(found, None, ())
    assert trace is not None
    return draw_trace(trace, ENGLISH, name="t", title="T") + str(trace.rows)


@sqlite_only
@pytest.mark.parametrize("seed", range(4))
def test_whatever_arrives_what_is_kept_is_what_would_be_read(seed: int, store: Store, enrolled: Enrol) -> None:
    rng = random.Random(seed)  # noqa: S311  repeatable, no secret
    vans = [enrolled(Van(f"van-{n}", bytes([n]), bytes([n]) * 8)) for n in (1, 2)]
    road, ingest, kept = Road(rng, vans), Ingest(store, lambda: START_MS), Curves(Archive(store))
    redating = Redating(store, Archive(store), lambda: START_MS)
    until_ms = 0
    for step in range(30):
        road.seal()
        if rng.random() < 0.1:
            road.find_the_time()
        road.deliver(ingest)
        if rng.random() < 0.3:
            redating.work()
        if rng.random() < 0.8:  # else asked again for the same time
            until_ms = START_MS + round((road.now_s + rng.choice([0, 0, 0, -600, 300])) * 1000)
        archive = Archive(store)
        for carried in (OPEN, CLOSED):
            found = look(store, kept, carried, until_ms)
            fresh = [to_curve(trip) for trip in read_trips(archive, [carried], LOGGERS, until_ms)]
            assert as_numbers(found) == as_numbers(fresh), step
    assert drawn(found) == drawn(fresh)


@sqlite_only
def test_what_is_kept_is_bounded_and_appended_to(store: Store, van: Van, monkeypatch: pytest.MonkeyPatch) -> None:
    kept, ingest = Curves(Archive(store)), Ingest(store, lambda: START_MS)
    read: list[int] = []
    observed = Archive.observed

    def count(self: Archive, *asked: object) -> list[Observation]:
        found = list(observed(self, *asked))  # type: ignore[arg-type]  what it is given
        read.append(len(found))
        return found

    monkeypatch.setattr(Archive, "observed", count)
    for number in range(30):
        van.seal(*(observe(300 * number + 30 * i, 5.0, counter=10 * number + i) for i in range(10)))
        ingest.take(van.deliveries(van.sealed[-1:]))
        (curve,) = look(store, kept, OPEN, START_MS + 300_000 * (number + 1))
        assert len(curve.columns) == 10 * (number + 1)
    assert read == [10] * 30, "each reading is read once"
    monkeypatch.setattr(module, "CURVE_READINGS_MAX", 299)
    for _ in range(2):
        look(store, kept, OPEN, START_MS + 300_000 * 30)
    assert read[30:] == [0, 300], "too large to be kept, it is read again"
    monkeypatch.undo()
    look(store, kept, OPEN, START_MS + 300_000 * 30)
    with store.write() as connection:
        connection.execute(delete(logger_hours))  # as retention does
    (curve,) = look(store, kept, OPEN, START_MS + 300_000 * 30)
    assert len(curve.columns) == 0
