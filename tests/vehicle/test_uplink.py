"""The uplink against a real broker, with a hub that this test plays."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from gateway.core.configuration import Configuration
from gateway.core.topics import ACK, CONFIG
from gateway.demo.link import Link
from gateway.hub.processes.broker import EmbeddedBroker
from gateway.keys import SigningKey, VerifyKey
from gateway.mqtt import MqttSettings
from gateway.vehicle.adoption import Adoption
from gateway.vehicle.settings import UplinkSettings, VehicleSettings
from gateway.vehicle.storage import Storage
from gateway.vehicle.uplink import Uplink
from tests.vehicle.fakes import HUB_KEY, FakeHub, HandClock
from tests.vehicle.samples import BOOT, T0, VAN, content

Until = Callable[[Callable[[], object]], Awaitable[None]]
Start = Callable[..., AbstractAsyncContextManager["Van"]]
STRANGER = SigningKey(Ed25519PrivateKey.from_private_bytes(b"s" * 32))


@dataclass
class Van:
    """An uplink that runs, its storage, and the road to the broker."""

    uplink: Uplink
    storage: Storage
    adoption: Adoption
    road: Link
    hub: FakeHub

    async def seal(self, *numbers: int) -> None:
        for number in numbers:
            await self.storage.disk.run(
                self.storage.outbox.seal, content(number), sealed_at_ms=T0 + number, config_version=0
            )
            self.uplink.tell_sealed()

    @property
    def waiting(self) -> int:
        return self.storage.outbox.depth().segments


@pytest.fixture
async def broker(tmp_path: Path) -> AsyncIterator[EmbeddedBroker]:
    async with EmbeddedBroker(tmp_path / "broker") as embedded:
        yield embedded


@pytest.fixture
def start(tmp_path: Path, broker: EmbeddedBroker, key: SigningKey) -> Start:
    @asynccontextmanager
    async def start(*sealed: int, window_bytes: int = 256 * 1024, stall_s: float = 60.0) -> AsyncIterator[Van]:
        async with Link("127.0.0.1", broker.port) as road, FakeHub(broker.url, key).running() as hub:
            settings = VehicleSettings(
                gateway=VAN,
                data_dir=tmp_path,
                broker=MqttSettings(url=f"mqtt://127.0.0.1:{road.listening_port}", reconnect_max_s=0.1),
                uplink=UplinkSettings(window_bytes=window_bytes, stall_s=stall_s),
            )
            storage = Storage.open(tmp_path, VAN, key, max_bytes=1 << 30, boot=BOOT)
            check = VerifyKey(HUB_KEY.public_bytes).check
            adoption = Adoption(VAN, check)
            uplink = Uplink(settings, storage, adoption, check, HandClock(), rng=random.Random(1))  # noqa: S311  jitter
            van = Van(uplink, storage, adoption, road, hub)
            await van.seal(*sealed)
            task = asyncio.create_task(uplink.run())
            try:
                yield van
            finally:
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)
                storage.close()

    return start


async def test_the_log_arrives_and_is_forgotten_when_the_hub_says_so(start: Start, until: Until) -> None:
    async with start(0, 1, 2) as van:
        await until(lambda: van.waiting == 0)
        await van.seal(3, 4)
        await until(lambda: van.waiting == 0)
        assert van.hub.counters == [0, 1, 2, 3, 4]
        assert van.hub.receipts >= 5  # an acknowledgement that took its time makes it send again


async def test_without_the_hubs_word_nothing_is_forgotten(start: Start, until: Until) -> None:
    async with start(0, 1) as van:
        van.hub.answers = False
        await until(lambda: van.hub.receipts == 2)
        await until(lambda: van.uplink.client.in_flight == 0)  # the broker has acknowledged both
        assert van.waiting == 2


async def test_a_stall_sends_the_window_again(start: Start, until: Until) -> None:
    async with start(0, 1, stall_s=0.05) as van:
        van.hub.answers = False
        await until(lambda: van.hub.receipts >= 4)
        assert van.uplink.stalls >= 1
        van.hub.answers = True
        await until(lambda: van.waiting == 0)


async def test_new_segments_do_not_hide_a_stall(start: Start, until: Until) -> None:
    async with start(0, stall_s=0.2) as van:
        van.hub.answers = False
        for number in range(1, 1000):
            await van.seal(number)
            await asyncio.sleep(0.01)
            if van.uplink.stalls:
                break
        assert van.uplink.stalls


async def test_the_window_bounds_what_is_unacknowledged(start: Start, until: Until) -> None:
    async with start(*range(40), window_bytes=2048) as van:
        van.hub.answers = False
        await until(lambda: van.uplink.client.connected and van.hub.receipts >= 5)
        assert van.uplink.sent < 20
        van.hub.answers = True
        await van.hub.acknowledge()
        await until(lambda: van.waiting == 0)
        assert van.hub.counters == list(range(40))


async def test_cut_roads_lose_nothing(start: Start, until: Until) -> None:
    async with start() as van:
        for number in range(60):
            await van.seal(number)
            if number % 20 == 10:
                await until(lambda: van.uplink.client.connected)
                van.road.cut()
                await van.uplink.client.loss()
            if number % 20 == 15:
                van.road.mend()
        await until(lambda: van.waiting == 0)
        assert van.hub.counters == list(range(60))


async def test_a_restored_hub_gets_again_what_it_lost(start: Start, until: Until) -> None:
    async with start(0, 1, 2, 3) as van:
        await until(lambda: van.waiting == 0)
        for held in van.hub.epochs.values():
            del held[1:]
        van.hub.generation = 2
        await van.hub.acknowledge()
        await until(lambda: van.hub.counters == [0, 1, 2, 3])
        await until(lambda: van.waiting == 0)


async def test_forged_and_malformed_acknowledgements_count_for_nothing(start: Start, until: Until) -> None:
    async with start(0) as van:
        van.hub.answers = False
        await until(lambda: van.hub.receipts == 1)
        await van.hub.acknowledge(key=STRANGER)
        await van.hub.say(ACK, b"nonsense")
        await until(lambda: van.uplink.rejected_acks == 2)
        assert van.waiting == 1


def configuration(version: int, gateway: str = VAN) -> bytes:
    return Configuration(version=version, gateway=gateway).model_dump_json().encode()


async def test_the_newest_signed_configuration_is_adopted_and_kept(start: Start, until: Until) -> None:
    async with start() as van:
        await van.uplink.client.ready()
        await van.hub.configure(configuration(3))
        await until(lambda: van.adoption.version == 3)
        await van.hub.configure(configuration(2))
        await van.hub.configure(configuration(9), key=STRANGER)
        await van.hub.configure(configuration(9, gateway="VAN-2"))
        await van.hub.configure(b"{}")
        await van.hub.say(CONFIG, b"nonsense")
        await until(lambda: van.adoption.rejected == 4)
        assert van.adoption.version == 3
        kept = van.storage.memos.configuration()
        assert kept is not None
        again = Adoption(VAN, VerifyKey(HUB_KEY.public_bytes).check)
        assert again.consider(kept)
        assert again.version == 3


async def test_status_tells_who_is_there(start: Start, until: Until) -> None:
    async with start() as van:
        hub = van.hub
        await until(lambda: hub.statuses)
        van.road.cut()
        await until(lambda: len(hub.statuses) >= 2)
        van.road.mend()
        await until(lambda: len(hub.statuses) >= 3)
    assert hub.statuses[:3] == [
        b'{"online":true,"at_ms":%d}' % T0,
        b'{"online":false}',
        b'{"online":true,"at_ms":%d}' % T0,
    ]
