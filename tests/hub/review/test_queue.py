from __future__ import annotations

from dataclasses import replace

import pytest
from sqlalchemy import insert

from gateway.core.configuration import Box, Calibration, Consignment, Logger
from gateway.core.profiles import Kind
from gateway.core.verdicts import Verdict
from gateway.hub.breaches.keeping import flag, read_breach, read_covered, reconcile
from gateway.hub.database.schema import users
from gateway.hub.database.store import Store
from gateway.hub.replication.ingest import Ingest
from gateway.hub.review import queue
from gateway.hub.review.queue import Filter, Order, Stage, read_queue, read_similar, read_vehicles
from tests.hub.review.reviewing import DOCTOR, QUALITY, Ward
from tests.hub.samples import MINUTE_MS, NOW_MS, breach, flagged, judgement
from tests.hub.vans import LOGGER, START_MS, Van, iso, observe


def numbers(store: Store, wanted: Filter, order: Order = Order.NEWEST) -> list[int]:
    return [line.breach.id for line in read_queue(store, wanted, order).lines]


@pytest.fixture
def ward(store: Store) -> Ward:
    """Breach 1 has ended, 2 runs; 3 is of a medicine in another box, flagged by a vehicle before its readings came."""
    made = Ward(store)
    made.judge((10, 30), (40, None))
    made.registry.put_box(Box(code="BOX-2"), "test")
    document = {
        "code": "C-2",
        "receiver": "ward-4",
        "items": [{"code": "V_1", "kind": "medicine", "examinations": [{"code": "dose", "profile": "vaccines"}]}],
        "carriage": [{"box": "BOX-2", "begins": iso(0)}],
    }
    made.registry.put_consignment(Consignment.model_validate(document), "nurse")
    one = replace(judgement(breach(50, 60)), consignment="C-2", item="V_1", profile="vaccines", verdict=Verdict.REVIEW)
    with store.write() as connection:
        reconcile(connection, one, read_covered(connection, "C-2"), NOW_MS)
    return made


def test_what_waits_is_all_that_is_not_closed(ward: Ward, store: Store) -> None:
    assert numbers(store, Filter()) == [3, 2, 1]
    ward.desk.acknowledge(2, DOCTOR)
    ward.close(1)
    assert numbers(store, Filter()) == [3, 2]
    assert numbers(store, Filter(stage=Stage.UNACKNOWLEDGED)) == [3]
    assert numbers(store, Filter(stage=Stage.ACKNOWLEDGED)) == [2]
    assert numbers(store, Filter(stage=Stage.RUNNING)) == [2]
    assert numbers(store, Filter(stage=Stage.CLOSED)) == [1]
    assert numbers(store, Filter(stage=Stage.ALL), Order.OLDEST) == [1, 2, 3]


def test_filters_are_taken_together(ward: Ward, store: Store) -> None:
    assert numbers(store, Filter(kind=Kind.MEDICINE)) == [3]
    assert numbers(store, Filter(kind=Kind.SAMPLE)) == [2, 1]
    assert numbers(store, Filter(box="BOX-1")) == [2, 1]
    assert numbers(store, Filter(receiver="ward-4")) == [3]
    assert numbers(store, Filter(profile="vaccines")) == [3]
    assert numbers(store, Filter(code="v_1")) == [3]
    assert numbers(store, Filter(code="%")) == []
    assert numbers(store, Filter(since_ms=START_MS + 40 * MINUTE_MS)) == [3, 2]
    assert numbers(store, Filter(since_ms=START_MS + 40 * MINUTE_MS, until_ms=START_MS + 50 * MINUTE_MS)) == [2]
    assert numbers(store, Filter(kind=Kind.SAMPLE, box="BOX-2")) == []
    (line,) = read_queue(store, Filter(box="BOX-2")).lines
    assert (line.kind, line.receiver, line.boxes, line.is_running) == (Kind.MEDICINE, "ward-4", ("BOX-2",), False)


def test_what_somebody_has_taken_on(ward: Ward, store: Store) -> None:
    with store.write() as connection:
        connection.execute(insert(users).values(name="kari", printed_name="Kari", roles="[]", created_at_ms=0))
    ward.desk.assign(2, QUALITY, "kari")
    assert numbers(store, Filter(assigned_to="kari")) == [2]
    assert numbers(store, Filter(assigned_to="ola")) == []


def test_a_breach_of_what_nobody_registered_counts_by_its_profile(ward: Ward, store: Store) -> None:
    stranger = flagged(breach(20, None)).model_copy(update={"consignment": "C-9", "key": "9" * 32})
    with store.write() as connection:
        flag(connection, stranger, NOW_MS)
    (line,) = read_queue(store, Filter(code="C-9", kind=Kind.SAMPLE)).lines
    assert (line.kind, line.boxes, line.is_running) == (Kind.SAMPLE, (), True)
    assert numbers(store, Filter(vehicle="van-1")) == [line.breach.id]


def test_a_vehicle_is_found_by_the_loggers_that_it_heard(ward: Ward, store: Store, van: Van) -> None:
    calibration = Calibration(certificate="K", calibrated_at=iso(-86400), due_at=iso(86400))
    ward.registry.put_logger(Logger(address=LOGGER, box="BOX-1", calibration=calibration), "test")
    van.seal(observe(660, 5.0))
    Ingest(store, lambda: NOW_MS).take(van.deliveries())
    assert numbers(store, Filter(vehicle="van-1")) == [2, 1]
    assert numbers(store, Filter(vehicle="van-2")) == []
    with store.read() as connection:
        first = read_breach(connection, 1)
        assert first is not None
        assert read_vehicles(connection, first) == ["van-1"]


def test_pages_end_where_the_queue_does(ward: Ward, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(queue, "PAGE_SIZE", 2)
    first, last, beyond = (read_queue(store, Filter(), page=page) for page in (1, 2, 99))
    assert [len(first.lines), len(last.lines), first.found, first.pages] == [2, 1, 3, 2]
    assert (beyond.page, [line.breach.id for line in beyond.lines]) == (2, [1])


def test_similar_breaches_are_the_others(ward: Ward, store: Store) -> None:
    lines, others = read_similar(store, Filter(stage=Stage.ALL, box="BOX-1"), 1, 5)
    assert ([line.breach.id for line in lines], others) == ([2], 1)
