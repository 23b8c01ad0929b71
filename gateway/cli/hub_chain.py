"""Commands of the hub about its chain of proof: heads that leave it, and keys."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING

import click

from gateway.cli.settings_file import SETTINGS, open_existing
from gateway.clock import open_clock
from gateway.hub.proof.hub_key import load_hub_key
from gateway.hub.settings import HubSettings
from gateway.settings import load_settings

if TYPE_CHECKING:
    from gateway.hub.upkeep.departures import Departure

LISTED = 30
"""Days that are listed."""
NOT_DELIVERED = 1


@click.command()
@SETTINGS
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
    from gateway.hub.upkeep.departures import Departures  # noqa: PLC0415  the same

    settings = load_settings(HubSettings, path or context.obj)
    with open_existing(settings) as store:
        rooms = Departures(store, load_hub_key(settings.key_file), settings)
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


@click.command()
@click.argument("gateway")
@SETTINGS
@click.option("--reason", required=True, help="Why, for the audit trail.")
@click.option("--key", default="", metavar="HEX", help="Only the key that begins so; without it all of the gateway's.")
@click.pass_context
def revoke(context: click.Context, gateway: str, path: Path | None, reason: str, key: str) -> None:
    """Revoke the keys of GATEWAY: stolen, sold, lost.

    From now on what they sign is quarantined and alerted, and their tokens are refused. What the hub holds already
    stays. The vehicle goes on with `coldchain vehicle rotate-key --enrol CODE`. The hub may be running meanwhile.
    """
    from gateway.hub.replication.gateway_keys import revoke_keys  # noqa: PLC0415  the same

    settings = load_settings(HubSettings, path or context.obj)
    with open_existing(settings) as store, store.write() as connection:
        now_ms = open_clock(settings.clock).now_ms()
        count = revoke_keys(connection, gateway, now_ms, who="command line", reason=reason, key=key)
    click.echo(f"{gateway}: {count} {'key' if count == 1 else 'keys'} revoked")


@click.command()
@click.argument("gateway", required=False)
@SETTINGS
@click.pass_context
def keys(context: click.Context, gateway: str | None, path: Path | None) -> None:
    """List the keys of all gateways, or of GATEWAY, and what became of each."""
    from sqlalchemy import select  # noqa: PLC0415  the same

    from gateway.hub.database.schema import gateway_keys  # noqa: PLC0415  the same
    from gateway.hub.times import to_datetime  # noqa: PLC0415  the same

    wanted = select(gateway_keys).order_by(gateway_keys.c.gateway, gateway_keys.c.enrolled_at_ms)
    if gateway is not None:
        wanted = wanted.where(gateway_keys.c.gateway == gateway)
    settings = load_settings(HubSettings, path or context.obj)
    with open_existing(settings) as store, store.read() as connection:
        for row in connection.execute(wanted):
            states = {"revoked": row.revoked_at_ms, "handed over": row.retired_at_ms, "since": row.enrolled_at_ms}
            word, at_ms = next((word, at_ms) for word, at_ms in states.items() if at_ms is not None)
            click.echo(f"{row.gateway}  {row.public_key.hex()}  {word} {to_datetime(at_ms):%Y-%m-%d %H:%M} UTC")


@click.command("rotate-key")
@SETTINGS
@click.option("--reason", required=True, help="Why, for the audit trail.")
@click.pass_context
def rotate_key(context: click.Context, path: Path | None, reason: str) -> None:
    """Make a new key for the hub; the old one signs for it. Stop the hub before, start it again after.

    Vehicles, and whoever pinned the old key to verify, follow by themselves: each signature brings the change along.
    Of a hub of several machines, copy hub.key and hub.changes to each before they start again. A key that may be in
    other hands is not made harmless thereby for a vehicle that has not heard of the new one yet.
    """
    from gateway.hub.audit.acts import Act, record_act  # noqa: PLC0415  the same
    from gateway.hub.proof.hub_key import rotate_hub_key  # noqa: PLC0415  the same

    settings = load_settings(HubSettings, path or context.obj)
    with open_existing(settings) as store, store.write() as connection:
        now_ms = open_clock(settings.clock).now_ms()
        old = load_hub_key(settings.key_file).public_bytes.hex()
        new = rotate_hub_key(settings.key_file, now_ms).public_bytes.hex()
        record_act(connection, Act("command line", "rotate_hub_key", "hub", old, new, reason), now_ms)
    click.echo(f"the hub signs with {new} from its next start on")
