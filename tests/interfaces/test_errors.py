"""Errors where a page was asked for: a page in the reader's language; to programs they stay problems."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest
from fastapi import HTTPException
from sqlalchemy.exc import OperationalError

from gateway.core.errors import InputError
from gateway.hub.access.roles import Role
from gateway.hub.api.limits import BODY_BYTES_MAX
from gateway.hub.breaches.lifecycle import NotNowError
from gateway.hub.web.errors import TOLD
from gateway.hub.web.headers import HEADERS
from tests.interfaces.hubs import PASSWORD, Hub, nothing, serving_hub

PAGE = {"accept": "text/html,application/xhtml+xml,*/*;q=0.8"}


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hub]:
    def fail(kind: str) -> None:
        raised = {
            "changed": NotNowError("it has changed"),
            "fault": RuntimeError("of nobody’s business"),
            "field": InputError("code", "must not be empty"),
            "patience": HTTPException(429, "too many", headers={"Retry-After": "90"}),
            "store": OperationalError("select", {}, Exception("gone")),
        }
        raise raised[kind]

    with serving_hub(tmp_path_factory.mktemp("errors"), nothing) as served:
        for prefix in ("", "/api/v1"):
            served.app.add_api_route(f"{prefix}/fails/{{kind}}", fail)
        yield served


@pytest.fixture
def visitor(hub: Hub) -> Iterator[httpx.Client]:
    # After a fault the server closes: each request has a connection of its own.
    limits = httpx.Limits(max_keepalive_connections=0)
    with httpx.Client(base_url=hub.url, cookies={"coldchain": hub.secret}, headers=PAGE, limits=limits) as client:
        yield client


FAILING = {"changed": 409, "fault": 500, "field": 422, "patience": 429, "store": 503}


@pytest.mark.parametrize(("kind", "status"), FAILING.items())
@pytest.mark.parametrize("language", ["nb", "en"])
def test_what_fails_is_told_in_the_readers_language(
    visitor: httpx.Client, kind: str, status: int, language: str
) -> None:
    answer = visitor.get(f"/fails/{kind}", headers={"accept-language": language})
    assert answer.status_code == status
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert answer.headers["content-language"] == language
    assert {name: answer.headers[name] for name in HEADERS} == HEADERS
    assert (TOLD[status].title in answer.text) is (language == "en")
    assert int(answer.headers["content-length"]) == len(answer.content)
    assert ("business" in answer.text, "select" in answer.text) == (False, False)
    problem = visitor.get(f"/api/v1/fails/{kind}")
    assert (problem.status_code, problem.headers["content-type"]) == (status, "application/problem+json")


def test_what_to_do_next_is_said(visitor: httpx.Client) -> None:
    assert "Vent 2\u00a0min" in visitor.get("/fails/patience", headers={"accept-language": "nb"}).text
    waits = visitor.get("/fails/store", headers={"accept-language": "nb"})
    assert "Vent 5\u00a0s" in waits.text
    assert waits.headers["retry-after"] == "5"
    assert "must not be empty" in visitor.get("/fails/field").text


def test_where_there_is_nothing_the_menu_stays(visitor: httpx.Client) -> None:
    answer = visitor.get("/no/such/page", headers={"accept-language": "nb"})
    assert answer.status_code == 404
    assert "Her er det ingenting" in answer.text
    assert 'href="/bench"' in answer.text


def test_what_is_not_for_a_role_names_the_roles(hub: Hub) -> None:
    hub.rooms.accounts.add("dag", "Dag", [Role.DRIVER], "setup", password=PASSWORD)
    secret = hub.rooms.sessions.open(hub.rooms.accounts.check("dag", PASSWORD)).secret
    headers = {**PAGE, "accept-language": "nb"}
    with httpx.Client(base_url=hub.url, cookies={"coldchain": secret}, headers=headers) as client:
        answer = client.get("/setup/people")
    assert answer.status_code == 403
    assert "Rollen din" in answer.text
    assert "administrator: setter opp" in answer.text


def test_bounds_before_routing_are_told_too(visitor: httpx.Client) -> None:
    answer = visitor.post("/bench/receive", content=b"x" * (BODY_BYTES_MAX + 1), headers={"accept-language": "nb"})
    assert answer.status_code == 413
    assert "Dette er for stort" in answer.text
    wrong = visitor.get("/review/not-a-number", headers={"accept-language": "nb"})
    assert wrong.status_code == 422
    assert "breach_id" in wrong.text


def test_a_script_and_a_program_get_the_problem(visitor: httpx.Client) -> None:
    fragment = visitor.get("/fails/changed", headers={"x-fragment": "1"})
    program = visitor.get("/fails/changed", headers={"accept": "application/json"})
    for answer in (fragment, program):
        assert answer.headers["content-type"] == "application/problem+json"
