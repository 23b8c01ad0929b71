"""Where signed heads go when they leave the hub: a folder, a web address, a mailbox. All of it blocks."""

from __future__ import annotations

import os
import smtplib
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from email.message import EmailMessage
from email.utils import formatdate, make_msgid
from pathlib import Path
from typing import Protocol

import httpx

from gateway.core.errors import ColdchainError
from gateway.hub.settings import HeadsSettings, MailServerSettings, MailSettings

TIMEOUT_S = 30.0
"""For each step of a delivery; a share or a server that needs longer is tried again later."""


class DepartureError(ColdchainError):
    """A destination did not take a document. The message says why, in one line."""


@dataclass(frozen=True, slots=True)
class Parcel:
    """A file that leaves. `title` says in words what it is."""

    name: str
    media_type: str
    title: str
    data: bytes


class Destination(Protocol):
    """Something that takes parcels. The same one may come twice and is then the same file."""

    def take(self, parcel: Parcel) -> None:
        """Return when it is there; raises DepartureError."""


class Folder:
    """A folder, best a mounted share that lets nobody change what is there."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def take(self, parcel: Parcel) -> None:
        """Write the file, durably; one of that name with another content is never replaced."""
        target = self._path / parcel.name
        try:
            self._path.mkdir(parents=True, exist_ok=True)
            if target.exists():
                if target.read_bytes() != parcel.data:
                    raise DepartureError(f"{target} is there already and is something else")
                return
            partial = target.with_name(f".{parcel.name}.part")
            with partial.open("wb") as file:
                file.write(parcel.data)
                file.flush()
                os.fsync(file.fileno())
            partial.rename(target)
        except OSError as error:
            raise DepartureError(f"{self._path}: {error.strerror or error}") from error


class Webhook:
    """An address to which each file is posted."""

    def __init__(self, url: str, token: str) -> None:
        self._url = url
        self._headers = {"Authorization": f"Bearer {token}"} if token else {}

    def take(self, parcel: Parcel) -> None:
        """Post it; an answer of 2xx is a receipt."""
        headers = {
            **self._headers,
            "Content-Type": parcel.media_type,
            "Content-Disposition": f'attachment; filename="{parcel.name}"',
        }
        try:
            answer = httpx.post(self._url, content=parcel.data, headers=headers, timeout=TIMEOUT_S)
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise DepartureError(f"{type(error).__name__}: {error}") from error
        if not answer.is_success:
            raise DepartureError(f"answers {answer.status_code}")


class Mail:
    """A mailbox, by SMTP."""

    def __init__(self, settings: MailSettings) -> None:
        self._settings = settings

    def take(self, parcel: Parcel) -> None:
        """Send it as an attachment; the mail server's acceptance is a receipt."""
        settings = self._settings
        try:
            with connect_mail(settings, TIMEOUT_S) as server:
                refused = server.send_message(_compose(settings, parcel))
        except (smtplib.SMTPException, OSError) as error:
            raise DepartureError(f"{settings.host}: {error}") from error
        if refused:
            raise DepartureError(f"{settings.host} refuses {', '.join(refused)}")


def connect_mail(settings: MailServerSettings, timeout_s: float) -> smtplib.SMTP:
    """Return a connection to a mail server, logged in; raises SMTPException or OSError. `timeout_s`: for each step."""
    if settings.security == "tls":
        context = ssl.create_default_context(cafile=settings.ca_file)
        server: smtplib.SMTP = smtplib.SMTP_SSL(settings.host, settings.port, timeout=timeout_s, context=context)
    else:
        server = smtplib.SMTP(settings.host, settings.port, timeout=timeout_s)
    try:
        if settings.security == "starttls":
            server.starttls(context=ssl.create_default_context(cafile=settings.ca_file))
        if settings.username:
            server.login(settings.username, settings.password.get_secret_value())
    except (smtplib.SMTPException, OSError):
        server.close()
        raise
    return server


def open_destinations(settings: HeadsSettings, default: Path) -> Mapping[str, Destination]:
    """Return the configured destinations by name. Without a folder of its own the files are written to `default`."""
    found: dict[str, Destination] = {"folder": Folder(settings.folder or default)}
    if settings.webhook:
        found["webhook"] = Webhook(settings.webhook, settings.webhook_token.get_secret_value())
    if settings.mail is not None:
        found["mail"] = Mail(settings.mail)
    return found


def _compose(settings: MailSettings, parcel: Parcel) -> EmailMessage:
    message = EmailMessage()
    message["From"] = settings.sender
    message["To"] = ", ".join(settings.to)
    message["Subject"] = f"Coldchain: {parcel.title}"
    message["Date"] = formatdate()
    message["Message-ID"] = make_msgid(domain=settings.sender.rpartition("@")[2])
    message.set_content(
        "The attached file states how far each gateway's log and the audit trail reached.\n"
        "Keep it: with it, `coldchain verify --heads` shows whether anything was cut or rewritten since.\n"
    )
    kind, _, subkind = parcel.media_type.partition("/")
    message.add_attachment(parcel.data, maintype=kind, subtype=subkind, filename=parcel.name)
    return message
