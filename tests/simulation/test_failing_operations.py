"""Statement N fails, for N = 1, 2, … until a run passes without: nothing that was promised is ever broken."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
from itertools import count

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from sqlalchemy.exc import OperationalError

from gateway.core.errors import InputError
from gateway.core.segments import parse_segment
from gateway.hub.proof.verification import verify_store
from gateway.keys import SigningKey
from gateway.vehicle.memos import Memos
from gateway.vehicle.outbox import Outbox
from gateway.vehicle.recorder import Stretch
from tests.simulation.disks import REFUSALS, Card, Fault, FaultyConnection, PowerCut
from tests.simulation.hubs import HubDisk
from tests.simulation.reference_hub import ReferenceHub
from tests.vehicle.samples import BOOT, NOW, T0, TAG, VAN, content, observe

_KEY = SigningKey(Ed25519PrivateKey.from_private_bytes(b"k" * 32))
EVERYTHING = 1 << 30
STRETCH = Stretch(TAG, 1, 2)

KINDS = [pytest.param(reason, after, id=f"{reason or 'power cut'}{' afterwards' * after}")
         for reason in ("", *REFUSALS) for after in (False, True) if not (after and reason)]  # fmt: skip
"""SQLite carries out nothing that it refuses; the power may be cut just after."""


@pytest.fixture
def card() -> Iterator[Card]:
    card = Card()
    yield card
    card.discard()


def make_outbox(connection: FaultyConnection) -> Outbox:
    return Outbox(connection, VAN, _KEY, boot=BOOT, max_bytes=1500)


Promise = Callable[[int], None]


def live(connection: FaultyConnection, hub: ReferenceHub, promise: Promise) -> None:
    """A short life with everything that an outbox does; promises each number once it is sealed."""
    outbox = make_outbox(connection)
    for number in range(3):
        outbox.seal(content(number), sealed_at_ms=T0 + number, config_version=1, missing=[STRETCH])
        promise(number)
    for row in outbox.pending(EVERYTHING, -1, NOW):
        hub.take(row.data)
    outbox.acknowledge(hub.ack(short=1))
    outbox.seal(content(3), sealed_at_ms=T0 + 3, config_version=1, resolved=[STRETCH])
    promise(3)
    outbox.trim(T0 + 1)
    hub.generation = 2
    outbox.acknowledge(hub.ack())
    for number in range(4, 9):  # beyond what there is room for
        outbox.seal(content(number), sealed_at_ms=T0 + number, config_version=1)
        promise(number)
    connection.execute("UPDATE segments SET data = x'00' WHERE sequence = 6")
    outbox.pending(EVERYTHING, -1, NOW)
    outbox.write_watermarks()


def send(outbox: Outbox, hub: ReferenceHub) -> None:
    for row in outbox.pending(EVERYTHING, -1, NOW):
        hub.take(row.data)


def insist(act: Callable[[], object]) -> None:
    for _ in range(3):
        with suppress(sqlite3.OperationalError):
            act()
            return
    pytest.fail("refused for ever")


def drain(outbox: Outbox, hub: ReferenceHub) -> None:
    for _ in range(20):
        send(outbox, hub)
        outbox.acknowledge(hub.ack())
        if not outbox.depth().segments:
            return
    pytest.fail("something waits for ever")


@pytest.mark.parametrize(("reason", "after"), KINDS)
def test_the_outbox_keeps_its_promises(card: Card, reason: str, after: bool) -> None:  # noqa: FBT001  parametrised
    for operation in count(1):
        card.replace()
        hub = ReferenceHub(VAN, _KEY.public_bytes)
        connection = card.open()
        fault = connection.fault = Fault(operation, reason, after=after)
        promised: set[int] = set()
        with suppress(sqlite3.OperationalError, PowerCut):
            live(connection, hub, promised.add)
        card.cut_power(connection)
        connection = card.open()
        outbox = make_outbox(connection)
        outbox.seal(content(100), sealed_at_ms=T0 + 100, config_version=1)
        drain(outbox, hub)
        given_up = hub.dropped() + sum("outbox" in code for code in hub.faults())
        missing = promised | {100} - set(hub.numbers())
        missing -= set(hub.numbers())
        assert len(missing) <= given_up, f"statement {operation}: {missing} are neither there nor named"
        memos = Memos(connection)
        assert 3 not in promised or memos.missing() == ()
        connection.close()
        if not fault.struck:
            break
    assert operation > 60, "the life was not lived"


@pytest.mark.parametrize("reason", REFUSALS)
def test_a_disk_that_refuses_once_costs_nothing(card: Card, reason: str) -> None:
    """The same outbox goes on after a refusal: what is tried again succeeds, once."""
    for operation in count(1):
        card.replace()
        hub = ReferenceHub(VAN, _KEY.public_bytes)
        connection = card.open()
        outbox = Outbox(connection, VAN, _KEY, boot=BOOT)
        fault = connection.fault = Fault(operation, reason)

        for number in range(3):
            insist(partial(outbox.seal, content(number), sealed_at_ms=T0, config_version=1))
            insist(partial(send, outbox, hub))
            hub.generation = 1 + number // 2
            insist(partial(outbox.acknowledge, hub.ack()))
            insist(partial(outbox.trim, T0 + 1))
        struck, connection.fault = fault.struck, None
        drain(outbox, hub)
        assert sorted(hub.numbers()) == [0, 1, 2], f"statement {operation}"
        connection.close()
        if not struck:
            break


@pytest.mark.parametrize("reason", REFUSALS)
def test_a_disk_that_refuses_at_the_start_is_named(card: Card, reason: str) -> None:
    for operation in count(1):
        fault = Fault(operation, reason)
        try:
            connection = card.open(fault)
            Outbox(connection, VAN, _KEY, boot=BOOT)
            connection.close()
        except InputError as error:
            assert reason in str(error)  # noqa: PT017  it may or may not be raised
        except sqlite3.OperationalError:
            connection.close()
        if not fault.struck:
            break
    connection = card.open()
    Outbox(connection, VAN, _KEY, boot=BOOT).seal(content(0), sealed_at_ms=T0, config_version=1)
    connection.close()
    assert not list(card.folder.glob("*unreadable*")), "a refusal is no corruption"


@pytest.mark.parametrize(("reason", "after"), [(REFUSALS[0], False), (REFUSALS[1], True)])
def test_ingest_acknowledges_only_what_it_holds(reason: str, after: bool) -> None:  # noqa: FBT001  parametrised
    card, hub = Card(), HubDisk(lambda: T0)
    connection = card.open()
    outbox = Outbox(connection, VAN, _KEY, boot=BOOT)
    for number in range(4):
        outbox.seal(content(number), sealed_at_ms=T0 + number, config_version=1)
    connection.close()
    connection = card.open()
    outbox = Outbox(connection, VAN, _KEY, boot=BOOT)
    outbox.seal(content(4), sealed_at_ms=T0 + 4, config_version=1)
    messages = [row.data for row in outbox.pending(EVERYTHING, -1, NOW)]
    connection.close()
    card.discard()
    hub.enrol(VAN, _KEY.public_bytes)
    empty = hub.back_up()
    for operation in count(1):
        hub.restore(empty)
        fault = Fault(operation, reason, after=after)
        hub.fail(fault)
        receipts = []
        with suppress(OperationalError):
            receipts += hub.take(VAN, [messages[4], messages[1], b"garbage", messages[0]])
        with suppress(OperationalError):
            receipts += hub.take(VAN, messages)
        hub.fail(None)
        hub.restart()
        held = {(epoch, offset): verbatim for epoch, offset, verbatim, chained in hub.segments() if chained}
        for receipt in receipts:
            for named in receipt.ack.epochs:
                chain = [held[named.epoch, offset] for offset in range(named.next_offset)]
                assert not chain or parse_segment(VAN, chain[-1]).hash == named.head, f"statement {operation}"
        (receipt,) = hub.take(VAN, messages)
        assert sorted(named.next_offset for named in receipt.ack.epochs) == [1, 4]
        found = sorted(hub.observations(TAG), key=lambda observation: observation.measured_at_ms)
        assert found == [observe(number) for number in range(5)], f"statement {operation}"
        assert verify_store(hub.store).is_proven
        if not fault.struck:
            break
    hub.discard()
    assert operation > 30
