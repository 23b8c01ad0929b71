"""Outbox, channel and hub as one state machine: messages are lost, repeated and reordered, both ends fall over."""

from __future__ import annotations

import random
from collections import Counter
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from sqlalchemy.exc import OperationalError

from gateway.core.contents import Content, decode_content
from gateway.core.errors import EnvelopeError
from gateway.core.messages import decode_ack, encode_ack, open_envelope, sign_envelope
from gateway.core.records import DeviceFault
from gateway.core.segments import parse_segment
from gateway.hub.proof.verification import verify_store
from gateway.keys import SigningKey, VerifyKey
from gateway.vehicle.outbox import Outbox
from tests.simulation.disks import REFUSALS, Card, Fault
from tests.simulation.hubs import HubDisk
from tests.vehicle.samples import BOOT, NOW, T0, TAG, VAN, observe

WINDOW = 3000
ROUNDS_MAX = 200
MINUTE_MS = 60_000

_VAN_KEY = SigningKey(Ed25519PrivateKey.from_private_bytes(b"k" * 32))
_HUB_KEY = SigningKey(Ed25519PrivateKey.from_private_bytes(b"h" * 32))
_HUB_CHECK = VerifyKey(_HUB_KEY.public_bytes).check


class Replication(RuleBasedStateMachine):
    """`expected` are the observations that must reach the hub: sealed, and on the card or at the hub."""

    def __init__(self) -> None:
        super().__init__()
        self.now_ms = T0
        self.card = Card()
        self.hub = HubDisk(lambda: self.now_ms)
        self.up: list[bytes] = []  # at the broker, on their way to the hub
        self.down: list[bytes] = []
        self.sealed: dict[tuple[bytes, int], bytes] = {}
        self.expected: set[int] = set()
        self.next_number = 0
        self.after = -1
        self.disasters = 0
        self.backup: Path | None = None
        self.image: Path | None = None
        self.forgotten_generations: set[int] = set()

    @initialize()
    def start(self) -> None:
        self.hub.enrol(VAN, _VAN_KEY.public_bytes)
        self.open_outbox()

    def teardown(self) -> None:
        try:
            self.everything_completes()
        finally:
            self.database.close()
            self.card.discard()
            self.hub.discard()

    # --- the vehicle

    @rule(count=st.integers(1, 5))
    def seal(self, count: int) -> None:
        numbers = range(self.next_number, self.next_number + count)
        self.next_number += count
        self.now_ms += 30_000
        content = Content(tuple(observe(number) for number in numbers))
        self.outbox.seal(content, sealed_at_ms=self.now_ms, config_version=1)
        self.expected |= set(numbers)

    @rule()
    def send(self) -> None:
        rows = self.outbox.pending(WINDOW, self.after, NOW)
        for row in rows:
            position = parse_segment(VAN, row.data).header.position
            known = self.sealed.setdefault((position.epoch, position.offset), row.data)
            assert known == row.data, "a segment never changes"
            self.up.append(row.data)
            self.after = row.sequence

    @rule()
    def send_again(self) -> None:
        self.after = -1
        self.send()

    @rule()
    def lose_power(self) -> None:
        self.card.cut_power(self.database)
        self.open_outbox()

    @rule(minutes=st.integers(0, 3))
    def trim(self, minutes: int) -> None:
        self.outbox.trim(self.now_ms - minutes * MINUTE_MS)

    # --- the broker

    @precondition(lambda self: self.up or self.down)
    @rule(seed=st.integers(0, 1 << 16), loss=st.sampled_from([0.0, 0.3, 1.0]), copies=st.integers(1, 3))
    def mix_up(self, seed: int, loss: float, copies: int) -> None:
        rng = random.Random(seed)  # noqa: S311  reproducible
        for queue in (self.up, self.down):
            queue[:] = [message for message in queue * copies if rng.random() >= loss]
            rng.shuffle(queue)

    @precondition(lambda self: self.up)
    @rule(place=st.integers(0, 1 << 16), bit=st.integers(0, 7))
    def flip_a_bit(self, place: int, bit: int) -> None:
        altered = bytearray(self.up[0])
        altered[place % len(altered)] ^= 1 << bit
        self.up.insert(0, bytes(altered))

    @rule(count=st.integers(1, 50))
    def deliver_to_the_hub(self, count: int) -> None:
        batch, self.up = self.up[:count], self.up[count:]
        for receipt in self.hub.take(VAN, batch):
            self.down.append(sign_envelope("ack", VAN, encode_ack(receipt.ack), _HUB_KEY.sign))

    @rule(count=st.integers(1, 5))
    def deliver_to_the_vehicle(self, count: int) -> None:
        for envelope in self.down[:count]:
            try:
                self.outbox.acknowledge(decode_ack(open_envelope("ack", VAN, envelope, _HUB_CHECK)))
            except EnvelopeError:
                assert envelope == b"forged"
        del self.down[:count]

    @rule(forged=st.sampled_from([b"forged"]))
    def forge_an_ack(self, forged: bytes) -> None:
        self.down.insert(0, forged)

    # --- the hub

    @rule()
    def kill_the_hub(self) -> None:
        self.hub.restart()

    @precondition(lambda self: self.up)
    @rule(operation=st.integers(1, 40), reason=st.sampled_from(REFUSALS), after=st.booleans())
    def refuse_the_hub(self, operation: int, reason: str, after: bool) -> None:  # noqa: FBT001  drawn
        self.hub.fail(Fault(operation, reason, after=after))
        try:
            self.hub.take(VAN, self.up[:20])
        except OperationalError:
            pass
        finally:
            self.hub.fail(None)

    @rule()
    def back_up_the_hub(self) -> None:
        self.backup = self.hub.back_up()
        self.now_ms += 2 * MINUTE_MS

    @precondition(lambda self: self.backup and self.disasters < 2)
    @rule()
    def restore_the_hub(self) -> None:
        assert self.backup is not None
        self.disasters += 1
        before = self.at_hub()
        self.hub.restore(self.backup)
        lost = set(before) - set(self.at_hub())
        self.expected -= lost - self.on_card()

    # --- people

    @rule()
    def copy_the_card(self) -> None:
        self.image = self.card.copy()

    @precondition(lambda self: self.image and self.disasters < 2)
    @rule()
    def put_the_copy_back(self) -> None:
        assert self.image is not None
        self.disasters += 1
        self.database.close()
        self.card.restore(self.image)
        self.open_outbox()
        self.expected &= self.on_card() | set(self.at_hub()) | self.travelling()

    @precondition(lambda self: self.disasters < 2)
    @rule()
    def replace_the_card(self) -> None:
        self.disasters += 1
        self.database.close()
        self.card.replace()
        self.open_outbox()
        self.expected &= set(self.at_hub())

    # --- what must hold

    @invariant()
    def nothing_is_lost(self) -> None:
        if hasattr(self, "outbox"):
            missing = self.expected - self.on_card() - set(self.at_hub()) - self.travelling()
            assert not missing, f"lost: {sorted(missing)}"

    @invariant()
    def the_hub_stores_what_was_sealed(self) -> None:
        for epoch, offset, verbatim, _ in self.hub.segments():
            assert self.sealed[epoch, offset] == verbatim

    def everything_completes(self) -> None:
        for _ in range(ROUNDS_MAX):
            self.send_again()
            self.deliver_to_the_hub(len(self.up))
            self.deliver_to_the_vehicle(len(self.down))
            if not self.outbox.depth().segments:
                break
            self.now_ms += MINUTE_MS
        assert self.outbox.depth().segments == 0, "something waits for ever"
        counted = self.at_hub()
        assert self.expected <= set(counted), f"lost: {sorted(self.expected - set(counted))}"
        if not self.faults():
            assert set(counted.values()) <= {1}, "something came twice"
        assert verify_store(self.hub.store).is_proven

    # --- inside

    def open_outbox(self) -> None:
        self.after = -1
        self.database = self.card.open()
        self.outbox = Outbox(self.database, VAN, _VAN_KEY, boot=BOOT)

    def on_card(self) -> set[int]:
        return {o.counter for s in self.outbox.contents(0) for o in s.content.observations if o.counter is not None}

    def at_hub(self) -> Counter[int]:
        found = self.hub.observations(TAG)
        assert all(o == observe(o.counter) for o in found if o.counter is not None), "an altered value"
        return Counter(o.counter for o in found if o.counter is not None)

    def travelling(self) -> set[int]:
        return set()

    def faults(self) -> list[str]:
        bodies = [parse_segment(VAN, verbatim).body for _, _, verbatim, _ in self.hub.segments()]
        records = [record for body in bodies if body is not None for record in decode_content(body).records]
        return [record.code for record in records if isinstance(record, DeviceFault)]


TestReplication = Replication.TestCase
TestReplication.settings = settings(
    max_examples=40, stateful_step_count=40, deadline=None, suppress_health_check=list(HealthCheck)
)
