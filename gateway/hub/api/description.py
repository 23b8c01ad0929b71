"""The OpenAPI description, completed: what follows from an operation's shape is said of each, and nobody repeats it.

For every operation it adds a summary (the first sentence of its description), the problems that its shape leads to, and
examples of what is sent and answered, composed from those of fields and from `examples`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI

from gateway.hub.api.examples import NoExampleError, compose, compose_request
from gateway.hub.api.problems import MEDIA_TYPE, RETRY_AFTER_S, SAID, Problem, documented
from gateway.hub.api.vocabulary import BY_TYPE

Document = dict[str, Any]
_METHODS = ("get", "post", "put", "patch", "delete")
_WRITES = frozenset({"post", "put", "patch", "delete"})
_REFERENCE = "#/components/schemas/{model}"
_FIRST_ERROR, _NOT_VALID = 400, 422

_RETRY_AFTER: Document = {
    "Retry-After": {
        "description": "Seconds after which it is worth another try.",
        "required": True,
        "schema": {"type": "integer", "minimum": 1},
        "example": RETRY_AFTER_S,
    }
}
_HEADERS: dict[int, Document] = {
    401: {
        "WWW-Authenticate": {
            "description": "How to say who asks.",
            "required": True,
            "schema": {"type": "string"},
            "example": "Bearer",
        }
    },
    429: _RETRY_AFTER,
    503: _RETRY_AFTER,
}


class DescribedInterface(FastAPI):
    """An application whose OpenAPI description is complete."""

    def openapi(self) -> Document:
        """Return the description; made once."""
        if self.openapi_schema is None:
            self.openapi_schema = complete(super().openapi())
        return self.openapi_schema


def complete(description: Document) -> Document:
    """Add to a description what follows from the shape of each operation; returns the same document."""
    schemas: Document = description.setdefault("components", {}).setdefault("schemas", {})
    problem = Problem.model_json_schema(ref_template=_REFERENCE)
    schemas.update(problem.pop("$defs", {}))
    schemas["Problem"] = problem
    for method, _, operation in each_operation(description):
        operation["summary"] = _first_sentence(operation.get("description", ""))
        for status in sorted(implied_problems(method, operation)):
            for key, answer in documented(status).items():
                operation["responses"].setdefault(str(key), answer)
        _add_request_examples(operation, schemas)
        for status, answer in operation["responses"].items():
            if int(status) >= _FIRST_ERROR:
                _describe_problem(int(status), answer)
            else:
                _add_answer_example(answer, schemas)
    return description


def each_operation(description: Mapping[str, Any]) -> Iterator[tuple[str, str, Document]]:
    """Yield (method, path, operation) in the order of declaration."""
    for path, item in description["paths"].items():
        for method in _METHODS:
            if method in item:
                yield method, path, item[method]


def implied_problems(method: str, operation: Mapping[str, Any]) -> set[int]:
    """Return the statuses of problems that an operation of this shape can answer with, whatever it does."""
    found = {503}
    if operation.get("security"):
        found |= {401, 403}
    if method in _WRITES:
        found |= {408, 413}
    if "requestBody" in operation:
        found |= {415, 422}
    if operation.get("parameters"):
        found |= {422}
    return found


def _first_sentence(text: str) -> str:
    line = text.partition("\n")[0]
    sentence, full_stop, rest = line.partition(". ")
    return sentence if full_stop and rest else line.removesuffix(".")


def _describe_problem(status: int, answer: Document) -> None:
    answer["content"] = {
        MEDIA_TYPE: {
            "schema": {"$ref": _REFERENCE.format(model="Problem")},
            "example": _problem_example(status),
        }
    }
    if status in _HEADERS:
        answer.setdefault("headers", _HEADERS[status])


def _problem_example(status: int) -> Document:
    example: Document = {"type": "about:blank", "title": HTTPStatus(status).phrase, "status": status}
    if status == _NOT_VALID:
        fault = {"field": "items[0].use_before", "reason": "input should have timezone info"}
        return {**example, "detail": f"{fault['field']}: {fault['reason']}", "field": fault["field"], "errors": [fault]}
    return {**example, "detail": SAID[status], "errors": []}


def _add_request_examples(operation: Document, schemas: Mapping[str, Any]) -> None:
    for parameter in operation.get("parameters", []):
        parameter["schema"] = _without_null(parameter.get("schema", {}))
        if "example" not in parameter and "examples" not in parameter:
            try:
                parameter["example"] = compose(parameter.get("schema", {}), schemas, parameter["name"])
            except NoExampleError:
                continue  # a test names it
    for media in operation.get("requestBody", {}).get("content", {}).values():
        if "example" not in media and "examples" not in media:
            try:
                media["example"] = compose_request(media.get("schema", {}), schemas)
            except NoExampleError:
                continue


def _without_null(schema: Document) -> Document:
    """Return a parameter's schema: it may be absent, but no query, path or header can hold null."""
    choices = [choice for choice in schema.get("anyOf", []) if choice.get("type") != "null"]
    if not choices:
        return schema
    rest = {key: value for key, value in schema.items() if key != "anyOf"}
    return {**choices[0], **rest} if len(choices) == 1 else {**rest, "anyOf": choices}


def _add_answer_example(answer: Document, schemas: Mapping[str, Any]) -> None:
    for kind, media in answer.get("content", {}).items():
        if "example" in media or "examples" in media:
            continue
        if not kind.endswith("json"):
            media["example"] = BY_TYPE.get(kind, "…")
        else:
            try:
                media["example"] = compose(media.get("schema", {}), schemas, "")
            except NoExampleError:
                continue
