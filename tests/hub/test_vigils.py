"""Boxes and who is told: unregistered ones, their states, silent vehicles, verdicts that worsen, storms."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from sqlalchemy import select, update

from gateway.core.configuration import Box, BoxState, Consignment, Logger
from gateway.core.errors import InputError
from gateway.core.observations import Observation
from gateway.core.profiles import Profile
from gateway.core.standby import PREFIX
from gateway.core.verdicts import Gap, Verdict
from gateway.hub.breaches.inbox import Entry, dismiss, read_inbox
from gateway.hub.breaches.keeping import StoredBreach, flag, read_breaches, reconcile
from gateway.hub.breaches.lifecycle import NotNowError
from gateway.hub.breaches.records import Author
from gateway.hub.breaches.vigils import VIGIL_MS, subtract
from gateway.hub.database import schema
from gateway.hub.database.store import Store
from gateway.hub.judgement.verdict_history import save_judgement
from gateway.hub.judgement.watch import Watch
from gateway.hub.record.archive import Archive
from gateway.hub.registry.configurations import Configurations
from gateway.hub.registry.registry import Registry
from gateway.hub.replication.ingest import Ingest
from gateway.hub.signals.alerts import AlertKind, raise_alert, read_unsent
from tests.hub.samples import MINUTE_MS, NOW_MS, breach, flagged, judgement
from tests.hub.test_watch import Hand
from tests.hub.vans import LOGGER, START_MS, Van, iso, observe

WARM = Profile.model_validate(
    {
        "id": "warm-8",
        "title": "Not above 8",
        "kind": "sample",
        "owner": "test",
        "source": "test",
        "evidence": "verified",
        "limits": [{"name": "warm", "above_c": 8, "single": "5 min"}],
        "lives": [{"name": "life", "since": "collected", "life": "1 h", "kind": "clock"}],
    }
)


class Depot:
    """A box with a logger and a default profile, and a hub that hears it."""

    def __init__(self, store: Store, van: Van, state: BoxState = BoxState.READY) -> None:
        self.store, self.van, self.clock = store, van, Hand()
        self.clock.now = START_MS
        self.registry = Registry(store, self.clock.now_ms)
        self.ingest = Ingest(store, self.clock.now_ms)
        self.configurations = Configurations(store, self.clock.now_ms, demonstration=True)
        self.watch = Watch(store, Archive(store), self.registry, self.configurations, self.clock)
        self.registry.put_profile(WARM, "test")
        self.registry.put_logger(Logger(address=LOGGER, box="BOX-1"), "test")
        self.set(state)

    def set(self, state: BoxState) -> None:
        self.registry.put_box(Box(code="BOX-1", state=state, default_profile="warm-8"), "test")

    def hear(self, from_s: int, to_s: int, celsius: float) -> None:
        """Let the box be measured each 30 s, and the hub judge at the end."""
        self.deliver(*(observe(at_s, celsius) for at_s in range(from_s, to_s, 30)))
        self.clock.now = START_MS + to_s * 1000
        self.watch.judge_marked()

    def deliver(self, *observations: Observation) -> None:
        self.ingest.take(self.van.deliveries([self.van.seal(*observations)]))

    def register(self, begins_s: int = 0, code: str = "C-1") -> None:
        document = {
            "code": code,
            "items": [{"code": "T-1", "kind": "sample", "examinations": [{"code": "K", "profile": "warm-8"}]}],
            "carriage": [{"box": "BOX-1", "begins": iso(begins_s)}],
        }
        self.registry.put_consignment(Consignment.model_validate(document), "nurse")

    def breaches(self) -> list[StoredBreach]:
        with self.store.read() as connection:
            return read_breaches(connection)

    def inbox(self, *, waiting: bool = True) -> list[Entry]:
        with self.store.read() as connection:
            return read_inbox(connection, waiting=waiting)

    def alerts(self) -> list[tuple[str, str]]:
        with self.store.read() as connection:
            rows = connection.execute(select(schema.alerts).order_by(schema.alerts.c.id))
            return [(row.kind, json.loads(row.document)["consignment"]) for row in rows]

    def state(self) -> BoxState:
        return self.registry.boxes()[0].state


@pytest.fixture
def depot(store: Store, van: Van) -> Depot:
    return Depot(store, van)


def test_a_ready_box_with_nothing_registered_alerts_once_and_waits_in_the_inbox(depot: Depot) -> None:
    depot.hear(0, 600, 5.0)
    assert depot.breaches() == []
    depot.hear(600, 1200, 12.0)
    depot.hear(1200, 1800, 12.0)
    (found,) = depot.breaches()
    (entry,) = depot.inbox()
    assert (entry.breach_id, entry.box, entry.resolution) == (found.id, "BOX-1", None)
    assert found.consignment.startswith(PREFIX)
    assert depot.alerts() == [("breach", found.consignment)]
    assert json.loads(found.snapshot or "")["name"] == "warm"


@pytest.mark.parametrize("state", [BoxState.EMPTY, BoxState.CONDITIONING, BoxState.RECEIVED])
def test_a_box_that_is_neither_ready_nor_loaded_says_nothing(store: Store, van: Van, state: BoxState) -> None:
    depot = Depot(store, van, state)
    depot.hear(0, 1200, 12.0)
    assert depot.breaches() == []
    depot.set(BoxState.READY)
    depot.hear(1200, 2400, 12.0)
    (found,) = depot.breaches()
    assert found.started_at_ms >= START_MS + 1_200_000


def test_vehicles_are_told_of_the_same_vigil_and_flag_the_same_breach(depot: Depot) -> None:
    (told,) = depot.configurations.refresh()
    (vigil,) = told.consignments
    assert (vigil.code[: len(PREFIX)], vigil.items[0].code) == (PREFIX, "BOX-1")
    depot.hear(0, 1200, 12.0)
    (found,) = depot.breaches()
    assert found.consignment == vigil.code


def test_registering_late_takes_the_breach_over(depot: Depot) -> None:
    depot.hear(0, 1200, 12.0)
    depot.clock.now += 60_000
    depot.register()
    depot.watch.judge_marked()
    taken, own = depot.breaches()
    assert (taken.state, own.state, own.consignment) == ("superseded", "confirmed", "C-1")
    (entry,) = depot.inbox(waiting=False)
    assert entry.resolution == {"how": "registered", "who": "nurse", "consignment": "C-1"}
    assert depot.inbox() == []
    assert [kind for kind, _ in depot.alerts()] == ["breach", "breach"]
    assert depot.state() is BoxState.LOADED


def test_an_entry_is_dismissed_with_a_reason_once(depot: Depot, store: Store) -> None:
    depot.hear(0, 1200, 12.0)
    author = Author("kari", "Kari")
    with store.write() as connection, pytest.raises(InputError, match="reason"):
        dismiss(connection, 1, author, " ", NOW_MS)
    with store.write() as connection:
        settled = dismiss(connection, 1, author, "it was being cooled", NOW_MS)
    assert settled.resolution == {"how": "dismissed", "who": "kari", "reason": "it was being cooled"}
    with store.write() as connection, pytest.raises(NotNowError):
        dismiss(connection, 1, author, "again", NOW_MS)
    with store.read() as connection:
        assert connection.execute(select(schema.reviews.c.state)).scalars().all() == ["closed"]
        assert connection.execute(select(schema.audit.c.act)).scalars().all()[-1] == "dismiss"


def test_the_state_of_a_box_follows_what_is_in_it(depot: Depot) -> None:
    depot.register()
    assert depot.state() is BoxState.LOADED
    depot.clock.now += 600_000
    depot.registry.receive("C-1", datetime.fromtimestamp(depot.clock.now / 1000, UTC), "receiver")
    assert depot.state() is BoxState.RECEIVED
    depot.hear(600, 1800, 12.0)
    assert depot.breaches() == []


def test_what_is_registered_in_a_box_that_does_not_alert_is_told_when_it_does(depot: Depot) -> None:
    depot.register()
    depot.set(BoxState.CONDITIONING)
    depot.hear(0, 1200, 12.0)
    (found,) = depot.breaches()
    assert (found.silent, depot.alerts()) == ("box", [])
    depot.set(BoxState.LOADED)
    depot.watch.judge_marked()
    assert depot.alerts() == [("breach", "C-1")]
    depot.set(BoxState.LOADED)
    depot.watch.judge_marked()
    assert len(depot.alerts()) == 1


def test_an_old_vigil_is_followed_by_a_new_one_unless_its_breach_runs(depot: Depot) -> None:
    depot.hear(0, 600, 5.0)
    depot.clock.now = START_MS + VIGIL_MS + 1000
    depot.watch.patrol()
    with depot.store.read() as connection:
        rows = connection.execute(select(schema.vigils).order_by(schema.vigils.c.begins_ms)).all()
    assert [row.ends_ms for row in rows] == [START_MS + VIGIL_MS + 1000, None]
    depot.hear(VIGIL_MS // 1000 + 30, VIGIL_MS // 1000 + 1200, 12.0)
    depot.clock.now = START_MS + 3 * VIGIL_MS
    depot.watch.patrol()
    assert depot.breaches()[0].ended_at_ms is None
    with depot.store.read() as connection:
        assert len(connection.execute(select(schema.vigils)).all()) == 2


def test_no_person_registers_a_code_of_the_hub(depot: Depot) -> None:
    with pytest.raises(InputError, match="own"):
        depot.register(code=f"{PREFIX}BOX-1:1")


def test_a_flag_of_an_unknown_consignment_waits_until_it_is_registered(depot: Depot, store: Store) -> None:
    with store.write() as connection:
        flag(connection, flagged(breach(10, None)), NOW_MS)
    (entry,) = depot.inbox()
    assert (entry.consignment, entry.box) == ("C-1", None)
    depot.register()
    assert depot.inbox() == []
    assert depot.breaches()[0].state == "provisional"


def test_a_loaded_box_with_a_silent_vehicle_is_told_once(depot: Depot, van: Van) -> None:
    depot.register()
    depot.hear(0, 600, 5.0)
    with depot.store.write() as connection:
        connection.execute(update(schema.gateways).values(received_at_ms=START_MS + 600_000))
    depot.clock.now = START_MS + 600_000 + 29 * MINUTE_MS
    depot.watch.patrol()
    assert depot.alerts() == []
    depot.clock.now += MINUTE_MS
    for _ in range(2):
        depot.watch.patrol()
        depot.clock.now += MINUTE_MS
    assert depot.alerts() == [("vehicle_silent", "C-1")]
    del van


def test_a_box_that_is_received_or_heard_by_another_vehicle_is_not_missed(depot: Depot) -> None:
    depot.register()
    depot.hear(0, 900, 5.0)
    with depot.store.write() as connection:  # as if the last minutes had come through another vehicle
        connection.execute(update(schema.gateways).values(received_at_ms=START_MS + 600_000))
    depot.clock.now = START_MS + 600_000 + 40 * MINUTE_MS
    depot.watch.patrol()
    assert depot.alerts() == []
    with depot.store.write() as connection:
        connection.execute(update(schema.gateways).values(received_at_ms=START_MS + 900_000))
    depot.registry.receive("C-1", datetime.fromtimestamp(depot.clock.now / 1000, UTC), "receiver")
    depot.clock.now += 40 * MINUTE_MS
    depot.watch.patrol()
    assert depot.alerts() == []


def test_a_verdict_that_worsens_after_receipt_is_told_to_both_ends(depot: Depot, store: Store) -> None:
    depot.register()
    depot.registry.receive("C-1", datetime.fromtimestamp(depot.clock.now / 1000 + 60, UTC), "receiver")
    for verdict in (Verdict.REVIEW, Verdict.ACCEPT, Verdict.REJECT, Verdict.REJECT):
        with store.write() as connection:
            save_judgement(connection, replace(judgement(), verdict=verdict), NOW_MS, received=True)
    with store.read() as connection:
        (row,) = connection.execute(select(schema.alerts)).all()
    told = json.loads(row.document)
    assert (row.kind, told["before"], told["verdict"], told["version"]) == ("verdict_worsened", "accept", "reject", 3)
    assert (told["requester"], told["receiver"]) == ("nurse", "receiver")


def test_what_goes_on_after_a_gap_is_told_once_and_told_when_it_does_not(depot: Depot, store: Store) -> None:
    del depot
    two = judgement(breach(0, 10), breach(20, None))
    lasting = replace(two, gaps=(Gap(START_MS + 10 * MINUTE_MS, START_MS + 20 * MINUTE_MS),))
    with store.write() as connection:
        reconcile(connection, lasting, frozenset(), NOW_MS)
    with store.read() as connection:
        assert [one.silent for one in read_breaches(connection)] == [None, "continues"]
        assert len(read_unsent(connection, 10)) == 1
    with store.write() as connection:  # the memory says that it was good meanwhile
        reconcile(connection, two, frozenset(), NOW_MS)
    with store.read() as connection:
        assert [alert.breach_id for alert in read_unsent(connection, 10)] == [1, 2]


def test_a_storm_of_one_source_does_not_keep_anothers_alert_waiting(store: Store) -> None:
    with store.write() as connection:
        for number in range(100):
            raise_alert(connection, AlertKind.BREACH, {"n": number}, NOW_MS, source="van-1")
        raise_alert(connection, AlertKind.BREACH, {"n": "other"}, NOW_MS, source="van-2")
    with store.read() as connection:
        first = [json.loads(alert.document)["n"] for alert in read_unsent(connection, 4)]
    assert first == [0, "other", 1, 2]


@pytest.mark.parametrize(
    ("whole", "parts", "left"),
    [
        ((10, None), [], [(10, None)]),
        ((10, 20), [(0, 12), (15, 16)], [(12, 15), (16, 20)]),
        ((10, 20), [(0, None)], []),
        ((10, None), [(12, None)], [(10, 12)]),
        ((10, 20), [(20, 30)], [(10, 20)]),
        ((10, 20), [(5, 25), (6, 7)], []),
    ],
)
def test_what_is_left_of_a_span(
    whole: tuple[int, int | None], parts: list[tuple[int, int | None]], left: list[tuple[int, int | None]]
) -> None:
    assert subtract(whole, parts) == left
