"""coldchain hub notify: try a recipient, list what waits."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from gateway.cli.settings_file import SETTINGS, open_existing
from gateway.clock import open_clock
from gateway.core.errors import InputError
from gateway.hub.settings import HubSettings
from gateway.settings import load_settings

if TYPE_CHECKING:
    from gateway.hub.notification.ledger import Message

LISTED = 50
NOT_DELIVERED = 1
DAY_MS = 86_400_000


@click.command()
@SETTINGS
@click.option("--test", "recipient", metavar="RECIPIENT", help="Send a test to each of its channels, now.")
@click.option("--list", "_list", is_flag=True, help="List messages that wait or were given up (the default).")
@click.pass_context
def notify(context: click.Context, path: Path | None, recipient: str | None, *, _list: bool) -> int:
    """Try out whether a recipient is reached, or list the messages that have not arrived.

    Recipients and policies are registered over the API (`/api/docs`, notification). The hub may be running meanwhile.
    Exit status 1: a channel did not take the test, or something was not delivered.

    \b
    Examples:
      coldchain hub notify --test PHARMACY-ON-CALL --settings hub.toml
      coldchain hub notify --list --settings hub.toml
    """  # noqa: D301  \b is click's mark for "keep these lines", not an escape
    settings = load_settings(HubSettings, path or context.obj)
    return _test(settings, recipient) if recipient else _show(settings)


def _test(settings: HubSettings, name: str) -> int:
    from gateway.hub.notification.directory import Directory  # noqa: PLC0415  only a command that needs it loads it
    from gateway.hub.notification.worker import send_test  # noqa: PLC0415  the same

    with open_existing(settings) as store:
        directory = Directory(store, settings.notification, open_clock(settings.clock).now_ms)
        recipient = directory.recipient(name)
        if recipient is None:
            known = ", ".join(each.name for each in directory.recipients()) or "none is registered"
            raise InputError("test", f"no recipient {name} (there are: {known})")
    if not recipient.channels:
        raise InputError("test", f"{name} has no channel")
    found = send_test(recipient, settings)
    for channel, failure in found.items():
        click.echo(f"{name} {channel}: {failure or 'taken'}")
    return NOT_DELIVERED if any(found.values()) else 0


def _show(settings: HubSettings) -> int:
    from gateway.hub.notification.ledger import count_alerts_for_nobody, read_messages  # noqa: PLC0415  the same

    now_ms = open_clock(settings.clock).now_ms()
    with open_existing(settings) as store, store.read() as connection:
        found = read_messages(connection, None, LISTED)
        missed = count_alerts_for_nobody(connection, now_ms - DAY_MS)
    for line in _describe(found, missed):
        click.echo(line)
    return NOT_DELIVERED if found or missed else 0


def _describe(found: Sequence[Message], missed: int) -> Iterator[str]:
    from gateway.hub.times import to_datetime  # noqa: PLC0415  the same

    for message in reversed(found):
        moment = f"{to_datetime(message.made_at_ms):%Y-%m-%d %H:%M} UTC"
        tries = f" after {message.attempts} attempts: {message.failure}" if message.attempts else ""
        yield f"{message.uid}  {moment}  {message.recipient} {message.channel}: {message.state}{tries}"
    if missed:
        yield f"{missed} alerts of the last day reached nobody: register recipients, or look at the policies"
    if not found and not missed:
        yield "everything was delivered"
