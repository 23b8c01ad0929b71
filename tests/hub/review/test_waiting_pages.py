"""The pages for what waits, as a browser without scripts uses them: alerts, lost loggers, the inbox."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest

from gateway.hub.access import passwords
from gateway.hub.access.roles import Role
from gateway.hub.processes.app import create_app
from gateway.hub.review import alerts
from gateway.hub.review.alerts import StoredAlert, read_alert
from gateway.hub.rooms import Rooms, open_rooms
from gateway.hub.settings import HubSettings
from gateway.hub.signals.alerts import AlertKind, Resolution, raise_alert, resolve_alerts
from tests.hub.samples import NOW_MS
from tests.hub.setup.forms import PASSWORD, Visitor, value_of, words_of
from tests.hub.test_vigils import Depot
from tests.hub.vans import LOGGER, START_MS, Van, iso, sqlite_only

CLOCK = {"start": iso(0), "stop": iso(7200), "rate": 1e5, "anchor_ns": 0}
IDENTITY = "01010750160"
"""Has the check digits of an identity number, and is nobody's."""
SILENT = {"gateway": "van-1", "consignment": "C-9", "boxes": ["BOX-1"], "silent_since_ms": START_MS}


@pytest.fixture
async def rooms(tmp_path: Path, database: str, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Rooms]:
    """A hub with an account for each role, and a ready box that was too warm on no known trip: one inbox entry."""
    monkeypatch.setattr(passwords, "_hasher", passwords.PasswordHasher(time_cost=1, memory_cost=64))
    settings = {"database": database, "demonstration": True, "clock": CLOCK, "language": "en"}
    opened = open_rooms(HubSettings(data_dir=tmp_path, **settings))  # type: ignore[arg-type]  pydantic reads them
    for role in Role:
        opened.accounts.add(role.value, f"The {role}", [role], "setup", password=PASSWORD)
    van = Van()
    opened.enrolment.enrol(van.name, opened.enrolment.issue_code(van.name, "test"), van.key.public_bytes)
    Depot(opened.store, van).hear(0, 1200, 12.0)
    yield opened
    opened.store.close()


@pytest.fixture
async def visitor(rooms: Rooms) -> AsyncIterator[Visitor]:
    async with httpx.AsyncClient(transport=httpx.ASGITransport(create_app(rooms)), base_url="http://hub") as client:
        opened = Visitor(client, rooms)
        opened.be(Role.QUALITY)
        yield opened


def tell(rooms: Rooms, kind: AlertKind = AlertKind.VEHICLE_SILENT, **about: object) -> int:
    with rooms.store.write() as connection:
        raise_alert(connection, kind, {**SILENT, **about}, NOW_MS)
        return alerts.read_page(connection, waiting=True).alerts[0].id


def stored(rooms: Rooms, number: int) -> StoredAlert:
    with rooms.store.read() as connection:
        return read_alert(connection, number)


async def test_an_alert_waits_in_the_words_of_its_message_until_somebody_acknowledges_it(
    rooms: Rooms, visitor: Visitor
) -> None:
    number = tell(rooms)
    assert "1 alert waits." in words_of(await visitor.get("/"))
    page = await visitor.get("/alerts")
    assert "Nothing was heard of the vehicle van-1 since 21 Jun 2026" in words_of(page)
    for way in ("/bench?code=C-9", "/setup/boxes?q=BOX-1", "/setup/gateways/one?name=van-1"):
        assert f'href="{way}"' in page.text
    done = await visitor.send("/alerts/acknowledge", {"one": str(number), "reason": "they called"})
    assert (done.status_code, done.headers["location"]) == (303, "/alerts")
    assert "No alert waits." in words_of(await visitor.get("/alerts"))
    later = words_of(await visitor.get("/alerts?show=all"))
    assert "Acknowledged by quality, " in later
    assert "“they called”" in later
    assert visitor.acts("acknowledge_alert") == [("quality", f"alert {number}", "they called")]
    again = await visitor.send("/alerts/acknowledge", {"one": str(number), "show": "all"})
    assert again.status_code == 409
    assert "Nothing was stored: it has changed meanwhile." in words_of(again)


async def test_several_need_a_reason_and_what_was_selected_stays(rooms: Rooms, visitor: Visitor) -> None:
    several = [str(tell(rooms)), str(tell(rooms, AlertKind.LOG_FORKED, reason="two versions"))]
    refused = await visitor.send("/alerts/acknowledge", {"ids": several})
    assert (refused.status_code, refused.text.count(" checked>")) == (422, 2)
    assert "Give a reason, in words." in words_of(refused)
    none = await visitor.send("/alerts/acknowledge", {})
    assert "Select at least one alert." in words_of(none)
    unknown = await visitor.send("/alerts/acknowledge", {"ids": [*several, "999"], "reason": "one card"})
    assert unknown.status_code == 404
    assert value_of(unknown, "reason") == "one card"
    assert (await visitor.send("/alerts/acknowledge", {"ids": several, "reason": "one card"})).status_code == 303
    assert {stored(rooms, int(one)).reason for one in several} == {"one card"}


@sqlite_only
async def test_what_ended_by_itself_says_so(rooms: Rooms, visitor: Visitor) -> None:
    number = tell(rooms)
    with rooms.store.write() as connection:
        resolve_alerts(connection, [number], Resolution.HEARD, NOW_MS)
    assert f'id="alert-{number}"' not in (await visitor.get("/alerts")).text
    page = await visitor.get("/alerts?show=all")
    assert "Ended by itself 21 Jun 2026" in words_of(page)
    assert "It was heard again." in words_of(page)
    assert 'name="one"' not in page.text


@sqlite_only
async def test_each_is_offered_what_is_theirs(rooms: Rooms, visitor: Visitor) -> None:
    silent, forked = tell(rooms), tell(rooms, AlertKind.LOG_FORKED, reason="two versions")
    offered = {}
    for role in (Role.QUALITY, Role.RECEIVER, Role.INSPECTOR):
        visitor.be(role)
        page = await visitor.get("/alerts")
        offered[role] = {int(one) for one in re.findall(r'name="one" value="(\d+)"', page.text)}
        assert ("Loggers that are lost" in page.text) == (role is not Role.RECEIVER)
    assert offered == {Role.QUALITY: {silent, forked}, Role.RECEIVER: {silent}, Role.INSPECTOR: set()}
    visitor.be(Role.RECEIVER)
    assert (await visitor.send("/alerts/acknowledge", {"one": str(forked)})).status_code == 403
    assert stored(rooms, forked).acknowledged_at_ms is None
    visitor.be(Role.NURSE)  # may acknowledge what she was told of, and sees no list
    assert (await visitor.get("/alerts")).status_code == 403
    assert (await visitor.send("/alerts/acknowledge", {"one": str(forked)})).status_code == 403
    done = await visitor.send("/alerts/acknowledge", {"one": str(silent)})
    assert (done.status_code, done.headers["location"]) == (303, "/")
    assert "waits." not in words_of(await visitor.get("/"))


async def test_many_alerts_come_in_pages(rooms: Rooms, visitor: Visitor, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(alerts, "PAGE", 2)
    numbers = [tell(rooms) for _ in range(3)]
    first, second = await visitor.get("/alerts"), await visitor.get("/alerts?page=2")
    assert re.findall(r'id="alert-(\d+)"', first.text) == [str(numbers[2]), str(numbers[1])]
    assert re.findall(r'id="alert-(\d+)"', second.text) == [str(numbers[0])]
    assert 'href="/alerts?page=2"' in first.text
    assert "page 2 of 2" in words_of(second)
    assert (await visitor.get("/alerts?page=0")).status_code == 422


async def test_a_logger_is_said_to_be_lost_and_found_again(rooms: Rooms, visitor: Visitor) -> None:
    tell(rooms, AlertKind.LOGGER_LOST, box="BOX-1", loggers=[LOGGER], breaches=[1])
    assert "and a breach runs: is it lost?" in words_of(await visitor.get("/alerts"))
    silence = await visitor.send("/alerts/lost", {"logger": LOGGER, "reason": " "})
    assert (silence.status_code, rooms.losses.all()) == (422, [])
    unknown = await visitor.send("/alerts/lost", {"logger": "C0:FF:EE:99:99:99", "reason": "gone"})
    assert unknown.status_code == 404
    assert "no logger of this address is enrolled" in words_of(unknown)
    done = await visitor.send("/alerts/lost", {"logger": LOGGER, "reason": "left in Odda"})
    assert (done.status_code, done.headers["location"]) == (303, "/alerts#lost")
    assert [(one.logger, one.who, one.reason) for one in rooms.losses.all()] == [(LOGGER, "quality", "left in Odda")]
    assert "said by quality: left in Odda" in words_of(await visitor.get("/alerts"))
    again = await visitor.send("/alerts/lost", {"logger": LOGGER, "reason": "left in Odda"})
    assert again.status_code == 409
    assert (await visitor.send("/alerts/found", {"logger": LOGGER, "reason": "by post"})).status_code == 303
    assert rooms.losses.all() == []
    assert visitor.acts("find_logger") == [("quality", f"logger {LOGGER}", "by post")]


async def test_the_inbox_leads_to_a_registration_that_is_filled_in(rooms: Rooms, visitor: Visitor) -> None:
    visitor.be(Role.RECEIVER)
    assert "1 breach waits." in words_of(await visitor.get("/"))
    page = await visitor.get("/inbox")
    assert "Too warm: BOX-1" in words_of(page)
    found = re.search(r'class="act" href="(/register[^"]*)"', page.text)
    assert found is not None
    form = await visitor.get(found[1].replace("&amp;", "&"))
    assert (value_of(form, "box"), value_of(form, "since")) == ("BOX-1", "2026-06-21T02:00")
    sheet = {"box": "BOX-1", "since": "2026-06-21T02:00", "code": "LATE-1", "item": "T-1", "profile": "warm-8"}
    assert (await visitor.send("/register", {**sheet, "collected": ""})).status_code == 303
    assert "Nothing waits in the inbox." in words_of(await visitor.get("/inbox"))
    assert "Registered as LATE-1 by receiver" in words_of(await visitor.get("/inbox?show=all"))


async def test_an_entry_is_dismissed_with_a_reason(rooms: Rooms, visitor: Visitor) -> None:
    number = re.findall(r'id="entry-(\d+)"', (await visitor.get("/inbox")).text)[0]
    for reason, said in (
        (" ", "Give a reason, in words."),
        (f"of {IDENTITY}", "looks like a national identity number"),
    ):
        refused = await visitor.send("/inbox/dismiss", {"number": number, "reason": reason})
        assert refused.status_code == 422
        assert said in words_of(refused)
    assert value_of(refused, f"reason-{number}") == f"of {IDENTITY}"
    assert (await visitor.send("/inbox/dismiss", {"number": number, "reason": "empty"})).status_code == 303
    assert "Dismissed by quality, " in words_of(await visitor.get("/inbox?show=all"))
    again = await visitor.send("/inbox/dismiss", {"number": number, "reason": "empty"})
    assert again.status_code == 409
    assert (await visitor.send("/inbox/dismiss", {"number": "999", "reason": "empty"})).status_code == 404


@sqlite_only
async def test_an_inspector_reads_the_inbox_and_settles_nothing(visitor: Visitor) -> None:
    visitor.be(Role.INSPECTOR)
    page = await visitor.get("/inbox")
    assert "Too warm: BOX-1" in words_of(page)
    assert "/inbox/dismiss" not in page.text
    assert "/register?" not in page.text
    assert urlsplit(str(page.url)).path == "/inbox"
