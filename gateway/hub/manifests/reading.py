"""Text becomes lines of cells; what is wrong is named by line and column, and never repeats what must not be kept."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches

from gateway.hub.manifests.columns import NAMES, NEEDED
from gateway.language import Speech
from gateway.language.mistakes import EMPTY, TOO_LONG
from gateway.language.speech import N_

BYTES_MAX = 512 * 1024
"""Of one file: some four thousand lines, and half of what a request may hold."""
LINES_MAX = 1000
"""Of one file: a morning of a large laboratory. All or none is one transaction, and with so many it takes seconds."""
FAULTS_MAX = 100
"""Faults kept: nobody corrects more before trying again. All are counted."""
CELL_MAX = 200
_DELIMITERS = ";,\t"

TOO_LARGE = N_("The file is larger than {n} KiB: divide it.")
TOO_MANY_LINES = N_("The file has more than {n} lines: divide it.")
NOT_UTF8 = N_("The file is not UTF-8 text. In Excel, save it as “CSV UTF-8”.")
NO_LINES = N_("There are no lines below the first.")
NO_COLUMN = N_("This column is missing.")
UNKNOWN_COLUMN = N_("This column is unknown.")
UNKNOWN_COLUMN_NEAR = N_("This column is unknown; did you mean {name}?")
COLUMN_TWICE = N_("This column stands there twice.")
TOO_MANY_CELLS = N_("This line has more cells than the first has columns.")
NOT_CSV = N_("The quotation marks of this line do not match.")


@dataclass(frozen=True, slots=True)
class Fault:
    """Something wrong. `line` as an editor counts, 1 for the first; `column` is "" for the whole line."""

    line: int
    column: str
    reason: str
    parameters: Mapping[str, object] = field(default_factory=dict)

    def say(self, speech: Speech) -> str:
        """Return the reason in words."""
        return speech.gettext(self.reason).format(**self.parameters)


@dataclass(frozen=True, slots=True)
class Line:
    """A line's cells by column, stripped; columns that the file does not have are left out."""

    number: int
    cells: Mapping[str, str]

    def cell(self, column: str) -> str:
        """Return a cell, "" if it is empty."""
        return self.cells.get(column, "")


class Faults:
    """Collects what is wrong: all is counted, FAULTS_MAX are kept."""

    def __init__(self) -> None:
        self.kept: list[Fault] = []
        self.count = 0

    def add(self, line: int, column: str, reason: str, /, **parameters: object) -> None:
        """Note a fault."""
        self.count += 1
        if len(self.kept) < FAULTS_MAX:
            self.kept.append(Fault(line, column, reason, parameters))


def read_lines(data: bytes, faults: Faults) -> list[Line]:
    """Return the lines of a file below its first; comma, semicolon or tab may be between the cells."""
    if len(data) > BYTES_MAX:
        faults.add(1, "", TOO_LARGE, n=BYTES_MAX // 1024)
        return []
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        faults.add(data[: error.start].count(b"\n") + 1, "", NOT_UTF8)
        return []
    rows = _read_rows(text, faults)
    first = next(rows, None)
    if first is None:
        faults.add(1, "", EMPTY)
        return []
    columns = _read_columns(first[1], faults)
    lines: list[Line] = []
    for number, row in rows:
        if len(lines) >= LINES_MAX:
            faults.add(number, "", TOO_MANY_LINES, n=LINES_MAX)
            break
        lines.append(_read_line(number, row, columns, faults))
    if not lines and not faults.count:
        faults.add(1, "", NO_LINES)
    return lines


def _read_rows(text: str, faults: Faults) -> Iterator[tuple[int, list[str]]]:
    """Yield the rows that have anything in them, each with the number of its first line."""
    head = text.partition("\n")[0]
    delimiter = max(_DELIMITERS, key=head.count)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    begins = 1
    try:
        for row in reader:
            cells = [cell.strip() for cell in row]
            if any(cells):
                yield begins, cells
            begins = reader.line_num + 1
    except csv.Error:
        faults.add(begins, "", NOT_CSV)


def _read_columns(names: Sequence[str], faults: Faults) -> list[str]:
    columns = [name.casefold().replace(" ", "_") for name in names]
    while columns and not columns[-1]:
        columns.pop()  # a spreadsheet's empty columns on the right
    for place, name in enumerate(columns):
        if name not in NAMES:
            near = get_close_matches(name, NAMES, n=1, cutoff=0.55)
            if near:
                faults.add(1, name[:CELL_MAX], UNKNOWN_COLUMN_NEAR, name=near[0])
            else:
                faults.add(1, name[:CELL_MAX], UNKNOWN_COLUMN)
        elif name in columns[:place]:
            faults.add(1, name, COLUMN_TWICE)
    for name in NEEDED:
        if name not in columns:
            faults.add(1, name, NO_COLUMN)
    return columns


def _read_line(number: int, row: Sequence[str], columns: Sequence[str], faults: Faults) -> Line:
    if any(row[len(columns) :]):
        faults.add(number, "", TOO_MANY_CELLS)
    cells = {column: row[place] if place < len(row) else "" for place, column in enumerate(columns)}
    for column, cell in cells.items():
        if len(cell) > CELL_MAX:
            faults.add(number, column, TOO_LONG, n=CELL_MAX)
    return Line(number, {column: cell[:CELL_MAX] for column, cell in cells.items()})
