"""``coldchain vehicle``: the gateway of one vehicle."""

from __future__ import annotations

import asyncio
import json
import logging
import secrets
import signal
import sys
from contextlib import suppress
from pathlib import Path

import click

from gateway.cli.settings_file import SETTINGS
from gateway.clock import open_clock
from gateway.core.errors import InputError
from gateway.keys import SigningKey, make_key
from gateway.settings import load_settings
from gateway.vehicle.alarm import make_hub_client
from gateway.vehicle.enrolment import Enrolment, enrol, load_enrolment, save_enrolment
from gateway.vehicle.identity import Identity, identify, open_key, replace_key, rotate_key
from gateway.vehicle.moments import read_moment
from gateway.vehicle.settings import VehicleSettings
from gateway.vehicle.storage import Storage
from gateway.vehicle.vehicle import run_vehicle


@click.group("vehicle", invoke_without_command=True)
@SETTINGS
@click.option("--enrol", "code", metavar="CODE", help="One-time code from the hub; needed at the first start only.")
@click.option("--verbose", "-v", is_flag=True, help="Say more in the log.")
@click.pass_context
def command(context: click.Context, path: Path | None, code: str | None, *, verbose: bool) -> None:
    """Run the gateway of one vehicle: hear the loggers, keep each reading, tell the hub.

    It records as long as it has Bluetooth and a disk; network and hub may be missing for days. Its first start needs
    a one-time code: `coldchain hub enrol NAME` prints one. Prints one line, READY {"port": …}, when it serves its
    state on http://HOST:PORT/api/v1/state; the log goes to standard error. SIGTERM and Ctrl-C seal what was heard
    and stop.

    \b
    Settings (TOML; each also as a variable, for example COLDCHAIN_HUB__URL):
      gateway = "VAN-1"                    its name at the hub
      data_dir = "/var/lib/coldchain"      key, log, configuration
      [hub]     url, enrolment_code, ca_file
      [broker]  url, username, password, ca_file, cert_file, key_file, keepalive_s
      [radio]   adapters (all), scanning = "auto" (or "active", "passive"), silence_s,
                connections, restart_bluetooth = "systemd" (or "never", or a command)
      [recording] interval_s, seal_interval_s, health_interval_s
      [outbox]  max_bytes, keep_acknowledged_h
      [uplink]  window_bytes, stall_s, stall_max_s
      [driver]  host, port (0: a free one)

    \b
    Example:
      coldchain vehicle --settings vehicle.toml --enrol 7F3K-9QXM
    """  # noqa: D301  \b is click's mark for "keep these lines", not an escape
    context.obj = path
    if context.invoked_subcommand is not None:
        return
    settings = load_settings(VehicleSettings, path)
    logging.basicConfig(
        level=logging.DEBUG if verbose else logging.INFO,
        format="%(asctime)s %(levelname)s %(name)s: %(message)s",
        stream=sys.stderr,
    )
    for chatty in ("httpx", "httpcore", "uvicorn", "bleak", "dbus_fast"):
        logging.getLogger(chatty).setLevel(logging.WARNING)
    asyncio.run(_run(settings, code))


@command.command("rotate-key")
@click.option("--settings", "-s", "path", type=click.Path(path_type=Path), help="The vehicle's TOML file.")
@click.option(
    "--enrol", "code", metavar="CODE", help="One-time code: the old key was revoked, or may be in other hands."
)
@click.pass_context
def rotate(context: click.Context, path: Path | None, code: str | None) -> None:
    """Make a new key for this gateway; the vehicle must not be running.

    The old key signs for the new one, and the hub learns of it from the log: it may be out of reach. Once that has
    arrived, the hub takes nothing more that the old key signs. What waits on the card stays as it is.

    With --enrol the new key is enrolled by a new code (`coldchain hub enrol NAME`), and what waits on the card is
    sealed again with it: for a gateway whose key was revoked.
    """
    settings = load_settings(VehicleSettings, path or context.obj)
    known = load_enrolment(settings.data_dir)
    if known is None:
        raise InputError("data_dir", "this gateway is not enrolled yet", where=str(settings.data_dir))
    key, clock = _open_key(settings.data_dir, known), open_clock(settings.clock)
    _open_storage(settings, identify(key, known)).close()  # nobody else has it open
    if code is None:
        token = "ccg_" + secrets.token_urlsafe(32)
        changed = rotate_key(settings.data_dir, settings.gateway, key, known, clock.now_ms(), token)
        click.echo(f"{settings.gateway} signs with {changed.public_key} from its next start on")
        return
    following = make_key()
    learnt = asyncio.run(_enrol(settings, code, following))
    changed = replace_key(settings.data_dir, key, following, learnt, known)
    storage = _open_storage(settings, identify(following, changed))
    try:
        count = storage.outbox.reseal_waiting(read_moment(clock))
    finally:
        storage.close()
    click.echo(f"{settings.gateway} signs with {changed.public_key}; {count} waiting segments were sealed again")


async def _enrol(settings: VehicleSettings, code: str, key: SigningKey) -> Enrolment:
    async with make_hub_client(settings.hub, "") as client:
        learnt = await enrol(client, settings.gateway, code, key)
    return learnt.model_copy(update={"public_key": key.public_bytes.hex()})


def _open_storage(settings: VehicleSettings, identity: Identity) -> Storage:
    return Storage.open(settings.data_dir, settings.gateway, identity, max_bytes=settings.outbox.max_bytes)


async def _run(settings: VehicleSettings, code: str | None) -> None:
    loop = asyncio.get_running_loop()
    working = asyncio.current_task()
    if working is not None:
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, working.cancel)
    try:
        with suppress(asyncio.CancelledError):
            await _work(settings, code)
    except* InputError as group:
        error: BaseException = group
        while isinstance(error, BaseExceptionGroup):
            error = error.exceptions[0]
        raise error from None


async def _work(settings: VehicleSettings, code: str | None) -> None:
    key = _open_key(settings.data_dir, load_enrolment(settings.data_dir))
    clock = open_clock(settings.clock)
    enrolment = await _enrol_once(settings, code, key)
    storage = _open_storage(settings, identify(key, enrolment))
    async with make_hub_client(settings.hub, enrolment.token) as client:
        await run_vehicle(settings, enrolment, storage, client, clock, _announce)


async def _enrol_once(settings: VehicleSettings, code: str | None, key: SigningKey) -> Enrolment:
    known = load_enrolment(settings.data_dir)
    if known is not None:
        return known
    if code is None and settings.hub.enrolment_code is not None:
        code = settings.hub.enrolment_code.get_secret_value()
    if code is None:
        raise InputError(
            "enrolment_code",
            f"{settings.gateway} is not enrolled; get a code with `coldchain hub enrol {settings.gateway}`"
            " and start once with --enrol CODE",
        )
    enrolment = await _enrol(settings, code, key)
    save_enrolment(settings.data_dir, enrolment)
    return enrolment


def _open_key(data_dir: Path, enrolment: Enrolment | None) -> SigningKey:
    try:
        data_dir.mkdir(parents=True, exist_ok=True, mode=0o750)
        return open_key(data_dir, enrolment)
    except OSError as error:
        raise InputError("data_dir", error.strerror or str(error), where=str(data_dir)) from error


def _announce(port: int) -> None:
    click.echo(f"READY {json.dumps({'port': port})}")
    sys.stdout.flush()
