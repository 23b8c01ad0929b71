from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import select

from gateway.core.flags import FLAG_BYTES_MAX
from gateway.core.records import Stop
from gateway.hub.access.roles import Right, Role
from gateway.hub.api.live import stream_events
from gateway.hub.database import schema
from gateway.hub.processes.app import create_app
from gateway.hub.rooms import Rooms, open_rooms
from gateway.hub.settings import HubSettings
from tests.hub.samples import breach, flagged
from tests.hub.vans import LOGGER, START_MS, Van, iso, observe

IDENTITY_NUMBER = "15076500565"
CONSIGNMENT: dict[str, Any] = {
    "code": "C-1",
    "items": [{"code": "T-1", "kind": "sample", "examinations": [{"code": "K", "profile": "potassium"}]}],
    "carriage": [{"box": "BOX-1", "begins": iso(0)}],
}


class Caller:
    """An HTTP client of a hub that runs in this process, without its workers."""

    def __init__(self, rooms: Rooms, client: httpx.AsyncClient) -> None:
        self.rooms = rooms
        self.http = client
        self.admin = {"Authorization": f"Bearer {(rooms.settings.data_dir / 'admin.token').read_text().strip()}"}
        self.van = Van()
        self.gateway: dict[str, str] = {}

    async def enrol(self) -> httpx.Response:
        code = self.rooms.enrolment.issue_code(self.van.name, "test")
        answer = await self.http.post("/enrolments", json=self.enrolment(code))
        self.gateway = {"Authorization": f"Bearer {answer.json()['token']}"}
        return answer

    def enrolment(self, code: str, van: Van | None = None) -> dict[str, str]:
        asked = van or self.van
        return {"gateway": asked.name, "code": code, "public_key": asked.key.public_bytes.hex()}

    async def put(self, path: str, body: object) -> httpx.Response:
        return await self.http.put(path, json=body, headers=self.admin)

    async def flag(self, body: str | None = None) -> httpx.Response:
        content = flagged(breach(1, None)).model_dump_json() if body is None else body
        headers = {**self.gateway, "Content-Type": "application/json"}
        return await self.http.post("/breaches", content=content, headers=headers)


@pytest.fixture
async def caller(tmp_path: Path) -> AsyncIterator[Caller]:
    settings = HubSettings(data_dir=tmp_path, demonstration=True, access={"anonymous": ["inspector"]})  # type: ignore[arg-type]  as in a file
    rooms = open_rooms(settings)
    transport = httpx.ASGITransport(create_app(rooms))
    async with httpx.AsyncClient(transport=transport, base_url="http://hub/api/v1") as client:
        yield Caller(rooms, client)
    rooms.store.close()


def assert_problem(answer: httpx.Response, status: int, field: str | None = None) -> None:
    assert (answer.status_code, answer.headers["content-type"]) == (status, "application/problem+json")
    body = answer.json()
    assert body["status"] == status
    assert body.get("field") == field


async def test_enrolment_is_idempotent_for_one_key_only(caller: Caller) -> None:
    code = caller.rooms.enrolment.issue_code("van-1", "test")
    first = await caller.http.post("/enrolments", json=caller.enrolment(code))
    again = await caller.http.post("/enrolments", json=caller.enrolment(code))
    assert first.json() == again.json()
    assert first.json()["hub_public_key"] == caller.rooms.key.public_bytes.hex()
    assert_problem(await caller.http.post("/enrolments", json=caller.enrolment(code, Van("van-1", b"other"))), 403)
    assert_problem(await caller.http.post("/enrolments", json=caller.enrolment(code, Van("van-2"))), 403)
    assert_problem(await caller.http.post("/enrolments", json=caller.enrolment("AAAA-BBBB-CCCC")), 403)


async def test_a_key_that_is_none_names_its_field(caller: Caller) -> None:
    request = {**caller.enrolment("AAAA-BBBB-CCCC"), "public_key": "xyz"}
    assert_problem(await caller.http.post("/enrolments", json=request), 422, "public_key")


async def test_secrets_are_stored_as_hashes(caller: Caller) -> None:
    await caller.enrol()
    token = caller.gateway["Authorization"].removeprefix("Bearer ")
    caller.rooms.store.close()
    for path in caller.rooms.settings.data_dir.glob("hub.sqlite3*"):
        assert token.encode() not in path.read_bytes()
    assert (caller.rooms.settings.data_dir / "admin.token").stat().st_mode & 0o777 == 0o600


async def test_a_flag_is_created_once(caller: Caller) -> None:
    await caller.enrol()
    first, again = await caller.flag(), await caller.flag()
    assert (first.status_code, again.status_code) == (201, 200)
    assert first.json() == again.json()
    listed = (await caller.http.get("/breaches")).json()
    assert [(b["id"], b["state"], b["found_by"]) for b in listed] == [(1, "provisional", "van-1")]
    alerts = (await caller.http.get("/alerts")).json()
    assert [(a["kind"], a["breach"], a["about"]["consignment"]) for a in alerts] == [("breach", 1, "C-1")]
    assert (await caller.http.get("/breaches/1")).json() == listed[0]
    assert_problem(await caller.http.get("/breaches/2"), 404)


async def test_a_flag_needs_the_token_of_its_own_gateway(caller: Caller) -> None:
    assert_problem(await caller.flag(), 401)
    await caller.enrol()
    caller.gateway = {"Authorization": "Bearer wrong"}
    assert_problem(await caller.flag(), 401)
    caller.van = Van("van-2", b"2")
    await caller.enrol()
    assert_problem(await caller.flag(), 403)


async def test_flags_are_bounded_and_hold_no_identities(caller: Caller) -> None:
    await caller.enrol()
    good = flagged(breach(1, None)).model_dump(mode="json")
    assert_problem(await caller.flag("x" * (FLAG_BYTES_MAX + 1)), 413)
    answer = await caller.flag(json.dumps({**good, "item": IDENTITY_NUMBER}))
    assert_problem(answer, 422, "item")
    assert IDENTITY_NUMBER not in answer.text
    assert_problem(await caller.flag(json.dumps({**good, "key": "0" * 32})), 422, "body")
    assert (await caller.flag("{")).status_code == 422
    assert (await caller.http.get("/breaches")).json() == []


async def test_registering_needs_the_administrator(caller: Caller) -> None:
    for path, body in (("/boxes/B", {"code": "B"}), ("/consignments/C-1", CONSIGNMENT)):
        assert_problem(await caller.http.put(path, json=body), 403)
    await caller.enrol()
    assert_problem(await caller.http.put("/boxes/B", json={"code": "B"}, headers=caller.gateway), 401)


async def test_a_consignment_is_registered_received_and_audited(caller: Caller) -> None:
    assert_problem(await caller.put("/consignments/C-1", CONSIGNMENT), 422, "carriage")
    await caller.put("/boxes/BOX-1", {"code": "BOX-1"})
    await caller.put(f"/loggers/{LOGGER}", {"address": LOGGER, "box": "BOX-1"})
    created = await caller.http.post("/consignments", json=CONSIGNMENT, headers=caller.admin)
    assert created.status_code == 201
    received = await caller.http.post("/consignments/C-1/receive", json={"at": iso(60)}, headers=caller.admin)
    again = await caller.http.post("/consignments/C-1/receive", headers=caller.admin)
    assert received.json() == again.json()
    put_again = await caller.put("/consignments/C-1", CONSIGNMENT)
    assert put_again.json()["received_at"] == received.json()["received_at"]
    state = (await caller.http.get("/consignments/C-1")).json()
    assert (state["version"], state["judgements"], state["breaches"]) == (2, [], [])
    (listed,) = (await caller.http.get("/consignments")).json()
    assert (listed["code"], listed["verdict"]) == ("C-1", None)
    with caller.rooms.store.read() as connection:
        acts = connection.execute(select(schema.audit).order_by(schema.audit.c.id)).all()
    assert [act.act for act in acts] == ["register", "register", "register", "move", "receive", "move"]
    assert [act.previous for act in acts[1:]] == [act.hash for act in acts[:-1]]


async def test_what_is_registered_again_word_for_word_is_no_act(caller: Caller) -> None:
    for label, box, radius_m in (("", "BOX-1", 150), ("Blue", None, 60)):
        for _ in range(2):
            await caller.put("/boxes/BOX-1", {"code": "BOX-1", "label": label})
            await caller.put(f"/loggers/{LOGGER}", {"address": LOGGER, "box": box})
            site = {"name": "LAB", "latitude": 60.4, "longitude": 5.3, "radius_m": radius_m}
            assert (await caller.put("/sites/LAB", site)).status_code == 200
    with caller.rooms.store.read() as connection:
        acts = connection.execute(select(schema.audit.c.subject).order_by(schema.audit.c.id)).scalars().all()
    assert acts == ["box BOX-1", f"logger {LOGGER}", "site LAB"] * 2


async def test_a_second_registration_that_differs_is_refused(caller: Caller) -> None:
    await caller.put("/boxes/BOX-1", {"code": "BOX-1"})
    await caller.http.post("/consignments", json=CONSIGNMENT, headers=caller.admin)
    same = await caller.http.post("/consignments", json=CONSIGNMENT, headers=caller.admin)
    assert same.status_code == 201
    other = {**CONSIGNMENT, "planned_arrival": iso(60)}
    assert_problem(await caller.http.post("/consignments", json=other, headers=caller.admin), 409)


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"items": []}, "items"),
        ({"colour": "red"}, "colour"),
        ({"code": "C-2"}, "code"),
        ({"planned_arrival": "2026-10-24T13:00:00"}, "planned_arrival"),
        (
            {"items": [{**CONSIGNMENT["items"][0], "examinations": [{"code": "K", "profile": "nonesuch"}]}]},
            "items[0].examinations[0].profile",
        ),
        (
            {"items": [{**CONSIGNMENT["items"][0], "examinations": [{"code": IDENTITY_NUMBER, "profile": "crp"}]}]},
            "items[0].examinations[0].code",
        ),
        ({"items": [{**CONSIGNMENT["items"][0], "use_before": "soon"}]}, "items[0].use_before"),
    ],
)
async def test_wrong_consignments_name_their_field(caller: Caller, change: dict[str, Any], field: str) -> None:
    await caller.put("/boxes/BOX-1", {"code": "BOX-1"})
    assert_problem(await caller.put("/consignments/C-1", {**CONSIGNMENT, **change}), 422, field)


async def test_a_profile_version_says_the_same_for_ever(caller: Caller) -> None:
    profile = next(p for p in (await caller.http.get("/profiles")).json() if p["id"] == "potassium")
    assert (await caller.put("/profiles/potassium", profile)).status_code == 200
    assert (await caller.put("/profiles/potassium", profile)).status_code == 200
    changed = {**profile, "title": "Other"}
    assert_problem(await caller.put("/profiles/potassium", changed), 409)
    assert (await caller.put("/profiles/potassium", {**changed, "version": 2})).status_code == 200
    titles = {p["id"]: p["title"] for p in (await caller.http.get("/profiles")).json()}
    assert titles["potassium"] == "Other"


async def test_only_who_answers_for_it_registers_an_approved_version(caller: Caller) -> None:
    profile = next(p for p in (await caller.http.get("/profiles")).json() if p["id"] == "potassium")
    approval = {"by": "Lab", "role": "laboratory_doctor", "at": iso(0), "version": 2}
    approved = {**profile, "version": 2, "status": "approved", "owner": "Lab", "approval": approval}
    assert_problem(await caller.put("/profiles/potassium", approved), 403)
    answers = []
    for role in (Role.PHARMACIST, Role.LABORATORY_DOCTOR):
        caller.rooms.accounts.add(role.value, "Somebody", [role], "test", password="correct horse battery")
        rights = [Right.WRITE_PROFILES, Right.APPROVE_PROFILES]
        _, token = caller.rooms.api_tokens.make(role.value, "script", rights, 30, role.value)
        who = {"Authorization": f"Bearer {token}"}
        answers.append(await caller.http.put("/profiles/potassium", json=approved, headers=who))
    assert_problem(answers[0], 403)
    assert (answers[1].status_code, answers[1].json()["status"]) == (200, "approved"), answers[1].text


async def test_what_does_not_exist_is_a_problem_too(caller: Caller) -> None:
    for path in ("/consignments/nope", "/consignments/nope/readings", "/consignments/nope/judgements", "/nothing"):
        assert_problem(await caller.http.get(path), 404)
    assert_problem(await caller.http.post("/consignments/nope/receive", headers=caller.admin), 404)
    assert_problem(await caller.http.delete("/boxes"), 405)
    assert_problem(await caller.http.get("/consignments", params={"limit": 0}), 422, "limit")


async def test_events_resume_after_the_last_one_seen(caller: Caller) -> None:
    await caller.put("/boxes/BOX-1", {"code": "BOX-1"})
    await caller.put("/consignments/C-1", CONSIGNMENT)
    await caller.enrol()
    await caller.flag()

    all_events = await listen(caller, "0")
    assert [kind for _, kind in all_events] == ["consignment", "gateway", "breach"]
    later = await listen(caller, str(all_events[0][0]))
    assert later == all_events[1:]


async def listen(caller: Caller, last: str) -> list[tuple[int, str]]:
    """Return (id, kind) of what a stream tells before the hub closes."""
    stream = stream_events(caller.rooms, int(last))
    told = []
    async for event in stream:
        told.append((int(event.id or 0), str(event.event)))
        if event.event == "breach":
            caller.rooms.closing.set()
            caller.rooms.bells.told.ring()
    caller.rooms.closing.clear()
    return told


async def test_the_description_names_every_answer(caller: Caller) -> None:
    description = (await caller.http.get("http://hub/api/openapi.json")).json()
    for path, methods in description["paths"].items():
        for method, operation in methods.items():
            assert "422" in operation["responses"], (path, method)
            for status, answer in operation["responses"].items():
                if int(status) >= 400:
                    assert "application/problem+json" in answer["content"], (path, method, status)
            assert operation.get("description"), (path, method)
    flagging = description["paths"]["/api/v1/breaches"]["post"]
    assert set(flagging["responses"]) == {"200", "201", *map(str, (401, 403, 408, 413, 415, 422, 429, 503))}
    assert flagging["requestBody"]["content"]["application/json"]["examples"]


async def test_a_trip_tells_its_stops_by_sites_names_and_by_numbers(caller: Caller) -> None:
    await caller.put("/boxes/BOX-1", {"code": "BOX-1"})
    await caller.put(f"/loggers/{LOGGER}", {"address": LOGGER, "box": "BOX-1"})
    await caller.http.post("/consignments", json=CONSIGNMENT, headers=caller.admin)
    site = {"name": "LAB", "latitude": 60.37, "longitude": 5.36, "radius_m": 200.0}
    assert (await caller.put("/sites/LAB", site)).status_code == 200
    assert (await caller.http.get("/sites", headers=caller.admin)).json() == [site]
    assert_problem(await caller.put("/sites/LAB", {**site, "latitude": 91}), 422, "latitude")
    assert_problem(await caller.put("/sites/WARD", site), 422, "name")
    assert_problem(await caller.http.get("/consignments/C-9/stops"), 404)
    assert (await caller.http.get("/consignments/C-1/stops")).json() == []
    await caller.enrol()
    told = [("arrived", "stop 1", False, 60), ("left", "stop 1", False, 300), ("arrived", "LAB", True, 900)]
    stops = [Stop(START_MS + at_s * 1000, True, act, place, is_site, 0) for act, place, is_site, at_s in told]
    before = Stop(START_MS - 60_000, True, "left", "stop 0", is_site=False, monotonic_ms=0)
    caller.van.seal(observe(60, 5.0), records=[before, *stops])
    caller.rooms.ingest.take(caller.van.deliveries())
    (configuration,) = caller.rooms.configurations.refresh()
    assert [known.name for known in configuration.sites] == ["LAB"]
    listed = (await caller.http.get("/consignments/C-1/stops")).json()
    assert [(stop["act"], stop["place"], stop["is_site"]) for stop in listed] == [each[:3] for each in told]
    assert listed[0] == {
        "gateway": "van-1",
        "act": "arrived",
        "place": "stop 1",
        "is_site": False,
        "at_ms": START_MS + 60_000,
        "error_ms": 0,
        "trusted": True,
    }
