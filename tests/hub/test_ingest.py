from __future__ import annotations

import random
from dataclasses import replace

import pytest
from sqlalchemy import event, func, select, update

from gateway.core.messages import EpochAck
from gateway.core.segments import NO_HASH, Position, Segment, SegmentHeader, seal_segment
from gateway.hub.database import schema
from gateway.hub.database.store import Store, make_engine
from gateway.hub.record.archive import Archive
from gateway.hub.replication.authenticity import Delivery
from gateway.hub.replication.gateway_keys import revoke_keys
from gateway.hub.replication.held import RUN
from gateway.hub.replication.ingest import Ingest
from tests.hub.vans import BOOT, LOGGER, START_MS, Enrol, Van, observe


@pytest.fixture
def ingest(store: Store) -> Ingest:
    return Ingest(store, lambda: START_MS)


def acked(ingest: Ingest, van: Van, *picked: int) -> EpochAck:
    receipts = ingest.take(van.deliveries([van.sealed[i] for i in picked]))
    return next(e for e in receipts[0].ack.epochs if e.epoch == van.epoch)


def quarantined(store: Store) -> dict[str, int]:
    with store.read() as connection:
        rows = connection.execute(
            select(schema.quarantine.c.code, func.sum(schema.quarantine.c.times)).group_by(schema.quarantine.c.code)
        )
        return {code: times for code, times in rows}  # noqa: C416  rows are no tuples


def alert_kinds(store: Store) -> list[str]:
    with store.read() as connection:
        return list(connection.execute(select(schema.alerts.c.kind).order_by(schema.alerts.c.id)).scalars())


def times_of(store: Store) -> list[int]:
    return sorted((o.measured_at_ms - START_MS) // 1000 for o in Archive(store).observations(LOGGER, 0, 1 << 48))


def test_stores_verbatim_and_acknowledges_the_contiguous_prefix(store: Store, ingest: Ingest, van: Van) -> None:
    for i in range(3):
        van.seal(observe(30 * i, 5.0))
    assert acked(ingest, van, 0, 1, 2) == EpochAck(van.epoch, 3, van.sealed[2].hash)
    with store.read() as connection:
        stored = connection.execute(select(schema.segments.c.verbatim).order_by(schema.segments.c.position)).scalars()
        assert list(stored) == [segment.to_bytes() for segment in van.sealed]
    assert times_of(store) == [0, 30, 60]


def test_what_comes_early_is_held_until_the_rest_is_there(store: Store, ingest: Ingest, van: Van) -> None:
    for i in range(4):
        van.seal(observe(30 * i, 5.0))
    assert acked(ingest, van, 2) == EpochAck(van.epoch, 0, NO_HASH)
    assert times_of(store) == []
    assert acked(ingest, van, 0).next_offset == 1
    assert acked(ingest, van, 3).next_offset == 1
    assert acked(ingest, van, 1) == EpochAck(van.epoch, 4, van.sealed[3].hash)
    assert times_of(store) == [0, 30, 60, 90]


def test_what_was_held_is_chained_by_runs_and_not_one_by_one(database: str, store: Store, enrolled: Enrol) -> None:
    """Two workers that take a log in turn hold half of it each."""
    engine = make_engine(database)
    said: list[str] = []
    event.listen(engine, "before_cursor_execute", lambda _c, _cursor, statement, *_: said.append(statement))
    ingest = Ingest(Store(engine), lambda: START_MS)
    needed = []
    for name, length in (("few", 4), ("many", 3 * RUN)):
        van = enrolled(Van(name))
        for i in range(length):
            van.seal(observe(30 * i, 5.0))
        assert acked(ingest, van, *range(1, length, 2)).next_offset == 0
        said.clear()
        assert acked(ingest, van, *range(0, length, 2)) == EpochAck(van.epoch, length, van.sealed[-1].hash)
        needed.append(len(said))
    engine.dispose()
    assert needed[1] - needed[0] == 2, said  # the second and the third run
    assert times_of(store) == sorted([30 * i for i in range(4)] + [30 * i for i in range(3 * RUN)])


def test_a_duplicate_changes_nothing_and_is_acknowledged_again(store: Store, ingest: Ingest, van: Van) -> None:
    van.seal(observe(0, 5.0))
    first = acked(ingest, van, 0)
    assert acked(ingest, van, 0, 0) == first
    assert times_of(store) == [0]
    assert quarantined(store) == {}


def test_what_is_here_already_needs_no_check(store: Store, ingest: Ingest, van: Van) -> None:
    van.seal(observe(0, 5.0))
    van.seal(observe(30, 5.0))
    first = acked(ingest, van, 0)
    with store.write() as connection:  # whatever is checked from now on, with this key, is refused
        other = Van(seed=b"another").key.public_bytes
        connection.execute(update(schema.gateway_keys).values(public_key=other))
    assert acked(ingest, van, 0, 1, 0) == first
    assert quarantined(store) == {"segment_signature": 1}


def test_whatever_differs_from_what_is_here_is_found(store: Store, ingest: Ingest, van: Van) -> None:
    van.seal(observe(0, 5.0))
    ingest.take(van.deliveries())
    data = van.sealed[0].to_bytes()
    altered = [data[:i] + bytes([data[i] ^ 1]) + data[i + 1 :] for i in range(len(data))]
    altered += [data + b"\x00", data[:-1], data[:8], b""]
    assert ingest.take([Delivery(van.name, one) for one in altered]) == []
    assert sum(quarantined(store).values()) == len(altered)


def test_what_a_revoked_key_signed_is_refused_even_if_it_is_here(store: Store, ingest: Ingest, van: Van) -> None:
    van.seal(observe(0, 5.0))
    ingest.take(van.deliveries())
    with store.write() as connection:
        revoke_keys(connection, van.name, START_MS, who="test", reason="stolen")
    assert ingest.take(van.deliveries()) == []
    assert quarantined(store) == {"key_revoked": 1}
    assert alert_kinds(store) == ["key_refused"]


def test_any_order_and_repetition_ends_in_the_same_archive(store: Store, ingest: Ingest, van: Van) -> None:
    for i in range(40):
        van.seal(observe(30 * i, 5.0))
    after = van.restart(b"epoch--2")
    for i in range(40, 60):
        after.seal(observe(30 * i, 5.0))
    deliveries = [*van.deliveries(), *after.deliveries()] * 2
    random.Random(7).shuffle(deliveries)  # noqa: S311  a reproducible order
    for i in range(0, len(deliveries), 7):
        receipts = ingest.take(deliveries[i : i + 7])
    assert times_of(store) == [30 * i for i in range(60)]
    assert receipts[0].ack.epochs == [
        EpochAck(van.epoch, 40, van.sealed[-1].hash),
        EpochAck(after.epoch, 20, after.sealed[-1].hash),
    ] or receipts[0].ack.epochs == [
        EpochAck(after.epoch, 20, after.sealed[-1].hash),
        EpochAck(van.epoch, 40, van.sealed[-1].hash),
    ]
    assert alert_kinds(store) == []


def test_an_epoch_waits_for_its_parent(store: Store, ingest: Ingest, van: Van) -> None:
    van.seal(observe(0, 5.0))
    second = van.restart(b"epoch--2")
    second.seal(observe(30, 5.0))
    third = second.restart(b"epoch--3")
    third.seal(observe(60, 5.0))
    assert acked(ingest, third, 0).next_offset == 0
    assert acked(ingest, second, 0).next_offset == 0
    receipts = ingest.take(van.deliveries())
    assert {e.epoch: e.next_offset for e in receipts[0].ack.epochs} == {
        van.epoch: 1,
        second.epoch: 1,
        third.epoch: 1,
    }
    assert times_of(store) == [0, 30, 60]


def test_a_bad_signature_is_set_aside_and_blocks_nothing(store: Store, ingest: Ingest, van: Van) -> None:
    forged = replace(van.seal(observe(0, 5.0)), signature=bytes(64))
    good = van.sealed[0]
    receipts = ingest.take(van.deliveries([forged, forged, good]))
    assert receipts[0].ack.epochs[0].next_offset == 1
    assert quarantined(store) == {"segment_signature": 2}


def test_another_gateways_segment_is_not_taken(store: Store, ingest: Ingest, enrolled: Enrol) -> None:
    one, two = enrolled(Van("van-1", b"1")), enrolled(Van("van-2", b"2"))
    one.seal(observe(0, 5.0))
    assert ingest.take([Delivery(two.name, one.sealed[0].to_bytes())]) == []
    assert quarantined(store) == {"segment_signature": 1}


def test_an_unknown_gateway_is_counted(store: Store, ingest: Ingest) -> None:
    stranger = Van("stranger")
    stranger.seal(observe(0, 5.0))
    assert ingest.take(stranger.deliveries()) == []
    assert quarantined(store) == {"gateway_unknown": 1}


@pytest.mark.parametrize("garbage", [b"", b"CS", b"\x00" * 300, b"x" * 300_000])
def test_garbage_is_set_aside(store: Store, ingest: Ingest, van: Van, garbage: bytes) -> None:
    van.seal(observe(0, 5.0))
    receipts = ingest.take([Delivery(van.name, garbage), *van.deliveries()])
    assert receipts[0].ack.epochs[0].next_offset == 1
    assert sum(quarantined(store).values()) == 1


@pytest.mark.parametrize(("sealed_at_ms", "config_version"), [(1 << 63, 1), (START_MS, 1 << 31)])
def test_a_number_that_no_column_holds_is_set_aside_and_blocks_nothing(
    store: Store, ingest: Ingest, van: Van, sealed_at_ms: int, config_version: int
) -> None:
    van.seal(observe(0, 5.0))
    header = SegmentHeader(b"epoch--9", 0, sealed_at_ms, BOOT, config_version, NO_HASH)
    beyond = seal_segment(van.name, header, van.sealed[0].body or b"", van.key.sign)
    receipts = ingest.take(van.deliveries([beyond, *van.sealed]))
    assert [epoch.epoch for epoch in receipts[0].ack.epochs] == [van.epoch]
    assert quarantined(store) == {"segment_range": 1}


def test_what_is_set_aside_is_bounded_and_the_rest_counted(
    store: Store, ingest: Ingest, van: Van, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateway.hub.record.quarantine.ROWS_PER_GATEWAY", 2)
    van.seal(observe(0, 5.0))
    forged = [replace(van.sealed[0], signature=bytes([number]) * 64) for number in range(4)]
    ingest.take(van.deliveries(forged))
    ingest.take(van.deliveries(forged[:1]))
    assert quarantined(store) == {"segment_signature": 3, "overflow": 2}


def test_what_is_held_is_bounded_and_the_rest_comes_again(
    store: Store, ingest: Ingest, van: Van, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateway.hub.replication.chain.HELD_MAX", 2)
    for i in range(5):
        van.seal(observe(30 * i, 5.0))
    assert acked(ingest, van, 1, 2, 3, 4).next_offset == 0
    assert Archive(store).counts().held == 2
    assert acked(ingest, van, 0).next_offset == 3
    assert acked(ingest, van, 3, 4).next_offset == 5


def test_how_far_a_gateway_has_come_never_goes_back_nor_beyond_now(store: Store, van: Van) -> None:
    def take(at_s: int, *segments: Segment) -> tuple[int, int]:
        Ingest(store, lambda: START_MS + at_s * 1000).take(van.deliveries(segments))
        with store.read() as connection:
            row = connection.execute(select(schema.gateways.c.received_at_ms, schema.gateways.c.sealed_at_ms)).one()
        return (row.received_at_ms - START_MS) // 1000, (row.sealed_at_ms - START_MS) // 1000

    for i in range(3):
        van.seal(observe(30 * i, 5.0))
    after = van.restart(b"epoch--2")
    after.seal(observe(90, 5.0))
    assert take(45, *van.sealed) == (45, 45), "sealed at 60 s by a clock that is ahead"
    assert take(100, *after.sealed) == (100, 45), "sealed at 0 s by one that is behind"
    assert take(120, *van.sealed) == (120, 45), "heard, though all of it was here"


def test_authentic_content_that_cannot_be_decoded_is_archived_and_acknowledged(
    store: Store, ingest: Ingest, van: Van
) -> None:
    van.seal_bytes(b"\x07 from a later version")
    van.seal(observe(30, 5.0))
    assert acked(ingest, van, 0, 1).next_offset == 2
    assert quarantined(store) == {"content_encoding": 1}
    assert Archive(store).counts().undecodable == 1
    assert times_of(store) == [30]


def test_a_dropped_payload_keeps_its_place(store: Store, ingest: Ingest, van: Van) -> None:
    van.seal(observe(0, 5.0))
    van.seal(observe(30, 5.0))
    receipts = ingest.take(van.deliveries([van.sealed[0].without_body(), van.sealed[1]]))
    assert receipts[0].ack.epochs[0].next_offset == 2
    assert Archive(store).counts().dropped == 1


def test_two_segments_at_one_place_are_a_fork(store: Store, ingest: Ingest, van: Van) -> None:
    van.seal(observe(0, 5.0))
    other = Van()
    other.seal(observe(0, 9.0))
    ingest.take(van.deliveries())
    receipts = ingest.take(other.deliveries())
    assert receipts[0].ack.epochs == [EpochAck(van.epoch, 1, van.sealed[0].hash)]
    assert quarantined(store) == {"segment_fork": 1}
    assert alert_kinds(store) == ["log_forked"]


@pytest.mark.parametrize("order", [(0, 1, 2), (1, 0, 2), (2, 1, 0)])
def test_a_broken_chain_is_never_stored_as_truth(
    store: Store, ingest: Ingest, van: Van, order: tuple[int, ...]
) -> None:
    van.seal(observe(0, 5.0))
    van.previous = b"\x01" * 32
    van.seal(observe(30, 5.0))
    van.seal(observe(60, 5.0))
    for i in order:
        acknowledged = acked(ingest, van, i)
    assert acknowledged.next_offset == 1
    assert quarantined(store) == {"segment_chain": 1}
    assert "log_forked" in alert_kinds(store)
    assert times_of(store) == [0]


def test_a_cloned_card_keeps_both_logs_and_alerts(store: Store, ingest: Ingest, van: Van) -> None:
    van.seal(observe(0, 5.0))
    one, two = van.restart(b"epoch--2"), van.restart(b"epoch--3")
    one.seal(observe(30, 5.0))
    two.seal(observe(60, 9.0))
    ingest.take([*van.deliveries(), *one.deliveries(), *two.deliveries()])
    assert times_of(store) == [0, 30, 60]
    assert alert_kinds(store) == ["log_forked"]


def test_a_second_log_from_nothing_alerts(store: Store, ingest: Ingest, van: Van) -> None:
    van.seal(observe(0, 5.0))
    replaced = Van(epoch=b"epoch--9")
    replaced.seal(observe(30, 5.0))
    ingest.take(van.deliveries())
    ingest.take(replaced.deliveries())
    assert times_of(store) == [0, 30]
    assert alert_kinds(store) == ["log_restarted"]


def test_a_parent_that_is_another_segment_is_refused(store: Store, ingest: Ingest, van: Van) -> None:
    van.seal(observe(0, 5.0))
    liar = Van(epoch=b"epoch--2", parent=Position(van.epoch, 0), previous=b"\x02" * 32)
    liar.seal(observe(30, 5.0))
    ingest.take([*van.deliveries(), *liar.deliveries()])
    assert times_of(store) == [0]
    assert quarantined(store) == {"segment_chain": 1}


def test_a_span_finds_what_a_long_memory_read_holds(store: Store, ingest: Ingest, van: Van) -> None:
    van.seal(*(observe(300 * i, 5.0) for i in range(12 * 48)))
    ingest.take(van.deliveries())
    found = Archive(store).observations(LOGGER, START_MS + 86_400_000, START_MS + 86_400_000 + 600_000)
    assert [(o.measured_at_ms - START_MS) // 1000 for o in found] == [86_400, 86_700]


def test_a_page_leaves_out_what_was_seen(store: Store, ingest: Ingest, van: Van) -> None:
    van.seal(observe(0, 5.0))
    ingest.take(van.deliveries())
    archive = Archive(store)
    first = archive.page(LOGGER, 0, 1 << 48)
    van.seal(observe(30, 6.0))
    ingest.take(van.deliveries())
    news = archive.page(LOGGER, 0, 1 << 48, seen=first.segments)
    assert [o.temperature_mc for o in news.observations] == [6000]
    assert archive.watermarks() == {(van.name, van.epoch): 2}
    assert [s.position.offset for s in archive.stored(LOGGER, 0, 1 << 48)] == [0, 1]


@pytest.mark.parametrize("restored_first", [False, True])
def test_a_card_restored_in_the_middle_of_an_epoch_alerts_once(
    store: Store,
    ingest: Ingest,
    van: Van,
    restored_first: bool,  # noqa: FBT001  parametrised
) -> None:
    van.seal(observe(0, 5.0))
    restored = van.restart(b"epoch--2")
    restored.seal(observe(300, 5.0))
    van.seal(observe(30, 5.0))
    van.seal(observe(60, 5.0))
    turns = [van.deliveries(van.sealed[1:2]), restored.deliveries()]
    ingest.take(van.deliveries(van.sealed[:1]))
    for turn in reversed(turns) if restored_first else turns:
        ingest.take(turn)
    ingest.take(van.deliveries())
    assert times_of(store) == [0, 30, 60, 300]
    assert alert_kinds(store) == ["log_forked"]
