"""Loggers as they are heard, for benchmarks: what 50 of them say in a day, sealed as the vehicle seals it."""  # noqa: INP001  beside scripts

from __future__ import annotations

import math
import random
from collections.abc import Iterator, Sequence

from gateway.core.contents import Content
from gateway.core.observations import Observation, Source
from gateway.core.records import AnyRecord, Health

START_MS = 1_750_000_000_000
MEASURES_S = 1.285
"""Between two measurements of a RuuviTag."""
MISSED = 0.2
"""Advertisements that are not heard."""
BOXES_C = (5.0, 5.0, 5.0, 22.0, -20.0)
HEALTH_S = 300
COUNTERS = {"heard": 1_950, "decoded": 1_900, "scanning": 1, "sealed": 1_440, "stored_bytes": 9_000_000, "sent": 1_440}


class Tag:
    """A RuuviTag: steps of 0.005 °C, 0.01 % and 1 mV, a 16-bit number; its box drifts and is held where it belongs."""

    def __init__(self, rng: random.Random, kept_c: float | None = None) -> None:
        self._rng = rng
        self.address = rng.randbytes(6).hex(":").upper()
        self._phase_s = rng.uniform(0, MEASURES_S)
        self._first = rng.randrange(65_535)
        self._kept_c = rng.choice(BOXES_C) if kept_c is None else kept_c
        self._temperature_c = self._kept_c + rng.gauss(0, 0.4)
        self._humidity_pct = rng.uniform(30, 80)
        self._battery_mv = rng.randrange(2880, 3060)

    def hear(self, after_s: float, interval_s: int, start_ms: int) -> Observation:
        """The first advertisement heard after a moment."""
        number = math.ceil((after_s - self._phase_s) / MEASURES_S) + (self._rng.random() < MISSED)
        at_ms = start_ms + round((self._phase_s + number * MEASURES_S) * 1000 + self._rng.uniform(0, 10))
        self._temperature_c += self._rng.gauss(0, 0.03) + (self._kept_c - self._temperature_c) * 0.01
        self._humidity_pct = min(95.0, max(5.0, self._humidity_pct + self._rng.gauss(0, 0.08)))
        return Observation(
            logger=self.address,
            source=Source.LIVE,
            measured_at_ms=at_ms,
            clock_trusted=True,
            monotonic_ms=at_ms - start_ms + 5_000_000,
            interval_s=interval_s,
            temperature_mc=round(self._temperature_c * 200) * 5,
            counter=(self._first + number) % 65_535,
            humidity_cpct=round(self._humidity_pct * 100),
            battery_mv=self._battery_mv + self._rng.choice([0, 0, 0, 2, -2]),
        )


def make_tags(count: int, kept_c: float | None = None) -> list[Tag]:
    """The same ones on each run."""
    rng = random.Random(1)  # noqa: S311  no secret
    return [Tag(rng, kept_c) for _ in range(count)]


def hear_contents(
    tags: Sequence[Tag],
    interval_s: int,
    duration_s: int,
    *,
    each: int = 1,
    start_ms: int = START_MS,
    health: bool = True,
) -> Iterator[Content]:
    """What the vehicle seals: of each recording interval the first of each logger, and its health every five minutes.

    each  intervals in one segment
    """
    for begin_s in range(0, duration_s, interval_s * each):
        heard = [tag.hear(begin_s + interval_s * place, interval_s, start_ms) for place in range(each) for tag in tags]
        records: tuple[AnyRecord, ...] = ()
        if health and begin_s % HEALTH_S < interval_s * each:
            records = (Health(start_ms + begin_s * 1000, clock_trusted=True, counters=COUNTERS),)
        yield Content(tuple(sorted(heard, key=lambda observation: observation.measured_at_ms)), records)
