from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from sqlalchemy.exc import OperationalError

from gateway.core.configuration import Box, Configuration
from gateway.core.messages import decode_ack, open_envelope
from gateway.hub.database import patience
from gateway.hub.replication import exchange as module
from gateway.hub.replication.authenticity import Delivery
from gateway.hub.replication.exchange import Exchange
from gateway.hub.replication.ingest import Ingest, Receipt
from gateway.hub.rooms import Rooms, open_rooms
from gateway.hub.settings import HubSettings
from gateway.keys import VerifyKey
from gateway.mqtt import Message
from tests.hub.vans import Van, observe
from tests.waiting import LIMIT_S


class Broker:
    """The exchange's end of a broker: what it is given, and what it says."""

    def __init__(self) -> None:
        self.incoming: asyncio.Queue[Message] = asyncio.Queue()
        self.published: list[tuple[str, bytes, bool]] = []
        self.acknowledged: list[int] = []
        self.subscribed: list[str] = []
        self.changed = asyncio.Event()
        self.connection = 1
        self.is_up = True
        self.confirms = asyncio.Event()
        self.confirms.set()

    @property
    def messages(self) -> AsyncIterator[Message]:
        return self._messages()

    async def _messages(self) -> AsyncIterator[Message]:
        while True:
            yield await self.incoming.get()

    async def subscribe(self, topic: str, qos: int = 1) -> None:
        self.subscribed.append(topic)

    async def publish(self, topic: str, payload: bytes, qos: int = 1, *, retain: bool = False) -> bool:
        if topic.endswith("/ack"):
            await self.confirms.wait()
        if self.is_up:
            self.published.append((topic, payload, retain))
            self._tell()
        return self.is_up

    def acknowledge(self, message: Message) -> None:
        self.acknowledged.append(message.token[1])
        self._tell()

    async def connection_after(self, number: int) -> int:
        while self.connection <= number:
            await self.changed.wait()
        return self.connection

    def deliver(self, topic: str, payload: bytes) -> int:
        mid = self.incoming.qsize() + len(self.acknowledged) + 1
        self.incoming.put_nowait(Message(topic, payload, 1, retain=False, token=(1, mid)))
        return mid

    async def until(self, happened: object) -> None:
        assert callable(happened)
        async with asyncio.timeout(LIMIT_S):
            while not happened():
                await self.changed.wait()

    def on(self, leaf: str) -> list[bytes]:
        return [payload for topic, payload, _ in self.published if topic.endswith(f"/{leaf}")]

    def _tell(self) -> None:
        self.changed.set()
        self.changed = asyncio.Event()


class Ears:
    """The connection over which the hub hears; it says nothing over it."""

    def __init__(self, broker: Broker) -> None:
        self.messages = broker.messages
        self.subscribe = broker.subscribe
        self.acknowledge = broker.acknowledge


@pytest.fixture
async def rooms(tmp_path: Path) -> AsyncIterator[Rooms]:
    opened = open_rooms(HubSettings(data_dir=tmp_path))
    yield opened
    opened.store.close()


@pytest.fixture
def van(rooms: Rooms) -> Van:
    van = Van()
    rooms.enrolment.enrol(van.name, rooms.enrolment.issue_code(van.name, "test"), van.key.public_bytes)
    return van


@asynccontextmanager
async def running(rooms: Rooms, ingest: Ingest | None = None) -> AsyncIterator[Broker]:
    broker = Broker()
    exchange = Exchange(
        Ears(broker),  # type: ignore[arg-type]  # a stand-in for the client
        broker,  # type: ignore[arg-type]  # the same
        ingest or rooms.ingest,
        rooms.configurations,
        rooms.enrolment,
        rooms.key,
    )
    task = asyncio.create_task(exchange.run(rooms.bells.registered, rooms.bells.arrived))
    yield broker
    task.cancel()
    await asyncio.wait({task})


async def test_a_segment_is_stored_then_answered_and_acknowledged(rooms: Rooms, van: Van) -> None:
    segment = van.seal(observe(0, 5.0))
    async with running(rooms) as broker:
        broker.deliver(f"coldchain/v1/{van.name}/log", segment.to_bytes())
        await broker.until(lambda: broker.acknowledged and broker.on("ack"))
    check = VerifyKey(rooms.key.public_bytes).check
    ack = decode_ack(open_envelope("ack", van.name, broker.on("ack")[0], check))
    assert [(epoch.next_offset, epoch.head) for epoch in ack.epochs] == [(1, segment.hash)]
    assert rooms.archive.counts().chained == 1


async def test_a_duplicate_is_answered_again(rooms: Rooms, van: Van) -> None:
    payload = van.seal(observe(0, 5.0)).to_bytes()
    async with running(rooms) as broker:
        for count in (1, 2):
            broker.deliver(f"coldchain/v1/{van.name}/log", payload)
            await broker.until(lambda count=count: len(broker.acknowledged) == len(broker.on("ack")) == count)
    assert len(broker.on("ack")) == 2


async def test_taking_does_not_wait_for_the_broker_to_confirm_answers(rooms: Rooms, van: Van) -> None:
    """Its confirmations come through the same inbox: whoever waits for them with a full one waits for ever."""
    segments = [van.seal(observe(30 * number, 5.0)) for number in range(5)]
    async with running(rooms) as broker:
        broker.confirms.clear()
        for count, segment in enumerate(segments, 1):
            broker.deliver(f"coldchain/v1/{van.name}/log", segment.to_bytes())
            await broker.until(lambda count=count: len(broker.acknowledged) == count)
        broker.confirms.set()
        await broker.until(lambda: len(broker.on("ack")) == 2)
    check = VerifyKey(rooms.key.public_bytes).check
    ack = decode_ack(open_envelope("ack", van.name, broker.on("ack")[-1], check))
    assert [(epoch.next_offset, epoch.head) for epoch in ack.epochs] == [(5, segments[-1].hash)]


class Failing(Ingest):
    """A database that is away for the first attempts."""

    fails = 2

    def take(self, deliveries: Sequence[Delivery]) -> list[Receipt]:
        if self.fails:
            self.fails -= 1
            raise OperationalError("INSERT", {}, Exception("disk is full"))
        return super().take(deliveries)


async def test_what_the_database_does_not_take_is_neither_lost_nor_acknowledged(
    rooms: Rooms, van: Van, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(patience, "RETRY_S", 0)
    failing = Failing(rooms.store, rooms.clock.now_ms)
    async with running(rooms, failing) as broker:
        broker.deliver(f"coldchain/v1/{van.name}/log", van.seal(observe(0, 5.0)).to_bytes())
        await broker.until(lambda: broker.acknowledged and broker.on("ack"))
    assert failing.fails == 0
    assert (len(broker.on("ack")), rooms.archive.counts().chained) == (1, 1)


class Counting(Ingest):
    """Notes what is decoded at once; holds the first batch until everything else waits."""

    def __init__(self, rooms: Rooms) -> None:
        super().__init__(rooms.store, rooms.clock.now_ms)
        self.batches: list[list[int]] = []
        self.may_go_on = threading.Event()

    def take(self, deliveries: Sequence[Delivery]) -> list[Receipt]:
        self.batches.append([len(delivery.data) for delivery in deliveries])
        self.may_go_on.wait(LIMIT_S)
        return super().take(deliveries)


async def test_a_batch_is_bounded_in_bytes_and_in_number(
    rooms: Rooms, van: Van, monkeypatch: pytest.MonkeyPatch
) -> None:
    payloads = [van.seal(observe(30 * number, 5.0)).to_bytes() for number in range(20)]
    size = max(map(len, payloads))
    monkeypatch.setattr(module, "BATCH_BYTES", 3 * size)
    counting = Counting(rooms)
    async with running(rooms, counting) as broker:
        for payload in payloads:
            broker.deliver(f"coldchain/v1/{van.name}/log", payload)
        while not broker.incoming.empty():  # noqa: ASYNC110  what the exchange reads ahead has no event
            await asyncio.sleep(0)
        counting.may_go_on.set()
        await broker.until(lambda: len(broker.acknowledged) == len(payloads))
    assert rooms.archive.counts().chained == len(payloads)
    assert max(len(batch) for batch in counting.batches) > 1
    assert max(sum(batch) for batch in counting.batches) < 4 * size


async def test_nonsense_is_acknowledged_and_blocks_nothing(rooms: Rooms, van: Van) -> None:
    async with running(rooms) as broker:
        broker.deliver("coldchain/v1/x/y/z", b"?")
        broker.deliver(f"coldchain/v1/{van.name}/status", b"not JSON")
        broker.deliver(f"coldchain/v1/{van.name}/log", b"not a segment")
        broker.deliver(f"coldchain/v1/{van.name}/log", van.seal(observe(0, 5.0)).to_bytes())
        await broker.until(lambda: len(broker.acknowledged) == 4)
    assert rooms.archive.counts().chained == 1


async def test_a_status_is_remembered(rooms: Rooms, van: Van) -> None:
    async with running(rooms) as broker:
        broker.deliver(f"coldchain/v1/{van.name}/status", b'{"online": true, "at_ms": 17}')
        await broker.until(lambda: broker.acknowledged)
        assert [(g.online, g.status_at_ms) for g in rooms.enrolment.gateways()] == [(True, 17)]
        broker.deliver(f"coldchain/v1/{van.name}/status", b'{"online": false}')
        await broker.until(lambda: len(broker.acknowledged) == 2)
    assert [g.online for g in rooms.enrolment.gateways()] == [False]


async def test_configurations_are_published_when_they_change_and_after_each_connection(rooms: Rooms, van: Van) -> None:
    check = VerifyKey(rooms.key.public_bytes).check

    def versions(broker: Broker) -> list[int]:
        payloads = [open_envelope("config", van.name, sent, check) for sent in broker.on("config")]
        return [Configuration.model_validate_json(payload).version for payload in payloads]

    async with running(rooms) as broker:
        await broker.until(lambda: versions(broker) == [1])
        rooms.registry.put_box(Box(code="BOX-1"), "test")
        rooms.bells.registered.ring()
        await broker.until(lambda: versions(broker) == [1, 2])
        broker.connection = 2
        rooms.bells.registered.ring()
        await broker.until(lambda: versions(broker) == [1, 2, 2])
    assert all(retain for topic, _, retain in broker.published if topic.endswith("/config"))
