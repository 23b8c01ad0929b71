"""What was sealed is proven; whatever is changed, by whoever, is found and named."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import pytest

from gateway.core.attestations import ReportManifest, Signed, sign_statement
from gateway.core.segments import Check
from gateway.core.succession import attach
from gateway.core.verification import Fault
from gateway.hub.proof.hub_key import rotate_hub_key
from gateway.hub.proof.verification import Report
from gateway.hub.reports import proof
from gateway.hub.reports.gathering import gather
from gateway.hub.reports.issuing import ReportForm, issue
from gateway.hub.reports.printing import print_report
from gateway.hub.reports.seal import put_seal, take_seal
from gateway.hub.rooms import Rooms
from gateway.keys import PinnedKey, SigningKey, make_key
from gateway.language import Language
from tests.hub.reports.transports import sources_of

SEED = 20261122


@pytest.fixture(scope="module")
def data(rooms: Rooms) -> bytes:
    return issue(sources_of(rooms), rooms.key, "SEND-1", ReportForm.PDF, Language.NB, who="test").data


@pytest.fixture
def check(rooms: Rooms) -> Check:
    return PinnedKey(rooms.key.public_bytes, keep_former=True).check


def verify(folder: Path, data: bytes, check: Check) -> Report:
    path = folder / "report.pdf"
    path.write_bytes(data)
    return proof.verify_report(path, check)


def test_a_report_is_proven_and_its_pages_made_again(data: bytes, check: Check, tmp_path: Path) -> None:
    report = verify(tmp_path, data, check)
    assert report.is_proven, report.findings
    assert report.files == 2
    assert any("the same to the last byte" in note for note in report.notes)


def places(data: bytes) -> Iterator[int]:
    """All of the file's end and of what leads to the seal; the seal and the rest in steps and by chance."""
    rng = random.Random(SEED)  # noqa: S311  places, not secrets
    begins, ends = data.index(b"%coldchain-seal"), data.rindex(b"\nxref")
    yield from range(begins - 30, begins + 40)
    yield from range(ends - 20, ends + 20)
    yield from range(len(data) - 80, len(data))
    yield from range(begins, ends, 17)
    yield from range(0, len(data), 499)
    yield from rng.sample(range(len(data)), 200)


def test_any_changed_byte_is_found(data: bytes, check: Check, tmp_path: Path) -> None:
    rng = random.Random(SEED)  # noqa: S311  the same
    missed = []
    for place in places(data):
        changed = bytearray(data)
        changed[place] ^= rng.randrange(1, 256)
        if verify(tmp_path, bytes(changed), check).is_proven:
            missed.append(place)
    assert missed == []


@pytest.mark.parametrize("place", [0, 5, 1000, -1])
def test_bytes_put_in_taken_out_or_added_are_found(data: bytes, check: Check, tmp_path: Path, place: int) -> None:
    cut = place % len(data)
    for changed in (data[:cut] + b"\n" + data[cut:], data[:cut] + data[cut + 1 :], data + b"\n", data[:-1], data * 2):
        assert not verify(tmp_path, changed, check).is_proven


def test_what_is_wrong_is_said(rooms: Rooms, data: bytes, check: Check, tmp_path: Path) -> None:
    printed, statement = take_seal(data)

    def said(changed: bytes, by: Check = check) -> str:
        return " | ".join(str(finding) for finding in verify(tmp_path, changed, by).findings)

    assert "the file was changed after the hub sealed it" in said(data.replace(b"/Size", b"/Sise"))
    assert "no seal of a hub" in said(printed)
    assert "not signed by the hub's key" in said(data, PinnedKey(make_key().public_bytes).check)
    other = issue(sources_of(rooms), rooms.key, "EMPTY", ReportForm.PDF, Language.NB, who="test").data
    moved = said(put_seal(take_seal(other)[0], statement))
    assert "changed after the hub sealed it" in moved
    assert "attached file readings.csv is not what the manifest says" in moved
    assert "attached file report.json is not what the manifest says" in moved
    assert "begin or end as a PDF" in said(b"%PDF-1.7\n")


def test_blanks_around_what_is_signed_are_found(data: bytes, check: Check, tmp_path: Path) -> None:
    printed, statement = take_seal(data)
    assert put_seal(printed, statement) == data
    loosened = put_seal(printed, statement.replace("\n", "\n ", 1))
    assert [finding.fault for finding in verify(tmp_path, loosened, check).findings] == [Fault.FORGED]


def test_another_way_of_writing_the_same_is_found(data: bytes, check: Check, tmp_path: Path) -> None:
    for old, new in ((b"startxref\n", b"startxref\n0"), (b"%coldchain-seal ", b"%coldchain-seal \t")):
        assert data.count(old) == 1
        assert not verify(tmp_path, data.replace(old, new), check).is_proven


def _sealed(printed: bytes, original: bytes, key: SigningKey) -> bytes:
    """What a hub would seal that wants to deceive."""
    manifest = ReportManifest.model_validate_json(Signed.model_validate_json(take_seal(original)[1]).statement)
    forged = manifest.model_copy(update={"printed": sha256(printed).hexdigest()})
    return put_seal(printed, sign_statement(forged, key.sign))


def test_not_even_the_hub_can_print_what_the_data_does_not_give(
    rooms: Rooms, data: bytes, check: Check, tmp_path: Path
) -> None:
    printed = take_seal(data)[0]
    altered = printed.replace(b"/Author", b"/Autohr", 1)
    assert altered != printed
    report = verify(tmp_path, _sealed(altered, data, rooms.key), check)
    assert "the pages are not what the attached data gives" in str(report.findings[0])
    assert verify(tmp_path, _sealed(printed, data, rooms.key), check).is_proven
    gathered = gather(sources_of(rooms), "SEND-1")
    other = replace(gathered.document, demonstration=False)
    swapped = print_report(other, gathered.rows, gathered.table, Language.NB)
    report = verify(tmp_path, _sealed(swapped, data, rooms.key), check)
    assert "attached file report.json is not what the manifest says" in str(report.findings[0])


def test_what_another_version_has_printed_is_proven_by_its_seal(
    data: bytes, check: Check, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(proof, "printer", lambda: "00" * 32)
    report = verify(tmp_path, data, check)
    assert report.is_proven
    assert any("another version" in note for note in report.notes)
    assert not verify(tmp_path, data.replace(b"/Author", b"/Autohr", 1), check).is_proven


def test_a_new_key_of_the_hub_is_followed_and_its_changes_cannot_be_changed(
    rooms: Rooms, tmp_path: Path, check: Check
) -> None:
    later = rotate_hub_key(rooms.settings.key_file, rooms.clock.now_ms())
    assert attach(b"", later.changes)
    data = issue(sources_of(rooms), later, "SEND-1", ReportForm.PDF, Language.EN, who="test").data
    assert verify(tmp_path, data, check).is_proven
    directly = PinnedKey(later.public_bytes).check
    assert verify(tmp_path, data, directly).is_proven
    printed, statement = take_seal(data)
    signed = Signed.model_validate_json(statement)
    changed = signed.signature[:-2] + ("00" if signed.signature[-2:] != "00" else "01")
    forged = Signed(statement=signed.statement, signature=changed).model_dump_json(indent=1)
    assert not verify(tmp_path, put_seal(printed, forged), directly).is_proven
