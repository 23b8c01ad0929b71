"""Stand-ins for what lies outside a room under test."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from gateway.core.contents import decode_content
from gateway.core.messages import Ack, EpochAck, encode_ack, sign_envelope
from gateway.core.segments import Segment, check_segment, parse_segment
from gateway.core.topics import ACK, CONFIG, LOG, STATUS, topic_of
from gateway.keys import SigningKey, VerifyKey
from gateway.mqtt import MqttClient, MqttSettings
from tests.vehicle.samples import T0, VAN

HUB_KEY = SigningKey(Ed25519PrivateKey.from_private_bytes(b"h" * 32))


class HandClock:
    """A clock that a test sets. Sleeping takes no time at all, but lets others go first."""

    def __init__(self, *, rate: float = 1000.0) -> None:
        self.rate = rate
        self.passed_ms = 0
        self.step_ms = 0
        self.is_trusted = True

    def now_ms(self) -> int:
        return T0 + self.passed_ms + self.step_ms

    def monotonic_ms(self) -> int:
        return self.passed_ms

    def trusted(self) -> bool:
        return self.is_trusted

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds / self.rate)


class FakeHub:
    """Takes a gateway's log as the hub does: checks, keeps what continues its chain, acknowledges each receipt."""

    def __init__(self, url: str, vehicle_key: SigningKey) -> None:
        self.epochs: dict[bytes, list[Segment]] = {}
        self.receipts = 0
        self.statuses: list[bytes] = []
        self.generation = 1
        self.answers = True
        self._check = VerifyKey(vehicle_key.public_bytes).check
        self._client = MqttClient(MqttSettings(url=url, reconnect_max_s=0.1), "hub")

    @asynccontextmanager
    async def running(self) -> AsyncIterator[FakeHub]:
        async with self._client:
            for leaf in (LOG, STATUS):
                await self._client.subscribe(topic_of(VAN, leaf))
            await self._client.ready()
            task = asyncio.create_task(self._receive())
            try:
                yield self
            finally:
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)

    @property
    def counters(self) -> list[int | None]:
        """The measurement numbers that the hub holds."""
        return [
            observation.counter
            for segments in self.epochs.values()
            for segment in segments
            if segment.body is not None
            for observation in decode_content(segment.body).observations
        ]

    async def acknowledge(self, *, key: SigningKey = HUB_KEY) -> None:
        named = [EpochAck(epoch, len(held), held[-1].hash) for epoch, held in self.epochs.items() if held]
        ack = encode_ack(Ack(self.generation, VAN, named))
        await self._client.publish(topic_of(VAN, ACK), sign_envelope(ACK, VAN, ack, key.sign))

    async def configure(self, document: bytes, *, key: SigningKey = HUB_KEY) -> None:
        envelope = sign_envelope(CONFIG, VAN, document, key.sign)
        await self._client.publish(topic_of(VAN, CONFIG), envelope, retain=True)

    async def say(self, leaf: str, payload: bytes) -> None:
        await self._client.publish(topic_of(VAN, leaf), payload)

    async def _receive(self) -> None:
        async for message in self._client.messages:
            if message.topic == topic_of(VAN, STATUS):
                self.statuses.append(message.payload)
                continue
            segment = parse_segment(VAN, message.payload)
            check_segment(segment, self._check)
            self.receipts += 1
            held = self.epochs.setdefault(segment.header.epoch, [])
            if segment.header.offset == len(held):
                held.append(segment)
            if self.answers:
                await self.acknowledge()
