"""Listening to the air for a while, without connecting to anybody."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING

from bleak import BleakScanner
from bleak.args.bluez import BlueZScannerArgs
from bleak.exc import BleakError

from gateway.core.errors import ColdchainError
from gateway.vehicle.bluez import BluezError, read_adapters
from gateway.vehicle.loggers.measurement import Packet
from gateway.vehicle.settings import RadioSettings

if TYPE_CHECKING:
    from bleak.backends.device import BLEDevice
    from bleak.backends.scanner import AdvertisementData

RADIO_ERRORS = (BleakError, OSError, EOFError, TimeoutError)
"""What BlueZ, the bus or the link may do to us; anything else is a mistake of ours."""
START_TIMEOUT_S = 10.0
"""StartDiscovery answers within milliseconds; after ten seconds the daemon hangs."""


class ListeningError(ColdchainError):
    """There is no scan; the text says why."""


def packet_of(device: BLEDevice, advertisement: AdvertisementData) -> Packet:
    """Return an advertisement as the rooms behind the radio see it."""
    return Packet(
        device.address,
        advertisement.local_name or "",
        advertisement.rssi,
        advertisement.manufacturer_data,
        advertisement.service_data,
        advertisement.service_uuids,
    )


async def listen(settings: RadioSettings, on_packet: Callable[[Packet], None], seconds: float | None) -> None:
    """Scan actively for so long, for ever if None, with every adapter; raises ListeningError."""
    names = settings.adapters
    if not names:
        try:
            names = tuple(await read_adapters())
        except BluezError as error:
            raise ListeningError(f"Bluetooth does not scan: {error}") from error
    if not names:
        raise ListeningError("Bluetooth does not scan: there is no adapter")
    async with AsyncExitStack() as scans:
        for name in names:
            await scans.enter_async_context(_scanning(name, on_packet))
        await asyncio.sleep(seconds if seconds is not None else float("inf"))


@asynccontextmanager
async def _scanning(adapter: str, on_packet: Callable[[Packet], None]) -> AsyncIterator[None]:
    scanner = BleakScanner(
        lambda device, advertisement: on_packet(packet_of(device, advertisement)),
        bluez=BlueZScannerArgs(adapter=adapter),
    )
    try:
        async with asyncio.timeout(START_TIMEOUT_S):
            await scanner.start()
    except RADIO_ERRORS as error:
        raise ListeningError(f"Bluetooth does not scan: {str(error) or type(error).__name__}") from error
    try:
        yield
    finally:
        try:
            async with asyncio.timeout(START_TIMEOUT_S):
                await scanner.stop()
        except RADIO_ERRORS:
            pass  # it is over in any case, and BlueZ ends the scan of a client that leaves
