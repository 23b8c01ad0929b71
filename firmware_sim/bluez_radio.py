"""The radio that is a fake BlueZ: simulated loggers for unmodified BlueZ clients."""

import asyncio

from firmware_sim import bluez
from firmware_sim.bluez import BluezError, FakeBluez
from firmware_sim.peripheral import AttError, Broadcast, Characteristic, Peripheral, Port

BURST = 6
"""Notifications in one connection event, about what a logger and a Linux host agree on."""
ATT_HEADER_BYTES = 3


class BluezRadio:
    """Carries peripherals on a ``FakeBluez``; each link takes ``notifications_per_s``, real seconds."""

    def __init__(self, fake: FakeBluez, notifications_per_s: float) -> None:
        self._fake = fake
        self._notifications_per_s = notifications_per_s

    def add(self, peripheral: Peripheral) -> Port:
        """Give a peripheral its place."""
        services = [
            bluez.Service(service.uuid, [self._show(characteristic) for characteristic in service.characteristics])
            for service in peripheral.services
        ]
        return _Port(
            self._fake.add_device(
                peripheral.address, name=peripheral.name, services=services, on_connected=peripheral.on_connected
            )
        )

    async def start(self) -> None:
        """Accept clients."""
        await self._fake.start()

    async def stop(self) -> None:
        """Let the bus die."""
        await self._fake.stop()

    def _show(self, characteristic: Characteristic) -> bluez.Characteristic:
        shown = bluez.Characteristic(
            characteristic.uuid,
            characteristic.flags,
            on_read=None if characteristic.on_read is None else _reader(characteristic),
            on_write=None if characteristic.on_write is None else _writer(characteristic),
            descriptors=[
                bluez.Descriptor(descriptor.uuid, descriptor.value) for descriptor in characteristic.descriptors
            ],
        )
        characteristic.bind(_Outlet(shown, self._fake.settings.mtu, self._notifications_per_s))
        return shown


class _Port:
    def __init__(self, device: bluez.Device) -> None:
        self._device = device

    @property
    def in_range(self) -> bool:
        return self._device.in_range

    @in_range.setter
    def in_range(self, value: bool) -> None:
        self._device.in_range = value

    def advertise(self, broadcast: Broadcast, rssi: int) -> None:
        self._device.advertise(
            broadcast.manufacturer_data,
            rssi=rssi,
            service_data=broadcast.service_data,
            service_uuids=broadcast.service_uuids,
        )

    def drop_link(self) -> None:
        self._device.drop_link()


class _Outlet:
    def __init__(self, shown: bluez.Characteristic, mtu: int, notifications_per_s: float) -> None:
        self.payload_bytes = mtu - ATT_HEADER_BYTES
        self._shown = shown
        self._notifications_per_s = notifications_per_s
        self._sent = 0

    def notify(self, value: bytes) -> bool:
        return self._shown.notify(value)

    async def send(self, value: bytes) -> bool:
        if not self._shown.notify(value):
            return False
        self._sent += 1
        if self._sent % BURST == 0:
            await asyncio.sleep(BURST / self._notifications_per_s)
        return True


def _reader(characteristic: Characteristic) -> bluez.gatt.OnRead:
    def read() -> bytes:
        assert characteristic.on_read is not None  # noqa: S101 - the caller looked
        try:
            return characteristic.on_read()
        except AttError as error:
            raise _refusal(error) from error

    return read


def _writer(characteristic: Characteristic) -> bluez.gatt.OnWrite:
    def write(data: bytes) -> None:
        assert characteristic.on_write is not None  # noqa: S101 - the caller looked
        try:
            characteristic.on_write(data)
        except AttError as error:
            raise _refusal(error) from error

    return write


def _refusal(error: AttError) -> BluezError:
    """Return the error as BlueZ words it (client/gatt-client.c: create_gatt_dbus_error)."""
    return BluezError("Failed", f"Operation failed with ATT error: 0x{error.code:02x}")
