"""``coldchain scan``: which loggers are within reach."""

from __future__ import annotations

import asyncio
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
_FILE = click.Path(path_type=Path)


@click.command()
@click.option("--settings", "-s", "path", type=_FILE, help="The vehicle's TOML file: its adapters are used.")
@click.option("--adapter", help="Bluetooth adapter. [default: the settings', else every one]")
@click.option("--seconds", type=click.FloatRange(min=0.1), help="End after so long. [default: with Ctrl-C]")
def command(path: Path | None, adapter: str | None, seconds: float | None) -> None:
    """Show the supported loggers within reach, enrolled or not: maker, temperature, battery, signal, age.

    On a terminal a table that keeps itself up to date; elsewhere a line for each new measurement, its fields
    separated by tabs: address, kind, °C, battery, dBm, note. A running vehicle may go on meanwhile.

    \b
    Examples:
      coldchain scan
      coldchain scan --seconds 10 | grep bthome
    """  # noqa: D301  \b is click's mark for "keep these lines", not an escape
    radio = RadioSettings() if path is None else load_settings(VehicleSettings, path).radio
    if adapter is not None:
        radio = radio.model_copy(update={"adapters": (adapter,)})
    try:
        asyncio.run(_scan(radio, seconds, Console()))
    except ListeningError as error:
        raise click.ClickException(f"{error}; `coldchain doctor` looks for the reason") from None


async def _scan(radio: RadioSettings, seconds: float | None, console: Console) -> None:
    loop, working = asyncio.get_running_loop(), asyncio.current_task()
    if working is not None:
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, working.cancel)
    discovery = Discovery()
    with suppress(asyncio.CancelledError):  # Ctrl-C is how it ends
        if console.is_terminal:
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


def table_of(sightings: list[Sighting], now_s: float) -> Table:
    """Return the table."""
    table = Table(box=SIMPLE, caption=f"{len(sightings)} loggers, Ctrl-C ends")
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
