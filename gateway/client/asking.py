"""Asking a hub over HTTP: two thin shells over one `httpx` client each, with bounds on time and size.

Time-outs, trust and the token belong to the `httpx` client that is given; nothing is repeated here, since only who asks
knows for how long it is worth it. Redirects are not followed: the token is for this hub alone.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import TypeVar

import httpx

from gateway.client.calls import Call
from gateway.client.errors import NoHubError, UnreachableError

ANSWER_BYTES_MAX = 8 << 20
"""An answer that is larger is not read to its end: 500 boxes and loggers with their history take 1 MiB."""
_RETRY_AFTER = "retry-after"
T = TypeVar("T")


class HubClient:
    """Asks one call after the other. Errors: HubError."""

    def __init__(self, http: httpx.Client, *, answer_bytes_max: int = ANSWER_BYTES_MAX) -> None:
        self._http = http
        self._bytes_max = answer_bytes_max

    @property
    def url(self) -> str:
        """Where the hub is."""
        return str(self._http.base_url)

    def ask(self, call: Call[T]) -> T:
        """Return the answer to a call."""
        try:
            with self._http.stream(
                call.method, call.path, content=call.body or None, headers=call.headers, follow_redirects=False
            ) as answer:
                body = _take(answer.iter_bytes(), self._bytes_max)
        except httpx.HTTPError as error:
            raise UnreachableError(_say(error)) from error
        return call.read(answer.status_code, answer.headers.get(_RETRY_AFTER, ""), body)


class AsyncHubClient:
    """The same in an event loop."""

    def __init__(self, http: httpx.AsyncClient, *, answer_bytes_max: int = ANSWER_BYTES_MAX) -> None:
        self._http = http
        self._bytes_max = answer_bytes_max

    @property
    def url(self) -> str:
        """Where the hub is."""
        return str(self._http.base_url)

    async def ask(self, call: Call[T]) -> T:
        """Return the answer to a call."""
        try:
            async with self._http.stream(
                call.method, call.path, content=call.body or None, headers=call.headers, follow_redirects=False
            ) as answer:
                body = await _take_async(answer.aiter_bytes(), self._bytes_max)
        except httpx.HTTPError as error:
            raise UnreachableError(_say(error)) from error
        return call.read(answer.status_code, answer.headers.get(_RETRY_AFTER, ""), body)


def _take(chunks: Iterator[bytes], bytes_max: int) -> bytes:
    taken = bytearray()
    for chunk in chunks:
        _add(taken, chunk, bytes_max)
    return bytes(taken)


async def _take_async(chunks: AsyncIterator[bytes], bytes_max: int) -> bytes:
    taken = bytearray()
    async for chunk in chunks:
        _add(taken, chunk, bytes_max)
    return bytes(taken)


def _add(taken: bytearray, chunk: bytes, bytes_max: int) -> None:
    taken += chunk
    if len(taken) > bytes_max:
        raise NoHubError(f"its answer has more than {bytes_max} bytes")


def _say(error: httpx.HTTPError) -> str:
    return f"{type(error).__name__}: {error}".removesuffix(": ")
