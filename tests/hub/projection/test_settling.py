from __future__ import annotations

from collections.abc import Collection

from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from gateway.core.observations import Observation, Source
from gateway.core.readings import Reading, merge_observations
from gateway.hub.archive import Page
from gateway.hub.projection.settling import Settling
from tests.hub.vans import LOGGER, START_MS, observe


class Everything:
    """An archive that holds the portions up to the one that is settled: portion n came in segment n."""

    def __init__(self) -> None:
        self.portions: list[list[Observation]] = []

    def page(self, logger: str, from_ms: int, to_ms: int, *, seen: Collection[int] = ()) -> Page:
        wanted = [portion for number, portion in enumerate(self.portions) if number not in seen]
        return Page(tuple(o for portion in wanted for o in portion if from_ms <= o.measured_at_ms < to_ms), frozenset())

    def observations(self, logger: str, from_ms: int, to_ms: int) -> tuple[Observation, ...]:
        return self.page(logger, from_ms, to_ms).observations


class Points:
    """What a server would hold after all writes."""

    def __init__(self) -> None:
        self.archive = Everything()
        self.settling = Settling(self.archive)
        self.held: dict[int, Reading] = {}
        self.withdrawn: set[int] = set()

    def take(self, *news: Observation) -> None:
        self.archive.portions.append(list(news))
        change = self.settling.settle(LOGGER, news, 0.0, seen={len(self.archive.portions) - 1})
        for reading in change.withdrawn:
            self.withdrawn.add(reading.at_ms)
        for reading in change.settled:
            self.held[reading.at_ms] = reading
            self.withdrawn.discard(reading.at_ms)

    @property
    def standing(self) -> list[Reading]:
        return [self.held[at_ms] for at_ms in sorted(self.held.keys() - self.withdrawn)]


def remember(at_s: float, temperature_c: float) -> Observation:
    return replace(observe(at_s, temperature_c), source=Source.MEMORY, interval_s=300)


def test_in_order_nothing_is_read() -> None:
    points = Points()
    points.take(observe(0, 5.0, counter=1))
    points.archive.portions.clear()  # it would not be found again
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
    news = [observe(30 * i, 5.0, counter=i) for i in range(5)]
    points.take(*news)
    again = points.settling.settle(LOGGER, news, 0.0, seen={0})
    assert [reading.counter for reading in again.settled] == list(range(5))


live = st.builds(
    lambda slot, jitter_ms: replace(
        observe(30 * slot, 4 + slot % 7, counter=slot), measured_at_ms=START_MS + 30_000 * slot + jitter_ms
    ),
    st.integers(0, 60),
    st.integers(0, 2000),
)
remembered = st.builds(lambda slot: remember(300 * slot, 5.0), st.integers(0, 6))


@given(st.lists(st.lists(live | remembered, min_size=1, max_size=8), max_size=10))
def test_whatever_arrives_in_whatever_order_the_server_holds_what_merging_all_of_it_gives(
    portions: list[list[Observation]],
) -> None:
    points = Points()
    for portion in portions:
        points.take(*portion)
    everything = [observation for portion in portions for observation in portion]
    assert points.standing == list(merge_observations(everything).readings)
