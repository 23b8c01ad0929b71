"""The queue and the page of a breach, as a browser without scripts uses them."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from datetime import date, timedelta
from html import unescape
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

from gateway.hub.access import passwords
from gateway.hub.access.roles import Role
from gateway.hub.api.signers import SigningWays
from gateway.hub.breaches.lifecycle import ReviewState
from gateway.hub.processes.app import create_app
from gateway.hub.review import queue
from gateway.hub.rooms import Rooms, open_rooms
from gateway.hub.settings import HubSettings
from gateway.hub.times import to_datetime, to_oslo
from gateway.hub.web.quality import signing
from tests.hub.review.reviewing import QUALITY, Ward
from tests.hub.samples import NOW_MS
from tests.hub.vans import iso

PASSWORD = "ni rolige elger"
CLOCK = {"start": iso(0), "stop": iso(7200), "rate": 1e5, "anchor_ns": 0}


class Browser:
    """Somebody's browser: follows what an answer says, and posts forms with the session's token."""

    def __init__(self, rooms: Rooms, http: httpx.AsyncClient, role: Role) -> None:
        session = rooms.sessions.open(rooms.accounts.check(role.value, PASSWORD))
        self.rooms, self.http = rooms, http
        self.headers = {"Cookie": f"coldchain={session.secret}"}
        self.csrf = session.caller.csrf

    async def get(self, path: str) -> httpx.Response:
        return await self.http.get(path, headers=self.headers)

    async def post(self, path: str, **form: object) -> httpx.Response:
        return await self.http.post(path, data={"csrf": self.csrf, **form}, headers=self.headers)

    async def act(self, what: str, **form: object) -> httpx.Response:
        answer = await self.post(f"/review/1/{what}", **form)
        assert (answer.status_code, answer.headers.get("location")) == (303, "/review/1#next"), words_of(answer)
        return await self.get("/review/1")


def words_of(answer: httpx.Response) -> str:
    return " ".join(unescape(re.sub(r"<[^>]*>", " ", answer.text)).split())


@pytest.fixture
async def rooms(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Rooms]:
    monkeypatch.setattr(passwords, "_hasher", passwords.PasswordHasher(time_cost=1, memory_cost=64))
    opened = open_rooms(HubSettings(data_dir=tmp_path, demonstration=True, clock=CLOCK, language="en"))  # type: ignore[arg-type]  pydantic reads it
    for role in Role:
        opened.accounts.add(role.value, f"The {role}", [role], "setup", password=PASSWORD)
    Ward(opened.store).judge((10, 30), (40, None))
    yield opened
    opened.store.close()


@pytest.fixture
async def http(rooms: Rooms) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(transport=httpx.ASGITransport(create_app(rooms)), base_url="http://hub") as client:
        yield client


@pytest.fixture
def quality(rooms: Rooms, http: httpx.AsyncClient) -> Browser:
    return Browser(rooms, http, Role.QUALITY)


async def test_the_queue_says_what_broke_and_stands_in_its_address(quality: Browser) -> None:
    page = await quality.get("/review")
    said = words_of(page)
    assert "2 breaches are not closed." in said
    assert "T-1" in said
    assert "consignment C-1 · box BOX-1" in said
    assert said.count("Not acknowledged") == 1 + 2  # what the filter offers, and two breaches
    none = await quality.get("/review?stage=closed&code=T-9")
    assert "No breach matches these filters." in words_of(none)
    assert 'value="T-9"' in none.text
    assert 'href="/review/2"' in (await quality.get("/review?stage=running")).text
    assert 'href="/review/1"' not in (await quality.get("/review?stage=running")).text
    assert (await quality.get("/review?stage=nonsense")).status_code == 422
    assert (await quality.get("/review?box=%00")).status_code == 422


async def test_a_long_queue_comes_in_pages(quality: Browser, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(queue, "PAGE_SIZE", 1)
    first, second = await quality.get("/review"), await quality.get("/review?page=2")
    assert 'href="/review?page=2" rel="next"' in first.text
    assert 'href="/review" rel="prev"' in second.text
    assert (first.text.count('rel="prev"'), second.text.count('rel="next"')) == (0, 0)


async def test_several_are_acknowledged_or_none(quality: Browser) -> None:
    refused = await quality.post("/review/acknowledge", ids=[1, 2], reason=" ", back="stage=unacknowledged")
    assert refused.status_code == 422
    assert "Give a reason, in words." in refused.text
    assert refused.text.count(" checked>") == 2 + 1  # both, and the switch of the keys
    quality.rooms.reviews.acknowledge(1, QUALITY)
    changed = await quality.post("/review/acknowledge", ids=[1, 2], reason="one box", back="")
    assert changed.status_code == 409
    assert 'value="one box"' in changed.text
    assert quality.rooms.reviews.review(2).standing.state is ReviewState.OPEN
    done = await quality.post("/review/acknowledge", ids=[2], reason="one box", back="kind=sample&page=7")
    assert (done.status_code, done.headers["location"]) == (303, "/review?kind=sample&page=7")
    assert quality.rooms.reviews.review(2).standing.state is ReviewState.ACKNOWLEDGED


async def test_each_sees_what_the_role_may(rooms: Rooms, http: httpx.AsyncClient) -> None:
    pharmacist = await Browser(rooms, http, Role.PHARMACIST).get("/review")
    assert 'name="ids"' not in pharmacist.text
    receiver = await Browser(rooms, http, Role.RECEIVER).get("/review/1")
    assert 'action="/review/1/acknowledge"' in receiver.text
    assert 'action="/review/1/assign"' not in receiver.text
    inspector = await Browser(rooms, http, Role.INSPECTOR).get("/review/1")
    assert '<form class="act-form"' not in inspector.text
    assert "The next step is for others" in inspector.text
    assert (await Browser(rooms, http, Role.DRIVER).get("/review")).status_code == 403
    wrong = await Browser(rooms, http, Role.PHARMACIST).post("/review/1/acknowledge", text="seen")
    assert wrong.status_code == 403
    assert "your role does not take care of one of these" in wrong.text
    forged = await http.post("/review/1/acknowledge", headers=Browser(rooms, http, Role.QUALITY).headers)
    assert forged.status_code == 403


async def test_a_breach_from_finding_to_signature(quality: Browser) -> None:
    page = await quality.get("/review/1")
    assert "Confirmed by the readings at the hub." in words_of(page)
    assert "There is no trace" in words_of(page)
    page = await quality.act("acknowledge", text="seen at once")
    assert "Acknowledged The quality" in words_of(page)
    assert "seen at once" in page.text
    page = await quality.act("assign", to="quality")
    page = await quality.act("begin")
    assert 'action="/review/1/close"' not in page.text
    refused = await quality.post("/review/1/conclude", cause="box_open", action="", text="The lid.")
    assert refused.status_code == 422
    assert "Choose a corrective action from the list." in refused.text
    assert '<option value="box_open" selected>' in refused.text
    assert ">The lid.</textarea>" in refused.text
    await quality.act("conclude", cause="box_open", action="trained", text="The lid.")
    first = quality.rooms.reviews.review(1).records[-1].id
    page = await quality.act("conclude", cause="delay", action="route", corrects=first)
    assert "Corrects an earlier one:" in page.text
    assert page.text.count("is-corrected") == 1
    page = await quality.act("close")
    seen = re.search(r'name="seen" value="([0-9a-f]{64})"', page.text)
    assert seen is not None
    wrong = await quality.post("/review/1/sign", meaning="approved", seen=seen[1], password="wrong wrong")
    assert wrong.status_code == 422
    assert "wrong wrong" not in wrong.text
    assert re.search(r'value="approved" checked', wrong.text)
    page = await quality.act("sign", meaning="approved", seen=seen[1], password=PASSWORD)
    assert "Holds: what was signed is what is stored." in words_of(page)
    assert "The quality (quality) I approve the review" in words_of(page)
    assert re.search(r"\+0[12]:00 ✓", words_of(page))
    page = await quality.act("reopen", text="more came")
    assert "Broken: what is stored has changed since it was signed." in words_of(page)


async def test_what_still_runs_is_closed_with_an_ending(quality: Browser) -> None:
    for act, form in (("acknowledge", {}), ("begin", {}), ("conclude", {"cause": "box_open", "action": "trained"})):
        assert (await quality.post(f"/review/2/{act}", **form)).status_code == 303
    refused = await quality.post("/review/2/close", text="gone")
    assert refused.status_code == 422
    assert "It still runs: choose why nothing more will come of it." in refused.text
    assert ">gone</textarea>" in refused.text
    assert (await quality.post("/review/2/close", ending="logger_lost", text="gone")).status_code == 303
    said = words_of(await quality.get("/review/2"))
    assert "Ending: The logger is lost or broken: nothing more will come" in said


async def test_a_comment_is_corrected_beside_its_first_words(quality: Browser, rooms: Rooms) -> None:
    await quality.act("comment", text="<script>alert(1)</script>")
    number = rooms.reviews.review(1).records[-1].id
    refused = await quality.post("/review/1/comment", text="born 010180 34567 01018030049", corrects=number)
    assert refused.status_code in {303, 422}
    page = await quality.get("/review/1")
    assert "<script>alert" not in page.text
    assert (await quality.post("/review/99/comment", text="x")).status_code == 404
    assert (await quality.get("/review/99")).status_code == 404
    assert (await quality.get(f"/review/{1 << 70}")).status_code == 422


async def test_norwegian_words(quality: Browser) -> None:
    quality.headers["Accept-Language"] = "nb"
    assert "2 brudd er ikke lukket." in words_of(await quality.get("/review"))
    assert "Bekreftet av målingene i sentralen." in words_of(await quality.get("/review/1"))


async def test_indicators_as_a_page_and_as_csv(quality: Browser, rooms: Rooms) -> None:
    rooms.registry.receive("C-1", to_datetime(NOW_MS), "receiver")
    page = await quality.get("/indicators?by=box")
    said = words_of(page)
    assert page.status_code == 200
    assert page.text.count('<svg class="shares"') == 4
    assert "Fully monitored 0 % (0 of 1)" in said
    assert "Box Fully monitored On time Transport in order Reviewed within 24 h BOX-1 0 % (0 of 1) –" in said
    assert "Every logger in a box is calibrated and well." in said
    table = await quality.get("/indicators.csv?by=box")
    assert table.headers["content-type"] == "text/csv; charset=utf-8"
    begins = f"{monday_of(NOW_MS)}T00:00:00+02:00"
    assert f"{begins},week,box,BOX-1,accepted,0,1,0.000000\r\n" in table.text
    empty = await quality.get("/indicators?by=box&since=2026-01-05&until=2026-02-01")
    assert "There is nothing to count in this period." in words_of(empty)
    assert "week" not in words_of(empty).partition("nothing to count")[2]
    too_long = await quality.get("/indicators?since=2020-01-01")
    assert too_long.status_code == 422
    assert "At most 53 weeks or months at once." in words_of(too_long)
    assert (await quality.get("/indicators.csv?since=2020-01-01")).status_code == 422


def monday_of(at_ms: int) -> date:
    day = to_oslo(at_ms).date()
    return day - timedelta(days=day.weekday())


async def test_whoever_has_no_password_shows_at_the_sign_on_who_they_are(
    quality: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    for act, form in (("acknowledge", {}), ("begin", {}), ("conclude", {"cause": "box_open", "action": "trained"})):
        await quality.act(act, **form)
    proven: set[str] = set()
    monkeypatch.setattr(
        signing,
        "ways_to_sign",
        lambda _request, _rooms, _who, purpose: SigningWays(
            password=False, sign_on="HospitalID", proven=purpose in proven
        ),
    )
    page = await quality.act("close")
    assert 'type="password"' not in page.text
    ways = re.findall(r'href="(/sign-in-again[^"]*)"', unescape(page.text))
    asked = [parse_qs(urlsplit(way).query) for way in ways]
    content = quality.rooms.reviews.review(1).hash
    assert [one["for"] for one in asked] == [[f"breach:1:{meaning}:{content}"] for meaning in ("reviewed", "approved")]
    assert asked[0]["next"] == ["/review/1#next"]
    refused = await quality.post("/review/1/sign", meaning="approved", seen=content)
    assert refused.status_code == 422
    assert 'role="alert"' in refused.text
    proven.add(f"breach:1:approved:{content}")
    page = await quality.get("/review/1")
    assert "You have just shown who you are, for this: I approve the review." in words_of(page)
    assert 'name="meaning" value="approved"' in page.text
