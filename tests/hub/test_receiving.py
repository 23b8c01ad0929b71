"""Receiving and registering at the bench, by its pages."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from gateway.core.configuration import Box, Calibration, Consignment, Logger
from gateway.hub.access import passwords
from gateway.hub.access.roles import Role
from gateway.hub.processes.app import create_app
from gateway.hub.review.decisions import Course
from gateway.hub.rooms import Rooms, open_rooms
from gateway.hub.settings import HubSettings
from gateway.hub.web.moments import write_local
from tests.hub.vans import LOGGER, START_MS, Van, iso, observe

PASSWORD = "ni rolige elger"
SSCC = "376130321109103420"
CLOCK = {"start": iso(0), "stop": iso(1800), "rate": 1e5, "anchor_ns": 0}


@pytest.fixture
async def rooms(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Rooms]:
    monkeypatch.setattr(passwords, "_hasher", passwords.PasswordHasher(time_cost=1, memory_cost=64))
    opened = open_rooms(HubSettings(data_dir=tmp_path, demonstration=True, clock=CLOCK, language="en"))  # type: ignore[arg-type]  pydantic reads it
    for role in Role:
        opened.accounts.add(role.value, f"The {role}", [role], "setup", password=PASSWORD)
    calibration = Calibration(certificate="K", calibrated_at=iso(-86400), due_at=iso(86400))
    opened.registry.put_box(Box(code="BOX-1"), "test")
    opened.registry.put_box(Box(code=f"00{SSCC}"), "test")
    opened.registry.put_logger(Logger(address=LOGGER, box="BOX-1", calibration=calibration), "test")
    van = Van()
    for i in range(61):
        van.seal(observe(30 * i, 5.0, counter=i))
    opened.enrolment.enrol(van.name, opened.enrolment.issue_code(van.name, "test"), van.key.public_bytes)
    opened.ingest.take(van.deliveries())
    yield opened
    opened.store.close()


@pytest.fixture
async def http(rooms: Rooms) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(transport=httpx.ASGITransport(create_app(rooms)), base_url="http://hub") as client:
        be(client, rooms, Role.RECEIVER)
        yield client


def be(http: httpx.AsyncClient, rooms: Rooms, role: Role) -> None:
    http.cookies.set("coldchain", rooms.sessions.open(rooms.accounts.check(role.value, PASSWORD)).secret)


def carry(rooms: Rooms, kind: str = "sample", profile: str = "potassium", code: str = "SEND-1") -> None:
    item = {"code": "TUBE-1", "kind": kind, "collected_at": iso(0), "examinations": [{"code": "K", "profile": profile}]}
    document = {"code": code, "items": [item], "carriage": [{"box": "BOX-1", "begins": iso(0)}]}
    rooms.registry.put_consignment(Consignment.model_validate(document), "test")
    rooms.watch.judge_marked()


def words_of(answer: httpx.Response) -> str:
    return " ".join(re.sub(r"<[^>]*>", " ", answer.text).split())


def form_of(page: str, action: str) -> dict[str, str]:
    """The hidden fields of the first form that leads somewhere."""
    form = re.search(rf'<form[^>]*action="{action}".*?</form>', page, re.DOTALL)
    assert form is not None, words_of(httpx.Response(200, text=page))
    return dict(re.findall(r'<input type="hidden" name="([^"]+)" value="([^"]*)"', form[0]))


async def receive(http: httpx.AsyncClient, rooms: Rooms, code: str = "BOX-1") -> str:
    form = form_of((await http.get(f"/bench?code={code}")).text, "/bench/receive")
    answer = await http.post("/bench/receive", data=form)
    assert (answer.status_code, answer.headers["location"]) == (303, f"/bench?code={code}")
    rooms.watch.judge_marked()
    return (await http.get(f"/bench?code={code}")).text


async def test_what_has_arrived_is_received_and_the_rejected_tube_is_decided_about(
    rooms: Rooms, http: httpx.AsyncClient
) -> None:
    carry(rooms)
    assert "Receive the consignment first" in (await http.get("/bench?code=BOX-1")).text
    form = form_of(await receive(http, rooms), "/bench/decide")
    known = rooms.registry.consignment("SEND-1")
    assert known is not None
    assert known.consignment.received_at is not None
    wanted = {"choice": "reject-and-ask", "reason": "RR", "comment": "too cold"}
    answer = await http.post("/bench/decide", data=form | wanted)
    assert (answer.status_code, answer.headers["location"]) == (303, "/bench?code=BOX-1")
    (made,) = rooms.decisions.of("SEND-1")
    assert (made.choice, made.reason, made.who, made.current) == (Course.REJECT, "RR", "receiver", True)
    assert made.seen["K"]["version"] == int(form["version"])
    page = words_of(await http.get("/bench?code=BOX-1"))
    assert "Rejected: Improper storage or transport A new sample was asked for The receiver" in page
    assert "too cold" in page


async def test_a_decision_without_its_words_is_refused_and_keeps_what_was_typed(
    rooms: Rooms, http: httpx.AsyncClient
) -> None:
    carry(rooms)
    form = form_of(await receive(http, rooms), "/bench/decide")
    unsaid = await http.post("/bench/decide", data=form | {"choice": "receive"})
    assert unsaid.status_code == 422
    assert "Say why, in the comment." in unsaid.text
    unreasoned = await http.post("/bench/decide", data=form | {"choice": "reject", "comment": "<b>hm</b>"})
    assert unreasoned.status_code == 422
    assert "To reject needs a reason from the list." in unreasoned.text
    assert "&lt;b&gt;hm&lt;/b&gt;" in unreasoned.text
    assert rooms.decisions.of("SEND-1") == []


async def test_a_verdict_that_has_changed_meanwhile_is_shown_before_anything_is_stored(
    rooms: Rooms, http: httpx.AsyncClient
) -> None:
    carry(rooms)
    form = form_of(await receive(http, rooms), "/bench/decide")
    answer = await http.post("/bench/decide", data=form | {"version": "99", "choice": "hold", "comment": "call"})
    assert answer.status_code == 409
    assert "has changed meanwhile" in answer.text
    assert rooms.decisions.of("SEND-1") == []


async def test_about_a_medicine_only_a_pharmacist_decides(rooms: Rooms, http: httpx.AsyncClient) -> None:
    carry(rooms, "medicine", "insulin-glargine-in-use")
    page = await receive(http, rooms)
    assert 'action="/bench/decide"' not in page
    assert "Only a pharmacist decides on medicines." in page
    be(http, rooms, Role.PHARMACIST)
    form = form_of((await http.get("/bench?code=BOX-1")).text, "/bench/decide")
    be(http, rooms, Role.RECEIVER)
    mine = form_of((await http.get("/bench")).text, "/logout")
    said = {"choice": "hold", "comment": "call"}
    assert (await http.post("/bench/decide", data=form | mine | said)).status_code == 403
    be(http, rooms, Role.PHARMACIST)
    theirs = form_of((await http.get("/bench")).text, "/logout")
    assert (await http.post("/bench/decide", data=form | theirs | said)).status_code == 303


async def test_what_nobody_registered_is_registered_and_judged_from_the_recording(
    rooms: Rooms, http: httpx.AsyncClient
) -> None:
    page = await http.get("/bench?code=BOX-1")
    assert "Nothing is registered in this box" in page.text
    form = (await http.get("/register?code=BOX-1")).text
    assert 'name="box" value="BOX-1"' in form
    rows = {"item": ["TUBE-1", "TUBE-1", ""], "profile": ["potassium", "crp", ""], "collected": ["", "", ""]}
    sheet = {**form_of(form, "/register"), "box": "BOX-1", "code": "LATE-1", "since": local(0), **rows}
    answer = await http.post("/register", data=sheet)
    assert (answer.status_code, answer.headers["location"]) == (303, "/bench?code=LATE-1")
    rooms.watch.judge_marked()
    page = await http.get("/bench?code=LATE-1")
    words = words_of(page)
    assert words.count("Registered late: judged from what the logger had recorded.") == 2
    assert "Reject potassium" in words
    assert "crp" in words


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"box": "BOX-9"}, "No box of this code is registered."),
        ({"since": ""}, "Say since when it was in the box."),
        ({"since": "2026-06-31T10:00"}, "There is no such moment."),
        ({"since": "2030-01-01T10:00"}, "This lies ahead."),
        ({"item": [""], "profile": [""]}, "State at least one item."),
        ({"profile": ["nonsense"]}, "Choose what will be examined or given."),
        ({"code": "SEND-1"}, "A consignment of this code is registered already."),
        ({"code": "13097248022"}, "national identity number"),
    ],
)
async def test_a_form_that_cannot_be_taken_says_why_and_is_kept(
    rooms: Rooms, http: httpx.AsyncClient, changes: dict[str, object], words: str
) -> None:
    carry(rooms)
    token = form_of((await http.get("/register")).text, "/register")
    whole = {
        "box": "BOX-1",
        "code": "LATE-1",
        "since": local(0),
        "item": ["T-9"],
        "profile": ["crp"],
        "collected": [""],
    }
    answer = await http.post("/register", data=token | whole | changes)
    assert answer.status_code == 422
    assert words in answer.text
    assert 'aria-invalid="true"' in answer.text
    assert ("T-9" in answer.text) == ("item" not in changes)


async def test_more_rows_keep_what_stands_in_the_others(rooms: Rooms, http: httpx.AsyncClient) -> None:
    token = form_of((await http.get("/register")).text, "/register")
    typed = {"item": ["T-9"], "profile": ["crp"], "collected": [""], "more": "1"}
    answer = await http.post("/register", data=token | typed)
    assert answer.text.count('name="item"') == 4
    assert 'value="T-9"' in answer.text


async def test_a_scanned_gs1_mark_finds_what_is_registered_under_it(rooms: Rooms, http: httpx.AsyncClient) -> None:
    carry(rooms, code=f"00{SSCC}")
    for scanned in (f"]C100{SSCC}", f"(00){SSCC}", f"https://id.gs1.org/00/{SSCC}"):
        assert "TUBE-1" in (await http.get("/bench", params={"code": scanned})).text, scanned
    wrong = await http.get("/bench", params={"code": SSCC.join(("00", ""))[:-1] + "1"})
    assert "its check digit is wrong" in wrong.text


async def test_whoever_may_not_receive_sees_no_button(rooms: Rooms, http: httpx.AsyncClient) -> None:
    carry(rooms)
    be(http, rooms, Role.NURSE)
    page = await http.get("/bench?code=BOX-1")
    assert 'action="/bench/receive"' not in page.text
    token = form_of(page.text, "/logout")
    assert (await http.post("/bench/receive", data=token | {"consignment": "SEND-1"})).status_code == 403


async def test_the_day_list_shows_what_is_expected_and_what_was_received(rooms: Rooms, http: httpx.AsyncClient) -> None:
    carry(rooms)
    assert "SEND-1" in (await http.get("/arrivals")).text
    assert "Nothing was received on this day." in (await http.get("/arrivals?show=received&day=&verdict=")).text
    await receive(http, rooms, "SEND-1")
    assert "Nothing is expected on this day." in (await http.get("/arrivals")).text
    received = words_of(await http.get("/arrivals?show=received"))
    assert "SEND-1 BOX-1 1" in received
    assert "1 Reject 1 waits for a decision" in received
    assert "SEND-1" in (await http.get("/arrivals?show=received&verdict=reject")).text
    assert "Nothing matches." in (await http.get("/arrivals?show=received&verdict=accept")).text
    yesterday = re.search(r'href="([^"]+)" rel="prev"', (await http.get("/arrivals?show=received")).text)
    assert yesterday is not None
    assert "Nothing was received on this day." in (await http.get(yesterday[1].replace("&amp;", "&"))).text


def local(at_s: float) -> str:
    return write_local(START_MS + round(at_s * 1000))


async def test_labels_are_printed_for_boxes(rooms: Rooms, http: httpx.AsyncClient) -> None:
    assert "+RECEIVE" in (await http.get("/labels")).text
    page = await http.get("/labels", params={"codes": "BOX-1\nBOX-2 <b>"})
    assert page.text.count('<svg class="code128"') == page.text.count('<svg class="qr"') == 2
    assert "&lt;b&gt; fits no label." in page.text
