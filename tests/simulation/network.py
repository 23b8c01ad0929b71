"""A broker of any kind and the roads to it: it accepts and loses, repeats, reorders, falls over and forgets."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self

from gateway.mqtt import Message, MqttSettings
from tests.simulation.story import Story

RECONNECT_S = 3.0
LATE_S = 300.0


@dataclass
class Road:
    """One party's way to the broker and to the hub's pages."""

    name: str
    is_open: bool = True


@dataclass
class Broker:
    """Loss, repetition and delay hold for every message; `forgets` is what a restart does to retained ones."""

    rng: random.Random
    story: Story
    loss: float
    repetition: float
    delay_s: float
    forgets: float
    is_up: bool = True
    is_calm: bool = False
    retained: dict[str, bytes] = field(default_factory=dict)
    clients: dict[str, Client] = field(default_factory=dict)

    def restart(self) -> None:
        """Everything on its way is gone; retained messages perhaps."""
        self.is_up = False
        for client in self.clients.values():
            client.look()
        if self.rng.random() < self.forgets:
            self.retained.clear()
            self.story.tell("broker", "restarts and has forgotten everything")
        else:
            self.story.tell("broker", "restarts")

    def rise(self) -> None:
        """Be there again."""
        self.is_up = True
        for client in self.clients.values():
            client.look()

    def accept(self, topic: str, payload: bytes, *, retain: bool) -> None:
        """Acknowledge to the publisher; what becomes of the message is another matter."""
        if retain:
            self.retained[topic] = payload
        for client in list(self.clients.values()):
            if client.wants(topic):
                copies = 1 + (not self.is_calm and self.rng.random() < self.repetition)
                for _ in range(copies):
                    self._send(client, topic, payload)

    def _send(self, client: Client, topic: str, payload: bytes) -> None:
        if not self.is_calm and self.rng.random() < self.loss:
            if topic in self.retained:  # what is retained the broker has, and tells it in the end
                asyncio.get_running_loop().call_later(LATE_S, self._send, client, topic, payload)
            return
        delay_s = 0.01 if self.is_calm else self.rng.uniform(0.0, self.delay_s)
        asyncio.get_running_loop().call_later(delay_s, client.deliver, topic, payload, client.connections)


class Client:
    """Stands where MqttClient stands."""

    def __init__(self, broker: Broker, road: Road, settings: MqttSettings) -> None:
        self.settings = settings
        self.reason = ""
        self.refused = 0
        self.malformed = 0
        self.in_flight = 0
        self.connected = False
        self.connections = 0
        self._broker = broker
        self._road = road
        self._changed = asyncio.Event()
        self._chance = asyncio.Event()
        self._inbox: asyncio.Queue[Message] = asyncio.Queue()
        self._subscriptions: list[str] = []
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        self._broker.clients[self._road.name] = self
        self._task = asyncio.create_task(self._keep_connected(), name=f"{self._road.name} link")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._task is not None:
            self._task.cancel()
        if self._broker.clients.get(self._road.name) is self:
            del self._broker.clients[self._road.name]
        self._set(connected=False)

    @property
    def messages(self) -> AsyncIterator[Message]:
        return self._receive()

    async def connection_after(self, number: int) -> int:
        while not (self.connected and self.connections > number):
            await self._changed.wait()
        return self.connections

    async def loss(self) -> None:
        while self.connected:
            await self._changed.wait()

    async def subscribe(self, topic: str, qos: int = 1) -> None:
        del qos
        self._subscriptions.append(topic)
        if self.connected:
            self._send_retained()

    async def publish(self, topic: str, payload: bytes, qos: int = 1, *, retain: bool = False) -> bool:
        del qos
        await asyncio.sleep(0.001)
        if not self.connected:
            return False
        self._broker.accept(topic, payload, retain=retain)
        return True

    def acknowledge(self, message: Message) -> None:
        """A broker of any kind does not care."""

    def wants(self, topic: str) -> bool:
        return any(_matches(each, topic) for each in self._subscriptions)

    def deliver(self, topic: str, payload: bytes, connection: int) -> None:
        if self.connected and self.connections == connection:
            self._inbox.put_nowait(Message(topic, payload, qos=1, retain=False, token=(connection, 1)))

    def look(self) -> None:
        """See whether the link still stands, or could stand again. Nobody polls: that would cost most of the time."""
        if self.connected and not (self._broker.is_up and self._road.is_open):
            self._set(connected=False)
        if self._can_connect():
            self._chance.set()

    async def _keep_connected(self) -> None:
        while True:
            self._chance.clear()
            if self._can_connect():
                self.connections += 1
                self._set(connected=True)
                self._send_retained()
            await self._chance.wait()
            await asyncio.sleep(RECONNECT_S)

    def _can_connect(self) -> bool:
        return not self.connected and self._broker.is_up and self._road.is_open

    def _send_retained(self) -> None:
        for topic, payload in self._broker.retained.items():
            if self.wants(topic):
                self.deliver(topic, payload, self.connections)

    def _set(self, *, connected: bool) -> None:
        self.connected = connected
        self._changed.set()
        self._changed = asyncio.Event()

    async def _receive(self) -> AsyncIterator[Message]:
        while True:
            yield await self._inbox.get()


def _matches(pattern: str, topic: str) -> bool:
    wanted, given = pattern.split("/"), topic.split("/")
    return len(wanted) == len(given) and all(w in ("+", g) for w, g in zip(wanted, given, strict=True))
