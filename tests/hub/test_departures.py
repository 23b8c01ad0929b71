"""Heads leave the hub: to a folder, a web address, a mailbox, with an authority's timestamp; and what comes back."""

from __future__ import annotations

import asyncio
import email
import json
import socket
import ssl
import subprocess
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, Envelope, Session
from click.testing import CliRunner
from sqlalchemy import delete, select, update

from gateway.cli import main
from gateway.hub import departures as module
from gateway.hub import schema
from gateway.hub.alerts import AlertKind
from gateway.hub.departures import UNDELIVERED_MS, Departures
from gateway.hub.ingest import Ingest
from gateway.hub.notification.facts import read_story
from gateway.hub.notification.wording import say_alert
from gateway.hub.review.alerts import StoredAlert, read_alerts
from gateway.hub.settings import HeadsSettings, HubSettings, MailSettings
from gateway.hub.store import Store
from gateway.hub.times import real_ms
from gateway.keys import SigningKey, load_or_create_key
from gateway.language import Language, speech_of
from tests.hub.vans import START_MS, Van, observe, sqlite_only
from tests.servers.certificates import Certificates, make_certificates
from tests.servers.ports import free_port
from tests.servers.tsa import Authority, running_authority

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


@pytest.fixture
def mail() -> Iterator[tuple[Sink, MailSettings]]:
    sink = Sink()
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    controller = Controller(sink, hostname="127.0.0.1", port=port)
    controller.start()
    try:
        yield (
            sink,
            MailSettings(
                host="127.0.0.1", port=port, security="none", sender="hub@lab.example", to=("qa@lab.example",)
            ),
        )
    finally:
        controller.stop()


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


@pytest.fixture
def page() -> Iterator[Page]:
    with Page() as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Authority]:
    with running_authority(tmp_path_factory.mktemp("authority") / "tsa") as running:
        yield running


@pytest.fixture
def key(tmp_path: Path) -> SigningKey:
    return load_or_create_key(tmp_path / "hub" / "hub.key")


@pytest.fixture
def filled(store: Store, van: Van) -> Van:
    for place in range(4):
        van.seal(observe(place * 30, 5.0, counter=place))
    Ingest(store, lambda: START_MS).take(van.deliveries())
    return van


def settings(folder: Path, /, **heads: object) -> HubSettings:
    return HubSettings(data_dir=folder / "hub", heads=HeadsSettings.model_validate(heads))


def states(departures: Departures) -> dict[tuple[int, str, str], bool]:
    return {(one.number, one.part, one.destination): one.done_at_ms is not None for one in departures.recent(9)}


def test_heads_that_do_not_arrive_are_told_of_once_until_they_do(
    store: Store, filled: Van, key: SigningKey, tmp_path: Path, mail: tuple[Sink, MailSettings]
) -> None:
    sink, mailbox = mail
    sink.refuses = True
    departures = Departures(store, key, settings(tmp_path, mail=mailbox))
    departures.write(START_MS)
    departures.deliver(START_MS)
    departures.tell_undelivered(START_MS + UNDELIVERED_MS - 1)
    assert _alerts(store) == []
    departures.write(START_MS + UNDELIVERED_MS)
    departures.deliver(START_MS + UNDELIVERED_MS)
    for late_ms in (0, DAY_MS):
        departures.tell_undelivered(START_MS + UNDELIVERED_MS + late_ms)
    (told,) = _alerts(store)
    assert (told.kind, told.about["destination"], told.about["heads"]) == (AlertKind.HEADS_UNDELIVERED, "mail", 1)
    assert "come back later" in told.about["reason"]
    with store.read() as connection:
        said = say_alert(read_story(connection, told.id), speech_of(Language.EN, ZoneInfo("UTC")))
    assert said.title == "The signed heads do not leave the hub"
    assert "mail" in said.text
    sink.refuses = False
    departures.deliver(START_MS + 2 * DAY_MS)
    departures.tell_undelivered(START_MS + 2 * DAY_MS)
    (over,) = _alerts(store)
    assert (over.resolution, over.resolved_at_ms) == ("delivered", START_MS + 2 * DAY_MS)


def _alerts(store: Store) -> list[StoredAlert]:
    with store.read() as connection:
        return read_alerts(connection, waiting=False)


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return make_certificates(tmp_path_factory.mktemp("certificates"))


@pytest.fixture
def tls_mail(certificates: Certificates) -> Iterator[tuple[Sink, int]]:
    """A mail server that takes nothing before STARTTLS."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificates.server, certificates.server_key)
    sink = Sink()
    port = free_port()
    controller = Controller(sink, hostname="127.0.0.1", port=port, tls_context=context, require_starttls=True)
    controller.start()
    try:
        yield sink, port
    finally:
        controller.stop()


def mailbox_of(port: int, host: str = "localhost", **more: object) -> MailSettings:
    told = {"host": host, "port": port, "security": "starttls", "sender": "hub@lab.example", "to": ("qa@lab.example",)}
    return MailSettings.model_validate(told | more)


@sqlite_only
def test_mail_goes_by_starttls_under_the_houses_own_authority(
    store: Store,
    filled: Van,
    key: SigningKey,
    tmp_path: Path,
    tls_mail: tuple[Sink, int],
    certificates: Certificates,
) -> None:
    sink, port = tls_mail
    departures = Departures(store, key, settings(tmp_path, mail=mailbox_of(port, ca_file=certificates.authority)))
    departures.write(START_MS)
    departures.deliver(START_MS)
    assert all(states(departures).values())
    assert len(sink.messages) == 1


@sqlite_only
@pytest.mark.parametrize(
    ("more", "reason"),
    [
        ({"ca_file": None}, "CERTIFICATE_VERIFY_FAILED"),  # no public authority knows it
        ({"ca_file": "stranger"}, "CERTIFICATE_VERIFY_FAILED"),  # signed by another
        ({"ca_file": "authority", "host": "127.0.0.1"}, "CERTIFICATE_VERIFY_FAILED"),  # of another name
        ({"security": "none"}, "STARTTLS"),  # the server takes nothing in the clear
    ],
)
def test_mail_goes_to_no_server_that_cannot_show_who_it_is(
    store: Store,
    filled: Van,
    key: SigningKey,
    tmp_path: Path,
    tls_mail: tuple[Sink, int],
    certificates: Certificates,
    more: dict[str, str | None],
    reason: str,
) -> None:
    sink, port = tls_mail
    file = more.get("ca_file")
    named = {**more, "ca_file": None if file is None else getattr(certificates, file)}
    departures = Departures(store, key, settings(tmp_path, mail=mailbox_of(port, **named)))
    departures.write(START_MS)
    departures.deliver(START_MS)
    (waiting,) = [one for one in departures.recent(1) if one.done_at_ms is None]
    assert reason in waiting.failure
    assert sink.messages == []


def test_everywhere_arrives_the_same_document_and_then_its_timestamp(
    store: Store,
    filled: Van,
    key: SigningKey,
    tmp_path: Path,
    mail: tuple[Sink, MailSettings],
    page: Page,
    authority: Authority,
) -> None:
    sink, mailbox = mail
    url = f"http://127.0.0.1:{page.server_port}/heads"
    there = settings(
        tmp_path, folder=tmp_path / "share", webhook=url, webhook_token="t", mail=mailbox, timestamp_url=authority.url
    )
    departures = Departures(store, key, there)
    written = departures.write(START_MS)
    departures.deliver(START_MS)
    assert all(states(departures).values())
    assert len(states(departures)) == 7
    names = sorted(path.name for path in (tmp_path / "share").iterdir())
    assert names == [f"{written.name}.json", f"{written.name}.tsr"]
    document = (tmp_path / "share" / names[0]).read_bytes()
    assert document == written.document.encode()
    assert [body for _, body in page.posted] == [document, (tmp_path / "share" / names[1]).read_bytes()]
    assert page.posted[0][0]["Authorization"] == "Bearer t"
    assert names[0] in page.posted[0][0]["Content-Disposition"]
    attached = [
        part.get_payload(decode=True) for message in sink.messages for part in message.walk() if part.get_filename()
    ]
    assert attached == [body for _, body in page.posted]
    judged = subprocess.run(  # noqa: S603  the machine's openssl, a foreign judge of what we keep
        ["openssl", "ts", "-verify", "-in", names[1], "-data", names[0], "-CAfile", str(authority.ca)],  # noqa: S607  the same
        cwd=tmp_path / "share",
        capture_output=True,
        text=True,
        check=False,
    )
    assert judged.returncode == 0, judged.stderr


def test_what_is_not_delivered_waits_is_shown_and_comes_in_order(
    store: Store, filled: Van, key: SigningKey, tmp_path: Path, mail: tuple[Sink, MailSettings], page: Page
) -> None:
    sink, mailbox = mail
    sink.refuses, page.status = True, 503
    url = f"http://127.0.0.1:{page.server_port}/heads"
    departures = Departures(store, key, settings(tmp_path, webhook=url, mail=mailbox))
    departures.write(START_MS)
    departures.deliver(START_MS)
    departures.write(START_MS + DAY_MS)
    departures.deliver(START_MS)
    assert {key for key, done in states(departures).items() if not done} == {
        (number, "document", destination) for number in (1, 2) for destination in ("mail", "webhook")
    }
    failures = {one.destination: one.failure for one in departures.recent(9) if one.number == 1}
    assert failures["webhook"] == "answers 503"
    assert "come back later" in failures["mail"]
    assert departures._due("mail", real_ms()) is None, "nothing is tried before its pause is over"
    sink.refuses, page.status = False, 200
    departures.deliver(START_MS)
    assert all(states(departures).values())
    numbers = [json.loads(json.loads(body)["statement"])["number"] for _, body in page.posted]
    assert numbers == [1, 2]


@sqlite_only
async def test_a_destination_that_hangs_holds_up_no_other(
    store: Store, filled: Van, key: SigningKey, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "LOOK_S", 0.05)
    hangs = threading.Event()
    departures = Departures(store, key, settings(tmp_path))
    departures._carriers = {"mail": lambda _: hangs.wait() and None, **departures._carriers}  # type: ignore[assignment]  one that hangs
    running = asyncio.create_task(departures.run(lambda: START_MS))
    try:
        async with asyncio.timeout(60):
            while not list((tmp_path / "hub" / "heads").glob("heads-*.json")):  # noqa: ASYNC110  a file has no event
                await asyncio.sleep(0.05)
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        hangs.set()
    assert states(departures)[1, "document", "mail"] is False


async def test_one_is_made_each_day_and_not_before_there_is_anything(
    store: Store, van: Van, key: SigningKey, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    departures = Departures(store, key, settings(tmp_path))
    assert not departures.write_if_due(START_MS)
    van.seal(observe(0, 5.0))
    Ingest(store, lambda: START_MS).take(van.deliveries())
    assert departures.write_if_due(START_MS)
    assert not departures.write_if_due(START_MS + 1)
    assert not departures.write_if_due(START_MS - DAY_MS)
    assert departures.write_if_due(START_MS + DAY_MS)
    with store.read() as connection:
        acts = connection.execute(select(schema.audit.c.act)).scalars()
        assert list(acts).count("write_heads") == 2


@sqlite_only
def test_a_file_of_that_name_is_never_replaced(store: Store, filled: Van, key: SigningKey, tmp_path: Path) -> None:
    departures = Departures(store, key, settings(tmp_path))
    written = departures.write(START_MS)
    target = tmp_path / "hub" / module.FOLDER / f"{written.name}.json"
    target.parent.mkdir(parents=True)
    target.write_text("something else")
    departures.deliver(START_MS)
    assert departures.recent(1)[0].failure.endswith("is something else")
    assert target.read_text() == "something else"


@sqlite_only
@pytest.mark.parametrize("answer", [b"no timestamp", b"", b"0\x03\x02\x01\x00"])
def test_an_authority_that_answers_nonsense_is_a_failure(
    store: Store, filled: Van, key: SigningKey, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, answer: bytes
) -> None:
    import httpx  # noqa: PLC0415  only here

    def post(url: str, **_: object) -> httpx.Response:
        return httpx.Response(200, content=answer, request=httpx.Request("POST", url))

    monkeypatch.setattr("gateway.hub.timestamps.httpx.post", post)
    departures = Departures(store, key, settings(tmp_path, timestamp_url="http://tsa.example"))
    departures.write(START_MS)
    departures.deliver(START_MS)
    assert not states(departures)[1, "document", "authority"]


# --- with what came back


@pytest.fixture
def share(store: Store, filled: Van, key: SigningKey, tmp_path: Path, authority: Authority) -> Path:
    """Three days' heads with timestamps, kept by somebody; the log grew between them."""
    folder = tmp_path / "share"
    departures = Departures(store, key, settings(tmp_path, folder=folder, timestamp_url=authority.url))
    for day in range(3):
        filled.seal(observe(1000 + day * 30, 5.0, counter=10 + day))
        Ingest(store, lambda: START_MS).take(filled.deliveries(filled.sealed[-1:]))
        departures.write(START_MS + day * DAY_MS)
        departures.deliver(START_MS)
    return folder


def verify(tmp_path: Path, database: str, share: Path, key: SigningKey, *options: str) -> tuple[int, str]:
    file = tmp_path / "hub.toml"
    file.write_text(f'data_dir = "{tmp_path / "hub"}"\ndatabase = "{database}"\n')
    arguments = [
        "verify",
        "--settings",
        str(file),
        "--heads",
        str(share),
        "--hub-key",
        key.public_bytes.hex(),
        *options,
    ]
    result = CliRunner().invoke(main, arguments)
    return result.exit_code, result.stdout + result.stderr


@sqlite_only
def test_heads_that_were_kept_prove_what_is_here(
    database: str, share: Path, key: SigningKey, tmp_path: Path, authority: Authority
) -> None:
    status, text = verify(tmp_path, database, share, key, "--tsa-ca", str(authority.ca))
    assert status == 0, text
    assert "3 earlier heads, 3 timestamps" in text


@sqlite_only
def test_a_cut_tail_a_rewritten_trail_and_lost_heads_are_named(
    store: Store, database: str, share: Path, key: SigningKey, tmp_path: Path, filled: Van, authority: Authority
) -> None:
    with store.write() as connection:
        connection.execute(delete(schema.segments).where(schema.segments.c.position > 4))
        connection.execute(update(schema.epochs).values(next_offset=5, head=filled.sealed[4].hash))
        connection.execute(delete(schema.audit))
    files = sorted(share.glob("*.json"))
    files[1].unlink()
    status, text = verify(tmp_path, database, share, key)
    assert status == 1
    assert text.count("tail_cut: van-1 epoch") == 1, "the first day's head still stands, the third day's does not"
    assert "tail_cut: the audit trail had" in text
    assert f"missing: heads 2, before {files[2]}" in text


@sqlite_only
def test_altered_exchanged_and_doubled_heads_and_timestamps_are_named(
    database: str, share: Path, key: SigningKey, tmp_path: Path, authority: Authority, store: Store
) -> None:
    files, stamps = sorted(share.glob("*.json")), sorted(share.glob("*.tsr"))
    stamps[0].write_bytes(stamps[1].read_bytes())
    altered = bytearray(stamps[2].read_bytes())
    altered[len(altered) // 2] ^= 1
    stamps[2].write_bytes(bytes(altered))
    other = Departures(store, key, settings(tmp_path / "other", folder=share))
    with store.write() as connection:
        connection.execute(delete(schema.departures))
        connection.execute(delete(schema.heads).where(schema.heads.c.number > 1))
        connection.execute(update(schema.heads).values(document="{}"))
    other.write(START_MS + 5 * DAY_MS)  # a hub whose history was made anew
    other.deliver(START_MS)
    files[0].write_text(files[0].read_text().replace("van-1", "van-2"))
    status, text = verify(tmp_path, database, share, key, "--tsa-ca", str(authority.ca))
    assert status == 1
    assert text.count("forged:") == 2, text
    assert "not signed by the hub's key" in text
    assert "the timestamp does not hold" in text
    assert "rewritten: there are two heads 2" in text


@sqlite_only
def test_a_timestamp_of_another_authority_proves_nothing(
    database: str, share: Path, key: SigningKey, tmp_path: Path
) -> None:
    with running_authority(tmp_path / "somebody") as other:
        status, text = verify(tmp_path, database, share, key, "--tsa-ca", str(other.ca))
    assert status == 1
    assert text.count("the timestamp does not hold") == 3


@sqlite_only
def test_a_folder_without_heads_is_a_wrong_input(database: str, store: Store, key: SigningKey, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    status, text = verify(tmp_path, database, tmp_path / "empty", key)
    assert (status, "holds no heads-*.json" in text) == (2, True)


@sqlite_only
def test_the_command_makes_delivers_and_lists(database: str, filled: Van, tmp_path: Path, page: Page) -> None:
    file = tmp_path / "hub.toml"
    file.write_text(
        f'data_dir = "{tmp_path / "hub"}"\ndatabase = "{database}"\n'
        f'[heads]\nfolder = "{tmp_path / "away"}"\nwebhook = "http://127.0.0.1:{page.server_port}/"\n'
    )
    page.status = 500
    arguments = ["hub", "heads", "--settings", str(file)]
    listed = CliRunner().invoke(main, arguments)
    assert (listed.exit_code, listed.stdout) == (0, "no heads were made yet\n")
    made = CliRunner().invoke(main, [*arguments, "--now"])
    assert made.exit_code == 1
    assert "folder: there; webhook: waits after 1 attempts: answers 500" in made.stdout
    assert len(list((tmp_path / "away").glob("heads-000001-*.json"))) == 1
