"""Commands of the hub about its chain of proof: heads that leave it, and keys."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING

import click

from gateway.clock import open_clock
from gateway.hub.settings import HubSettings
from gateway.keys import load_or_create_key
from gateway.settings import load_settings

if TYPE_CHECKING:
    from gateway.hub.departures import Departure
    from gateway.hub.store import Store

_SETTINGS = click.option(
    "--settings",
    "-s",
    "path",
    type=click.Path(path_type=Path),
    help="TOML file; without it everything comes from COLDCHAIN_… variables.",
)
LISTED = 30
"""Days that are listed."""
NOT_DELIVERED = 1


@contextmanager
def open_existing(settings: HubSettings) -> Iterator[Store]:
    """Open the hub's database for one command."""
    from gateway.hub.store import open_existing_store  # noqa: PLC0415  only a command that needs it pays for loading it

    store = open_existing_store(settings.database_url)
    try:
        yield store
    finally:
        store.close()


@click.command()
@_SETTINGS
@click.option("--now", is_flag=True, help="Make heads now and deliver everything that waits, then list.")
@click.option("--list", "_list", is_flag=True, help="List the newest and what still waits (the default).")
@click.pass_context
def heads(context: click.Context, path: Path | None, *, now: bool, _list: bool) -> int:
    """Show where the signed heads of all chains went; a running hub makes and sends them each day.

    Heads state how far each gateway's log and the audit trail reach. Kept elsewhere, they show a tail that was cut
    and a history that was rewritten: `coldchain verify --heads`. Exit status 1: something still waits.

    \b
    Settings:
      [heads] folder, webhook, webhook_token, timestamp_url
      [heads.mail] host, port, security, username, password, ca_file, sender, to
    """  # noqa: D301  \b is click's mark for "keep these lines", not an escape
    from gateway.hub.departures import Departures  # noqa: PLC0415  the same

    settings = load_settings(HubSettings, path or context.obj)
    with open_existing(settings) as store:
        rooms = Departures(store, load_or_create_key(settings.key_file), settings)
        if now:
            now_ms = open_clock(settings.clock).now_ms()
            rooms.write(now_ms, who="command line")
            rooms.deliver(now_ms)
        found = rooms.recent(LISTED)
    for line in describe_departures(found):
        click.echo(line)
    return NOT_DELIVERED if any(each.done_at_ms is None for each in found) else 0


def describe_departures(found: Sequence[Departure]) -> Iterator[str]:
    """Yield a line for each day's heads."""
    from gateway.hub.times import to_datetime  # noqa: PLC0415  the same

    for number, group in groupby(found, key=lambda each: each.number):
        each = list(group)
        moment = f"{to_datetime(each[0].at_ms):%Y-%m-%d %H:%M} UTC"
        yield f"heads {number}  {moment}  {'; '.join(_describe(one) for one in each)}"
    if not found:
        yield "no heads were made yet"


def _describe(one: Departure) -> str:
    place = one.destination if one.part == "document" else f"{one.part} to {one.destination}"
    if one.done_at_ms is not None:
        return f"{place}: there"
    if not one.attempts:
        return f"{place}: waits"
    return f"{place}: waits after {one.attempts} attempts: {one.failure}"
