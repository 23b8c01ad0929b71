"""Many workers over one PostgreSQL and one Mosquitto, killed at random: nothing lost, doubled or judged twice."""

from __future__ import annotations

import asyncio
import random
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from itertools import pairwise
from pathlib import Path

import pytest
from sqlalchemy import func, select

from gateway.core.configuration import Box, Calibration, Consignment, Logger
from gateway.core.judgement import judge_consignment
from gateway.core.profiles import Profile
from gateway.hub.database import schema
from gateway.hub.judgement.verdict_history import read_current
from gateway.hub.proof.verification import verify_store
from gateway.hub.record.archive import Archive
from gateway.hub.registry.registry import Registry
from gateway.hub.rooms import Rooms, open_rooms
from gateway.hub.settings import HubSettings
from gateway.keys import VerifyKey
from gateway.mqtt import MqttClient, MqttSettings
from gateway.settings import load_settings
from tests.hub.vans import Van, iso, observe
from tests.servers.mosquitto import MosquittoMissingError, running_mosquitto
from tests.servers.workers import Worker
from tests.waiting import until_found
from tests.workers.fleet import Fleet

VANS = 6
SEGMENTS = 120
KILLS = 30
LIMIT_S = 600
"""It takes a tenth of that; a machine that is busy with something else gets it."""
NOW_S = SEGMENTS * 60 + 600


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[str]:
    folder = tmp_path / "mosquitto"
    folder.mkdir()
    try:
        with running_mosquitto(folder) as url:
            yield url
    except MosquittoMissingError as error:
        pytest.skip(str(error))


@pytest.fixture
def settings_file(tmp_path: Path, postgres_url: str, broker: str) -> Path:
    path = tmp_path / "hub.toml"
    path.write_text(
        f'data_dir = "{tmp_path / "hub"}"\ndatabase = "{postgres_url}"\n'
        f'[broker]\nurl = "{broker}"\nreconnect_max_s = 0.5\n'
        f'[clock]\nstart = "{iso(NOW_S)}"\nanchor_ns = {time.monotonic_ns()}\nquality = "declared"\n'
    )
    return path


@pytest.fixture
def apart_file(settings_file: Path) -> Path:
    """The same for a watch that judges in a process of its own."""
    path = settings_file.with_name("apart.toml")
    path.write_text(f"judges_apart = true\n{settings_file.read_text()}")
    return path


@pytest.fixture
async def rooms(settings_file: Path) -> AsyncIterator[Rooms]:
    opened = open_rooms(load_settings(HubSettings, settings_file))
    yield opened
    opened.store.close()


def logger_of(number: int) -> str:
    return f"C0:FF:EE:00:00:{number:02X}"


def is_warmed(number: int) -> bool:
    return number % 2 == 1


def make_van(rooms: Rooms, number: int) -> Van:
    """Enrol a van that carries one box for two hours; in every other one it is too warm for fifty minutes."""
    van = Van(f"van-{number}", b"key %d" % number)
    code = rooms.enrolment.issue_code(van.name, "test")
    rooms.enrolment.enrol(van.name, code, van.key.public_bytes)
    for minute in range(SEGMENTS):
        temperature_c = 12.0 if is_warmed(number) and 20 <= minute < 70 else 5.0
        van.seal(
            *(
                observe(60 * minute + 30 * half, temperature_c, logger=logger_of(number), counter=2 * minute + half)
                for half in range(2)
            )
        )
    return van


def register(registry: Registry, number: int) -> None:
    registry.put_box(Box(code=f"BOX-{number}"), "test")
    calibration = Calibration(certificate="K-1", calibrated_at=iso(-86_400), due_at=iso(864_000))
    registry.put_logger(Logger(address=logger_of(number), box=f"BOX-{number}", calibration=calibration), "test")
    item = {"code": f"T-{number}", "kind": "sample", "examinations": [{"code": "X", "profile": "tested"}]}
    carriage = {"box": f"BOX-{number}", "begins": iso(0), "ends": iso(60 * SEGMENTS - 60)}
    document = {"code": f"C-{number}", "items": [item], "carriage": [carriage]}
    registry.put_consignment(Consignment.model_validate(document), "test")


def make_profile() -> Profile:
    return Profile.model_validate(
        {
            "id": "tested",
            "title": "Tested",
            "kind": "sample",
            "owner": "tests",
            "source": "tests",
            "evidence": "verified",
            "limits": [{"name": "warm", "above_c": 8, "single": "30 min"}],
        }
    )


async def kill_at_random(workers: list[Worker], fleet: Fleet, rng: random.Random) -> None:
    """Kill one worker after another, in the middle of their work, and let the fleet send more with each."""
    for number in range(KILLS):
        half = VANS * fleet.released // 2
        fleet.released = SEGMENTS * (number + 1) // KILLS
        while sum(fleet.acknowledged.values()) < half:  # noqa: ASYNC110  what other processes do has no event
            await asyncio.sleep(0.05)
        await asyncio.sleep(rng.uniform(0, 0.3))
        worker = rng.choice(workers)
        await asyncio.to_thread(worker.kill)
        worker.start()


async def test_nothing_is_lost_doubled_or_judged_twice(
    rooms: Rooms, settings_file: Path, apart_file: Path, tmp_path: Path
) -> None:
    rng = random.Random(6)  # noqa: S311  a reproducible order
    rooms.registry.put_profile(make_profile(), "test")
    vans = [make_van(rooms, number) for number in range(VANS)]
    for number in range(VANS):
        register(rooms.registry, number)
    settings = ("--settings", str(settings_file))
    workers = [Worker(tmp_path / f"ingest-{i}.log", "hub", "ingest", "--name", f"i-{i}", *settings) for i in range(3)]
    workers.append(Worker(tmp_path / "watch.log", "hub", "watch", *settings))
    workers.append(Worker(tmp_path / "watch-apart.log", "hub", "watch", "--settings", str(apart_file)))
    fleet = Fleet(vans, VerifyKey(rooms.key.public_bytes), rng)
    broker = rooms.settings.broker
    assert isinstance(broker, MqttSettings)
    try:
        async with asyncio.timeout(LIMIT_S), MqttClient(broker, "fleet", repeat_in_flight=False) as client:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(fleet.drive(client))
                tasks.create_task(kill_at_random(workers, fleet, rng))
            await until_found(lambda: count(rooms, "dirty") == 0 and not unsent(rooms))
    finally:
        codes = [worker.stop() for worker in workers]
    assert codes == [0] * 5
    assert sum(worker.starts for worker in workers) == 5 + KILLS
    check_logs(workers)
    check_archive(rooms, vans)
    check_verdicts(rooms)
    check_alerts(rooms)


def check_logs(workers: list[Worker]) -> None:
    for worker in workers:
        assert "Traceback" not in worker.log.read_text(), worker.log.read_text()


def count(rooms: Rooms, table: str) -> int:
    with rooms.store.read() as connection:
        return int(connection.execute(select(func.count()).select_from(schema.metadata.tables[table])).scalar_one())


def unsent(rooms: Rooms) -> int:
    with rooms.store.read() as connection:
        waiting = select(func.count()).where(schema.alerts.c.sent_at_ms.is_(None))
        return int(connection.execute(waiting).scalar_one())


def check_archive(rooms: Rooms, vans: list[Van]) -> None:
    with rooms.store.read() as connection:
        assert connection.execute(select(schema.quarantine.c.gateway, schema.quarantine.c.reason)).all() == []
    counts = Archive(rooms.store).counts()
    assert (counts.gateways, counts.chained, counts.held) == (VANS, VANS * SEGMENTS, 0)
    for number, van in enumerate(vans):
        stored = Archive(rooms.store).stored(logger_of(number), 0, 1 << 48)
        assert sorted(entry.observation.counter or 0 for entry in stored) == list(range(2 * SEGMENTS)), van.name
    # Every signature, link, index entry, and the audit trail.
    assert verify_store(rooms.store).is_proven


def check_verdicts(rooms: Rooms) -> None:
    """What stands is what one judge says of the whole archive, and no version repeats the one before."""
    archive, now_ms = Archive(rooms.store), rooms.clock.now_ms()
    for number in range(VANS):
        case = rooms.configurations.case(f"C-{number}")
        assert case is not None
        observations = archive.observations(logger_of(number), 0, 1 << 48)
        (expected,) = judge_consignment(case.consignment, case.configuration, observations, now_ms)
        with rooms.store.read() as connection:
            (found,) = read_current(connection, f"C-{number}")
            table = schema.judgements
            rows = connection.execute(
                select(table.c.version, table.c.fingerprint)
                .where(table.c.consignment == f"C-{number}")
                .order_by(table.c.version)
            ).all()
        assert (found.judgement.verdict, found.judgement.breaches) == (expected.verdict, expected.breaches)
        assert [row.version for row in rows] == list(range(1, len(rows) + 1))
        assert all(bytes(one.fingerprint) != bytes(two.fingerprint) for one, two in pairwise(rows))


def check_alerts(rooms: Rooms) -> None:
    warmed = {f"C-{number}": 1 for number in range(VANS) if is_warmed(number)}
    with rooms.store.read() as connection:
        breaches = connection.execute(select(schema.breaches.c.consignment, schema.breaches.c.state)).all()
        alerts = connection.execute(
            select(schema.alerts.c.kind, schema.breaches.c.consignment).join(
                schema.breaches, schema.breaches.c.id == schema.alerts.c.breach_id
            )
        ).all()
        told = connection.execute(select(schema.events.c.data).where(schema.events.c.kind == "alert")).all()
    assert Counter(row.consignment for row in breaches) == warmed
    assert {row.state for row in breaches} == {"confirmed"}
    assert Counter(row.consignment for row in alerts) == warmed
    assert {row.kind for row in alerts} == {"breach"}
    assert len(told) == len(warmed)
