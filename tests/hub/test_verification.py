from __future__ import annotations

import io
import json
import zipfile
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import pytest
from sqlalchemy import delete, insert, select, update

from gateway.core.attestations import Heads, read_statement
from gateway.core.errors import InputError
from gateway.core.segments import seal_segment
from gateway.core.verification import EnrolledKey, Extent, Fault, StoredSegment, Tally, verify_extent
from gateway.hub.audit.acts import Act, record_act
from gateway.hub.database import schema
from gateway.hub.database.store import Store
from gateway.hub.proof.exports import export_log, verify_export
from gateway.hub.proof.heads import write_heads
from gateway.hub.proof.verification import Report, verify_store
from gateway.hub.replication.ingest import Ingest
from gateway.keys import SigningKey, VerifyKey, load_or_create_key
from tests.hub.vans import START_MS, Enrol, Van, observe, sqlite_only


@pytest.fixture
def archive(store: Store, van: Van) -> Van:
    """Five segments of one epoch and two of the next, stored."""
    for place in range(5):
        van.seal(observe(place * 30, 5.0 + place / 10, counter=place))
    after = van.restart(b"epoch--2")
    after.seal(observe(200, 5.5, counter=7))
    after.seal(observe(230, 5.6, counter=8))
    Ingest(store, lambda: START_MS).take([*van.deliveries(), *after.deliveries()])
    return van


@pytest.fixture
def hub_key(tmp_path: Path) -> SigningKey:
    return load_or_create_key(tmp_path / "hub.key")


def faults(report: Report) -> set[tuple[Fault, int | None]]:
    return {(finding.fault, finding.offset) for finding in report.findings}


def change(store: Store, offset: int, **values: object) -> None:
    with store.write() as connection:
        connection.execute(
            update(schema.segments)
            .where(schema.segments.c.position == offset, schema.segments.c.epoch_id == 1)
            .values(**values)
        )


def test_an_untouched_store_is_proven(store: Store, archive: Van) -> None:
    report = verify_store(store)
    assert report.is_proven, report.findings
    assert (report.epochs, report.tally.segments, report.tally.records) == (2, 7, 7)


@sqlite_only
def test_every_flipped_bit_is_found_and_named(store: Store, archive: Van) -> None:
    intact = archive.sealed[2].to_bytes()
    for place in range(0, len(intact) * 8, 7):
        altered = bytearray(intact)
        altered[place // 8] ^= 1 << place % 8
        change(store, 2, verbatim=bytes(altered))
        report = verify_store(store)
        assert not report.is_proven, f"bit {place} went unseen"
        assert 2 in {finding.offset for finding in report.findings}
    change(store, 2, verbatim=intact)
    assert verify_store(store).is_proven


def test_a_beginning_that_names_a_segment_before_it_is_found() -> None:
    liar = Van(previous=b"\x02" * 32)
    liar.seal(observe(0, 5.0))
    stored = [StoredSegment(0, START_MS, liar.sealed[0].to_bytes())]
    keys = [EnrolledKey(VerifyKey(liar.key.public_bytes).check)]
    findings = list(verify_extent(Extent(liar.name, liar.epoch, 0, 1), stored, keys, Tally()))
    assert [finding.fault for finding in findings] == [Fault.BROKEN_CHAIN]


def test_a_dropped_segment_is_found(store: Store, archive: Van) -> None:
    with store.write() as connection:
        row = connection.execute(select(schema.segments.c.id).where(schema.segments.c.position == 3)).scalar_one()
        connection.execute(delete(schema.segments).where(schema.segments.c.id == row))
    assert (Fault.MISSING, 3) in faults(verify_store(store))


def test_reordered_segments_are_found(store: Store, archive: Van) -> None:
    change(store, 1, verbatim=archive.sealed[2].to_bytes())
    change(store, 2, verbatim=archive.sealed[1].to_bytes())
    assert {(Fault.MISPLACED, 1), (Fault.MISPLACED, 2)} <= faults(verify_store(store))


def test_a_segment_signed_by_another_key_is_found(store: Store, archive: Van) -> None:
    forger = Van(seed=b"someone else")
    original = archive.sealed[2]
    assert original.body is not None
    forged = seal_segment(archive.name, original.header, original.body, forger.key.sign)
    change(store, 2, verbatim=forged.to_bytes())
    assert (Fault.ALTERED, 2) in faults(verify_store(store))


def test_what_a_revoked_key_signed_before_stands_and_after_does_not(store: Store, archive: Van) -> None:
    with store.write() as connection:
        connection.execute(update(schema.gateway_keys).values(revoked_at_ms=START_MS + 1))
    assert verify_store(store).is_proven
    with store.write() as connection:
        connection.execute(update(schema.gateway_keys).values(revoked_at_ms=START_MS))
    assert {fault for fault, _ in faults(verify_store(store))} == {Fault.REVOKED_KEY}


def test_a_reading_that_the_index_hides_is_found(store: Store, archive: Van) -> None:
    with store.write() as connection:
        places = schema.logger_hours.c.places
        connection.execute(update(schema.logger_hours).values(places=places.bitwise_and(~(1 << 3))))
    assert faults(verify_store(store)) == {(Fault.MISINDEXED, 3)}


def test_a_tail_cut_with_its_watermark_shows_against_earlier_heads(
    store: Store, archive: Van, hub_key: SigningKey
) -> None:
    document = write_heads(store, hub_key, START_MS, []).document
    earlier = [read_statement(Heads, document, VerifyKey(hub_key.public_bytes).check, where="heads")]
    assert verify_store(store, heads=earlier).is_proven
    with store.write() as connection:
        cut = select(schema.segments.c.id).where(schema.segments.c.position > 2, schema.segments.c.epoch_id == 1)
        ids = list(connection.execute(cut).scalars())
        connection.execute(delete(schema.segments).where(schema.segments.c.id.in_(ids)))
        connection.execute(
            update(schema.epochs).where(schema.epochs.c.id == 1).values(next_offset=3, head=archive.sealed[2].hash)
        )
    found = faults(verify_store(store, heads=earlier))
    assert (Fault.TAIL_CUT, 4) in found
    assert (Fault.UNKNOWN_PARENT, 0) in found


def test_heads_that_were_altered_are_refused(store: Store, archive: Van, hub_key: SigningKey) -> None:
    document = write_heads(store, hub_key, START_MS, []).document
    text = document.replace(r"\"next_offset\":5", r"\"next_offset\":4")
    assert text != document
    with pytest.raises(InputError, match="not signed by the hub's key"):
        read_statement(Heads, text, VerifyKey(hub_key.public_bytes).check, where="heads")


def test_a_rewritten_history_shows_against_earlier_heads(store: Store, archive: Van, hub_key: SigningKey) -> None:
    document = write_heads(store, hub_key, START_MS, []).document
    heads = read_statement(Heads, document, VerifyKey(hub_key.public_bytes).check, where="heads")
    first = heads.heads[0].model_copy(update={"hash": "00" * 32})
    earlier = heads.model_copy(update={"heads": (first, *heads.heads[1:])})
    assert faults(verify_store(store, heads=[earlier])) == {(Fault.REWRITTEN, 4)}


def test_an_audit_trail_cut_or_rewritten_shows_against_earlier_heads(
    store: Store, archive: Van, hub_key: SigningKey
) -> None:
    with store.write() as connection:
        for number in range(3):
            record_act(connection, Act("quality", "comment", f"breach {number}"), START_MS + number)
    document = write_heads(store, hub_key, START_MS, []).document
    earlier = [read_statement(Heads, document, VerifyKey(hub_key.public_bytes).check, where="heads")]
    assert verify_store(store, heads=earlier).is_proven
    with store.write() as connection:  # the last two are taken away, which the chain itself cannot show
        connection.execute(delete(schema.audit).where(schema.audit.c.id > 2))
    assert verify_store(store).is_proven
    assert faults(verify_store(store, heads=earlier)) == {(Fault.TAIL_CUT, None)}
    with store.write() as connection:
        record_act(connection, Act("quality", "comment", "another story"), START_MS)
    assert faults(verify_store(store, heads=earlier)) == {(Fault.REWRITTEN, None)}


def test_an_altered_or_cut_audit_trail_is_found(store: Store, archive: Van) -> None:
    with store.write() as connection:
        for number in range(3):
            record_act(connection, Act("quality", "comment", f"breach {number}"), START_MS + number)
    assert verify_store(store).is_proven
    with store.write() as connection:
        connection.execute(update(schema.audit).where(schema.audit.c.id == 2).values(new="other"))
    report = verify_store(store)
    assert [finding.reason for finding in report.findings] == ["audit entry 2 was altered"]
    with store.write() as connection:
        connection.execute(delete(schema.audit).where(schema.audit.c.id == 2))
    report = verify_store(store)
    assert [finding.fault for finding in report.findings] == [Fault.BROKEN_CHAIN]


def test_a_segment_behind_the_stated_end_is_found(store: Store, archive: Van) -> None:
    stray = archive.seal(observe(500, 4.0, counter=99))
    with store.write() as connection:
        connection.execute(
            insert(schema.segments).values(
                epoch_id=1,
                position=5,
                hash=stray.hash,
                verbatim=stray.to_bytes(),
                sealed_at_ms=START_MS,
                received_at_ms=START_MS,
                config_version=1,
                chained=True,
                content="readable",
            )
        )
    assert faults(verify_store(store)) == {(Fault.REWRITTEN, 5)}


def test_a_dropped_payload_is_counted_and_proven(store: Store, van: Van) -> None:
    van.seal(observe(0, 5.0))
    van.sealed[0] = replace(van.sealed[0], body=None)
    van.seal(observe(30, 5.0))
    Ingest(store, lambda: START_MS).take(van.deliveries())
    report = verify_store(store)
    assert report.is_proven, report.findings
    assert report.tally.dropped_payloads == 1


def test_an_export_is_proven_offline_and_every_changed_byte_of_it_shows(
    store: Store, archive: Van, hub_key: SigningKey, tmp_path: Path
) -> None:
    file = tmp_path / "all.zip"
    manifest = export_log(store, hub_key, file, START_MS)
    with store.read() as connection:
        act = connection.execute(select(schema.audit).order_by(schema.audit.c.id.desc()).limit(1)).one()
    assert (act.who, act.act, act.subject) == ("command line", "export", manifest.scope)
    assert json.loads(act.new)["sha256"] == sha256(file.read_bytes()).hexdigest()
    key = VerifyKey(hub_key.public_bytes).check
    report = verify_export(file, key)
    assert report.is_proven, report.findings
    assert (len(manifest.parts), report.tally.segments) == (2, 7)
    intact = file.read_bytes()
    for place in range(0, len(intact), 41):
        altered = bytearray(intact)
        altered[place] ^= 0x10
        file.write_bytes(altered)
        try:
            proven = verify_export(file, key).is_proven
        except InputError:
            continue
        assert not proven or _same_members(intact, bytes(altered), tmp_path), f"byte {place} went unseen"


def test_an_export_signed_by_another_hub_is_refused(
    store: Store, archive: Van, hub_key: SigningKey, tmp_path: Path
) -> None:
    export_log(store, load_or_create_key(tmp_path / "other.key"), tmp_path / "all.zip", START_MS)
    with pytest.raises(InputError, match="not signed by the hub's key"):
        verify_export(tmp_path / "all.zip", VerifyKey(hub_key.public_bytes).check)


@pytest.mark.parametrize("scope", [{"consignment": "C-0"}, {"gateway": "nobody"}])
def test_an_unknown_scope_is_refused(
    store: Store, archive: Van, hub_key: SigningKey, tmp_path: Path, scope: dict[str, str]
) -> None:
    with pytest.raises(InputError, match=r"C-0|nobody"):
        export_log(store, hub_key, tmp_path / "x.zip", START_MS, **scope)  # type: ignore[arg-type]  keywords by name
    assert not (tmp_path / "x.zip").exists()


def _same_members(intact: bytes, altered: bytes, folder: Path) -> bool:
    """A zip file has bytes (dates, attributes) that no member's content depends on."""

    def read(data: bytes) -> dict[str, bytes]:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            return {name: archive.read(name) for name in archive.namelist()}

    return read(intact) == read(altered)


def test_enrolment_of_a_second_key_lets_both_prove(store: Store, archive: Van, enrolled: Enrol) -> None:
    other = enrolled(Van("van-2", b"k2", b"epoch--9"))
    other.seal(observe(0, 4.0))
    Ingest(store, lambda: START_MS).take(other.deliveries())
    assert verify_store(store, gateway="van-2").tally.segments == 1
    assert verify_store(store).is_proven
