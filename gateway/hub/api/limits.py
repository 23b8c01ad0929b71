"""Bounds on requests, kept before anything is routed: how large a body is, how long it may take, what JSON may be."""

from __future__ import annotations

import asyncio
from urllib.parse import unquote_plus

from starlette.datastructures import Headers
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from gateway.core.errors import InputError
from gateway.core.flags import FLAG_BYTES_MAX
from gateway.hub.api.problems import input_problem, is_json, problem
from gateway.hub.api.strictness import check_json, check_text

BODY_BYTES_MAX = 1 << 20
"""A consignment of 200 items with five examinations each takes 200 KiB."""
BODY_TIMEOUT_S = 30.0
"""Real seconds for a body to arrive: a vehicle's flag takes one on a slow network. Nobody waits for who dribbles."""
_SMALL = {"/api/v1/breaches": FLAG_BYTES_MAX, "/api/v1/enrolments": 4096}
_API = "/api/v1"
_WITHOUT_BODY = frozenset({"GET", "HEAD", "OPTIONS"})


class BodyLimit:
    """Reads a body up to its path's bound: 413 beyond it, 408 if it does not come, 422 for JSON of many meanings."""

    def __init__(self, app: ASGIApp, timeout_s: float = BODY_TIMEOUT_S) -> None:
        self._app = app
        self._timeout_s = timeout_s

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one connection."""
        admitted = receive if scope["type"] != "http" else await self._admit(scope, receive)
        if isinstance(admitted, Response):
            await admitted(scope, receive, send)
        else:
            await self._app(scope, admitted, send)

    async def _admit(self, scope: Scope, receive: Receive) -> Receive | Response:
        """Return what the application may receive, or why it shall not see this request at all."""
        limit = _SMALL.get(scope["path"], BODY_BYTES_MAX)
        headers = Headers(scope=scope)
        try:
            _check_address(scope)
            if scope["method"] in _WITHOUT_BODY:
                return receive
            async with asyncio.timeout(self._timeout_s):
                body = None if _announced(headers) > limit else await _read_body(receive, limit)
            if body is None:
                return problem(413, f"the body has more than {limit} bytes")
            if body and scope["path"].startswith(_API) and is_json(headers.get("content-type", "")):
                check_json(body)
        except InputError as error:
            return input_problem(error)
        except TimeoutError:
            return problem(408, f"the body did not arrive within {self._timeout_s:g} s")
        return _replay(body, receive)


def _check_address(scope: Scope) -> None:
    """Refuse characters in path and query that no code has and some databases cannot hold."""
    if scope["path"].startswith(_API):
        check_text("path", scope["path"])
        check_text("query", unquote_plus(scope["query_string"].decode("latin-1"), errors="replace"))


def _announced(headers: Headers) -> int:
    length = headers.get("content-length", "")
    return int(length) if length.isdecimal() else 0


async def _read_body(receive: Receive, limit: int) -> bytes | None:
    body = bytearray()
    while True:
        message = await receive()
        if message["type"] != "http.request":  # the client has gone
            return bytes(body)
        body += message.get("body", b"")
        if len(body) > limit:
            return None
        if not message.get("more_body", False):
            return bytes(body)


def _replay(body: bytes, receive: Receive) -> Receive:
    rest: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def replay() -> Message:
        return rest.pop() if rest else await receive()

    return replay
