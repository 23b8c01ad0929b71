"""Columns of whole numbers in as few bits as they need. Exact; whatever arrives is a column or a ContentError.

A column is written in the shortest of four forms: one value for all; each value's distance from the smallest; the same
of the differences from row to row; or of the differences from the last row of the same logger. Distances are divided
by what divides them all (a thermometer's step) and take the bits of the largest. None is a value beside the numbers.
"""

from __future__ import annotations

import itertools
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum
from functools import lru_cache
from itertools import accumulate, pairwise
from math import gcd
from typing import cast

from gateway.core.errors import ContentError

Value = int | None

WIDTH_MAX = 64
"""Bits of the widest distance: what a signed 64-bit number can be away from another."""
NUMBER_MAX = 1 << 62
"""No column holds what a database could not; milliseconds since 1970 have 41 bits."""
_VARINT_BYTES_MAX = 10
_LANES = ((8, "B"), (16, "H"), (32, "I"), (64, "Q"))
"""Whole bytes that numbers are unpacked from, and what `struct` calls them."""


class Form(IntEnum):
    """How a column is written: the first byte, beside the flag that says that None occurs."""

    CONSTANT = 0
    PLAIN = 1
    STEPS = 2
    GROUPED = 3


_HAS_NONE = 4


class Reader:
    """Takes bytes from the front."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._place = 0

    def take(self, size: int) -> bytes:
        """The next bytes; raises ContentError if there are not so many."""
        taken = self._data[self._place : self._place + size]
        if len(taken) != size:
            raise ContentError("content_truncated", f"{size} bytes wanted, {len(taken)} left")
        self._place += size
        return taken

    def rest(self) -> bytes:
        """All that is left."""
        return self.take(len(self._data) - self._place)

    def byte(self) -> int:
        """The next byte, as a number."""
        place = self._place
        if place >= len(self._data):
            raise ContentError("content_truncated", "1 byte wanted, none left")
        self._place = place + 1
        return self._data[place]

    def varint(self) -> int:
        """A number from 0 on, seven bits a byte, the lowest first."""
        data, place = self._data, self._place
        value = shift = 0
        for byte in data[place : place + _VARINT_BYTES_MAX]:
            place += 1
            value |= (byte & 0x7F) << shift
            if byte < 0x80:  # noqa: PLR2004  the bit that says that more follows
                self._place = place
                return value
            shift += 7
        if place == len(data):
            raise ContentError("content_truncated", "1 byte wanted, none left")
        raise ContentError("content_number", f"a number of more than {_VARINT_BYTES_MAX} bytes")

    def signed(self) -> int:
        """A number of either sign: 0, -1, 1, -2 and so on are written as 0, 1, 2, 3."""
        value = self.varint()
        return -(value + 1 >> 1) if value & 1 else value >> 1


def pack_varint(value: int) -> bytes:
    """Write a number from 0 on."""
    packed = bytearray()
    while value > 0x7F:  # noqa: PLR2004  seven bits a byte
        packed.append(value & 0x7F | 0x80)
        value >>= 7
    packed.append(value)
    return bytes(packed)


def pack_signed(value: int) -> bytes:
    """Write a number of either sign."""
    return pack_varint(-2 * value - 1 if value < 0 else 2 * value)


def pack_column(values: Sequence[Value], groups: Sequence[int]) -> bytes:
    """Write a column; `groups` says for each row whose it is, if that is known already.

    Raises ValueError for numbers too far apart.
    """
    if not values:
        return b""
    if all(value == values[0] for value in values):
        return _pack_constant(values[0])
    numbers = [value for value in values if value is not None]
    if len(numbers) < len(values):
        smallest = min(numbers)  # None becomes 0, the smallest number 1
        shifted = [0 if value is None else value - smallest + 1 for value in values]
        return bytes([Form.PLAIN | _HAS_NONE]) + pack_signed(smallest) + _pack_distances(shifted)
    plain = bytes([Form.PLAIN]) + _pack_distances(numbers)
    steps = bytes([Form.STEPS]) + pack_signed(numbers[0]) + _pack_distances(_steps(numbers))
    return min((plain, steps, _pack_grouped(numbers, groups)) if groups else (plain, steps), key=len)


@dataclass(frozen=True, slots=True)
class Column:
    """A column that was read: its values, and their smallest and largest. None is among them only if `has_none`."""

    values: list[Value]
    smallest: int
    largest: int
    has_none: bool = False


def unpack_column(reader: Reader, count: int, groups: Sequence[int]) -> Column:
    """Read a column of `count` values; raises ContentError."""
    if count == 0:
        return Column([], 0, 0)
    kind = reader.byte()
    form, has_none = kind & ~_HAS_NONE, bool(kind & _HAS_NONE)
    if form == Form.CONSTANT:
        constant = 0 if has_none else reader.signed()
        column = Column([None if has_none else constant] * count, constant, constant, has_none)
    elif has_none and form == Form.PLAIN:
        smallest = reader.signed()
        distances = _unpack_distances(reader, count)
        values = [None if distance == 0 else distance + smallest - 1 for distance in distances]
        column = Column(values, smallest, smallest + max(distances) - 1, has_none)
    elif has_none or form > Form.GROUPED:
        raise ContentError("content_columns", f"unknown form {kind:#x}")
    else:
        numbers = _unpack_numbers(reader, form, count, groups)
        column = Column(cast("list[Value]", numbers), min(numbers), max(numbers))
    if column.smallest <= -NUMBER_MAX or column.largest >= NUMBER_MAX:
        raise ContentError("content_number", "a number of more than 62 bits")
    return column


def _unpack_numbers(reader: Reader, form: int, count: int, groups: Sequence[int]) -> list[int]:
    if form == Form.PLAIN:
        return _unpack_distances(reader, count)
    if form == Form.STEPS:
        first = reader.signed()
        return list(accumulate(_unpack_distances(reader, count - 1), initial=first))
    if len(groups) != count:
        raise ContentError("content_columns", "nothing is known yet by which to group")
    size, written, later = _order(tuple(groups))
    firsts_and_steps = _unpack_distances(reader, size) + _unpack_distances(reader, count - size)
    numbers = [firsts_and_steps[place] for place in written]
    for place, before in later:
        numbers[place] += numbers[before]
    return numbers


@lru_cache(maxsize=16)  # loggers mostly come in the same order again; 16 of RECORDS_MAX rows take some 5 MiB
def _order(groups: tuple[int, ...]) -> tuple[int, list[int], list[tuple[int, int]]]:
    """What a grouped column is put together by.

    That is: how many groups there are; for each row, which of the first numbers and then the steps is its own; and each
    row that is not its group's first, with the row of the group before it.
    """
    size = len(set(groups))
    firsts, steps = itertools.count(), itertools.count(size)
    latest: dict[int, int] = {}
    written, later = [], []
    for place, group in enumerate(groups):
        before = latest.get(group)
        latest[group] = place
        if before is None:
            written.append(next(firsts))
        else:
            written.append(next(steps))
            later.append((place, before))
    return size, written, later


def _pack_constant(value: Value) -> bytes:
    return bytes([Form.CONSTANT | _HAS_NONE]) if value is None else bytes([Form.CONSTANT]) + pack_signed(value)


def _pack_grouped(numbers: Sequence[int], groups: Sequence[int]) -> bytes:
    latest: dict[int, int] = {}
    firsts, steps = [], []
    for group, number in zip(groups, numbers, strict=True):
        if group in latest:
            steps.append(number - latest[group])
        else:
            firsts.append(number)
        latest[group] = number
    return bytes([Form.GROUPED]) + _pack_distances(firsts) + _pack_distances(steps)


def _steps(numbers: Sequence[int]) -> list[int]:
    return [after - before for before, after in pairwise(numbers)]


def _pack_distances(numbers: Sequence[int]) -> bytes:
    """Smallest, divisor, width, then a fixed number of bits for each, the last byte filled with zeros."""
    if not numbers:
        return b""
    smallest = min(numbers)
    unit = gcd(*(number - smallest for number in numbers)) or 1
    distances = [(number - smallest) // unit for number in numbers]
    width = max(distances).bit_length()
    if width > WIDTH_MAX:
        raise ValueError(f"numbers {smallest} and {max(numbers)} are too far apart for a column")
    bits = "".join(f"{distance:0{width}b}" for distance in distances) if width else ""
    size = -(-len(bits) // 8)
    packed = int(bits.ljust(size * 8, "0"), 2).to_bytes(size) if bits else b""
    return pack_signed(smallest) + pack_varint(unit) + bytes([width]) + packed


def _unpack_distances(reader: Reader, count: int) -> list[int]:
    if count == 0:
        return []
    smallest, unit = reader.signed(), reader.varint()
    width = reader.byte()
    if width > WIDTH_MAX:
        raise ContentError("content_columns", f"numbers of {width} bits, at most {WIDTH_MAX}")
    if width == 0:
        return [smallest] * count
    size = -(-count * width // 8)
    distances = _spread(reader.take(size), count, width)
    if unit == 1:
        return [smallest + distance for distance in distances] if smallest else list(distances)
    return [smallest + unit * distance for distance in distances]


def _spread(packed: bytes, count: int, width: int) -> Sequence[int]:
    """Read `count` numbers of `width` bits each.

    All are moved to whole bytes at once: the upper half of them by one shift, then the upper halves of both halves, and
    so on. That takes a dozen operations on one long number instead of several for each value.
    """
    lane, code = next((bits, code) for bits, code in _LANES if width <= bits)
    places = (count - 1).bit_length()
    number = int.from_bytes(packed) >> (len(packed) * 8 - count * width) << ((1 << places) - count) * width
    for keep, move, shift in _moves(places, width, lane):
        number = number & keep | (number & move) << shift
    return struct.unpack_from(f">{count}{code}", number.to_bytes((lane << places) // 8))


@lru_cache(maxsize=1024)  # the counts of RECORDS_MAX are 13 powers of two, the widths 64: every one fits
def _moves(places: int, width: int, lane: int) -> list[tuple[int, int, int]]:
    """The steps of `_spread` for 2**places numbers: (bits that stay, bits that move, how far to the left)."""
    moves = []
    for place in reversed(range(places)):
        group = 1 << place
        every = sum(1 << 2 * group * lane * number for number in range(1 << places - place - 1))
        low = ((1 << group * width) - 1) * every
        moves.append((low, low << group * width, group * (lane - width)))
    return moves
