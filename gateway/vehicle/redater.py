"""Dates anew what this vehicle sealed before it knew the time, for its own early warning. The hub does it for good."""

from __future__ import annotations

from gateway.core.dating import Dating, Mark, redate
from gateway.core.observations import Observation
from gateway.core.records import ClockCorrection
from gateway.vehicle.outbox import Sealed


class Redater:
    """Takes the log in order. What was not trusted is kept back until the end, when the marks of its boot are known."""

    def __init__(self) -> None:
        self._marks: dict[bytes, list[Mark]] = {}
        self._untrusted: list[tuple[bytes, Observation]] = []

    def take(self, sealed: Sealed) -> list[Observation]:
        """Return what is trusted of a segment."""
        for record in sealed.content.records:
            if isinstance(record, ClockCorrection) and record.clock_trusted:
                mark = Mark(record.monotonic_ms, record.at_ms, record.error_ms)
                self._marks.setdefault(sealed.boot, []).append(mark)
        self._untrusted += [(sealed.boot, o) for o in sealed.content.observations if not o.clock_trusted]
        return [observation for observation in sealed.content.observations if observation.clock_trusted]

    def redated(self) -> list[Observation]:
        """Return the rest, with the best times that there are."""
        datings = {boot: Dating(tuple(sorted(marks))) for boot, marks in self._marks.items()}
        return [redate(observation, datings.get(boot, Dating())) for boot, observation in self._untrusted]
