from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from gateway.core.contents import Content, decode_content
from gateway.core.errors import InputError
from gateway.core.messages import Ack, EpochAck
from gateway.core.records import DeviceFault
from gateway.core.segments import NO_HASH, Segment, check_segment, parse_segment
from gateway.core.succession import Successor, hand_over
from gateway.keys import SigningKey, VerifyKey, make_key
from gateway.vehicle.database import open_database
from gateway.vehicle.identity import Identity
from gateway.vehicle.memos import Memos
from gateway.vehicle.outbox import Outbox
from gateway.vehicle.recorder import Stretch
from tests.vehicle.samples import BOOT, NOW, T0, TAG, VAN, content, observe

EVERYTHING = 1 << 30


@pytest.fixture
def make(database: sqlite3.Connection, key: SigningKey) -> Callable[..., Outbox]:
    def make(max_bytes: int = EVERYTHING) -> Outbox:
        return Outbox(database, VAN, key, boot=BOOT, max_bytes=max_bytes)

    return make


@contextmanager
def opened(path: Path, key: SigningKey) -> Iterator[Outbox]:
    with closing(open_database(path)) as database:
        yield Outbox(database, VAN, key, boot=BOOT)


def seal(outbox: Outbox, *numbers: int) -> None:
    for number in numbers:
        outbox.seal(content(number), sealed_at_ms=T0 + number * 30_000, config_version=3)


def waiting(outbox: Outbox, after: int = -1) -> list[Segment]:
    return [parse_segment(VAN, row.data) for row in outbox.pending(EVERYTHING, after, NOW)]


def counters(segments: list[Segment]) -> list[int | None]:
    return [o.counter for segment in segments if segment.body for o in decode_content(segment.body).observations]


def ack(*segments: Segment, generation: int = 1) -> Ack:
    """The hub holds the epochs of these segments up to and with them."""
    epochs = [EpochAck(s.header.epoch, s.header.offset + 1, s.hash) for s in segments]
    return Ack(generation, VAN, epochs)


def test_segments_form_a_signed_chain(make: Callable[..., Outbox], key: SigningKey) -> None:
    outbox = make()
    seal(outbox, 0, 1, 2)
    segments = waiting(outbox)
    assert [s.header.offset for s in segments] == [0, 1, 2]
    assert [s.header.previous for s in segments] == [NO_HASH, segments[0].hash, segments[1].hash]
    assert segments[0].header.parent is None
    assert segments[2].header.sealed_at_ms == T0 + 60_000
    assert (segments[2].header.boot, segments[2].header.config_version) == (BOOT, 3)
    for segment in segments:
        check_segment(segment, VerifyKey(key.public_bytes).check)
    assert counters(segments) == [0, 1, 2]


def test_a_start_opens_an_epoch_that_names_its_parent(make: Callable[..., Outbox]) -> None:
    seal(make(), 0, 1)
    second = make()
    assert len(waiting(second)) == 2, "no empty epoch is written"
    seal(second, 2)
    _, last, fresh = waiting(second)
    assert fresh.header.epoch != last.header.epoch
    assert fresh.header.offset == 0
    assert fresh.header.parent == last.header.position
    assert fresh.header.previous == last.hash


def test_a_restored_copy_names_the_same_parent_in_another_epoch(tmp_path: Path, key: SigningKey) -> None:
    original, copy = tmp_path / "a.db", tmp_path / "b.db"
    with opened(original, key) as outbox:
        seal(outbox, 0)
    shutil.copy(original, copy)
    with opened(original, key) as outbox:
        seal(outbox, 1)
        first = waiting(outbox)[-1]
    with opened(copy, key) as outbox:
        seal(outbox, 1)
        second = waiting(outbox)[-1]
    assert first.header.parent == second.header.parent
    assert first.header.epoch != second.header.epoch


def test_a_second_process_is_refused(tmp_path: Path) -> None:
    with closing(open_database(tmp_path / "a.db")), pytest.raises(InputError, match="another process"):
        open_database(tmp_path / "a.db")


def test_a_file_that_is_no_database_is_set_aside(tmp_path: Path, key: SigningKey) -> None:
    path = tmp_path / "a.db"
    path.write_bytes(b"nonsense" * 1000)
    with opened(path, key) as outbox:
        seal(outbox, 0)
    assert (tmp_path / "a.db.unreadable-1").read_bytes() == b"nonsense" * 1000


def test_acknowledged_segments_are_not_sent_again_but_stay(make: Callable[..., Outbox]) -> None:
    outbox = make()
    seal(outbox, 0, 1, 2)
    segments = waiting(outbox)
    assert outbox.acknowledge(ack(segments[1]))
    assert counters(waiting(outbox)) == [2]
    assert [outbox.is_acknowledged(sequence) for sequence in range(4)] == [True, True, False, False]
    assert outbox.depth().segments == 1
    assert outbox.depth().bytes == len(segments[2].to_bytes())
    assert len(list(outbox.contents(0))) == 3


def test_an_older_ack_changes_nothing(make: Callable[..., Outbox]) -> None:
    outbox = make()
    seal(outbox, 0, 1)
    first, second = waiting(outbox)
    assert outbox.acknowledge(ack(second))
    assert not outbox.acknowledge(ack(first))
    assert not outbox.acknowledge(ack(second))
    assert waiting(outbox) == []


def test_a_restored_hub_may_go_back(make: Callable[..., Outbox]) -> None:
    outbox = make()
    seal(outbox, 0, 1)
    first, second = waiting(outbox)
    outbox.acknowledge(ack(second))
    assert outbox.acknowledge(ack(first, generation=2))
    assert counters(waiting(outbox)) == [1]
    assert not outbox.acknowledge(ack(second, generation=1)), "an ack of the lost generation"
    assert outbox.acknowledge(ack(second, generation=2))


def test_a_wrong_head_is_counted_and_ignored(make: Callable[..., Outbox]) -> None:
    outbox = make()
    seal(outbox, 0)
    (segment,) = waiting(outbox)
    wrong = Ack(1, VAN, [EpochAck(segment.header.epoch, 1, bytes(32))])
    assert not outbox.acknowledge(wrong)
    assert not outbox.acknowledge(Ack(1, "VAN-2", ack(segment).epochs))
    assert outbox.mismatched_acks == 1
    assert len(waiting(outbox)) == 1


def test_a_hub_that_holds_more_of_what_is_being_written_is_not_believed(make: Callable[..., Outbox]) -> None:
    outbox = make()
    seal(outbox, 0)
    epoch = waiting(outbox)[0].header.epoch
    assert not outbox.acknowledge(Ack(1, VAN, [EpochAck(epoch, 5, b"x" * 32)]))
    assert counters(waiting(outbox)) == [0]
    assert outbox.mismatched_acks == 1


def test_a_hub_that_holds_more_than_an_older_copy_needs_nothing_of_it(tmp_path: Path, key: SigningKey) -> None:
    path, copy = tmp_path / "a.db", tmp_path / "b.db"
    with opened(path, key) as outbox:
        seal(outbox, 0)
    shutil.copy(path, copy)
    with closing(open_database(copy)) as database:
        outbox = Outbox(database, VAN, key, boot=BOOT)
        (segment,) = waiting(outbox)
        seal(outbox, 1)
        assert outbox.acknowledge(Ack(1, VAN, [EpochAck(segment.header.epoch, 5, b"x" * 32)]))
        assert counters(waiting(outbox)) == [1]
        assert outbox.mismatched_acks == 1


def test_watermarks_survive_a_reopening_with_the_next_segment(make: Callable[..., Outbox]) -> None:
    outbox = make()
    seal(outbox, 0, 1)
    outbox.acknowledge(ack(waiting(outbox)[0]))
    seal(outbox, 2)
    reopened = make()
    assert counters(waiting(reopened)) == [1, 2]
    assert reopened.depth().segments == 2


def test_a_clean_end_writes_watermarks(make: Callable[..., Outbox]) -> None:
    outbox = make()
    seal(outbox, 0, 1)
    outbox.acknowledge(ack(waiting(outbox)[1]))
    outbox.write_watermarks()
    assert waiting(make()) == []


def test_the_window_counts_what_is_sent_and_not_acknowledged(make: Callable[..., Outbox]) -> None:
    outbox = make()
    seal(outbox, *range(10))
    size = len(waiting(outbox)[0].to_bytes())
    first = outbox.pending(3 * size, -1, NOW)
    assert [row.sequence for row in first] == [0, 1, 2]
    assert outbox.pending(3 * size, 2, NOW) == ()
    outbox.acknowledge(ack(parse_segment(VAN, first[1].data)))
    assert [row.sequence for row in outbox.pending(3 * size, 2, NOW)] == [3, 4]
    assert [row.sequence for row in outbox.pending(1, 1, NOW)] == [2], "one always fits"


def test_a_corrupt_segment_closes_its_epoch_and_the_rest_is_sealed_again(
    make: Callable[..., Outbox], database: sqlite3.Connection
) -> None:
    outbox = make()
    seal(outbox, 0, 1, 2, 3)
    (data,) = database.execute("SELECT data FROM segments WHERE sequence = 1").fetchone()
    database.execute("UPDATE segments SET data = ? WHERE sequence = 1", (data[:-3] + b"???",))
    assert counters(waiting(outbox)) == [0]
    (intact, *again) = waiting(outbox)
    assert counters([intact, *again]) == [0, 2, 3]
    assert len({segment.header.epoch for segment in again}) == 1
    assert again[0].header.epoch != intact.header.epoch
    assert again[0].header.parent == intact.header.position, "the hub has it, and not what is lost"
    assert again[0].header.previous == intact.hash
    assert outbox.corrupt_segments == 1
    body = again[0].body
    assert body is not None
    (fault,) = decode_content(body).records
    assert isinstance(fault, DeviceFault)
    assert (fault.code, fault.detail) == ("outbox_corrupt", {"offset": 1, "salvaged": 2, "unreadable": 1})
    assert outbox.depth().segments == 4
    assert outbox.depth().bytes == sum(len(s.to_bytes()) for s in [intact, *again])
    assert counters(waiting(make())) == [0, 2, 3], "and it stays so after a restart"


def test_epochs_that_descend_from_a_corrupt_segment_are_sealed_again(
    make: Callable[..., Outbox], database: sqlite3.Connection
) -> None:
    seal(make(), 0, 1, 2)
    seal(make(), 3)
    outbox = make()
    seal(outbox, 4)
    database.execute("UPDATE segments SET data = x'00' WHERE sequence = 1")
    assert counters(waiting(outbox)) == [0]
    first, *again = waiting(outbox)
    assert counters(again) == [2, 3, 4]
    assert {segment.header.epoch for segment in again} == {again[0].header.epoch}
    assert again[0].header.parent == first.header.position
    seal(outbox, 5)
    assert counters(waiting(outbox)) == [0, 2, 3, 4, 5]
    assert counters(waiting(make())) == [0, 2, 3, 4, 5]


def test_a_corrupt_first_segment_leads_back_to_the_epoch_before(
    make: Callable[..., Outbox], database: sqlite3.Connection
) -> None:
    seal(make(), 0)
    outbox = make()
    seal(outbox, 1, 2)
    database.execute("UPDATE segments SET data = x'00' WHERE sequence = 1")
    waiting(outbox)
    first, *again = waiting(outbox)
    assert counters([first, *again]) == [0, 2]
    assert again[0].header.parent == first.header.position


def test_a_segment_in_the_place_of_another_is_corrupt(
    make: Callable[..., Outbox], database: sqlite3.Connection
) -> None:
    outbox = make()
    seal(outbox, 0, 1, 2)
    database.execute("UPDATE segments SET data = (SELECT data FROM segments WHERE sequence = 0) WHERE sequence = 1")
    assert counters([*waiting(outbox), *waiting(outbox, after=2)]) == [0, 2]
    assert outbox.corrupt_segments == 1


def test_a_corrupt_last_segment_is_no_parent(make: Callable[..., Outbox], database: sqlite3.Connection) -> None:
    seal(make(), 0, 1)
    database.execute("UPDATE segments SET data = x'00' WHERE sequence = 1")
    outbox = make()
    seal(outbox, 2)
    waiting(outbox)
    segments = waiting(outbox)
    assert counters(segments) == [0, 2]
    assert segments[1].header.parent == segments[0].header.position


def test_what_the_disk_refuses_changes_nothing(make: Callable[..., Outbox], database: sqlite3.Connection) -> None:
    outbox = make()
    seal(outbox, 0)
    database.execute("PRAGMA query_only = ON")
    with pytest.raises(sqlite3.OperationalError):
        seal(outbox, 1)
    database.execute("PRAGMA query_only = OFF")
    seal(outbox, 1)
    assert [s.header.offset for s in waiting(outbox)] == [0, 1]


def test_acknowledged_segments_go_when_they_are_old(make: Callable[..., Outbox]) -> None:
    outbox = make()
    seal(outbox, 0, 1, 2, 3)
    segments = waiting(outbox)
    outbox.acknowledge(ack(segments[0]))  # a new generation is written at once, what it acknowledges later is not
    outbox.acknowledge(ack(segments[2]))
    assert outbox.trim(T0 + 60_000) == 2
    assert counters(waiting(outbox)) == [3]
    assert [sealed.sequence for sealed in outbox.contents(0)] == [2, 3]
    reopened = make()
    seal(reopened, 4)
    assert counters(waiting(reopened)) == [3, 4], "what went is known to be held, though the power failed"


def test_spent_epochs_are_remembered_up_to_a_bound(
    make: Callable[..., Outbox], database: sqlite3.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(4):
        outbox = make()
        seal(outbox, number)
    outbox.acknowledge(ack(*waiting(outbox)))
    outbox.trim(1 << 60)
    assert database.execute("SELECT COUNT(*) FROM epochs").fetchone() == (4,)
    assert database.execute("SELECT COUNT(*) FROM segments").fetchone() == (1,)
    monkeypatch.setattr("gateway.vehicle.outbox.EPOCHS_KEPT", 2)
    outbox.trim(1 << 60)
    assert database.execute("SELECT COUNT(*) FROM epochs").fetchone() == (2,)
    reopened = make()
    seal(reopened, 9)
    (segment,) = waiting(reopened)
    assert segment.header.parent is not None


def test_what_was_trimmed_does_not_hold_up_a_restored_hub(make: Callable[..., Outbox]) -> None:
    outbox = make()
    seal(outbox, 0, 1, 2, 3)
    first, *_, last = waiting(outbox)
    outbox.acknowledge(ack(last))
    outbox.trim(T0 + 60_000)
    outbox.acknowledge(ack(first, generation=2))
    seal(outbox, 4)
    waiting(outbox)
    again = waiting(outbox)
    assert counters(again) == [2, 3, 4], "number 1 was lost with the hub that held it"
    assert again[0].header.offset == 0
    assert again[0].header.parent is None, "nothing that the hub holds is left here"
    body = again[0].body
    assert body is not None
    (fault,) = decode_content(body).records
    assert isinstance(fault, DeviceFault)
    assert (fault.code, fault.detail["unreadable"]) == ("outbox_gap", 1)


def test_a_full_outbox_gives_up_acknowledged_segments_first(make: Callable[..., Outbox]) -> None:
    plain = make()
    seal(plain, 0, 1, 2)
    size = plain.depth().stored_bytes // 3
    outbox = make(max_bytes=4 * size + size // 2)
    outbox.acknowledge(ack(waiting(outbox)[1]))
    seal(outbox, 3, 4, 5)
    assert counters(waiting(outbox)) == [2, 3, 4, 5]
    assert outbox.dropped_payloads == 0
    assert outbox.depth().stored_bytes <= 4 * size + size // 2


def test_a_full_outbox_then_drops_payloads_and_keeps_signed_headers(
    make: Callable[..., Outbox], key: SigningKey
) -> None:
    plain = make()
    for start in (0, 200):
        uneven = tuple(observe(number, temperature_mc=number**3 % 4999) for number in range(start, start + 200))
        plain.seal(Content(uneven), sealed_at_ms=T0, config_version=3)
    outbox = make(max_bytes=plain.depth().stored_bytes)
    seal(outbox, 500)
    first, second, third = waiting(outbox)
    assert (first.body, outbox.dropped_payloads) == (None, 1)
    check_segment(first, VerifyKey(key.public_bytes).check)
    assert second.header.previous == first.hash
    assert third.body is not None
    assert outbox.depth().bytes == sum(len(s.to_bytes()) for s in (first, second, third))


def test_the_payload_that_leads_to_a_new_key_is_not_given_up(database: sqlite3.Connection, key: SigningKey) -> None:
    former = make_key()
    change = hand_over(VAN, former.public_bytes, Successor(key.public_bytes), T0, former.sign)
    who = Identity(key, changes=(change,))
    plain = Outbox(database, VAN, who, boot=BOOT)
    for start in (0, 200):
        uneven = tuple(observe(number, temperature_mc=number**3 % 4999) for number in range(start, start + 200))
        plain.seal(Content(uneven), sealed_at_ms=T0, config_version=3)
    outbox = Outbox(database, VAN, who, boot=BOOT, max_bytes=plain.depth().stored_bytes)
    seal(outbox, 500)
    first, second, _ = waiting(outbox)
    assert first.body is not None
    assert second.body is None


def test_an_epoch_is_remembered_while_any_of_it_is_stored(
    make: Callable[..., Outbox], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateway.vehicle.outbox.EPOCHS_KEPT", 1)
    seal(make(), 0, 1)
    outbox = make()
    seal(outbox, 2)
    _, last_before, last = waiting(outbox)
    outbox.acknowledge(ack(last_before, last))
    assert outbox.trim(T0 - 1) == 0
    assert outbox.trim(T0 + 1_000_000) == 2


def test_sealing_forgets_the_stretches_that_it_resolves(
    make: Callable[..., Outbox], database: sqlite3.Connection
) -> None:
    outbox = make()
    one, other = Stretch(TAG, 1, 2), Stretch(TAG, 3, 4)
    outbox.seal(content(0), sealed_at_ms=T0, config_version=3, missing=[one, other, one])
    assert Memos(database).missing() == (one, other)
    outbox.seal(content(1), sealed_at_ms=T0, config_version=3, resolved=[one])
    assert Memos(database).missing() == (other,)


def test_newest_contents_come_first(make: Callable[..., Outbox]) -> None:
    outbox = make()
    seal(outbox, *range(230))
    sequences = [sealed.sequence for sealed in outbox.newest_contents()]
    assert sequences == list(reversed(range(230)))
    assert [sealed.sequence for sealed in outbox.contents(T0 + 228 * 30_000)] == [228, 229]


def test_an_altered_value_is_not_read_back(tmp_path: Path, key: SigningKey) -> None:
    """Packed numbers decode also where a bit has flipped; the vehicle's own judgement must not be led by it."""
    database = open_database(tmp_path / "outbox.db")
    outbox = Outbox(database, VAN, key, boot=BOOT)
    outbox.seal(content(1), sealed_at_ms=T0, config_version=1)
    outbox.seal(content(2), sealed_at_ms=T0, config_version=1)
    (data,) = database.execute("SELECT data FROM segments WHERE sequence = 0").fetchone()
    for place in range(len(data) * 8):
        altered = bytearray(data)
        altered[place // 8] ^= 1 << place % 8
        database.execute("UPDATE segments SET data = ? WHERE sequence = 0", (bytes(altered),))
        assert [sealed.sequence for sealed in outbox.contents(0)] == [1]
    database.close()
