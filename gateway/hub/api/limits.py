"""A bound on request bodies, kept before anything is parsed."""

from __future__ import annotations

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from gateway.core.flags import FLAG_BYTES_MAX
from gateway.hub.api.problems import problem

BODY_BYTES_MAX = 1 << 20
"""A consignment of 200 items with five examinations each takes 200 KiB."""
_SMALL = {"/api/v1/breaches": FLAG_BYTES_MAX, "/api/v1/enrolments": 4096}


class BodyLimit:
    """Reads a body up to its path's bound, answers 413 beyond it."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one connection."""
        if scope["type"] != "http" or scope["method"] in {"GET", "HEAD", "OPTIONS"}:
            await self._app(scope, receive, send)
            return
        limit = _SMALL.get(scope["path"], BODY_BYTES_MAX)
        body = await _read_body(receive, limit)
        if body is None:
            await problem(413, f"the body has more than {limit} bytes")(scope, receive, send)
            return
        await self._app(scope, _replay(body, receive), send)


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
