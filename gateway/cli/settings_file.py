"""The option --settings of commands that run beside a hub or a vehicle, and the database that a hub's settings name."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from gateway.hub.database.store import Store
    from gateway.hub.settings import HubSettings


def settings_option(file: str) -> Callable[[Any], Any]:
    """Return the option; the command takes `path`, None where the settings come from variables alone."""
    return click.option(
        "--settings",
        "-s",
        "path",
        type=click.Path(path_type=Path),
        help=f"{file}; without it everything comes from COLDCHAIN_… variables.",
    )


SETTINGS = settings_option("TOML file")


@contextmanager
def open_existing(settings: HubSettings) -> Iterator[Store]:
    """Open the hub's database for one command."""
    from gateway.hub.database.store import open_existing_store  # noqa: PLC0415  only a command that needs it pays for loading it

    store = open_existing_store(settings.database_url)
    try:
        yield store
    finally:
        store.close()
