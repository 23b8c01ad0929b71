"""What people do at a vehicle, sealed in its log, is in the hub's registry: also corrected, undone, out of order."""

from __future__ import annotations

from datetime import UTC, datetime
from itertools import permutations

import pytest
from sqlalchemy import select

from gateway.core.configuration import Box, CodeRule, Consignment
from gateway.core.records import AnyRecord, CustodyEvent, Registration, Withdrawal
from gateway.hub.database import schema
from gateway.hub.database.store import Store
from gateway.hub.registry.configurations import Configurations
from gateway.hub.registry.registry import Registry
from gateway.hub.replication.ingest import Ingest
from tests.hub.vans import START_MS, Van, sqlite_only

NOW_MS = START_MS + 3_600_000
MINUTE_MS = 60_000
PROFILE = "potassium"


def registration(item: str = "T-1", *, said_min: float = 0, ago_min: int = 15, profile: str = PROFILE) -> Registration:
    return Registration(
        START_MS + round(said_min * MINUTE_MS),
        True,
        f"id-{item}",
        "BOX-1-a",
        "BOX-1",
        item,
        "sample",
        (("K", profile),),
        START_MS,
        START_MS - ago_min * MINUTE_MS,
        18.0,
        25.0,
        "BADGE-7",
    )


def moment(at_ms: int) -> datetime:
    return datetime.fromtimestamp(at_ms / 1000, UTC)


class Hub:
    def __init__(self, store: Store) -> None:
        self.store = store
        self.registry = Registry(store, lambda: NOW_MS)
        self.ingest = Ingest(store, lambda: NOW_MS)
        self.registry.put_box(Box(code="BOX-1"), "test")

    def take(self, van: Van, *records: AnyRecord) -> None:
        segment = van.seal(records=records)
        self.ingest.take(van.deliveries([segment]))

    def consignment(self, code: str = "BOX-1-a") -> Consignment:
        registered = self.registry.consignment(code)
        assert registered is not None
        return registered.consignment

    def quarantined(self) -> list[str]:
        with self.store.read() as connection:
            return list(connection.execute(select(schema.quarantine.c.reason)).scalars())


@pytest.fixture
def hub(store: Store) -> Hub:
    return Hub(store)


def test_what_is_registered_at_a_vehicle_is_registered_here(hub: Hub, van: Van) -> None:
    hub.take(van, registration())
    consignment = hub.consignment()
    (item,) = consignment.items
    (declared,) = item.declared
    assert consignment.vehicle == van.name
    assert (item.code, item.examinations[0].profile) == ("T-1", PROFILE)
    assert item.collected_at == declared.begins == moment(START_MS - 15 * MINUTE_MS)
    assert (declared.ends, declared.by, declared.low_c, declared.high_c) == (moment(START_MS), "BADGE-7", 18, 25)
    assert [(c.box, c.begins, c.ends) for c in item.carriage] == [("BOX-1", moment(START_MS), None)]
    with hub.store.read() as connection:
        dirty = connection.execute(select(schema.dirty.c.consignment)).scalars().all()
        audit = connection.execute(select(schema.audit.c.who).where(schema.audit.c.subject.like("consignment%"))).all()
    assert list(dirty) == ["BOX-1-a"]
    assert [row.who for row in audit] == [f"{van.name} BADGE-7"]


@sqlite_only
def test_a_correction_in_a_later_segment_is_judged_anew(hub: Hub, van: Van) -> None:
    hub.take(van, registration())
    hub.take(van, registration("T-2"), registration(said_min=2, ago_min=60))
    first, second = sorted(hub.consignment().items, key=lambda item: item.code)
    assert first.collected_at == moment(START_MS - 60 * MINUTE_MS)
    assert second.collected_at == moment(START_MS - 15 * MINUTE_MS)


@sqlite_only
@pytest.mark.parametrize("order", list(permutations(range(3))))
def test_the_order_of_arrival_does_not_matter(hub: Hub, van: Van, order: tuple[int, ...]) -> None:
    records = (registration("T-2"), registration(), registration(said_min=2, ago_min=30))
    for place in order:
        hub.take(van, records[place])
    assert {item.code: item.collected_at for item in hub.consignment().items} == {
        "T-1": moment(START_MS - 30 * MINUTE_MS),
        "T-2": moment(START_MS - 15 * MINUTE_MS),
    }


@sqlite_only
def test_what_was_undone_is_gone(hub: Hub, van: Van) -> None:
    hub.take(van, registration(), registration("T-2"))
    hub.take(van, Withdrawal(START_MS + 5, True, "id-T-2"))
    assert [item.code for item in hub.consignment().items] == ["T-1"]
    hub.take(van, Withdrawal(START_MS + 6, True, "id-T-1"))
    nothing = hub.consignment()
    assert nothing.received_at == moment(START_MS + 6)
    assert [item.carriage for item in nothing.items] == [()]


@sqlite_only
def test_a_dose_that_leaves_its_box_is_exposed_no_longer(hub: Hub, van: Van) -> None:
    document = {
        "code": "C-1",
        "carriage": [{"box": "BOX-1", "begins": moment(START_MS).isoformat()}],
        "items": [
            {"code": code, "kind": "medicine", "examinations": [{"code": "K", "profile": PROFILE}]}
            for code in ("DOSE-1", "DOSE-2")
        ],
    }
    hub.registry.put_consignment(Consignment.model_validate(document), "test")
    left_ms = START_MS + 20 * MINUTE_MS
    hub.take(van, CustodyEvent(left_ms, True, "handed_over", "BOX-1", "C-1", "DOSE-1", "BADGE-9", id="h"))
    ends = {
        item.code: [c.ends for c in hub.consignment("C-1").carriage_of(item)] for item in hub.consignment("C-1").items
    }
    assert ends == {"DOSE-1": [moment(left_ms)], "DOSE-2": [None]}
    hub.take(van, Withdrawal(left_ms + 5, True, "h"))
    (first, _) = hub.consignment("C-1").items
    assert [c.ends for c in hub.consignment("C-1").carriage_of(first)] == [None]


@sqlite_only
@pytest.mark.parametrize(
    ("record", "reason"),
    [
        (registration(profile="no-such"), "no profile no-such"),
        (registration("13017212405"), None),
        (registration("T 1"), None),
    ],
)
def test_what_cannot_be_registered_is_set_aside_and_the_log_goes_on(
    hub: Hub, van: Van, record: Registration, reason: str | None
) -> None:
    hub.take(van, record)
    hub.take(van, registration("T-5"))
    told = hub.quarantined()
    assert told
    assert reason is None or any(reason in one for one in told)
    with hub.store.read() as connection:
        assert connection.execute(select(schema.epochs.c.next_offset)).scalar() == 2


@sqlite_only
def test_a_vehicle_cannot_change_what_others_registered(hub: Hub, van: Van) -> None:
    document = {
        "code": "BOX-1-a",
        "items": [{"code": "T-9", "kind": "sample", "examinations": [{"code": "K", "profile": PROFILE}]}],
    }
    hub.registry.put_consignment(Consignment.model_validate(document), "test")
    hub.take(van, registration())
    assert [item.code for item in hub.consignment().items] == ["T-9"]
    assert any("another consignment" in reason for reason in hub.quarantined())


@sqlite_only
def test_gateways_are_told_the_rules_and_their_profiles(store: Store, van: Van) -> None:
    rule = CodeRule.model_validate(
        {"prefix": "T-", "kind": "sample", "examinations": [{"code": "K", "profile": PROFILE}]}
    )
    (told,) = Configurations(store, lambda: NOW_MS, code_rules=(rule,), badges=("B-",)).refresh()
    assert told.gateway == van.name
    assert told.code_rules == (rule,)
    assert told.badges == ("B-",)
    assert [profile.id for profile in told.profiles] == [PROFILE]
