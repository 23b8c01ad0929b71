"""Several processes' worth of stores over one PostgreSQL, at the same time."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import pytest
from sqlalchemy import func, select, text
from sqlalchemy.exc import OperationalError

from gateway.core.configuration import Box
from gateway.hub.breaches.keeping import flag
from gateway.hub.database import schema
from gateway.hub.database.store import Store, open_store
from gateway.hub.proof.verification import verify_store
from gateway.hub.record.archive import Archive
from gateway.hub.registry.configurations import Configurations
from gateway.hub.registry.enrolment import Enrolment
from gateway.hub.registry.registry import Registry
from gateway.hub.replication.ingest import Ingest
from gateway.hub.signals.dirty import mark_consignments, read_marks
from gateway.hub.signals.events import read_events, tell
from tests.hub.samples import breach, flagged
from tests.hub.vans import START_MS, Enrol, Van, observe
from tests.servers.postgres import Cluster

T = TypeVar("T")
AT_ONCE = 6


@pytest.fixture
def database(postgres_url: str) -> str:
    return postgres_url


@pytest.fixture
def stores(database: str, store: Store) -> Iterator[list[Store]]:
    opened = [open_store(database) for _ in range(AT_ONCE)]
    yield opened
    for one in opened:
        one.close()


def at_once(acts: list[Callable[[], T]]) -> list[T]:
    """Do everything at the same time; an act that fails fails the test."""
    with ThreadPoolExecutor(len(acts)) as threads:
        return [future.result() for future in [threads.submit(act) for act in acts]]


def test_processes_that_start_at_once_migrate_an_empty_database_once(postgres: Cluster) -> None:
    url = postgres.make_database(empty=True)
    opened = at_once([lambda: open_store(url) for _ in range(AT_ONCE)])
    with opened[0].read() as connection:
        assert connection.execute(select(func.count()).select_from(schema.hub_state)).scalar() == 1
    for store in opened:
        store.close()
    postgres.drop_database(url)


def test_an_epoch_never_waits_for_a_parent_that_another_worker_was_just_storing(
    stores: list[Store], enrolled: Enrol
) -> None:
    rng = random.Random(3)  # noqa: S311  a reproducible order
    for number in range(8):
        first = enrolled(Van(f"van-{number}", b"%d" % number))
        first.seal(observe(0, 5.0))
        second = first.restart(b"epoch--0")  # sorts before its parent
        second.seal(observe(30, 5.0))
        third = second.restart(b"epoch--9")
        third.seal(observe(60, 5.0))
        deliveries = [*first.deliveries(), *second.deliveries(), *third.deliveries()] * 2
        rng.shuffle(deliveries)
        ingests = [Ingest(store, lambda: START_MS) for store in stores]
        at_once(
            [
                lambda ingest=ingest, delivery=delivery: ingest.take([delivery])
                for ingest, delivery in zip(ingests, deliveries, strict=True)
            ]
        )
    counts = Archive(stores[0]).counts()
    assert (counts.chained, counts.held) == (24, 0)
    assert verify_store(stores[0]).is_proven


def test_workers_that_mark_and_take_in_any_order_lose_no_mark_and_do_not_block_each_other(
    stores: list[Store], enrolled: Enrol
) -> None:
    vans = [enrolled(Van(f"van-{number}", b"%d" % number)) for number in range(AT_ONCE)]
    for van in vans:
        van.seal(observe(0, 5.0))
    mixed = [vans[number:] + vans[:number] for number in range(AT_ONCE)]

    def take(store: Store, order: list[Van]) -> None:
        Ingest(store, lambda: START_MS).take([one for van in order for one in van.deliveries()])
        with store.write() as connection:
            mark_consignments(connection, [f"C-{van.name}" for van in order], START_MS)

    at_once([lambda s=store, o=order: take(s, o) for store, order in zip(stores, mixed, strict=True)])
    with stores[0].read() as connection:
        assert {mark.marks for mark in read_marks(connection, 100)} == {AT_ONCE}
    assert Archive(stores[0]).counts().chained == AT_ONCE


def test_one_breach_flagged_by_many_at_once_is_one_with_one_alert(stores: list[Store]) -> None:
    def flag_it(store: Store) -> tuple[int, bool]:
        with store.write() as connection:
            return flag(connection, flagged(breach(10, None)), START_MS)

    answers = at_once([lambda s=store: flag_it(s) for store in stores])
    assert len({breach_id for breach_id, _ in answers}) == 1
    assert sum(is_new for _, is_new in answers) == 1
    with stores[0].read() as connection:
        assert connection.execute(select(func.count()).select_from(schema.alerts)).scalar() == 1


def test_the_audit_trail_stays_one_chain(stores: list[Store]) -> None:
    def act(store: Store, number: int) -> None:
        registry = Registry(store, lambda: START_MS)
        enrolment = Enrolment(store, b"s" * 32, lambda: START_MS)
        for turn in range(5):
            registry.put_box(Box(code=f"BOX-{turn}", label=f"by {number}"), f"who-{number}")
            enrolment.issue_code(f"van-{turn}", f"who-{number}")

    at_once([lambda s=store, n=number: act(s, n) for number, store in enumerate(stores)])
    with stores[0].read() as connection:
        assert connection.execute(select(func.count()).select_from(schema.audit)).scalar() == AT_ONCE * 10
    assert verify_store(stores[0]).is_proven


def test_configurations_made_at_once_are_one_version(stores: list[Store], van: Van) -> None:
    made = at_once([lambda s=store: Configurations(s, lambda: START_MS).refresh() for store in stores])
    assert {configuration.version for (configuration,) in made} == {1}


def test_a_claim_is_had_by_one_and_others_pass_over_it(stores: list[Store]) -> None:
    one, two = stores[:2]
    with one.claim("consignment", ["a", "b", "c"], 2) as first, two.claim("consignment", ["a", "b", "c"], 2) as second:
        assert (list(first.names), list(second.names)) == (["a", "b"], ["c"])
    with two.claim("consignment", ["a", "b", "c"], 2) as again:
        assert list(again.names) == ["a", "b"]


def test_what_is_written_under_a_claim_is_committed_with_it(stores: list[Store]) -> None:
    with stores[0].claim("consignment", ["a"], 1) as claim:
        with claim.write() as connection:
            mark_consignments(connection, ["a"], START_MS)
        with stores[1].read() as other:
            assert read_marks(other, 10) == []
    with stores[1].read() as other:
        assert [mark.consignment for mark in read_marks(other, 10)] == ["a"]


def test_a_listener_sees_every_event_however_transactions_overlap(stores: list[Store]) -> None:
    """The one that began first commits last, and a listener has read on meanwhile."""
    with stores[0].write() as slow:
        tell(slow, "gateway", {"n": 1}, START_MS)
        with stores[1].write() as quick:
            tell(quick, "gateway", {"n": 2}, START_MS)
        with stores[2].read() as connection:
            seen = read_events(connection, 0, 10)
    with stores[2].read() as connection:
        seen += read_events(connection, seen[-1].id, 10)
    assert [event.data for event in seen] == ['{"n":2}', '{"n":1}']


def test_a_database_that_goes_away_within_a_transaction_is_said_to_be_away(store: Store) -> None:
    with pytest.raises(OperationalError), store.write() as connection:
        connection.execute(text("SELECT pg_terminate_backend(pg_backend_pid())"))
    with pytest.raises(OperationalError), store.claim("leader", ["x"], 1) as claim, claim.write() as connection:
        connection.execute(text("SELECT pg_terminate_backend(pg_backend_pid())"))
    with store.write() as connection:
        tell(connection, "gateway", {}, START_MS)
    with store.read() as connection:
        assert len(read_events(connection, 0, 10)) == 1
