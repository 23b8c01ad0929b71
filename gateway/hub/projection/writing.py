"""Writing joined lines to InfluxDB 2.x or 3 through its v2 write interface, and what its answers mean.

Synchronous writes: the batching WriteApi of the client drops what it cannot deliver and tells nobody.
"""

from __future__ import annotations

import gzip
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from enum import Enum, auto
from http import HTTPStatus
from typing import Any, Protocol

from influxdb_client.client.influxdb_client import InfluxDBClient
from influxdb_client.domain.write_precision import WritePrecision
from influxdb_client.rest import ApiException
from influxdb_client.service.write_service import WriteService
from urllib3.exceptions import HTTPError

from gateway.core.errors import ColdchainError
from gateway.hub.settings import InfluxSettings

LINES_MAX = 5000
"""Lines in one write; InfluxDB's own advice, about 500 KiB."""
GZIP_LEVEL = 3
"""A sixth of the time that the client takes by itself (level 9), for a third more bytes (measured): 15 a reading."""
ALL_REFUSED = 20
"""So many lines of which not one is taken are no accident of their content."""

_NANOSECONDS: Any = WritePrecision.NS  # annotated as an instance of its class, in truth a text
_CONTENT = {HTTPStatus.BAD_REQUEST, HTTPStatus.REQUEST_ENTITY_TOO_LARGE, HTTPStatus.UNPROCESSABLE_ENTITY}
_UNPARSED = re.compile(r"unable to parse '(?P<line>.*?)': (?P<reason>[^\n]*)")
_BEYOND = re.compile(r"points beyond retention policy|outside (?:the )?retention", re.IGNORECASE)
_REASON_MAX = 500


class Fault(Enum):
    """Who is at fault when a write is refused."""

    CONTENT = auto()
    """Some of the lines: without them the rest can be written."""
    EXPIRED = auto()
    """Nobody: some points are older than what the bucket keeps. The others are written."""
    SERVER = auto()
    """The server, the way to it, or its settings: the same lines can be written later."""


class InfluxError(ColdchainError):
    """A write was not confirmed.

    reason         what the server said
    retry_after_s  how long it asks to be left alone, 0 if it does not say
    bad            the lines that it names, with what is wrong with each; empty where it names none
    """

    def __init__(
        self, fault: Fault, reason: str, retry_after_s: float = 0.0, bad: Mapping[str, str] | None = None
    ) -> None:
        self.fault = fault
        self.reason = reason
        self.retry_after_s = retry_after_s
        self.bad = bad or {}
        super().__init__(reason)


class Writer(Protocol):
    """What takes lines."""

    def write(self, bucket: str, lines: Sequence[str]) -> None:
        """Write lines with timestamps in nanoseconds; raises InfluxError unless the server confirms them."""


@dataclass(frozen=True, slots=True)
class Refused:
    """A line that the server will never take, and why."""

    line: str
    reason: str


class InfluxWriter:
    """Writes lines to a server. Blocking, at most `timeout_s` of the settings."""

    def __init__(self, settings: InfluxSettings) -> None:
        self._client = open_client(settings)
        # Not through the client's WriteApi: that compresses as slowly as gzip can, and lets no one else do it.
        self._service = WriteService(self._client.api_client)  # type: ignore[no-untyped-call]  # the same as below
        self._org = settings.org

    def write(self, bucket: str, lines: Sequence[str]) -> None:
        """Write lines; raises InfluxError unless the server confirms them."""
        body = gzip.compress("\n".join(lines).encode(), GZIP_LEVEL)
        try:
            self._service.post_write(  # type: ignore[no-untyped-call]  # the client left it untyped
                self._org,
                bucket,
                body,
                precision=_NANOSECONDS,
                content_encoding="gzip",
                content_type="text/plain; charset=utf-8",
            )
        except ApiException as error:
            raise translate(error) from error
        except (HTTPError, OSError) as error:
            raise InfluxError(Fault.SERVER, f"{type(error).__name__}: {error}") from error

    def close(self) -> None:
        """Close the connections."""
        self._client.close()  # type: ignore[no-untyped-call]  # the client left it untyped


def open_client(settings: InfluxSettings) -> InfluxDBClient:
    """Return a client that never retries by itself, and gives up after `timeout_s`."""
    return InfluxDBClient(
        url=settings.url,
        token=settings.token.get_secret_value(),
        org=settings.org,
        timeout=round(settings.timeout_s * 1000),
    )


def deliver(writer: Writer, bucket: str, lines: Sequence[str]) -> list[Refused]:
    """Write all lines, and return those that the server refuses for what they say. Raises InfluxError otherwise."""
    refused: list[Refused] = []
    for start in range(0, len(lines), LINES_MAX):
        refused += _deliver_batch(writer, bucket, lines[start : start + LINES_MAX])
    return refused


def _deliver_batch(writer: Writer, bucket: str, lines: Sequence[str]) -> list[Refused]:
    """Write lines; leave out those that the server names, and halve where it names none until they are alone."""
    refused: list[Refused] = []
    waiting: list[Sequence[str]] = [lines]
    while waiting:
        part = waiting.pop()
        try:
            writer.write(bucket, part)
        except InfluxError as error:
            if error.fault is Fault.SERVER:
                raise
            if error.fault is Fault.EXPIRED:
                continue
            named = [Refused(line, error.bad[line]) for line in part if line in error.bad]
            if named:
                refused += named
                rest = [line for line in part if line not in error.bad]
                waiting += [rest] if rest else []
            elif len(part) > 1:
                middle = len(part) // 2
                waiting += [part[middle:], part[:middle]]
            else:
                refused.append(Refused(part[0], error.reason))
            if len(refused) == len(lines) > ALL_REFUSED:
                raise InfluxError(Fault.SERVER, f"not one of {len(lines)} points is taken: {error.reason}") from error
    return refused


def read_answer(error: ApiException) -> str:
    """Return what the server said, as text."""
    return error.body.decode(errors="replace") if isinstance(error.body, bytes) else str(error.body or error.reason)


def is_missing(kind: str, error: ApiException) -> bool:
    """Whether InfluxDB 2.x says that it has no such "bucket" or "organization", and not that it lacks the interface."""
    if error.status != HTTPStatus.NOT_FOUND:
        return False
    try:
        answer = json.loads(read_answer(error))
    except ValueError:
        return False
    message = answer.get("message") if isinstance(answer, dict) else None
    return isinstance(message, str) and message.startswith(kind) and message.endswith("not found")


def translate(error: ApiException) -> InfluxError:
    """Say what an answer other than 204 means."""
    said = read_answer(error)
    reason = f"HTTP {error.status}: {' '.join(said.split())[:_REASON_MAX]}"
    if is_missing("bucket", error):
        reason += " (`coldchain hub init` makes it)"
    if error.status not in _CONTENT:
        headers: Mapping[str, str] = getattr(error, "headers", None) or {}
        return InfluxError(Fault.SERVER, reason, _retry_after_s(headers.get("Retry-After", "")))
    if _BEYOND.search(said):
        return InfluxError(Fault.EXPIRED, reason)
    return InfluxError(Fault.CONTENT, reason, bad=dict(_named_lines(said)))


def _named_lines(said: str) -> Iterator[tuple[str, str]]:
    """Yield the lines that an answer names: InfluxDB 3 lists them, 1.x and 2.x quote them in the text."""
    try:
        answer = json.loads(said)
    except ValueError:
        answer = {"message": said}
    if not isinstance(answer, dict):
        return
    listed = answer.get("data")
    for entry in listed if isinstance(listed, list) else []:
        if isinstance(entry, dict) and isinstance(entry.get("original_line"), str):
            yield entry["original_line"], str(entry.get("error_message", ""))[:_REASON_MAX]
    for found in _UNPARSED.finditer(str(answer.get("message", answer.get("error", "")))):
        yield found["line"], found["reason"][:_REASON_MAX]


def _retry_after_s(asked: str) -> float:
    """Return Retry-After in seconds: it is a number of them, or a date."""
    if asked.isdecimal():
        return float(asked)
    try:
        until = parsedate_to_datetime(asked)
    except ValueError:
        return 0.0
    moment = until if until.tzinfo else until.replace(tzinfo=UTC)
    return max(0.0, (moment - datetime.now(UTC)).total_seconds())
