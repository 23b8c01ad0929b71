"""``coldchain backfill``: a logger's memory, read now."""

from __future__ import annotations

import asyncio
import logging
import sys
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import click
import httpx
from rich.console import Console

from gateway.cli.registering import MOMENT, read_address, read_moment
from gateway.clock import open_clock
from gateway.core.errors import InputError
from gateway.keys import load_or_create_key
from gateway.settings import load_settings
from gateway.vehicle.alarm import make_hub_client
from gateway.vehicle.driver import url_of
from gateway.vehicle.enrolment import load_enrolment
from gateway.vehicle.memory_desk import MemoryQuestion, MemoryView
from gateway.vehicle.settings import DriverSettings, VehicleSettings
from gateway.vehicle.storage import Storage
from gateway.vehicle.vehicle import Vehicle

LOOK_S = 0.5
ANSWER_TIMEOUT_S = 5.0
"""The vehicle is on this machine; it answers within milliseconds."""
CLOCK_TIMEOUT_S = 15.0
"""chrony is asked every few seconds; without anybody who vouches for the time no memory is read."""
KEY_FILE = "gateway.key"
NOT_READ = 1

Ask = Callable[[MemoryQuestion], Awaitable[MemoryView]]
Look = Callable[[], Awaitable[MemoryView]]


@click.command(no_args_is_help=True)
@click.argument("logger")
@click.option("--settings", "-s", "path", type=click.Path(path_type=Path), help="The vehicle's TOML file.")
@click.option("--from", "begins", type=MOMENT, help="From when, 2026-03-01T07:30, Norwegian time.")
@click.option("--to", "ends", type=MOMENT, help="Until when. [default: now]")
@click.option("--hours", type=click.FloatRange(min=0, min_open=True), default=24.0, show_default=True)
@click.option("--patience", type=click.FloatRange(min=1), default=300.0, show_default=True, metavar="S")
def command(
    logger: str, path: Path | None, begins: datetime | None, ends: datetime | None, hours: float, patience: float
) -> int:
    """Read what LOGGER remembers of a stretch of time, the last --hours unless --from says otherwise, into the record.

    A running vehicle is asked to do it; without one this command does it itself, and the vehicle delivers it when it
    runs again. It ends after --patience seconds in any case; a running vehicle then goes on trying. The exit status
    is 1 if the memory was not read to the end.

    \b
    Example:
      coldchain backfill C0:FF:EE:00:00:01 --hours 6 --settings /etc/coldchain/vehicle.toml
    """  # noqa: D301  \b is click's mark for "keep these lines", not an escape
    address = read_address("logger", logger)
    settings = load_settings(VehicleSettings, path)
    now_ms = open_clock(settings.clock).now_ms()
    question = _question(read_moment(begins), read_moment(ends), hours, now_ms)
    url = url_of(settings)
    if url is not None:
        told = asyncio.run(_ask_running(f"{url}/api/v1/loggers/{address}/memory", question, patience))
        if told is not None:
            return report(told)
    logging.disable(logging.ERROR)  # progress says it, in better words
    return report(asyncio.run(_read_directly(settings, address, question, patience)))


def _question(begins: datetime | None, ends: datetime | None, hours: float, now_ms: int) -> MemoryQuestion:
    to = datetime.fromtimestamp(now_ms / 1000, UTC) if ends is None else ends
    since = to - timedelta(hours=hours) if begins is None else begins
    if since >= to:
        raise InputError("--to", "is not after --from")
    return MemoryQuestion(from_ms=round(since.timestamp() * 1000), to_ms=round(to.timestamp() * 1000))


def report(view: MemoryView) -> int:
    """Say how it ended; return the exit status."""
    if view.answers:
        click.echo(f"{view.logger}: {view.records} records, {view.new_records} of them new")
    if view.missing == 0 and view.complete:
        return 0
    if not view.present:
        reason = "it was not heard: is it near, is its battery good?"
    else:
        reason = view.trouble or "it has not answered yet"
    click.echo(f"coldchain: {view.logger} is not read to the end: {' '.join(reason.split())}", err=True)
    return NOT_READ


async def follow(ask: Ask, look: Look, question: MemoryQuestion, patience_s: float) -> MemoryView:
    """Ask, and look until it is read or patience ends."""
    console = Console(stderr=True)
    began_s = time.monotonic()
    before = (await look()).answers
    view = await ask(question)
    with console.status("") as status:
        while not (view.missing == 0 and view.answers > before) and time.monotonic() - began_s < patience_s:
            if sys.stderr.isatty():
                status.update(progress_of(view, time.monotonic() - began_s))
            await asyncio.sleep(LOOK_S)
            view = await look()
    # An answer from before the question says nothing of it.
    return view if view.answers > before else view.model_copy(update={"answers": 0, "complete": False})


def progress_of(view: MemoryView, seconds: float) -> str:
    """Return the line of progress."""
    if view.reading:
        doing = "is being read"
    elif not view.present:
        doing = "has not been heard yet"
    else:
        doing = "waits for its turn"
    failed = f", {view.failures} attempts failed: {view.trouble}" if view.failures else ""
    return f"{view.logger} {doing}, {seconds:.0f} s{failed}"


async def _ask_running(url: str, question: MemoryQuestion, patience_s: float) -> MemoryView | None:
    """Have the running vehicle do it; None if it does not run after all."""
    async with httpx.AsyncClient(trust_env=False, timeout=ANSWER_TIMEOUT_S) as client:

        async def look() -> MemoryView:
            return _view_of(await client.get(url))

        async def ask(asked: MemoryQuestion) -> MemoryView:
            return _view_of(await client.post(url, json=asked.model_dump()))

        try:
            return await follow(ask, look, question, patience_s)
        except httpx.ConnectError:
            return None  # it was killed, and its port file is left
        except httpx.HTTPError as error:
            raise click.ClickException(f"the vehicle does not answer: {error or type(error).__name__}") from None


def _view_of(answer: httpx.Response) -> MemoryView:
    if answer.is_success:
        return MemoryView.model_validate_json(answer.content)
    with suppress(ValueError, KeyError, TypeError):
        field, _, reason = str(answer.json()["detail"]).partition(": ")
        raise InputError(field, reason)
    raise click.ClickException(f"the vehicle answers {answer.status_code}")


async def _read_directly(
    settings: VehicleSettings, address: str, question: MemoryQuestion, patience_s: float
) -> MemoryView:
    enrolment = load_enrolment(settings.data_dir)
    if enrolment is None:
        raise InputError("enrolment", f"{settings.gateway} is not enrolled: start the vehicle once with --enrol CODE")
    own = settings.model_copy(update={"driver": DriverSettings()})  # its usual port is not ours to take
    key = load_or_create_key(settings.data_dir / KEY_FILE)
    storage = Storage.open(settings.data_dir, settings.gateway, key, max_bytes=settings.outbox.max_bytes)
    try:
        async with make_hub_client(settings.hub, enrolment.token) as client:
            vehicle = Vehicle(own, enrolment, storage, client, open_clock(settings.clock))

            async def look() -> MemoryView:
                return vehicle.memories.show(address)

            async def ask(asked: MemoryQuestion) -> MemoryView:
                return await _ask_once_time_is_known(vehicle, address, asked)

            return await vehicle.read_memories(lambda: follow(ask, look, question, patience_s))
    finally:
        await asyncio.to_thread(storage.close)


async def _ask_once_time_is_known(vehicle: Vehicle, address: str, question: MemoryQuestion) -> MemoryView:
    ends_s = time.monotonic() + CLOCK_TIMEOUT_S
    while True:
        try:
            return vehicle.memories.ask(address, question)
        except InputError as error:
            if error.field != "clock" or time.monotonic() > ends_s:
                raise
        await asyncio.sleep(LOOK_S)
