"""Backfill: asks loggers' memories for what was missed, a few at a time, and seals the answers."""

from __future__ import annotations

import asyncio
import logging
import sqlite3
from collections import Counter
from collections.abc import Iterable, Sequence
from contextlib import suppress
from typing import Protocol

from gateway.clock import Clock
from gateway.core.observations import Observation
from gateway.core.records import MemoryRead
from gateway.vehicle.backlog import Backlog, count_new, select_records
from gateway.vehicle.download import MemoryAnswer
from gateway.vehicle.loggers.memory import MemoryRequest
from gateway.vehicle.radio import RadioError
from gateway.vehicle.recorder import Stretch
from gateway.vehicle.sealer import Sealer

log = logging.getLogger(__name__)

POLL_S = 0.25
"""Real seconds between looks at whose pause is over."""
TROUBLES_MAX = 100
"""Reasons kept of one logger; so many failures in a row take hours."""
KNOWN_MAX = 2880
"""Named measurements remembered of a logger: a day at one in 30 s, less than 300 KiB."""
MARGIN_INTERVALS = 2
"""Memory intervals asked for beyond the start of a stretch: some firmware leaves out the first record it is asked for,
and the logger rounds times."""


class MemoryRadio(Protocol):
    """What backfill needs of the radio."""

    def present(self) -> list[str]:
        """The loggers that can be called."""

    async def read_memory(self, request: MemoryRequest, clock: Clock) -> MemoryAnswer:
        """Download; raises RadioError."""


class Backfill:
    """Works off a backlog."""

    def __init__(
        self, radio: MemoryRadio, backlog: Backlog, sealer: Sealer, clock: Clock, *, connections: int = 1
    ) -> None:
        self.intervals_s: dict[str, int] = {}
        """Spacing of each logger's memory; loggers without one are absent."""
        self.named: set[str] = set()
        """Loggers whose memory names its records as they are broadcast."""
        self.reads = 0
        """Downloads that came to their end."""
        self.failures = 0
        """Connections that failed, and downloads that broke off."""
        self.records = 0
        """Records sealed that nothing heard live covers."""
        self.reading: set[str] = set()
        """The loggers being read now, `connections` at most."""
        self.told: dict[str, MemoryRead] = {}
        """What each memory answered last."""
        self.answers: Counter[str] = Counter()
        """Answers of each logger since the start."""
        self.troubles: dict[str, list[str]] = {}
        """Why attempts failed since a logger's last answer, the newest last."""
        self._connections = connections
        self._radio = radio
        self._backlog = backlog
        self._sealer = sealer
        self._clock = clock
        self._news = asyncio.Event()
        self._known: dict[str, dict[int, int]] = {}

    def __len__(self) -> int:
        return len(self._backlog)

    def add(self, stretch: Stretch) -> None:
        """Ask for a stretch."""
        self._backlog.add(stretch)
        self._news.set()

    def missing_of(self, logger: str) -> int:
        """How many stretches of a logger are missing."""
        return len(self._backlog.stretches(logger))

    def replace(self, old: Stretch, new: Stretch) -> bool:
        """Ask for another stretch instead, if the old one is still missing; say whether it was."""
        return self._backlog.replace(old, new)

    def heard(self, logger: str) -> None:
        """The logger is there."""
        self._backlog.heard(logger)

    def observed(self, observations: Iterable[Observation]) -> None:
        """Remember when named measurements were made: it bounds what is asked for, and dates what is told.

        What was observed by a clock that nobody vouched for dates nothing.
        """
        for observation in observations:
            if observation.logger in self.named and observation.counter is not None and observation.clock_trusted:
                known = self._known.setdefault(observation.logger, {})
                known.setdefault(observation.counter, observation.measured_at_ms)
                while len(known) > KNOWN_MAX:
                    del known[next(iter(known))]

    async def run(self) -> None:
        """Ask for ever. Who waited longest comes first, and who failed pauses: a bad logger starves nobody."""
        async with asyncio.TaskGroup() as readers:
            while True:
                logger = self._choose()
                if logger is not None:
                    self.reading.add(logger)
                    readers.create_task(self._ask(logger), name=f"memory of {logger}")
                    continue
                self._news.clear()
                with suppress(TimeoutError):
                    async with asyncio.timeout(POLL_S if len(self._backlog) else None):
                        await self._news.wait()

    def _choose(self) -> str | None:
        if len(self.reading) >= self._connections:
            return None
        there = self._radio.present()
        free = [logger for logger in there if logger in self.intervals_s and logger not in self.reading]
        return self._backlog.choose(asyncio.get_running_loop().time(), free)

    async def _ask(self, logger: str) -> None:
        stretches = self._backlog.stretches(logger)
        interval_s = self.intervals_s[logger]
        request = MemoryRequest(
            logger,
            from_ms=min(stretch.from_ms for stretch in stretches) - MARGIN_INTERVALS * interval_s * 1000,
            to_ms=max(stretch.to_ms for stretch in stretches),
            interval_s=interval_s,
            known=self._known.get(logger, {}),
        )
        try:
            answer = await self._radio.read_memory(request, self._clock)
            await self._keep(logger, stretches, answer, interval_s)
        except (RadioError, sqlite3.Error) as error:
            log.info("the memory of %s is not read yet: %s", logger, error)
            self.troubles.setdefault(logger, []).append(str(error))
            del self.troubles[logger][:-TROUBLES_MAX]
            self._fail(logger)
        finally:
            self.reading.discard(logger)
            self._news.set()

    async def _keep(self, logger: str, stretches: Sequence[Stretch], answer: MemoryAnswer, interval_s: int) -> None:
        told = answer.told
        observations = select_records(told.records, stretches, asked=answer.asked, interval_s=interval_s)
        left = () if answer.complete else still_missing(stretches, observations, told.through_ms)
        if left == tuple(stretches):
            raise RadioError(f"{logger}: the download broke off before anything new")
        new = count_new(observations, stretches)
        record = MemoryRead(
            at_ms=answer.asked.at_ms,
            clock_trusted=answer.asked.trusted,
            logger=logger,
            from_ms=min(stretch.from_ms for stretch in stretches),
            to_ms=max(stretch.to_ms for stretch in stretches),
            records=len(observations),
            new_records=new,
            complete=answer.complete,
        )
        for note in told.notes:
            self._sealer.note(note)
        await self._sealer.seal_memory(observations, record, resolved=stretches, missing=left)
        self.records += new
        self.told[logger] = record
        self.answers[logger] += 1
        self.troubles.pop(logger, None)
        self._backlog.resolved(logger, stretches, asyncio.get_running_loop().time())
        for stretch in left:
            self._backlog.add(stretch)
        if answer.complete:
            self.reads += 1
            log.info("the memory of %s told %d records, %d of them new", logger, len(observations), new)
        else:
            self._fail(logger)

    def _fail(self, logger: str) -> None:
        self.failures += 1
        self._backlog.failed(logger, asyncio.get_running_loop().time())


def still_missing(
    stretches: Sequence[Stretch], observations: Sequence[Observation], through_ms: int | None = None
) -> tuple[Stretch, ...]:
    """What is left of the stretches after a download that broke off, or has no hole up to `through_ms` only.

    Memories answer oldest first.
    """
    if through_ms is None:
        through_ms = max((observation.measured_at_ms for observation in observations), default=0)
    return tuple(
        Stretch(stretch.logger, max(stretch.from_ms, through_ms), stretch.to_ms)
        for stretch in stretches
        if stretch.to_ms > through_ms
    )
