"""coldchain hub migrate-store: the hub's database, moved to another one."""

from __future__ import annotations

from pathlib import Path

import click
from sqlalchemy.engine import make_url

from gateway.cli.progress import show_progress
from gateway.cli.settings_file import SETTINGS
from gateway.clock import open_clock
from gateway.hub.settings import HubSettings
from gateway.settings import load_settings

NOT_POSSIBLE = 1


@click.command("migrate-store", no_args_is_help=True)
@SETTINGS
@click.option(
    "--to", "target", metavar="URL", required=True, help="The new database: empty, or an SQLite file to make."
)
@click.option("--dry-run", is_flag=True, help="Say what would be moved and what is in the way, and change nothing.")
@click.pass_context
def migrate_store(context: click.Context, path: Path | None, target: str, *, dry_run: bool) -> int:
    """Copy the hub's database into another one: SQLite to PostgreSQL, or back.

    Stop the hub first. All of it is copied or nothing: the copy is compared with the original, table by table, before
    it is kept, and then verified as `coldchain verify` does. The original stays as it is. Afterwards name the new
    database in the settings, and start no hub on the old one again.

    \b
    Example:
      coldchain hub migrate-store --to postgresql+psycopg://coldchain@db/coldchain --settings hub.toml
    """  # noqa: D301  \b is click's mark for "keep these lines", not an escape
    from gateway.hub.database.store import open_existing_store  # noqa: PLC0415  the same
    from gateway.hub.proof.verification import verify_store  # noqa: PLC0415  the same
    from gateway.hub.upkeep.relocation import move_store, plan_move  # noqa: PLC0415  only what needs it pays for loading it

    settings = load_settings(HubSettings, path or context.obj)
    if dry_run:
        plan = plan_move(settings.database_url, target)
        _list_rows(plan.rows)
        for obstacle in plan.obstacles:
            click.echo(f"in the way: {obstacle}")
        click.echo(f"{sum(plan.rows.values())} rows in {len(plan.rows)} tables would be moved; nothing was changed")
        return NOT_POSSIBLE if plan.obstacles else 0
    now_ms = open_clock(settings.clock).now_ms()
    with show_progress("rows") as progress:
        rows = move_store(settings.database_url, target, now_ms, progress=progress)
    _list_rows(rows)
    click.echo(f"{sum(rows.values())} rows in {len(rows)} tables moved, each table compared")
    store = open_existing_store(target)
    try:
        with show_progress("segments verified") as progress:
            report = verify_store(store, progress=progress)
    finally:
        store.close()
    for finding in report.findings:
        click.echo(str(finding))
    if not report.is_proven:
        click.echo(f"{report.wrong} faults, which the old database has too; see coldchain verify")
        return NOT_POSSIBLE
    click.echo(f"verified: {report.tally.segments} segments in {report.epochs} epochs, {report.acts} acts, all proven")
    click.echo(f"next: database = {make_url(target).render_as_string(hide_password=True)!r} in the settings")
    return 0


def _list_rows(rows: dict[str, int]) -> None:
    for name, count in rows.items():
        if count:
            click.echo(f"{name:24} {count:12,}")
