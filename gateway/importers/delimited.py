"""Readings out of delimited text (CSV, and its kin with semicolons or tabs), by a stated mapping.

Nothing about the meaning of a column is guessed: the caller names the column of the time and of the temperature, the
unit, and the time zone unless the times carry an offset. Rows are read one at a time.
"""

from __future__ import annotations

import csv
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, tzinfo
from enum import StrEnum
from itertools import pairwise

from gateway.core.errors import InputError
from gateway.core.observations import Source
from gateway.core.readings import Reading
from gateway.core.verdicts import Gap
from gateway.importers.local_time import LocalClock, moment_ms, time_parser
from gateway.importers.recording import Recording

FORM = "csv"
DELIMITERS = (",", ";", "\t")
NO_VALUE = frozenset({"", "-", "--", "--.-", "na", "n/a", "nan", "null", "none"})
_NUMBER = re.compile(r"[+-]?(?:\d{1,9}(?:[.,]\d{1,12})?|[.,]\d{1,12})")
_TEMPERATURE_C = (-273.15, 200.0)
_STEPS_SAMPLED = 10_000
"""Steps that the interval is found from; a logger shows its interval in far fewer."""


class Unit(StrEnum):
    """The unit of a temperature column."""

    CELSIUS = "c"
    FAHRENHEIT = "f"
    KELVIN = "k"


_TO_CELSIUS: dict[Unit, Callable[[float], float]] = {
    Unit.CELSIUS: lambda value: value,
    Unit.FAHRENHEIT: lambda value: (value - 32) / 1.8,
    Unit.KELVIN: lambda value: value - 273.15,
}


@dataclass(frozen=True, slots=True)
class Mapping:
    """What the columns mean.

    time_columns        titles, or numbers from 1; several are joined by a space (a date and a time)
    temperature_column  title, or number from 1
    clock               zone of times without an offset; None if all times carry one
    time_form           strptime pattern; None is ISO 8601
    delimiter           None: the one of , ; and TAB that the header has most of
    interval_s          None: the step that occurs most often
    skip_lines          lines before the header
    serial              of the logger, which such files do not state
    """

    time_columns: Sequence[str]
    temperature_column: str
    unit: Unit
    clock: LocalClock | None = None
    time_form: str | None = None
    delimiter: str | None = None
    interval_s: int | None = None
    skip_lines: int = 0
    serial: str = ""


@dataclass(frozen=True, slots=True)
class Row:
    """One row: UTC milliseconds, °C (None where there is no value), and its line."""

    at_ms: int
    temperature_c: float | None
    line: int


def parse_delimited(lines: Iterable[str], where: str, mapping: Mapping) -> Recording:
    """Return the recording that the lines of a file hold; raises InputError naming file, line and field.

    Rows may be in any order of time. A row that says exactly what another said is dropped and counted.
    """
    rows = list(iter_rows(lines, where, mapping))
    if not rows:
        raise InputError("file", "has no rows below its header", where=where)
    notes = []
    if any(after.at_ms < before.at_ms for before, after in pairwise(rows)):
        rows.sort(key=lambda row: row.at_ms)
        notes.append("the rows were not in order of time: they were sorted")
    distinct = list(dict.fromkeys((row.at_ms, row.temperature_c) for row in rows))
    times = list(dict.fromkeys(at_ms for at_ms, _ in distinct))
    if len(times) < len(distinct):
        notes.append(f"{len(distinct) - len(times)} rows give another value for the time of another row: all were kept")
    interval_s = mapping.interval_s or _find_interval_s(times, where)
    zone, zone_name = _zone_of(mapping)
    return Recording(
        form=FORM,
        device="",
        serial=mapping.serial,
        firmware="",
        interval_s=interval_s,
        start_delay_s=None,
        zone=zone,
        zone_name=zone_name,
        begins_ms=times[0],
        ends_ms=times[-1] + interval_s * 1000,
        readings=tuple(
            Reading(at_ms, value_c, interval_s, Source.MEMORY, clock_trusted=True)
            for at_ms, value_c in distinct
            if value_c is not None
        ),
        missing=tuple(_missing(distinct, interval_s * 1000)),
        repeated=len(rows) - len(distinct),
        notes=tuple(notes),
    )


@dataclass(frozen=True, slots=True)
class Survey:
    """What a first look at a file says. `is_ordered`: no row is earlier than, or of the time of, the one before."""

    rows: int
    interval_s: int
    is_ordered: bool


def survey_delimited(lines: Iterable[str], where: str, mapping: Mapping) -> Survey:
    """Go through a file once, a row in memory at a time; raises InputError as `parse_delimited` does."""
    sampled: list[int] = []
    count, before_ms, is_ordered = 0, None, True
    for row in iter_rows(lines, where, mapping):
        count += 1
        is_ordered = is_ordered and (before_ms is None or before_ms < row.at_ms)
        before_ms = row.at_ms
        if len(sampled) <= _STEPS_SAMPLED:
            sampled.append(row.at_ms)
    if not count:
        raise InputError("file", "has no rows below its header", where=where)
    interval_s = mapping.interval_s or (_find_interval_s(sampled, where) if is_ordered else 0)
    return Survey(count, interval_s, is_ordered)


def iter_readings(lines: Iterable[str], where: str, mapping: Mapping, interval_s: int) -> Iterator[Reading]:
    """Yield the readings of a file whose rows are in order of time."""
    for row in iter_rows(lines, where, mapping):
        if row.temperature_c is not None:
            yield Reading(row.at_ms, row.temperature_c, interval_s, Source.MEMORY, clock_trusted=True)


def iter_rows(lines: Iterable[str], where: str, mapping: Mapping) -> Iterator[Row]:
    """Yield the rows in the order of the file; raises InputError at the first that cannot be understood."""
    source = iter(lines)
    for _ in range(mapping.skip_lines):
        next(source, None)
    header = next(source, "").lstrip("\ufeff")
    delimiter = mapping.delimiter or max(DELIMITERS, key=header.count)
    titles = [title.strip() for title in next(csv.reader([header], delimiter=delimiter), [])]
    header_where = f"{where}:{mapping.skip_lines + 1}"
    times = [_place("--time-column", title, titles, header_where) for title in mapping.time_columns]
    temperature = _place("--temperature-column", mapping.temperature_column, titles, header_where)
    reader = csv.reader(source, delimiter=delimiter, strict=True)
    read = _RowReader(where, mapping, times, temperature)
    try:
        for cells in reader:
            if any(cell.strip() for cell in cells):
                yield read(cells, reader.line_num + mapping.skip_lines + 1)
    except csv.Error as error:
        line = reader.line_num + mapping.skip_lines + 1
        raise InputError("line", str(error), where=f"{where}:{line}") from error


class _RowReader:
    """Reads one row after the other; it remembers the time before, which tells the two passes of an hour apart."""

    def __init__(self, where: str, mapping: Mapping, times: Sequence[int], temperature: int) -> None:
        self._where = where
        self._clock = mapping.clock
        self._parse_time = time_parser(mapping.time_form)
        self._form = mapping.time_form
        self._to_celsius = _TO_CELSIUS[mapping.unit]
        self._unit = mapping.unit
        self._times = times
        self._temperature = temperature
        self._width = max([*times, temperature]) + 1
        self._before_ms: int | None = None

    def __call__(self, cells: Sequence[str], line: int) -> Row:
        if len(cells) < self._width:
            raise self._fault("line", line, f"has {len(cells)} cells, the columns named need {self._width}")
        at_ms = self._moment(" ".join(cells[place].strip() for place in self._times), line)
        self._before_ms = at_ms
        return Row(at_ms, self._value(cells[self._temperature].strip(), line), line)

    def _moment(self, text: str, line: int) -> int:
        try:
            moment = self._parse_time(text)
        except ValueError as error:
            hint = "--format says another form" if self._form is None else f"by --format {self._form!r}"
            raise self._fault("time", line, f"{text!r} is no time ({hint})") from error
        if moment.tzinfo is not None:
            return moment_ms(moment)
        if self._clock is None:
            raise self._fault("time", line, f"{text!r} has no offset from UTC: say --timezone")
        try:
            return self._clock.to_ms(moment, self._before_ms)
        except ValueError as error:
            raise self._fault("time", line, str(error)) from error

    def _value(self, text: str, line: int) -> float | None:
        if text.lower() in NO_VALUE:
            return None
        if _NUMBER.fullmatch(text) is None:
            raise self._fault("temperature", line, f"{text!r} is no number")
        celsius = round(self._to_celsius(float(text.replace(",", "."))), 3)
        if not _TEMPERATURE_C[0] <= celsius <= _TEMPERATURE_C[1]:
            raise self._fault("temperature", line, f"{text} is no temperature of a logger in unit {self._unit}")
        return celsius

    def _fault(self, field: str, line: int, reason: str) -> InputError:
        return InputError(field, reason, where=f"{self._where}:{line}")


def _place(option: str, wanted: str, titles: Sequence[str], where: str) -> int:
    """Return where a column is; its title counts before its number."""
    if wanted in titles:
        if titles.count(wanted) > 1:
            raise InputError(option, f"two columns are named {wanted!r}: give its number", where=where)
        return titles.index(wanted)
    if wanted.isdecimal() and 1 <= int(wanted) <= len(titles):
        return int(wanted) - 1
    shown = ", ".join(repr(title) for title in titles[:20])
    raise InputError(option, f"there is no column {wanted!r}; there are {shown or 'none'}", where=where)


def _find_interval_s(times_ms: Sequence[int], where: str) -> int:
    """Return the most common step in whole seconds; of equally common ones the shortest."""
    steps = Counter(round((after - before) / 1000) for before, after in pairwise(times_ms[: _STEPS_SAMPLED + 1]))
    del steps[0]
    if not steps:
        raise InputError("--interval", "cannot be found from a single row: state it", where=where)
    return min(steps, key=lambda step: (-steps[step], step))


def _missing(rows: Sequence[tuple[int, float | None]], step_ms: int) -> Iterator[Gap]:
    """Yield the stretches of rows without a value: from the first of them to the next value."""
    begins_ms = None
    for at_ms, value_c in rows:
        if value_c is None:
            begins_ms = at_ms if begins_ms is None else begins_ms
        elif begins_ms is not None:
            yield Gap(begins_ms, at_ms)
            begins_ms = None
    if begins_ms is not None:
        yield Gap(begins_ms, rows[-1][0] + step_ms)


def _zone_of(mapping: Mapping) -> tuple[tzinfo, str]:
    if mapping.clock is None:
        return UTC, "offsets in the file"
    return mapping.clock.zone, mapping.clock.name
