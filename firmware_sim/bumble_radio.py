"""The radio that is Bumble: the same firmware on controllers, virtual or real, for whatever scans and connects there.

Advertising repeats in the controller, so what a scenario says of signal strength and of single lost packets does not
apply; being carried away and losing a link does.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Callable

from bumble import gatt
from bumble.att import ATT_Error
from bumble.core import UUID
from bumble.device import (
    AdvertisingEventProperties,
    AdvertisingParameters,
    AdvertisingSet,
    Connection,
    Device,
    DeviceConfiguration,
)
from bumble.hci import (
    Address,
    HCI_Error,
    HCI_LE_Set_Advertising_Data_Command,
    HCI_LE_Set_Scan_Response_Data_Command,
    OwnAddressType,
)

from firmware_sim.advertising_data import pack, pack_response
from firmware_sim.bumble_controllers import Controllers, is_random
from firmware_sim.peripheral import MIN_ATT_PAYLOAD, AttError, Broadcast, Characteristic, Peripheral, Port

log = logging.getLogger(__name__)

ADVERTISING_INTERVAL_MS = 100.0
DWELL_S = 0.15
"""How long a packet stays on the air at least, so that it is sent once before another takes its place."""
WAITING_PACKETS = 4
"""More than any maker sends at once; what waits longer is old news."""
ATT_HEADER_BYTES = 3
_PROPERTIES = {
    "read": gatt.Characteristic.Properties.READ,
    "write": gatt.Characteristic.Properties.WRITE,
    "write-without-response": gatt.Characteristic.Properties.WRITE_WITHOUT_RESPONSE,
    "notify": gatt.Characteristic.Properties.NOTIFY,
}


class BumbleRadio:
    """Carries each peripheral on a controller of its own."""

    def __init__(self, controllers: Controllers) -> None:
        self._controllers = controllers
        self._ports: list[_Port] = []

    def add(self, peripheral: Peripheral) -> Port:
        """Give a peripheral its place."""
        port = _Port(peripheral)
        self._ports.append(port)
        return port

    async def start(self) -> None:
        """Switch every controller on; raises ``RadioError``, and what Bumble raises for a transport it cannot open."""
        for port in self._ports:
            await port.start(self._controllers)
        await self._controllers.all_taken()

    async def stop(self) -> None:
        """End every link and fall silent."""
        for port in self._ports:
            await port.stop()
        await self._controllers.close()


class _Port:
    """One peripheral on its controller. A task of its own sends every command, so that none crosses another."""

    def __init__(self, peripheral: Peripheral) -> None:
        self._peripheral = peripheral
        self._outlets: list[_Outlet] = []
        self._device: Device | None = None
        self._connection: Connection | None = None
        self._set: AdvertisingSet | None = None
        self._in_range = True
        self._newest = (b"", b"")
        self._waiting: deque[tuple[bytes, bytes]] = deque(maxlen=WAITING_PACKETS)
        self._changed = asyncio.Event()
        self._drops = False
        self._task: asyncio.Task[None] | None = None

    @property
    def in_range(self) -> bool:
        return self._in_range

    @in_range.setter
    def in_range(self, value: bool) -> None:
        self._in_range = value
        self._drops = self._drops or not value
        self._changed.set()

    def advertise(self, broadcast: Broadcast, rssi: int) -> None:
        del rssi
        if not self._in_range:
            return
        if broadcast.is_scan_response:
            self._newest = (self._newest[0], pack_response(broadcast))
        else:
            self._newest = pack(self._peripheral.name, broadcast)
        self._waiting.append(self._newest)
        self._changed.set()

    def drop_link(self) -> None:
        self._drops = True
        self._changed.set()

    async def start(self, controllers: Controllers) -> None:
        host = await controllers.take(self._peripheral.address)
        kind = Address.RANDOM_DEVICE_ADDRESS if is_random(self._peripheral.address) else Address.PUBLIC_DEVICE_ADDRESS
        configuration = DeviceConfiguration(
            name=self._peripheral.name,
            address=Address(self._peripheral.address, kind),
            advertising_interval_min=ADVERTISING_INTERVAL_MS,
            advertising_interval_max=ADVERTISING_INTERVAL_MS,
        )
        device = Device(config=configuration, host=host)
        for service in self._peripheral.services:
            shown = [self._show(characteristic, device) for characteristic in service.characteristics]
            device.add_service(gatt.Service(service.uuid, shown))
        device.on(Device.EVENT_CONNECTION, self._connected)
        await device.power_on()
        self._device = device
        self._task = asyncio.create_task(self._run(device), name=f"radio of {self._peripheral.address}")

    async def stop(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        if self._device is not None:
            await self._hang_up()
            await self._silence(self._device)

    def _show(self, characteristic: Characteristic, device: Device) -> gatt.Characteristic[bytes]:
        properties = gatt.Characteristic.Properties(0)
        for flag in characteristic.flags:
            properties |= _PROPERTIES[flag]
        value = gatt.CharacteristicValue[bytes](read=_reader(characteristic), write=_writer(characteristic))
        shown: gatt.Characteristic[bytes] = gatt.Characteristic(
            characteristic.uuid,
            properties,
            gatt.Characteristic.READABLE | gatt.Characteristic.WRITEABLE,
            value,
            [
                gatt.Descriptor(UUID(descriptor.uuid), gatt.Characteristic.READABLE, descriptor.value)
                for descriptor in characteristic.descriptors
            ],
        )
        outlet = _Outlet(shown, device)
        characteristic.bind(outlet)
        self._outlets.append(outlet)
        return shown

    def _connected(self, connection: Connection) -> None:
        self._connection = connection
        connection.on(Connection.EVENT_DISCONNECTION, self._disconnected)
        self._peripheral.on_connected(True)

    def _disconnected(self, _reason: int) -> None:
        self._connection = None
        for outlet in self._outlets:
            outlet.listener = None
        self._peripheral.on_connected(False)
        self._changed.set()  # a controller stops advertising when it is connected

    async def _run(self, device: Device) -> None:
        packets: tuple[bytes, bytes] | None = None
        while True:
            await self._changed.wait()
            self._changed.clear()
            try:
                if self._drops:
                    self._drops = False
                    await self._hang_up()
                if not self._in_range:
                    self._waiting.clear()
                    packets = None
                    await self._silence(device)
                    continue
                if self._waiting:
                    packets = self._waiting.popleft()
                if packets is not None:
                    await self._broadcast(device, *packets)
            except HCI_Error as error:
                # The controller refuses for a moment, amid a connection that comes or goes: the next packet follows.
                log.warning("%s: %s", self._peripheral.address, error)
            await asyncio.sleep(DWELL_S)
            if self._waiting:
                self._changed.set()

    async def _broadcast(self, device: Device, data: bytes, response: bytes) -> None:
        device.advertising_data, device.scan_response_data = data, response
        if device.supports_le_extended_advertising:
            await self._broadcast_set(device, data, response)
        elif device.is_advertising:
            await device.send_sync_command(HCI_LE_Set_Advertising_Data_Command(advertising_data=data))
            await device.send_sync_command(HCI_LE_Set_Scan_Response_Data_Command(scan_response_data=response))
        elif self._connection is None:
            await device.start_advertising(own_address_type=self._own_address_type)

    async def _broadcast_set(self, device: Device, data: bytes, response: bytes) -> None:
        """Advertise with the newer commands, but in packets that every receiver hears."""
        if self._set is None:
            parameters = AdvertisingParameters(
                advertising_event_properties=AdvertisingEventProperties(
                    is_connectable=True, is_scannable=True, is_legacy=True
                ),
                primary_advertising_interval_min=ADVERTISING_INTERVAL_MS,
                primary_advertising_interval_max=ADVERTISING_INTERVAL_MS,
                own_address_type=self._own_address_type,
            )
            self._set = await device.create_advertising_set(
                advertising_parameters=parameters,
                random_address=device.random_address,
                advertising_data=data,
                scan_response_data=response,
            )
            return
        await self._set.set_advertising_data(data)
        await self._set.set_scan_response_data(response)
        if not self._set.enabled and self._connection is None:
            await self._set.start()

    async def _silence(self, device: Device) -> None:
        if self._set is not None:
            if self._set.enabled:
                await self._set.stop()
        elif device.is_advertising:
            await device.stop_advertising()

    async def _hang_up(self) -> None:
        if self._connection is not None:
            await self._connection.disconnect()

    @property
    def _own_address_type(self) -> OwnAddressType:
        return OwnAddressType.RANDOM if is_random(self._peripheral.address) else OwnAddressType.PUBLIC


class _Outlet:
    """A characteristic's notifications to the one who is connected."""

    def __init__(self, shown: gatt.Characteristic[bytes], device: Device) -> None:
        self.listener: Connection | None = None
        self._shown = shown
        self._device = device
        self._sending: set[asyncio.Task[bool]] = set()
        shown.on(gatt.Characteristic.EVENT_SUBSCRIPTION, self._subscribed)

    @property
    def payload_bytes(self) -> int:
        return MIN_ATT_PAYLOAD if self.listener is None else self.listener.att_mtu - ATT_HEADER_BYTES

    def notify(self, value: bytes) -> bool:
        if self.listener is None:
            return False
        task = asyncio.create_task(self.send(value), name="notification")
        self._sending.add(task)
        task.add_done_callback(self._sending.discard)
        return True

    async def send(self, value: bytes) -> bool:
        connection = self.listener
        if connection is None:
            return False
        await self._device.notify_subscriber(connection, self._shown, value)
        await connection.drain()
        return self.listener is connection

    def _subscribed(self, bearer: Connection, is_notified: bool, _is_indicated: bool) -> None:  # noqa: FBT001 - Bumble
        self.listener = bearer if is_notified else None


def _reader(characteristic: Characteristic) -> Callable[[Connection], bytes]:
    def read(_connection: Connection) -> bytes:
        try:
            return b"" if characteristic.on_read is None else characteristic.on_read()
        except AttError as error:
            raise ATT_Error(error.code) from error

    return read


def _writer(characteristic: Characteristic) -> Callable[[Connection, bytes], None]:
    def write(_connection: Connection, value: bytes) -> None:
        try:
            if characteristic.on_write is not None:
                characteristic.on_write(value)
        except AttError as error:
            raise ATT_Error(error.code) from error

    return write
