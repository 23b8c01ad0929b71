import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

import pytest
from bleak import BleakScanner
from bleak.assigned_numbers import AdvertisementDataType
from bleak.backends.device import BLEDevice
from bleak.backends.scanner import AdvertisementData
from bleak.exc import BleakBluetoothNotAvailableError, BleakError

from firmware_sim.bluez import FakeBluez, Settings

Until = Callable[[Callable[[], object]], Awaitable[None]]
RUUVI = 0x0499
ADDRESS = "C0:FF:EE:00:00:01"
UART = "6e400001-b5a3-f393-e0a9-e50e24dcca9e"


class Heard(list):
    def __call__(self, device: BLEDevice, advertisement: AdvertisementData) -> None:
        self.append((device.address, advertisement))

    @property
    def payloads(self) -> list[bytes | None]:
        return [advertisement.manufacturer_data.get(RUUVI) for _, advertisement in self]


async def settle() -> None:
    """Let everything that was sent arrive: a few turns of the one loop that both sides share."""
    for _ in range(20):
        await asyncio.sleep(0)


async def test_advertisement_arrives_whole(bluez: FakeBluez, until: Until) -> None:
    device = bluez.add_device(ADDRESS, name="Ruuvi 0001")
    heard = Heard()
    async with BleakScanner(heard):
        device.advertise({RUUVI: b"\x05\x01"}, rssi=-71, service_data={"feaa": b"x"}, service_uuids=[UART], tx_power=4)
        await until(lambda: heard)
    address, advertisement = heard[0]
    assert address == ADDRESS
    assert advertisement.local_name == "Ruuvi 0001"
    assert advertisement.manufacturer_data == {RUUVI: b"\x05\x01"}
    assert advertisement.service_data == {"0000feaa-0000-1000-8000-00805f9b34fb": b"x"}
    assert advertisement.service_uuids == [UART]
    assert (advertisement.rssi, advertisement.tx_power) == (-71, 4)


async def test_unchanged_advertisement_is_kept_back(bluez: FakeBluez, until: Until) -> None:
    device = bluez.add_device(ADDRESS)
    heard = Heard()
    async with BleakScanner(heard):
        assert device.advertise({RUUVI: b"\x01"}, rssi=-60)
        assert device.advertise({RUUVI: b"\x02"}, rssi=-60)
        assert not device.advertise({RUUVI: b"\x02"}, rssi=-62)
        assert device.advertise({RUUVI: b"\x02"}, rssi=-75)
        await until(lambda: len(heard) == 3)
    assert [advertisement.rssi for _, advertisement in heard] == [-60, -60, -75]


@pytest.mark.parametrize("settings", [Settings(rssi_delta_db=0)])
async def test_older_bluez_signals_each_advertisement(bluez: FakeBluez, until: Until) -> None:
    device = bluez.add_device(ADDRESS)
    heard = Heard()
    async with BleakScanner(heard):
        for _ in range(5):
            device.advertise({RUUVI: b"\x01"})
        await until(lambda: len(heard) == 5)


async def test_duplicates_are_signalled_where_a_client_asks(bluez: FakeBluez, until: Until) -> None:
    device = bluez.add_device(ADDRESS)
    heard = Heard()
    async with BleakScanner(heard, bluez={"filters": {"DuplicateData": True}}):
        for _ in range(5):
            device.advertise({RUUVI: b"\x01"})
        await until(lambda: len(heard) == 5)


async def test_nothing_is_heard_without_a_scan(bluez: FakeBluez, until: Until) -> None:
    device = bluez.add_device(ADDRESS)
    assert not device.advertise({RUUVI: b"\x01"})
    heard = Heard()
    async with BleakScanner(heard):
        assert bluez.is_scanning
        device.advertise({RUUVI: b"\x02"})
        await until(lambda: heard)
    assert not bluez.is_scanning
    assert not device.advertise({RUUVI: b"\x03"})
    assert heard.payloads == [b"\x02"]


async def test_signal_strength_is_invalid_after_a_scan(bluez: FakeBluez, until: Until) -> None:
    device = bluez.add_device(ADDRESS)
    heard = Heard()
    async with BleakScanner(heard):
        device.advertise({RUUVI: b"\x01"}, rssi=-60)
        await until(lambda: heard)
    async with BleakScanner(heard):
        assert device.advertise({RUUVI: b"\x01"}, rssi=-61)  # unchanged, but its strength is news
        await until(lambda: len(heard) == 2)


@pytest.mark.parametrize(
    ("arguments", "is_heard"),
    [
        ({"bluez": {"filters": {"RSSI": -70}}}, True),
        ({"bluez": {"filters": {"RSSI": -50}}}, False),
        ({"bluez": {"filters": {"Pattern": "Ruuvi"}}}, True),
        ({"bluez": {"filters": {"Pattern": "C0:FF"}}}, True),
        ({"bluez": {"filters": {"Pattern": "Govee"}}}, False),
        ({"service_uuids": [UART]}, True),
        ({"service_uuids": ["0000180f-0000-1000-8000-00805f9b34fb"]}, False),
    ],
)
async def test_discovery_filter(bluez: FakeBluez, arguments: dict[str, Any], *, is_heard: bool) -> None:
    device = bluez.add_device(ADDRESS, name="Ruuvi 0001")
    async with BleakScanner(Heard(), **arguments):
        assert device.advertise({RUUVI: b"\x01"}, rssi=-60, service_uuids=[UART]) is is_heard


async def test_two_clients_each_with_a_filter_hear_the_union(bluez: FakeBluez) -> None:
    device = bluez.add_device(ADDRESS, name="Ruuvi 0001")
    async with BleakScanner(Heard(), bluez={"filters": {"Pattern": "Govee"}}):
        assert not device.advertise({RUUVI: b"\x01"})
    async with BleakScanner(Heard(), bluez={"filters": {"Pattern": "Ruuvi"}}):
        assert device.advertise({RUUVI: b"\x01"})


def passive(*patterns: tuple[int, int, bytes]) -> dict[str, Any]:
    return {"scanning_mode": "passive", "bluez": {"or_patterns": list(patterns)}}


MANUFACTURER = AdvertisementDataType.MANUFACTURER_SPECIFIC_DATA


async def test_passive_scan_hears_what_its_patterns_match(bluez: FakeBluez, until: Until) -> None:
    ruuvi = bluez.add_device(ADDRESS)
    other = bluez.add_device("C0:FF:EE:00:00:02")
    heard = Heard()
    async with BleakScanner(heard, **passive((0, MANUFACTURER, b"\x99\x04\x05"))):
        await until(lambda: bluez.is_scanning)
        assert not other.advertise({0x004C: b"\x02"})
        assert not ruuvi.advertise({RUUVI: b"\x03"})
        assert ruuvi.advertise({RUUVI: b"\x05"})
        await until(lambda: heard)
    assert heard.payloads == [b"\x05"]
    await until(lambda: not bluez.is_scanning)


async def test_any_of_the_patterns_is_enough(bluez: FakeBluez, until: Until) -> None:
    device = bluez.add_device(ADDRESS, name="Ruuvi 0001")
    patterns = ((0, MANUFACTURER, b"\x4c\x00"), (0, AdvertisementDataType.COMPLETE_LOCAL_NAME, b"Ruuvi"))
    async with BleakScanner(Heard(), **passive(*patterns)):
        await until(lambda: bluez.is_scanning)
        assert device.advertise({RUUVI: b"\x05"})


@pytest.mark.parametrize("settings", [Settings(experimental=False)])
async def test_passive_scan_needs_the_experimental_daemon(bluez: FakeBluez) -> None:
    with pytest.raises(BleakError, match="experimental"):
        await BleakScanner(Heard(), **passive((0, MANUFACTURER, b"\x99\x04"))).start()


async def test_a_device_is_forgotten_after_a_while(bus_address: str, until: Until) -> None:
    async with FakeBluez(bus_address, replace(Settings(), forget_after_s=0.05)) as bluez:
        device = bluez.add_device(ADDRESS)
        async with BleakScanner() as scanner:
            device.advertise({RUUVI: b"\x01"})
            await until(lambda: scanner.discovered_devices)
            await until(lambda: not device.is_known)
            await until(lambda: not scanner.discovered_devices)
            device.advertise({RUUVI: b"\x01"})
            await until(lambda: scanner.discovered_devices)


async def test_out_of_range_is_not_heard(bluez: FakeBluez) -> None:
    device = bluez.add_device(ADDRESS)
    async with BleakScanner():
        device.in_range = False
        assert not device.advertise({RUUVI: b"\x01"})
        device.in_range = True
        assert device.advertise({RUUVI: b"\x01"})


async def test_silent_scan(bluez: FakeBluez) -> None:
    device = bluez.add_device(ADDRESS)
    async with BleakScanner():
        bluez.scan_is_silent = True
        assert not device.advertise({RUUVI: b"\x01"})
        bluez.heal()
        assert device.advertise({RUUVI: b"\x01"})


async def test_adapter_is_off(bluez: FakeBluez) -> None:
    bluez.power_off()
    with pytest.raises(BleakBluetoothNotAvailableError):
        await BleakScanner.discover(timeout=0)
    bluez.power_on()
    await settle()
    await BleakScanner.discover(timeout=0)


async def test_scan_is_in_progress(bluez: FakeBluez) -> None:
    bluez.fail("StartDiscovery", "org.bluez.Error.InProgress", text="Operation already in progress", times=2)
    for _ in range(2):
        with pytest.raises(BleakError, match="InProgress"):
            await BleakScanner().start()
    async with BleakScanner():
        pass


async def test_the_scan_of_a_dead_client_ends(bluez: FakeBluez, until: Until) -> None:
    scanner = BleakScanner()
    await scanner.start()
    assert bluez.is_scanning
    bluez.drop_clients()
    await until(lambda: not bluez.is_scanning)


async def test_bus_comes_back_after_its_death(bluez: FakeBluez, until: Until) -> None:
    device = bluez.add_device(ADDRESS)
    heard = Heard()
    async with BleakScanner(heard):
        device.advertise({RUUVI: b"\x01"})
        await until(lambda: heard)
    await bluez.stop()
    with pytest.raises((BleakError, OSError, EOFError)):
        await BleakScanner().start()
    await bluez.start()
    async with BleakScanner(heard):
        device.advertise({RUUVI: b"\x02"})
        await until(lambda: len(heard) == 2)


async def test_daemon_dies_behind_its_bus(bluez: FakeBluez) -> None:
    device = bluez.add_device(ADDRESS)
    scanner = BleakScanner()
    await scanner.start()
    bluez.crash_daemon()
    assert not device.advertise({RUUVI: b"\x01"})
    with pytest.raises(BleakError, match="ServiceUnknown"):
        await scanner.stop()
    bluez.restart_daemon()
    await settle()
    async with BleakScanner():
        assert device.advertise({RUUVI: b"\x01"})
