"""The uplink: publishes the outbox, oldest first, and takes acknowledgements and configuration from the hub.

A broker's acknowledgement is not delivery, so it counts for nothing: only the hub's own, signed, moves the watermark.
On each new connection, and when nothing moves for a while, everything from the watermark on is sent again.
"""

from __future__ import annotations

import asyncio
import logging
import random
import sqlite3
from contextlib import suppress

import msgspec

from gateway.clock import Clock
from gateway.core.errors import EnvelopeError
from gateway.core.messages import decode_ack, open_envelope
from gateway.core.segments import Check
from gateway.core.topics import ACK, CONFIG, LOG, STATUS, topic_of
from gateway.mqtt import Message, MqttClient, Will
from gateway.vehicle.adoption import Adoption
from gateway.vehicle.moments import read_moment
from gateway.vehicle.pacing import Pace
from gateway.vehicle.settings import VehicleSettings
from gateway.vehicle.storage import Storage

log = logging.getLogger(__name__)

GOODBYE_S = 0.5
"""For the last message; if it does not go, the broker's last will says the same."""


class Uplink:
    """One gateway's line to its hub. All times here are real seconds."""

    def __init__(
        self,
        settings: VehicleSettings,
        storage: Storage,
        adoption: Adoption,
        check: Check,
        clock: Clock,
        *,
        rng: random.Random | None = None,
    ) -> None:
        self.sent = 0
        """Segments handed to the broker, repetitions included."""
        self.stalls = 0
        """Times that nothing moved and the window was sent again."""
        self.rejected_acks = 0
        """Malformed or forged acknowledgements."""
        self._gateway = settings.gateway
        self._settings = settings.uplink
        self._outbox = storage.outbox
        self._memos = storage.memos
        self._disk = storage.disk
        self._adoption = adoption
        self._check = check
        self._clock = clock
        self._news = asyncio.Event()
        self._progress = False
        self._topics = {leaf: topic_of(settings.gateway, leaf) for leaf in (LOG, ACK, CONFIG, STATUS)}
        will = Will(self._topics[STATUS], _encode_status(online=False, at_ms=None))
        self.client = MqttClient(
            settings.broker, f"coldchain-{settings.gateway}", will=will, repeat_in_flight=False, rng=rng
        )

    def tell_sealed(self) -> None:
        """There is a new segment."""
        self._news.set()

    async def run(self) -> None:
        """Keep the line for ever; say goodbye when cancelled."""
        async with self.client:
            await self.client.subscribe(self._topics[ACK], 1)
            await self.client.subscribe(self._topics[CONFIG], 1)
            try:
                async with asyncio.TaskGroup() as tasks:
                    tasks.create_task(self._receive(), name="uplink receive")
                    tasks.create_task(self._send(), name="uplink send")
            finally:
                with suppress(TimeoutError):
                    async with asyncio.timeout(GOODBYE_S):
                        await self._publish_status(online=False)

    # --- sending

    async def _send(self) -> None:
        connection = 0
        while True:
            connection = await self.client.connection_after(connection)
            await self._publish_status(online=True)
            await self._send_while_connected()

    async def _send_while_connected(self) -> None:
        """Send from the watermark on; come back when the link is lost."""
        loop = asyncio.get_running_loop()
        after, generation = -1, self._outbox.generation
        pace = Pace(self._settings.window_bytes, self._settings.stall_s, self._settings.stall_max_s)
        moved_s = loop.time()
        while self.client.connected:
            self._news.clear()
            if self._outbox.generation != generation:  # a restored hub: what was sent before may be missing there
                after, generation = -1, self._outbox.generation
            if self._outbox.is_acknowledged(after):  # nothing is under way: the wait begins now
                moved_s = loop.time()
            try:
                after = await self._send_window(after, pace.window_bytes)
            except sqlite3.Error as error:
                log.error("the outbox cannot be read: %s", error)  # noqa: TRY400  the reason is all there is to say
            await self._wait_for_news(moved_s + pace.patience_s - loop.time())
            if self._progress:
                self._progress = False
                pace.moved(loop.time() - moved_s)
                moved_s = loop.time()
            elif not self._outbox.depth().segments:
                moved_s = loop.time()
            elif loop.time() >= moved_s + pace.patience_s:
                self.stalls += 1
                after, moved_s = -1, loop.time()
                pace.stalled()

    async def _send_window(self, after: int, window_bytes: int) -> int:
        """Send what the window allows beyond sequence `after`; return the last sequence sent."""
        while rows := await self._disk.run(self._outbox.pending, window_bytes, after, read_moment(self._clock)):
            for row in rows:
                if not await self.client.publish(self._topics[LOG], row.data, qos=1):
                    return after
                after = row.sequence
                self.sent += 1
        return after

    async def _wait_for_news(self, timeout_s: float) -> None:
        """Wait for a new segment, an acknowledgement, the loss of the link, or the end of patience."""
        waits = [asyncio.create_task(self._news.wait()), asyncio.create_task(self.client.loss())]
        try:
            await asyncio.wait(waits, timeout=max(0.0, timeout_s), return_when=asyncio.FIRST_COMPLETED)
        finally:
            for wait in waits:
                wait.cancel()

    async def _publish_status(self, *, online: bool) -> None:
        status = _encode_status(online=online, at_ms=self._clock.now_ms())
        await self.client.publish(self._topics[STATUS], status, qos=1, retain=True)

    # --- receiving

    async def _receive(self) -> None:
        async for message in self.client.messages:
            with suppress(sqlite3.Error):  # the hub repeats both, and the sealer says what ails the disk
                await self._take(message)

    async def _take(self, message: Message) -> None:
        if message.topic == self._topics[ACK]:
            await self._take_ack(message.payload)
        elif message.topic == self._topics[CONFIG] and message.payload and self._adoption.consider(message.payload):
            await self._disk.run(self._memos.keep_configuration, message.payload)

    async def _take_ack(self, envelope: bytes) -> None:
        try:
            ack = decode_ack(open_envelope(ACK, self._gateway, envelope, self._check))
        except EnvelopeError as error:
            self.rejected_acks += 1
            log.warning("an acknowledgement was rejected: %s", error)
            return
        if await self._disk.run(self._outbox.acknowledge, ack):
            self._progress = True
            self._news.set()


def _encode_status(*, online: bool, at_ms: int | None) -> bytes:
    return msgspec.json.encode({"online": online} if at_ms is None else {"online": online, "at_ms": at_ms})
