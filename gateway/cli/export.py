"""``coldchain export``: a part of the record that proves itself, in one file."""

from __future__ import annotations

from pathlib import Path

import click

from gateway.cli.progress import show_progress
from gateway.clock import open_clock
from gateway.core.errors import InputError
from gateway.hub.exports import export_log
from gateway.hub.hub_key import load_hub_key
from gateway.hub.settings import HubSettings
from gateway.hub.store import open_existing_store
from gateway.settings import load_settings

_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)


@click.command(no_args_is_help=True)
@click.option("--settings", type=_FILE, required=True, help="The hub's settings file.")
@click.option("--consignment", metavar="CODE", help="The stretch of the logs that holds this consignment.")
@click.option("--gateway", metavar="NAME", help="The log of this gateway; without either, everything.")
@click.option("--output", type=click.Path(dir_okay=False, path_type=Path), required=True, help="The zip file to write.")
@click.option("--force", is_flag=True, help="Replace the file if it is there.")
def command(settings: Path, consignment: str | None, gateway: str | None, output: Path, *, force: bool) -> None:
    """Export segments verbatim with keys, documents and a manifest that the hub signs.

    `coldchain verify FILE --hub-key HEX` proves it offline.

    \b
    Example:
      coldchain export --settings hub.toml --consignment C-17 --output C-17.zip
    """  # noqa: D301  \b is click's mark for "keep these lines", not an escape
    if consignment is not None and gateway is not None:
        raise InputError("--consignment", "does not go with --gateway")
    if output.exists() and not force:
        raise InputError("--output", "is there already; --force replaces it", where=str(output))
    loaded = load_settings(HubSettings, settings)
    key = load_hub_key(loaded.key_file)
    store = open_existing_store(loaded.database_url)
    try:
        with show_progress("segments") as progress:
            manifest = export_log(
                store,
                key,
                output,
                open_clock(loaded.clock).now_ms(),
                consignment=consignment,
                gateway=gateway,
                progress=progress,
            )
    finally:
        store.close()
    count = sum(part.next_offset - part.first_offset for part in manifest.parts)
    click.echo(f"{output}: {manifest.scope}, {count} segments; hub key {manifest.hub_public_key}")
