"""coldchain hub: run the hub, enrol gateways."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import signal
import socket
import sys
import time
from collections.abc import Awaitable, Callable, Mapping
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import click

from gateway.cli.accounts import tokens, users
from gateway.cli.hub_chain import heads, keys, revoke, rotate_key
from gateway.cli.hub_retain import retain
from gateway.cli.hub_store import migrate_store
from gateway.cli.notification import notify
from gateway.cli.progress import show_progress
from gateway.cli.settings_file import SETTINGS, open_existing
from gateway.clock import open_clock
from gateway.core.errors import ColdchainError, InputError
from gateway.hub.settings import HubSettings
from gateway.settings import load_settings


@click.group("hub", invoke_without_command=True)
@SETTINGS
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


command.add_command(users)
command.add_command(tokens)
command.add_command(heads)
command.add_command(notify)
command.add_command(keys)
command.add_command(revoke)
command.add_command(rotate_key)
command.add_command(migrate_store)
command.add_command(retain)


@command.command()
@SETTINGS
@click.pass_context
def run(context: click.Context, path: Path | None) -> None:
    """Run until SIGTERM or Ctrl-C.

    Prints one line, READY {"http": …, "broker": …}, when everything serves; the log goes to standard error. The
    administrator's token stands in data_dir/admin.token.
    """
    from gateway.hub.processes.hub import run_hub  # noqa: PLC0415  only a command that needs it pays for loading it

    settings = load_settings(HubSettings, path or context.obj)
    _run(lambda stop: run_hub(settings, stop, _announce))


@command.command()
@SETTINGS
@click.option(
    "--name",
    default=f"{socket.gethostname()}-{os.getpid()}",
    show_default="host and process",
    help="Tells workers apart; one that is started again under its name takes up what the broker dealt to it.",
)
@click.pass_context
def ingest(context: click.Context, path: Path | None, name: str) -> None:
    """Take a share of what gateways send, beside other such workers.

    Any number share the load: the broker deals the logs out among them. Needs PostgreSQL and a broker of its own, and
    the hub's keys in data_dir: on another machine, copy hub.key there first. `coldchain hub watch` judges, and
    `coldchain hub serve` has API and pages.
    """
    from gateway.hub.processes.workers import run_ingest  # noqa: PLC0415  the same

    settings = load_settings(HubSettings, path or context.obj)
    _run(lambda stop: run_ingest(settings, name, stop, _announce))


@command.command()
@SETTINGS
@click.pass_context
def watch(context: click.Context, path: Path | None) -> None:
    """Judge and alert, beside other such workers; one of them also writes to InfluxDB, if the settings name one."""
    from gateway.hub.processes.workers import run_watch  # noqa: PLC0415  the same

    settings = load_settings(HubSettings, path or context.obj)
    _run(lambda stop: run_watch(settings, stop, _announce))


@command.command()
@SETTINGS
@click.pass_context
def serve(context: click.Context, path: Path | None) -> None:
    """Serve API and pages alone, beside other such servers. They share hub.secret and admin.token in data_dir."""
    from gateway.hub.processes.workers import run_pages  # noqa: PLC0415  the same

    settings = load_settings(HubSettings, path or context.obj)
    _run(lambda stop: run_pages(settings, stop, _announce))


@command.command()
@click.argument("gateway")
@SETTINGS
@click.pass_context
def enrol(context: click.Context, gateway: str, path: Path | None) -> None:
    """Make a one-time code for GATEWAY and print it.

    Put it into the vehicle's settings before its first start. It works once, for one key, within seven days; the
    hub may be running meanwhile.
    """
    from gateway.hub.database.store import open_store  # noqa: PLC0415  only a command that needs it pays for loading it
    from gateway.hub.rooms import open_enrolment  # noqa: PLC0415  the same

    settings = load_settings(HubSettings, path or context.obj)
    with closing(open_store(settings.database_url)) as store:
        code = open_enrolment(settings, store, open_clock(settings.clock)).issue_code(gateway, "command line")
    click.echo(code)


@command.command()
@SETTINGS
@click.option("--reason", default="", help="Why, for the audit trail: which backup, what happened.")
@click.pass_context
def restored(context: click.Context, path: Path | None, reason: str) -> None:
    """Say that the database was restored from a backup, and print the new generation.

    Gateways then send again what they still store. A hub whose data_dir was not restored with the database notices by
    itself; run this when everything came from the backup. The hub may be running meanwhile.
    """
    from gateway.hub.replication.generations import WITNESS, Witness, begin_generation  # noqa: PLC0415  the same

    settings = load_settings(HubSettings, path or context.obj)
    with open_existing(settings) as store:
        memory = Witness(settings.data_dir / WITNESS).read()
        above = 0 if memory is None else memory.generation
        with store.write() as connection:
            now_ms = open_clock(settings.clock).now_ms()
            generation = begin_generation(connection, now_ms, above=above, who="command line", reason=reason)
    click.echo(generation)


@command.command()
@SETTINGS
@click.pass_context
def init(context: click.Context, path: Path | None) -> None:
    """Make the InfluxDB buckets of the settings and set how long they are kept.

    One for everything, one for the long history (an hour a point). Run it again after changing the days: what is
    there stays. A server without the v2 interface for buckets (InfluxDB 3 makes them at the first write) is told of.
    """
    from gateway.hub.projection.setup import SetupError, set_up  # noqa: PLC0415  the same

    settings = _require_influx(load_settings(HubSettings, path or context.obj))
    try:
        for line in set_up(settings.influx):
            click.echo(line)
    except SetupError as error:
        raise click.ClickException(str(error)) from None


@command.command()
@SETTINGS
@click.option("--rebuild", is_flag=True, help="Empty the buckets of the projection and make it anew from the archive.")
@click.pass_context
def project(context: click.Context, path: Path | None, *, rebuild: bool) -> None:
    """Write to InfluxDB what waits, then end. A running hub does the same all the time.

    --rebuild is for a lost or damaged InfluxDB, and after a logger's calibration was corrected. It may be stopped and
    run again without --rebuild: it goes on where it was. The hub may be running meanwhile.
    """
    from gateway.hub.projection.projector import Projector, project_all, restart  # noqa: PLC0415  the same
    from gateway.hub.projection.setup import SetupError, remove_points  # noqa: PLC0415  the same
    from gateway.hub.projection.writing import InfluxError, InfluxWriter  # noqa: PLC0415  the same
    from gateway.hub.record.archive import Archive  # noqa: PLC0415  the same

    settings = _require_influx(load_settings(HubSettings, path or context.obj))
    clock = open_clock(settings.clock)
    try:
        with open_existing(settings) as store, closing(InfluxWriter(settings.influx)) as writer:
            if rebuild:
                for line in remove_points(settings.influx):
                    click.echo(line)
                click.echo(f"{restart(store)} segments to project")
            projector = Projector(store, Archive(store), writer, settings.influx)
            with show_progress("segments") as progress:
                done = project_all(projector, clock.now_ms, progress)
    except InfluxError as error:
        raise click.ClickException(f"InfluxDB takes no points; run this again, it goes on from here: {error}") from None
    except SetupError as error:
        raise click.ClickException(str(error)) from None
    click.echo(f"{done.segments} segments projected, {done.points} points written, {done.refused} refused")


@command.command()
@SETTINGS
@click.option("--profile", required=True, metavar="ID", help="The profile that was corrected.")
@click.option(
    "--since", type=click.DateTime(["%Y-%m-%d"]), help="Only what was received since this day, or is not yet."
)
@click.option("--dry-run", is_flag=True, help="Say how many consignments it would be, and do nothing.")
@click.pass_context
def recompute(
    context: click.Context, path: Path | None, profile: str, since: datetime | None, *, dry_run: bool
) -> None:
    """Judge finished trips anew by the newest version of a profile.

    Where a verdict or its evidence changes, a new version stands beside the old one. It may be stopped at any time: a
    running hub goes on with it, and so does the same command. The hub may be running meanwhile.

    \b
    Example:
      coldchain hub recompute --profile potassium --since 2026-03-01 --dry-run --settings hub.toml
    """  # noqa: D301  \b is click's mark for "keep these lines", not an escape
    from gateway.hub.judgement.recomputation import count_waiting, find_judged_by, mark_for_recomputation  # noqa: PLC0415  the same
    from gateway.hub.judgement.watch import Watch  # noqa: PLC0415  the same
    from gateway.hub.record.archive import Archive  # noqa: PLC0415  the same
    from gateway.hub.registry.configurations import make_configurations  # noqa: PLC0415  the same
    from gateway.hub.registry.registry import Registry  # noqa: PLC0415  the same

    settings = load_settings(HubSettings, path or context.obj)
    clock = open_clock(settings.clock)
    with open_existing(settings) as store:
        codes = find_judged_by(store, profile, None if since is None else since.replace(tzinfo=UTC))
        if dry_run:
            click.echo(f"{len(codes)} consignments would be judged anew")
            return
        mark_for_recomputation(store, codes, clock.now_ms())
        configurations = make_configurations(store, clock.now_ms, settings)
        watch = Watch(store, Archive(store), Registry(store, clock.now_ms), configurations, clock)
        with show_progress(f"of {len(codes)} consignments") as progress:
            while left := count_waiting(store, codes):
                if not watch.judge_marked():
                    time.sleep(1)  # others are judging them
                if progress is not None:
                    progress(len(codes) - left)
    click.echo(f"{len(codes)} consignments judged anew")


def _require_influx(settings: HubSettings) -> HubSettings:
    if not settings.influx.url:
        raise InputError("influx.url", "is not set: this installation has no InfluxDB")
    return settings


def _run(work: Callable[[asyncio.Event], Awaitable[None]]) -> None:
    """Run a process of the hub until it is told to stop."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s", stream=sys.stderr)
    for chatty in ("alembic", "uvicorn"):
        logging.getLogger(chatty).setLevel(logging.WARNING)
    asyncio.run(_run_until_told(work))


async def _run_until_told(work: Callable[[asyncio.Event], Awaitable[None]]) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    try:
        await work(stop)
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
