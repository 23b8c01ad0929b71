"""A profile as TOML: what is not the default, in the order of the model. Read back, it is the same profile."""

from __future__ import annotations

import json
import re

from gateway.core.profiles import Profile

_VERSION = re.compile(r"^version\s*=\s*\d+[^\n]*$", re.MULTILINE)
_ID = re.compile(r"^id\s*=[^\n]*$", re.MULTILINE)


def write_toml(profile: Profile) -> str:
    """Return the TOML of a profile."""
    document = profile.model_dump(mode="json", exclude_defaults=True, exclude_none=True)
    stated = {"id": profile.id, "version": profile.version} | document
    plain, tables = [], []
    for key, value in stated.items():
        if isinstance(value, list) and value and isinstance(value[0], dict):
            tables += [
                f"\n[[{key}]]\n" + "".join(f"{name} = {_write(one)}\n" for name, one in row.items()) for row in value
            ]
        elif isinstance(value, dict):
            tables.append(f"\n[{key}]\n" + "".join(f"{name} = {_write(one)}\n" for name, one in value.items()))
        else:
            plain.append(f"{key} = {_write(value)}\n")
    return "".join(plain + tables)


def with_version(text: str, version: int) -> str:
    """Return the TOML of a profile with another version, comments and all else as they were."""
    stated = f"version = {version}"
    if _VERSION.search(text):
        return _VERSION.sub(stated, text, count=1)
    return _ID.sub(lambda found: f"{found[0]}\n{stated}", text, count=1)


def _write(value: object) -> str:
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{name} = {_write(one)}" for name, one in value.items()) + " }"
    if isinstance(value, list):
        return "[" + ", ".join(_write(one) for one in value) + "]"
    return json.dumps(value, ensure_ascii=False)  # TOML's strings, numbers and truths are written like JSON's
