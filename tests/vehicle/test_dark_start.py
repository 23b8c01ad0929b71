"""A real `coldchain vehicle` that wakes up eight hours behind, learns the time from GPS, stops at a home and at a site.

What it recorded before is put right at a real hub; and nothing that leaves the vehicle, or stays on its disk, says
where the home is.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import signal
import struct
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path

import httpx
from sqlalchemy import insert, select

from firmware_sim.bluez import FakeBluez
from gateway.core.configuration import Configuration, Site
from gateway.core.contents import decode_content
from gateway.core.judgement import judge_consignment
from gateway.core.records import AnyRecord, Stop
from gateway.hub.database import schema
from gateway.hub.database.store import Store, open_store
from gateway.hub.judgement.redating import Redating
from gateway.hub.processes.broker import EmbeddedBroker
from gateway.hub.record.archive import Archive
from gateway.hub.replication.ingest import Delivery, Ingest
from gateway.keys import SigningKey, load_or_create_key
from gateway.mqtt import MqttClient, MqttSettings
from gateway.vehicle.enrolment import Enrolment, save_enrolment
from tests.vehicle.carried import configuration
from tests.vehicle.conftest import Until
from tests.vehicle.fakes import HUB_KEY, FakeHub
from tests.vehicle.samples import T0, TAG, VAN
from tests.vehicle.tags import Tag
from tests.waiting import LIMIT_S

RATE = 60
BEHIND_MS = 8 * 3_600_000
HOME = (60.391827, 5.347261)
LAB = Site(name="LAB", latitude=60.3761, longitude=5.3561, radius_m=200)
TOLERANCE_MS = 10 * 60_000
"""Ten seconds of a busy machine, at RATE; the clock is off by fifty times that."""


class Truth:
    """The true domain time: T0 when the test began."""

    def __init__(self) -> None:
        self.anchor_ns = time.monotonic_ns()

    def now_ms(self) -> int:
        return T0 + (time.monotonic_ns() - self.anchor_ns) * RATE // 1_000_000

    def clock_of_the_vehicle(self) -> str:
        start = datetime.fromtimestamp((T0 - BEHIND_MS) / 1000, UTC)
        return json.dumps({"start": start.isoformat(), "rate": RATE, "anchor_ns": self.anchor_ns})


class Receiver:
    """gpsd with a receiver that has no fix until it is given a place. Each report is off by some metres."""

    def __init__(self, truth: Truth) -> None:
        self.place: tuple[float, float] | None = None
        self.said: set[tuple[float, float]] = set()
        self.port = 0
        self._truth = truth
        self._rng = random.Random(5)  # noqa: S311  a test

    @asynccontextmanager
    async def running(self) -> AsyncIterator[Receiver]:
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = server.sockets[0].getsockname()[1]
        async with server:
            yield self
            server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readline()
        with suppress(ConnectionError):
            while True:
                writer.write(json.dumps(self._report()).encode() + b"\r\n")
                await writer.drain()
                await asyncio.sleep(0.02)

    def _report(self) -> dict[str, object]:
        if self.place is None:
            return {"class": "TPV", "mode": 1}
        moment = datetime.fromtimestamp(self._truth.now_ms() / 1000, UTC).isoformat().replace("+00:00", "Z")
        latitude, longitude = (round(degrees + self._rng.uniform(-5e-5, 5e-5), 6) for degrees in self.place)
        self.said.add((latitude, longitude))
        return {"class": "TPV", "mode": 3, "time": moment, "ept": 0.005, "lat": latitude, "lon": longitude, "eph": 8.0}


class Eavesdropper:
    """Hears all that passes through the broker and all that the vehicle's page tells."""

    def __init__(self) -> None:
        self.heard: list[bytes] = []

    @asynccontextmanager
    async def listening(self, url: str) -> AsyncIterator[None]:
        async with MqttClient(MqttSettings(url=url, reconnect_max_s=0.1), "eavesdropper") as client:
            await client.subscribe("#")
            await client.ready()
            task = asyncio.create_task(self._listen(client))
            try:
                yield
            finally:
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)

    async def _listen(self, client: MqttClient) -> None:
        async for message in client.messages:
            if not message.topic.endswith("/config"):
                self.heard += [message.topic.encode(), message.payload]

    async def state(self, port: int) -> dict[str, object]:
        async with httpx.AsyncClient(trust_env=False) as client:
            answer = await client.get(f"http://127.0.0.1:{port}/api/v1/state")
        self.heard.append(answer.content)
        return dict(answer.json())


def traces_of(place: tuple[float, float], exact: set[tuple[float, float]]) -> list[bytes]:
    """What would give a place away: its degrees to a hundred metres as text, and each fix as a binary number."""
    found = [str(degrees)[: str(degrees).index(".") + 4].encode() for degrees in place]  # not rounded: a prefix
    for fix in exact:
        for degrees in fix:
            found += [struct.pack(form, degrees) for form in ("<d", ">d", "<f", ">f")]
            found += [struct.pack(form, round(degrees * scale)) for form in ("<i", ">i") for scale in (10**6, 10**7)]
    return found


def write_settings(folder: Path, broker: str, gpsd: int) -> Path:
    path = folder / "vehicle.toml"
    path.write_text(
        f'gateway = "{VAN}"\ndata_dir = "{folder}/van"\n'
        f'[broker]\nurl = "{broker}"\n[hub]\nurl = "http://127.0.0.1:9"\n'
        f'[recording]\ninterval_s = 30\n[gpsd]\naddress = "127.0.0.1:{gpsd}"\nposition = true\n',
        encoding="utf-8",
    )
    return path


@asynccontextmanager
async def driving(folder: Path, settings: Path, truth: Truth) -> AsyncIterator[int]:
    with (folder / "log").open("wb") as log:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "gateway.cli", "vehicle", "--settings", str(settings)),
            stdout=asyncio.subprocess.PIPE,
            stderr=log,
            env=os.environ | {"COLDCHAIN_CLOCK": truth.clock_of_the_vehicle()},
        )
        try:
            assert process.stdout is not None
            word, _, facts = (await process.stdout.readline()).decode().partition(" ")
            assert word == "READY", (folder / "log").read_text()
            yield int(json.loads(facts)["port"])
        finally:
            process.send_signal(signal.SIGTERM)
            await process.wait()


def open_hub(folder: Path, key: SigningKey) -> Store:
    store = open_store(f"sqlite:///{folder / 'hub.sqlite3'}")
    with store.write() as connection:
        connection.execute(insert(schema.gateways).values(name=VAN, created_at_ms=T0 - 30 * 86_400_000))
        keys = {"public_key": key.public_bytes, "token_hash": sha256(b"t").digest(), "enrolled_at_ms": T0}
        connection.execute(insert(schema.gateway_keys).values(gateway=VAN, **keys))
    return store


async def test_a_dark_start_is_put_right_and_gives_no_home_away(tmp_path: Path, bluez: FakeBluez, until: Until) -> None:
    truth, spy, tag = Truth(), Eavesdropper(), Tag(bluez, TAG)
    (tmp_path / "van").mkdir()
    save_enrolment(tmp_path / "van", Enrolment(hub_public_key=HUB_KEY.public_bytes.hex(), token="t"))
    key = load_or_create_key(tmp_path / "van" / "gateway.key")
    carried = configuration(version=1).model_copy(update={"sites": (LAB,)})
    said_at_ms: dict[int, int] = {}
    async with (
        EmbeddedBroker(tmp_path / "broker") as broker,
        FakeHub(broker.url, key).running() as hub,
        spy.listening(broker.url),
        Receiver(truth).running() as receiver,
    ):
        await hub.configure(carried.model_dump_json().encode())
        settings = write_settings(tmp_path, broker.url, receiver.port)
        async with driving(tmp_path, settings, truth) as port:

            async def advertise_until(done: Callable[[dict[str, object]], object]) -> dict[str, object]:
                async with asyncio.timeout(LIMIT_S):
                    while not done(state := await spy.state(port)):
                        number = len(said_at_ms) + 1
                        said_at_ms[number] = truth.now_ms()
                        tag.advertise(number)
                        await asyncio.sleep(0.3)
                return state

            async def seen(name: str, wanted: object) -> None:
                await advertise_until(lambda state: state[name] == wanted)

            state = await advertise_until(lambda _: len(hub.counters) >= 5)
            assert state["clock_trusted"] is False
            receiver.place = HOME
            await seen("clock_trusted", wanted=True)
            await seen("place", "stop 1")
            receiver.place = (LAB.latitude, LAB.longitude)
            await seen("place", "LAB")
            await until(lambda: len([r for r in records_of(hub) if isinstance(r, Stop)]) == 3)
        deliveries = [Delivery(VAN, s.to_bytes()) for held in hub.epochs.values() for s in held]
        home_fixes = {fix for fix in receiver.said if abs(fix[0] - HOME[0]) < 0.001}
    assert home_fixes

    store = open_hub(tmp_path, key)
    ingest, archive = Ingest(store, truth.now_ms), Archive(store)
    ingest.take(deliveries)
    assert Redating(store, archive, truth.now_ms).work() == 1
    check_times(archive, said_at_ms)
    check_verdict(archive, carried, truth)
    with store.read() as connection:
        stops = connection.execute(select(schema.stops).order_by(schema.stops.c.at_ms)).all()
    assert [(row.act, row.place, row.is_site) for row in stops] == [
        ("arrived", "stop 1", False),
        ("left", "stop 1", False),
        ("arrived", "LAB", True),
    ]
    assert all(T0 - TOLERANCE_MS <= row.at_ms <= truth.now_ms() for row in stops)
    store.close()

    left = [*spy.heard, *(delivery.data for delivery in deliveries)]
    kept = [file.read_bytes() for file in [*(tmp_path / "van").rglob("*"), tmp_path / "log"] if file.is_file()]
    kept += [json.dumps([list(map(str, row)) for row in stops]).encode()]
    for trace in traces_of(HOME, home_fixes):
        assert not any(trace in told for told in left + kept), f"the home can be found by {trace!r}"


def records_of(hub: FakeHub) -> list[AnyRecord]:
    segments = [segment for held in hub.epochs.values() for segment in held]
    return [record for s in segments if s.body is not None for record in decode_content(s.body).records]


def check_times(archive: Archive, said_at_ms: dict[int, int]) -> None:
    raw = [o for o in archive.raw(TAG) if o.counter in said_at_ms]
    behind = [o for o in raw if not o.clock_trusted]
    assert len(behind) >= 3
    assert all(o.measured_at_ms < T0 - BEHIND_MS // 2 for o in behind)
    dated = [o for o in archive.observations(TAG, 0, 1 << 60) if o.counter in said_at_ms]
    assert len(dated) == len(raw)
    for observation in dated:
        assert observation.clock_trusted
        assert 0 < observation.time_error_ms < TOLERANCE_MS
        assert abs(observation.measured_at_ms - said_at_ms[observation.counter or 0]) < TOLERANCE_MS


def check_verdict(archive: Archive, carried: Configuration, truth: Truth) -> None:
    (consignment,) = carried.consignments
    observations = archive.observations(TAG, 0, 1 << 60)
    (after,) = judge_consignment(consignment, carried, observations, truth.now_ms())
    (before,) = judge_consignment(consignment, carried, archive.raw(TAG), truth.now_ms())
    assert "clock_untrusted" not in {reason.code for reason in after.reasons}
    assert after.figures.readings > before.figures.readings or before.figures.untrusted > 0
    assert after.figures.untrusted == 0
