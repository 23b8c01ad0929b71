"""Loading profiles: one of the library, all of it, or a file; a fault names file, line and field."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from difflib import get_close_matches
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from gateway.core.errors import InputError
from gateway.core.profiles import (
    AlternativeLife,
    ClockLife,
    IndependentLife,
    MisplacedError,
    ModelLife,
    NestedLife,
    Profile,
    SequentialLife,
)
from gateway.profiles.positions import Path as KeyPath
from gateway.profiles.positions import lines_of

SHELVES = ("samples", "medicines", "storage")
FILE_SIZE_MAX = 256 * 1024
"""A profile is a few hundred lines at most; anything larger is another file, opened by mistake."""

_LIVES: dict[str, type[BaseModel]] = {
    "alternative": AlternativeLife,
    "sequential": SequentialLife,
    "nested": NestedLife,
    "independent": IndependentLife,
    "q10": ModelLife,
    "arrhenius": ModelLife,
    "clock": ClockLife,
}


def names() -> tuple[str, ...]:
    """Return the ids of the library's profiles in order of the alphabet."""
    return tuple(sorted(_sources()))


@cache
def load(name: str) -> Profile:
    """Return a profile of the library; raises InputError for a name that it does not have."""
    return read_profile(text_of(name), f"{name}.toml")


def load_all() -> tuple[Profile, ...]:
    """Return the whole library in order of the ids."""
    return tuple(load(name) for name in names())


def load_file(path: Path) -> Profile:
    """Read a profile from a TOML file; raises InputError naming file, line and field."""
    return read_profile(_read(path), str(path))


def find(name_or_path: str) -> Profile:
    """Return the profile that a person means: a file (anything with a slash or ending in .toml), else the library's."""
    if is_path(name_or_path):
        return load_file(Path(name_or_path))
    return load(name_or_path)


def is_path(name_or_path: str) -> bool:
    """Whether what a person wrote means a file; names of the library have neither slash nor dot."""
    return "/" in name_or_path or name_or_path.endswith(".toml")


def text_of(name: str) -> str:
    """Return a profile of the library as it is written, comments included."""
    known = _sources()
    if name not in known:
        near = get_close_matches(name, known, n=3, cutoff=0.7)
        hint = f"did you mean {' or '.join(near)}?" if near else "see `coldchain profiles list`"
        raise InputError("profile", f"the library has no profile {name!r}; {hint}")
    return known[name]


def read_profile(text: str, where: str) -> Profile:
    """Return the profile that a TOML text describes; raises InputError for the first fault in it."""
    document = _parse(text, where)
    try:
        return Profile.model_validate(document)
    except ValidationError as error:
        raise _translate(error, text, where)[0] from error


def find_faults(path: Path) -> list[InputError]:
    """Return every fault of a file, in the order of its lines; empty if it is a profile."""
    where = str(path)
    try:
        text = _read(path)
    except InputError as error:
        return [error]
    return find_text_faults(text, where)


def find_text_faults(text: str, where: str) -> list[InputError]:
    """Return every fault of a TOML text, in the order of its lines; empty if it is a profile."""
    try:
        document = _parse(text, where)
    except InputError as error:
        return [error]
    try:
        Profile.model_validate(document)
    except ValidationError as error:
        return _translate(error, text, where)
    return []


@cache
def _sources() -> Mapping[str, str]:
    """The library's texts by id."""
    root = files(__package__)
    return {
        entry.name.removesuffix(".toml"): entry.read_text(encoding="utf-8")
        for shelf in SHELVES
        for entry in root.joinpath(shelf).iterdir()
        if entry.name.endswith(".toml")
    }


def _read(path: Path) -> str:
    where = str(path)
    try:
        if path.stat().st_size > FILE_SIZE_MAX:
            raise InputError("file", f"larger than {FILE_SIZE_MAX // 1024} KiB: not a profile", where=where)
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise InputError("file", error.strerror or str(error), where=where) from error
    except UnicodeDecodeError as error:
        raise InputError("file", f"not UTF-8 text (byte {error.start})", where=where) from error


def _parse(text: str, where: str) -> dict[str, Any]:
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        reason, _, place = str(error).rpartition(" (at ")
        line = place.removeprefix("line ").partition(",")[0]
        located = f"{where}:{line}" if line.isdigit() else f"{where}:{text.count(chr(10)) + 1}"
        raise InputError("toml", reason or str(error), where=located) from error


def _translate(error: ValidationError, text: str, where: str) -> list[InputError]:
    """Return pydantic's faults as ours, in order of their lines."""
    lines = lines_of(text)
    faults = [(_key_path(fault), fault) for fault in error.errors(include_url=False)]
    placed = []
    for path, fault in faults:
        if fault["type"] == "too_short" and any(other[: len(path)] == path and other != path for other, _ in faults):
            continue  # pydantic counts only elements without a fault: the fault inside is the news
        line = _line_of(path, lines)
        placed.append((line, InputError(_field(path), _reason(fault, path), where=f"{where}:{line}")))
    return [fault for _, fault in sorted(placed, key=lambda pair: pair[0])]


def _key_path(fault: ErrorDetails) -> KeyPath:
    """Return the path of the key at fault as the file has it: without the tag that pydantic adds for a life's kind."""
    location = fault["loc"]
    if location[:1] == ("lives",) and len(location) > len(("lives", 0)):
        location = (*location[:2], *location[3:])
    cause = fault.get("ctx", {}).get("error")
    if isinstance(cause, MisplacedError):
        location = (*location, *cause.path)
    return location


def _line_of(path: KeyPath, lines: Mapping[KeyPath, int]) -> int:
    """Return the line of the key, or of the nearest table around it; 1 for the whole file."""
    for length in range(len(path), 0, -1):
        if path[:length] in lines:
            return lines[path[:length]]
    return 1


def _field(path: KeyPath) -> str:
    """Write a path as people do: ``lives[0].allowances[1].life``."""
    parts = [f"[{part}]" if isinstance(part, int) else f".{part}" for part in path]
    return "".join(parts).removeprefix(".") or "profile"


def _reason(fault: ErrorDetails, path: KeyPath) -> str:
    match fault["type"]:
        case "extra_forbidden":
            return _unknown_key(path)
        case "missing":
            return "is required but missing"
        case "union_tag_not_found":
            return f"needs a kind: {', '.join(_LIVES)}"
        case "union_tag_invalid":
            return f"kind {fault['input'].get('kind')!r} is none of {', '.join(_LIVES)}"
        case _:
            reason = fault["msg"].removeprefix("Value error, ")
            return f"{reason[:1].lower()}{reason[1:]}"


def _unknown_key(path: KeyPath) -> str:
    near = get_close_matches(str(path[-1]), _known_keys(path[:-1]), n=1, cutoff=0.6)
    return f"unknown key; did you mean {near[0]!r}?" if near else "unknown key"


def _known_keys(path: KeyPath) -> list[str]:
    """Return the keys that the table at a path can have; of a life, those of any kind."""
    tables = [Profile.model_json_schema(), *Profile.model_json_schema()["$defs"].values()]
    if not path:
        return list(tables[0]["properties"])
    return sorted({key for table in tables[1:] for key in table.get("properties", {})})
