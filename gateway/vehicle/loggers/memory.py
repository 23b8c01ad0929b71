"""Reading a logger's memory, whoever made it: what a conversation needs of its kind, as a pure state machine.

The radio carries it: it reads `reads`, listens to `notifies`, writes what `begin` and `feed` return, and stops when
the download is complete, stalls, or loses its link. What arrived until then is told in any case, and how far it has
no hole.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Protocol

from gateway.core.errors import ColdchainError
from gateway.core.records import AnyRecord
from gateway.vehicle.moments import Moment


class LogProtocolError(ColdchainError):
    """What the logger sends is no answer to a log request."""


class Progress(Enum):
    """Where a download stands. BROKEN is an end that its own check sums contradict, or that came too early."""

    RECEIVING = "receiving"
    COMPLETE = "complete"
    BROKEN = "broken"


@dataclass(frozen=True, slots=True)
class MemoryRequest:
    """What is wanted of a memory: UTC in ms, ends included.

    interval_s  spacing of its records
    known       when this gateway heard numbered measurements of it: counter → UTC in ms
    """

    logger: str
    from_ms: int
    to_ms: int
    interval_s: int
    known: Mapping[int, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class MemoryRecord:
    """One record of a memory: UTC in ms, a bound on its error, millidegrees, 0.01 %, its number if it has one."""

    at_ms: int
    error_ms: int
    temperature_mc: int
    humidity_cpct: int | None = None
    counter: int | None = None


@dataclass(frozen=True, slots=True)
class Write:
    """A value to write (with response) to a characteristic."""

    characteristic: str
    data: bytes


@dataclass(frozen=True, slots=True)
class Feed:
    """What a notification led to: whether the download lives, and what to write in answer."""

    is_alive: bool = True
    reply: Write | None = None


@dataclass(frozen=True, slots=True)
class Told:
    """What a memory said.

    records     in order of time
    through_ms  up to where nothing is missing in between; None: up to the last record
    notes       for the record: the logger's clock, records without a time
    """

    records: tuple[MemoryRecord, ...]
    through_ms: int | None = None
    notes: tuple[AnyRecord, ...] = ()


class MemorySession(Protocol):
    """One conversation with one logger. `begin` may be called again: the download then begins anew."""

    reads: tuple[str, ...]
    """Characteristics to read before each begin."""
    notifies: str
    """The characteristic to listen to."""

    @property
    def progress(self) -> Progress:
        """Where the download stands."""

    def begin(self, asked: Moment, values: Sequence[bytes]) -> Write | None:
        """Begin at this moment, with the values of `reads`; None where there is nothing to ask for."""

    def written(self, write_ms: int) -> None:
        """Hear how long reads and request took, in domain time."""

    def feed(self, data: bytes) -> Feed:
        """Take a notification; raises LogProtocolError."""

    def is_precise(self) -> bool:
        """Whether the answer is as good as it can be; if not, it is worth to begin anew."""

    def told(self) -> Told:
        """What arrived so far."""
