"""A peripheral as BlueZ presents it: seen, connected, explored, forgotten."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import Protocol, TypeVar

from dbus_fast import Message, Variant

from firmware_sim.bluez import gatt
from firmware_sim.bluez.advertising import Advertisement, full_uuid
from firmware_sim.bluez.errors import BluezError
from firmware_sim.bluez.gatt import Characteristic, Service
from firmware_sim.bluez.settings import Settings
from firmware_sim.bluez.tree import DONE, Node, ObjectTree, Properties, Reply

DEVICE = "org.bluez.Device1"
GENERIC_ACCESS, GENERIC_ATTRIBUTE = full_uuid("1800"), full_uuid("1801")
ABORTED = "le-connection-abort-by-local"
_Key = TypeVar("_Key", int, str)


class Radio(Protocol):
    """The adapter, as far as a device needs it."""

    path: str
    tree: ObjectTree
    settings: Settings

    def hears(self, advertisement: Advertisement, address: str) -> bool:
        """Tell whether a scan is running that lets the advertisement through."""

    @property
    def wants_duplicates(self) -> bool:
        """Tell whether a client asked for advertisements that repeat the one before."""

    def found(self, device_path: str, advertisement: Advertisement) -> None:
        """Tell the advertisement monitors of a device that was not there before."""


class Device:
    """One peripheral. Made by ``FakeBluez.add_device``; a client sees it after its first advertisement.

    ``on_connected(is_connected)`` hears of each change of the link.
    """

    def __init__(
        self,
        radio: Radio,
        address: str,
        name: str | None = None,
        services: Sequence[Service] = (),
        *,
        address_type: str = "random",
        on_connected: Callable[[bool], None] | None = None,
    ) -> None:
        self.address = address
        self.name = name
        self.services = [gatt.service_changed(), *services]
        self.path = f"{radio.path}/dev_{address.replace(':', '_')}"
        self.mtu = radio.settings.mtu
        self.on_connected = on_connected
        self.can_pair = True
        self._radio = radio
        self._address_type = address_type
        self._in_range = True
        self._rssi = 0
        self._manufacturer_data: dict[int, bytes] = {}
        self._service_data: dict[str, bytes] = {}
        self._service_uuids: tuple[str, ...] = ()
        self._heard_at = 0.0
        self._forgetting: asyncio.TimerHandle | None = None
        self._connecting: asyncio.Future[None] | None = None
        self._resolving: asyncio.Task[None] | None = None
        self._notifications_left: int | None = None

    # --- for whoever drives the peripheral

    @property
    def tree(self) -> ObjectTree:
        """Return the objects that BlueZ shows."""
        return self._radio.tree

    @property
    def is_known(self) -> bool:
        """Tell whether BlueZ has an object for the device."""
        return self.path in self.tree

    @property
    def is_connected(self) -> bool:
        """Tell whether there is a link."""
        return self.tree.value(self.path, DEVICE, "Connected") is True

    @property
    def in_range(self) -> bool:
        """Tell whether the radio reaches the device; leaving its range loses the link."""
        return self._in_range

    @in_range.setter
    def in_range(self, value: bool) -> None:
        self._in_range = value
        if not value:
            self.drop_link()

    def advertise(
        self,
        manufacturer_data: Mapping[int, bytes] | None = None,
        *,
        rssi: int = -60,
        service_data: Mapping[str, bytes] | None = None,
        service_uuids: Sequence[str] = (),
        tx_power: int | None = None,
    ) -> bool:
        """Send one advertisement; returns whether BlueZ signalled anything to its clients.

        BlueZ signals what differs from the advertisement before (signal strength by ``rssi_delta_db``), and
        everything where a client asked for duplicates.
        """
        if not self._in_range:
            return False
        advertisement = Advertisement(
            rssi,
            self.name,
            manufacturer_data or {},
            {full_uuid(uuid): data for uuid, data in (service_data or {}).items()},
            [full_uuid(uuid) for uuid in service_uuids],
            tx_power,
        )
        if not self._radio.hears(advertisement, self.address):
            return False
        self._keep_known()
        if not self.is_known:
            self._appear(advertisement)
            return True
        changes = self._changes(advertisement)
        if changes:
            self.tree.change(self.path, DEVICE, changes)
        return bool(changes)

    def drop_link(self) -> None:
        """Lose the link, if there is one."""
        if self.is_connected:
            self._unlink()

    def drop_link_after(self, notifications: int) -> None:
        """Lose the link in place of the notification that follows the next ``notifications``."""
        self._notifications_left = notifications

    def count_notification(self) -> bool:
        """Count a notification that is about to go; False when there is no link, or it is lost now."""
        if not self.is_connected:
            return False
        if self._notifications_left is None:
            return True
        self._notifications_left -= 1
        if self._notifications_left >= 0:
            return True
        self._notifications_left = None
        self.drop_link()
        return False

    # --- for the adapter

    def invalidate_rssi(self) -> None:
        """Drop the signal strength, as BlueZ does for every device when discovery stops."""
        self.tree.change(self.path, DEVICE, {}, ["RSSI", "TxPower"])

    def forget_client(self, name: str) -> None:
        """End what a client held that left the bus; the link itself stays, as in BlueZ."""
        for characteristic in self._characteristics():
            characteristic.forget_client(name)

    def remove(self) -> None:
        """Lose the link and the objects (RemoveDevice)."""
        self.drop_link()
        self.reset()
        self.tree.remove(self.path)

    def reset(self) -> None:
        """Stop every timer and task without a signal."""
        if self._forgetting is not None:
            self._forgetting.cancel()
            self._forgetting = None
        self._stop_resolving()
        self._stop_connecting()
        for characteristic in self._characteristics():
            characteristic.release()

    # --- seen and forgotten

    def _appear(self, advertisement: Advertisement) -> None:
        self._rssi = advertisement.rssi
        self._manufacturer_data = dict(advertisement.manufacturer_data)
        self._service_data = dict(advertisement.service_data)
        self._service_uuids = tuple(advertisement.service_uuids)
        properties: Properties = {
            "Address": Variant("s", self.address),
            "AddressType": Variant("s", self._address_type),
            "Alias": Variant("s", self.name or self.address.replace(":", "-")),
            "Adapter": Variant("o", self._radio.path),
            "Paired": Variant("b", False),
            "Bonded": Variant("b", False),
            "Trusted": Variant("b", False),
            "Blocked": Variant("b", False),
            "LegacyPairing": Variant("b", False),
            "Connected": Variant("b", False),
            "ServicesResolved": Variant("b", False),
            "UUIDs": Variant("as", list(self._service_uuids)),
            "RSSI": Variant("n", advertisement.rssi),
            "AdvertisingFlags": Variant("ay", b"\x06"),
        }
        if self.name is not None:
            properties["Name"] = Variant("s", self.name)
        if advertisement.tx_power is not None:
            properties["TxPower"] = Variant("n", advertisement.tx_power)
        if self._manufacturer_data:
            properties["ManufacturerData"] = _variants("a{qv}", self._manufacturer_data)
        if self._service_data:
            properties["ServiceData"] = _variants("a{sv}", self._service_data)
        members = {
            "Connect": self._connect,
            "Disconnect": self._disconnect,
            "Pair": self._pair,
            "CancelPairing": _not_supported,
            "ConnectProfile": _not_supported,
            "DisconnectProfile": _not_supported,
        }
        methods = {(DEVICE, name): method for name, method in members.items()}
        writable = {name: self._setter(name) for name in ("Alias", "Trusted", "Blocked")}
        self.tree.add(self.path, Node({DEVICE: properties}, methods, writable))
        self._radio.found(self.path, advertisement)

    def _setter(self, name: str) -> Callable[[Variant], None]:
        return lambda value: self.tree.change(self.path, DEVICE, {name: value})

    def _changes(self, advertisement: Advertisement) -> Properties:
        """Return the properties that BlueZ would signal for this advertisement."""
        everything = self._radio.wants_duplicates
        changes: Properties = {}
        moved_db = abs(advertisement.rssi - self._rssi)
        was_invalid = self.tree.value(self.path, DEVICE, "RSSI") is None
        if everything or was_invalid or moved_db >= self._radio.settings.rssi_delta_db:
            self._rssi = advertisement.rssi
            changes["RSSI"] = Variant("n", advertisement.rssi)
        if advertisement.tx_power is not None and (
            advertisement.tx_power != self.tree.value(self.path, DEVICE, "TxPower")
        ):
            changes["TxPower"] = Variant("n", advertisement.tx_power)
        if _merge(self._manufacturer_data, advertisement.manufacturer_data, is_wanted=everything):
            changes["ManufacturerData"] = _variants("a{qv}", self._manufacturer_data)
        if _merge(self._service_data, advertisement.service_data, is_wanted=everything):
            changes["ServiceData"] = _variants("a{sv}", self._service_data)
        new_uuids = [uuid for uuid in advertisement.service_uuids if uuid not in self._service_uuids]
        if new_uuids:
            self._service_uuids += tuple(new_uuids)
            changes["UUIDs"] = Variant("as", list(self._service_uuids))
        return changes

    def _keep_known(self) -> None:
        """Begin the time anew after which a device that was not heard is forgotten."""
        loop = asyncio.get_running_loop()
        self._heard_at = loop.time()
        if self._forgetting is None:
            self._forgetting = loop.call_at(self._heard_at + self._radio.settings.forget_after_s, self._forget)

    def _forget(self) -> None:
        # One timer for each device that looks back, not one for each advertisement: hundreds a second come in.
        loop = asyncio.get_running_loop()
        due = self._heard_at + self._radio.settings.forget_after_s
        if self.is_connected:
            due = loop.time() + self._radio.settings.forget_after_s
        if due > loop.time():
            self._forgetting = loop.call_at(due, self._forget)
            return
        self._forgetting = None
        self.remove()

    # --- the link

    async def _connect(self, _message: Message) -> Reply:
        if self.is_connected:
            return DONE
        if self._connecting is not None:
            raise BluezError("InProgress", "Operation already in progress")
        settings = self._radio.settings
        self._connecting = asyncio.get_running_loop().create_future()
        settings = self._radio.settings
        try:
            async with asyncio.timeout(settings.connect_delay_s if self._in_range else settings.connect_timeout_s):
                await self._connecting
        except TimeoutError:
            is_reached = self._in_range
        else:
            is_reached = False  # a Disconnect or the end of the device object came in between
        finally:
            self._connecting = None
        if not is_reached:
            raise BluezError("Failed", ABORTED)
        self._link_up()
        return DONE

    def _link_up(self) -> None:
        self.tree.change(self.path, DEVICE, {"Connected": Variant("b", True)})
        self._resolving = asyncio.create_task(self._resolve(), name=f"resolve {self.address}")
        if self.on_connected is not None:
            self.on_connected(True)

    async def _resolve(self) -> None:
        await asyncio.sleep(self._radio.settings.discover_delay_s)
        for path, node in gatt.nodes(self.path, self.services, self):
            if path not in self.tree:  # they survive a disconnect
                self.tree.add(path, node)
        uuids = [GENERIC_ACCESS, *(service.uuid for service in self.services)]
        self._service_uuids = tuple(dict.fromkeys((*self._service_uuids, *uuids)))
        resolved = {"UUIDs": Variant("as", list(self._service_uuids)), "ServicesResolved": Variant("b", True)}
        self.tree.change(self.path, DEVICE, resolved)

    async def _disconnect(self, _message: Message) -> Reply:
        if self._connecting is not None:
            self._stop_connecting()
            return DONE
        if not self.is_connected:
            raise BluezError("NotConnected", "Not Connected")
        await asyncio.sleep(self._radio.settings.disconnect_delay_s)
        self.drop_link()
        return DONE

    async def _pair(self, _message: Message) -> Reply:
        if not self.can_pair:
            raise BluezError("AuthenticationFailed", "Authentication Failed")
        if self.tree.value(self.path, DEVICE, "Paired"):
            raise BluezError("AlreadyExists", "Already Exists")
        if not self.is_connected:
            await self._connect(_message)
        self.tree.change(self.path, DEVICE, {"Paired": Variant("b", True), "Bonded": Variant("b", True)})
        return DONE

    def _unlink(self) -> None:
        self._stop_resolving()
        self._notifications_left = None
        for characteristic in self._characteristics():
            characteristic.release()
        # One signal for both, and the objects of the services stay (seen with BlueZ 5.66 and 5.82).
        down = {"Connected": Variant("b", False), "ServicesResolved": Variant("b", False)}
        self.tree.change(self.path, DEVICE, down)
        self._keep_known()
        if self.on_connected is not None:
            self.on_connected(False)

    def _stop_connecting(self) -> None:
        if self._connecting is not None and not self._connecting.done():
            self._connecting.set_result(None)

    def _stop_resolving(self) -> None:
        if self._resolving is not None:
            self._resolving.cancel()
            self._resolving = None

    def _characteristics(self) -> list[Characteristic]:
        return [characteristic for service in self.services for characteristic in service.characteristics]


async def _not_supported(_message: Message) -> Reply:
    raise BluezError("NotSupported", "Operation is not supported")


def _variants(signature: str, values: Mapping[int, bytes] | Mapping[str, bytes]) -> Variant:
    return Variant(signature, {key: Variant("ay", data) for key, data in values.items()})


def _merge(known: dict[_Key, bytes], heard: Mapping[_Key, bytes], *, is_wanted: bool) -> bool:
    """Take over what was heard; tells whether any of it is new (or wanted anyway)."""
    is_new = any(known.get(key) != data for key, data in heard.items())
    known.update(heard)
    return bool(heard) and (is_new or is_wanted)
