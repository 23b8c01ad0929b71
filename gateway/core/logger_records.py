"""What a judge keeps of each logger: all its observations, packed, and the readings they amount to.

A vehicle that was offline for three days with 50 loggers judges some 216,000 observations, a hub a million. As objects
they take some 500 bytes each; packed 28. To go on later, in another process, only the newest are needed: see `Kept`.
"""

from __future__ import annotations

import struct
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import cast

import msgspec

from gateway.core.errors import ForgottenError
from gateway.core.observations import Observation, Source
from gateway.core.readings import HALF_WRAP_MS, Reading, add_memory, merge_counted, merge_order, to_reading

NEWS_MAX = 1000
"""Readings told as they are; of more, as after days offline, all are unpacked again: that takes no memory meanwhile."""
LATE_MAX = 1000
"""Observations out of order that wait for being merged, unless somebody asks before."""
COUNTED_MIN = 256
"""Numbers remembered before the first are forgotten."""
TAIL = 64
"""Observations kept to go on from: what a second gateway repeats is within the last half hour, or is late anyway."""
KINDS_PLAIN = 16
"""Kinds kept without looking which of them are needed. A logger that measures light has one for each value."""
RUN_MS = 3_600_000
"""The longest run of numbers: a counter comes round to them after a day, by when they must be known to be old."""
RUNS_MAX = 32
"""Runs kept: a counter makes one in an hour, and one more when it wraps, or its logger starts again."""

_ROW = struct.Struct("<3qI")
_NONE = -(1 << 63)


_Kind = tuple[Source, bool, int, int, int | None, int | None]
"""What many observations of one logger have in common: source, clock_trusted, interval_s, time_error_ms, light_lux,
shock_mg."""


class Numbers(msgspec.Struct, array_like=True, frozen=True):
    """Numbers that rose from `first` to `last`, from `began_ms` to `ended_ms`; not each of them was heard."""

    first: int
    last: int
    began_ms: int
    ended_ms: int


class Kept(msgspec.Struct, array_like=True, frozen=True):
    """What is needed of a record to take what comes after it, in order.

    logger, offset_c     whose it is
    rows, kinds          its newest observations, packed
    older                numbers that those before them bore
    covered_ms           what a memory record stands for ends there
    conflicts            time, number, and the other value claimed for it
    """

    logger: str
    offset_c: float
    rows: bytes
    kinds: list[_Kind]
    older: list[Numbers]
    covered_ms: int
    conflicts: list[tuple[int, int, int]]


class PackedObservations:
    """Observations of one logger in order of time: what merging looks at of them, and which of them are readings."""

    def __init__(self, logger: str = "", rows: bytes = b"", kinds: Iterable[_Kind] = ()) -> None:
        self._logger = logger
        self._rows = bytearray(rows)
        self._kind_at = list(kinds)
        self._kinds = {kind: number for number, kind in enumerate(self._kind_at)}
        self._latest: _Kind | None = None  # most are of the kind of the one before
        self._latest_bits = 0
        self.newest_ms = self._time_at(len(self) - 1) if rows else _NONE
        """Of the latest; far in the past while there is none."""

    def __len__(self) -> int:
        return len(self._rows) // _ROW.size

    def __iter__(self) -> Iterator[Observation]:
        return (self._unpack(*row) for row in _ROW.iter_unpack(self._rows))

    def __contains__(self, observation: Observation) -> bool:
        if observation.measured_at_ms > self.newest_ms:
            return False
        place = bisect_left(range(len(self)), observation.measured_at_ms, key=self._time_at)
        sought = _comparable(observation)
        while place < len(self) and self._time_at(place) == observation.measured_at_ms:
            if _comparable(self[place]) == sought:
                return True
            place += 1
        return False

    def __getitem__(self, place: int) -> Observation:
        return self._unpack(*_ROW.unpack_from(self._rows, place * _ROW.size))

    def readings(self, first: int = 0) -> Iterator[Observation]:
        """Yield those that are readings, from a place on."""
        return (self._unpack(*row) for row in self._rows_from(first) if row[-1] & 1)

    def numbers(self, first: int, end: int) -> Iterator[tuple[int, int]]:
        """Yield (number, time) of those that bear one, between two places."""
        return (
            (counter, at_ms) for at_ms, _, counter, _ in islice(self._rows_from(first), end - first) if counter != _NONE
        )

    def tail(self, first: int) -> tuple[bytes, list[_Kind]]:
        """Return what is packed from a place on, with the kinds that it refers to."""
        if len(self._kind_at) <= KINDS_PLAIN:
            return bytes(self._rows[first * _ROW.size :]), self._kind_at
        rows = list(self._rows_from(first))
        used = sorted({number >> 1 for *_, number in rows})
        renumbered = {number: place for place, number in enumerate(used)}
        packed = b"".join(_ROW.pack(*row[:3], renumbered[row[3] >> 1] << 1 | row[3] & 1) for row in rows)
        return packed, [self._kind_at[number] for number in used]

    def reading_places(self) -> Iterator[int]:
        """Yield where these are."""
        return (place for place, row in enumerate(_ROW.iter_unpack(self._rows)) if row[-1] & 1)

    def place_after(self, at_ms: int) -> int:
        """The place of the first that is later than a moment."""
        return bisect_right(range(len(self)), at_ms, key=self._time_at)

    def append(self, observation: Observation, *, is_reading: bool) -> None:
        """Add one that is not earlier than any here."""
        self.extend((observation,), is_reading=is_reading)

    def extend(self, observations: Sequence[Observation], *, is_reading: bool) -> None:
        """Add several in order of time, none earlier than any here."""
        rows, pack = self._rows, _ROW.pack
        for observation in observations:
            kind = (
                observation.source,
                observation.clock_trusted,
                observation.interval_s,
                observation.time_error_ms,
                observation.light_lux,
                observation.shock_mg,
            )
            if kind != self._latest:
                number = self._kinds.setdefault(kind, len(self._kind_at))
                if number == len(self._kind_at):
                    self._kind_at.append(kind)
                self._latest, self._latest_bits = kind, number << 1
            counter = _NONE if observation.counter is None else observation.counter
            at_ms = observation.measured_at_ms
            rows += pack(at_ms, observation.temperature_mc, counter, self._latest_bits | is_reading)
        if observations:
            self._logger = observations[-1].logger
            self.newest_ms = max(self.newest_ms, observations[-1].measured_at_ms)

    def _rows_from(self, first: int) -> Iterator[tuple[int, int, int, int]]:
        rows = self._rows if first == 0 else self._rows[first * _ROW.size :]
        return cast("Iterator[tuple[int, int, int, int]]", _ROW.iter_unpack(rows))

    def _time_at(self, place: int) -> int:
        at_ms: int = _ROW.unpack_from(self._rows, place * _ROW.size)[0]
        return at_ms

    def _unpack(self, at_ms: int, temperature_mc: int, counter: int, number: int) -> Observation:
        source, clock_trusted, interval_s, time_error_ms, light_lux, shock_mg = self._kind_at[number >> 1]
        return Observation(  # its fields in order: by name takes twice as long
            self._logger,
            source,
            at_ms,
            clock_trusted,
            0,  # the monotonic time, humidity and battery order nothing here
            interval_s,
            temperature_mc,
            None if counter == _NONE else counter,
            None,
            None,
            time_error_ms,
            light_lux,
            shock_mg,
        )


def pack_merged(observations: Iterable[Observation], kept: Sequence[Observation]) -> PackedObservations:
    """Pack all of one logger; `kept` are the readings among them, in their order."""
    reading = {id(observation) for observation in kept}
    others = [observation for observation in observations if id(observation) not in reading]
    packed = PackedObservations()
    for observation in sorted((*kept, *others), key=lambda observation: observation.measured_at_ms):
        packed.append(observation, is_reading=id(observation) in reading)
    return packed


def _comparable(observation: Observation) -> tuple[object, ...]:
    """What is packed of an observation."""
    return observation.source, merge_order(observation)


class LoggerRecord:
    """All observations of one logger, and the readings they amount to, kept up as they come.

    An observation that plainly comes next is appended; any other that is new makes the whole record merge again, so
    that the outcome is always that of `merge_observations`. A record that goes on from what was kept of another takes
    only what comes next: it raises ForgottenError where it would need the rest.
    """

    def __init__(self, offset_c: float = 0.0, half_wrap_ms: int = HALF_WRAP_MS, *, kept: Kept | None = None) -> None:
        self._offset_c = offset_c
        self._half_wrap_ms = half_wrap_ms
        self._late: list[Observation] = []
        self._counted: dict[int, int] = {}  # number → the place of what bears it
        self._counted_max = COUNTED_MIN
        self._older: list[Numbers] = []  # of what lies before a place: see `keep`
        self._older_end = 0
        self._is_part = kept is not None
        self._forgotten = () if kept is None else tuple(kept.older)  # numbers of which only this is known
        self._forgotten_max = max((run.last for run in self._forgotten), default=-1)
        if kept is None:
            self._packed = PackedObservations()
            self._covered_ms = _NONE  # what a memory record stands for ends there
            self._conflicts: set[tuple[int, int, int]] = set()  # time, number, and the other value claimed for it
        else:
            self._packed = PackedObservations(kept.logger, kept.rows, kept.kinds)
            self._covered_ms = kept.covered_ms
            self._conflicts = set(kept.conflicts)
            self._older = list(kept.older)
            self._number()
        self._told: int | None = len(self._packed)  # so many have been told; None: all must be read again
        self._news: list[Reading] | None = []  # since then; None: too many

    def add(self, observations: Sequence[Observation]) -> None:
        """Take observations; one that is here already changes nothing."""
        place = self._append_plain(observations, 0)
        while place < len(observations):
            self._add_one(observations[place])
            place = self._append_plain(observations, place + 1)

    def _append_plain(self, observations: Sequence[Observation], first: int) -> int:
        """Append as many as plainly come next, from a place on; return the place of the next.

        That is what `_add_one` does with each of them: live, later than all, not near a memory record, and with a
        number that none has borne.
        """
        if self._late:
            return first
        counted, forgotten_max = self._counted, self._forgotten_max
        latest_ms = max(self._packed.newest_ms, self._covered_ms)
        place, row = first, len(self._packed)
        for observation in islice(observations, first, min(len(observations), first + COUNTED_MIN)):
            at_ms, number = observation.measured_at_ms, observation.counter
            if observation.source is not Source.LIVE or at_ms <= latest_ms:
                break
            if number is not None:
                if number in counted or number <= forgotten_max:
                    break
                counted[number] = row
            latest_ms = at_ms
            place += 1
            row += 1
        if place > first:
            plain = observations[first:place]
            self._packed.extend(plain, is_reading=True)
            self._forget_numbers(latest_ms)
            self._tell(plain)
        return place

    def _add_one(self, observation: Observation) -> None:
        if self._late or not self._is_next(observation):
            if observation not in self._packed:
                self._take_late(observation)
            return
        number = observation.counter
        if number is not None:
            if (number in self._counted or number <= self._forgotten_max) and self._is_repeated(observation, number):
                return
            self._note_number(number, observation.measured_at_ms, len(self._packed))
        self._packed.append(observation, is_reading=True)
        self._tell((observation,))

    def _tell(self, observations: Iterable[Observation]) -> None:
        if self._news is not None:
            self._news += [to_reading(observation, self._offset_c) for observation in observations]
            if len(self._news) > NEWS_MAX:
                self._news = None

    @property
    def conflicts(self) -> Sequence[int]:
        """When there were pairs of observations that claim the same measurement with different values (ms UTC)."""
        self._settle()
        return sorted(at_ms for at_ms, _, _ in self._conflicts)

    def readings(self) -> Sequence[Reading]:
        """Return all readings in order of time."""
        self._settle()
        if self._is_part:
            raise ForgottenError("the readings before those that were kept")
        return [to_reading(observation, self._offset_c) for observation in self._packed.readings()]

    def take_news(self) -> list[Reading] | None:
        """Return the readings appended since the last call; None if all must be read again."""
        self._settle()
        told, self._told = self._told, len(self._packed)
        news, self._news = self._news, []
        if told is None:
            return None
        return (
            news
            if news is not None
            else [to_reading(observation, self._offset_c) for observation in self._packed.readings(told)]
        )

    def keep(self, logger: str) -> Kept:
        """Return what is needed to go on from here."""
        self._settle()
        first = max(self._older_end, len(self._packed) - TAIL)
        for number, at_ms in self._packed.numbers(self._older_end, first):
            _note_older(self._older, number, at_ms)
        self._older_end = first
        matters_ms = self._packed.newest_ms - self._half_wrap_ms
        self._older = [run for run in self._older if run.ended_ms > matters_ms]
        rows, kinds = self._packed.tail(first)
        return Kept(logger, self._offset_c, rows, kinds, list(self._older), self._covered_ms, sorted(self._conflicts))

    def _is_next(self, observation: Observation) -> bool:
        """Whether appending gives what merging would: live, later than all, and not near a memory record."""
        at_ms = observation.measured_at_ms
        return observation.source is Source.LIVE and at_ms > self._packed.newest_ms and at_ms > self._covered_ms

    def _take_late(self, observation: Observation) -> None:
        if self._is_part:
            raise ForgottenError("the observations among which a late one belongs")
        self._late.append(observation)
        if len(self._late) >= LATE_MAX:
            self._settle()

    def _is_repeated(self, observation: Observation, number: int) -> bool:
        """Keep an observation of a measurement that is there already, and say that it was one."""
        place = self._counted.get(number)
        if place is None:
            self._check_forgotten(number, observation.measured_at_ms)
            return False
        known = self._packed[place]
        if observation.measured_at_ms - known.measured_at_ms >= self._half_wrap_ms:
            return False
        self._packed.append(observation, is_reading=False)
        if known.temperature_mc != observation.temperature_mc:
            self._conflicts.add((known.measured_at_ms, number, observation.temperature_mc))
        return True

    def _check_forgotten(self, number: int, at_ms: int) -> None:
        """Raise ForgottenError if something that was not kept may have borne a number."""
        if any(
            run.first <= number <= run.last and at_ms - run.ended_ms < self._half_wrap_ms for run in self._forgotten
        ):
            raise ForgottenError("whether a number was borne before")

    def _note_number(self, number: int, at_ms: int, place: int) -> None:
        self._counted[number] = place
        self._forget_numbers(at_ms)

    def _forget_numbers(self, at_ms: int) -> None:
        if len(self._counted) > self._counted_max:
            # Half a wrap old, a number can be borne again; nothing that is still to be appended is older.
            first = self._packed.place_after(at_ms - self._half_wrap_ms)
            self._counted = {number: place for number, place in self._counted.items() if place >= first}
            self._counted_max = max(COUNTED_MIN, len(self._counted) * 3 // 2)

    def _number(self) -> None:
        """Note all numbers of what is packed."""
        self._counted, self._counted_max = {}, COUNTED_MIN
        for place in self._packed.reading_places():
            observation = self._packed[place]
            if observation.source is Source.LIVE and observation.counter is not None:
                self._note_number(observation.counter, observation.measured_at_ms, place)

    def _settle(self) -> None:
        """Merge again what came late."""
        if not self._late:
            return
        observations = list(dict.fromkeys((*self._packed, *self._late)))
        self._late = []
        live, _, conflicts = merge_counted(
            sorted((o for o in observations if o.source is Source.LIVE), key=merge_order), self._half_wrap_ms
        )
        kept, _ = add_memory(live, [o for o in observations if o.source is Source.MEMORY])
        self._packed = pack_merged(observations, kept)
        self._conflicts = {(known.measured_at_ms, known.counter or 0, o.temperature_mc) for known, o in conflicts}
        self._number()
        covered = (o.measured_at_ms + o.interval_s * 500 for o in kept if o.source is Source.MEMORY)
        self._covered_ms = max(covered, default=_NONE)
        self._older, self._older_end = [], 0
        self._told, self._news = None, []


def _note_older(runs: list[Numbers], number: int, at_ms: int) -> None:
    """Add a number to runs of them; what they cover may be more than what was noted, never less."""
    latest = runs[-1] if runs else None
    if latest is not None and latest.last <= number and at_ms - latest.began_ms < RUN_MS:
        runs[-1] = Numbers(latest.first, number, latest.began_ms, at_ms)
        return
    runs.append(Numbers(number, number, at_ms, at_ms))
    if len(runs) > RUNS_MAX:
        one, other = runs[:2]
        joined = Numbers(min(one.first, other.first), max(one.last, other.last), one.began_ms, other.ended_ms)
        runs[:2] = [joined]
