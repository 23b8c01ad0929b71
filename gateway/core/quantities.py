"""Durations as people write them: a number and its unit, always both."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import BeforeValidator, PlainSerializer, WithJsonSchema

_DURATION = re.compile(r"\s*([0-9]+(?:\.[0-9]+)?)\s*(s|min|h|d)\s*")
_SECONDS = {"s": 1, "min": 60, "h": 3600, "d": 86400}

DURATION_MAX_MS = 36_525 * 86_400_000
"""A hundred years: whatever is longer is a mistake."""


def parse_duration(value: object) -> int:
    """Return milliseconds of "90 s", "30 min", "4 h" or "7 d"; raises ValueError, also for a bare number."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        raise ValueError(f"a duration needs a unit: write '{value:g} min', '{value:g} h' or '{value:g} d'")  # noqa: TRY004  pydantic reports ValueError
    match = _DURATION.fullmatch(value) if isinstance(value, str) else None
    if match is None:
        raise ValueError(f"{value!r} is not a duration such as '30 min', '4 h' or '7 d'")
    duration_ms = float(match[1]) * _SECONDS[match[2]] * 1000
    if duration_ms > DURATION_MAX_MS:
        raise ValueError(f"{value!r} is longer than a hundred years")
    return round(duration_ms)


def format_duration(duration_ms: int) -> str:
    """Return the shortest exact text that `parse_duration` reads back."""
    for unit in ("d", "h", "min"):
        if duration_ms and duration_ms % (_SECONDS[unit] * 1000) == 0:
            return f"{duration_ms // (_SECONDS[unit] * 1000)} {unit}"
    return f"{duration_ms / 1000:.3f}".rstrip("0").rstrip(".") + " s"


_SCHEMA = {
    "type": "string",
    "pattern": rf"^{_DURATION.pattern}$",
    "examples": ["90 s", "30 min", "4 h", "7 d"],
}

Duration = Annotated[
    int,
    BeforeValidator(parse_duration),
    PlainSerializer(format_duration, return_type=str),
    WithJsonSchema(_SCHEMA),
]
"""Milliseconds; read from and written as a number with a unit."""
