"""The outline that Berlinger devices write: nested sections by indentation, and tables of tab-separated rows.

::

    Conf:
     Serial: RCPJ00010
     Alarm:
      1:
       Type: 2, T AL: 8.0, t AL: 30
    Data:
    <TAB>yyyy-MM-dd hh:mm<TAB>T<TAB>Out of limits
    <TAB>2022-11-08 04:49<TAB>4.4<TAB>

Every value keeps its line, so that a fault can be shown where it is.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from gateway.core.errors import InputError

LINES_MAX = 1_000_000
"""Ten years of readings at five minutes; a longer file is none of a logger."""
LINE_LENGTH_MAX = 2000
DEPTH_MAX = 8
_FREE_TEXT = "User String"


@dataclass(frozen=True, slots=True)
class Value:
    """A text and where it stands."""

    text: str
    line: int


@dataclass(frozen=True, slots=True)
class Row:
    """A row of a table: its cells, without the tab that opens it."""

    cells: tuple[str, ...]
    line: int


@dataclass(slots=True)
class Section:
    """A named part: entries (one mapping for each line), parts inside it, and table rows."""

    name: str
    line: int
    where: str
    path: str = ""
    entries: list[dict[str, Value]] = field(default_factory=list)
    parts: dict[str, Section] = field(default_factory=dict)
    rows: list[Row] = field(default_factory=list)

    def part(self, name: str) -> Section:
        """Return a part; an empty one if the file has none of that name."""
        return self.parts.get(name) or Section(name, self.line, self.where, self._path_of(name))

    def find(self, key: str) -> Value | None:
        """Return the first value of a key; None if it is missing or empty."""
        return next((entry[key] for entry in self.entries if key in entry and entry[key].text), None)

    def need(self, key: str) -> Value:
        """Return the value of a key that every such file has; raises InputError."""
        value = self.find(key)
        if value is None:
            raise InputError(self._path_of(key), "is missing: not a whole file", where=f"{self.where}:{self.line}")
        return value

    def fault(self, key: str, value: Value, reason: str) -> InputError:
        """Return the error for a value that cannot be understood."""
        return InputError(self._path_of(key), reason, where=f"{self.where}:{value.line}")

    def inside(self, name: str, line: int) -> Section:
        """Return an empty section at a place inside this one."""
        return Section(name, line, self.where, self._path_of(name))

    def _path_of(self, name: str) -> str:
        return f"{self.path}.{name}" if self.path else name


def read_outline(lines: Iterable[str], where: str) -> Section:
    """Return the root section; raises InputError for what is no outline."""
    root = Section("", 1, where)
    open_sections = [root]
    for number, raw in enumerate(lines, start=1):
        if number > LINES_MAX or len(raw) > LINE_LENGTH_MAX:
            raise InputError("file", "too long for a logger's file", where=f"{where}:{number}")
        line = raw.rstrip("\r\n")
        if line.startswith("\t"):
            open_sections[-1].rows.append(Row(tuple(cell.strip() for cell in line[1:].split("\t")), number))
        elif line.strip():
            _read_line(open_sections, line, number, where)
    return root


def _read_line(open_sections: list[Section], line: str, number: int, where: str) -> None:
    depth = len(line) - len(line.lstrip(" "))
    if depth >= DEPTH_MAX:
        raise InputError("line", "is indented too far", where=f"{where}:{number}")
    if depth >= len(open_sections):
        raise InputError("line", "is indented below nothing", where=f"{where}:{number}")
    del open_sections[depth + 1 :]
    parent = open_sections[depth]
    pairs = dict(_pairs(line.strip(), number, where))
    parent.entries.append(pairs)
    name = next(iter(pairs))
    if len(pairs) == 1 and not pairs[name].text:
        section = parent.inside(name, number)
        parent.parts[name] = section
        open_sections.append(section)


def _pairs(text: str, number: int, where: str) -> Iterator[tuple[str, Value]]:
    pieces = [text] if text.startswith(_FREE_TEXT) else text.split(", ")
    for piece in pieces:
        key, colon, value = piece.partition(":")
        if not colon or not key:
            raise InputError("line", f"{piece[:40]!r} is not 'key: value'", where=f"{where}:{number}")
        yield key, Value(value.strip(), number)
