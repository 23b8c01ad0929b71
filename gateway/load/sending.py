"""Sends a fleet's logs: paced, within a window for each vehicle, oldest first; again where no acknowledgement comes."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from statistics import quantiles

from gateway.core.errors import EnvelopeError, InputError
from gateway.core.messages import decode_ack, open_envelope
from gateway.core.topics import ACK, LOG, PREFIX, parse_topic, topic_of
from gateway.keys import VerifyKey
from gateway.load.vehicles import SimulatedVehicle
from gateway.mqtt import Message, MqttClient, MqttSettings

WINDOW = 64
"""Segments of a vehicle without an acknowledgement: half an hour of sealing each 30 s."""
STALL_S = 10.0
"""After so long without news a vehicle begins again where the hub is; then after twice as long, as vehicles do."""
TICK_S = 0.02
TICKS_PER_S = 2500
"""Of all connections together: a thousand that each looked every 20 ms would take a processor for looking."""
CHECKED_EACH = 20
"""One of so many acknowledgements has its signature checked: for a whole fleet, checking all takes a processor."""
IDLE_MAX_S = 120.0
"""Nothing acknowledged for so long of what was sent: the hub is not coming back."""


@dataclass(slots=True)
class _Log:
    name: str
    epoch: bytes
    sealed: list[bytes]
    turn: float
    """By which part of the time between two segments it is later than the first vehicle: they do not send at once."""
    sent: int = 0
    acknowledged: int = 0
    heard_s: float = 0.0
    """When the hub said something new of it; or when the first segment was sent of which it has said nothing."""
    repeated_s: float = 0.0
    patience_s: float = STALL_S
    sent_at_s: list[float] = field(default_factory=list)

    @property
    def is_awaited(self) -> bool:
        """Whether something of it was sent that is not acknowledged."""
        return self.acknowledged < len(self.sent_at_s)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a run came to. Times in seconds; latency is from sending a segment to the hub's own acknowledgement of it.

    sent        segments, each once; `repeated` those that were sent again
    lasted_s    from the first segment sent to the last acknowledgement
    """

    gateways: int
    segments: int
    readings: int
    sent: int
    repeated: int
    acknowledged: int
    refused_acks: int
    lasted_s: float
    readings_per_s: float
    latency_p50_s: float
    latency_p99_s: float
    latency_max_s: float


class FleetSender:
    """Sends the logs of many vehicles over a few connections."""

    def __init__(
        self,
        vehicles: Sequence[SimulatedVehicle],
        logs: Sequence[list[bytes]],
        hub_key: bytes,
        *,
        readings_per_segment: int,
        segments_per_s: float,
    ) -> None:
        self._logs = {
            vehicle.name: _Log(vehicle.name, vehicle.epoch, log, turn=place / len(logs))
            for place, (vehicle, log) in enumerate(zip(vehicles, logs, strict=True))
        }
        self._hub_key = VerifyKey(hub_key)
        self._per_segment = readings_per_segment
        self._per_s = segments_per_s
        self._latencies_s: list[float] = []
        self._began_s = self._ended_s = 0.0
        self._repeated = self._acks = self._refused = self.acknowledged = 0
        self.total = sum(len(log) for log in logs)

    async def run(
        self, broker: MqttSettings, connections: int, progress: Callable[[int], None] | None = None
    ) -> Outcome:
        """Send everything and wait until it is acknowledged; raises InputError if broker or hub fall silent."""
        try:
            await self._run(broker, connections, progress)
        except* InputError as group:
            raise InputError(*_first(group)) from None
        return self._outcome()

    async def _run(self, broker: MqttSettings, connections: int, progress: Callable[[int], None] | None) -> None:
        names = list(self._logs)
        async with asyncio.TaskGroup() as tasks:
            listening = tasks.create_task(self._listen(broker, progress), name="fleet acks")
            senders = [
                tasks.create_task(
                    self._send(broker, number, names[number::connections], max(TICK_S, connections / TICKS_PER_S)),
                    name=f"fleet {number}",
                )
                for number in range(connections)
            ]
            await asyncio.wait(senders, return_when=asyncio.FIRST_EXCEPTION)
            listening.cancel()

    async def _send(self, broker: MqttSettings, number: int, names: Sequence[str], tick_s: float) -> None:
        loop = asyncio.get_running_loop()
        logs = [self._logs[name] for name in names]
        async with MqttClient(broker, f"fleet-{number}", repeat_in_flight=False) as client:
            try:
                await asyncio.wait_for(client.ready(), IDLE_MAX_S)
            except TimeoutError:
                reason = f"{broker.url} lets nobody in for {IDLE_MAX_S:.0f} s: are address, user and password right?"
                raise InputError("--broker", reason) from None
            self._began_s = self._began_s or loop.time()
            while waiting := [log for log in logs if log.acknowledged < len(log.sealed)]:
                now_s = loop.time()
                heard_s = [log.heard_s for log in logs if log.is_awaited]
                if heard_s and now_s - max(heard_s) > IDLE_MAX_S:
                    raise InputError("hub", f"acknowledges nothing for {IDLE_MAX_S:.0f} s")
                for log in waiting:
                    await self._send_due(client, log, now_s)
                await asyncio.sleep(tick_s)

    async def _send_due(self, client: MqttClient, log: _Log, now_s: float) -> None:
        due = len(log.sealed)
        if self._per_s:
            due = min(due, int(1 - log.turn + (now_s - self._began_s) * self._per_s / len(self._logs)))
        if log.acknowledged < log.sent and now_s - max(log.heard_s, log.repeated_s) > log.patience_s:
            self._repeated += log.sent - log.acknowledged
            log.sent, log.repeated_s, log.patience_s = log.acknowledged, now_s, 2 * log.patience_s
        loop, topic = asyncio.get_running_loop(), topic_of(log.name, LOG)
        while log.sent < min(due, log.acknowledged + WINDOW):
            if not await client.publish(topic, log.sealed[log.sent]):
                return
            if not log.is_awaited:
                log.heard_s = loop.time()
            if log.sent == len(log.sent_at_s):
                log.sent_at_s.append(loop.time())
            log.sent += 1

    async def _listen(self, broker: MqttSettings, progress: Callable[[int], None] | None) -> None:
        async with MqttClient(broker, "fleet-acks") as client:
            await client.subscribe(f"{PREFIX}/+/{ACK}")
            async for message in client.messages:
                self._take(message, asyncio.get_running_loop().time())
                if progress is not None:
                    progress(self.acknowledged)

    def _take(self, message: Message, now_s: float) -> None:
        name, _ = parse_topic(message.topic)
        log = self._logs.get(name)
        if log is None:
            return
        self._acks += 1
        try:
            payload = open_envelope(ACK, name, message.payload, self._check)
            ack = decode_ack(payload)
        except EnvelopeError:
            self._refused += 1
            return
        reached = max((entry.next_offset for entry in ack.epochs if entry.epoch == log.epoch), default=0)
        reached = min(reached, len(log.sent_at_s))
        if reached > log.acknowledged:
            self._latencies_s += [now_s - at_s for at_s in log.sent_at_s[log.acknowledged : reached]]
            self.acknowledged += reached - log.acknowledged
            log.acknowledged, log.heard_s, self._ended_s = reached, now_s, now_s
            log.sent, log.patience_s = max(log.sent, reached), STALL_S

    def _check(self, signature: bytes, message: bytes) -> bool:
        return self._acks % CHECKED_EACH != 1 or self._hub_key.check(signature, message)

    def _outcome(self) -> Outcome:
        lasted_s = max(self._ended_s - self._began_s, 1e-9)
        cuts = quantiles(self._latencies_s, n=100) if len(self._latencies_s) > 1 else [*self._latencies_s, 0.0] * 99
        return Outcome(
            gateways=len(self._logs),
            segments=self.total,
            readings=self.total * self._per_segment,
            sent=sum(len(log.sent_at_s) for log in self._logs.values()),
            repeated=self._repeated,
            acknowledged=self.acknowledged,
            refused_acks=self._refused,
            lasted_s=round(lasted_s, 3),
            readings_per_s=round(self.acknowledged * self._per_segment / lasted_s, 1),
            latency_p50_s=round(cuts[49], 4),
            latency_p99_s=round(cuts[98], 4),
            latency_max_s=round(max(self._latencies_s, default=0.0), 4),
        )


def _first(group: BaseExceptionGroup[InputError]) -> tuple[str, str]:
    """Return field and reason of one of the errors: what stops one connection stops them all."""
    error: BaseException = group
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return (error.field, error.reason) if isinstance(error, InputError) else ("hub", str(error))
