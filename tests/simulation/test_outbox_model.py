"""The outbox as a state machine: whatever happens to it, what it sealed reaches the hub once, or is named."""

from __future__ import annotations

import sqlite3
from collections import Counter
from copy import deepcopy
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from gateway.core.contents import Content
from gateway.core.messages import Ack, EpochAck
from gateway.keys import SigningKey
from gateway.vehicle.outbox import Outbox
from tests.simulation.disks import REFUSALS, Card, Fault, PowerCut
from tests.simulation.reference_hub import ReferenceHub
from tests.vehicle.samples import BOOT, NOW, T0, VAN, observe

WINDOW = 1 << 30
ROUNDS_MAX = 50
DISASTERS_MAX = 1
"""Of each kind in one run: what happens between them is the interesting part."""

_KEY = SigningKey(Ed25519PrivateKey.from_private_bytes(b"k" * 32))


class OutboxMachine(RuleBasedStateMachine):
    """`expected` are the numbers of observations that must not be lost: sealed, and on this card or at the hub."""

    def __init__(self) -> None:
        super().__init__()
        self.card = Card()
        self.hub = ReferenceHub(VAN, _KEY.public_bytes)
        self.backup = deepcopy(self.hub)
        self.images: list[Path] = []
        self.old_acks: list[Ack] = []
        self.expected: set[int] = set()
        self.next_number = 0
        self.clones = 0
        self.replaced = 0
        self.max_bytes = 1 << 30

    @initialize(max_bytes=st.sampled_from([1 << 30, 1 << 30, 6000, 3000]))
    def start(self, max_bytes: int) -> None:
        self.max_bytes = max_bytes
        self.open()

    def teardown(self) -> None:
        try:
            if hasattr(self, "outbox"):
                self.database.fault = None
                self.everything_completes()
        finally:
            self.database.close()
            self.card.discard()

    # --- what a vehicle does

    @rule(count=st.integers(1, 30))
    def seal(self, count: int) -> None:
        content = self.make_content(count)
        before, dropped = self.on_card(), self.outbox.dropped_payloads
        acknowledged = [s for s in self.stored() if self.outbox.is_acknowledged(s)]
        sealed = self.outbox.seal(content, sealed_at_ms=T0 + self.next_number, config_version=1)
        self.expected |= numbers_of(content)
        if self.outbox.dropped_payloads > dropped:
            left = set(self.stored()) & set(acknowledged)
            assert left <= {sealed.sequence - 1}, "acknowledged segments go before payloads that nobody else has"
            lost = before - self.on_card() - set(self.hub.numbers())
            assert not lost or min(lost) == min(before - set(self.hub.numbers())), "the oldest go first"
            self.expected -= lost

    @rule(count=st.integers(1, 3), operation=st.integers(1, 12), after=st.booleans())
    def lose_power_while_sealing(self, count: int, operation: int, after: bool) -> None:  # noqa: FBT001  drawn
        content = self.make_content(count)
        self.database.fault = Fault(operation, after=after)
        try:
            self.outbox.seal(content, sealed_at_ms=T0 + self.next_number, config_version=1)
        except PowerCut:
            self.give_up_what_was_dropped()
        else:
            self.give_up_what_was_dropped()
            self.expected |= numbers_of(content)
        self.card.cut_power(self.database)
        self.open()

    @rule(operation=st.integers(1, 12), reason=st.sampled_from(REFUSALS), repetitions=st.integers(1, 20))
    def be_refused_by_the_disk(self, operation: int, reason: str, repetitions: int) -> None:
        content = self.make_content(1)
        self.database.fault = Fault(operation, reason, repetitions=repetitions)
        try:
            self.outbox.seal(content, sealed_at_ms=T0 + self.next_number, config_version=1)
        except sqlite3.OperationalError:
            self.database.fault = None
            assert not numbers_of(content) & self.on_card(), "what was refused is not there"
        else:
            self.database.fault = None
            self.expected |= numbers_of(content)
        self.give_up_what_was_dropped()

    @rule()
    def restart(self) -> None:
        self.outbox.write_watermarks()
        self.database.close()
        self.open()

    @rule()
    def lose_power(self) -> None:
        self.card.cut_power(self.database)
        self.open()

    @rule(age=st.integers(0, 200))
    def trim(self, age: int) -> None:
        self.outbox.trim(T0 + self.next_number - age)

    # --- what the hub does

    @rule(age=st.integers(0, 5))
    def replicate_and_trim(self, age: int) -> None:
        self.send(WINDOW)
        self.acknowledge(0)
        self.trim(age)

    @rule(window=st.sampled_from([1, 1000, 5000, WINDOW]))
    def send(self, window: int) -> None:
        for row in self.outbox.pending(window, -1, NOW):
            self.hub.take(row.data)

    @rule(short=st.integers(0, 3))
    def acknowledge(self, short: int) -> None:
        ack = self.hub.ack(short=short if self.hub.generation == self.outbox.generation else 0)
        self.old_acks.append(ack)
        self.outbox.acknowledge(ack)

    @precondition(lambda self: self.old_acks)
    @rule(data=st.data())
    def acknowledge_late(self, data: st.DataObject) -> None:
        self.outbox.acknowledge(data.draw(st.sampled_from(self.old_acks)))

    @rule(short=st.integers(0, 3))
    def acknowledge_falsely(self, short: int) -> None:
        before = self.outbox.depth().segments
        own = self.hub.ack(short=short).epochs
        forged = [EpochAck(named.epoch, named.next_offset, b"\x01" * 32) for named in own if named.next_offset]
        self.outbox.acknowledge(Ack(self.outbox.generation, "VAN-2", own))
        self.outbox.acknowledge(Ack(self.outbox.generation - 1, VAN, own))
        if not self.clones:  # an older copy of the card believes a hub that holds more than the copy
            self.outbox.acknowledge(Ack(self.outbox.generation, VAN, forged))
        assert self.outbox.depth().segments == before

    @rule()
    def back_up_the_hub(self) -> None:
        self.backup = deepcopy(self.hub)

    @rule()
    def restore_the_hub(self) -> None:
        self.hub = self.hub.restored(self.backup)
        self.outbox.acknowledge(self.hub.ack())
        self.accept_the_loss()

    # --- what people do

    @rule()
    def copy_the_card(self) -> None:
        self.images.append(self.card.copy())

    @precondition(lambda self: self.images and self.clones < DISASTERS_MAX)
    @rule(data=st.data())
    def put_a_copy_back(self, data: st.DataObject) -> None:
        self.database.close()
        self.card.restore(data.draw(st.sampled_from(self.images)))
        self.clones += 1
        self.open()
        self.accept_the_loss()

    @precondition(lambda self: self.replaced < DISASTERS_MAX)
    @rule()
    def replace_the_card(self) -> None:
        self.replaced += 1
        self.database.close()
        self.card.replace()
        self.open()
        self.accept_the_loss()

    # --- what must hold

    @invariant()
    def nothing_is_lost(self) -> None:
        if hasattr(self, "outbox"):
            missing = self.expected - self.on_card() - set(self.hub.numbers())
            assert not missing, f"lost: {sorted(missing)}"

    @invariant()
    def depth_is_what_waits(self) -> None:
        if hasattr(self, "outbox"):
            waiting = [s for s in self.stored() if not self.outbox.is_acknowledged(s)]
            assert self.outbox.depth().bytes == sum(self.size(s) for s in waiting)
            assert self.outbox.depth().stored_bytes == sum(self.size(s) for s in self.stored())

    def everything_completes(self) -> None:
        for _ in range(ROUNDS_MAX):
            self.send(WINDOW)
            self.outbox.acknowledge(self.hub.ack())
            if not self.outbox.depth().segments:
                break
        assert self.outbox.depth().segments == 0, "something waits for ever"
        counted = Counter(self.hub.numbers())
        assert self.expected <= set(counted)
        if not self.hub.faults():  # what was sealed again may have been on its way before
            assert set(counted.values()) <= {1}, "something came twice"

    # --- inside

    def open(self) -> None:
        self.database = self.card.open()
        self.outbox = Outbox(self.database, VAN, _KEY, boot=BOOT, max_bytes=self.max_bytes)

    def make_content(self, count: int) -> Content:
        numbers = range(self.next_number, self.next_number + count)
        self.next_number += count
        return Content(tuple(observe(number) for number in numbers))

    def on_card(self) -> set[int]:
        return {number for sealed in self.outbox.contents(0) for number in numbers_of(sealed.content)}

    def stored(self) -> list[int]:
        return [row[0] for row in sqlite3.Connection.execute(self.database, "SELECT sequence FROM segments")]

    def size(self, sequence: int) -> int:
        query = "SELECT LENGTH(data) FROM segments WHERE sequence = ?"
        (size,) = sqlite3.Connection.execute(self.database, query, (sequence,)).fetchone()
        return int(size)

    def accept_the_loss(self) -> None:
        self.expected &= self.on_card() | set(self.hub.numbers())

    def give_up_what_was_dropped(self) -> None:
        self.database.fault = None
        if self.max_bytes < 1 << 30:
            self.expected &= self.on_card() | set(self.hub.numbers())


def numbers_of(content: Content) -> set[int]:
    return {o.counter for o in content.observations if o.counter is not None}


TestOutbox = OutboxMachine.TestCase
TestOutbox.settings = settings(
    max_examples=100, stateful_step_count=50, deadline=None, suppress_health_check=list(HealthCheck)
)
