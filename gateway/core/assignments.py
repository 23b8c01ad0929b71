"""Which logger was in which box, when, and under which calibration. Pure: time comes in with each call.

A box keeps its history through every change of loggers: a reading belongs to the box in which its logger was when it
measured, corrected as the certificate of that time says.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Annotated

from pydantic import AwareDatetime, StringConstraints

from gateway.core.configuration import Assignment, Calibration, Code, Logger
from gateway.core.errors import InputError
from gateway.core.profiles import Model

AHEAD = timedelta(minutes=5)
"""So far a moment may lie in the future: clocks of desks differ."""


@dataclass(frozen=True, slots=True)
class Tenure:
    """A logger in a box under one calibration: [from_ms, until_ms), UTC. 0: from the beginning, None: it lasts."""

    logger: str
    box: str
    from_ms: int
    until_ms: int | None
    calibration: Calibration | None

    @property
    def offset_c(self) -> float:
        """What is added to what the logger says."""
        return 0.0 if self.calibration is None else self.calibration.offset_c

    def covers(self, at_ms: int) -> bool:
        """Whether it was there at this moment."""
        return self.from_ms <= at_ms and (self.until_ms is None or at_ms < self.until_ms)

    def overlaps(self, begins_ms: int, ends_ms: int | None) -> bool:
        """Whether it was there in any part of [begins_ms, ends_ms)."""
        return (ends_ms is None or self.from_ms < ends_ms) and (self.until_ms is None or begins_ms < self.until_ms)


def tenures_of(logger: Logger) -> list[Tenure]:
    """Return where a logger was, oldest first, the present included."""
    tenures = [
        Tenure(logger.address, past.box, _ms(past.begins), _ms(past.ends), past.calibration) for past in logger.former
    ]
    if logger.box is not None:
        tenures.append(Tenure(logger.address, logger.box, _ms(logger.since), None, logger.calibration))
    return tenures


def tenures_in(loggers: Iterable[Logger], box: str, begins_ms: int = 0, ends_ms: int | None = None) -> list[Tenure]:
    """Return who was in a box during any part of [begins_ms, ends_ms), in order of time."""
    found = [
        tenure
        for logger in loggers
        for tenure in tenures_of(logger)
        if tenure.box == box and tenure.overlaps(begins_ms, ends_ms)
    ]
    return sorted(found, key=lambda tenure: (tenure.from_ms, tenure.logger))


def offset_at(logger: Logger, at_ms: int) -> float:
    """Return what is added to what a logger said at a moment: by the certificate of then, else by the nearest."""
    tenures = tenures_of(logger)
    if not tenures:
        return 0.0 if logger.calibration is None else logger.calibration.offset_c
    return next((tenure for tenure in reversed(tenures) if tenure.from_ms <= at_ms), tenures[0]).offset_c


# --- changes


def assign(known: Logger | None, wanted: Logger, now: datetime) -> Logger:
    """Return `wanted` with the history that it has, given what was known of it.

    Another box, or another certificate, begins at `wanted.since`, now if that is not given. With both as before a
    `since` of its own corrects when the present began. A certificate that is named as before, or is the first, is a
    correction and holds from where the present began. Raises InputError for a moment that contradicts the history.
    """
    since = wanted.since
    if since is not None and since > now + AHEAD:
        raise InputError("since", "lies in the future")
    if known is None:
        return wanted.model_copy(update={"former": ()})
    if known.box == wanted.box and _is_one_certificate(known.calibration, wanted.calibration):
        return _correct(known, wanted)
    begins = now if since is None or since == known.since else since
    former = known.former
    if known.box is None:
        _check_after(former[-1].ends if former else None, begins)
    else:
        if _ms(begins) <= _ms(known.since):
            since_when = "1970" if known.since is None else _say(known.since)
            raise InputError("since", f"{known.address} is in {known.box} only since {since_when}")
        past = Assignment(box=known.box, begins=known.since, ends=begins, calibration=known.calibration)
        former = (*former, past)
    return wanted.model_copy(update={"since": begins, "former": former})


class SwapReason(StrEnum):
    """Why a logger leaves its box."""

    BATTERY = "battery"
    CALIBRATION = "calibration"
    DEFECT = "defect"
    OTHER = "other"


class Swap(Model):
    """`new` takes a logger's place in its box at a moment, now if `at` is not given.

    `calibration` is the certificate of `new`; without it, the one that it has already counts.
    """

    new: Code
    reason: SwapReason
    note: Annotated[str, StringConstraints(max_length=200)] = ""
    at: AwareDatetime | None = None
    calibration: Calibration | None = None

    @property
    def told(self) -> str:
        """The reason in one text."""
        return f"{self.reason.value}: {self.note}" if self.note else self.reason.value


def swap_of(old: Logger, known: Logger | None, swap: Swap, now: datetime) -> tuple[Logger, Logger]:
    """Return the logger that leaves and the one that comes, `known` if it was enrolled before; raises InputError.

    A logger that was not is taken to be of the kind of the one that leaves. Keys and certificates do not pass on.
    """
    if old.address == swap.new:
        raise InputError("new", "is the logger that leaves")
    if old.box is None:
        raise InputError("old", f"{old.address} is in no box")
    if known is not None and known.box is not None:
        raise InputError("new", f"{known.address} is in {known.box}: take it out first")
    at = now if swap.at is None else swap.at
    nothing = {"calibration": None, "bindkey": None, "serial": "", "former": ()}
    new = known or old.model_copy(update={"address": swap.new, **nothing})
    placed = {"box": old.box, "since": at, "calibration": swap.calibration or new.calibration}
    left = assign(old, old.model_copy(update={"box": None, "since": at}), now)
    return left, assign(known, new.model_copy(update=placed), now)


def _correct(known: Logger, wanted: Logger) -> Logger:
    """Keep the place and the history; a stated `since` moves the beginning, and the end of what it followed upon."""
    since = known.since if wanted.since is None else wanted.since
    former = known.former
    if since != known.since and former:
        last = former[-1]
        if last.ends == known.since and since is not None:
            if last.begins is not None and since <= last.begins:
                raise InputError("since", f"{known.address} came to {last.box} only at {_say(last.begins)}")
            former = (*former[:-1], last.model_copy(update={"ends": since}))
        else:
            _check_after(last.ends, since)
    return wanted.model_copy(update={"since": since, "former": former})


def _is_one_certificate(before: Calibration | None, after: Calibration | None) -> bool:
    if before is None or after is None:
        return True
    return (before.certificate, before.calibrated_at) == (after.certificate, after.calibrated_at)


def _check_after(ended: datetime | None, begins: datetime | None) -> None:
    if ended is not None and (begins is None or begins < ended):
        raise InputError("since", f"it was elsewhere until {_say(ended)}")


def _say(moment: datetime) -> str:
    return moment.isoformat(timespec="seconds")


def _ms(moment: datetime | None) -> int:
    return 0 if moment is None else round(moment.timestamp() * 1000)
