from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime

import pytest
from sqlalchemy import select

from gateway.core.configuration import Box, Configuration, Consignment, Logger
from gateway.core.observations import Observation
from gateway.core.verdicts import Judgement, Reason, Verdict
from gateway.hub.breaches.keeping import flag
from gateway.hub.database import schema
from gateway.hub.database.store import Store
from gateway.hub.judgement.verdict_history import VersionedJudgement, read_current, read_versions
from gateway.hub.judgement.watch import Watch
from gateway.hub.record.archive import Archive
from gateway.hub.registry.configurations import Configurations
from gateway.hub.registry.registry import Registry
from gateway.hub.replication.ingest import Ingest
from tests.hub.samples import breach, flagged, judgement
from tests.hub.vans import LOGGER, START_MS, Van, iso, observe


class Hand:
    """A clock that is set by hand."""

    rate = 1.0

    def __init__(self) -> None:
        self.now = START_MS + 3_600_000

    def now_ms(self) -> int:
        return self.now

    def monotonic_ms(self) -> int:
        return self.now

    def trusted(self) -> bool:
        return True

    async def sleep(self, seconds: float) -> None:
        del seconds


class FakeJudge:
    """Rejects, with a breach, as soon as anything was above 8 °C; breaks down at 99 °C."""

    made = 0

    def __init__(self, consignment: Consignment, configuration: Configuration) -> None:
        FakeJudge.made += 1
        self.consignment, self.configuration = consignment, configuration
        self.temperatures: list[float] = []

    def add(self, observations: Iterable[Observation]) -> None:
        self.temperatures += [observation.temperature_mc / 1000 for observation in observations]

    def keep(self) -> bytes:
        return json.dumps(self.temperatures).encode()

    def resume(self, kept: bytes) -> None:
        self.temperatures = json.loads(kept)

    def judgements(self, now_ms: int) -> tuple[Judgement, ...]:
        if 99.0 in self.temperatures:
            raise ArithmeticError("too hot to think")
        warm = any(t > 8 for t in self.temperatures)
        base = judgement(*([breach(1, None)] if warm else []))
        reasons = (Reason("readings", Verdict.ACCEPT, {"count": len(self.temperatures)}),)
        verdict = Verdict.REJECT if warm else Verdict.ACCEPT
        return (replace(base, consignment=self.consignment.code, verdict=verdict, reasons=reasons, through_ms=now_ms),)


def consignment(code: str = "C-1", **changes: object) -> Consignment:
    document = {
        "code": code,
        "items": [{"code": "T-1", "kind": "sample", "examinations": [{"code": "K", "profile": "potassium"}]}],
        "carriage": [{"box": "BOX-1", "begins": iso(0)}],
        **changes,
    }
    return Consignment.model_validate(document)


class Post:
    """A store with a registry, an archive and a watch over them."""

    def __init__(self, store: Store, van: Van) -> None:
        self.store, self.van, self.clock = store, van, Hand()
        self.registry = Registry(store, self.clock.now_ms)
        self.ingest = Ingest(store, self.clock.now_ms)
        configurations = Configurations(store, self.clock.now_ms)
        self.watch = Watch(store, Archive(store), self.registry, configurations, self.clock, make_judge=FakeJudge)
        self.registry.put_box(Box(code="BOX-1"), "test")
        self.registry.put_logger(Logger(address=LOGGER, box="BOX-1"), "test")

    def deliver(self, *observations: Observation) -> None:
        segment = self.van.seal(*observations)
        self.ingest.take(self.van.deliveries([segment]))

    def current(self, code: str = "C-1") -> VersionedJudgement:
        with self.store.read() as connection:
            (found,) = read_current(connection, code)
        return found

    def versions(self) -> list[tuple[int, str]]:
        with self.store.read() as connection:
            return [(v.version, v.judgement.verdict) for v in read_versions(connection, "C-1", "T-1", "K")]

    def column(self, table: str, name: str) -> list[object]:
        found = schema.metadata.tables[table]
        with self.store.read() as connection:
            return list(connection.execute(select(found.c[name]).order_by(found.primary_key.columns[0])).scalars())


@pytest.fixture
def post(store: Store, van: Van) -> Post:
    return Post(store, van)


def test_what_arrives_is_judged_and_the_mark_cleared(post: Post) -> None:
    post.registry.put_consignment(consignment(), "test")
    post.deliver(observe(30, 5.0))
    assert post.column("dirty", "consignment") == ["C-1"]
    assert post.watch.judge_marked() == 1
    assert post.column("dirty", "consignment") == []
    assert post.current().judgement.verdict is Verdict.ACCEPT


def test_only_new_segments_are_given_to_the_judge(post: Post) -> None:
    post.registry.put_consignment(consignment(), "test")
    for i in range(5):
        post.deliver(observe(30 * i, 5.0))
        post.watch.judge_marked()
    assert post.current().judgement.reasons[0].parameters == {"count": 5}


def test_moving_figures_update_and_a_worse_verdict_makes_a_version(post: Post) -> None:
    post.registry.put_consignment(consignment(), "test")
    post.deliver(observe(0, 5.0))
    post.watch.judge_marked()
    post.deliver(observe(30, 5.0))
    post.watch.judge_marked()
    assert post.versions() == [(1, "accept")]
    post.deliver(observe(60, 9.0))
    post.watch.judge_marked()
    assert post.versions() == [(2, "reject"), (1, "accept")]
    assert post.column("breaches", "state") == ["confirmed"]
    assert post.column("alerts", "kind") == ["breach"]


def test_after_receipt_any_new_evidence_makes_a_version(post: Post) -> None:
    post.registry.put_consignment(consignment(), "test")
    post.deliver(observe(0, 5.0))
    post.watch.judge_marked()
    post.registry.receive("C-1", datetime.fromisoformat(iso(600)), "test")
    post.watch.judge_marked()
    before = post.current().version
    post.deliver(observe(30, 5.0))
    post.watch.judge_marked()
    assert post.current().version == before + 1


def test_a_changed_consignment_is_folded_anew(post: Post) -> None:
    post.registry.put_consignment(consignment(), "test")
    post.deliver(observe(0, 5.0))
    post.watch.judge_marked()
    made = FakeJudge.made
    post.registry.put_consignment(consignment(planned_arrival=iso(9000)), "test")
    post.watch.judge_marked()
    assert FakeJudge.made == made + 1
    assert post.current().judgement.reasons[0].parameters == {"count": 1}


def test_a_consignment_registered_late_is_judged_from_what_was_recorded(post: Post) -> None:
    post.deliver(observe(30, 9.0))
    post.registry.put_consignment(consignment(), "test")
    post.watch.judge_marked()
    assert post.current().judgement.verdict is Verdict.REJECT


def test_readings_of_other_boxes_or_times_mark_nothing(post: Post) -> None:
    post.registry.put_consignment(consignment(received_at=iso(600)), "test")
    post.watch.judge_marked()
    post.deliver(observe(30, 5.0, logger="C0:FF:EE:00:00:99"))
    post.deliver(observe(90_000, 5.0))
    assert post.column("dirty", "consignment") == []


def test_one_that_cannot_be_judged_is_set_aside_and_the_others_go_on(post: Post) -> None:
    post.registry.put_box(Box(code="BOX-2"), "test")
    post.registry.put_logger(Logger(address="C0:FF:EE:00:00:02", box="BOX-2"), "test")
    post.registry.put_consignment(consignment(), "test")
    post.registry.put_consignment(consignment("C-2", carriage=[{"box": "BOX-2", "begins": iso(0)}]), "test")
    post.deliver(observe(0, 5.0), observe(0, 99.0, logger="C0:FF:EE:00:00:02"))
    assert post.watch.judge_marked() == 2
    assert post.current("C-1").judgement.verdict is Verdict.ACCEPT
    assert post.column("quarantine", "reason") == ["ArithmeticError: too hot to think"]
    assert post.column("dirty", "consignment") == []


def test_the_patrol_judges_what_is_under_way_and_leaves_the_rest(post: Post) -> None:
    post.registry.put_consignment(consignment(), "test")
    post.registry.put_consignment(consignment("C-2", received_at=iso(60)), "test")
    post.registry.put_consignment(consignment("C-3", carriage=[{"box": "BOX-1", "begins": iso(90_000)}]), "test")
    post.watch.judge_marked()
    assert post.watch.patrol() == 1


def test_a_flag_of_an_unregistered_consignment_waits_for_it(post: Post) -> None:
    with post.store.write() as connection:
        flag(connection, flagged(breach(1, None)), START_MS)
    assert post.watch.judge_marked() == 1
    assert post.column("breaches", "state") == ["provisional"]
    post.deliver(observe(30, 5.0))
    post.registry.put_consignment(consignment(), "test")
    post.watch.judge_marked()
    assert post.column("breaches", "state") == ["not_confirmed"]
    assert post.column("alerts", "kind") == ["breach", "retraction"]
