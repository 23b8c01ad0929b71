"""Channels: how a message leaves. A signed webhook, mail, or a service that Apprise knows. Blocking, each guarded."""

from __future__ import annotations

import re
import smtplib
import ssl
import time
from email.message import EmailMessage
from email.utils import formatdate
from functools import cache
from typing import Protocol
from urllib.parse import SplitResult, urlsplit

import httpx
import msgspec

from gateway.core.errors import InputError
from gateway.hub.notification.guard import check_host, guarded, refused_address
from gateway.hub.notification.outgoing import TIMEOUT_S, DeliveryError, Outgoing
from gateway.hub.notification.recipients import Channel
from gateway.hub.notification.signing import ID, SIGNATURE, TIMESTAMP, key_of, sign
from gateway.hub.settings import MailServerSettings, NotificationSettings
from gateway.hub.upkeep.destinations import connect_mail

_MAIL = "mailto:"
_ADDRESS = re.compile(r"[^@\s,;:<>\"]+@[^@\s,;:<>\"]+")
_WEBHOOKS = frozenset({"https", "http"})


class Carrier(Protocol):
    """Takes messages to one channel. The same message may come several times, with the same id."""

    def carry(self, message: Outgoing) -> None:
        """Return when the other side has taken it; raises DeliveryError."""


@cache
def _trusted() -> ssl.SSLContext:
    """The certificates of the machine: reading them takes longer than a message."""
    return ssl.create_default_context()


class Webhook:
    """A program's address: JSON, signed if it has a secret."""

    def __init__(self, url: str, secret: str) -> None:
        self._url = url
        self._secret = secret

    def carry(self, message: Outgoing) -> None:
        """Post it; an answer of 2xx is a receipt, a redirect is none."""
        at_s = int(time.time())
        body = msgspec.json.encode(message.document)
        headers = {
            "Content-Type": "application/json",
            "Idempotency-Key": message.uid,
            ID: message.uid,
            TIMESTAMP: str(at_s),
        }
        if self._secret:
            headers[SIGNATURE] = sign(self._secret, message.uid, at_s, body)
        try:
            # A proxy of the environment would decide where it goes, and no redirect does.
            with (
                httpx.Client(timeout=TIMEOUT_S, verify=_trusted(), trust_env=False, follow_redirects=False) as client,
                client.stream("POST", self._url, content=body, headers=headers) as answer,
            ):
                status = answer.status_code  # what else it says is not read: there may be no end to it
        except httpx.HTTPError as error:
            raise DeliveryError(type(error).__name__) from error
        if not httpx.codes.is_success(status):
            raise DeliveryError(f"answers {status}")


class Mail:
    """A mailbox, by the hub's own mail server."""

    def __init__(self, address: str, settings: MailServerSettings) -> None:
        self._address = address
        self._settings = settings

    def carry(self, message: Outgoing) -> None:
        """Send it; the server's acceptance is a receipt. Mail programs show one `Message-ID` once."""
        settings = self._settings
        mail = EmailMessage()
        mail["From"] = settings.sender
        mail["To"] = self._address
        mail["Subject"] = message.title
        mail["Date"] = formatdate()
        mail["Message-ID"] = f"<{message.uid}@{settings.sender.rpartition('@')[2]}>"
        mail["Auto-Submitted"] = "auto-generated"  # holiday notices do not answer it (RFC 3834)
        mail.set_content(message.text)
        try:
            with connect_mail(settings, TIMEOUT_S) as server:
                server.send_message(mail)
        except (smtplib.SMTPException, ssl.SSLError) as error:
            code = getattr(error, "smtp_code", "")
            raise DeliveryError(f"mail server: {type(error).__name__} {code}".rstrip()) from error
        except OSError as error:
            raise DeliveryError(f"mail server: {error.strerror or type(error).__name__}") from error


class Guarded:
    """A carrier that reaches no private address but those of the settings."""

    def __init__(self, inner: Carrier, private: tuple[str, ...]) -> None:
        self._inner = inner
        self._private = private

    def carry(self, message: Outgoing) -> None:
        """Carry it under the guard."""
        with guarded(self._private):
            try:
                self._inner.carry(message)
            except DeliveryError as error:
                if refused := refused_address():
                    reason = f"its host is at {refused}, a private address that notification.private does not allow"
                    raise DeliveryError(reason) from error
                raise


def open_channel(channel: Channel, settings: NotificationSettings) -> Carrier:
    """Return what carries to a channel; raises InputError for an address that nothing is sent to."""
    url = "" if channel.url is None else channel.url.get_secret_value()
    if not url:
        raise InputError("url", f"channel {channel.id} has none")
    private = settings.private
    if url.lower().startswith(_MAIL) and not url[len(_MAIL) :].startswith("//"):
        return _open_mail(url[len(_MAIL) :], settings)
    if _split(url).scheme in _WEBHOOKS:
        return Guarded(_open_webhook(url, channel, private), private)
    from gateway.hub.notification.services import open_service  # noqa: PLC0415  a hub without Apprise's services need not load them

    return Guarded(open_service(url, private), private)


def shown(channel: Channel) -> str:
    """Return what may be read of a channel's address: its kind, of a webhook the host too."""
    url = "" if channel.url is None else channel.url.get_secret_value()
    try:
        parts = urlsplit(url)
        host = parts.hostname
    except ValueError:
        return "…"
    if parts.scheme in _WEBHOOKS:
        return f"{parts.scheme}://{host or ''}/…"
    return f"{parts.scheme}:…" if parts.scheme else ""


def _open_mail(address: str, settings: NotificationSettings) -> Carrier:
    if settings.mail is None:
        raise InputError("url", "mailto: needs a mail server, notification.mail in the settings")
    if not _ADDRESS.fullmatch(address):
        raise InputError("url", "mailto: is followed by one mail address and nothing else")
    return Guarded(Mail(address, settings.mail), (*settings.private, settings.mail.host))


def _open_webhook(url: str, channel: Channel, private: tuple[str, ...]) -> Webhook:
    parts = _split(url)
    if not parts.hostname:
        raise InputError("url", "has no host")
    if parts.username or parts.password:
        raise InputError("url", "a webhook has no user and password; it has a secret")
    check_host(parts.hostname, private, clear=parts.scheme == "http")
    secret = "" if channel.secret is None else channel.secret.get_secret_value()
    try:
        key_of(secret)
    except ValueError as error:
        raise InputError("secret", "what follows whsec_ is not Base64") from error
    return Webhook(url, secret)


def _split(url: str) -> SplitResult:
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError as error:
        raise InputError("url", "is none") from error
    if any(ord(sign) <= ord(" ") for sign in url):
        raise InputError("url", "has blanks or control characters in it")
    return parts
