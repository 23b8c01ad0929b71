import asyncio
from collections.abc import Awaitable, Callable
from functools import partial

import pytest
from bleak import BleakClient, BleakScanner
from bleak.backends.device import BLEDevice
from bleak.exc import BleakDBusError, BleakError, BleakGATTProtocolError

from firmware_sim.bluez import BluezError, Characteristic, Descriptor, FakeBluez, Service, Settings

Until = Callable[[Callable[[], object]], Awaitable[None]]
ADDRESS = "C0:FF:EE:00:00:01"
UART = "6e400001-b5a3-f393-e0a9-e50e24dcca9e"
RX = "6e400002-b5a3-f393-e0a9-e50e24dcca9e"
TX = "6e400003-b5a3-f393-e0a9-e50e24dcca9e"
TEMPERATURE = "00002a6e-0000-1000-8000-00805f9b34fb"


class Peripheral:
    """A device with a UART service and a temperature, as a client sees it after a scan."""

    def __init__(self, bluez: FakeBluez) -> None:
        self.written: list[bytes] = []
        self.rx = Characteristic(RX, ["write", "write-without-response"], on_write=self.written.append)
        self.tx = Characteristic(TX, ["notify"])
        self.temperature = Characteristic(
            TEMPERATURE, ["read", "notify"], b"\x66\x08", descriptors=[Descriptor("2901", b"T")]
        )
        services = [Service(UART, [self.rx, self.tx]), Service("181a", [self.temperature])]
        self.device = bluez.add_device(ADDRESS, name="Peripheral", services=services)

    async def find(self) -> BLEDevice:
        async with BleakScanner() as scanner:
            self.device.advertise({0x0499: b"\x05"})
            found = None
            while found is None:
                await asyncio.sleep(0)
                found = next(iter(scanner.discovered_devices), None)
        return found


@pytest.fixture
def peripheral(bluez: FakeBluez) -> Peripheral:
    return Peripheral(bluez)


async def test_services_are_shown_as_bluez_shows_them(peripheral: Peripheral) -> None:
    async with BleakClient(await peripheral.find()) as client:
        uuids = {service.uuid for service in client.services}
        assert uuids == {UART, "0000181a-0000-1000-8000-00805f9b34fb", "00001801-0000-1000-8000-00805f9b34fb"}
        assert client.services.get_characteristic(TX).properties == ["notify"]
        assert client.services.get_characteristic(RX).max_write_without_response_size == 244


async def test_read_write_and_descriptors(peripheral: Peripheral) -> None:
    async with BleakClient(await peripheral.find()) as client:
        assert await client.read_gatt_char(TEMPERATURE) == b"\x66\x08"
        await client.write_gatt_char(RX, b"one", response=True)
        await client.write_gatt_char(RX, b"two", response=False)
        assert peripheral.written == [b"one", b"two"]
        descriptors = client.services.get_characteristic(TEMPERATURE).descriptors
        values = {descriptor.uuid[4:8]: await client.read_gatt_descriptor(descriptor) for descriptor in descriptors}
        assert values == {"2901": b"T", "2902": b"\0\0"}


async def test_what_is_not_allowed_is_refused(peripheral: Peripheral) -> None:
    async with BleakClient(await peripheral.find()) as client:
        with pytest.raises(BleakGATTProtocolError, match="Read"):
            await client.read_gatt_char(RX)
        with pytest.raises(BleakGATTProtocolError, match="Write"):
            await client.write_gatt_char(TX, b"x", response=True)
        with pytest.raises(BleakDBusError, match="NotSupported"):
            await client.start_notify(RX, lambda *_: None)


@pytest.mark.parametrize("use_start_notify", [True, False])
async def test_notifications_keep_their_order(peripheral: Peripheral, until: Until, *, use_start_notify: bool) -> None:
    got: list[bytes] = []
    expected = [bytes([number]) * 11 for number in range(200)]
    async with BleakClient(await peripheral.find()) as client:
        assert not peripheral.tx.notify(b"nobody listens")
        await client.start_notify(
            TX, lambda _, data: got.append(bytes(data)), bluez={"use_start_notify": use_start_notify}
        )
        assert peripheral.tx.is_subscribed
        for frame in expected:
            await until(partial(peripheral.tx.notify, frame))
        await until(lambda: len(got) == len(expected))
        await client.stop_notify(TX)
        await until(lambda: not peripheral.tx.is_subscribed)
    assert got == expected


async def test_coroutines_and_errors_of_the_peripheral(bluez: FakeBluez) -> None:
    async def read() -> bytes:
        await asyncio.sleep(0)
        return b"late"

    def refuse(_data: bytes) -> None:
        raise BluezError("Failed", "Operation failed with ATT error: 0x80")

    characteristics = [Characteristic(TX, ["read"], on_read=read), Characteristic(RX, ["write"], on_write=refuse)]
    peripheral = Peripheral(bluez)
    peripheral.device.services.append(Service("180f", characteristics))
    peripheral.device.services.pop(1)
    async with BleakClient(await peripheral.find()) as client:
        assert await client.read_gatt_char(TX) == b"late"
        with pytest.raises(BleakGATTProtocolError, match=r"0x80|128"):
            await client.write_gatt_char(RX, b"x", response=True)


async def test_lost_link(peripheral: Peripheral, until: Until) -> None:
    lost: list[BleakClient] = []
    states: list[bool] = []
    peripheral.device.on_connected = states.append
    client = BleakClient(await peripheral.find(), disconnected_callback=lost.append)
    await client.connect()
    peripheral.device.drop_link()
    await until(lambda: lost)
    assert not client.is_connected
    assert states == [True, False]
    await client.disconnect()


async def test_link_is_lost_amid_notifications(peripheral: Peripheral, until: Until) -> None:
    got: list[bytes] = []
    lost: list[BleakClient] = []
    async with BleakClient(await peripheral.find(), disconnected_callback=lost.append) as client:
        await client.start_notify(TX, lambda _, data: got.append(bytes(data)))
        peripheral.device.drop_link_after(notifications=3)
        sent = [peripheral.tx.notify(bytes([number])) for number in range(6)]
        await until(lambda: lost)
    assert sent == [True] * 3 + [False] * 3
    assert got == [b"\0", b"\1", b"\2"]


async def test_reconnects_without_a_scan(peripheral: Peripheral) -> None:
    found = await peripheral.find()
    for _ in range(3):
        async with BleakClient(found) as client:
            assert await client.read_gatt_char(TEMPERATURE) == b"\x66\x08"


async def test_refused_connections(peripheral: Peripheral, bluez: FakeBluez) -> None:
    found = await peripheral.find()
    bluez.fail("Connect", "org.bluez.Error.Failed", text="Software caused connection abort", times=1)
    with pytest.raises(BleakDBusError, match="connection abort"):
        await BleakClient(found).connect()
    async with BleakClient(found) as client:
        assert client.is_connected


async def test_hanging_connection(peripheral: Peripheral, bluez: FakeBluez, until: Until) -> None:
    found = await peripheral.find()
    bluez.hang("Connect")
    with pytest.raises(TimeoutError):
        await BleakClient(found, timeout=0.05).connect()
    assert [call.member for call in bluez.calls if call.path == peripheral.device.path] == ["Connect", "Disconnect"]
    async with BleakClient(found) as client:
        assert client.is_connected


@pytest.mark.parametrize("settings", [Settings(connect_timeout_s=0.01)])
async def test_out_of_range_does_not_connect(peripheral: Peripheral) -> None:
    found = await peripheral.find()
    peripheral.device.in_range = False
    with pytest.raises(TimeoutError):  # bleak waits for the end of a link that never was, until its own limit
        await BleakClient(found, timeout=0.1).connect()
    assert not peripheral.device.is_connected


async def test_going_out_of_range_ends_the_link(peripheral: Peripheral, until: Until) -> None:
    lost: list[BleakClient] = []
    async with BleakClient(await peripheral.find(), disconnected_callback=lost.append):
        peripheral.device.in_range = False
        await until(lambda: lost)


async def test_connection_outlives_its_client_but_its_listener_does_not(
    peripheral: Peripheral, bluez: FakeBluez, until: Until
) -> None:
    client = BleakClient(await peripheral.find())
    await client.connect()
    await client.start_notify(TX, lambda *_: None)
    bluez.drop_clients()
    await until(lambda: not peripheral.tx.is_subscribed)
    assert peripheral.device.is_connected
    await until(lambda: not client.is_connected)
    await client.disconnect()


async def test_disconnect_crosses_the_loss_of_the_link(peripheral: Peripheral) -> None:
    client = BleakClient(await peripheral.find())
    await client.connect()
    peripheral.device.drop_link()
    with pytest.raises(BleakDBusError, match="NotConnected"):
        await client.disconnect()
    assert not client.is_connected


async def test_remove_device(peripheral: Peripheral, until: Until) -> None:
    client = BleakClient(await peripheral.find())
    await client.connect()
    await client.unpair()
    await until(lambda: not peripheral.device.is_known)
    with pytest.raises(BleakError):
        await client.read_gatt_char(TEMPERATURE)


async def test_pairing(peripheral: Peripheral) -> None:
    client = BleakClient(await peripheral.find(), pair=True)
    await client.connect()
    await client.disconnect()
    peripheral.device.can_pair = False
    async with BleakClient(await peripheral.find()):
        pass


@pytest.mark.filterwarnings("ignore::UserWarning")
async def test_mtu(peripheral: Peripheral) -> None:
    async with BleakClient(await peripheral.find()) as client:
        await client._backend._acquire_mtu()
        assert client.mtu_size == 247
