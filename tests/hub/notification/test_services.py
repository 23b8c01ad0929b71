"""What leaves through Apprise: under the same guard, with the message's id in its text."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import SecretStr

from gateway.core.errors import InputError
from gateway.hub.notification.channels import Guarded, open_channel, shown
from gateway.hub.notification.outgoing import DeliveryError, Outgoing
from gateway.hub.notification.recipients import Channel
from gateway.hub.notification.services import open_service
from gateway.hub.settings import NotificationSettings
from tests.hub.notification.scene import WebSink, mail_sink, web_sink

MESSAGE = Outgoing("coldchain-1", "Too warm: T-1 in C-1", "Above 8 °C.", {"id": "coldchain-1"})
LOCAL = NotificationSettings(private=("127.0.0.1",))


def channel(url: str) -> Channel:
    return Channel(id="x", url=SecretStr(url))


@pytest.fixture
def taken(monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """What Apprise posted; its requests carry no id of ours as a header."""
    bodies: list[bytes] = []

    def keep(self: Any) -> None:  # noqa: ANN401  the handler
        bodies.append(self.rfile.read(int(self.headers["Content-Length"])))
        self.send_response(500 if b"refuse" in bodies[-1] else 204)
        self.end_headers()

    monkeypatch.setattr("tests.hub.notification.scene._Handler.do_POST", keep)
    return bodies


def test_a_service_on_a_host_that_is_named(taken: list[bytes]) -> None:
    with web_sink() as sink:
        open_channel(channel(_json(sink)), LOCAL).carry(MESSAGE)
        assert b"[coldchain-1]" in taken[0]
        with pytest.raises(DeliveryError, match="did not take it"):
            open_channel(channel(_json(sink)), LOCAL).carry(Outgoing("coldchain-2", "refuse", "x", {}))


def test_a_service_cannot_be_led_to_a_private_address(taken: list[bytes]) -> None:
    with web_sink() as sink:
        service = open_service(_json(sink), ("127.0.0.1",))
        with pytest.raises(DeliveryError, match=r"127\.0\.0\.1, a private address"):
            Guarded(service, ()).carry(MESSAGE)
    assert taken == []


def test_mail_through_apprise_reaches_a_server_that_is_named() -> None:
    with mail_sink() as mail:
        url = f"mailto://127.0.0.1:{mail.port}?to=ward@lab.example&from=hub@lab.example&mode=insecure"
        open_channel(channel(url), LOCAL).carry(MESSAGE)
        assert "coldchain-1" in mail.mails[0].as_string()


@pytest.mark.parametrize(
    ("url", "seen"),
    [
        ("https://hooks.example/hidden-path?key=hidden", "https://hooks.example/…"),
        ("tgram://123456789:hidden/chat", "tgram:…"),
        ("mailto:ward@lab.example", "mailto:…"),
        ("slack://hidden/hidden/hidden", "slack:…"),
    ],
)
def test_of_an_address_only_its_kind_is_shown(url: str, seen: str) -> None:
    assert shown(channel(url)) == seen
    assert "hidden" not in repr(channel(url))


def test_a_wrong_address_is_not_repeated() -> None:
    with pytest.raises(InputError) as caught:
        open_channel(channel("twilio://secret"), LOCAL)
    assert "secret" not in str(caught.value)


def _json(sink: WebSink) -> str:
    return f"json://127.0.0.1:{sink.server_address[1]}/in"
