"""The HTTP interface as a page: read from its own OpenAPI description, nothing loaded from elsewhere."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

_METHODS = ("get", "post", "put", "patch", "delete")


@dataclass(frozen=True, slots=True)
class Parameter:
    """A parameter of an operation."""

    name: str
    place: str
    is_required: bool
    description: str


@dataclass(frozen=True, slots=True)
class Operation:
    """One method of one path. `example` is a request body as JSON, "" where there is none."""

    anchor: str
    method: str
    path: str
    summary: str
    parameters: Sequence[Parameter]
    body: str
    example: str
    answers: Sequence[tuple[str, str]]
    needs: str


@dataclass(frozen=True, slots=True)
class Group:
    """Operations under one tag."""

    name: str
    operations: Sequence[Operation]


def list_operations(description: Mapping[str, Any]) -> list[Group]:
    """Return the operations of an OpenAPI description, grouped by their first tag, in the order they are declared."""
    groups: dict[str, list[Operation]] = {}
    for path, methods in description["paths"].items():
        for method in _METHODS:
            if method in methods:
                operation = methods[method]
                tag = (operation.get("tags") or ["other"])[0]
                groups.setdefault(tag, []).append(_read_operation(description, method, path, operation))
    return [Group(name, operations) for name, operations in groups.items()]


def _read_operation(description: Mapping[str, Any], method: str, path: str, operation: Mapping[str, Any]) -> Operation:
    content = operation.get("requestBody", {}).get("content", {}).get("application/json", {})
    security = [name for need in operation.get("security", []) for name in need]
    return Operation(
        anchor=operation["operationId"],
        method=method.upper(),
        path=path,
        summary=operation.get("description") or operation.get("summary", ""),
        parameters=[
            Parameter(
                name=parameter["name"],
                place=parameter["in"],
                is_required=parameter.get("required", False),
                description=parameter.get("description", ""),
            )
            for parameter in operation.get("parameters", [])
        ],
        body=content.get("schema", {}).get("$ref", "").rpartition("/")[2],
        example=_example(description, content),
        answers=[(status, answer.get("description", "")) for status, answer in operation["responses"].items()],
        needs=", ".join(security),
    )


def _example(description: Mapping[str, Any], content: Mapping[str, Any]) -> str:
    examples = content.get("examples", {})
    if examples:
        return json.dumps(next(iter(examples.values()))["value"], indent=2, ensure_ascii=False)
    name = content.get("schema", {}).get("$ref", "").rpartition("/")[2]
    properties = description.get("components", {}).get("schemas", {}).get(name, {}).get("properties", {})
    shown = {key: value["examples"][0] for key, value in properties.items() if value.get("examples")}
    return json.dumps(shown, indent=2, ensure_ascii=False) if shown else ""
