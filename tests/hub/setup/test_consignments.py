"""Consignments by form and by file: what is wrong is named by line and column, and nothing is taken in parts."""

from __future__ import annotations

import re
from html import unescape

import httpx
import pytest

from gateway.core.profiles import Kind
from gateway.hub.access.roles import Role
from gateway.hub.manifests import reading
from gateway.hub.manifests.assembly import Known, assemble, read_moment
from gateway.hub.manifests.columns import write_sample, write_template
from gateway.hub.manifests.importing import check_manifest, where_of
from gateway.hub.manifests.reading import Faults, read_lines
from gateway.hub.rooms import Rooms
from gateway.language import ENGLISH
from tests.hub.setup.forms import Visitor, faults_of, value_of, words_of
from tests.hub.vans import START_MS, iso, sqlite_only

NUMBER_OF_NOBODY = "01010750160"
HEAD = "consignment,box,in_box_since,item,profile,examination,requester\n"
GOOD = HEAD + f"C-1,BOX-1,{iso(0)},T-1,potassium,K,WARD-3\nC-1,BOX-1,{iso(0)},T-2,potassium,,\n"
IMPORT = "/setup/consignments/import"


def faults_in(text: str | bytes) -> list[tuple[int, str, str]]:
    faults = Faults()
    known = Known({"potassium": Kind.SAMPLE, "crp": Kind.SAMPLE, "bortezomib": Kind.MEDICINE}, {"BOX-1", "BOX-2"})
    data = text if isinstance(text, bytes) else text.encode()
    assemble(read_lines(data, faults), known, faults)
    return [(fault.line, fault.column, fault.say(ENGLISH)) for fault in faults.kept]


def line(**cells: str) -> str:
    given = {
        "consignment": "C-1",
        "box": "BOX-1",
        "in_box_since": iso(0),
        "item": "T-1",
        "profile": "potassium",
    } | cells
    return ",".join(given.get(name, "") for name in HEAD.strip().split(",")) + "\n"


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        (HEAD + line(item="") + line(item="T-2", box="BOX-9"), [(2, "item", "missing"), (3, "box", "No box")]),
        (HEAD + line(requester=NUMBER_OF_NOBODY), [(2, "requester", "national identity number")]),
        (HEAD + line(in_box_since="2026-10-24"), [(2, "in_box_since", "no moment")]),
        (HEAD + line(in_box_since="2026-03-29T02:30"), [(2, "in_box_since", "no moment")]),
        (HEAD + line(profile="potasium"), [(2, "profile", "no profile")]),
        (HEAD + line(item="<T>"), [(2, "item", "A code has")]),
        (HEAD + line() + line(), [(3, "profile", "line 2 already")]),
        (HEAD + line() + "\n" + line(profile="bortezomib"), [(4, "profile", "either a sample or a medicine")]),
        (
            HEAD + line(requester="A") + line(item="T-2", requester="B"),
            [(3, "requester", "Line 2 says something else")],
        ),
        (HEAD + line() + line(profile="crp", box="BOX-2"), [(3, "box", "Line 2 says something else")]),
        (HEAD + line().rstrip() + ",,,much\n", [(2, "", "more cells")]),
        (HEAD + '"C-1,BOX-1\n', [(2, "", "quotation marks")]),
        ("consignment,boks,in_box_since,item,profile\n", [(1, "boks", "did you mean box?"), (1, "box", "missing")]),
        ("", [(1, "", "nothing in it")]),
        (HEAD, [(1, "", "no lines below")]),
        (HEAD.encode() + b"\xe6,", [(2, "", "not UTF-8")]),
        (b"x" * (reading.BYTES_MAX + 1), [(1, "", "larger than 512 KiB")]),
    ],
)
def test_each_fault_is_named_by_line_and_column(text: str | bytes, wanted: list[tuple[int, str, str]]) -> None:
    found = faults_in(text)
    assert [(number, column) for number, column, _ in found] == [(number, column) for number, column, _ in wanted]
    for (_, _, said), (_, _, words) in zip(found, wanted, strict=True):
        assert words in said
        assert NUMBER_OF_NOBODY not in said


def test_no_more_lines_and_faults_are_kept_than_anybody_reads() -> None:
    many = HEAD + "".join(line(item="") for _ in range(reading.LINES_MAX + 1))
    faults = Faults()
    assert len(read_lines(many.encode(), faults)) == reading.LINES_MAX
    assert "more than 1000 lines" in faults.kept[0].say(ENGLISH)
    assert len(faults_in(many)) == reading.FAULTS_MAX


def test_semicolons_spreadsheets_dates_and_a_mark_at_the_beginning_are_read() -> None:
    text = (
        "\ufeffConsignment;Box;In box since;Item;Profile;;\r\nC-1;BOX-1;24.10.2026 08:00;T-1;potassium;;\r\n;;;;;;\r\n"
    )
    assert faults_in(text) == []
    assert read_moment("24.10.2026 08:00") == read_moment("2026-10-24T08:00+02:00")
    assert read_moment("25.10.2026 02:30") == read_moment("2026-10-25T02:30+02:00")


@sqlite_only
async def test_the_sample_and_the_template_are_files_of_their_own_kind(rooms: Rooms, visitor: Visitor) -> None:
    sample = check_manifest(write_sample(START_MS).encode(), rooms.registry)
    assert ([where_of(one) for one in sample.faults], sample.items, sample.examinations) == ([], 2, 3)
    assert (await visitor.get("/setup/consignments/sample.csv")).content.startswith(b"\xef\xbb\xbfconsignment,box")
    template = (await visitor.get("/setup/consignments/template.csv")).content.decode("utf-8-sig")
    assert template == write_template()


async def test_a_file_is_looked_at_corrected_and_then_registered_as_a_whole(rooms: Rooms, visitor: Visitor) -> None:
    wrong = GOOD + f"C-2,BOX-1,{iso(0)},T-3,potasium,,\n"
    refused = await visitor.send(IMPORT, {}, file=("morning.csv", wrong.encode()))
    assert refused.status_code == 422
    assert "4 profile There is no profile of this name." in words_of(refused)
    assert 'name="confirm"' not in refused.text
    assert value_of(refused, "csv").strip() == wrong.strip()
    forced = await visitor.send(IMPORT, {"csv": wrong, "confirm": "1"})
    assert forced.status_code == 422
    assert rooms.registry.consignment("C-1") is None
    looked = await visitor.send(IMPORT, {"csv": wrong.replace("potasium", "potassium")})
    assert "Nothing is registered yet." in words_of(looked)
    assert rooms.registry.consignment("C-1") is None
    text = re.search(r'<textarea name="csv" hidden>\n(.*?)</textarea>', looked.text, re.DOTALL)
    assert text is not None
    done = await visitor.send(IMPORT, {"csv": unescape(text[1]), "confirm": "1"})
    assert (done.status_code, done.headers["location"]) == (303, "/setup/consignments?added=2")
    known = rooms.registry.consignment("C-1")
    assert known is not None
    assert [item.code for item in known.consignment.items] == ["T-1", "T-2"]
    assert (known.consignment.requester, known.consignment.carriage[0].box) == ("WARD-3", "BOX-1")
    assert ("administrator", "consignment C-2", "") in visitor.acts("register")


async def send(visitor: Visitor, text: str, query: str = "") -> httpx.Response:
    headers = {"Content-Type": "text/csv", "X-CSRF-Token": visitor.csrf}
    return await visitor.http.post(f"/api/v1/consignments/import{query}", content=text.encode(), headers=headers)


async def test_programs_import_too_twice_is_once_and_half_is_nothing(rooms: Rooms, visitor: Visitor) -> None:
    looked = await send(visitor, GOOD, "?dry_run=true")
    assert looked.json() == {
        "dry_run": True,
        "lines": 2,
        "consignments": ["C-1"],
        "items": 2,
        "examinations": 2,
        "new": 1,
    }
    assert rooms.registry.consignment("C-1") is None
    assert (await send(visitor, GOOD)).json()["new"] == 1
    assert (await send(visitor, GOOD)).json()["new"] == 0
    other = GOOD.replace("C-1", "C-7") + line(item="T-9", requester="")
    refused = await send(visitor, other)
    assert refused.status_code == 422
    assert refused.headers["content-type"] == "application/problem+json"
    assert refused.json()["errors"] == [
        {
            "field": "line 4, consignment",
            "reason": "A consignment of this code is registered already, and says something else.",
        }
    ]
    assert rooms.registry.consignment("C-7") is None
    visitor.be(Role.INSPECTOR)
    assert (await send(visitor, GOOD)).status_code == 403


FORM = {
    "consignment": "C-5",
    "box": "BOX-1",
    "in_box_since": "2026-06-21T02:00",
    "requester": "WARD-3",
    "planned_arrival": "2026-06-21T05:00",
    "item": ["T-1", "T-1", ""],
    "profile": ["potassium", "crp", ""],
    "examination": ["K", "", ""],
    "collected_at": ["2026-06-21T01:40", "", ""],
    "latest_arrival": ["2026-06-21T04:00", "", ""],
}


async def test_a_consignment_is_registered_by_its_form(rooms: Rooms, visitor: Visitor) -> None:
    visitor.be(Role.NURSE)
    answer = await visitor.send("/setup/consignments/new", FORM)
    assert (answer.status_code, answer.headers["location"]) == (303, "/bench?code=C-5"), faults_of(answer)
    known = rooms.registry.consignment("C-5")
    assert known is not None
    (item,) = known.consignment.items
    assert [(one.code, one.profile) for one in item.examinations] == [("K", "potassium"), ("crp", "crp")]
    assert item.latest_arrival is not None
    assert not known.consignment.registered_late


@sqlite_only
async def test_its_faults_stand_at_the_fields_of_their_rows(rooms: Rooms, visitor: Visitor) -> None:
    wrong = {**FORM, "box": "BOX-9", "item": ["T-1", NUMBER_OF_NOBODY], "collected_at": ["", "soon"]}
    answer = await visitor.send("/setup/consignments/new", wrong)
    assert answer.status_code == 422
    found = faults_of(answer)
    assert sorted(found) == ["box", "collected_at-2", "item-2"]
    assert "national identity number" in found["item-2"]
    assert (value_of(answer, "item-1"), value_of(answer, "requester")) == ("T-1", "WARD-3")
    taken = await visitor.send("/setup/consignments/new", {**FORM, "consignment": "SEND-1"})
    assert "consignment" in faults_of(taken)
    nothing = await visitor.send("/setup/consignments/new", {"box": "BOX-1"})
    assert sorted(faults_of(nothing)) == ["consignment", "in_box_since", "item-1"]
    more = await visitor.send("/setup/consignments/new", {**FORM, "more": "1"})
    assert (more.status_code, 'id="item-6"' in more.text) == (200, True)
    assert rooms.registry.consignment("C-5") is None
