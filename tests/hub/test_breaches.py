from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from sqlalchemy import Connection, select

from gateway.core.verdicts import Breach, BreachKind
from gateway.hub.breaches.keeping import BreachState, StoredBreach, flag, read_breaches, read_covered, reconcile
from gateway.hub.database import schema
from gateway.hub.database.store import Store
from gateway.hub.replication.ingest import Ingest
from tests.hub.samples import MINUTE_MS, NOW_MS, breach, flagged, judgement
from tests.hub.vans import START_MS, Van, observe


class Desk:
    """The breaches of one store."""

    def __init__(self, store: Store) -> None:
        self.store = store

    @contextmanager
    def write(self) -> Iterator[Connection]:
        with self.store.write() as connection:
            yield connection

    def flag(self, one: Breach) -> tuple[int, bool]:
        with self.write() as connection:
            return flag(connection, flagged(one), NOW_MS)

    def judge(self, *breaches: Breach) -> None:
        with self.write() as connection:
            reconcile(connection, judgement(*breaches), read_covered(connection, "C-1"), NOW_MS)

    def breaches(self) -> list[StoredBreach]:
        with self.store.read() as connection:
            return read_breaches(connection)

    def states(self) -> list[BreachState]:
        return [one.state for one in self.breaches()]

    def alerts(self) -> list[tuple[str, int]]:
        with self.store.read() as connection:
            rows = connection.execute(select(schema.alerts.c.kind, schema.alerts.c.breach_id).order_by("id"))
            return [(row.kind, row.breach_id) for row in rows]


@pytest.fixture
def desk(store: Store) -> Desk:
    return Desk(store)


def test_a_flag_is_provisional_and_alerts_at_once(desk: Desk) -> None:
    assert desk.flag(breach(10, None)) == (1, True)
    assert desk.states() == [BreachState.PROVISIONAL]
    assert desk.alerts() == [("breach", 1)]


def test_the_same_flag_again_changes_nothing(desk: Desk) -> None:
    desk.flag(breach(10, None))
    assert desk.flag(breach(10, None)) == (1, False)
    assert desk.alerts() == [("breach", 1)]


def test_a_flag_of_the_same_stretch_under_another_start_is_the_same_breach(desk: Desk) -> None:
    desk.flag(breach(10, None))
    assert desk.flag(breach(12, None)) == (1, False)
    assert desk.alerts() == [("breach", 1)]


def test_the_watch_confirms_what_was_flagged_without_a_second_alert(desk: Desk) -> None:
    desk.flag(breach(10, None))
    desk.judge(breach(9, 30))
    (one,) = desk.breaches()
    assert (one.state, one.found_by, one.started_at_ms) == ("confirmed", "van-1", START_MS + 9 * MINUTE_MS)
    assert desk.alerts() == [("breach", 1)]


def test_a_flag_that_comes_after_the_watch_is_the_same_breach(desk: Desk) -> None:
    desk.judge(breach(9, 30))
    assert desk.flag(breach(10, None)) == (1, False)
    assert desk.alerts() == [("breach", 1)]


def test_a_flag_is_not_withdrawn_before_the_archive_covers_it(desk: Desk, store: Store, van: Van) -> None:
    desk.flag(breach(10, None))
    desk.judge()
    assert desk.states() == [BreachState.PROVISIONAL]
    van.seal(observe(0, 5.0))
    Ingest(store, lambda: NOW_MS).take(van.deliveries())
    desk.judge()
    assert desk.states() == [BreachState.NOT_CONFIRMED]
    assert desk.alerts() == [("breach", 1), ("retraction", 1)]
    desk.judge()
    assert desk.alerts() == [("breach", 1), ("retraction", 1)]


def test_what_a_recomputation_removes_is_superseded_and_stays_readable(desk: Desk) -> None:
    desk.judge(breach(10, 30))
    desk.judge()
    assert desk.states() == [BreachState.SUPERSEDED]
    assert desk.alerts() == [("breach", 1), ("retraction", 1)]


def test_what_comes_back_after_a_retraction_is_told_again(desk: Desk) -> None:
    desk.judge(breach(10, 30))
    desk.judge()
    desk.judge(breach(10, 30))
    assert desk.states() == [BreachState.CONFIRMED]
    assert desk.alerts() == [("breach", 1), ("retraction", 1), ("breach", 1)]


def test_growing_and_ending_updates_one_breach(desk: Desk) -> None:
    desk.judge(breach(10, None))
    desk.judge(breach(10, 30))
    (one,) = desk.breaches()
    assert one.ended_at_ms == START_MS + 30 * MINUTE_MS
    assert desk.alerts() == [("breach", 1)]


def test_two_that_merge_and_part_again_do_not_alert_again(desk: Desk) -> None:
    desk.judge(breach(10, 20), breach(30, 40))
    desk.judge(breach(10, 40))
    assert desk.states() == [BreachState.CONFIRMED, BreachState.SUPERSEDED]
    assert desk.breaches()[1].merged_into == 1
    desk.judge(breach(10, 20), breach(30, 40))
    assert desk.states() == [BreachState.CONFIRMED, BreachState.CONFIRMED]
    assert desk.alerts() == [("breach", 1), ("breach", 2)]


def test_pieces_of_a_split_get_identities_of_their_own(desk: Desk) -> None:
    late_trigger = Breach(
        "warm",
        BreachKind.SINGLE,
        START_MS,
        START_MS + 35 * MINUTE_MS,
        START_MS + 40 * MINUTE_MS,
        11.5,
        7.0,
        proven=True,
    )
    desk.judge(late_trigger)
    desk.judge(breach(0, 10), breach(30, 40))
    assert [one.started_at_ms for one in desk.breaches()] == [START_MS + 30 * MINUTE_MS, START_MS]
    assert len({one.key for one in desk.breaches()}) == 2
    assert desk.alerts() == [("breach", 1)]


def test_a_lasting_breach_is_one_whatever_its_start(desk: Desk) -> None:
    desk.judge(breach(10, None, BreachKind.CUMULATIVE))
    desk.judge(breach(5, None, BreachKind.CUMULATIVE))
    assert len(desk.breaches()) == 1
    assert desk.alerts() == [("breach", 1)]


def test_a_flag_of_something_unregistered_is_kept(desk: Desk) -> None:
    stranger = flagged(breach(10, None)).model_copy(update={"consignment": "C-9", "key": "0" * 32})
    with desk.write() as connection:
        assert flag(connection, stranger, NOW_MS) == (1, True)
    assert desk.states() == [BreachState.PROVISIONAL]
