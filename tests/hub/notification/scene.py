"""Sinks that misbehave, and a hub's store with somebody to tell and something to tell of."""

from __future__ import annotations

import email
import json
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.message import Message as Email
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, Envelope, Session
from sqlalchemy import update

from gateway.core.configuration import Box, Carriage, Consignment, Examination, Item
from gateway.core.flags import BreachFlag, breach_key
from gateway.core.profiles import Kind
from gateway.core.verdicts import BreachKind
from gateway.hub.breaches.keeping import flag
from gateway.hub.database.schema import reviews
from gateway.hub.database.store import Store
from gateway.hub.notification.directory import Directory
from gateway.hub.notification.recipients import Recipient
from gateway.hub.registry.registry import Registry
from gateway.hub.settings import HubSettings, MailServerSettings, NotificationSettings
from tests.servers.ports import free_port
from tests.waiting import LIMIT_S

NOW_MS = 1_792_908_000_000
SECRET = "0123456789abcdef0123456789abcdef"


@dataclass
class WebSink(ThreadingHTTPServer):
    """Keeps what is posted. `moods` says what it does next: ok, fail, hang, drop (takes it, never answers), twice."""

    moods: list[str] = field(default_factory=list)
    posted: list[tuple[dict[str, str], bytes]] = field(default_factory=list)
    taken: list[str] = field(default_factory=list)
    released: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/in"

    @property
    def alerts(self) -> dict[str, set[int]]:
        """The alerts that each message told of, by its id."""
        told: dict[str, set[int]] = {}
        for headers, body in self.posted:
            told.setdefault(headers["webhook-id"], set()).update(one["id"] for one in json.loads(body)["alerts"])
        return told


class _Handler(BaseHTTPRequestHandler):
    server: WebSink

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        mood = self.server.moods.pop(0) if self.server.moods else "ok"
        if mood == "hang":
            self.server.released.wait(60)
            self.close_connection = True
            return
        if mood == "fail":
            self.send_error(503)
            return
        if mood == "redirect":
            self.send_response(307)
            self.send_header("Location", self.server.url)
            self.end_headers()
            return
        headers = {name.lower(): value for name, value in self.headers.items()}
        self.server.posted.append((headers, body))
        self.server.taken.append(headers["webhook-id"])
        if mood == "drop":
            self.close_connection = True
            return
        answer = b"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n"
        self.wfile.write(answer * (2 if mood == "twice" else 1))
        self.close_connection = True

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  the base's name
        """Be quiet."""


@dataclass
class MailSink:
    """Keeps mails; refuses for now while `refuses`."""

    port: int
    mails: list[Email] = field(default_factory=list)
    refuses: int = 0

    async def handle_DATA(self, _server: SMTP, _session: Session, envelope: Envelope) -> str:  # noqa: N802  aiosmtpd's name
        if self.refuses:
            self.refuses -= 1
            return "451 come back later"
        assert isinstance(envelope.content, bytes)
        self.mails.append(email.message_from_bytes(envelope.content))
        return "250 kept"


@contextmanager
def web_sink(*moods: str) -> Iterator[WebSink]:
    sink = WebSink(list(moods))
    threading.Thread(target=sink.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
    try:
        yield sink
    finally:
        sink.released.set()
        sink.shutdown()
        sink.server_close()


@contextmanager
def mail_sink() -> Iterator[MailSink]:
    sink = MailSink(free_port())
    controller = Controller(sink, hostname="127.0.0.1", port=sink.port, ready_timeout=LIMIT_S)
    controller.start()
    try:
        yield sink
    finally:
        controller.stop()


def settings_of(folder: Any, mail: MailSink | None = None) -> HubSettings:  # noqa: ANN401  a path
    server = None
    if mail is not None:
        server = MailServerSettings(host="127.0.0.1", port=mail.port, security="none", sender="hub@lab.example")
    return HubSettings(data_dir=folder, notification=NotificationSettings(private=("127.0.0.1",), mail=server))


def register(store: Store, settings: HubSettings, *recipients: dict[str, Any]) -> Directory:
    directory = Directory(store, settings.notification, lambda: NOW_MS)
    for recipient in recipients:
        directory.put_recipient(Recipient.model_validate(recipient), "test")
    return directory


def register_consignment(store: Store, code: str = "C-1", kind: Kind = Kind.SAMPLE) -> None:
    registry = Registry(store, lambda: NOW_MS)
    registry.put_box(Box(code="BOX-1"), "test")
    begins = datetime.fromtimestamp(NOW_MS / 1000 - 3600, UTC)
    examination = Examination(code="K", profile="potassium")
    item = Item(code="T-1", kind=kind, examinations=(examination,), carriage=(Carriage(box="BOX-1", begins=begins),))
    registry.put_consignment(Consignment(code=code, items=(item,), requester="WARD-3", receiver="LAB"), "test")


def break_limit(store: Store, number: int = 0, code: str = "C-1") -> int:
    """Flag a breach as a gateway does; return its id. Alerted in the same transaction."""
    started_ms = NOW_MS - 3_000_000 + number * 1000
    kind = BreachKind.FORBIDDEN
    told: dict[str, Any] = {"consignment": code, "item": "T-1", "examination": "K", "rule": f"too-warm-{number}"}
    flagged = BreachFlag(
        key=breach_key(**told, kind=kind, started_at_ms=started_ms),
        **told,
        gateway="van-1",
        profile="potassium",
        profile_version=1,
        config_version=1,
        kind=kind,
        started_at_ms=started_ms,
        triggered_at_ms=started_ms + 60_000,
        extreme_c=9.5,
        minutes=1.0,
        epoch="00112233aabbccdd",
        offset=number,
    )
    with store.write() as connection:
        return flag(connection, flagged, NOW_MS)[0]


def acknowledge(store: Store, breach_ids: Sequence[int]) -> None:
    with store.write() as connection:
        connection.execute(
            update(reviews).where(reviews.c.breach_id.in_(breach_ids)).values(state="acknowledged", changed_at_ms=0)
        )


def wait_until(condition: Any, limit_s: float = LIMIT_S) -> None:  # noqa: ANN401  anything that can be called
    """Wait for another process or thread; the limit only ends a test that has failed."""
    ends_s = time.monotonic() + limit_s
    while not condition():
        if time.monotonic() > ends_s:
            raise TimeoutError
        time.sleep(0.02)
