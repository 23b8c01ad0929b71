"""What heads leave the hub for, and what is asked of it."""

from __future__ import annotations

import email
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from aiosmtpd.smtp import SMTP, Envelope, Session

from gateway.hub.settings import HeadsSettings, HubSettings
from gateway.hub.upkeep.departures import Departures

DAY_MS = 86_400_000


class Sink:
    """A mail server that keeps what it takes, or refuses."""

    def __init__(self) -> None:
        self.messages: list[email.message.Message] = []
        self.refuses = False

    async def handle_DATA(self, _server: SMTP, _session: Session, envelope: Envelope) -> str:  # noqa: N802  aiosmtpd's name
        if self.refuses:
            return "451 come back later"
        assert isinstance(envelope.content, bytes)
        self.messages.append(email.message_from_bytes(envelope.content))
        return "250 kept"


class Page(ThreadingHTTPServer):
    """What is posted, with its headers; answers `status`."""

    status = 204

    def __init__(self) -> None:
        self.posted: list[tuple[dict[str, str], bytes]] = []
        super().__init__(("127.0.0.1", 0), _Handler)


class _Handler(BaseHTTPRequestHandler):
    server: Page

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.server.status < 300:
            self.server.posted.append((dict(self.headers), body))
        self.send_response(self.server.status)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Quiet."""


def settings(folder: Path, /, **heads: object) -> HubSettings:
    return HubSettings(data_dir=folder / "hub", heads=HeadsSettings.model_validate(heads))


def states(departures: Departures) -> dict[tuple[int, str, str], bool]:
    return {(one.number, one.part, one.destination): one.done_at_ms is not None for one in departures.recent(9)}
