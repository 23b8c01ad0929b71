"""Heads by mail: under TLS, and to no server that cannot show who it is."""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from pathlib import Path

import pytest
from aiosmtpd.controller import Controller

from gateway.hub.database.store import Store
from gateway.hub.settings import MailSettings
from gateway.hub.upkeep.departures import Departures
from gateway.keys import SigningKey
from tests.hub.heads.leaving import Sink, settings, states
from tests.hub.vans import START_MS, Van, sqlite_only
from tests.servers.certificates import Certificates, make_certificates
from tests.servers.ports import free_port
from tests.waiting import LIMIT_S


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
    controller = Controller(
        sink, hostname="127.0.0.1", port=port, ready_timeout=LIMIT_S, tls_context=context, require_starttls=True
    )
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
