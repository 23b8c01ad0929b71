"""The hub's side of MQTT: takes logs and statuses, answers with signed acknowledgements, publishes configurations.

A message is acknowledged to the broker only after it is durable, so that what the hub loses in a crash comes again.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from functools import partial
from typing import Annotated

import msgspec

from gateway.core.configuration import Configuration, reveal
from gateway.core.errors import InputError
from gateway.core.messages import ENVELOPE_BYTES_MAX, Ack, encode_ack, sign_envelope
from gateway.core.topics import ACK, CONFIG, LOG, PREFIX, STATUS, parse_topic, topic_of
from gateway.hub.database.leadership import lead
from gateway.hub.database.patience import keep_trying
from gateway.hub.database.store import Store
from gateway.hub.registry.configurations import Configurations
from gateway.hub.registry.enrolment import Enrolment
from gateway.hub.replication.authenticity import MOMENT_MS_MAX, Delivery
from gateway.hub.replication.ingest import Ingest
from gateway.hub.signals.events import Bell
from gateway.keys import SigningKey
from gateway.mqtt import Message, MqttClient, MqttSettings

log = logging.getLogger(__name__)

BATCH_MAX = 256
"""Messages that share one commit."""
BATCH_BYTES = 512 * 1024
"""Beyond it a batch takes no further message: decoded, its readings take some fifty times as much memory."""
QUEUE_MAX = 256
"""Messages read ahead of the transaction under way; the broker keeps the rest."""
GATHER_S = 0.2
"""Changes of the registry within so many real seconds make one new version of a configuration."""
QUIET_S = 60.0
"""Real seconds without a message after which the witness is made to know the last ones."""
LOOK_S = 5.0
"""Real seconds after which configurations are looked at unasked: another process may have changed the registry."""


class _Status(msgspec.Struct, frozen=True):
    online: bool
    at_ms: Annotated[int, msgspec.Meta(ge=0, le=MOMENT_MS_MAX)] | None = None


_decode_status = msgspec.json.Decoder(_Status).decode


class Exchange:
    """Everything the hub hears and says at the broker.

    ears   the connection over which logs and statuses come
    voice  that over which acknowledgements and configurations go. On the other one the broker's confirmations, without
           which no more than a few may be on their way, would wait behind all the logs that it has begun to send
    share  name of the group of workers among which the broker deals out the logs; "" takes all of them. Statuses go
           to every worker in any case: their order matters, and they are few.
    store  of such a group, in which one worker at a time publishes configurations
    """

    def __init__(
        self,
        ears: MqttClient,
        voice: MqttClient,
        ingest: Ingest,
        configurations: Configurations,
        enrolment: Enrolment,
        key: SigningKey,
        *,
        share: str = "",
        store: Store | None = None,
    ) -> None:
        self._ears = ears
        self._voice = voice
        self._store = store
        self._logs = f"$share/{share}/{PREFIX}/+/{LOG}" if share else f"{PREFIX}/+/{LOG}"
        self._ingest = ingest
        self._configurations = configurations
        self._enrolment = enrolment
        self._key = key
        self._queue: asyncio.Queue[Message] = asyncio.Queue(QUEUE_MAX)
        self._published: dict[str, int] = {}
        self._receipts: dict[str, Ack] = {}  # to be said; one for each gateway, since the next says the same and more
        self._answers = asyncio.Event()

    async def run(self, registered: Bell, arrived: Bell) -> None:
        """Serve for ever. `registered` tells of a changed registry; `arrived` rings after each commit."""
        await self._ears.subscribe(self._logs, qos=1)
        await self._ears.subscribe(f"{PREFIX}/+/{STATUS}", qos=1)
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._read(), name="hub reads the broker")
            tasks.create_task(self._take(arrived), name="hub ingest")
            tasks.create_task(self._answer(), name="hub acknowledgements")
            tasks.create_task(self._lead_configurations(registered), name="hub configurations")

    async def _read(self) -> None:
        async for message in self._ears.messages:
            await self._queue.put(message)

    async def _take(self, arrived: Bell) -> None:
        while True:
            await self._take_batch(await self._next_batch())
            arrived.ring()

    async def _first_message(self) -> Message:
        """Wait for a message; when it is quiet, what the last ones left undone is made up for."""
        while True:
            try:
                async with asyncio.timeout(QUIET_S):
                    return await self._queue.get()
            except TimeoutError:
                await keep_trying(self._ingest.note_progress, "the witness waits")

    async def _next_batch(self) -> list[Message]:
        batch = [await self._first_message()]
        size = len(batch[0].payload)
        while len(batch) < BATCH_MAX and size < BATCH_BYTES and not self._queue.empty():
            batch.append(self._queue.get_nowait())
            size += len(batch[-1].payload)
        return batch

    async def _take_batch(self, batch: Sequence[Message]) -> None:
        deliveries = []
        for message in batch:
            try:
                gateway, leaf = parse_topic(message.topic)
            except InputError as error:
                log.warning("a message was left aside: %s", error)
                continue
            if leaf == LOG:
                deliveries.append(Delivery(gateway, message.payload))
            elif leaf == STATUS:
                await self._take_status(gateway, message.payload)
        if deliveries:
            receipts = await keep_trying(lambda: self._ingest.take(deliveries), f"{len(deliveries)} segments wait")
            for receipt in receipts:
                self._receipts[receipt.gateway] = receipt.ack
            self._answers.set()
        for message in batch:
            self._ears.acknowledge(message)

    async def _answer(self) -> None:
        """Say what is durable: the latest of each gateway, and of gateways who has waited longest."""
        while True:
            await self._answers.wait()
            self._answers.clear()
            while self._receipts:
                gateway = next(iter(self._receipts))
                ack = self._receipts.pop(gateway)
                payload = sign_envelope(ACK, gateway, encode_ack(ack), self._key.sign)
                await self._voice.publish(topic_of(gateway, ACK), payload, qos=1)

    async def _take_status(self, gateway: str, payload: bytes) -> None:
        try:
            status = _decode_status(payload)
        except msgspec.MsgspecError as error:
            log.warning("the status of %s was left aside: %s", gateway, error)
            return
        note = partial(self._enrolment.note_status, gateway, online=status.online, at_ms=status.at_ms)
        await keep_trying(note, "the status of a gateway waits")

    async def _lead_configurations(self, registered: Bell) -> None:
        if self._store is None:
            await self._publish_configurations(registered)
        else:
            await lead(self._store, "configurations", lambda: self._publish_configurations(registered))

    async def _publish_configurations(self, registered: Bell) -> None:
        connection, known = 0, None
        self._published.clear()  # another process may have published meanwhile
        while True:
            now_on = await self._voice.connection_after(0)
            if now_on != connection:  # a broker that has restarted may have forgotten what it retained
                connection, known = now_on, None
                self._published.clear()
            heard = registered.rings
            state = await keep_trying(self._configurations.state, "configurations wait")
            if state != known:  # making those of a thousand gateways takes a second
                await self._publish_changed()
                known = state
            await registered.wait(heard, LOOK_S)
            await asyncio.sleep(GATHER_S)

    async def _publish_changed(self) -> None:
        for configuration in await keep_trying(self._configurations.refresh, "configurations wait"):
            if self._published.get(configuration.gateway) != configuration.version:
                await self._publish(configuration)

    async def _publish(self, configuration: Configuration) -> None:
        payload = reveal(configuration).encode()
        envelope = sign_envelope(CONFIG, configuration.gateway, payload, self._key.sign)
        if len(envelope) > ENVELOPE_BYTES_MAX:
            log.error(
                "the configuration of %s has %d bytes, at most %d can be sent",
                configuration.gateway,
                len(envelope),
                ENVELOPE_BYTES_MAX,
            )
            self._published[configuration.gateway] = configuration.version
        elif await self._voice.publish(topic_of(configuration.gateway, CONFIG), envelope, qos=1, retain=True):
            self._published[configuration.gateway] = configuration.version


@asynccontextmanager
async def open_clients(settings: MqttSettings, name: str) -> AsyncIterator[tuple[MqttClient, MqttClient]]:
    """Open both connections of an exchange. The broker keeps for the first what arrives while it is away."""
    spoken = settings.model_copy(update={"session_expiry_s": 0})
    ears = MqttClient(settings, name, manual_ack=True, repeat_in_flight=False)
    voice = MqttClient(spoken, f"{name}-voice", repeat_in_flight=False)
    async with ears, voice:
        yield ears, voice
