"""Which logger's memory to read next, and what of it to keep. Pure: time and randomness come in.

A stretch enters when its logger has been heard again, so a logger that never comes back is never asked. After
ATTEMPTS failures in a row a logger rests until it is heard once more.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from gateway.core.observations import Observation, Source
from gateway.vehicle.loggers.memory import MemoryRecord
from gateway.vehicle.moments import Moment
from gateway.vehicle.recorder import Stretch

ATTEMPTS = 6
"""Failures in a row before a logger must be heard again: with doubling pauses, about half a minute."""
FIRST_PAUSE_S = 0.5
LONGEST_PAUSE_S = 60.0
STRETCHES_MAX = 64
"""Stretches remembered for one logger. One read resolves all of them, so more are merged into one."""


@dataclass(slots=True)
class _Turn:
    failures: int = 0
    not_before_s: float = 0.0
    asked_s: float = float("-inf")


class Backlog:
    """The stretches that are still missing, and whose turn it is. Times are real, monotonic seconds."""

    def __init__(self, rng: random.Random) -> None:
        self._rng = rng
        self._stretches: dict[str, list[Stretch]] = {}
        self._turns: dict[str, _Turn] = {}

    def __len__(self) -> int:
        return sum(len(stretches) for stretches in self._stretches.values())

    def add(self, stretch: Stretch) -> None:
        """Remember a stretch."""
        stretches = self._stretches.setdefault(stretch.logger, [])
        if stretch in stretches:
            return
        stretches.append(stretch)
        if len(stretches) > STRETCHES_MAX:
            begins_ms, ends_ms = min(s.from_ms for s in stretches), max(s.to_ms for s in stretches)
            self._stretches[stretch.logger] = [Stretch(stretch.logger, begins_ms, ends_ms)]

    def replace(self, old: Stretch, new: Stretch) -> bool:
        """Put a stretch in the place of one that is still missing; say whether it was."""
        stretches = self._stretches.get(old.logger, [])
        if old not in stretches:
            return False
        stretches[stretches.index(old)] = new
        return True

    def stretches(self, logger: str) -> tuple[Stretch, ...]:
        """What is missing of one logger."""
        return tuple(self._stretches.get(logger, ()))

    def heard(self, logger: str) -> None:
        """The logger is there: one that rested may be asked again."""
        turn = self._turns.get(logger)
        if turn is not None and turn.failures >= ATTEMPTS:
            turn.failures = ATTEMPTS - 1

    def choose(self, now_s: float, present: Iterable[str]) -> str | None:
        """Return the logger to ask now: of those present and not pausing, the one that waited longest."""
        ready = []
        for logger in present:
            turn = self._turns.setdefault(logger, _Turn()) if logger in self._stretches else None
            if turn is not None and turn.failures < ATTEMPTS and turn.not_before_s <= now_s:
                ready.append((turn.asked_s, logger))
        return min(ready, default=(0.0, None))[1]

    def failed(self, logger: str, now_s: float) -> None:
        """Pause for longer each time, jittered so that two vehicles do not meet again and again."""
        turn = self._turns.setdefault(logger, _Turn())
        pause_s = min(LONGEST_PAUSE_S, FIRST_PAUSE_S * 2.0**turn.failures)
        turn.failures += 1
        turn.asked_s = now_s
        turn.not_before_s = now_s + pause_s * self._rng.uniform(0.5, 1.0)

    def resolved(self, logger: str, stretches: Iterable[Stretch], now_s: float) -> None:
        """The memory answered completely for these stretches."""
        done = set(stretches)
        left = [stretch for stretch in self._stretches.get(logger, ()) if stretch not in done]
        if left:
            self._stretches[logger] = left
        else:
            self._stretches.pop(logger, None)
        turn = self._turns.setdefault(logger, _Turn())
        turn.failures = 0
        turn.asked_s = now_s


def select_records(
    records: Sequence[MemoryRecord], stretches: Sequence[Stretch], *, asked: Moment, interval_s: int
) -> tuple[Observation, ...]:
    """Return the records inside the stretches (widened by their own error) as observations.

    The monotonic time of a record is where it would lie in this boot, so that a later correction of the clock moves
    it with the rest; it may be before the boot, and negative.
    """
    return tuple(
        Observation(
            logger=stretches[0].logger,
            source=Source.MEMORY,
            measured_at_ms=record.at_ms,
            clock_trusted=asked.trusted,
            monotonic_ms=record.at_ms - asked.at_ms + asked.monotonic_ms,
            interval_s=interval_s,
            temperature_mc=record.temperature_mc,
            counter=record.counter,
            humidity_cpct=record.humidity_cpct,
            time_error_ms=record.error_ms + asked.error_ms,
        )
        for record in records
        if any(s.from_ms - record.error_ms <= record.at_ms <= s.to_ms + record.error_ms for s in stretches)
    )


def count_new(observations: Sequence[Observation], stretches: Sequence[Stretch]) -> int:
    """Return how many lie further than half an interval from what was heard live at the stretches' ends."""
    return sum(
        any(
            stretch.from_ms + observation.interval_s * 500
            < observation.measured_at_ms
            < stretch.to_ms - observation.interval_s * 500
            for stretch in stretches
        )
        for observation in observations
    )
