"""coldchain hub: run the hub, enrol gateways."""

from __future__ import annotations

import asyncio
import json
import logging
import signal
import sys
from collections.abc import Mapping
from pathlib import Path

import click

from gateway.clock import open_clock
from gateway.core.errors import ColdchainError, InputError
from gateway.hub.settings import HubSettings
from gateway.settings import load_settings

_SETTINGS = click.option(
    "--settings",
    "-s",
    "path",
    type=click.Path(path_type=Path),
    help="TOML file; without it everything comes from COLDCHAIN_… variables.",
)


@click.group("hub", invoke_without_command=True)
@_SETTINGS
@click.pass_context
def command(context: click.Context, path: Path | None) -> None:
    """Run the hub: archive what gateways send, judge it, alert, serve the pages.

    `coldchain hub --settings hub.toml` runs it; the commands below do one thing each. The smallest settings file
    is one line, data_dir = "…": it gives a broker inside, an SQLite file, and pages on a free port of this machine.
    """
    if context.invoked_subcommand is None:
        context.invoke(run, path=path)
    else:
        context.obj = path


@command.command()
@_SETTINGS
@click.pass_context
def run(context: click.Context, path: Path | None) -> None:
    """Run until SIGTERM or Ctrl-C.

    Prints one line, READY {"http": …, "broker": …}, when everything serves; the log goes to standard error. The
    administrator's token stands in data_dir/admin.token.
    """
    settings = load_settings(HubSettings, path or context.obj)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s", stream=sys.stderr)
    for chatty in ("alembic", "uvicorn"):
        logging.getLogger(chatty).setLevel(logging.WARNING)
    asyncio.run(_run(settings))


@command.command()
@click.argument("gateway")
@_SETTINGS
@click.pass_context
def enrol(context: click.Context, gateway: str, path: Path | None) -> None:
    """Make a one-time code for GATEWAY and print it.

    Put it into the vehicle's settings before its first start. It works once, for one key, within seven days; the
    hub may be running meanwhile.
    """
    # Only a command that opens the store pays for loading it.
    from gateway.hub.rooms import open_enrolment  # noqa: PLC0415
    from gateway.hub.store import open_store  # noqa: PLC0415

    settings = load_settings(HubSettings, path or context.obj)
    store = open_store(settings.database_url)
    try:
        code = open_enrolment(settings, store, open_clock(settings.clock)).issue_code(gateway, "command line")
    finally:
        store.close()
    click.echo(code)


@command.command()
@_SETTINGS
@click.option("--reason", default="", help="Why, for the audit trail: which backup, what happened.")
@click.pass_context
def restored(context: click.Context, path: Path | None, reason: str) -> None:
    """Say that the database was restored from a backup, and print the new generation.

    Gateways then send again what they still store. A hub whose data_dir was not restored with the database notices by
    itself; run this when everything came from the backup. The hub may be running meanwhile.
    """
    from gateway.hub.generations import WITNESS, Witness, begin_generation  # noqa: PLC0415  the same
    from gateway.hub.store import open_existing_store  # noqa: PLC0415  the same

    settings = load_settings(HubSettings, path or context.obj)
    store = open_existing_store(settings.database_url)
    try:
        memory = Witness(settings.data_dir / WITNESS).read()
        above = 0 if memory is None else memory.generation
        with store.write() as connection:
            now_ms = open_clock(settings.clock).now_ms()
            generation = begin_generation(connection, now_ms, above=above, who="command line", reason=reason)
    finally:
        store.close()
    click.echo(generation)


async def _run(settings: HubSettings) -> None:
    from gateway.hub.hub import run_hub  # noqa: PLC0415  the same

    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    try:
        await run_hub(settings, stop, _announce)
    except* InputError as group:
        raise _first(group) from None
    except* ColdchainError as group:
        raise click.ClickException(str(_first(group))) from None


def _first(group: BaseExceptionGroup[ColdchainError]) -> BaseException:
    """Return one of the errors: the process ends with the first."""
    error: BaseException = group
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error


def _announce(facts: Mapping[str, object]) -> None:
    click.echo(f"READY {json.dumps(facts)}")
    sys.stdout.flush()
