"""Whatever is done to a log, where it is kept or on its way, `coldchain verify` says what and where."""

from __future__ import annotations

import json
import random
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path

import pytest
from click.testing import CliRunner
from sqlalchemy import Connection, delete, insert, select, update

from gateway.cli import main
from gateway.core.attestations import Manifest, read_statement, sign_statement
from gateway.core.configuration import Box, Carriage, Consignment, Examination, Item, Logger
from gateway.core.profiles import Kind
from gateway.core.segments import seal_segment
from gateway.hub.database import schema
from gateway.hub.database.store import Store
from gateway.hub.proof.exports import export_log
from gateway.hub.proof.verification import verify_store
from gateway.hub.registry.registry import Registry
from gateway.hub.replication.authenticity import Delivery
from gateway.hub.replication.ingest import Ingest
from gateway.keys import SigningKey, VerifyKey, load_or_create_key
from tests.hub.vans import LOGGER, START_MS, Van, observe, sqlite_only

PLACE = 3
SEGMENTS = 8

pytestmark = sqlite_only


@dataclass
class Case:
    """A hub's store with one log, as three ways lead to it: the store, the gateway, an export."""

    store: Store
    van: Van
    key: SigningKey
    folder: Path
    database: str

    def verify(self, *options: str) -> dict[str, object]:
        file = self.folder / "hub.toml"
        file.write_text(f'data_dir = "{self.folder / "hub"}"\ndatabase = "{self.database}"\n')
        where = options if options and options[0].endswith(".zip") else ("--settings", str(file), *options)
        result = CliRunner().invoke(main, ["verify", *where, "--hub-key", self.key.public_bytes.hex(), "--json"])
        assert result.exit_code in (0, 1), result.output
        report: dict[str, object] = json.loads(result.stdout)
        return report


@pytest.fixture
def case(store: Store, van: Van, tmp_path: Path, database: str) -> Case:
    for place in range(SEGMENTS):
        van.seal(observe(place * 30, 5.0 + place / 10, counter=place))
    Ingest(store, lambda: START_MS).take(van.deliveries())
    register_consignment(store)
    return Case(store, van, load_or_create_key(tmp_path / "hub" / "hub.key"), tmp_path, database)


def register_consignment(store: Store) -> None:
    """One tube that travelled from the second segment's reading to that before the last."""
    registry = Registry(store, lambda: START_MS)
    registry.put_box(Box(code="BOX-1"), "test")
    registry.put_logger(Logger(address=LOGGER, box="BOX-1"), "test")
    begins, ends = (datetime.fromtimestamp(START_MS / 1000 + place * 30, UTC) for place in (1, SEGMENTS - 2))
    carriage = (Carriage(box="BOX-1", begins=begins, ends=ends),)
    item = Item(
        code="T-1", kind=Kind.SAMPLE, examinations=(Examination(code="K", profile="potassium"),), carriage=carriage
    )
    registry.put_consignment(Consignment(code="C-1", items=(item,), requester="WARD-3", receiver="LAB"), "test")


@pytest.mark.parametrize("typed", [("--gateway", "van-7"), ("--consignment", "C-7"), ("--tsa-ca", __file__)])
def test_nothing_is_proven_of_what_is_not_there(case: Case, typed: tuple[str, str]) -> None:
    with pytest.raises(AssertionError, match=rf"{typed[0]}: .*"):
        case.verify(*typed)


def row_of(connection: Connection, position: int) -> int:
    return int(
        connection.execute(select(schema.segments.c.id).where(schema.segments.c.position == position)).scalar_one()
    )


def put(connection: Connection, position: int, verbatim: bytes) -> None:
    connection.execute(update(schema.segments).where(schema.segments.c.position == position).values(verbatim=verbatim))


def flip(connection: Connection, van: Van) -> None:
    data = bytearray(van.sealed[PLACE].to_bytes())
    data[-1] ^= 1
    put(connection, PLACE, bytes(data))


def drop(connection: Connection, van: Van) -> None:
    row = row_of(connection, PLACE)
    connection.execute(delete(schema.segments).where(schema.segments.c.id == row))


def repeat(connection: Connection, van: Van) -> None:
    put(connection, PLACE, van.sealed[PLACE - 1].to_bytes())


def reorder(connection: Connection, van: Van) -> None:
    put(connection, PLACE, van.sealed[PLACE + 1].to_bytes())
    put(connection, PLACE + 1, van.sealed[PLACE].to_bytes())


def sign_again(connection: Connection, van: Van) -> None:
    original = van.sealed[PLACE]
    assert original.body is not None
    forged = seal_segment(van.name, original.header, original.body, Van(seed=b"someone else").key.sign)
    put(connection, PLACE, forged.to_bytes())


def sign_again_and_hide_it(connection: Connection, van: Van) -> None:
    """The forger also enrols the key, and makes the stored hash fit."""
    forger = Van(seed=b"someone else")
    original = van.sealed[PLACE]
    forged = seal_segment(van.name, original.header, original.body or b"", forger.key.sign)
    put(connection, PLACE, forged.to_bytes())
    connection.execute(
        insert(schema.gateway_keys).values(
            gateway=van.name,
            public_key=forger.key.public_bytes,
            token_hash=b"t",
            enrolled_at_ms=START_MS,
            revoked_at_ms=START_MS,
        )
    )


TAMPERINGS: list[tuple[Callable[[Connection, Van], None], set[str]]] = [
    (flip, {"altered"}),
    (drop, {"missing"}),
    (repeat, {"misplaced"}),
    (reorder, {"misplaced"}),
    (sign_again, {"altered"}),
    (sign_again_and_hide_it, {"revoked_key"}),
]


@pytest.mark.parametrize(("tamper", "faults"), TAMPERINGS, ids=lambda value: getattr(value, "__name__", ""))
@pytest.mark.parametrize(
    "options", [(), ("--gateway", "van-1"), ("--consignment", "C-1")], ids=["store", "gateway", "consignment"]
)
def test_what_is_done_to_a_store_is_named_with_its_place(
    case: Case, tamper: Callable[[Connection, Van], None], faults: set[str], options: tuple[str, ...]
) -> None:
    assert case.verify(*options)["proven"]
    with case.store.write() as connection:
        tamper(connection, case.van)
    found = case.verify(*options)
    assert not found["proven"]
    findings = found["findings"]
    assert isinstance(findings, list)
    assert faults <= {finding["fault"] for finding in findings}
    assert PLACE in {finding["offset"] for finding in findings}
    assert {finding["gateway"] for finding in findings} == {case.van.name}


@pytest.mark.parametrize("place", [0, 3, SEGMENTS - 1])
def test_a_segment_taken_away_with_all_that_names_it_is_missing_from_its_consignment(case: Case, place: int) -> None:
    with case.store.write() as connection:
        table = schema.logger_hours
        connection.execute(delete(schema.segments).where(schema.segments.c.position == place))
        connection.execute(update(table).values(places=table.c.places.bitwise_and(~(1 << place))))
    found = case.verify("--consignment", "C-1")
    findings = found["findings"]
    assert isinstance(findings, list)
    assert [(finding["fault"], finding["offset"]) for finding in findings if finding["offset"] is not None] == [
        ("missing", place)
    ], findings


def test_any_bit_of_a_travelling_segment_flipped_is_quarantined_and_the_log_stays_proven(case: Case) -> None:
    rng = random.Random(1)  # noqa: S311  reproducible
    travelling = case.van.seal(observe(900, 7.0, counter=90)).to_bytes()
    ingest = Ingest(case.store, lambda: START_MS)
    places = rng.sample(range(len(travelling) * 8), 250)
    altered = []
    for place in places:
        data = bytearray(travelling)
        data[place // 8] ^= 1 << place % 8
        altered.append(Delivery(case.van.name, bytes(data)))
    ingest.take(altered)
    report = verify_store(case.store)
    assert report.is_proven, report.findings
    assert report.tally.segments == SEGMENTS, "none of them was stored as truth"
    with case.store.read() as connection:
        codes = connection.execute(select(schema.quarantine.c.code)).scalars().all()
    assert len(codes) == len(places), "each is kept, with what is wrong with it"
    ingest.take([Delivery(case.van.name, travelling)])
    assert verify_store(case.store).tally.segments == SEGMENTS + 1


def test_travelling_segments_dropped_repeated_reordered_and_signed_again(case: Case) -> None:
    sent = [case.van.seal(observe(900 + place, 7.0, counter=90 + place)) for place in range(4)]
    ingest = Ingest(case.store, lambda: START_MS)
    forger = Van(seed=b"someone else")
    forged = seal_segment(case.van.name, sent[0].header, sent[0].body or b"", forger.key.sign)
    data = [segment.to_bytes() for segment in (sent[3], sent[0], sent[0], sent[2], forged)]
    receipts = ingest.take([Delivery(case.van.name, each) for each in data])
    assert receipts[0].ack.epochs[0].next_offset == SEGMENTS + 1, "what is missing is asked for again"
    report = verify_store(case.store)
    assert report.is_proven, report.findings
    ingest.take([Delivery(case.van.name, sent[1].to_bytes())])
    assert verify_store(case.store).tally.segments == SEGMENTS + 4
    other = Delivery("van-2", sent[1].to_bytes())  # a segment of one gateway, passed off as another's
    ingest.take([other])
    with case.store.read() as connection:
        codes = set(connection.execute(select(schema.quarantine.c.code)).scalars())
    assert codes == {"segment_signature", "gateway_unknown"}


@pytest.mark.parametrize(
    ("tamper", "faults"),
    [
        ("flip", {"altered"}),
        ("drop", {"missing"}),
        ("repeat", {"repeated"}),
        ("reorder", {"out_of_order"}),
        ("sign_again", {"altered"}),
    ],
)
@pytest.mark.parametrize("signed_by_the_hub", [True, False], ids=["with the hub's hand", "without"])
def test_what_is_done_to_an_export_is_named(
    case: Case, tamper: str, faults: set[str], *, signed_by_the_hub: bool
) -> None:
    """Also where the hub itself signs the manifest of what was tampered with: the gateway's signature remains."""
    file = case.folder / "all.zip"
    export_log(case.store, case.key, file, START_MS)
    assert case.verify(str(file))["proven"]
    with zipfile.ZipFile(file) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    name = next(name for name in members if name.startswith("segments/"))
    members[name] = _tamper(tamper, members[name], case.van)
    if signed_by_the_hub:
        check = VerifyKey(case.key.public_bytes).check
        manifest = read_statement(Manifest, members["manifest.json"], check, where="manifest")
        files = {**manifest.files, name: sha256(members[name]).hexdigest()}
        text = sign_statement(manifest.model_copy(update={"files": files}), case.key.sign)
        members["manifest.json"] = text.encode()
    with zipfile.ZipFile(file, "w") as archive:
        for member, data in members.items():
            archive.writestr(member, data)
    found = case.verify(str(file))
    findings = found["findings"]
    assert isinstance(findings, list)
    told = {finding["fault"] for finding in findings if finding["offset"] is not None}
    assert faults <= told, findings
    assert PLACE in {finding["offset"] for finding in findings}


def _tamper(what: str, data: bytes, van: Van) -> bytes:
    entries = []
    while data:
        length = 16 + int.from_bytes(data[12:16])
        entries.append(data[:length])
        data = data[length:]
    match what:
        case "flip":
            entries[PLACE] = entries[PLACE][:-1] + bytes([entries[PLACE][-1] ^ 1])
        case "drop":
            del entries[PLACE]
        case "repeat":
            entries.insert(PLACE, entries[PLACE])
        case "reorder":
            entries[PLACE], entries[PLACE + 1] = entries[PLACE + 1], entries[PLACE]
        case "sign_again":
            original = van.sealed[PLACE]
            forged = seal_segment(van.name, original.header, original.body or b"", Van(seed=b"someone else").key.sign)
            entries[PLACE] = entries[PLACE][:16] + forged.to_bytes()
    return b"".join(entries)
