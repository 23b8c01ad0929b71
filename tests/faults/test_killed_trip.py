"""A trip during which everything is killed, again and again: nothing is lost, doubled or altered, no alert repeated.

It takes two minutes: the trip itself, played as fast as its processes can be started again.
"""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import pytest
from sqlalchemy import func, select

from gateway.demo.reckoning import Account, reckon
from gateway.demo.record import read_archived, read_sealed
from gateway.demo.stage import default_scenario
from gateway.demo.trip import Trip, load_trip
from gateway.demo.truth import read_truth
from gateway.hub.database import schema
from gateway.hub.database.store import Store, open_store
from tests.faults.convoy import WAIT_S, Convoy, TooLateError, assemble, verify
from tests.faults.rounds import list_custody
from tests.servers.mosquitto import Mosquitto
from tests.servers.postgres import TEMPLATE, Cluster, PostgresMissingError, running_cluster
from tests.waiting import until_found

SEED = 20
RATE = 160.0
"""Five hours of transport in 113 s."""
VICTIMS = {
    "vehicle": 36,
    "ingest-1": 12,
    "ingest-2": 12,
    "watch-1": 9,
    "watch-2": 9,
    "serve": 8,
    "broker": 14,
    "backend": 7,
    "postmaster": 5,
}
KILLED_WORKERS = sum(times for name, times in VICTIMS.items() if name not in {"broker", "backend", "postmaster"})
LEADS_S = (15.0, 45.0, 120.0, 300.0)
"""The processes are ready within five seconds, unless the machine is busy with something else."""
BREACHED = {("TUBE-2", "cold"), ("BOTTLE-4", "refrigerated"), ("VACCINE-5", "warm")}


@pytest.fixture
def mortal_cluster() -> Iterator[Cluster]:
    """PostgreSQL for this test alone, which keeps what it has committed when it is killed."""
    try:
        with running_cluster(committed=True) as cluster:
            open_store(cluster.url(TEMPLATE)).close()
            yield cluster
    except PostgresMissingError as error:
        pytest.skip(str(error))


@asynccontextmanager
async def started(trip: Trip, folder: Path, cluster: Cluster, broker: Mosquitto) -> AsyncIterator[Convoy]:
    """Start everything ahead of the trip; where the machine was too slow for that, again and further ahead."""
    for attempt, lead_s in enumerate(LEADS_S):
        attempted = folder / f"attempt-{attempt}"
        attempted.mkdir()
        async with AsyncExitStack() as stack:
            try:
                convoy = await stack.enter_async_context(
                    assemble(trip, default_scenario(), attempted, cluster, broker, lead_s)
                )
            except TooLateError:
                continue
            yield convoy
            return
    raise TooLateError


async def kill_at_random(convoy: Convoy, rng: random.Random) -> None:
    """Kill one after another, spread over the whole trip."""
    victims = [name for name, times in VICTIMS.items() for _ in range(times)]
    rng.shuffle(victims)
    begins_ms, ends_ms = convoy.timing.start_ms, convoy.timing.stop_ms
    for number, victim in enumerate(victims):
        share = (number + rng.random()) / len(victims)
        await convoy.timing.until(begins_ms + round(share * (ends_ms - begins_ms)))
        await convoy.kill(victim, rng)


async def test_everything_is_killed_during_a_trip_and_nothing_is_lost(
    tmp_path: Path, mortal_cluster: Cluster, broker: Mosquitto
) -> None:
    print(f"seed {SEED}: {sum(VICTIMS.values())} kills")  # noqa: T201  what a failure is repeated with
    rng = random.Random(SEED)  # noqa: S311  a reproducible order
    trip = await load_trip(default_scenario(), rate=RATE)
    async with started(trip, tmp_path, mortal_cluster, broker) as convoy:
        reviving = asyncio.create_task(convoy.revive())
        try:
            await kill_at_random(convoy, rng)
            await convoy.timing.until(convoy.timing.stop_ms)
            await complete(convoy)
        finally:
            reviving.cancel()
            await asyncio.wait({reviving})
        codes = {name: worker.stop() for name, worker in convoy.workers.items()}
        assert set(codes.values()) == {0}, codes
        account = compare(convoy)
        assert (account.lost, account.duplicated, account.altered) == ((), (), ())
        # How much was heard, and how much fetched later, is the machine's matter: a slow one is down for longer.
        assert account.recorded == account.delivered > account.backfilled > 0
        report = await verify(convoy.settings)
        assert report["proven"], report
        assert int(str(report["epochs"])) > 1  # how many starts got as far as a segment is the machine's matter
        assert sum(worker.starts for worker in convoy.workers.values()) >= 6 + KILLED_WORKERS
        assert broker.starts == 1 + VICTIMS["broker"]
        check_alerts(convoy)
        check_logs(convoy)


async def complete(convoy: Convoy) -> None:
    """Wait until all that was recorded has arrived, all that was missed is fetched, and every verdict speaks of it."""
    missing: object = None
    try:
        async with asyncio.timeout(WAIT_S):
            while missing := await find_missing(convoy):  # noqa: ASYNC110  other processes have no event
                await asyncio.sleep(1)
    except TimeoutError:
        raise AssertionError(missing) from None
    await until_found(lambda: convoy.workers["serve"].is_ready)  # it may have been the last to be killed
    for consignment in convoy.trip.consignments:
        await convoy.reception.receive(consignment.code, convoy.trip.clock.stop.isoformat())
    store = open_store(convoy.database_url)
    try:
        await until_found(lambda: count(store, schema.dirty) == 0 and not unsent(store))
    finally:
        store.close()


async def find_missing(convoy: Convoy) -> object:
    waiting = await convoy.waiting()
    if waiting != 0:
        return "the vehicle does not answer" if waiting is None else f"{waiting} segments and stretches wait"
    return (await asyncio.to_thread(compare_archive, convoy)).lost


def compare(convoy: Convoy) -> Account:
    """Compare truth, outbox and archive; the vehicle has ended."""
    intervals = {box.logger.address: round(box.logger.memory_interval_s) for box in convoy.trip.boxes}
    truth = read_truth(convoy.truth, intervals)
    sealed = read_sealed(convoy.outbox, convoy.trip.demo.gateway)
    return reckon(truth, sealed, read_archived(convoy.database_url, intervals), list_custody(convoy.trip))


def compare_archive(convoy: Convoy) -> Account:
    """Compare truth and archive alone."""
    intervals = {box.logger.address: round(box.logger.memory_interval_s) for box in convoy.trip.boxes}
    archived = read_archived(convoy.database_url, intervals)
    return reckon(read_truth(convoy.truth, intervals), {}, archived, list_custody(convoy.trip))


def count(store: Store, table: object) -> int:
    with store.read() as connection:
        return int(connection.execute(select(func.count()).select_from(table)).scalar_one())  # type: ignore[arg-type]  # any table


def unsent(store: Store) -> int:
    with store.read() as connection:
        waiting = select(func.count()).where(schema.alerts.c.sent_at_ms.is_(None))
        return int(connection.execute(waiting).scalar_one())


def check_alerts(convoy: Convoy) -> None:
    store = open_store(convoy.database_url)
    try:
        with store.read() as connection:
            assert connection.execute(select(schema.quarantine.c.gateway, schema.quarantine.c.reason)).all() == []
            breaches = connection.execute(select(schema.breaches)).all()
            alerts = connection.execute(select(schema.alerts)).all()
            told = connection.execute(select(schema.events.c.data).where(schema.events.c.kind == "alert")).all()
    finally:
        store.close()
    lasting = [(breach.item, breach.rule) for breach in breaches if breach.state == "confirmed"]
    assert sorted(lasting) == sorted(BREACHED)
    assert Counter(alert.breach_id for alert in alerts if alert.kind == "breach") == {row.id: 1 for row in breaches}
    # Half an hour's silence is seconds here: a machine that is slow to start what was killed makes a vehicle silent.
    assert {alert.kind for alert in alerts} <= {"breach", "retraction", "vehicle_silent", "logger_lost"}, alerts
    assert len(told) == len(alerts)


def check_logs(convoy: Convoy) -> None:
    for worker in convoy.workers.values():
        assert "Traceback" not in worker.log.read_text(), worker.log.read_text()
