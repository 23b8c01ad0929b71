"""Columns of whole numbers in as few bits as they need. Exact; whatever arrives is a column or a ContentError.

A column is written in the shortest of four forms: one value for all; each value's distance from the smallest; the same
of the differences from row to row; or of the differences from the last row of the same logger. Distances are divided
by what divides them all (a thermometer's step) and take the bits of the largest. None is a value beside the numbers.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import IntEnum
from itertools import accumulate, pairwise
from math import gcd

from gateway.core.errors import ContentError

Value = int | None

WIDTH_MAX = 64
"""Bits of the widest distance: what a signed 64-bit number can be away from another."""
NUMBER_MAX = 1 << 62
"""No column holds what a database could not; milliseconds since 1970 have 41 bits."""
_VARINT_BYTES_MAX = 10


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

    def varint(self) -> int:
        """A number from 0 on, seven bits a byte, the lowest first."""
        value = 0
        for place in range(_VARINT_BYTES_MAX):
            (byte,) = self.take(1)
            value |= (byte & 0x7F) << 7 * place
            if byte < 0x80:  # noqa: PLR2004  the bit that says that more follows
                return value
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


def unpack_column(reader: Reader, count: int, groups: Sequence[int]) -> list[Value]:
    """Read a column of `count` values; raises ContentError."""
    if count == 0:
        return []
    (kind,) = reader.take(1)
    form, has_none = kind & ~_HAS_NONE, bool(kind & _HAS_NONE)
    if form == Form.CONSTANT:
        return [None if has_none else _checked(reader.signed())] * count
    if has_none and form == Form.PLAIN:
        smallest = reader.signed()
        distances = _unpack_distances(reader, count)
        return [None if distance == 0 else _checked(distance + smallest - 1) for distance in distances]
    if has_none or form not in tuple(Form):
        raise ContentError("content_columns", f"unknown form {kind:#x}")
    return [_checked(number) for number in _unpack_numbers(reader, Form(form), count, groups)]


def _checked(number: int) -> int:
    if abs(number) >= NUMBER_MAX:
        raise ContentError("content_number", "a number of more than 62 bits")
    return number


def _unpack_numbers(reader: Reader, form: Form, count: int, groups: Sequence[int]) -> list[int]:
    if form is Form.PLAIN:
        return _unpack_distances(reader, count)
    if form is Form.STEPS:
        first = reader.signed()
        return list(accumulate([first, *_unpack_distances(reader, count - 1)]))
    if len(groups) != count:
        raise ContentError("content_columns", "nothing is known yet by which to group")
    size = len(set(groups))
    firsts = iter(_unpack_distances(reader, size))
    steps = iter(_unpack_distances(reader, count - size))
    latest: dict[int, int] = {}
    numbers = []
    for group in groups:
        latest[group] = latest[group] + next(steps) if group in latest else next(firsts)
        numbers.append(latest[group])
    return numbers


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
    (width,) = reader.take(1)
    if width > WIDTH_MAX:
        raise ContentError("content_columns", f"numbers of {width} bits, at most {WIDTH_MAX}")
    if width == 0:
        return [smallest] * count
    size = -(-count * width // 8)
    bits = f"{int.from_bytes(reader.take(size)):0{size * 8}b}"
    return [smallest + unit * int(bits[start : start + width], 2) for start in range(0, count * width, width)]
