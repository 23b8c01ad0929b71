from __future__ import annotations

import csv
import io
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from gateway.core.configuration import Logger
from gateway.hub.access import passwords
from gateway.hub.access.roles import Right, Role
from gateway.hub.api import breaches as breaches_api
from gateway.hub.audit.acts import Act, hash_entry
from gateway.hub.breaches.keeping import flag
from gateway.hub.processes.app import create_app
from gateway.hub.rooms import Rooms, open_rooms
from gateway.hub.settings import HubSettings
from gateway.hub.signals.alerts import AlertKind, raise_alert
from tests.hub.review.reviewing import Ward
from tests.hub.samples import NOW_MS, breach, flagged
from tests.hub.vans import iso

PASSWORD = "ni rolige elger"


class Desks:
    """A hub in this process, and people who are logged in to it."""

    def __init__(self, rooms: Rooms, http: httpx.AsyncClient) -> None:
        self.rooms, self.http = rooms, http
        self._sessions = {role: rooms.sessions.open(rooms.accounts.check(role.value, PASSWORD)) for role in Role}

    async def ask(self, role: Role, method: str, path: str, body: object = None) -> httpx.Response:
        session = self._sessions[role]
        headers = {"X-CSRF-Token": session.caller.csrf, "Cookie": f"coldchain={session.secret}"}
        return await self.http.request(method, path, json=body, headers=headers)

    async def close(self, number: int = 1) -> dict[str, Any]:
        quality = Role.QUALITY
        await self.ask(quality, "POST", f"/breaches/{number}/acknowledge")
        await self.ask(quality, "POST", f"/breaches/{number}/begin")
        concluded = {"cause": "box_open", "action": "trained"}
        await self.ask(quality, "POST", f"/breaches/{number}/conclusions", concluded)
        closed = await self.ask(quality, "POST", f"/breaches/{number}/close")
        assert closed.status_code == 200, closed.text
        found: dict[str, Any] = closed.json()
        return found


@pytest.fixture
async def desks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Desks]:
    monkeypatch.setattr(passwords, "_hasher", passwords.PasswordHasher(time_cost=1, memory_cost=64))
    rooms = open_rooms(HubSettings(data_dir=tmp_path))
    for role in Role:
        rooms.accounts.add(role.value, f"The {role}", [role], "setup", password=PASSWORD)
    Ward(rooms.store).judge((10, 30), (40, 50))
    transport = httpx.ASGITransport(create_app(rooms))
    async with httpx.AsyncClient(transport=transport, base_url="http://hub/api/v1") as http:
        yield Desks(rooms, http)
    rooms.store.close()


async def test_the_life_of_a_breach(desks: Desks) -> None:
    (first, _) = (await desks.ask(Role.INSPECTOR, "GET", "/reviews?state=open")).json()
    assert (first["breach"]["id"], first["standing"]["state"]) == (1, "open")
    await desks.close()
    again = await desks.ask(Role.QUALITY, "POST", "/breaches/1/acknowledge", {"comment": "seen"})
    assert (again.status_code, again.headers["content-type"]) == (409, "application/problem+json")
    assert (await desks.ask(Role.QUALITY, "POST", "/breaches/9/acknowledge")).status_code == 404
    assert (await desks.ask(Role.QUALITY, "GET", f"/breaches/{1 << 80}/review")).status_code == 422
    wrong = await desks.ask(Role.PHARMACIST, "POST", "/breaches/2/acknowledge")
    assert (wrong.status_code, "sample" in wrong.json()["detail"]) == (403, True)
    bulk = {"ids": [2], "reason": "one box"}
    assert (await desks.ask(Role.NURSE, "POST", "/breaches/acknowledge", bulk)).status_code == 200
    said = {"text": "<script>alert(1)</script>"}
    commented = await desks.ask(Role.NURSE, "POST", "/breaches/2/comments", said)
    assert (commented.status_code, commented.json()["records"][-1]["document"]) == (201, said)
    nothing = await desks.ask(Role.NURSE, "POST", "/breaches/2/comments", {"text": "a\x00b"})
    assert (nothing.status_code, nothing.json()["field"]) == (422, "text")


async def test_who_signs_gives_the_password_again(desks: Desks) -> None:
    closed = await desks.close()
    body = {"password": "wrong wrong wrong", "meaning": "approved", "hash": closed["hash"]}
    refused = await desks.ask(Role.QUALITY, "POST", "/breaches/1/signatures", body)
    assert (refused.status_code, "wrong wrong" in refused.text) == (403, False)
    _, text = desks.rooms.api_tokens.make("quality", "robot", [Right.SIGN], 30, "quality")
    body["password"] = PASSWORD
    headers = {"Authorization": f"Bearer {text}"}
    robot = await desks.http.post("/breaches/1/signatures", json=body, headers=headers)
    assert robot.status_code == 403
    signed = await desks.ask(Role.QUALITY, "POST", "/breaches/1/signatures", body)
    (signature,) = signed.json()["signatures"]
    assert (signature["printed_name"], signature["holds"]) == ("The quality", True)
    assert signature["signed_at"].endswith(("+01:00", "+02:00"))
    await desks.ask(Role.QUALITY, "POST", "/breaches/1/reopen", {"reason": "more came"})
    review = (await desks.ask(Role.INSPECTOR, "GET", "/breaches/1/review")).json()
    assert [one["holds"] for one in review["signatures"]] == [False]
    assert PASSWORD not in (await desks.ask(Role.INSPECTOR, "GET", "/audit?limit=500")).text


async def test_decisions_and_lists(desks: Desks) -> None:
    path = "/consignments/C-1/items/T-1/decisions"
    hold = {"choice": "hold", "seen": {"K": 1}, "comment": "call"}
    assert (await desks.ask(Role.PHARMACIST, "POST", path, hold)).status_code == 403
    assert (await desks.ask(Role.RECEIVER, "POST", path, {**hold, "seen": {"K": 2}})).status_code == 409
    assert (await desks.ask(Role.RECEIVER, "POST", path, hold)).status_code == 201
    assert (await desks.ask(Role.RECEIVER, "POST", path.replace("T-1", "T-9"), hold)).status_code == 404
    (listed,) = (await desks.ask(Role.NURSE, "GET", "/consignments/C-1/decisions")).json()
    assert (listed["choice"], listed["who"], listed["current"]) == ("hold", "receiver", True)
    choice = {"choice": {"code": "flood", "en": "Flood", "nb": "Flom"}, "reason": "it happens"}
    assert (await desks.ask(Role.QUALITY, "PUT", "/choices/cause/flood", choice)).status_code == 200
    assert (await desks.ask(Role.QUALITY, "PUT", "/choices/cause/other", choice)).status_code == 422
    codes = [one["code"] for one in (await desks.ask(Role.QUALITY, "GET", "/choices")).json()["cause"]]
    assert {"flood", "box_open"} <= set(codes)


async def test_the_inbox_is_settled_by_registering_or_with_a_reason(desks: Desks) -> None:
    with desks.rooms.store.write() as connection:
        for code in ("C-8", "C-9"):
            stranger = flagged(breach(10, None)).model_copy(update={"consignment": code, "key": code.zfill(32)})
            flag(connection, stranger, NOW_MS)
    first, second = (entry["id"] for entry in (await desks.ask(Role.QUALITY, "GET", "/inbox")).json())
    document = {
        "code": "C-8",
        "items": [{"code": "T-1", "kind": "sample", "examinations": [{"code": "K", "profile": "potassium"}]}],
        "carriage": [{"box": "BOX-1", "begins": iso(0)}],
    }
    other = await desks.ask(Role.RECEIVER, "POST", f"/inbox/{first}/register", {**document, "code": "C-7"})
    assert (other.status_code, other.json()["field"]) == (422, "code")
    settled = await desks.ask(Role.RECEIVER, "POST", f"/inbox/{first}/register", document)
    assert settled.json()["resolution"]["how"] == "registered"
    assert (await desks.ask(Role.RECEIVER, "POST", f"/inbox/{first}/register", document)).status_code == 409
    assert (await desks.ask(Role.RECEIVER, "POST", f"/inbox/{second}/dismiss", {"reason": ""})).status_code == 422
    reason = {"reason": "a test of the gateway"}
    assert (await desks.ask(Role.RECEIVER, "POST", f"/inbox/{second}/dismiss", reason)).status_code == 200
    assert (await desks.ask(Role.RECEIVER, "POST", f"/inbox/{second}/dismiss", reason)).status_code == 409
    assert (await desks.ask(Role.RECEIVER, "POST", "/inbox/99/dismiss", reason)).status_code == 404
    assert (await desks.ask(Role.QUALITY, "GET", "/inbox")).json() == []


async def test_the_audit_trail_is_read_filtered_and_taken_away(desks: Desks) -> None:
    formula = {"ids": [1], "reason": '=HYPERLINK("http://evil")'}
    await desks.ask(Role.NURSE, "POST", "/breaches/acknowledge", formula)
    (act,) = (await desks.ask(Role.INSPECTOR, "GET", "/audit?subject=breach%201")).json()
    assert (act["who"], act["act"], json.loads(act["old"])) == ("nurse", "acknowledge_breach", {"state": "open"})
    newest = (await desks.ask(Role.INSPECTOR, "GET", f"/audit?before={act['id']}&limit=2")).json()
    assert [one["id"] for one in newest] == [act["id"] - 2, act["id"] - 1]
    assert (await desks.ask(Role.NURSE, "GET", "/audit")).status_code == 403
    lines = (await desks.ask(Role.INSPECTOR, "GET", "/audit/export")).text.splitlines()
    entries = [json.loads(line) for line in lines]
    previous = entries[0]["previous"]
    for entry in entries:  # anybody can check the chain from what is taken away
        stated = Act(*(entry[name] for name in ("who", "act", "subject", "old", "new", "reason")))
        previous = hash_entry(stated, entry["at_ms"], bytes.fromhex(previous)).hex()
        assert entry["hash"] == previous
    assert entries[-1]["act"] == "export"
    table = (await desks.ask(Role.INSPECTOR, "GET", "/audit/export?shape=csv&who=nurse")).text
    (row,) = [row for row in csv.DictReader(io.StringIO(table)) if row["act"] == "acknowledge_breach"]
    assert row["reason"].startswith("'=HYPERLINK")


async def test_a_storm_of_flags_is_told_to_wait_and_harms_no_other_gateway(
    desks: Desks, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(breaches_api, "FLAGS_AT_ONCE", 3)
    monkeypatch.setattr(breaches_api, "FLAG_EACH_S", 1000.0)
    transport = httpx.ASGITransport(create_app(desks.rooms))
    tokens = {}
    async with httpx.AsyncClient(transport=transport, base_url="http://hub/api/v1") as http:
        for name in ("van-1", "van-2"):
            code = desks.rooms.enrolment.issue_code(name, "test")
            asked = {"gateway": name, "code": code, "public_key": name.encode().hex().ljust(64, "0")}
            tokens[name] = (await http.post("/enrolments", json=asked)).json()["token"]

        async def send(name: str, minute: int) -> httpx.Response:
            one = flagged(breach(minute, None)).model_copy(update={"gateway": name})
            return await http.post(
                "/breaches", json=one.model_dump(mode="json"), headers={"Authorization": f"Bearer {tokens[name]}"}
            )

        answers = [await send("van-1", 100 * number) for number in range(1, 9)]
        late = [answer for answer in answers if answer.status_code == 429]
        assert late
        assert int(late[0].headers["retry-after"]) >= 1
        assert late[0].headers["content-type"] == "application/problem+json"
        assert (await send("van-2", 2000)).status_code == 201


async def test_alerts_that_are_no_breach_over_the_interface(desks: Desks) -> None:
    with desks.rooms.store.write() as connection:
        for _ in range(2):
            raise_alert(connection, AlertKind.LOG_FORKED, {"gateway": "van-1"}, NOW_MS)
    listed = (await desks.ask(Role.INSPECTOR, "GET", "/alerts?state=open")).json()
    assert [told["kind"] for told in listed] == ["breach", "breach", "log_forked", "log_forked"]
    number = listed[-1]["id"]
    assert (await desks.ask(Role.INSPECTOR, "POST", f"/alerts/{number}/acknowledge")).status_code == 403
    assert (await desks.ask(Role.NURSE, "POST", f"/alerts/{number}/acknowledge")).status_code == 403
    done = await desks.ask(Role.ADMINISTRATOR, "POST", f"/alerts/{number}/acknowledge", {"reason": "a copied card"})
    assert (done.status_code, done.json()["acknowledged_by"]) == (200, "administrator")
    assert (await desks.ask(Role.ADMINISTRATOR, "POST", f"/alerts/{number}/acknowledge")).status_code == 409
    assert (await desks.ask(Role.ADMINISTRATOR, "POST", "/alerts/99/acknowledge")).status_code == 404
    assert (await desks.ask(Role.ADMINISTRATOR, "POST", "/alerts/1/acknowledge")).status_code == 422
    assert (await desks.ask(Role.INSPECTOR, "GET", f"/alerts/{number}")).json()["reason"] == "a copied card"
    bulk = {"ids": [number - 1], "reason": "the same card"}
    assert (await desks.ask(Role.QUALITY, "POST", "/alerts/acknowledge", bulk)).status_code == 200
    assert len((await desks.ask(Role.INSPECTOR, "GET", "/alerts?state=open")).json()) == 2


async def test_a_logger_is_lost_and_found_over_the_interface(desks: Desks) -> None:
    desks.rooms.registry.put_logger(Logger(address="L-1", box="BOX-1"), "test")
    why = {"reason": "left at the ward"}
    assert (await desks.ask(Role.RECEIVER, "POST", "/loggers/L-1/lost", why)).status_code == 403
    assert (await desks.ask(Role.QUALITY, "POST", "/loggers/L-2/lost", why)).status_code == 404
    assert (await desks.ask(Role.QUALITY, "POST", "/loggers/L-1/lost", why)).json()["who"] == "quality"
    assert (await desks.ask(Role.QUALITY, "POST", "/loggers/L-1/lost", why)).status_code == 409
    assert [lost["logger"] for lost in (await desks.ask(Role.INSPECTOR, "GET", "/loggers/lost")).json()] == ["L-1"]
    assert (await desks.ask(Role.QUALITY, "POST", "/loggers/L-1/found", why)).status_code == 200
    assert (await desks.ask(Role.INSPECTOR, "GET", "/loggers/lost")).json() == []
