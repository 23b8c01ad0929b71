from __future__ import annotations

import asyncio
import random
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.reasoncodes import ReasonCode
from pydantic import ValidationError

from gateway.core.errors import InputError
from gateway.demo.link import Link
from gateway.hub.processes.broker import EmbeddedBroker
from gateway.mqtt import IN_FLIGHT, INBOX, Message, MqttClient, MqttSettings, Will, backoff_s
from gateway.mqtt.reasons import describe_reason
from tests.waiting import LIMIT_S, until

TOPIC = "coldchain/v1/VAN-1/log"


@pytest.fixture
async def broker(tmp_path: Path) -> AsyncIterator[EmbeddedBroker]:
    async with EmbeddedBroker(tmp_path / "broker") as embedded:
        yield embedded


@asynccontextmanager
async def connected(url: str, name: str, **options: bool | Will) -> AsyncIterator[MqttClient]:
    settings = MqttSettings(url=url, reconnect_max_s=0.1)
    rng = random.Random(1)  # noqa: S311  jitter, no secret
    async with asyncio.timeout(LIMIT_S), MqttClient(settings, name, rng=rng, **options) as client:  # type: ignore[arg-type]  # mypy does not follow ** of a union
        yield client


async def collect(client: MqttClient, number: int) -> list[Message]:
    messages: list[Message] = []
    async for message in client.messages:
        messages.append(message)
        if len(messages) == number:
            break
    return messages


async def publish_all(client: MqttClient, payloads: range) -> None:
    for number in payloads:
        while not await client.publish(TOPIC, b"%d" % number):
            await client.connection_after(0)


async def test_messages_arrive(broker: EmbeddedBroker) -> None:
    async with connected(broker.url, "a") as sender, connected(broker.url, "b") as receiver:
        await receiver.subscribe(TOPIC)
        await receiver.ready()
        await sender.connection_after(0)
        assert await sender.publish(TOPIC, b"\x00\x01", qos=1)
        (message,) = await collect(receiver, 1)
    assert (message.topic, message.payload, message.qos, message.retain) == (TOPIC, b"\x00\x01", 1, False)


async def test_many_messages_arrive_in_order_through_a_small_window(broker: EmbeddedBroker) -> None:
    async with connected(broker.url, "a") as sender, connected(broker.url, "b", manual_ack=True) as receiver:
        await receiver.subscribe(TOPIC)
        await receiver.ready()
        await sender.connection_after(0)
        publishing = asyncio.create_task(publish_all(sender, range(5 * INBOX)))
        received = []
        async for message in receiver.messages:
            received.append(int(message.payload))
            receiver.acknowledge(message)
            if len(received) == 5 * INBOX:
                break
        await publishing
    assert received == list(range(5 * INBOX))


async def test_a_slow_reader_holds_the_sender_and_loses_nothing(broker: EmbeddedBroker) -> None:
    async with connected(broker.url, "a") as sender, connected(broker.url, "b") as receiver:
        await receiver.subscribe(TOPIC)
        await receiver.ready()
        await sender.connection_after(0)
        await publish_all(sender, range(3 * INBOX))
        messages = await collect(receiver, 3 * INBOX)
    assert {int(message.payload) for message in messages} == set(range(3 * INBOX))


async def test_publishing_offline_is_no_error() -> None:
    async with connected("mqtt://127.0.0.1:9", "a") as client:
        assert not await client.publish(TOPIC, b"x")
        assert not client.connected
        await client.subscribe(TOPIC)


async def test_cuts_are_survived_and_unacknowledged_messages_go_again(broker: EmbeddedBroker) -> None:
    async with (
        Link("127.0.0.1", broker.port) as road,
        connected(f"mqtt://127.0.0.1:{road.listening_port}", "a") as sender,
        connected(broker.url, "b") as receiver,
    ):
        await receiver.subscribe(TOPIC)
        await receiver.ready()
        publishing = asyncio.create_task(publish_all(sender, range(2000)))
        received: set[int] = set()
        async for message in receiver.messages:
            received.add(int(message.payload))
            if len(received) in (300, 900, 1500):
                road.cut()
                await sender.loss()
                road.mend()
            if len(received) == 2000:
                break
        await publishing


async def test_subscriptions_are_renewed_when_the_broker_comes_back_without_its_memory(tmp_path: Path) -> None:
    async with EmbeddedBroker(tmp_path / "one") as first:
        port, url = first.port, first.url
        reborn = connected(url, "a")
        client = await reborn.__aenter__()
        await client.subscribe(TOPIC)
        await client.ready()
    await client.loss()
    assert client.reason
    async with EmbeddedBroker(tmp_path / "two", port):
        await client.connection_after(1)
        await client.ready()
        assert await client.publish(TOPIC, b"x")
        assert [message.payload for message in await collect(client, 1)] == [b"x"]
    await reborn.__aexit__(None, None, None)


async def test_the_will_is_published_for_who_vanishes_not_for_who_leaves(broker: EmbeddedBroker) -> None:
    will = Will("coldchain/v1/VAN-1/status", b"gone", retain=False)
    async with connected(broker.url, "b") as receiver:
        await receiver.subscribe(will.topic)
        await receiver.ready()
        async with connected(broker.url, "a", will=will) as leaving:
            await leaving.connection_after(0)
            await leaving.publish(will.topic, b"here")
        async with (
            Link("127.0.0.1", broker.port) as road,
            connected(f"mqtt://127.0.0.1:{road.listening_port}", "c", will=will) as vanishing,
        ):
            await vanishing.connection_after(0)
            road.cut()
            messages = await collect(receiver, 2)
    assert [message.payload for message in messages] == [b"here", b"gone"]


async def test_an_acknowledgement_of_an_earlier_connection_is_void(broker: EmbeddedBroker) -> None:
    """Packet identifiers begin anew with each connection: an old one could acknowledge another message."""
    async with (
        Link("127.0.0.1", broker.port) as road,
        connected(f"mqtt://127.0.0.1:{road.listening_port}", "b", manual_ack=True) as receiver,
        connected(broker.url, "a") as sender,
    ):
        await receiver.subscribe(TOPIC)
        await receiver.ready()
        await sender.connection_after(0)
        await sender.publish(TOPIC, b"x")
        (old,) = await collect(receiver, 1)
        road.cut()
        await receiver.loss()
        road.mend()
        await receiver.connection_after(1)
        (again,) = await collect(receiver, 1)
        assert again.payload == b"x", "not acknowledged, so it comes again"
        assert again.token[0] == old.token[0] + 1
        receiver.acknowledge(old)
        receiver.acknowledge(again)


@asynccontextmanager
async def answering(*answers: bytes) -> AsyncIterator[str]:
    """A broker that says these packets to whoever connects, and nothing else."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await reader.read(1000)
            for answer in answers:
                writer.write(answer)
                await writer.drain()
            await reader.read()
        except OSError:
            pass  # the client has had enough
        finally:
            writer.transport.abort()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield f"mqtt://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()


CONNACK = bytes([0x20, 3, 0, 0, 0])


@pytest.mark.parametrize(
    ("answers", "words"),
    [
        ([bytes([0x20, 3, 0, 0x86, 0])], "wrong user name or password"),
        ([bytes([0x20, 3, 0, 0x84, 0])], "does not speak MQTT version 5"),
        ([CONNACK, bytes([0xE0, 2, 0x8E, 0])], "another client with the same identifier"),
        ([CONNACK, bytes([0xE0, 2, 0x8B, 0])], "shutting down"),
        ([CONNACK, b"\x00\x00"], "the connection was lost"),
        ([CONNACK, bytes([0xE0, 2, 0x77, 0])], "the connection was lost"),
        ([bytes([0x20, 3, 0, 0x9D, 0])], "has moved to another server"),
        ([bytes([0x20, 13, 0, 0x87, 10, 0x1F, 0, 7]) + b"no\nsuch"], '(MQTT reason 0x87, "no such")'),
    ],
)
async def test_reason_codes_are_put_into_words(answers: list[bytes], words: str) -> None:
    async with answering(*answers) as url, connected(url, "a") as client:
        await until(lambda: words in client.reason)


def test_every_reason_code_of_the_protocol_has_words_of_its_own() -> None:
    names = ReasonCode(PacketTypes.CONNACK).names  # type: ignore[no-untyped-call]  # paho left it untyped
    said: dict[str, int] = {}
    for code, named in names.items():
        if code < 0x03:
            continue
        packet = next(packet for packets in named.values() for packet in packets)
        text = describe_reason(ReasonCode(packet, identifier=code))  # type: ignore[no-untyped-call]  # the same
        words = text.removesuffix(f" (MQTT reason {code:#04x})")
        assert words not in {text, next(iter(named)).lower()}, code
        said[words] = code
    assert len(said) == sum(code >= 0x03 for code in names) > 30


@asynccontextmanager
async def scripted(reply: Callable[[int, bytes], bytes]) -> AsyncIterator[str]:
    """A broker that answers each packet with what `reply(kind, packet identifier)` says, and nothing for b"".

    Only publishes of QoS 1 to a topic of TOPIC's length, and packets of less than 128 bytes.
    """

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head = await reader.readexactly(2)
                body = await reader.readexactly(head[1])
                kind = head[0] >> 4
                at = 2 + len(TOPIC) if kind == PUBLISH else 0
                writer.write(reply(kind, body[at : at + 2]))
                await writer.drain()
        except (asyncio.IncompleteReadError, OSError):
            pass  # the same
        finally:
            writer.transport.abort()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield f"mqtt://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()


CONNECT, PUBLISH, SUBSCRIBE, PINGREQ = 1, 3, 8, 12
PINGRESP = bytes([0xD0, 0])


async def test_what_the_broker_refuses_is_said_while_the_link_is_up() -> None:
    codes = {PUBLISH: 0x97, SUBSCRIBE: 0x87}

    def reply(kind: int, identifier: bytes) -> bytes:
        match kind:
            case 1:
                return CONNACK
            case 3:
                return bytes([0x40, 4, *identifier, codes[PUBLISH], 0])
            case 8:
                return bytes([0x90, 4, *identifier, 0, codes[SUBSCRIBE]])
            case _:
                return PINGRESP if kind == PINGREQ else b""

    async with scripted(reply) as url, connected(url, "a") as client:
        await client.subscribe(TOPIC)
        await client.ready()
        assert f"refused the subscription to {TOPIC}: the broker's access rules forbid it" in client.reason
        await client.publish(TOPIC, b"1")
        await until(lambda: client.refused == 1)
        assert "access rules" in client.reason
        assert f"refused a message to {TOPIC}: a quota of the broker is used up" in client.reason
        codes[PUBLISH] = 0
        await client.publish(TOPIC, b"2")
        await until(lambda: "quota" not in client.reason)
        assert client.connected
        assert "access rules" in client.reason


async def test_a_broker_that_answers_pings_and_acknowledges_nothing_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its window would never open again, and to the eye the link is up."""
    monkeypatch.setattr("gateway.mqtt.client.HOUSEKEEPING_S", 0.02)
    answers = {CONNECT: CONNACK, PINGREQ: PINGRESP}
    said: list[str] = []
    async with scripted(lambda kind, _: answers.get(kind, b"")) as url, connected(url, "a") as client:
        await client.connection_after(0)
        for number in range(IN_FLIGHT):
            assert await client.publish(TOPIC, b"%d" % number)
        waiting = asyncio.create_task(client.publish(TOPIC, b"waits"))
        monkeypatch.setattr("gateway.mqtt.client.UNANSWERED_S", 0.1)
        await client.loss()
        said.append(client.reason)
        assert not await waiting
        await client.connection_after(1)
    assert "has acknowledged nothing" in said[0]


async def test_a_packet_that_is_too_large_is_not_collected() -> None:
    """It announces 64 MiB. What a broker says it holds back is not known before all of it has come."""
    flood = bytes([0x30, 0x80, 0x80, 0x80, 0x20]) + bytes(100)
    async with answering(CONNACK, flood) as url, connected(url, "a") as client:
        await until(lambda: "a packet of more than" in client.reason)
        await client.connection_after(1)


async def test_who_is_thrown_out_by_its_namesake_comes_back_ever_later(monkeypatch: pytest.MonkeyPatch) -> None:
    """However long the link had lasted: else both would throw each other out as fast as they can connect."""
    asked: list[int] = []
    monkeypatch.setattr("gateway.mqtt.client.STABLE_S", 1e-9)
    monkeypatch.setattr("gateway.mqtt.client.backoff_s", lambda failures, *_: asked.append(failures) or 0.0)
    async with answering(CONNACK, bytes([0xE0, 2, 0x8E, 0])) as url, connected(url, "a"):
        await until(lambda: len(asked) >= 6)
    assert asked[:6] == [1, 2, 3, 4, 5, 6]


async def test_a_link_that_is_lost_again_and_again_without_a_word_is_suspected_to_be_contested() -> None:
    async with answering(CONNACK, b"\x00\x00") as url, connected(url, "a") as client:
        await until(lambda: "as soon as it was made; does another client call itself a?" in client.reason)


async def test_a_broker_that_accepts_and_is_silent_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.mqtt.client.CONNECT_TIMEOUT_S", 0.05)
    async with answering() as url, connected(url, "a") as client:
        await until(lambda: "no answer in time" in client.reason)


async def test_a_broker_that_falls_silent_is_given_up() -> None:
    async with answering(CONNACK) as url:
        settings = MqttSettings(url=url, keepalive_s=1, reconnect_max_s=0.1)
        async with asyncio.timeout(LIMIT_S), MqttClient(settings, "a") as client:
            assert await client.connection_after(0) == 1
            await client.loss()
            assert client.reason == "the broker has fallen silent"
            assert await client.connection_after(1) == 2


async def test_a_name_that_nobody_knows_is_said() -> None:
    async with connected("mqtt://broker.invalid", "a") as client:
        await until(lambda: "broker.invalid" in client.reason)


async def test_a_server_that_is_no_tls_server_is_named(broker: EmbeddedBroker) -> None:
    async with connected(f"mqtts://127.0.0.1:{broker.port}", "a") as client:
        await until(lambda: client.reason != "not connected yet")
        assert "SSL" in client.reason or "reset" in client.reason


@pytest.mark.parametrize(
    "url", ["http://broker", "mqtt://", "mqtt://user:secret@broker", "mqtt://broker:port", "mqtt://broker/path"]
)
def test_a_wrong_url_is_refused(url: str) -> None:
    with pytest.raises(ValidationError):
        MqttSettings(url=url)


@pytest.mark.parametrize(
    ("files", "field"),
    [
        ({"ca_file": "/nowhere"}, "broker.ca_file"),
        ({"ca_file": __file__}, "broker.ca_file"),
        ({"cert_file": "/nowhere"}, "broker.cert_file"),
    ],
)
def test_files_that_hold_no_certificate_are_named(files: dict[str, str], field: str) -> None:
    with pytest.raises(InputError) as caught:
        MqttSettings.model_validate({"url": "mqtts://broker", **files}).tls_context()
    assert caught.value.field == field


def test_ports_by_scheme() -> None:
    assert MqttSettings(url="mqtt://broker").port == 1883
    assert MqttSettings(url="mqtts://broker").port == 8883
    assert MqttSettings(url="mqtts://broker:1234").port == 1234
    assert isinstance(MqttSettings(url="mqtts://broker").tls_context(), ssl.SSLContext)
    assert MqttSettings(url="mqtt://broker").tls_context() is None


def test_back_off_doubles_is_bounded_and_jittered() -> None:
    rng = random.Random(1)  # noqa: S311  jitter, no secret
    delays = [backoff_s(failures, 10, rng) for failures in range(1000)]
    assert all(0.125 <= delay <= 10 for delay in delays)
    assert delays[0] < delays[3] < delays[6]
    assert len(set(delays[10:])) > 900
