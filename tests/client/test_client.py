from __future__ import annotations

import json
import random
from collections.abc import Callable

import httpx
import pytest

from gateway.client import (
    AsyncHubClient,
    BusyError,
    ConflictError,
    ForbiddenError,
    HubClient,
    HubError,
    NoHubError,
    NotFoundError,
    NotKnownError,
    NotValidError,
    ProblemError,
    UnreachableError,
    calls,
)
from gateway.core.configuration import Box, Logger
from gateway.vehicle.alarm import pause_s

Answer = Callable[[httpx.Request], httpx.Response]
PROBLEM = {"type": "about:blank", "title": "No", "detail": "label: too long", "field": "label", "more": 1}


def client(answer: Answer, **settings: int) -> HubClient:
    http = httpx.Client(transport=httpx.MockTransport(answer), base_url="http://hub", follow_redirects=True)
    return HubClient(http, **settings)


def answering(status: int, **more: object) -> Answer:
    return lambda _: httpx.Response(status, **more)  # type: ignore[arg-type]  what a Response takes


def test_a_call_says_what_it_means_and_reads_what_comes() -> None:
    asked: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(request)
        return httpx.Response(200, content=request.content)

    logger = Logger.model_validate({"address": "A/1", "kind": "bthome", "bindkey": "ab" * 16})
    assert client(answer).ask(calls.put_box(Box(code="B/1"))) == Box(code="B/1")
    client(answer).ask(calls.put_logger(logger, "new & old"))
    box, put = asked
    assert (box.method, box.url.raw_path) == ("PUT", b"/api/v1/boxes/B%2F1")
    assert box.headers["content-type"] == "application/json"
    assert put.url.raw_path == b"/api/v1/loggers/A%2F1?reason=new%20%26%20old"
    assert json.loads(put.content)["bindkey"] == "ab" * 16  # the hub needs it; nowhere else is it written out


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, ProblemError),
        (401, NotKnownError),
        (403, ForbiddenError),
        (404, NotFoundError),
        (409, ConflictError),
        (500, ProblemError),
        (503, BusyError),
    ],
)
def test_problems_are_errors_of_their_kind(status: int, kind: type[ProblemError]) -> None:
    with pytest.raises(ProblemError, match=f"{status}: label: too long") as caught:
        client(answering(status, json=PROBLEM)).ask(calls.list_boxes())
    assert type(caught.value) is kind


def test_what_is_not_valid_names_its_field() -> None:
    with pytest.raises(NotValidError) as caught:
        client(answering(422, json=PROBLEM)).ask(calls.list_boxes())
    assert (caught.value.field, caught.value.reason) == ("label", "too long")


@pytest.mark.parametrize(
    ("given", "expected_s"),
    [("7", 7), (" 7 ", 7), ("999999", 300), ("9" * 400, 0), ("-1", 0), ("²", 0), ("Wed, 21 Oct 2026 07:28:00 GMT", 0)],
)
@pytest.mark.parametrize("status", [429, 503])
def test_who_is_busy_says_for_how_long(status: int, given: str, expected_s: float) -> None:
    with pytest.raises(BusyError) as caught:
        client(answering(status, headers={"retry-after": given.encode()}, text="<html>")).ask(calls.list_boxes())
    assert caught.value.retry_after_s == expected_s


def test_a_vehicle_leaves_the_hub_alone_for_as_long_as_it_asks() -> None:
    rng = random.Random(1)  # noqa: S311  jitter, no secret
    assert pause_s(1, 30.0, rng) >= 30.0
    assert pause_s(50, 0.0, rng) <= 60.0


@pytest.mark.parametrize(
    "answer",
    [
        answering(200, text="<html>Log in to the free network</html>"),
        answering(200, json={"hello": "world"}),
        answering(204),
        answering(302, headers={"location": "http://portal.example/"}),
        answering(404, text="<html>nothing here</html>"),
        answering(404, json=[1]),
    ],
)
def test_a_page_of_somebody_elses_network_is_no_answer(answer: Answer) -> None:
    with pytest.raises(NoHubError):
        client(answer).ask(calls.show_time())


async def test_an_answer_without_end_is_not_read_to_its_end() -> None:
    read = 0

    async def endless() -> object:
        nonlocal read
        while True:
            read += 1000
            yield b" " * 1000

    def answer(_: httpx.Request) -> httpx.Response:
        return httpx.Response(200, content=endless())  # type: ignore[arg-type]  an async generator

    async with httpx.AsyncClient(transport=httpx.MockTransport(answer), base_url="http://hub") as http:
        with pytest.raises(NoHubError, match="more than 5000 bytes"):
            await AsyncHubClient(http, answer_bytes_max=5000).ask(calls.show_time())
    assert read <= 10_000


def test_no_network_is_told_apart_from_a_hub_that_refuses() -> None:
    def answer(_: httpx.Request) -> httpx.Response:
        raise httpx.ConnectTimeout("")

    with pytest.raises(UnreachableError, match="ConnectTimeout") as caught:
        client(answer).ask(calls.list_boxes())
    assert isinstance(caught.value, HubError)
