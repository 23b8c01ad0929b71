"""One connection to the broker, kept alive on the asyncio loop; paho is the protocol engine."""

from __future__ import annotations

import asyncio
import logging
import random
import ssl
from collections.abc import AsyncIterator
from dataclasses import dataclass
from types import TracebackType
from typing import Self

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode
from paho.mqtt.subscribeoptions import SubscribeOptions

from gateway.mqtt.backoff import backoff_s
from gateway.mqtt.engine import PACKET_BYTES_MAX, Engine
from gateway.mqtt.reasons import KEEP_ALIVE_TIMEOUT, SESSION_TAKEN_OVER, describe_reason
from gateway.mqtt.settings import MqttSettings
from gateway.mqtt.sockets import open_socket

log = logging.getLogger(__name__)

CONNECT_TIMEOUT_S = 10.0
"""From the first packet to CONNACK, TLS included: a mobile link that needs longer is better tried again."""
STABLE_S = 1.0
"""A link that is lost sooner counts as a failed attempt: two clients of one name would otherwise throw each other out
as fast as they can connect."""
HOUSEKEEPING_S = 1.0
"""How often keepalives are looked after; paho asks for about once a second."""
IN_FLIGHT = 20
"""Unacknowledged publishes at once. 20 is Mosquitto's own receive maximum, and 100 are no faster (measured)."""
INBOX = 100
"""Received messages that wait for their reader; when there are more, the socket is not read (TCP holds the sender)."""
LOST = "the connection was lost"
CONTESTED_AFTER = 3
"""Links in a row that were lost as soon as they were made, after which another client of our name is suspected: some
brokers throw the older of two out without a word."""
UNANSWERED_S = 60.0
"""A broker that keeps the link alive and acknowledges nothing for so long is left: our window would never open again.
Brokers answer in milliseconds; a slow link carries the twenty messages that may wait within a few seconds."""


@dataclass(frozen=True, slots=True)
class Will:
    """What the broker publishes if this client vanishes."""

    topic: str
    payload: bytes
    qos: int = 1
    retain: bool = True


@dataclass(frozen=True, slots=True)
class Message:
    """A received publish. `token` is for `acknowledge`: (connection, packet identifier)."""

    topic: str
    payload: bytes
    qos: int
    retain: bool
    token: tuple[int, int]


class MqttClient:
    """One connection to the broker, kept alive.

    will              published by the broker if this client vanishes
    manual_ack        nothing is acknowledged to the broker until `acknowledge(message)`
    repeat_in_flight  unacknowledged publishes go again after a reconnect; False where the caller repeats them anyway
    rng               randomness of the back-off
    """

    def __init__(
        self,
        settings: MqttSettings,
        client_id: str,
        *,
        will: Will | None = None,
        manual_ack: bool = False,
        repeat_in_flight: bool = True,
        rng: random.Random | None = None,
    ) -> None:
        self.settings = settings
        self.reason = "not connected yet"
        """Why the link is down, or what the broker refuses, in plain words; empty while all is well."""
        self._refusals: dict[str, str] = {}
        self.refused = 0
        """Publishes that the broker refused."""
        self.malformed = 0
        """Received messages whose topic is no text."""
        self._manual_ack = manual_ack
        self._repeat_in_flight = repeat_in_flight
        self._rng = rng or random.Random()  # noqa: S311  jitter, no secret
        self._suspicion = f"does another client call itself {client_id}?"
        self._tls = settings.tls_context()
        self._connections = 0
        self._connected = False
        self._is_contested = False
        self._changed = asyncio.Event()
        self._opened: asyncio.Future[None] | None = None
        self._socket: paho.SocketLike | None = None
        self._reading = False
        self._inbox: asyncio.Queue[Message] = asyncio.Queue()  # bounded by not reading the socket, see _read
        self._subscriptions: dict[str, int] = {}
        self._unconfirmed: dict[int, tuple[str, ...]] = {}
        self._in_flight: dict[int, str] = {}
        self._answered_s = 0.0  # when the broker last answered a publish or a subscription, or had none to answer
        self._in_flight_max = IN_FLIGHT
        self._tasks: asyncio.TaskGroup | None = None
        self._task: asyncio.Task[None] | None = None
        self._paho = self._make_engine(client_id, will)

    async def __aenter__(self) -> Self:
        """Begin to connect; does not wait for the link."""
        self._tasks = await asyncio.TaskGroup().__aenter__()
        self._task = self._tasks.create_task(self._keep_connected(), name="mqtt link")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Say goodbye (no will is published) and close."""
        if self._task is not None:
            self._task.cancel()
        if self._connected:
            self._paho.disconnect()
            self._paho.loop_write()
        self._close_socket()
        if self._tasks is not None:
            await self._tasks.__aexit__(kind, error, trace)

    @property
    def connected(self) -> bool:
        """Whether the broker has accepted us and the link is up."""
        return self._connected

    @property
    def in_flight(self) -> int:
        """Publishes that the broker has not yet acknowledged."""
        return len(self._in_flight)

    @property
    def messages(self) -> AsyncIterator[Message]:
        """What arrives, for one reader, for as long as the client lives."""
        return self._receive()

    async def connection_after(self, number: int) -> int:
        """Wait for a connection later than the `number`-th and return its number (the first is 1)."""
        while not (self._connected and self._connections > number):
            await self._changed.wait()
        return self._connections

    async def loss(self) -> None:
        """Wait until the link is down."""
        while self._connected:
            await self._changed.wait()

    async def ready(self) -> None:
        """Wait until the link is up and the broker has confirmed (or refused) each subscription."""
        while not self._connected or self._unconfirmed:
            await self._changed.wait()

    async def subscribe(self, topic: str, qos: int = 1) -> None:
        """Subscribe now if the link is up, and at each connection. A refusal is logged and seen in `reason`."""
        self._subscriptions[topic] = qos
        if self._connected:
            self._send_subscriptions({topic: qos})

    async def publish(self, topic: str, payload: bytes, qos: int = 1, *, retain: bool = False) -> bool:
        """Hand a message to the broker; False, and nothing sent, while the link is down.

        Waits while IN_FLIGHT messages are unacknowledged. True means sent: an acknowledgement by the broker would
        not mean delivery anyway.
        """
        while self._connected and qos > 0 and len(self._in_flight) >= self._in_flight_max:
            await self._changed.wait()
        if not self._connected:
            return False
        info = self._paho.publish(topic, payload, qos, retain)
        if info.rc != paho.MQTT_ERR_SUCCESS:
            return False
        if qos > 0:
            self._note_question()
            self._in_flight[info.mid] = topic
        return True

    def acknowledge(self, message: Message) -> None:
        """Tell the broker that the message is dealt with (only with `manual_ack`).

        Without effect for a message of an earlier connection: the broker sends that one again.
        """
        connection, mid = message.token
        if self._connected and connection == self._connections and message.qos > 0:
            self._paho.ack(mid, message.qos)

    # --- the link

    def _make_engine(self, client_id: str, will: Will | None) -> Engine:
        engine = Engine(CallbackAPIVersion.VERSION2, client_id, protocol=paho.MQTTv5, manual_ack=self._manual_ack)
        if self.settings.username is not None:
            password = self.settings.password
            engine.username_pw_set(self.settings.username, None if password is None else password.get_secret_value())
        if will is not None:
            engine.will_set(will.topic, will.payload, will.qos, will.retain)
        engine.max_inflight_messages_set(0)  # our own bound waits instead of queueing
        engine.on_socket_open = self._on_socket_open
        engine.on_socket_close = self._on_socket_close
        engine.on_socket_register_write = self._on_register_write
        engine.on_socket_unregister_write = self._on_unregister_write
        engine.on_connect = self._on_connect
        engine.on_disconnect = self._on_disconnect
        engine.on_message = self._on_message
        engine.on_publish = self._on_publish
        engine.on_subscribe = self._on_subscribe
        return engine

    async def _keep_connected(self) -> None:
        failures = 0
        while True:
            lasted_s = await self._connect_once()
            failures = 0 if lasted_s >= STABLE_S else failures + 1
            if failures >= CONTESTED_AFTER and self.reason == LOST:
                self._set_reason(f"{LOST}, {failures} times as soon as it was made; {self._suspicion}")
            await asyncio.sleep(backoff_s(failures, self.settings.reconnect_max_s, self._rng))

    async def _connect_once(self) -> float:
        """Connect and look after the link until it is lost; return how many seconds it was up."""
        loop = asyncio.get_running_loop()
        self._opened = loop.create_future()
        try:
            async with asyncio.timeout(CONNECT_TIMEOUT_S):
                self._paho.prepared = await open_socket(self.settings.host, self.settings.port, self._tls)
                self._configure()
                self._paho.reconnect()
                await self._opened
        except (OSError, TimeoutError) as error:
            self._close_socket()
            text = "no answer in time" if isinstance(error, TimeoutError) else str(error)
            self._set_reason(f"{self.settings.host}:{self.settings.port}: {text}")
            return 0.0
        began_s = loop.time()
        while self._connected:
            try:
                async with asyncio.timeout(HOUSEKEEPING_S):
                    await self.loss()
            except TimeoutError:
                self._paho.loop_misc()
                if self._is_unanswered:
                    self._give_up(f"the broker has acknowledged nothing for {UNANSWERED_S:.0f} s")
        # Whoever is thrown out by another client of its name and comes back at once throws the other one out again.
        return 0.0 if self._is_contested else loop.time() - began_s

    @property
    def _is_unanswered(self) -> bool:
        waits = bool(self._in_flight or self._unconfirmed)
        # While the socket is not read, for our own slowness, the answers lie in it.
        return waits and self._reading and asyncio.get_running_loop().time() - self._answered_s > UNANSWERED_S

    def _note_question(self) -> None:
        if not self._in_flight and not self._unconfirmed:
            self._answered_s = asyncio.get_running_loop().time()

    def _note_answer(self) -> None:
        self._answered_s = asyncio.get_running_loop().time()

    def _give_up(self, reason: str) -> None:
        """End the link ourselves."""
        self._fail_opening(reason)
        if self._connected:
            self._set_reason(reason)
        self._close_socket()

    def _configure(self) -> None:
        """Close what is open and state how to connect."""
        wishes = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]  # paho left it untyped
        wishes.SessionExpiryInterval = self.settings.session_expiry_s
        wishes.ReceiveMaximum = INBOX
        wishes.MaximumPacketSize = PACKET_BYTES_MAX
        self._paho.connect_async(
            self.settings.host, self.settings.port, self.settings.keepalive_s, clean_start=False, properties=wishes
        )

    def _close_socket(self) -> None:
        """End the link at once, whatever its state."""
        self._configure()  # paho terminates an open connection first
        if self._paho.prepared is not None:
            self._paho.prepared.close()
            self._paho.prepared = None
        self._set_down()

    def _set_down(self) -> None:
        self._connected = False
        self._unconfirmed.clear()
        if not self._repeat_in_flight:
            self._paho.drop_out_messages()
            self._in_flight.clear()
        self._tell_change()

    def _set_reason(self, reason: str) -> None:
        if reason and reason != self.reason:
            log.warning("broker: %s", reason)
        self.reason = reason

    def _tell_change(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()

    def _send_subscriptions(self, wanted: dict[str, int]) -> None:
        if wanted:
            _, mid = self._paho.subscribe([(topic, SubscribeOptions(qos)) for topic, qos in wanted.items()])
            if mid is not None:
                self._note_question()
                self._unconfirmed[mid] = tuple(wanted)

    async def _receive(self) -> AsyncIterator[Message]:
        while True:
            message = await self._inbox.get()
            if not self._reading and self._socket is not None and self._inbox.qsize() <= INBOX // 2:
                self._start_reading(self._socket)
            yield message

    # --- what the loop tells: the socket is readable, writable

    def _start_reading(self, sock: paho.SocketLike) -> None:
        self._reading = True
        loop = asyncio.get_running_loop()
        loop.add_reader(sock, self._read, sock)
        if self._is_more_at_hand(sock):
            loop.call_soon(self._read, sock)

    def _is_more_at_hand(self, sock: paho.SocketLike) -> bool:
        """Whether there are bytes that wake no selector: taken ahead, or decrypted."""
        return self._paho.has_read_ahead or (isinstance(sock, ssl.SSLSocket) and sock.pending() > 0)

    def _read(self, sock: paho.SocketLike) -> None:
        for _ in range(INBOX):  # then others have their turn
            if sock is not self._socket or not self._reading:
                return
            was_connected = self._connected
            self._paho.loop_read()
            if sock is not self._socket:
                return
            if self._paho.is_flooded:
                self._give_up(f"the broker sends a packet of more than {PACKET_BYTES_MAX} bytes")
                return
            if self._inbox.qsize() >= INBOX:
                self._reading = False
                asyncio.get_running_loop().remove_reader(sock)
                return
            if not self._is_more_at_hand(sock):
                return
            if self._connected and not was_connected:
                break  # who waits for the link sees it, even if the next packet ends it
        asyncio.get_running_loop().call_soon(self._read, sock)

    # --- what paho tells; always in the loop's thread

    def _on_socket_open(self, _client: paho.Client, _userdata: object, sock: paho.SocketLike) -> None:
        self._socket = sock
        self._start_reading(sock)

    def _on_socket_close(self, _client: paho.Client, _userdata: object, sock: paho.SocketLike) -> None:
        if self._reading:
            asyncio.get_running_loop().remove_reader(sock)
        self._reading = False
        self._socket = None

    def _on_register_write(self, _client: paho.Client, _userdata: object, sock: paho.SocketLike) -> None:
        asyncio.get_running_loop().add_writer(sock, self._paho.loop_write)

    def _on_unregister_write(self, _client: paho.Client, _userdata: object, sock: paho.SocketLike) -> None:
        asyncio.get_running_loop().remove_writer(sock)

    def _on_connect(
        self, _client: paho.Client, _userdata: object, _flags: object, reason: ReasonCode, properties: Properties | None
    ) -> None:
        if reason.is_failure:
            self._fail_opening(describe_reason(reason, properties))
            return
        self._connected = True
        self._is_contested = False
        self._connections += 1
        self.reason = ""
        self._refusals.clear()
        self._note_answer()
        self._in_flight_max = min(IN_FLIGHT, getattr(properties, "ReceiveMaximum", IN_FLIGHT))
        log.info("broker: connected to %s:%s", self.settings.host, self.settings.port)
        self._send_subscriptions(self._subscriptions)
        if self._opened is not None and not self._opened.done():
            self._opened.set_result(None)
        self._tell_change()

    def _on_disconnect(
        self,
        _client: paho.Client,
        _userdata: object,
        flags: paho.DisconnectFlags,
        reason: ReasonCode,
        properties: Properties | None,
    ) -> None:
        words = LOST
        if flags.is_disconnect_packet_from_server:
            words = describe_reason(reason, properties)
            self._is_contested = reason.value == SESSION_TAKEN_OVER
        elif reason.value == KEEP_ALIVE_TIMEOUT:
            words = "the broker has fallen silent"
        self._fail_opening(words)
        if self._connected:
            self._set_reason(words)
        self._set_down()

    def _fail_opening(self, words: str) -> None:
        if self._opened is not None and not self._opened.done():
            self._opened.set_exception(ConnectionRefusedError(words))

    def _on_message(self, _client: paho.Client, _userdata: object, received: paho.MQTTMessage) -> None:
        token = (self._connections, received.mid)
        try:
            message = Message(received.topic, bytes(received.payload), received.qos, received.retain, token)
        except UnicodeDecodeError:
            self.malformed += 1
            log.warning("broker: a message whose topic is not UTF-8 was set aside")
            self._paho.ack(received.mid, received.qos)
            return
        self._inbox.put_nowait(message)

    def _on_publish(
        self, _client: paho.Client, _userdata: object, mid: int, reason: ReasonCode, properties: Properties | None
    ) -> None:
        topic = self._in_flight.pop(mid, None)
        self._note_answer()
        if reason.is_failure:
            self.refused += 1
            self._refuse("publish", f"refused a message to {topic}: {describe_reason(reason, properties)}")
        else:
            self._refuse("publish", "")
        self._tell_change()

    def _on_subscribe(
        self,
        _client: paho.Client,
        _userdata: object,
        mid: int,
        reasons: list[ReasonCode],
        properties: Properties | None,
    ) -> None:
        self._note_answer()
        for topic, reason in zip(self._unconfirmed.pop(mid, ()), reasons, strict=False):
            if reason.is_failure:
                words = describe_reason(reason, properties)
                self._refuse("subscribe", f"refused the subscription to {topic}: {words}")
        self._tell_change()

    def _refuse(self, act: str, words: str) -> None:
        """Note what the broker refuses of what we do; empty once it does it. What was said last of each is kept."""
        if self._refusals.get(act, "") != words:
            self._refusals[act] = words
            self._set_reason("; ".join(filter(None, self._refusals.values())))
