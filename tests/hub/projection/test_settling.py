from __future__ import annotations

from collections.abc import Collection, Mapping
from collections.abc import Set as AbstractSet

from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from gateway.core.observations import Observation, Source
from gateway.core.readings import Reading, merge_observations, to_reading
from gateway.hub.projection.settling import Change, Settling, Told
from gateway.hub.record.archive import News
from gateway.hub.record.index import HOUR_MS, Places
from tests.hub.vans import LOGGER, START_MS, observe


class Everything:
    """An archive that holds the portions up to the one that is settled: portion n came in segment n."""

    def __init__(self) -> None:
        self.portions: list[list[Observation]] = []

    def news(self, loggers: Collection[str], from_ms: int, to_ms: int, seen: Places) -> News:
        wanted = [portion for number, portion in enumerate(self.portions) if (number, 0) not in seen]
        return News(tuple(o for portion in wanted for o in portion if from_ms <= o.measured_at_ms < to_ms), {})

    def projected_until(self, epochs: Mapping[str, AbstractSet[int]], from_ms: int) -> Mapping[str, int]:
        (own,) = epochs[LOGGER]
        others = [o.measured_at_ms for number, p in enumerate(self.portions) if number < own for o in p]
        return {LOGGER: (max(others) // HOUR_MS + 1) * HOUR_MS} if others else {}


class Points:
    """What a server would hold after all writes."""

    def __init__(self) -> None:
        self.archive = Everything()
        self.settling = Settling(self.archive)
        self.held: dict[int, Reading] = {}
        self.withdrawn: set[int] = set()

    def take(self, *news: Observation) -> None:
        """Each portion is an epoch of its own."""
        self.archive.portions.append(list(news))
        change = self.settle(len(self.archive.portions) - 1)
        for reading in change.withdrawn:
            self.withdrawn.add(reading.at_ms)
        for reading in readings_of(change):
            self.held[reading.at_ms] = reading
            self.withdrawn.discard(reading.at_ms)

    def settle(self, number: int) -> Change:
        told = Told(LOGGER, 0.0, self.archive.portions[number], {number})
        (change,) = self.settling.settle([told], {(number, 0): 1})
        return change

    @property
    def standing(self) -> list[Reading]:
        return [self.held[at_ms] for at_ms in sorted(self.held.keys() - self.withdrawn)]


def readings_of(change: Change) -> list[Reading]:
    return [*change.settled, *(to_reading(o, change.offset_c) for o in change.added)]


def remember(at_s: float, temperature_c: float) -> Observation:
    return replace(observe(at_s, temperature_c), source=Source.MEMORY, interval_s=300)


def test_in_order_nothing_is_read() -> None:
    points = Points()
    points.take(observe(0, 5.0, counter=1))
    points.archive.portions[0].clear()  # it would not be found again
    points.take(observe(30, 5.1, counter=2))
    points.take(observe(30.5, 5.1, counter=2))  # another van's, a moment later
    assert [reading.counter for reading in points.standing] == [1, 2]


def test_a_memory_record_gives_way_to_what_was_heard_live_beside_it() -> None:
    points = Points()
    points.take(remember(0, 5.0))
    points.take(observe(100, 5.0, counter=1))
    assert [reading.source for reading in points.standing] == [Source.LIVE]


def test_given_again_the_same_is_changed() -> None:
    points = Points()
    points.take(*(observe(30 * i, 5.0, counter=i) for i in range(5)))
    assert [reading.counter for reading in readings_of(points.settle(0))] == list(range(5))


def test_a_projector_that_begins_asks_for_what_others_have_written_already() -> None:
    points = Points()
    points.take(*(observe(600 * i, 5.0, counter=i) for i in range(3)))
    points.settling = Settling(points.archive)
    points.take(observe(1, 5.0, counter=0))
    points.take(observe(1201, 5.0, counter=2))  # far from what it has seen itself
    assert [reading.counter for reading in points.standing] == [0, 1, 2]


def test_a_counter_that_comes_again_after_it_has_wrapped_is_another_measurement() -> None:
    points = Points()
    points.take(observe(0, 5.0, counter=1))
    points.take(observe(23 * 3600, 6.0, counter=1), observe(23 * 3600 + 30, 6.0, counter=2))
    points.take(observe(23 * 3600 + 31, 6.0, counter=2), observe(46 * 3600 + 31, 6.0, counter=2))
    assert [reading.counter for reading in points.standing] == [1, 1, 2, 2]


live = st.builds(
    lambda slot, jitter_ms: replace(
        observe(30 * slot, 4 + slot % 7, counter=slot), measured_at_ms=START_MS + 30_000 * slot + jitter_ms
    ),
    st.integers(0, 60),
    st.integers(0, 2000),
)
remembered = st.builds(lambda slot: remember(300 * slot, 5.0), st.integers(0, 6))


@given(st.lists(st.lists(live | remembered, min_size=1, max_size=8), max_size=10), st.integers(1, 10))
def test_whatever_arrives_in_whatever_order_the_server_holds_what_merging_all_of_it_gives(
    portions: list[list[Observation]], restarts_at: int
) -> None:
    points = Points()
    for number, portion in enumerate(portions):
        if number == restarts_at:
            points.settling = Settling(points.archive)
        points.take(*portion)
    everything = [observation for portion in portions for observation in portion]
    assert points.standing == list(merge_observations(everything).readings)
