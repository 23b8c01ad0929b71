"""Which of the marked consignments a watch takes, where several share the marks."""

from __future__ import annotations

from dataclasses import replace

import pytest

from gateway.core.configuration import Box, Logger
from gateway.hub.database.store import Store
from gateway.hub.judgement.folds import SAVED_EACH
from gateway.hub.judgement.turns import PATIENCE_S, Turns, Waiting
from gateway.hub.judgement.verdict_history import read_current
from gateway.hub.judgement.watch import Watch
from gateway.hub.record.archive import Archive
from gateway.hub.registry.configurations import Configurations
from gateway.hub.registry.registry import Registry
from gateway.hub.replication.ingest import Ingest
from gateway.hub.signals.dirty import clear_mark, mark_consignments, read_marks
from tests.hub.test_watch import FakeJudge, Hand, consignment
from tests.hub.vans import LOGGER, Van, observe

NEW = Waiting("C-0", 1000, None, None)
OWN = Waiting("C-1", 1001, "me", 900)
OTHERS = Waiting("C-2", 1002, "you", 900)


class Watched:
    """Real seconds, set by hand."""

    def __init__(self) -> None:
        self.now = 50.0

    def now_s(self) -> float:
        return self.now


@pytest.fixture
def time() -> Watched:
    return Watched()


def test_own_and_new_ones_are_taken_at_once_and_anothers_once_it_has_waited(time: Watched) -> None:
    turns = Turns("me", time.now_s)
    assert turns.choose([NEW, OWN, OTHERS]) == ["C-0", "C-1"]
    time.now += PATIENCE_S - 0.1
    assert turns.choose([OTHERS, OWN]) == ["C-1"]
    time.now += 0.1
    assert turns.choose([OTHERS, OWN]) == ["C-2", "C-1"]  # in line, not behind its own


def test_what_changes_while_it_is_judged_goes_behind_those_that_waited(store: Store) -> None:
    with store.write() as connection:
        mark_consignments(connection, ["C-1"], 1000)
        mark_consignments(connection, ["C-2"], 1001)
        [seen] = read_marks(connection, 1)
        mark_consignments(connection, ["C-1"], 1002)
        clear_mark(connection, seen, 1003)
        assert [mark.consignment for mark in read_marks(connection, 10)] == ["C-2", "C-1"]
        for mark in read_marks(connection, 10):
            clear_mark(connection, mark, 1004)
        assert read_marks(connection, 10) == []


@pytest.mark.parametrize(
    "again", [replace(OTHERS, marked_at_ms=1500), replace(OTHERS, saved_at_ms=1500), replace(OTHERS, keeper="they")]
)
def test_whoever_is_seen_at_work_is_left_at_it(time: Watched, again: Waiting) -> None:
    turns = Turns("me", time.now_s)
    assert turns.choose([OTHERS]) == []
    time.now += PATIENCE_S
    assert turns.choose([again]) == []
    time.now += PATIENCE_S
    assert turns.choose([again]) == ["C-2"]


def test_what_was_judged_meanwhile_has_not_waited(time: Watched) -> None:
    turns = Turns("me", time.now_s)
    assert turns.choose([OTHERS]) == []
    assert turns.choose([]) == []
    time.now += PATIENCE_S
    assert turns.choose([OTHERS]) == []


def test_a_consignment_stays_with_its_watch_until_that_is_silent(store: Store, van: Van, time: Watched) -> None:
    clock = Hand()
    archive, registry = Archive(store), Registry(store, clock.now_ms)
    configurations = Configurations(store, clock.now_ms)
    ingest = Ingest(store, clock.now_ms)
    one, two = (
        Watch(
            store, archive, registry, configurations, clock, make_judge=FakeJudge, name=name, now_s=time.now_s
        ).judge_marked
        for name in ("one", "two")
    )
    registry.put_box(Box(code="BOX-1"), "test")
    registry.put_logger(Logger(address=LOGGER, box="BOX-1"), "test")
    registry.put_consignment(consignment(), "test")

    def deliver(segments: int = 1) -> None:
        for _ in range(segments):
            van.seal(observe(30 * len(van.sealed), 5.0))
        ingest.take(van.deliveries(van.sealed[-segments:]))

    deliver(SAVED_EACH)
    assert one() == 1
    deliver()
    assert (two(), one()) == (0, 1)
    deliver()
    assert two() == 0
    time.now += PATIENCE_S  # `one` has been killed
    assert two() == 1
    deliver()
    assert (one(), two()) == (0, 1)  # it was only slow
    with store.read() as connection:
        (found,) = read_current(connection, "C-1")
    assert dict(found.judgement.reasons[0].parameters) == {"count": len(van.sealed)}
