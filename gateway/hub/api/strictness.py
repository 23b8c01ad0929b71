"""JSON taken literally: what two readers could read differently, or a database could not hold, is refused.

The bounds hold before any model sees the document. RFC 8259 leaves duplicate names and large numbers to each reader;
RFC 7493 (I-JSON) forbids them, and so does this.
"""

from __future__ import annotations

import json
import math
import re
from collections import Counter
from collections.abc import Sequence
from typing import NoReturn

from gateway.core.errors import InputError

DEPTH_MAX = 32
"""Brackets within brackets. A consignment, the deepest document there is, has eight."""
INTEGER_MAX = 1 << 53
"""Whole numbers up to this one are kept exactly by every reader of JSON."""
_DIGITS_MAX = 20
"""Of a number that is looked at at all: converting a long one takes the square of its length."""
_PARTS = re.compile(rb'"(?:[^"\\]|\\.)*+"|[\[\]{}]', re.DOTALL)
_OPENING = b"[{"
_NAME = re.compile(r"[a-z_]{1,40}")
_UNWANTED = re.compile(
    "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ufff9-\ufffb\ud800-\udfff]",
)
"""Control characters but tab and line ends; those that turn the direction of text around, so that what is read is not
what is stored; halves of characters."""


def check_json(body: bytes) -> None:
    """Raise InputError, naming the field where it is known, unless a body is JSON that has one meaning."""
    _check_depth(body)
    try:
        document = json.loads(
            body,
            object_pairs_hook=_to_object,
            parse_constant=_refuse_constant,
            parse_float=_to_float,
            parse_int=_to_integer,
        )
    except UnicodeDecodeError as error:
        raise InputError("body", "this is not UTF-8") from error
    except json.JSONDecodeError as error:
        raise InputError("body", f"this is not JSON: {error.msg} at character {error.pos}") from error
    _check_texts(document)


def check_text(field: str, text: str) -> None:
    """Raise InputError naming `field` for text with characters that do not belong in any."""
    found = _UNWANTED.search(text)
    if found is not None:
        raise InputError(field, f"the character U+{ord(found[0]):04X} does not belong in text")


def _check_depth(body: bytes) -> None:
    """Look for brackets outside strings; ends at the first one too deep, however long the rest is."""
    if body.count(b"[") + body.count(b"{") <= DEPTH_MAX:
        return
    depth = 0
    for part in _PARTS.finditer(body):
        first = body[part.start() : part.start() + 1]
        if first == b'"':
            continue
        depth += 1 if first in _OPENING else -1
        if depth > DEPTH_MAX:
            raise InputError("body", f"this is nested deeper than {DEPTH_MAX} levels")


def _to_object(pairs: Sequence[tuple[str, object]]) -> dict[str, object]:
    known = dict(pairs)
    if len(known) < len(pairs):
        twice, _ = Counter(name for name, _ in pairs).most_common(1)[0]
        raise InputError(_shown(twice), "this name stands twice in one object")
    return known


def _refuse_constant(name: str) -> NoReturn:
    raise InputError("body", f"{name} is no number of JSON")


def _to_float(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise InputError("body", "a number is too large")
    return number


def _to_integer(text: str) -> int:
    if len(text) > _DIGITS_MAX or abs(int(text)) > INTEGER_MAX:
        raise InputError("body", f"a whole number is beyond ±{INTEGER_MAX}")
    return int(text)


def _check_texts(document: object) -> None:
    waiting: list[tuple[str, object]] = [("body", document)]
    while waiting:
        field, value = waiting.pop()
        if isinstance(value, str):
            check_text(field, value)
        elif isinstance(value, list):
            waiting += [(field, one) for one in value]
        elif isinstance(value, dict):
            for name, one in value.items():
                check_text("body", name)
                waiting.append((_shown(name), one))


def _shown(name: str) -> str:
    """Return a name as an error may repeat it; one that might be somebody's identity is nobody's business."""
    return name if _NAME.fullmatch(name) else "body"
