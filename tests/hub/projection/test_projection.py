from __future__ import annotations

import asyncio
import gzip
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
from sqlalchemy import select

from gateway.core.configuration import Calibration, Logger
from gateway.core.observations import Source
from gateway.core.readings import Reading, to_reading
from gateway.hub.database import schema
from gateway.hub.database.store import Store
from gateway.hub.projection.points import observation_lines, reading_lines
from gateway.hub.projection.projector import Projector
from gateway.hub.projection.running import run_projection
from gateway.hub.projection.writing import Fault, InfluxError, InfluxWriter
from gateway.hub.record.archive import Archive
from gateway.hub.registry.registry import Registry
from gateway.hub.replication.ingest import Ingest
from gateway.hub.rooms import open_rooms
from gateway.hub.settings import HubSettings, InfluxSettings
from gateway.hub.signals.marks import Subject, mark
from tests.hub.vans import LOGGER, START_MS, Enrol, Van, observe


class Influx:
    """Answers as the v2 write API documents. A line with a temperature of 66.6 °C is malformed to it."""

    def __init__(self) -> None:
        self.points: dict[tuple[str, str], str] = {}
        self.writes = 0
        self.answers: list[tuple[int, dict[str, str]]] = []
        self.seen: dict[str, str] = {}
        self.wrote = threading.Event()

    def take(self, body: str) -> tuple[int, dict[str, str]]:
        self.writes += 1
        if self.answers:
            return self.answers.pop(0)
        lines = body.split("\n")
        if any("temperature_c=66.600" in line for line in lines):
            return 400, {}
        for line in lines:
            series, _, moment = line.split(" ")
            self.points[series, moment] = line
        self.wrote.set()
        return 204, {}


@pytest.fixture
def influx() -> Iterator[tuple[Influx, InfluxSettings]]:
    engine = Influx()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            if self.headers.get("Content-Encoding") == "gzip":
                body = gzip.decompress(body)
            query = parse_qs(urlsplit(self.path).query)
            engine.seen = {key: values[0] for key, values in query.items()}
            engine.seen["authorization"] = self.headers["Authorization"]
            status, headers = engine.take(body.decode())
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002  the base class's name
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    url = f"http://127.0.0.1:{server.server_address[1]}"
    yield engine, InfluxSettings(url=url, token="t0ken", org="lab", bucket="cold")
    server.shutdown()
    thread.join()
    server.server_close()


class Fake:
    """A writer in memory that can be told to fail."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.batches: list[int] = []
        self.fails: InfluxError | None = None

    def write(self, bucket: str, lines: list[str]) -> None:
        if self.fails is not None:
            raise self.fails
        if any("66.6" in line for line in lines):
            raise InfluxError(Fault.CONTENT, "unable to parse")
        self.batches.append(len(lines))
        self.lines += lines


class Desk:
    def __init__(self, store: Store) -> None:
        self.store, self.writer = store, Fake()
        self.ingest = Ingest(store, lambda: START_MS)
        self.projection = Projector(store, Archive(store), self.writer, InfluxSettings())

    def run(self) -> int:
        total = 0
        while (written := self.projection.step(START_MS)) >= 0:
            total += written
        return total


@pytest.fixture
def desk(store: Store) -> Desk:
    return Desk(store)


def test_a_point_is_a_line_with_its_own_time() -> None:
    reading = Reading(START_MS, 5.1234, 30, Source.LIVE, clock_trusted=True, counter=7)
    (line,) = reading_lines("C0:FF", [reading])
    assert line == (
        'reading,logger=C0:FF temperature_c=5.123,interval_s=30i,source="live",clock_trusted=t,withdrawn=f,counter=7i'
        f" {START_MS}000000"
    )
    observed = observe(0, 5.1234, counter=7)
    assert observation_lines("C0:FF", [observed], -0.5) == reading_lines("C0:FF", [to_reading(observed, -0.5)])
    assert reading_lines("a b,c=d", [reading])[0].startswith(r"reading,logger=a\ b\,c\=d ")


def test_each_reading_is_written_once_and_again_nothing(desk: Desk, van: Van) -> None:
    for i in range(50):
        van.seal(observe(30 * i, 5.0, counter=i))
    desk.ingest.take(van.deliveries())
    assert desk.run() == 50
    assert len(set(desk.writer.lines)) == 50
    assert desk.run() == 0
    van.seal(observe(1500, 5.0, counter=50))
    desk.ingest.take(van.deliveries())
    assert desk.run() == 1


def test_only_settled_readings_are_points(desk: Desk, store: Store, enrolled: Enrol) -> None:
    one, two = enrolled(Van("van-1", b"1")), enrolled(Van("van-2", b"2"))
    one.seal(observe(0, 5.0, counter=1))
    two.seal(observe(1, 5.0, counter=1))  # the same measurement, heard by both
    desk.ingest.take([*one.deliveries(), *two.deliveries()])
    assert desk.run() == 1


def test_temperatures_are_calibrated(desk: Desk, store: Store, van: Van) -> None:
    calibration = Calibration.model_validate(
        {
            "certificate": "K",
            "calibrated_at": "2026-01-01T00:00:00Z",
            "due_at": "2027-01-01T00:00:00Z",
            "offset_c": -0.5,
        }
    )
    Registry(store, lambda: START_MS).put_logger(Logger(address=LOGGER, box="B", calibration=calibration), "test")
    van.seal(observe(0, 5.0))
    desk.ingest.take(van.deliveries())
    desk.run()
    assert "temperature_c=4.500" in desk.writer.lines[0]


def test_nothing_is_lost_while_the_server_is_away(desk: Desk, van: Van) -> None:
    van.seal(observe(0, 5.0, counter=0))
    desk.ingest.take(van.deliveries())
    desk.writer.fails = InfluxError(Fault.SERVER, "down")
    for _ in range(3):
        with pytest.raises(InfluxError):
            desk.projection.step(START_MS)
    desk.writer.fails = None
    assert desk.run() == 1


def test_a_refused_point_is_set_aside_and_the_others_written(desk: Desk, store: Store, van: Van) -> None:
    for i in range(20):
        van.seal(observe(30 * i, 66.6 if i == 13 else 5.0, counter=i))
    desk.ingest.take(van.deliveries())
    desk.run()
    assert len(set(desk.writer.lines)) == 19
    with store.read() as connection:
        (row,) = connection.execute(select(schema.quarantine)).all()
    assert (row.code, row.source) == ("point_refused", "projection")
    assert b"temperature_c=66.600" in row.verbatim


def test_what_was_held_back_is_projected_when_it_is_chained(desk: Desk, van: Van) -> None:
    for i in range(4):
        van.seal(observe(30 * i, 5.0, counter=i))
    desk.ingest.take(van.deliveries([van.sealed[3], van.sealed[0]]))
    assert desk.run() == 1
    desk.ingest.take(van.deliveries([van.sealed[1], van.sealed[2]]))
    assert desk.run() == 3


def test_what_is_read_while_a_batch_is_written_follows_it_and_is_ticked_off_only_after_it(desk: Desk, van: Van) -> None:
    for i in range(150):  # an epoch has at most 100 segments of a batch
        van.seal(observe(30 * i, 5.0, counter=i))
    desk.ingest.take(van.deliveries())
    with desk.store.write() as connection:
        mark(connection, Subject.HOUR, [f"{LOGGER} {START_MS}"])
    first = desk.projection.prepare(START_MS)
    assert first is not None
    following = desk.projection.prepare(START_MS, first)
    assert following is not None
    assert (len(first.lines), len(first.long_lines)) == (100, 1)
    assert (len(following.lines), len(following.long_lines)) == (50, 0)
    desk.projection.finish(following, [], START_MS)
    assert desk.run() == 150 + 1, "neither is ticked off"


def test_the_real_client_speaks_the_v2_write_interface(influx: tuple[Influx, InfluxSettings]) -> None:
    engine, settings = influx
    writer = InfluxWriter(settings)
    line = f"reading,logger=L temperature_c=5 {START_MS}"
    writer.write("cold", [line, line])
    assert engine.seen == {"org": "lab", "bucket": "cold", "precision": "ns", "authorization": "Token t0ken"}
    assert list(engine.points.values()) == [line]
    for status, headers, fault, wait in (
        (400, {}, Fault.CONTENT, 0),
        (422, {}, Fault.CONTENT, 0),
        (401, {}, Fault.SERVER, 0),
        (404, {}, Fault.SERVER, 0),
        (429, {"Retry-After": "7"}, Fault.SERVER, 7),
        (503, {"Retry-After": "soon"}, Fault.SERVER, 0),
    ):
        engine.answers = [(status, headers)]
        with pytest.raises(InfluxError) as caught:
            writer.write("cold", [line])
        assert (caught.value.fault, caught.value.retry_after_s) == (fault, wait)
    writer.close()


def test_a_server_that_is_not_there_is_no_fault_of_the_content() -> None:
    writer = InfluxWriter(InfluxSettings(url="http://127.0.0.1:9"))
    with pytest.raises(InfluxError) as caught:
        writer.write("cold", ["reading,logger=L temperature_c=5 1"])
    assert caught.value.fault is Fault.SERVER
    writer.close()


async def test_the_hub_projects_beside_everything_else(tmp_path: Path, influx: tuple[Influx, InfluxSettings]) -> None:
    engine, settings = influx
    rooms = open_rooms(HubSettings(data_dir=tmp_path, influx=settings))
    van = Van()
    rooms.enrolment.enrol(van.name, rooms.enrolment.issue_code(van.name, "test"), van.key.public_bytes)
    task = asyncio.create_task(run_projection(rooms, rooms.bells.arrived))
    van.seal(observe(0, 5.0, counter=1))
    await asyncio.to_thread(rooms.ingest.take, van.deliveries())
    rooms.bells.arrived.ring()
    assert await asyncio.to_thread(engine.wrote.wait, 30)
    task.cancel()
    await asyncio.wait({task})
    rooms.store.close()
    assert len(engine.points) == 1
