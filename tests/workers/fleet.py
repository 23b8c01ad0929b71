"""A simulated fleet: real signatures, real MQTT; it repeats what is not acknowledged, as vehicles do."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Sequence

from gateway.core.messages import decode_ack, open_envelope
from gateway.core.topics import parse_topic, topic_of
from gateway.keys import VerifyKey
from gateway.mqtt import MqttClient
from tests.hub.vans import Van

AT_ONCE = 12
"""Segments of a van in one round of sending."""
ROUND_S = 0.1


class Fleet:
    """Vans that send their segments in disorder, and more than once.

    released  segments of each van that may be sent so far
    """

    def __init__(self, vans: Sequence[Van], hub_key: VerifyKey, rng: random.Random) -> None:
        self._vans = {van.name: van for van in vans}
        self._hub_key = hub_key
        self._rng = rng
        self.acknowledged = dict.fromkeys(self._vans, 0)
        self.released = 0
        self.sent = 0

    async def drive(self, client: MqttClient) -> None:
        """Send and listen until everything is acknowledged."""
        await client.subscribe("coldchain/v1/+/ack")
        await client.ready()
        async with asyncio.TaskGroup() as tasks:
            listening = tasks.create_task(self._listen(client))
            while not self.is_done:
                await self._send_round(client)
                await asyncio.sleep(ROUND_S)
            listening.cancel()

    @property
    def is_done(self) -> bool:
        return all(self.acknowledged[name] == len(van.sealed) for name, van in self._vans.items())

    async def _send_round(self, client: MqttClient) -> None:
        for name, van in self._vans.items():
            waiting = van.sealed[self.acknowledged[name] : self.released][: 2 * AT_ONCE]
            chosen = self._rng.sample(waiting, min(AT_ONCE, len(waiting)))
            for segment in [*chosen, *chosen[:2]]:
                self.sent += await client.publish(topic_of(name, "log"), segment.to_bytes())

    async def _listen(self, client: MqttClient) -> None:
        async for message in client.messages:
            name, _ = parse_topic(message.topic)
            ack = decode_ack(open_envelope("ack", name, message.payload, self._hub_key.check))
            for epoch in ack.epochs:
                self.acknowledged[name] = max(self.acknowledged[name], epoch.next_offset)
