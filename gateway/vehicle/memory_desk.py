"""Where somebody asks for a stretch of a logger's memory now, and sees how far it is."""

from __future__ import annotations

from collections.abc import Callable

from pydantic import BaseModel, ConfigDict, Field

from gateway.clock import Clock
from gateway.core.errors import InputError
from gateway.vehicle.backfill import Backfill, MemoryRadio
from gateway.vehicle.recorder import Stretch

STRETCH_MAX_MS = 31 * 86_400_000
"""No memory here holds more than a month at its usual interval."""


class MemoryQuestion(BaseModel):
    """A stretch of time, UTC in milliseconds."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    from_ms: int = Field(gt=0)
    to_ms: int = Field(gt=0)


class MemoryView(BaseModel):
    """How the reading of one logger's memory stands.

    present       it was heard, so it can be called
    missing       stretches that are still to be read
    reading       it is connected now
    answers       downloads since the start that told something; `records`, `new_records` and `complete` are the last's
    failures      attempts that failed since then; `trouble` says why the last one did
    """

    model_config = ConfigDict(frozen=True)

    logger: str
    present: bool
    missing: int
    reading: bool
    answers: int
    records: int
    new_records: int
    complete: bool
    failures: int
    trouble: str


class MemoryDesk:
    """Takes questions. `miss` lets a stretch be fetched as if it had been missed."""

    def __init__(self, backfill: Backfill, radio: MemoryRadio, clock: Clock, miss: Callable[[Stretch], None]) -> None:
        self._backfill = backfill
        self._radio = radio
        self._clock = clock
        self._miss = miss

    def show(self, logger: str) -> MemoryView:
        """Say how it stands; raises InputError for a logger without a memory that can be read."""
        backfill = self._backfill
        if logger not in backfill.intervals_s:
            raise InputError("logger", f"{logger} is not enrolled, or has no memory that can be read")
        told, troubles = backfill.told.get(logger), backfill.troubles.get(logger, [])
        return MemoryView(
            logger=logger,
            present=logger in self._radio.present(),
            missing=backfill.missing_of(logger),
            reading=logger in backfill.reading,
            answers=backfill.answers[logger],
            records=0 if told is None else told.records,
            new_records=0 if told is None else told.new_records,
            complete=told is not None and told.complete,
            failures=len(troubles),
            trouble=troubles[-1] if troubles else "",
        )

    def ask(self, logger: str, question: MemoryQuestion) -> MemoryView:
        """Ask for a stretch now; raises InputError."""
        self.show(logger)
        _check(question, self._clock.now_ms(), trusted=self._clock.trusted())
        self._miss(Stretch(logger, question.from_ms, question.to_ms))
        return self.show(logger)


def _check(question: MemoryQuestion, now_ms: int, *, trusted: bool) -> None:
    """Raise InputError for a stretch that cannot be asked for."""
    if not trusted:
        raise InputError("clock", "is not trusted yet: a memory would tell of other hours")
    if question.to_ms <= question.from_ms:
        raise InputError("to", "is not after from")
    if question.from_ms >= now_ms:
        raise InputError("from", "lies in the future")
    if question.to_ms - question.from_ms > STRETCH_MAX_MS:
        raise InputError("from", "at most 31 days at once")
