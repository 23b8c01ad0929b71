"""Handing in by a one-time code: made at the laboratory, used once by whoever holds it, undone by the same browser."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest

from gateway.core.configuration import Box, CodeRule, Consignment, Examination, Temperatures
from gateway.core.errors import InputError
from gateway.core.profiles import Kind
from gateway.hub.api.rates import Rates
from gateway.hub.database.rows import read_registered
from gateway.hub.database.store import Store
from gateway.hub.hand_in import desk
from gateway.hub.hand_in.codes import count_open
from gateway.hub.hand_in.desk import HandedIn, HandInDesk, Made, NotOpenError, Order
from gateway.hub.hand_in.statements import Handler, Statement
from gateway.hub.processes.app import create_app
from gateway.hub.registry.registry import Registry
from gateway.hub.reports.happenings import read_handlings
from gateway.hub.rooms import Rooms, open_rooms
from gateway.hub.settings import HubSettings
from tests.hub.vans import sqlite_only

NOW_MS = 1_782_000_000_000
NOW = datetime.fromtimestamp(NOW_MS / 1000, UTC)
RULE = CodeRule(
    prefix="T-",
    kind=Kind.SAMPLE,
    examinations=(Examination(code="K", profile="potassium"),),
    before_packing=Temperatures(low_c=18, high_c=25),
)
ORDER = Order("BOX-1", 24)


@pytest.fixture
def hand_ins(store: Store) -> HandInDesk:
    registry = Registry(store, lambda: NOW_MS)
    registry.put_box(Box(code="BOX-1"), "test")
    return HandInDesk(store, registry, [RULE], lambda: NOW_MS)


def state(*items: str, minutes: int | None = 30, **others: object) -> Statement:
    collected_at = None if minutes is None else NOW - timedelta(minutes=minutes)
    return Statement.model_validate(
        {"items": items, "collected_at": collected_at, "handler": Handler.TAXI, "place": "the shelf", **others}
    )


def made(hand_ins: HandInDesk, order: Order = ORDER) -> Made:
    return hand_ins.make(order, "kari")[0]


def stored(store: Store, code: str) -> Consignment:
    with store.read() as connection:
        registered = read_registered(connection, code)
    assert registered is not None
    return registered.consignment


def test_a_hand_in_registers_what_was_in_the_box_since_it_was_collected(store: Store, hand_ins: HandInDesk) -> None:
    done = hand_ins.hand_in(made(hand_ins).code, state("T-1", "T-2", handler_code="7"))
    assert done.hand_in.consignment is not None
    consignment = stored(store, done.hand_in.consignment)
    assert [item.code for item in consignment.items] == ["T-1", "T-2"]
    assert consignment.carriage[0].begins == consignment.items[0].collected_at == NOW - timedelta(minutes=30)
    assert consignment.registered_late
    assert consignment.received_at is None
    with store.read() as connection:
        told = read_handlings(connection, consignment, NOW_MS + 1)
        acts = connection.exec_driver_sql("SELECT who, act, subject FROM audit ORDER BY id").all()
    assert [(one.act, one.who, one.place) for one in told if one.place] == [
        ("handed_over", "hand-in 1 / taxi:7", "the shelf")
    ]
    assert ("hand-in 1", "hand_in", "box BOX-1") in [tuple(act) for act in acts]
    assert ("hand-in 1", "register", "consignment HAND-IN-1") in [tuple(act) for act in acts]


def test_what_was_put_into_the_box_now_declares_the_time_before(store: Store, hand_ins: HandInDesk) -> None:
    done = hand_ins.hand_in(made(hand_ins).code, state("T-1", since="now"))
    consignment = stored(store, done.hand_in.consignment or "")
    assert consignment.carriage[0].begins == NOW
    assert not consignment.registered_late
    (declared,) = consignment.items[0].declared
    assert (declared.begins, declared.ends, declared.by) == (NOW - timedelta(minutes=30), NOW, "taxi")


def test_a_code_works_once(hand_ins: HandInDesk) -> None:
    one = made(hand_ins)
    hand_ins.hand_in(one.code, state("T-1"))
    with pytest.raises(NotOpenError) as refused:
        hand_ins.hand_in(one.code, state("T-2"))
    assert refused.value.hand_in is not None
    assert refused.value.hand_in.handed_in_at_ms == NOW_MS


async def test_of_two_at_once_one_hands_in(hand_ins: HandInDesk) -> None:
    one = made(hand_ins)
    tries = [asyncio.to_thread(hand_ins.hand_in, one.code, state(f"T-{n}")) for n in range(4)]
    answers = await asyncio.gather(*tries, return_exceptions=True)
    assert sum(isinstance(answer, HandedIn) for answer in answers) == 1
    assert sum(isinstance(answer, NotOpenError) for answer in answers) == 3


def test_the_same_browser_undoes_and_the_code_works_again(store: Store, hand_ins: HandInDesk) -> None:
    one = made(hand_ins)
    done = hand_ins.hand_in(one.code, state("T-1"))
    with pytest.raises(NotOpenError):
        hand_ins.undo(one.code, "another browser")
    hand_ins.undo(one.code, done.secret)
    assert stored(store, "HAND-IN-1").received_at is not None
    assert stored(store, "HAND-IN-1").items[0].carriage == ()
    again = hand_ins.hand_in(one.code, state("T-1"))
    assert again.hand_in.consignment == "HAND-IN-1-2"
    assert stored(store, "HAND-IN-1-2").received_at is None
    with store.read() as connection:
        told = read_handlings(connection, stored(store, "HAND-IN-1-2"), NOW_MS + 1)
    assert len([handling for handling in told if handling.act == "handed_over"]) == 1


def test_what_the_laboratory_has_received_is_not_undone(
    store: Store, hand_ins: HandInDesk, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = made(hand_ins)
    done = hand_ins.hand_in(one.code, state("T-1"))
    Registry(store, lambda: NOW_MS).receive("HAND-IN-1", NOW, "kari")
    with pytest.raises(NotOpenError):
        hand_ins.undo(one.code, done.secret)
    other = made(hand_ins)
    done = hand_ins.hand_in(other.code, state("T-2"))
    monkeypatch.setattr(desk, "real_ms", lambda: done.hand_in.undo_until_ms)
    with pytest.raises(NotOpenError):
        hand_ins.undo(other.code, done.secret)


def test_expired_and_revoked_codes_are_closed(
    store: Store, hand_ins: HandInDesk, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, other, used = hand_ins.make(ORDER, "kari", count=3)
    hand_ins.revoke(one.hand_in.number, "kari")
    hand_ins.hand_in(used.code, state("T-0"))
    with store.read() as connection:  # whoever is at the limit makes room by revoking
        assert count_open(connection, one.hand_in.expires_at_ms - 1) == 1
        assert count_open(connection, other.hand_in.expires_at_ms) == 0
    with pytest.raises(NotOpenError):
        hand_ins.hand_in(one.code, state("T-1"))
    monkeypatch.setattr(desk, "real_ms", lambda: other.hand_in.expires_at_ms)
    with pytest.raises(NotOpenError):
        hand_ins.hand_in(other.code, state("T-1"))


def test_what_is_registered_in_the_box_is_only_handed_over(store: Store, hand_ins: HandInDesk) -> None:
    document = {
        "code": "C-1",
        "items": [{"code": "X-1", "kind": "sample", "examinations": [{"code": "K", "profile": "potassium"}]}],
        "carriage": [{"box": "BOX-1", "begins": (NOW - timedelta(hours=1)).isoformat()}],
    }
    with pytest.raises(InputError, match="nothing is registered"):
        hand_ins.hand_in(made(hand_ins).code, state())
    Registry(store, lambda: NOW_MS).put_consignment(Consignment.model_validate(document), "kari")
    for stated in (state(), state("X-1", minutes=None)):
        assert hand_ins.hand_in(made(hand_ins).code, stated).hand_in.consignment is None
    with store.read() as connection:
        told = read_handlings(connection, stored(store, "C-1"), NOW_MS + 1)
    assert [one.act for one in told].count("handed_over") == 2


@sqlite_only
def test_what_nobody_knows_and_identity_numbers_are_refused(store: Store, hand_ins: HandInDesk) -> None:
    one = made(hand_ins)
    with pytest.raises(InputError, match="X-1"):
        hand_ins.hand_in(one.code, state("X-1"))
    right: dict[str, object] = {"items": ["T-1"], "handler": "taxi", "place": "the shelf"}
    wrongs: list[dict[str, object]] = [
        {"items": ["13097248022"]},
        {"place": "ved 130972 48022"},
        {"handler_code": "13097248022"},
    ]
    for wrong in wrongs:
        with pytest.raises(ValueError, match="identity number"):
            Statement.model_validate(right | wrong)
    assert Statement.model_validate(right).items == ("T-1",)
    with pytest.raises(InputError, match="ahead"):
        hand_ins.hand_in(one.code, state("T-1", minutes=-30))
    with pytest.raises(InputError, match="week"):
        hand_ins.hand_in(one.code, state("T-1", minutes=8 * 24 * 60))
    known = made(hand_ins, Order("BOX-1", 24, "GP-7", "glucose-naf"))
    done = hand_ins.hand_in(known.code, state("X-1"))
    consignment = stored(store, done.hand_in.consignment or "")
    assert (consignment.requester, consignment.items[0].examinations[0].profile) == ("GP-7", "glucose-naf")


def test_only_the_hash_of_a_code_is_stored(store: Store, hand_ins: HandInDesk) -> None:
    one = made(hand_ins)
    bare = one.code.replace("-", "")
    assert len(bare) == 26
    with store.read() as connection:
        rows = connection.exec_driver_sql("SELECT * FROM hand_ins").all()
        told = connection.exec_driver_sql("SELECT new FROM audit").all()
    assert bare not in repr(rows) + repr(told)
    assert one.code not in repr(rows) + repr(told)
    assert hand_ins.find(one.code.lower().replace("-", " ").replace("o", "0")) is not None


@sqlite_only
def test_orders_that_cannot_be(hand_ins: HandInDesk, monkeypatch: pytest.MonkeyPatch) -> None:
    for order, field in (
        (Order("BOX-9", 24), "box"),
        (Order("BOX-1", 0), "hours"),
        (Order("BOX-1", 24, "13097248022"), "requester"),
        (Order("BOX-1", 24, None, "nothing"), "profile"),
    ):
        with pytest.raises(InputError) as refused:
            hand_ins.make(order, "kari")
        assert refused.value.field == field
    monkeypatch.setattr(desk, "OPEN_MAX", 2)
    hand_ins.make(ORDER, "kari", count=2)
    with pytest.raises(InputError, match="already"):
        hand_ins.make(ORDER, "kari")


# --- over HTTP


@pytest.fixture
async def rooms(tmp_path: Path) -> AsyncIterator[Rooms]:
    settings = HubSettings.model_validate(
        {"data_dir": tmp_path, "access": {"anonymous": ["receiver"]}, "code_rules": [RULE.model_dump(mode="json")]}
    )
    opened = open_rooms(settings)
    opened.registry.put_box(Box(code="BOX-1"), "test")
    yield opened
    opened.store.close()


@pytest.fixture
async def phone(rooms: Rooms) -> AsyncIterator[httpx.AsyncClient]:
    """A browser that nobody has logged in with; the proxy before the hub makes anybody a stranger."""
    transport = httpx.ASGITransport(create_app(rooms), raise_app_exceptions=False)
    strange = {"X-Forwarded-For": "203.0.113.7", "Accept-Language": "en"}
    async with httpx.AsyncClient(transport=transport, base_url="http://hub", headers=strange) as client:
        yield client


def form(number: int, **others: str) -> dict[str, str]:
    filled = {"number": str(number), "items": "T-1\nT-2", "collected": "30", "since": "collected"}
    return {**filled, "handler": "taxi", "place": "the shelf", **others}


async def test_from_the_label_to_the_bench_and_back(rooms: Rooms, phone: httpx.AsyncClient) -> None:
    (one,) = rooms.hand_ins.make(ORDER, "kari")
    opened = await phone.post("/hand-in/open", data={"code": one.code})
    assert (opened.status_code, opened.headers["location"]) == (303, "/hand-in")
    cookie = opened.headers["set-cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=strict" in cookie
    assert "Path=/hand-in" in cookie
    assert "Hand in box BOX-1" in (await phone.get("/hand-in")).text
    done = await phone.post("/hand-in", data=form(1))
    assert done.status_code == 303, done.text
    told = (await phone.get("/hand-in")).text
    assert "T-1, T-2" in told
    assert rooms.registry.consignment("HAND-IN-1") is not None
    undone = await phone.post("/hand-in/undo", data={"number": "1"})
    assert undone.status_code == 303
    assert "Hand in box BOX-1" in (await phone.get("/hand-in")).text
    assert (await phone.post("/hand-in", data=form(1))).status_code == 303
    phone.cookies.delete("hand-in-undo")
    stranger = (await phone.get("/hand-in")).text
    assert "Already handed in" in stranger
    assert "T-1" not in stranger  # whoever finds the label learns nothing of what was in the box


async def test_faults_stand_at_their_fields(rooms: Rooms, phone: httpx.AsyncClient) -> None:
    rooms.hand_ins.make(ORDER, "kari")
    (other,) = rooms.hand_ins.make(ORDER, "kari")
    wrong = await phone.post("/hand-in/open", data={"code": "AAAA"})
    assert wrong.status_code == 422
    assert "not known" in wrong.text
    await phone.post("/hand-in/open", data={"code": other.code})
    mixed = await phone.post("/hand-in", data=form(1))
    assert "Another code has been opened" in mixed.text
    for field, value, words in (
        ("items", "13097248022", "identity number"),
        ("items", "T-1 T-1", "twice"),
        ("items", "X-9", "X-9: nobody knows"),
        ("items", "", "at least one item"),
        ("items", " ".join(f"T-{n}" for n in range(41)), "At most 40"),
        ("place", "", "missing"),
        ("place", "13097248022", "identity number"),
        ("handler_code", "Kari", "never a name"),
        ("collected", "17", "offered"),
        ("handler", "king", "offered"),
    ):
        answer = await phone.post("/hand-in", data=form(2, **{field: value}))
        assert answer.status_code == 422, (field, value)
        assert words in answer.text, (field, value)
    assert rooms.registry.consignments() == []


async def test_other_sites_and_the_impatient_are_refused(rooms: Rooms, phone: httpx.AsyncClient) -> None:
    (one,) = rooms.hand_ins.make(ORDER, "kari")
    foreign = await phone.post("/hand-in/open", data={"code": one.code}, headers={"Sec-Fetch-Site": "cross-site"})
    assert foreign.status_code == 403
    phone._transport.app.state.hand_in_rates = Rates(3, 3600.0, time.monotonic)  # type: ignore[attr-defined]  it is ours
    answers = [await phone.post("/hand-in/open", data={"code": f"A{n}"}) for n in range(6)]
    assert {answer.status_code for answer in answers} == {422, 429}
    late = next(answer for answer in answers if answer.status_code == 429)
    assert int(late.headers["retry-after"]) > 0


async def test_the_laboratory_makes_lists_and_takes_back(rooms: Rooms, phone: httpx.AsyncClient) -> None:
    here = {"Accept-Language": "en"}
    async with httpx.AsyncClient(transport=phone._transport, base_url="http://hub", headers=here) as bench:
        order = {"box": "BOX-1", "valid": "24", "count": "2", "requester": "GP-7"}
        labels = await bench.post("/hand-ins", data=order)
        codes = re.findall(r'data-code="([A-Z2-7-]+)"', labels.text)
        assert len(set(codes)) == 2
        assert "http://hub/hand-in" in labels.text
        assert codes[0] not in (await bench.get("/hand-ins")).text
        await phone.post("/hand-in/open", data={"code": codes[0]})
        assert (await phone.post("/hand-in", data=form(1))).status_code == 303
        assert (await bench.post("/hand-ins/revoke", data={"number": "2"})).status_code == 303
        listed = (await bench.get("/hand-ins")).text
        assert "taken back" in listed
        assert "the shelf" in listed
        gone = await phone.post("/hand-in/open", data={"code": codes[1]}, follow_redirects=True)
        assert gone.status_code == 410
        wrong = await bench.post("/hand-ins", data={**order, "box": "BOX-9", "count": "25"})
        assert wrong.status_code == 422
        assert "HAND-IN-1" in (await bench.get("/arrivals")).text
        assert "Taxi, the shelf" in (await bench.get("/bench?code=T-1")).text
        told = (await bench.get("/api/v1/hand-ins")).json()
        assert [(one["number"], one["standing"]) for one in told] == [(2, "revoked"), (1, "handed_in")]
        new = (await bench.post("/api/v1/hand-ins", json={"box": "BOX-1"})).json()
        assert new["address"] == f"http://hub/hand-in#{new['code']}"
        assert (await bench.post("/api/v1/hand-ins/3/revoke")).json()["standing"] == "revoked"
    assert (await phone.get("/hand-ins")).status_code == 303
