"""The audit trail as a page."""

from __future__ import annotations

import re

import pytest
from sqlalchemy import update

from gateway.core.configuration import Box
from gateway.hub.access.roles import Role
from gateway.hub.audit.trail import Wanted, check_chain, read_entries
from gateway.hub.breaches.lifecycle import ReviewEvent
from gateway.hub.database import schema
from gateway.hub.rooms import Rooms
from gateway.hub.web.quality import audit
from gateway.hub.web.quality.act_words import ACTS
from gateway.hub.web.quality.changes import Change, find_changes
from tests.hub.setup.forms import Visitor, words_of
from tests.hub.vans import sqlite_only


@pytest.mark.parametrize(
    ("old", "new", "found"),
    [
        (None, '{"a":1,"b":null,"c":[]}', [Change("a", "", "1")]),
        ('{"a":{"b":2,"c":true}}', '{"a":{"b":2,"c":false}}', [Change("a.c", "true", "false")]),
        ('{"l":[{"x":1}]}', '{"l":[{"x":1},{"x":2}]}', [Change("l.2.x", "", "2")]),
        ('{"l":["x","y"]}', '{"l":["x"]}', [Change("l", "x, y", "x")]),
        ("ab12", "cd34", [Change("", "ab12", "cd34")]),
        ('{"printed_name":"Kari"}', '{"printed_name":"Ola"}', [Change("printed_name", "…", "…")]),
        ('{"a":1}', None, [Change("a", "1", "")]),
    ],
)
def test_fields_that_differ(old: str | None, new: str | None, found: list[Change]) -> None:
    assert find_changes(old, new) == found


async def test_what_is_on_record_is_said_in_the_readers_language(rooms: Rooms, visitor: Visitor) -> None:
    rooms.registry.put_box(Box(code="BOX-1", label="new"), "command line")
    said = words_of(await visitor.get("/audit", **{"accept-language": "nb"}))
    assert "Registrert: boks BOX-1" in said
    assert "kommandolinjen" in said
    with rooms.store.read() as connection:
        assert {one.act for one in read_entries(connection, Wanted())} <= ACTS.keys()
    assert {f"{event}_breach" for event in ReviewEvent} <= ACTS.keys()


async def test_who_did_what_from_what_to_what(rooms: Rooms, visitor: Visitor) -> None:
    rooms.registry.put_box(Box(code="BOX-1", label="<b>new</b>"), "kari")
    page = await visitor.get("/audit?who=kari")
    said = words_of(page)
    assert "Registered: box BOX-1" in said
    assert re.search(r"label\W+EPS 21 l\W+<b>new</b>", said)
    assert re.findall(r'<th scope="row" class="code">([^<]*)<', page.text) == ["label", "state"]  # not its code
    assert "/api/v1/audit/export?who=kari&amp;shape=csv" in page.text
    export = await visitor.get("/api/v1/audit/export?who=kari&shape=csv")
    assert export.text.count("kari") == 1
    everything = await visitor.get("/audit")
    assert 'href="/bench?code=SEND-1"' in everything.text
    assert "The receiver" not in everything.text  # a person's name; the account's is what counts
    assert "No entry matches these filters." in words_of(await visitor.get("/audit?subject=box+BOX-9"))
    today = await visitor.get("/audit?since=2026-06-21&until=2026-06-21&act=register")
    assert "Registered: box BOX-1" in words_of(today)
    assert "No entry matches" in words_of(await visitor.get("/audit?until=2026-06-20"))


@sqlite_only
@pytest.mark.parametrize("query", ["who=%00", "until=9999-12-31", "since=yesterday", "before=-1", f"act={'a' * 33}"])
async def test_an_address_that_is_none_is_refused(visitor: Visitor, query: str) -> None:
    assert (await visitor.get(f"/audit?{query}")).status_code == 422


async def test_it_comes_in_pages_newest_first(visitor: Visitor, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(audit, "PAGE", 3)
    seen: list[int] = []
    way = "/audit"
    while way:
        page = await visitor.get(way)
        seen += [int(one) for one in re.findall(r'id="entry-(\d+)"', page.text)]
        older = re.search(r'href="([^"]+)" rel="next"', page.text)
        way = older[1] if older else ""
    assert seen == sorted(seen, reverse=True)
    assert len(seen) > 9
    assert seen[-1] == 1


async def test_the_chain_is_checked_when_asked(rooms: Rooms, visitor: Visitor) -> None:
    page = words_of(await visitor.get("/audit?check=1"))
    whole = check_chain(rooms.store, 1000)
    assert whole.is_whole
    assert f"All {whole.checked} entries are as they were written, and chained." in page
    assert whole.head in page
    part = check_chain(rooms.store, 3)
    assert (part.checked, part.is_whole, part.head) == (3, False, whole.head)
    with rooms.store.write() as connection:
        connection.execute(update(schema.audit).where(schema.audit.c.id == 2).values(reason="another"))
    assert "Entry 2 was altered" in words_of(await visitor.get("/audit?check=1"))
    assert check_chain(rooms.store, 3).fault is None


@sqlite_only
async def test_it_is_for_those_who_may_read_it(visitor: Visitor) -> None:
    for role in Role:
        visitor.be(role)
        is_reader = role in {Role.QUALITY, Role.ADMINISTRATOR, Role.INSPECTOR}
        assert (await visitor.get("/audit")).status_code == (200 if is_reader else 403)
        assert ('href="/audit"' in (await visitor.get("/")).text) == is_reader
