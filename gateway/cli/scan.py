"""``coldchain scan``: which loggers are within reach."""

from __future__ import annotations

import asyncio
import json
import signal
from contextlib import suppress
from pathlib import Path

import click
from rich.box import SIMPLE
from rich.console import Console
from rich.live import Live
from rich.table import Table

from gateway.settings import load_settings
from gateway.vehicle.discovery import Discovery, Sighting
from gateway.vehicle.listening import ListeningError, listen
from gateway.vehicle.loggers.measurement import Packet
from gateway.vehicle.settings import RadioSettings, VehicleSettings

REFRESH_S = 0.5
ONCE_S = 10.0
"""A logger that measures every ten seconds is heard in it; most are within two."""
NOTHING_HEARD = 1
_FILE = click.Path(path_type=Path)


@click.command()
@click.option("--settings", "-s", "path", type=_FILE, help="The vehicle's TOML file: its adapters are used.")
@click.option("--adapter", help="Bluetooth adapter. [default: the settings', else every one]")
@click.option("--seconds", type=click.FloatRange(min=0.1), help="End after so long. [default: with Ctrl-C; --once: 10]")
@click.option("--once", is_flag=True, help="Say at the end what was heard, instead of as it is heard.")
@click.option("--json", "as_json", is_flag=True, help="JSON: an object for each new measurement; with --once a list.")
def command(*, path: Path | None, adapter: str | None, seconds: float | None, once: bool, as_json: bool) -> int:
    """Show the supported loggers within reach, enrolled or not: maker, temperature, battery, signal, age.

    On a terminal a table that keeps itself up to date; elsewhere a line for each new measurement, its fields
    separated by tabs: address, kind, °C, battery, dBm, note. A running vehicle may go on meanwhile. With --once the
    exit status is 1 if no logger was heard.

    \b
    Examples:
      coldchain scan
      coldchain scan --seconds 10 | grep bthome
      coldchain scan --once --json > heard.json
    """  # noqa: D301  \b is click's mark for "keep these lines", not an escape
    radio = RadioSettings() if path is None else load_settings(VehicleSettings, path).radio
    if adapter is not None:
        radio = radio.model_copy(update={"adapters": (adapter,)})
    try:
        if once:
            return asyncio.run(_scan_once(radio, seconds or ONCE_S, Console(), as_json=as_json))
        asyncio.run(_scan(radio, seconds, Console(), as_json=as_json))
    except ListeningError as error:
        raise click.ClickException(f"{error}; `coldchain doctor` looks for the reason") from None
    return 0


async def _scan_once(radio: RadioSettings, seconds: float, console: Console, *, as_json: bool) -> int:
    loop, discovery = asyncio.get_running_loop(), Discovery()

    def hear(packet: Packet) -> None:
        discovery.hear(packet, loop.time())

    await listen(radio, hear, seconds)
    heard, now_s = discovery.sightings(), loop.time()
    if as_json:
        click.echo(json.dumps([record_of(sighting, now_s) for sighting in heard], indent=2))
    elif console.is_terminal:
        console.print(table_of(heard, now_s, caption=f"{len(heard)} loggers"))
    else:
        for sighting in heard:
            click.echo(line_of(sighting))
    if not heard:
        click.echo(f"coldchain: no logger was heard in {seconds:g} s", err=True)
    return 0 if heard else NOTHING_HEARD


async def _scan(radio: RadioSettings, seconds: float | None, console: Console, *, as_json: bool) -> None:
    loop, working = asyncio.get_running_loop(), asyncio.current_task()
    if working is not None:
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, working.cancel)
    discovery = Discovery()
    with suppress(asyncio.CancelledError):  # Ctrl-C is how it ends
        if as_json:
            await listen(radio, lambda packet: _print_json(discovery.hear(packet, loop.time()), loop.time()), seconds)
        elif console.is_terminal:
            await _show(radio, seconds, console, discovery)
        else:
            await listen(radio, lambda packet: _print(discovery.hear(packet, loop.time())), seconds)


async def _show(radio: RadioSettings, seconds: float | None, console: Console, discovery: Discovery) -> None:
    loop = asyncio.get_running_loop()

    def hear(packet: Packet) -> None:
        discovery.hear(packet, loop.time())

    with Live(console=console, auto_refresh=False) as live:
        listening = asyncio.create_task(listen(radio, hear, seconds), name="listen")
        try:
            while not listening.done():
                live.update(table_of(discovery.sightings(), loop.time()), refresh=True)
                await asyncio.wait([listening], timeout=REFRESH_S)
            live.update(table_of(discovery.sightings(), loop.time()), refresh=True)
            await listening
        finally:
            listening.cancel()
            await asyncio.gather(listening, return_exceptions=True)


def table_of(sightings: list[Sighting], now_s: float, *, caption: str = "") -> Table:
    """Return the table."""
    table = Table(box=SIMPLE, caption=caption or f"{len(sightings)} loggers, Ctrl-C ends")
    for name in ("logger", "maker", "°C", "battery", "dBm", "age"):
        table.add_column(name, justify="left" if name in {"logger", "maker"} else "right")
    for sighting in sightings:
        temperature = temperature_of(sighting)
        table.add_row(
            sighting.address,
            sighting.maker,
            temperature or sighting.note or "–",
            battery_of(sighting) or "–",
            str(sighting.rssi),
            f"{now_s - sighting.heard_s:.0f} s",
        )
    return table


def record_of(sighting: Sighting, now_s: float) -> dict[str, object]:
    """Return a sighting for JSON. What the logger did not tell is null."""
    measured = sighting.measurement
    temperature_mc = None if measured is None else measured.temperature_mc
    return {
        "logger": sighting.address,
        "kind": sighting.kind.value,
        "maker": sighting.maker,
        "temperature_c": None if temperature_mc is None else temperature_mc / 1000,
        "battery_mv": None if measured is None else measured.battery_mv,
        "battery_pct": None if measured is None else measured.battery_pct,
        "rssi_dbm": sighting.rssi,
        "age_s": round(now_s - sighting.heard_s, 1),
        "note": sighting.note,
    }


def line_of(sighting: Sighting) -> str:
    """Return the plain line."""
    fields = (
        sighting.address,
        sighting.kind.value,
        temperature_of(sighting),
        battery_of(sighting),
        str(sighting.rssi),
        sighting.note,
    )
    return "\t".join(fields)


def temperature_of(sighting: Sighting) -> str:
    """Return °C in words, empty if the logger told none."""
    measured = sighting.measurement
    return "" if measured is None or measured.temperature_mc is None else f"{measured.temperature_mc / 1000:.2f}"


def battery_of(sighting: Sighting) -> str:
    """Return the battery in words, empty if the logger told nothing of it."""
    measured = sighting.measurement
    if measured is None:
        return ""
    if measured.battery_mv is not None:
        return f"{measured.battery_mv / 1000:.2f} V"
    return "" if measured.battery_pct is None else f"{measured.battery_pct} %"


def _print(sighting: Sighting | None) -> None:
    if sighting is not None:
        click.echo(line_of(sighting))


def _print_json(sighting: Sighting | None, now_s: float) -> None:
    if sighting is not None:
        click.echo(json.dumps(record_of(sighting, now_s)))
