"""The sealer: what waits in memory becomes a segment on the disk, every interval, at once when it is urgent.

What is taken stays in memory until the disk has it, so a disk that refuses costs nothing but time.
"""

from __future__ import annotations

import asyncio
import logging
import sqlite3
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial

from gateway.clock import Clock
from gateway.core.contents import RECORDS_MAX, Content
from gateway.core.observations import Observation
from gateway.core.records import AnyRecord, MemoryRead
from gateway.vehicle.database import DiskThread
from gateway.vehicle.moments import read_moment
from gateway.vehicle.outbox import RECORDS_ADDED_MAX, Outbox, Sealed
from gateway.vehicle.recorder import Recorder, Stretch

log = logging.getLogger(__name__)

NOTES_MAX = 1000
"""Records other than observations that wait for the disk: three days of health records, should it refuse for so long;
then the oldest go."""
NOTES_PER_SEGMENT = 96


class Sealer:
    """Seals into one outbox. `on_sealed` are told of each segment once it is durable."""

    def __init__(self, clock: Clock, recorder: Recorder, outbox: Outbox, disk: DiskThread, *, interval_s: int) -> None:
        self.config_version = 0
        """Of the configuration in force; segments name it."""
        self.failures = 0
        """Refusals by the disk."""
        self.failure = ""
        """Why the disk refuses; empty while it does not."""
        self.on_sealed: list[Callable[[Sealed], None]] = []
        self._clock = clock
        self._recorder = recorder
        self._outbox = outbox
        self._disk = disk
        self._interval_s = interval_s
        self._notes: deque[AnyRecord] = deque(maxlen=NOTES_MAX)
        self._missing: list[Stretch] = []
        self._resolved: list[Stretch] = []
        self._hurry = asyncio.Event()
        self._lock = asyncio.Lock()

    def note(self, record: AnyRecord) -> None:
        """Add a record to the next segment."""
        self._notes.append(record)

    def miss(self, stretch: Stretch) -> None:
        """Keep a missing stretch with the next segment: with the very observation that ended it."""
        self._missing.append(stretch)

    def replace_missing(self, old: Stretch, new: Stretch) -> None:
        """Keep another stretch with the next segment, instead of one that may be on the disk already."""
        self._missing = [stretch for stretch in self._missing if stretch != old] + [new]
        self._resolved.append(old)

    def hurry(self) -> None:
        """Do not wait for the interval: a limit was crossed."""
        self._hurry.set()

    async def run(self) -> None:
        """Seal for ever."""
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(self._interval_s / self._clock.rate):
                    await self._hurry.wait()
            self._hurry.clear()  # before sealing: what is urgent from here on makes another round
            try:
                await self.seal_waiting()
            except sqlite3.Error as error:
                self._note_failure(error)

    async def seal_waiting(self) -> None:
        """Seal all that waits; raises sqlite3.Error, keeping what is not sealed."""
        async with self._lock:
            self._recorder.close_slots(read_moment(self._clock))
            while self._recorder.waiting or self._notes:
                notes = tuple(self._notes)[:NOTES_PER_SEGMENT]
                observations = self._recorder.take(RECORDS_MAX - len(notes) - RECORDS_ADDED_MAX)
                missing, resolved = tuple(self._missing), tuple(self._resolved)
                await self._seal(
                    Content(observations, notes),
                    resolved=resolved,
                    missing=missing,
                    on_durable=partial(self._confirm, observations, notes),
                )
                del self._missing[: len(missing)], self._resolved[: len(resolved)]

    async def seal_memory(
        self,
        observations: Sequence[Observation],
        record: MemoryRead,
        *,
        resolved: Sequence[Stretch],
        missing: Sequence[Stretch] = (),
    ) -> None:
        """Seal what a memory said. Stretches are resolved, and what is still missing of them kept, with its end."""
        limit = RECORDS_MAX - 1 - RECORDS_ADDED_MAX
        batches = [tuple(observations[start : start + limit]) for start in range(0, len(observations), limit)] or [()]
        async with self._lock:
            self._missing = [stretch for stretch in self._missing if stretch not in resolved]
            for batch in batches[:-1]:
                await self._seal(Content(batch))
            await self._seal(Content(batches[-1], (record,)), resolved=resolved, missing=missing)

    async def _seal(
        self,
        content: Content,
        *,
        resolved: Sequence[Stretch] = (),
        missing: Sequence[Stretch] = (),
        on_durable: Callable[[], None] | None = None,
    ) -> None:
        """One segment. A cancelled caller waits for the disk first: what is durable must be known as sealed."""
        commit = asyncio.create_task(
            self._disk.run(
                self._outbox.seal,
                content,
                sealed_at_ms=self._clock.now_ms(),
                config_version=self.config_version,
                resolved=resolved,
                missing=missing,
            ),
            name="commit",
        )
        cancelled: asyncio.CancelledError | None = None
        try:
            await asyncio.shield(commit)
        except asyncio.CancelledError as error:
            cancelled = error
        sealed = await commit
        self.failure = ""
        if on_durable is not None:
            on_durable()
        for tell in self.on_sealed:
            tell(sealed)
        if cancelled is not None:
            raise cancelled

    def _confirm(self, observations: Sequence[Observation], notes: Sequence[AnyRecord]) -> None:
        self._recorder.confirm(len(observations))
        sealed = {id(note) for note in notes}  # a full queue may have dropped some of them meanwhile
        while self._notes and id(self._notes[0]) in sealed:
            self._notes.popleft()

    def _note_failure(self, error: sqlite3.Error) -> None:
        self.failures += 1
        if str(error) != self.failure:
            log.error("the disk refuses a segment, it is kept in memory: %s", error)
        self.failure = str(error) or type(error).__name__
