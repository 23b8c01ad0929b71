"""The projection against a real InfluxDB: what arrives, and what happens when it does not."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner
from msgspec import structs
from sqlalchemy import select

from gateway.cli import main
from gateway.core.contents import Content, encode_content
from gateway.core.observations import Source
from gateway.core.records import AnyRecord, CustodyEvent, DeviceFault, Health
from gateway.hub.database import schema
from gateway.hub.database.store import Store, open_store
from gateway.hub.projection.portions import count_waiting
from gateway.hub.projection.projector import Projector, project_all, restart
from gateway.hub.projection.running import run_projection
from gateway.hub.projection.writing import Fault, InfluxError, InfluxWriter
from gateway.hub.record.archive import Archive
from gateway.hub.replication.ingest import Ingest
from gateway.hub.rooms import open_rooms
from gateway.hub.settings import HubSettings, InfluxSettings
from tests.hub.vans import LOGGER, START_MS, Van, observe
from tests.integration.influx_engine import Answer, Engine, Front, ask
from tests.integration.week import enrol
from tests.waiting import LIMIT_S

LATER_MS = START_MS + 40 * 86_400_000


class Hub:
    """A store, a van that delivers to it, and a projector onto a real server."""

    def __init__(self, folder: Path, settings: InfluxSettings) -> None:
        self.settings = settings
        self.store = open_store(f"sqlite:///{folder / 'hub.sqlite3'}")
        self.van, self.other = Van("van-1", b"1"), Van("van-2", b"2")
        enrol(self.store, self.van, self.other)
        self.ingest = Ingest(self.store, lambda: START_MS)
        self.writer = InfluxWriter(settings)
        self.projector = Projector(self.store, Archive(self.store), self.writer, settings)

    def seal(self, readings: int, at_s: float = 0, *, van: Van | None = None) -> None:
        """Ten readings a segment, half a minute apart, none like another."""
        sender = van or self.van
        for start in range(0, readings, 10):
            many = range(start, min(start + 10, readings))
            sender.seal(*(observe(at_s + 30 * i, 4 + (i % 50) / 10, counter=i % 65_536) for i in many))
        self.ingest.take(sender.deliveries())

    def project(self) -> None:
        project_all(self.projector, lambda: LATER_MS)

    def ask(self, statement: str, *, long: bool = False) -> list[dict[str, object]]:
        name = self.settings.long_bucket_name if long else self.settings.bucket
        return ask(self.settings.url, name, statement, self.settings.token.get_secret_value())

    def count(self) -> int:
        rows = self.ask('SELECT count("temperature_c") AS "n" FROM "reading" WHERE "withdrawn" = false')
        return int(str(rows[0]["n"])) if rows else 0

    def quarantined(self) -> list[str]:
        with self.store.read() as connection:
            return [bytes(data).decode() for data in connection.execute(select(schema.quarantine.c.verbatim)).scalars()]

    def close(self) -> None:
        self.writer.close()
        self.store.close()


@pytest.fixture
def hub(tmp_path: Path, buckets: InfluxSettings) -> Iterator[Hub]:
    opened = Hub(tmp_path, buckets)
    yield opened
    opened.close()


def waiting(store: Store) -> int:
    with store.read() as connection:
        return count_waiting(connection)


def test_points_arrive_and_again_change_nothing(hub: Hub) -> None:
    hub.seal(300)
    hub.project()
    assert hub.count() == 300
    before = hub.ask('SELECT * FROM "reading"')
    restart(hub.store)
    hub.project()
    assert hub.ask('SELECT * FROM "reading"') == before
    hours = hub.ask('SELECT "readings" FROM "reading_hour"', long=True)
    assert [row["readings"] for row in hours] == [120, 120, 60]


def test_a_server_killed_in_between_loses_nothing(hub: Hub, front: Front) -> None:
    hub.seal(3000)
    front.play = [lambda _: None, lambda _: front.kill()]  # dies with the second write on its way
    batch = hub.projector.prepare(LATER_MS)
    assert batch is not None
    hub.projector.finish(batch, hub.projector.write(batch), LATER_MS)
    hub.seal(3000, at_s=100_000, van=hub.other)
    with pytest.raises(InfluxError) as caught:
        hub.project()
    assert caught.value.fault is Fault.SERVER
    assert waiting(hub.store) > 0
    front.restart()
    hub.project()
    assert waiting(hub.store) == 0
    assert hub.count() == 6000


@pytest.mark.parametrize(
    ("answer", "asked_s"),
    [
        (Answer(503, b'{"code":"unavailable"}', {"Retry-After": "3"}), 3),
        (Answer(429, b"", {"Retry-After": "120"}), 120),
        (Answer(500, b"internal"), 0),
        (Answer(401, b'{"code":"unauthorized"}'), 0),
        (Answer(404, b'{"code":"not found","message":"bucket not found"}'), 0),
    ],
    ids=lambda value: str(value.status) if isinstance(value, Answer) else "",
)
def test_a_server_that_does_not_take_points_now_gets_them_later(
    hub: Hub, front: Front, answer: Answer, asked_s: float
) -> None:
    hub.seal(100)
    front.play = [lambda _: answer]
    with pytest.raises(InfluxError) as caught:
        hub.project()
    assert (caught.value.fault, caught.value.retry_after_s) == (Fault.SERVER, asked_s)
    assert waiting(hub.store) == 10
    hub.project()
    assert hub.count() == 100
    assert hub.quarantined() == []


def test_points_that_cannot_be_are_set_aside_and_the_others_written(hub: Hub, influx: Engine) -> None:
    hub.seal(100)
    batch = hub.projector.prepare(LATER_MS)
    assert batch is not None
    # A text where temperatures are numbers; and lines that are none. In the middle, so that both halves matter.
    wrong_type = batch.lines[50].replace("temperature_c=", 'interval_s="long",other_c=')
    no_line = batch.lines[51].replace("temperature_c=", "temperature_c=warm")
    lines = [*batch.lines[:50], wrong_type, no_line, "reading", *batch.lines[52:]]
    spoilt = replace(batch, lines=lines)
    hub.projector.finish(spoilt, hub.projector.write(spoilt), LATER_MS)
    assert hub.count() == 98
    assert sorted(hub.quarantined()) == sorted([wrong_type, no_line, "reading"])
    assert waiting(hub.store) == 0


def test_a_server_that_takes_nothing_at_all_is_not_believed(hub: Hub, front: Front) -> None:
    hub.seal(100)
    front.play = [lambda _: Answer(400, b'{"code":"invalid","message":"no"}')] * 1000
    with pytest.raises(InfluxError) as caught:
        hub.project()
    assert caught.value.fault is Fault.SERVER
    assert hub.quarantined() == []
    front.play = []
    hub.project()
    assert hub.count() == 100


def test_points_older_than_the_bucket_keeps_are_no_fault(hub: Hub, front: Front) -> None:
    hub.seal(100)
    said = b'{"code":"unprocessable entity","message":"partial write: points beyond retention policy dropped=100"}'
    front.play = [lambda _: Answer(422, said)]
    hub.project()
    assert (waiting(hub.store), hub.quarantined()) == (0, [])


def test_what_arrives_late_is_written_and_what_it_replaces_is_withdrawn(hub: Hub) -> None:
    memory = [
        structs.replace(observe(300 * i, 5.0), source=Source.MEMORY, interval_s=300, counter=None) for i in range(12)
    ]
    hub.van.seal(*memory)
    hub.ingest.take(hub.van.deliveries())
    hub.project()
    assert hub.count() == 12
    hub.seal(60, van=hub.other)  # another van heard half an hour of it live, and was away until now
    hub.project()
    true = 60 + sum(300 * i > 30 * 59 + 150 for i in range(12))
    assert hub.count() == true
    (hour,) = hub.ask('SELECT "readings" FROM "reading_hour"', long=True)
    assert hour["readings"] == true


def test_two_vans_that_hear_one_box_make_one_point_of_one_measurement(hub: Hub) -> None:
    hub.seal(40, at_s=1, van=hub.other)
    hub.project()
    hub.seal(40)  # a second earlier by its clock
    hub.project()
    assert hub.count() == 40
    rows = hub.ask('SELECT "temperature_c" FROM "reading" WHERE "withdrawn" = false')
    assert all((int(str(row["time"])) - START_MS) % 30_000 == 0 for row in rows)


def test_texts_from_vehicles_do_no_harm(hub: Hub) -> None:
    at_ms = START_MS
    wicked = "a\\", 'q"uo"te\\', "new\nline", "komma, like = blank", "æøå 🧊", "x" * 5000
    records: list[AnyRecord] = [CustodyEvent(at_ms, True, text, text, text, text, text, text) for text in wicked]
    records += [DeviceFault(at_ms, True, text, text, {text: 1}) for text in wicked]
    records += [Health(at_ms, True, dict.fromkeys(wicked, 2**62))]
    hub.van.seal_bytes(encode_content(Content((), tuple(records))))
    hub.ingest.take(hub.van.deliveries())
    hub.project()
    assert hub.quarantined() == []
    held = hub.ask('SELECT "act", "box", "place" FROM "custody"')
    assert len(held) == len(wicked)
    assert {row["box"] for row in held} >= {"a/", 'q"uo"te/', "new line", "komma, like = blank", "æøå 🧊"}
    assert len(hub.ask('SELECT "faults", "code" FROM "fault"')) == len(wicked)
    (report,) = hub.ask('SELECT * FROM "health"')
    assert report["komma, like = blank"] == 2**62


async def test_a_server_that_hangs_holds_up_neither_ingest_nor_the_end(
    tmp_path: Path, buckets: InfluxSettings, front: Front
) -> None:
    rooms = open_rooms(HubSettings(data_dir=tmp_path, influx=buckets))
    van = Van()
    rooms.enrolment.enrol(van.name, rooms.enrolment.issue_code(van.name, "test"), van.key.public_bytes)
    asked = asyncio.Event()
    loop = asyncio.get_running_loop()

    def hang(body: bytes) -> Answer:
        loop.call_soon_threadsafe(asked.set)
        return front.hang(body)

    front.play = [hang]
    van.seal(observe(0, 5.0, counter=1))
    await asyncio.to_thread(rooms.ingest.take, van.deliveries())
    task = asyncio.create_task(run_projection(rooms, rooms.bells.arrived))
    await asked.wait()
    van.seal(observe(30, 5.0, counter=2))
    await asyncio.to_thread(rooms.ingest.take, van.deliveries())
    assert len(rooms.archive.observations(LOGGER, START_MS, LATER_MS)) == 2
    task.cancel()
    await asyncio.wait({task})
    assert task.cancelled()
    assert waiting(rooms.store) == 2
    rooms.store.close()


async def test_a_hub_goes_on_by_itself_when_the_server_is_back(
    tmp_path: Path, buckets: InfluxSettings, front: Front, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateway.hub.projection.running.FIRST_WAIT_S", 0.05)
    rooms = open_rooms(HubSettings(data_dir=tmp_path, influx=buckets))
    van = Van()
    rooms.enrolment.enrol(van.name, rooms.enrolment.issue_code(van.name, "test"), van.key.public_bytes)
    front.play = [lambda _: Answer(503), lambda _: Answer(429, headers={"Retry-After": "0"})]
    van.seal(observe(0, 5.0, counter=1))
    await asyncio.to_thread(rooms.ingest.take, van.deliveries())
    task = asyncio.create_task(run_projection(rooms, rooms.bells.arrived))
    async with asyncio.timeout(LIMIT_S):
        while await asyncio.to_thread(waiting, rooms.store):  # noqa: ASYNC110  a database has no event for it
            await asyncio.sleep(0.05)
    task.cancel()
    await asyncio.wait({task})
    rooms.store.close()
    rows = ask(buckets.url, buckets.bucket, 'SELECT "temperature_c" FROM "reading"', buckets.token.get_secret_value())
    assert [row["temperature_c"] for row in rows] == [5.0]


@pytest.fixture
def run(tmp_path: Path, buckets: InfluxSettings) -> Callable[..., str]:
    lines = [f'data_dir = "{tmp_path}"', "[influx]", f'url = "{buckets.url}"', f'bucket = "{buckets.bucket}"']
    if buckets.org:
        lines += [f'org = "{buckets.org}"', f'token = "{buckets.token.get_secret_value()}"']
    settings = tmp_path / "hub.toml"
    settings.write_text("\n".join(lines))

    def run(*arguments: str) -> str:
        result = CliRunner().invoke(main, ["hub", arguments[0], "--settings", str(settings), *arguments[1:]])
        assert result.exit_code == 0, result.output
        return result.output

    return run


def test_the_command_rebuilds_a_lost_projection(hub: Hub, run: Callable[..., str]) -> None:
    hub.seal(200)
    hub.project()
    before = hub.ask('SELECT * FROM "reading"')
    assert run("project").startswith("0 segments projected")
    output = run("project", "--rebuild")
    assert "20 segments projected" in output
    assert hub.ask('SELECT * FROM "reading"') == before
    assert len(before) == 200


def test_the_command_sets_up_buckets_or_says_what_the_server_cannot(run: Callable[..., str], influx: Engine) -> None:
    output = run("init")
    if influx.translates:
        assert output.count("has no v2 interface for buckets (HTTP 404)") == 2
    else:
        assert output.count("kept for ever") == 2
    assert output.count("answers InfluxQL") == 2
