"""Breaches and alerts at the bench: whoever a message sends there sees them, and acknowledges what is theirs."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Callable
from html import unescape
from pathlib import Path

import httpx
import pytest
from sqlalchemy import insert, update

from gateway.hub.access import passwords
from gateway.hub.access.roles import Role
from gateway.hub.breaches.lifecycle import ReviewState
from gateway.hub.database import schema
from gateway.hub.processes.app import create_app
from gateway.hub.review.alerts import read_alerts
from gateway.hub.review.decisions import Course, NewDecision
from gateway.hub.rooms import Rooms, open_rooms
from gateway.hub.settings import HubSettings
from gateway.hub.signals.alerts import AlertKind, raise_alert
from gateway.hub.web import breaches_here
from tests.hub.review.reviewing import DOCTOR, QUALITY, Ward
from tests.hub.review.test_review_pages import CLOCK, PASSWORD, Browser, words_of
from tests.hub.samples import NOW_MS
from tests.hub.vans import sqlite_only

MAY_ACKNOWLEDGE = {
    "sample": {Role.NURSE, Role.RECEIVER, Role.LABORATORY_DOCTOR, Role.QUALITY},
    "medicine": {Role.PHARMACIST, Role.QUALITY},
}
READS_THE_QUEUE = set(Role) - {Role.NURSE, Role.DRIVER}


@pytest.fixture
async def rooms(database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Rooms]:
    monkeypatch.setattr(passwords, "_hasher", passwords.PasswordHasher(time_cost=1, memory_cost=64))
    opened = open_rooms(HubSettings(data_dir=tmp_path, database=database, clock=CLOCK, language="en"))  # type: ignore[arg-type]  pydantic reads it
    for role in Role:
        opened.accounts.add(role.value, f"The {role}", [role], "setup", password=PASSWORD)
    yield opened
    opened.store.close()


@pytest.fixture
async def be(rooms: Rooms) -> AsyncIterator[Callable[[Role], Browser]]:
    async with httpx.AsyncClient(transport=httpx.ASGITransport(create_app(rooms)), base_url="http://hub") as client:
        yield lambda role: Browser(rooms, client, role)


def offered(page: httpx.Response) -> list[str]:
    """Where the buttons lead."""
    return re.findall(r'action="(/bench/(?:breaches|alerts)/\d+/acknowledge)"', page.text)


def reject(rooms: Rooms) -> None:
    asked = NewDecision(choice=Course.REJECT, seen={"K": 1}, reason="RR", new_sample=True)
    rooms.decisions.decide("C-1", "T-1", asked, DOCTOR)


async def test_a_nurse_acknowledges_what_the_message_tells_of(rooms: Rooms, be: Callable[[Role], Browser]) -> None:
    Ward(rooms.store).judge((10, 30), (40, None))
    nurse = be(Role.NURSE)
    page = await nurse.get("/bench?code=C-1")
    said = words_of(page)
    assert "Breach 1 · " in said
    assert "Rule “warm” was broken for 7 min. Extreme 11.5 °C." in said
    assert "Ended " in said
    assert said.count("Still running · Not acknowledged") == 1
    assert 'href="/review/' not in page.text  # a page that is not hers
    assert offered(page) == ["/bench/breaches/1/acknowledge", "/bench/breaches/2/acknowledge"]
    done = await nurse.post("/bench/breaches/2/acknowledge", code="C-1")
    assert (done.status_code, done.headers["location"]) == (303, "/bench?code=C-1")
    after = await nurse.get("/bench?code=C-1")
    assert "Still running · Acknowledged by The nurse, " in words_of(after)
    assert offered(after) == ["/bench/breaches/1/acknowledge"]
    standing = rooms.reviews.review(2).standing
    assert (standing.state, standing.acknowledged_by) == (ReviewState.ACKNOWLEDGED, "nurse")


@sqlite_only
@pytest.mark.parametrize("kind", ["sample", "medicine"])
async def test_each_role_is_offered_what_it_takes_care_of(
    rooms: Rooms, be: Callable[[Role], Browser], kind: str
) -> None:
    Ward(rooms.store, kind).judge((10, 30))
    for role in set(Role) - {Role.DRIVER}:
        page = await be(role).get("/bench?code=C-1")
        assert "Breach 1 · " in words_of(page), role
        assert bool(offered(page)) == (role in MAY_ACKNOWLEDGE[kind]), role
        assert ('href="/review/1"' in page.text) == (role in READS_THE_QUEUE), role
    for role in set(Role) - MAY_ACKNOWLEDGE[kind]:
        assert (await be(role).post("/bench/breaches/1/acknowledge", code="C-1")).status_code == 403, role
    assert rooms.reviews.review(1).standing.state is ReviewState.OPEN
    assert (await be(Role.DRIVER).get("/bench?code=C-1")).status_code == 403


async def test_what_somebody_has_acknowledged_meanwhile_is_said(rooms: Rooms, be: Callable[[Role], Browser]) -> None:
    Ward(rooms.store).judge((10, 30))
    rooms.reviews.acknowledge(1, QUALITY)
    again = await be(Role.NURSE).post("/bench/breaches/1/acknowledge", code="C-1")
    assert again.status_code == 409
    assert "it has changed meanwhile" in words_of(again)
    assert "Acknowledged by The quality, " in words_of(again)
    for nothing in ("breaches/9", "alerts/9"):
        assert (await be(Role.NURSE).post(f"/bench/{nothing}/acknowledge", code="C-1")).status_code == 404
    forged = await be(Role.NURSE).post("/bench/breaches/1/acknowledge", code="C-1", csrf="x")
    assert forged.status_code == 403


async def test_a_closed_breach_is_no_news(rooms: Rooms, be: Callable[[Role], Browser]) -> None:
    ward = Ward(rooms.store)
    ward.judge((10, 30))
    ward.close()
    assert "Breach 1" not in words_of(await be(Role.NURSE).get("/bench?code=C-1"))


@sqlite_only
async def test_who_shall_take_a_new_sample_says_so(rooms: Rooms, be: Callable[[Role], Browser]) -> None:
    Ward(rooms.store).judge((10, None))
    reject(rooms)
    with rooms.store.read() as connection:
        (asked,) = [one for one in read_alerts(connection, waiting=True) if one.kind is AlertKind.NEW_SAMPLE]
    button = f"/bench/alerts/{asked.id}/acknowledge"
    page = await be(Role.NURSE).get("/bench?code=T-1")
    assert "A new sample is wanted: T-1 in C-1 It was rejected on its arrival" in words_of(page)
    assert button in offered(page)
    for role in (Role.PHARMACIST, Role.INSPECTOR, Role.ADMINISTRATOR):
        assert button not in offered(await be(role).get("/bench?code=T-1")), role
        assert (await be(role).post(button, code="T-1")).status_code == 403, role
    assert (await be(Role.NURSE).post(button, code="T-1")).headers["location"] == "/bench?code=T-1"
    after = await be(Role.RECEIVER).get("/bench?code=T-1")
    assert "A new sample is wanted: T-1 in C-1" in words_of(after)
    assert "Acknowledged by The nurse, " in words_of(after)
    assert button not in offered(after)


async def test_other_alerts_of_a_consignment_that_send_people_here(rooms: Rooms, be: Callable[[Role], Browser]) -> None:
    Ward(rooms.store).judge((10, None))
    told = {"consignment": "C-1", "item": "T-1", "examination": "K", "verdict": "reject", "version": 1, "before": None}
    lost = {"consignment": "C-1", "box": "BOX-1", "boxes": ["BOX-1"], "silent_since_ms": NOW_MS, "breaches": [1]}
    with rooms.store.write() as connection:
        raise_alert(connection, AlertKind.VERDICT_WORSENED, told, NOW_MS, key="verdict:C-1:T-1:K:1", source="C-1")
        raise_alert(connection, AlertKind.VERDICT_WORSENED, {**told, "consignment": "C-2"}, NOW_MS, source="C-2")
        raise_alert(connection, AlertKind.LOGGER_LOST, lost, NOW_MS, source="van-1")
    said = words_of(await be(Role.NURSE).get("/bench?code=C-1"))
    assert "Verdict worsened after receipt: T-1 in C-1" in said
    assert "The logger in BOX-1 says nothing since" in said
    assert "C-2" not in said


async def test_a_box_that_nobody_registered_anything_in_shows_its_own_breach(
    rooms: Rooms, be: Callable[[Role], Browser]
) -> None:
    Ward(rooms.store).judge((10, None))
    watch = "BOX-1@1"
    with rooms.store.write() as connection:
        connection.execute(insert(schema.vigils).values(code=watch, box="BOX-1", profile="potassium", begins_ms=NOW_MS))
        connection.execute(update(schema.breaches).values(consignment=watch))
        connection.execute(schema.carriages.delete())
        connection.execute(schema.consignment_items.delete())
        connection.execute(schema.consignments.delete())
    for code in ("BOX-1", watch):
        page = await be(Role.NURSE).get(f"/bench?code={code}")
        assert offered(page) == ["/bench/breaches/1/acknowledge"], code


async def test_of_very_many_some_are_shown_and_the_others_named(
    rooms: Rooms, be: Callable[[Role], Browser], monkeypatch: pytest.MonkeyPatch
) -> None:
    Ward(rooms.store).judge((10, 30), (40, None))
    monkeypatch.setattr(breaches_here, "SHOWN_MAX", 1)
    rooms.reviews.acknowledge(1, QUALITY)
    page = await be(Role.QUALITY).get("/bench?code=C-1")
    assert "Breach 2 · " in words_of(page)  # what nobody has acknowledged comes first
    assert "Breach 1 · " not in words_of(page)
    assert "There are more of them." in unescape(page.text)
