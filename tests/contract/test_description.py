"""The description of the HTTP interface: complete for every operation, whoever wrote it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from gateway.hub.api.description import each_operation, implied_problems
from gateway.hub.api.problems import MEDIA_TYPE
from gateway.hub.processes.app import create_app
from gateway.hub.rooms import open_rooms
from gateway.hub.settings import HubSettings

WAY_OUT = (
    "give the field `examples=[…]`, or add its name to gateway/hub/api/vocabulary.py; of a body or an answer that is no"
    " JSON, write the example beside its media type in `responses=`"
)
PLAIN = ("text/", "application/x-", "application/pdf", "application/zip", "image/")


@pytest.fixture(scope="module")
def description(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    async def describe(folder: Path) -> dict[str, Any]:
        rooms = open_rooms(HubSettings(data_dir=folder))
        described = create_app(rooms).openapi()
        rooms.store.close()
        return described

    return asyncio.run(describe(tmp_path_factory.mktemp("hub")))


def examples_of(media: dict[str, Any]) -> list[Any]:
    named = [example["value"] for example in media.get("examples", {}).values()]
    return [media["example"], *named] if "example" in media else named


def media_of(operation: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Yield (where, type, media) of a body and of every answer with one."""
    for kind, media in operation.get("requestBody", {}).get("content", {}).items():
        yield "the body", kind, media
    for status, answer in operation["responses"].items():
        for kind, media in answer.get("content", {}).items():
            yield f"the answer {status}", kind, media


def test_every_operation_is_explained_with_examples(description: dict[str, Any]) -> None:
    lacking = []
    for method, path, operation in each_operation(description):
        name = f"{method.upper()} {path}"
        if not operation.get("summary") or not operation.get("description"):
            lacking.append(f"{name}: write a docstring; its first sentence is the summary")
        lacking += [
            f"{name}: the parameter {parameter['name']} has no example: {WAY_OUT}"
            for parameter in operation.get("parameters", [])
            if not {"example", "examples"} & parameter.keys()
        ]
        lacking += [
            f"{name}: {where} ({kind}) has no example: {WAY_OUT}"
            for where, kind, media in media_of(operation)
            if not examples_of(media)
        ]
    assert not lacking, "\n".join(lacking)


def test_every_example_is_what_its_schema_says(description: dict[str, Any]) -> None:
    wrong = []
    for method, path, operation in each_operation(description):
        for where, kind, media in media_of(operation):
            if kind.startswith(PLAIN):
                continue
            schema = {**media.get("schema", {}), "components": description["components"]}
            for example in examples_of(media):
                wrong += [
                    f"{method.upper()} {path}, {where}: {fault.json_path}: {fault.message}"
                    for fault in Draft202012Validator(schema).iter_errors(example)
                ]
    assert not wrong, "\n".join(wrong)


def test_every_problem_that_can_occur_is_declared(description: dict[str, Any]) -> None:
    for method, path, operation in each_operation(description):
        name, answers = f"{method.upper()} {path}", operation["responses"]
        assert implied_problems(method, operation) <= set(map(int, answers)), name
        for status, answer in answers.items():
            if int(status) < 400:
                continue
            way_out = f"{name} declares {status} by hand: use `responses=documented({status})`"
            assert list(answer["content"]) == [MEDIA_TYPE], way_out
            assert answer["content"][MEDIA_TYPE]["schema"] == {"$ref": "#/components/schemas/Problem"}, way_out
            if status in {"429", "503"}:
                assert answer["headers"]["Retry-After"]["required"], way_out
        if operation.get("security"):
            assert answers["401"]["headers"]["WWW-Authenticate"], name


def test_operations_have_distinct_names(description: dict[str, Any]) -> None:
    names = [operation["operationId"] for _, _, operation in each_operation(description)]
    assert len(names) == len(set(names))
