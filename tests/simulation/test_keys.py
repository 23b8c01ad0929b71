"""Keys of a gateway: handed over, revoked, stolen; with a real outbox and a real archive between them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from hashlib import sha256
from itertools import pairwise
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from sqlalchemy import select

from gateway.core.contents import Content, encode_content
from gateway.core.errors import InputError
from gateway.core.records import KeyChange
from gateway.core.segments import Segment, SegmentHeader, parse_segment, seal_segment
from gateway.core.succession import CHANGES_MAX, Successor, hand_over
from gateway.core.verification import Fault
from gateway.hub.database import schema
from gateway.hub.proof.verification import Report, verify_store
from gateway.hub.registry.enrolment import Enrolment as HubEnrolment
from gateway.hub.replication.gateway_keys import read_rings, revoke_keys
from gateway.keys import SigningKey
from gateway.vehicle.identity import Identity
from gateway.vehicle.storage import Storage
from tests.simulation.hubs import HubDisk
from tests.vehicle.samples import BOOT, NOW, T0, VAN, content

EVERYTHING = 1 << 30


def key_of(name: str) -> SigningKey:
    return SigningKey(Ed25519PrivateKey.from_private_bytes(sha256(name.encode()).digest()))


def change(old: str, new: str, *, signed_by: str = "") -> KeyChange:
    successor = Successor(key_of(new).public_bytes, sha256(f"token {new}".encode()).digest())
    return hand_over(VAN, key_of(old).public_bytes, successor, T0, key_of(signed_by or old).sign)


class Road:
    """A vehicle's card, and a hub."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.now_ms = T0
        self.hub = HubDisk(lambda: self.now_ms)
        self.hub.enrol(VAN, key_of("first").public_bytes)
        self.number = 0
        self.names: tuple[str, ...] = ("first",)

    def start(self, *names: str, without: int = 0) -> Storage:
        """Start the vehicle with the last of these keys, each of which handed over to the next."""
        self.names = names
        changes = tuple(change(old, new) for old, new in pairwise(names))
        former = tuple(key_of(name).public_bytes for name in names[:-1])
        identity = Identity(key_of(names[-1]), former, changes[without:])
        return Storage.open(self.folder, VAN, identity, max_bytes=EVERYTHING, boot=BOOT)

    def seal(self, storage: Storage, count: int = 2) -> None:
        for _ in range(count):
            self.number += 1
            storage.outbox.seal(content(self.number), sealed_at_ms=T0 + self.number, config_version=1)

    def run(self, *names: str) -> list[bytes]:
        """Start, seal twice, end; return what waits then."""
        storage = self.start(*names)
        self.seal(storage)
        waiting = [row.data for row in storage.outbox.pending(EVERYTHING, -1, NOW)]
        storage.close()
        return waiting

    def take(self, messages: Sequence[bytes]) -> None:
        self.now_ms += 120_000  # the witness is written once a minute
        for receipt in self.hub.take(VAN, list(messages)):
            storage = self.start(*self.names)
            storage.outbox.acknowledge(receipt.ack)
            storage.close()

    def numbers(self) -> set[int | None]:
        return {observation.counter for observation in self.hub.observations("C0:FF:EE:00:00:01")}

    def verify(self) -> Report:
        return verify_store(self.hub.store)

    def states(self) -> tuple[int, int, int]:
        with self.hub.store.read() as connection:
            ring = read_rings(connection, [VAN])[VAN]
        return len(ring.valid), len(ring.retired), len(ring.revoked)

    def forge(self, segment: Segment, name: str, *records: KeyChange, new_epoch: bool = False) -> bytes:
        """What somebody with a key of this name would send, to go on behind a segment."""
        header = SegmentHeader(
            epoch=b"forgedep" if new_epoch else segment.header.epoch,
            offset=0 if new_epoch else segment.header.offset + 1,
            sealed_at_ms=T0,
            boot=BOOT,
            config_version=1,
            previous=segment.hash,
            parent=segment.header.position if new_epoch else None,
        )
        body = encode_content(Content(content(999).observations, records))
        return seal_segment(VAN, header, body, key_of(name).sign).to_bytes()


@pytest.fixture
def road(tmp_path: Path) -> Iterator[Road]:
    made = Road(tmp_path)
    yield made
    made.hub.discard()


def test_a_key_hands_over_and_the_hub_learns_of_it_from_the_log(road: Road) -> None:
    road.take(road.run("first"))
    road.take(road.run("first", "second"))
    assert road.numbers() == {1, 2, 3, 4}
    assert road.states() == (1, 1, 0)
    report = road.verify()
    assert report.is_proven, report.findings
    assert road.hub.quarantined() == {}
    with road.hub.store.read() as connection:
        assert connection.execute(select(schema.audit.c.act)).scalars().all() == ["rotate_key"]


def test_a_stolen_old_key_signs_nothing_more(road: Road) -> None:
    before = road.run("first")
    road.take(before)
    road.take(road.run("first", "second"))
    last = parse_segment(VAN, before[-1])
    stolen_change = change("first", "thief")
    road.take([road.forge(last, "first"), road.forge(last, "first", new_epoch=True)])
    road.take([road.forge(last, "thief", stolen_change, new_epoch=True)])
    assert road.numbers() == {1, 2, 3, 4}
    assert set(road.hub.quarantined()) == {"key_retired", "segment_signature"}
    assert road.hub.alerts() == ["key_refused"]
    assert road.verify().is_proven


def test_what_the_old_key_signed_before_arrives_after_its_successor(road: Road) -> None:
    first = road.run("first")
    both = road.run("first", "second")
    road.take(both[len(first) :])
    assert road.states() == (2, 0, 0), "held: the old key's segments are still on their way"
    road.take(first)
    assert road.numbers() == {1, 2, 3, 4}
    assert road.states() == (1, 1, 0)
    assert road.verify().is_proven


def test_everything_in_one_message_batch_in_any_order_and_again(road: Road) -> None:
    messages = road.run("first")
    messages = road.run("first", "second")
    road.take(messages[::-1])
    road.take(messages)
    assert road.numbers() == {1, 2, 3, 4}
    assert road.hub.quarantined() == {}, "what comes again, signed by a key retired since, is a duplicate"
    assert road.verify().is_proven


def test_several_changes_while_the_hub_was_away(road: Road) -> None:
    names = [f"key {number}" for number in range(CHANGES_MAX)]
    for count in range(len(names) + 1):
        messages = road.run("first", *names[:count])
    road.take(messages)
    assert len(road.numbers()) == 2 * (len(names) + 1)
    assert road.states() == (1, len(names), 0)
    assert road.verify().is_proven


def test_a_hub_restored_to_before_the_change_follows_again(road: Road) -> None:
    road.take(road.run("first"))
    backup = road.hub.back_up()
    road.take(road.run("first", "second"))
    road.hub.restore(backup)
    assert road.states() == (1, 0, 0)
    storage = road.start("first", "second")
    road.seal(storage)
    storage.close()
    for _ in range(3):
        storage = road.start("first", "second")
        messages = [row.data for row in storage.outbox.pending(EVERYTHING, -1, NOW)]
        for receipt in road.hub.take(VAN, messages):
            storage.outbox.acknowledge(receipt.ack)
        storage.close()
        if not messages:
            break
    assert road.numbers() == {1, 2, 3, 4, 5, 6}
    assert road.states() == (1, 1, 0)


@pytest.mark.parametrize("signer", ["thief", "second"])
def test_a_change_that_the_old_key_did_not_sign_changes_nothing(road: Road, signer: str) -> None:
    before = road.run("first")
    road.take(before)
    last = parse_segment(VAN, before[-1])
    road.take([road.forge(last, "second", change("first", "second", signed_by=signer), new_epoch=True)])
    assert road.states() == (1, 0, 0)
    assert road.hub.quarantined() == {"segment_signature": 1}


def test_a_change_for_another_gateway_changes_nothing(road: Road) -> None:
    before = road.run("first")
    road.take(before)
    successor = Successor(key_of("second").public_bytes)
    other = hand_over("VAN-2", key_of("first").public_bytes, successor, T0, key_of("first").sign)
    road.take([road.forge(parse_segment(VAN, before[-1]), "second", other, new_epoch=True)])
    assert road.hub.quarantined() == {"segment_signature": 1}


def revoke(road: Road, key: str = "") -> None:
    with road.hub.store.write() as connection:
        revoke_keys(connection, VAN, road.now_ms, who="test", reason="stolen", key=key)


def test_a_revoked_key_signs_nothing_more_and_what_it_signed_stays(road: Road) -> None:
    enrolment = HubEnrolment(road.hub.store, b"s" * 32, lambda: road.now_ms)
    first = road.run("first")
    road.take(first)
    road.now_ms += 1
    revoke(road)
    assert not enrolment.gateways()[0].enrolled
    road.take(road.run("first"))
    assert road.numbers() == {1, 2}
    assert set(road.hub.quarantined()) == {"key_revoked"}
    assert road.hub.alerts() == ["key_refused"]
    assert road.verify().is_proven
    code = enrolment.issue_code(VAN, "test")
    with pytest.raises(InputError, match="rotate-key"):
        enrolment.enrol(VAN, code, key_of("first").public_bytes)
    token = enrolment.enrol(VAN, code, key_of("second").public_bytes)
    assert enrolment.gateway_of(token) == VAN
    assert enrolment.gateways()[0].enrolled
    with pytest.raises(InputError, match="no key"):
        revoke(road, "00ff")


def test_after_a_revocation_what_waits_is_sealed_again_and_says_where_it_was(road: Road) -> None:
    road.take(road.run("first"))
    waiting = road.run("first")
    road.now_ms += 1
    revoke(road)
    enrolment = HubEnrolment(road.hub.store, b"s" * 32, lambda: road.now_ms)
    enrolment.enrol(VAN, enrolment.issue_code(VAN, "test"), key_of("second").public_bytes)
    storage = road.start("first", "second", without=1)
    assert storage.outbox.reseal_waiting(NOW) == 2
    assert storage.outbox.reseal_waiting(NOW) == 3, "also of what was sealed again, nothing is forgotten"
    messages = [row.data for row in storage.outbox.pending(EVERYTHING, -1, NOW)]
    storage.close()
    road.take(messages)
    assert road.numbers() == {1, 2, 3, 4}
    report = road.verify()
    assert report.is_proven, report.findings
    told = "\n".join(report.tally.resealed)
    for data in waiting:
        origin = parse_segment(VAN, data).header.position
        assert f"re-sealed from epoch {origin.epoch.hex()} offset {origin.offset}\n" in f"{told}\n"


def test_a_stored_segment_received_after_its_key_was_retired_is_named(road: Road) -> None:
    before = road.run("first")
    road.take(before)
    road.take(road.run("first", "second"))
    with road.hub.store.write() as connection:
        connection.execute(schema.segments.update().values(received_at_ms=road.now_ms + 10_000))
    assert {finding.fault for finding in road.verify().findings} == {Fault.RETIRED_KEY}
