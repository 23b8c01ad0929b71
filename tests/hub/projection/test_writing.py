from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
from influxdb_client.rest import ApiException

from gateway.hub.projection.writing import Fault, InfluxError, deliver, translate

LINES = [f"reading,logger=L temperature_c={i} {i}" for i in range(100)]


class Response:
    """What the client makes of an answer."""

    def __init__(self, status: int, body: str, headers: dict[str, str] | None = None) -> None:
        self.status, self.reason, self.data = status, "", body.encode()
        self._headers = headers or {}

    def getheaders(self) -> dict[str, str]:
        return self._headers

    def getheader(self, name: str, default: str | None = None) -> str | None:
        return self._headers.get(name, default)


def said(status: int, body: object, headers: dict[str, str] | None = None) -> InfluxError:
    return translate(ApiException(http_resp=Response(status, json.dumps(body), headers)))  # type: ignore[no-untyped-call]


def test_influxdb_2_quotes_the_lines() -> None:
    message = f"unable to parse '{LINES[3]}': bad timestamp\nunable to parse '{LINES[5]}': missing fields"
    error = said(400, {"code": "invalid", "message": message})
    assert (error.fault, error.bad) == (Fault.CONTENT, {LINES[3]: "bad timestamp", LINES[5]: "missing fields"})


def test_influxdb_3_lists_the_lines() -> None:
    entry = {"original_line": LINES[7], "line_number": 8, "error_message": "invalid column type"}
    error = said(400, {"error": "partial write of line protocol occurred", "data": [entry]})
    assert (error.fault, error.bad) == (Fault.CONTENT, {LINES[7]: "invalid column type"})


@pytest.mark.parametrize("body", ["not JSON", [], {"data": 3}, {"data": [3, {"original_line": 3}]}, {"message": None}])
def test_an_answer_in_another_shape_names_no_line(body: object) -> None:
    error = said(400, body)
    assert (error.fault, error.bad) == (Fault.CONTENT, {})


def test_points_that_are_too_old_are_nobodys_fault() -> None:
    body = {"code": "unprocessable entity", "message": "partial write: points beyond retention policy dropped=3"}
    assert said(422, body).fault is Fault.EXPIRED


@pytest.mark.parametrize(("asked", "expected"), [("17", 17), ("soon", 0), ("", 0), ("-3", 0)])
def test_retry_after_in_seconds(asked: str, expected: float) -> None:
    assert said(503, {}, {"Retry-After": asked}).retry_after_s == expected


def test_retry_after_as_a_date() -> None:
    later = datetime.now(UTC) + timedelta(hours=1)
    assert 0 < said(429, {}, {"Retry-After": format_datetime(later)}).retry_after_s <= 3600
    assert said(429, {}, {"Retry-After": format_datetime(later - timedelta(days=1))}).retry_after_s == 0


def test_a_bucket_that_is_not_there_is_made_by_init() -> None:
    missing = said(404, {"code": "not found", "message": 'bucket "b" not found'})
    assert (missing.fault, missing.reason.endswith("(`coldchain hub init` makes it)")) == (Fault.SERVER, True)
    assert "init" not in said(404, {"code": "not found", "message": 'organization name "o" not found'}).reason


class Server:
    """Takes lines unless they are bad; says which only where it is told to."""

    def __init__(self, bad: set[str], *, names: bool) -> None:
        self.bad, self.names = bad, names
        self.held: set[str] = set()
        self.writes = 0

    def write(self, bucket: str, lines: Sequence[str]) -> None:
        self.writes += 1
        wrong = [line for line in lines if line in self.bad]
        if wrong:
            raise InfluxError(Fault.CONTENT, "wrong", bad=dict.fromkeys(wrong, "wrong") if self.names else {})
        self.held.update(lines)


@pytest.mark.parametrize("names", [True, False])
@pytest.mark.parametrize("bad", [{0}, {99}, {0, 1, 50, 98}, set(range(1, 100))])
def test_all_but_the_bad_lines_are_written(bad: set[int], names: bool) -> None:  # noqa: FBT001  a parameter of the test
    wrong = {LINES[i] for i in bad}
    server = Server(wrong, names=names)
    refused = deliver(server, "b", LINES)
    assert {one.line for one in refused} == wrong
    assert server.held == set(LINES) - wrong
    assert not names or server.writes == 2


@pytest.mark.parametrize("names", [True, False])
def test_a_server_that_takes_not_one_line_is_at_fault(names: bool) -> None:  # noqa: FBT001  the same
    with pytest.raises(InfluxError) as caught:
        deliver(Server(set(LINES), names=names), "b", LINES)
    assert caught.value.fault is Fault.SERVER
    assert len(deliver(Server(set(LINES), names=names), "b", LINES[:5])) == 5
