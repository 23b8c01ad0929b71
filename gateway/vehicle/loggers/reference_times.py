"""When a reference logger's records were measured, in UTC. Pure.

Its clock runs evenly between two settings, so the records fall into *runs*: of one boot, without a mark that the clock
was set in between. One known moment dates a whole run, whatever its clock says:

1. measurements that were also heard live, by (boot, number): the overlap; their median is robust against late packets;
2. the clock at the moment of the download, for the run that lasts;
3. the run after it in the same boot: the time between the last record and the next is the interval.

A run that none of these reaches has a time only if its clock had been set; then that is taken, with an error that
says that nobody checked it. What is left has no time, and is counted.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import median

from gateway.vehicle.loggers.memory import MemoryRecord
from gateway.vehicle.loggers.reference import NUMBER_BITS
from gateway.vehicle.moments import Moment

CLOCK_SET, CLOCK_STEPPED = 1, 2
SHIFT_MS = 5_000
"""A clock that is set and off by more is reported: the document lets a reader set it again from some seconds on."""
HEARD_LATE_MS = 2_000
"""A broadcast is repeated every 2 s, and may be first heard at its repetition."""
UNCHECKED_MS = 3_600_000
"""Error stated for a clock that somebody set and nothing confirms: a wrong time zone is the usual mistake."""
SLACK_MS = 5_000
"""Clock and interval may disagree by so much: whole seconds, and a minute's drift of a cheap oscillator in a day."""
_NO_TEMPERATURE = -0x8000
_NUMBERS = 1 << NUMBER_BITS


@dataclass(frozen=True, slots=True)
class LogRecord:
    """A record as it is stored: boot, number, seconds of its clock, hundredths of a degree, marks."""

    boot: int
    number: int
    clock_s: int
    temperature_cc: int
    marks: int


@dataclass(frozen=True, slots=True)
class State:
    """What Log State said, and when it was read. `error_ms` is how long that took."""

    boot: int
    oldest_boot: int
    oldest_number: int
    newest_number: int
    stored: int
    interval_ms: int
    clock_s: int
    asked: Moment
    error_ms: int = 0

    def read_within(self, write_ms: int) -> State:
        """Say how long reading it took."""
        return replace(self, error_ms=write_ms)


@dataclass(frozen=True, slots=True)
class Dated:
    """Records with times; how many have none; how far the clock that is set now is off (UTC − clock), if it is."""

    records: tuple[MemoryRecord, ...]
    undated: int
    shift_ms: int | None


@dataclass(frozen=True, slots=True)
class _Offset:
    """What is added to a run's clock (ms), and a bound on the error."""

    offset_ms: int
    error_ms: int


def counter_of(boot: int, number: int) -> int:
    """Return the name under which the measurement is broadcast."""
    return (boot & 0xFF) << NUMBER_BITS | number % _NUMBERS


def date_records(records: Sequence[LogRecord], state: State, known: Mapping[int, int]) -> Dated:
    """Give each record its time."""
    runs = _runs(records)
    offsets: list[_Offset | None] = [None] * len(runs)
    for place in range(len(runs) - 1, -1, -1):
        run, is_last = runs[place], place == len(runs) - 1
        offsets[place] = (
            _from_overlap(run, known)
            or (_from_state(run[-1], state) if is_last else None)
            or (None if is_last else _from_next(run, runs[place + 1], offsets[place + 1], state.interval_ms))
            or (_Offset(0, UNCHECKED_MS) if run[0].marks & CLOCK_SET else None)
        )
    dated = [
        _date(record, offset)
        for run, offset in zip(runs, offsets, strict=True)
        if offset is not None
        for record in run
        if record.temperature_cc != _NO_TEMPERATURE
    ]
    undated = sum(len(run) for run, offset in zip(runs, offsets, strict=True) if offset is None)
    return Dated(tuple(dated), undated, _shift_ms(runs, offsets))


def _runs(records: Sequence[LogRecord]) -> list[list[LogRecord]]:
    runs: list[list[LogRecord]] = []
    for record in records:
        begins = not runs or runs[-1][-1].boot != record.boot or record.marks & CLOCK_STEPPED
        if begins:
            runs.append([])
        runs[-1].append(record)
    return runs


def _from_overlap(run: Sequence[LogRecord], known: Mapping[int, int]) -> _Offset | None:
    offsets = [
        at_ms - record.clock_s * 1000
        for record in run
        if (at_ms := known.get(counter_of(record.boot, record.number))) is not None
    ]
    if not offsets:
        return None
    middle_ms = round(median(offsets))
    return _Offset(middle_ms, HEARD_LATE_MS + max(abs(offset - middle_ms) for offset in offsets))


def _from_state(last: LogRecord, state: State) -> _Offset | None:
    """The clock counts whole seconds, and was read at some moment of the request. None if it was set since `last`."""
    if last.boot != state.boot:
        return None
    since_ms = (state.newest_number - last.number) * state.interval_ms
    since_clock_ms = (state.clock_s - last.clock_s) * 1000
    if not -SLACK_MS <= since_clock_ms - since_ms <= state.interval_ms + SLACK_MS:
        return None
    return _Offset(state.asked.at_ms + state.error_ms // 2 - state.clock_s * 1000 - 500, state.error_ms // 2 + 1000)


def _from_next(
    run: Sequence[LogRecord], after: Sequence[LogRecord], offset: _Offset | None, interval_ms: int
) -> _Offset | None:
    last, first = run[-1], after[0]
    if offset is None or last.boot != first.boot or first.number != last.number + 1:
        return None
    last_ms = first.clock_s * 1000 + offset.offset_ms - interval_ms
    return _Offset(last_ms - last.clock_s * 1000, offset.error_ms + 1000)


def _date(record: LogRecord, offset: _Offset) -> MemoryRecord:
    return MemoryRecord(
        at_ms=record.clock_s * 1000 + offset.offset_ms,
        error_ms=offset.error_ms,
        temperature_mc=record.temperature_cc * 10,
        counter=counter_of(record.boot, record.number),
    )


def _shift_ms(runs: Sequence[Sequence[LogRecord]], offsets: Sequence[_Offset | None]) -> int | None:
    """How far the newest run's clock is off, if it had been set, and by more than can be an error."""
    if not runs or offsets[-1] is None or not runs[-1][-1].marks & CLOCK_SET:
        return None
    newest = offsets[-1]
    is_off = newest.error_ms != UNCHECKED_MS and abs(newest.offset_ms) > SHIFT_MS + newest.error_ms
    return newest.offset_ms if is_off else None
