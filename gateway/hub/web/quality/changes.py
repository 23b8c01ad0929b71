"""What an act has changed: two JSON documents, field by field."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import msgspec

CHANGES_MAX = 60
"""Fields of one entry on a page; the export has the documents whole."""
TEXT_MAX = 300
_PERSONAL = frozenset({"printed_name", "subject"})
"""Of a person the page names the account and nothing else."""
HIDDEN = "…"


@dataclass(frozen=True, slots=True)
class Change:
    """One field: "limits.0.above_c", or "" for a document that has none. "" where there was nothing."""

    name: str
    old: str
    new: str


def find_changes(old: str | None, new: str | None) -> list[Change]:
    """Return the fields that differ, in the order of their names. What is no JSON is one field without a name."""
    before, after = _read(old), _read(new)
    names = sorted(name for name in {*before, *after} if before.get(name) != after.get(name))
    said = (Change(name, _say(name, before.get(name)), _say(name, after.get(name))) for name in names)
    return [change for change in said if change.old or change.new]


def _read(text: str | None) -> dict[str, object]:
    if text is None:
        return {}
    try:
        return dict(_flatten("", msgspec.json.decode(text)))
    except msgspec.DecodeError:
        return {"": text}


def _flatten(name: str, value: object) -> Iterator[tuple[str, object]]:
    if isinstance(value, dict) and value:
        for key, part in value.items():
            yield from _flatten(f"{name}.{key}" if name else str(key), part)
    elif isinstance(value, list) and any(isinstance(part, dict | list) for part in value):
        for place, part in enumerate(value, 1):
            yield from _flatten(f"{name}.{place}" if name else str(place), part)
    else:
        yield name, value


def _say(name: str, value: object) -> str:
    if value is None or value in ([], {}, ""):
        return ""
    if name.rpartition(".")[2] in _PERSONAL:
        return HIDDEN
    if isinstance(value, list):
        return _short(", ".join(map(str, value)))
    if isinstance(value, bool):
        return str(value).lower()
    return _short(str(value))


def _short(text: str) -> str:
    return text if len(text) <= TEXT_MAX else f"{text[:TEXT_MAX]}…"
