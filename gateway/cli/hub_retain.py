"""``coldchain hub retain``: what is older than its period goes; see docs/retention.md."""

from __future__ import annotations

from pathlib import Path

import click

from gateway.cli.progress import show_progress
from gateway.cli.settings_file import SETTINGS, open_existing
from gateway.clock import open_clock
from gateway.hub.proof.hub_key import load_hub_key
from gateway.hub.settings import HubSettings
from gateway.settings import load_settings


@click.command()
@SETTINGS
@click.option("--dry-run", is_flag=True, help="Count what would be removed, and change nothing.")
@click.pass_context
def retain(context: click.Context, path: Path | None, *, dry_run: bool) -> None:
    """Remove what is older than its retention period; a running hub does so each day.

    Nothing of a case that is open is removed: a breach that is not closed and signed, an item on hold. Segments lose
    their payload and keep their signed header, so `coldchain verify` proves the logs complete as before.

    \b
    Settings:
      [retention] readings_days, imported_days, cases_days, audit_days, custody_days, stops_days, inbox_days,
                  messages_days, access_days, quarantine_days; 0: for ever
    """  # noqa: D301  \b is click's mark for "keep these lines", not an escape
    from gateway.hub.upkeep.retention import Kept, Retention  # noqa: PLC0415  only a command that needs it pays for loading it

    settings = load_settings(HubSettings, path or context.obj)
    with open_existing(settings) as store, show_progress("found" if dry_run else "removed") as progress:
        retention, now_ms = (
            Retention(store, load_hub_key(settings.key_file), settings),
            open_clock(settings.clock).now_ms(),
        )
        found = retention.count(now_ms, progress) if dry_run else retention.run(now_ms, "command line", progress)
    for kind in Kept:
        days: int = getattr(settings.retention, f"{kind}_days")
        kept = f"kept for {days} days" if days else "kept for ever"
        click.echo(f"{kind.value:<11} {kept:<20} {found.get(kind, 0):>9} {'would go' if dry_run else 'removed'}")
