"""Many things registered with one request: all or none, by the rules of single ones, each on record by itself."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import httpx
import pytest
from sqlalchemy import func, select

from gateway.client import calls
from gateway.core.batches import ConsignmentBatch, Outcome, SetUp
from gateway.core.configuration import Assignment, Box, BoxState, Carriage, Consignment, Examination, Item, Logger
from gateway.core.profiles import Kind
from gateway.hub.audit.trail import Wanted, check_chain, read_entries
from gateway.hub.database import schema
from gateway.hub.database.store import Store
from gateway.hub.processes.app import create_app
from gateway.hub.registry.faults import FaultsError
from gateway.hub.registry.registry import Registry
from gateway.hub.rooms import open_rooms
from gateway.hub.settings import HubSettings
from tests.hub.test_api import IDENTITY_NUMBER
from tests.hub.vans import START_MS, iso


def at(hours: int) -> datetime:
    return datetime.fromisoformat(iso(3600 * hours))


BOXES = tuple(Box(code=f"BOX-{number}", gateways=("VAN-1",)) for number in range(3))
LOGGERS = tuple(Logger(address=f"C0:FF:EE:00:00:0{number}", box=f"BOX-{number}", since=at(0)) for number in range(3))
SET_UP = SetUp(boxes=BOXES, loggers=LOGGERS, codes_for=("VAN-1", "VAN-2"), reason="delivery of March")


@pytest.fixture
def registry(store: Store) -> Registry:
    return Registry(store, lambda: START_MS + 2 * 3_600_000)


def consignment(code: str, box: str = "BOX-0", profile: str = "potassium") -> Consignment:
    item = Item(code=f"{code}-1", kind=Kind.SAMPLE, examinations=(Examination(code="K", profile=profile),))
    return Consignment(code=code, items=(item,), carriage=(Carriage(box=box, begins=at(0)),))


def trail(store: Store) -> list[tuple[str, str, str, str]]:
    with store.read() as connection:
        return [(one.who, one.act, one.subject, one.reason) for one in read_entries(connection, Wanted())]


def test_a_set_up_is_on_record_thing_by_thing_and_may_be_sent_again(store: Store, registry: Registry) -> None:
    done = registry.set_up(SET_UP, "kari")
    assert set(done.boxes.values()) | set(done.loggers.values()) == {Outcome.NEW}
    assert registry.boxes() == [*BOXES]
    assert registry.loggers() == [*LOGGERS]
    why = "delivery of March"
    assert trail(store) == [
        *[("kari", "register", f"box BOX-{number}", why) for number in range(3)],
        *[("kari", "register", f"logger C0:FF:EE:00:00:0{number}", why) for number in range(3)],
        *[("kari", "issue_code", f"gateway VAN-{number}", "") for number in (1, 2)],
    ]
    registry.put_consignment(consignment("C-1"), "kari")
    moved = LOGGERS[0].model_copy(update={"box": "BOX-2", "since": at(1)})
    again = registry.set_up(SetUp(boxes=BOXES, loggers=(moved, *LOGGERS[1:])), "kari")
    assert again.boxes == dict.fromkeys(("BOX-0", "BOX-1", "BOX-2"), Outcome.SAME)  # BOX-0 is loaded meanwhile
    assert list(again.loggers.values()) == [Outcome.CHANGED, Outcome.SAME, Outcome.SAME]
    assert registry.boxes()[0].state is BoxState.LOADED
    assert registry.loggers()[0].former == (Assignment(box="BOX-0", begins=at(0), ends=at(1)),)
    assert trail(store)[-1][2] == f"logger {moved.address}"
    chain = check_chain(store, 1000)
    assert (chain.checked, chain.fault) == (11, None)


def test_a_fault_anywhere_leaves_nothing_and_all_faults_are_told(store: Store, registry: Registry) -> None:
    registry.put_logger(LOGGERS[0], "kari")
    wanted = SetUp(
        boxes=(*BOXES, Box(code="BOX-9", label=f"of {IDENTITY_NUMBER}")),
        loggers=(LOGGERS[1], LOGGERS[0].model_copy(update={"box": "BOX-1", "since": at(-1)})),
        codes_for=("VAN-1", "a/b"),
    )
    for dry_run in (True, False):
        with pytest.raises(FaultsError) as refused:
            registry.set_up(wanted, "kari", dry_run=dry_run)
        assert [fault.field for fault in refused.value.faults] == ["boxes[3].label", "loggers[1].since", "codes_for[1]"]
        assert IDENTITY_NUMBER not in str(refused.value.faults)
    assert not registry.boxes()
    assert len(trail(store)) == 1
    dry = registry.set_up(SET_UP, "kari", dry_run=True)
    assert (dry.dry_run, dry.loggers[LOGGERS[0].address], dry.codes) == (True, Outcome.SAME, {})
    assert not registry.boxes()


def test_consignments_are_registered_together_or_not_at_all(store: Store, registry: Registry) -> None:
    registry.set_up(SET_UP, "kari")
    registry.put_consignment(consignment("C-1"), "kari")
    other = consignment("C-1", box="BOX-1")
    wrong = [consignment("C-2"), other, consignment("C-3", profile="none"), consignment("C-4", box="BOX-9")]
    with pytest.raises(FaultsError) as refused:
        registry.add_consignments(wrong, "kari")
    assert [fault.field for fault in refused.value.faults] == [
        "consignments[1].code",
        "consignments[2].items[0].examinations[0].profile",
        "consignments[3].carriage",
    ]
    right = [consignment("C-1"), consignment("C-2", box="BOX-1"), consignment("C-3", box="BOX-1")]
    assert registry.add_consignments(right, "kari", dry_run=True) == ["C-2", "C-3"]
    assert len(registry.consignments()) == 1
    assert registry.add_consignments(right, "kari") == ["C-2", "C-3"]
    assert registry.add_consignments(right, "kari") == []
    assert [entry[2] for entry in trail(store)[-3:]] == ["consignment C-2", "consignment C-3", "box BOX-1"]
    assert [box.state for box in registry.boxes()] == [BoxState.LOADED, BoxState.LOADED, BoxState.READY]
    with store.read() as connection:
        assert set(connection.execute(select(schema.dirty.c.consignment)).scalars()) == {"C-1", "C-2", "C-3"}
        assert connection.execute(select(func.count()).select_from(schema.carriages)).scalar_one() == 3
        told = connection.execute(select(schema.events.c.data).order_by(schema.events.c.id)).scalars().all()
    assert ['"C-1"' in told[-3], '"C-2"' in told[-2], '"C-3"' in told[-1]] == [True, True, True]


async def test_over_http_it_is_bounded_and_says_where_a_fault_is(tmp_path: Any) -> None:  # noqa: ANN401  pytest's
    rooms = open_rooms(HubSettings(data_dir=tmp_path))
    headers = {"Authorization": f"Bearer {(tmp_path / 'admin.token').read_text().strip()}"}
    transport = httpx.ASGITransport(create_app(rooms))
    async with httpx.AsyncClient(transport=transport, base_url="http://hub", headers=headers) as http:

        async def ask(call: calls.Call[Any]) -> httpx.Response:
            return await http.request(call.method, call.path, content=call.body, headers=call.headers)

        assert (await ask(calls.set_up(SET_UP, dry_run=True))).json()["boxes"]["BOX-0"] == "new"
        assert not rooms.registry.boxes()
        said = calls.set_up(SET_UP).answer.validate_json((await ask(calls.set_up(SET_UP))).content)
        assert list(said.codes) == ["VAN-1", "VAN-2"]
        rooms.enrolment.enrol("VAN-1", said.codes["VAN-1"], bytes.fromhex("d75a980182b10ab7" * 4))
        batch = calls.add_consignments(ConsignmentBatch(consignments=(consignment("C-1"), consignment("C-2"))))
        assert (await ask(batch)).json() == {"dry_run": False, "consignments": 2, "new": ["C-1", "C-2"]}
        many = {"boxes": [{"code": f"B-{number}"} for number in range(501)]}
        assert (await http.post("/api/v1/registry", json=many)).json()["field"] == "boxes"
        twice = {"loggers": [{"address": "A-1"}, {"address": "A-2"}, {"address": "A-1"}]}
        refused = (await http.post("/api/v1/registry", json=twice)).json()
        assert (refused["field"], refused["errors"][0]["reason"]) == ("loggers[2].address", "the same as loggers[0]")
        unknown = {"consignments": [{**batch_document(batch), "code": "C-3", "carriage": [carried("BOX-9")]}]}
        refused = (await http.post("/api/v1/consignments/batch", json=unknown)).json()
        assert (refused["status"], refused["field"]) == (422, "consignments[0].carriage")
    rooms.store.close()


def batch_document(batch: calls.Call[Any]) -> dict[str, Any]:
    found: dict[str, Any] = ConsignmentBatch.model_validate_json(batch.body).consignments[0].model_dump(mode="json")
    return found


def carried(box: str) -> dict[str, str]:
    return {"box": box, "begins": "2026-10-24T08:00:00+02:00"}
