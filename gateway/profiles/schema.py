"""The published JSON Schema of a profile file."""

from __future__ import annotations

import json
from typing import Any

from gateway.core.profiles import Profile
from gateway.core.quantities import format_duration

DIALECT = "https://json-schema.org/draft/2020-12/schema"


def profile_schema() -> dict[str, Any]:
    """Return the schema of a profile as it is written: durations as text with a unit, defaults likewise."""
    schema = Profile.model_json_schema(mode="validation")
    _write_durations(schema)
    return {"$schema": DIALECT, **schema, "title": "Transport profile"}


def profile_schema_text() -> str:
    """Return the schema as the text that is published, with a newline at its end."""
    return json.dumps(profile_schema(), indent=2, ensure_ascii=False) + "\n"


def _write_durations(node: object) -> None:
    """Write the defaults of durations, which the model holds in milliseconds, with their unit."""
    if isinstance(node, dict):
        default = node.get("default")
        if node.get("type") == "string" and isinstance(default, int):
            node["default"] = format_duration(default)
        for child in node.values():
            _write_durations(child)
    elif isinstance(node, list):
        for child in node:
            _write_durations(child)
