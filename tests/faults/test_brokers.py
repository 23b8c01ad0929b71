"""Brokers of any kind between a vehicle's log and the hub's own process: what they lose or confuse arrives anyway."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from sqlalchemy import select

from gateway.core.configuration import Configuration
from gateway.core.messages import ENVELOPE_BYTES_MAX, sign_envelope
from gateway.core.topics import CONFIG, LOG, topic_of
from gateway.hub.database import schema
from gateway.hub.proof.verification import verify_store
from gateway.hub.rooms import Rooms, open_rooms
from gateway.hub.settings import HubSettings
from gateway.keys import SigningKey, VerifyKey, load_or_create_key
from gateway.mqtt import MqttClient, MqttSettings, backoff_s
from gateway.settings import load_settings
from gateway.vehicle.adoption import Adoption
from gateway.vehicle.settings import UplinkSettings, VehicleSettings
from gateway.vehicle.storage import Storage
from gateway.vehicle.uplink import Uplink
from tests.servers.mosquitto import DEFAULTS, Mosquitto
from tests.servers.workers import Worker
from tests.vehicle.fakes import HandClock
from tests.vehicle.samples import BOOT, T0, VAN, content
from tests.waiting import LIMIT_S, until

STRANGER = SigningKey(Ed25519PrivateKey.from_private_bytes(b"s" * 32))


@dataclass
class Site:
    """The hub's process with its store, and how to reach its broker."""

    rooms: Rooms
    settings: Path
    folder: Path
    hub: Worker | None = None

    def start(self) -> None:
        """Start the hub, or start it again."""
        if self.hub is None:
            self.hub = Worker(self.folder / "hub.log", "hub", "run", "--settings", str(self.settings))
        else:
            self.hub.start()

    @property
    def held(self) -> list[int | None]:
        """The measurement numbers that the hub's archive holds."""
        stored = self.rooms.archive.stored("C0:FF:EE:00:00:01", 0, 1 << 48)
        return sorted(entry.observation.counter or 0 for entry in stored)


@pytest.fixture
async def site(tmp_path: Path, broker: Mosquitto) -> AsyncIterator[Site]:
    path = tmp_path / "hub.toml"
    path.write_text(
        f'data_dir = "{tmp_path / "hub"}"\n[broker]\nurl = "{broker.url}"\n'
        "reconnect_max_s = 0.5\nsession_expiry_s = 2\n"
    )
    opened = Site(open_rooms(load_settings(HubSettings, path)), path, tmp_path)
    yield opened
    if opened.hub is not None:
        opened.hub.kill()
        assert "Traceback" not in opened.hub.log.read_text(), opened.hub.log.read_text()
    opened.rooms.store.close()


@dataclass
class Van:
    """An enrolled vehicle's uplink that runs, and its storage."""

    uplink: Uplink
    storage: Storage
    adoption: Adoption

    async def seal(self, *numbers: int) -> None:
        for number in numbers:
            await self.storage.disk.run(
                self.storage.outbox.seal, content(number), sealed_at_ms=T0 + number, config_version=0
            )
            self.uplink.tell_sealed()

    @property
    def waiting(self) -> int:
        return self.storage.outbox.depth().segments


@asynccontextmanager
async def driving(site: Site, broker: Mosquitto, *, reconnect_max_s: float = 0.5) -> AsyncIterator[Van]:
    folder = site.folder / "vehicle"
    folder.mkdir(exist_ok=True)
    key = load_or_create_key(folder / "gateway.key")
    site.rooms.enrolment.enrol(VAN, site.rooms.enrolment.issue_code(VAN, "test"), key.public_bytes)
    settings = VehicleSettings(
        gateway=VAN,
        data_dir=folder,
        broker=MqttSettings(url=broker.url, reconnect_max_s=reconnect_max_s),
        uplink=UplinkSettings(stall_s=0.5, stall_max_s=1.0),
    )
    storage = Storage.open(folder, VAN, key, max_bytes=1 << 30, boot=BOOT)
    check = VerifyKey(site.rooms.key.public_bytes).check
    adoption = Adoption(VAN, check)
    uplink = Uplink(settings, storage, adoption, check, HandClock(), rng=random.Random(1))  # noqa: S311  jitter
    kept = storage.memos.configuration()
    if kept is not None:  # what a vehicle does first of all
        adoption.consider(kept)
    task = asyncio.create_task(uplink.run())
    try:
        yield Van(uplink, storage, adoption)
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        storage.close()


def check_archive(site: Site, numbers: range) -> None:
    assert site.held == list(numbers)
    assert verify_store(site.rooms.store).is_proven
    with site.rooms.store.read() as connection:
        assert connection.execute(select(schema.quarantine.c.reason)).all() == []


async def test_what_the_broker_acknowledged_and_lost_is_delivered(site: Site, broker: Mosquitto) -> None:
    """Mosquitto's defaults keep nothing: SIGKILL after its PUBACK, and the messages are gone."""
    site.start()
    async with driving(site, broker) as van:
        await van.seal(0)
        await until(lambda: van.waiting == 0)  # the hub has a session there
        assert site.hub is not None
        site.hub.kill()
        await van.seal(*range(1, 20))
        await until(lambda: van.uplink.sent >= 20 and van.uplink.client.in_flight == 0)
        broker.kill()
        assert van.waiting == 19
        broker.start(DEFAULTS)
        site.start()
        await until(lambda: van.waiting == 0)
    check_archive(site, range(20))


async def test_a_session_that_has_expired_costs_nothing(site: Site, broker: Mosquitto) -> None:
    """The hub is away for longer than its broker keeps what it would have had to deliver."""
    site.start()
    async with driving(site, broker) as van:
        await van.seal(0)
        await until(lambda: van.waiting == 0)
        assert site.hub is not None
        site.hub.kill()
        async with MqttClient(MqttSettings(url=broker.url), "observer", repeat_in_flight=False) as observer:
            await observer.subscribe("$SYS/broker/clients/disconnected", qos=0)
            await observer.subscribe("$SYS/broker/clients/expired", qos=0)
            await van.seal(*range(1, 10))
            await until(lambda: van.uplink.sent >= 10 and van.uplink.client.in_flight == 0)
            async with asyncio.timeout(LIMIT_S):
                async for message in observer.messages:
                    if message.topic.endswith("expired") and int(message.payload) > 0:
                        break
        site.start()
        await until(lambda: van.waiting == 0)
    check_archive(site, range(10))


async def test_a_second_client_of_the_same_name_starts_no_storm(
    site: Site, broker: Mosquitto, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both are thrown out in turn. Each return takes longer, and the reason names what may be wrong."""
    failed: list[int] = []

    def back_off(failures: int, maximum_s: float, rng: random.Random) -> float:
        failed.append(failures)
        return backoff_s(failures, maximum_s, rng)

    monkeypatch.setattr("gateway.mqtt.client.backoff_s", back_off)
    site.start()
    async with driving(site, broker, reconnect_max_s=30.0) as van:
        await van.seal(0)
        await until(lambda: van.waiting == 0)
        failed.clear()
        said: set[str] = set()
        async with MqttClient(MqttSettings(url=broker.url), f"coldchain-{VAN}", repeat_in_flight=False) as namesake:

            def is_calm() -> bool:
                said.update((van.uplink.client.reason, namesake.reason))
                return max(failed, default=0) >= 5  # the next attempt is four seconds away, and the one after it eight

            await until(is_calm)
        assert len(failed) <= 14  # as many again for the one that stayed meanwhile, and one or two lucky ones
        await van.seal(1)
        await until(lambda: van.waiting == 0)
    assert any(f"does another client call itself coldchain-{VAN}?" in words or "took over" in words for words in said)
    check_archive(site, range(2))


async def test_a_broker_that_falls_silent_is_left_and_the_log_arrives(site: Site, broker: Mosquitto) -> None:
    """It took the connection, and then it says nothing more: a process that hangs, a firewall that forgot."""
    site.start()
    silent = asyncio.Event()
    tasks: set[asyncio.Task[None]] = set()

    async def pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while data := await reader.read(65536):
                if not silent.is_set():
                    writer.write(data)
                    await writer.drain()
        except OSError:
            pass  # the other side has gone
        finally:
            writer.transport.abort()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        silent.clear()  # who connects anew is served
        far_reader, far_writer = await asyncio.open_connection("127.0.0.1", broker.port)
        for task in (pass_on(reader, far_writer), pass_on(far_reader, writer)):
            tasks.add(asyncio.ensure_future(task))

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    key = load_or_create_key(site.folder / "gateway.key")
    site.rooms.enrolment.enrol(VAN, site.rooms.enrolment.issue_code(VAN, "test"), key.public_bytes)
    storage = Storage.open(site.folder, VAN, key, max_bytes=1 << 30, boot=BOOT)
    check = VerifyKey(site.rooms.key.public_bytes).check
    road = MqttSettings(url=f"mqtt://127.0.0.1:{port}", reconnect_max_s=0.5, keepalive_s=1)
    settings = VehicleSettings(
        gateway=VAN, data_dir=site.folder, broker=road, uplink=UplinkSettings(stall_s=0.5, stall_max_s=1.0)
    )
    uplink = Uplink(settings, storage, Adoption(VAN, check), check, HandClock())
    van = Van(uplink, storage, Adoption(VAN, check))
    running = asyncio.create_task(uplink.run())
    await van.seal(0)
    await until(lambda: van.waiting == 0)
    silent.set()
    await van.seal(*range(1, 40))  # more than may be in flight
    await until(lambda: uplink.client.reason == "the broker has fallen silent" or van.waiting == 0)
    await until(lambda: van.waiting == 0)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    storage.close()
    server.close()
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    check_archive(site, range(40))


def envelope(document: bytes, key: SigningKey, gateway: str = VAN) -> bytes:
    return sign_envelope(CONFIG, gateway, document, key.sign)


def configuration(version: int, gateway: str = VAN) -> bytes:
    return Configuration(version=version, gateway=gateway).model_dump_json().encode()


async def test_whatever_is_retained_only_the_newest_that_the_hub_signed_counts(site: Site, broker: Mosquitto) -> None:
    """Retained: an old one, another gateway's, a forged one, nonsense, one too large, one nested beyond reason."""
    hub_key = site.rooms.key
    hostile = {
        "malformed": b"\x93nonsense",
        "empty": b"",
        "forged": envelope(configuration(900), STRANGER),
        "another gateway's": envelope(configuration(900, "VAN-2"), hub_key, "VAN-2"),
        "another gateway's inside": envelope(configuration(900, "VAN-2"), hub_key),
        "an acknowledgement": sign_envelope("ack", VAN, configuration(900), hub_key.sign),
        "no configuration": envelope(b'{"version": -1}', hub_key),
        "nested": envelope(b"[" * 100_000, hub_key),
        "too large": envelope(configuration(900) + b" " * ENVELOPE_BYTES_MAX, hub_key),
        "an old one": envelope(configuration(6), hub_key),
    }
    topic = topic_of(VAN, CONFIG)
    async with MqttClient(MqttSettings(url=broker.url), "intruder") as intruder:
        await intruder.connection_after(0)
        await intruder.publish(topic, envelope(configuration(7), hub_key), retain=True)
        async with driving(site, broker) as van:
            await until(van.storage.memos.configuration)
        for what, payload in hostile.items():
            await intruder.publish(topic, payload, retain=True)
            await until(lambda: intruder.in_flight == 0)
            async with driving(site, broker) as van:  # a start finds it at once
                assert van.adoption.version == 7, what
                await van.uplink.client.ready()
                await intruder.publish(topic, envelope(configuration(8), hub_key))
                await until(lambda v=van: v.adoption.version == 8)
                assert (van.adoption.rejected == 0) == (what in {"an old one", "empty"}), what
            set_back(site.folder, envelope(configuration(7), hub_key))


def set_back(folder: Path, kept: bytes) -> None:
    key = load_or_create_key(folder / "vehicle" / "gateway.key")
    storage = Storage.open(folder / "vehicle", VAN, key, max_bytes=1 << 30, boot=BOOT)
    storage.memos.keep_configuration(kept)
    storage.close()


async def test_foreign_messages_on_a_log_topic_harm_nothing(site: Site, broker: Mosquitto) -> None:
    """Empty, random, enormous: each is set aside with a reason, and the log behind it goes on."""
    site.start()
    rng = random.Random(4)  # noqa: S311  reproducible
    async with driving(site, broker) as van, MqttClient(MqttSettings(url=broker.url), "intruder") as intruder:
        await intruder.connection_after(0)
        await van.seal(0)
        await until(lambda: van.waiting == 0)
        for size in (0, 1, 64, 300, 1 << 20):
            await intruder.publish(topic_of(VAN, LOG), rng.randbytes(size))
            await van.seal(len(site.held))
            await until(lambda: van.waiting == 0)
    assert site.held == list(range(6))
    with site.rooms.store.read() as connection:
        assert len(connection.execute(select(schema.quarantine.c.reason)).all()) == 5
