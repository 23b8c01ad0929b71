"""The adapter: who scans, with which filter, and which advertisement monitors are registered."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Protocol

from dbus_fast import Message, MessageFlag, MessageType, Variant

from firmware_sim.bluez.advertising import Advertisement, DiscoveryFilter, Pattern, read_filter
from firmware_sim.bluez.device import Device
from firmware_sim.bluez.errors import BluezError, invalid_arguments
from firmware_sim.bluez.settings import Settings
from firmware_sim.bluez.tree import DONE, OBJECT_MANAGER, PROPERTIES, Node, ObjectTree, Properties, Reply

ADAPTER = "org.bluez.Adapter1"
MONITOR_MANAGER = "org.bluez.AdvertisementMonitorManager1"
MONITOR = "org.bluez.AdvertisementMonitor1"
ROOT = "/org/bluez"
FILTER_NAMES = ["UUIDs", "RSSI", "Pathloss", "Transport", "DuplicateData", "Discoverable", "Pattern"]

MonitorKey = tuple[str, str]
"""The client's unique name and the path of its monitor object."""


class Clients(Protocol):
    """The bus, as far as the adapter calls back to its clients."""

    def send(self, message: Message) -> None:
        """Send without waiting for an answer."""

    async def call(self, message: Message) -> Message | None:
        """Send and return the answer, None without one."""


class Adapter:
    """One controller, always a central."""

    def __init__(
        self, tree: ObjectTree, clients: Clients, settings: Settings, name: str = "", address: str = ""
    ) -> None:
        self.tree = tree
        self.settings = settings
        self.path = f"{ROOT}/{name or settings.adapter}"
        self.devices: dict[str, Device] = {}
        self.is_silent = False
        self.silence_ends_with = ""
        """What makes it hear again: "scan", "power" or "service"."""
        self._address = address or settings.adapter_address
        self._clients = clients
        self._filters: dict[str, DiscoveryFilter] = {}
        self._sessions: set[str] = set()
        self._roots: set[MonitorKey] = set()
        self._monitors: dict[MonitorKey, tuple[Pattern, ...]] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    def show(self) -> None:
        """Add the adapter's object, powered and not scanning."""
        if ROOT not in self.tree:
            self.tree.add(ROOT, Node({"org.bluez.AgentManager1": {}, "org.bluez.ProfileManager1": {}}))
        members: dict[tuple[str, str], Callable[[Message], Awaitable[Reply]]] = {
            (ADAPTER, "StartDiscovery"): self._start_discovery,
            (ADAPTER, "StopDiscovery"): self._stop_discovery,
            (ADAPTER, "SetDiscoveryFilter"): self._set_filter,
            (ADAPTER, "GetDiscoveryFilters"): _filter_names,
            (ADAPTER, "RemoveDevice"): self._remove_device,
        }
        interfaces: dict[str, Properties] = {ADAPTER: self._properties(), "org.bluez.GattManager1": {}}
        if self.settings.experimental:
            kinds = {"SupportedMonitorTypes": Variant("as", ["or_patterns"]), "SupportedFeatures": Variant("as", [])}
            interfaces[MONITOR_MANAGER] = kinds
            members[MONITOR_MANAGER, "RegisterMonitor"] = self._register
            members[MONITOR_MANAGER, "UnregisterMonitor"] = self._unregister
        self.tree.add(self.path, Node(interfaces, members, {"Powered": self._set_powered}))

    def reset(self) -> None:
        """Forget every client and device without a signal, as a daemon that dies."""
        for task in tuple(self._tasks):
            task.cancel()
        for device in self.devices.values():
            device.reset()
        self._filters.clear()
        self._sessions.clear()
        self._roots.clear()
        self._monitors.clear()

    @property
    def is_scanning(self) -> bool:
        """Tell whether any client scans, actively or passively."""
        return bool(self._sessions or self._monitors)

    @property
    def wants_duplicates(self) -> bool:
        """Tell whether a client asked for advertisements that repeat the one before."""
        return any(self._filter(client).wants_duplicates for client in self._sessions)

    def hears(self, advertisement: Advertisement, address: str) -> bool:
        """Tell whether a scan is running that lets the advertisement through."""
        if self.is_silent or not self.is_powered:
            return False
        if any(self._filter(client).accepts(advertisement, address) for client in self._sessions):
            return True
        return any(_matches(patterns, advertisement) for patterns in self._monitors.values())

    def found(self, device_path: str, advertisement: Advertisement) -> None:
        """Tell the monitors whose patterns match that a device came into sight."""
        for key, patterns in self._monitors.items():
            if _matches(patterns, advertisement):
                self._clients.send(_monitor_call(key, "DeviceFound", "o", [device_path]))

    @property
    def is_powered(self) -> bool:
        """Tell whether the adapter is switched on."""
        return self.tree.value(self.path, ADAPTER, "Powered") is True

    def set_power(self, *, is_on: bool) -> None:
        """Switch the adapter; off ends every scan and link."""
        if not is_on:
            self._sessions.clear()
            for device in self.devices.values():
                device.drop_link()
            self._show_scanning()
        self.tree.change(self.path, ADAPTER, {"Powered": Variant("b", is_on)})
        if is_on:
            self.end_silence("power")

    def end_silence(self, cure: str) -> None:
        """Hear again, if this is what helps."""
        if self.silence_ends_with == cure:
            self.is_silent, self.silence_ends_with = False, ""

    def unplug(self) -> None:
        """Vanish, with every device that it knows."""
        for device in self.devices.values():
            device.remove()
        self.reset()
        self.tree.remove(self.path)

    def forget_client(self, name: str) -> None:
        """End the scans of a client that left the bus."""
        was_scanning = self.is_scanning
        self._sessions.discard(name)
        self._filters.pop(name, None)
        self._roots = {key for key in self._roots if key[0] != name}
        self._monitors = {key: value for key, value in self._monitors.items() if key[0] != name}
        if was_scanning:
            self._show_scanning()
        for device in self.devices.values():
            device.forget_client(name)

    def take_signal(self, message: Message) -> None:
        """Hear of a monitor object that a client exports after it registered it, as bleak does."""
        if message.interface != OBJECT_MANAGER or message.member != "InterfacesAdded":
            return
        path, interfaces = message.body
        key = (message.sender or "", path)
        if MONITOR in interfaces and key in self._roots:
            self._activate(key, interfaces[MONITOR])

    def _properties(self) -> Properties:
        name = Variant("s", "gateway")
        return {
            "Address": Variant("s", self._address),
            "AddressType": Variant("s", "public"),
            "Name": name,
            "Alias": name,
            "Class": Variant("u", 0),
            "Powered": Variant("b", True),
            "Discoverable": Variant("b", False),
            "DiscoverableTimeout": Variant("u", 0),
            "Pairable": Variant("b", False),
            "PairableTimeout": Variant("u", 0),
            "Discovering": Variant("b", False),
            "UUIDs": Variant("as", []),
            "Modalias": Variant("s", "usb:v1D6Bp0246d0552"),
            "Roles": Variant("as", ["central", "peripheral"]),
            "ExperimentalFeatures": Variant("as", []),
        }

    def _set_powered(self, value: Variant) -> None:
        self.set_power(is_on=value.value)

    def _filter(self, client: str) -> DiscoveryFilter:
        return self._filters.get(client, DiscoveryFilter())

    # --- active scan

    async def _set_filter(self, message: Message) -> Reply:
        values = message.body[0]
        if unknown := sorted(set(values) - set(FILTER_NAMES)):
            raise invalid_arguments(f"Invalid arguments in method call: {unknown[0]}")
        self._filters[message.sender or ""] = read_filter(values)
        return DONE

    async def _start_discovery(self, message: Message) -> Reply:
        if not self.is_powered:
            raise BluezError("NotReady", "Resource Not Ready")
        if message.sender in self._sessions:
            raise BluezError("InProgress", "Operation already in progress")
        self._sessions.add(message.sender or "")
        self.end_silence("scan")
        self._show_scanning()
        return DONE

    async def _stop_discovery(self, message: Message) -> Reply:
        if message.sender not in self._sessions:
            raise BluezError("Failed", "No discovery started")
        self._sessions.discard(message.sender or "")
        self._show_scanning()
        return DONE

    def _show_scanning(self) -> None:
        if not self.is_scanning:
            for device in self.devices.values():
                device.invalidate_rssi()
        is_discovering = bool(self._sessions)
        if self.tree.value(self.path, ADAPTER, "Discovering") is not is_discovering:
            self.tree.change(self.path, ADAPTER, {"Discovering": Variant("b", is_discovering)})

    async def _remove_device(self, message: Message) -> Reply:
        device = self.devices.get(message.body[0])
        if device is None or not device.is_known:
            raise BluezError("DoesNotExist", "Does Not Exist")
        device.remove()
        return DONE

    # --- passive scan

    async def _register(self, message: Message) -> Reply:
        key = (message.sender or "", message.body[0])
        if key in self._roots:
            raise BluezError("AlreadyExists", "Already Exists")
        self._roots.add(key)
        task = asyncio.create_task(self._look_for_monitor(key), name=f"monitor {key[1]}")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return DONE

    async def _look_for_monitor(self, key: MonitorKey) -> None:
        """Ask for the properties of a monitor that its client exported before it registered it."""
        client, path = key
        call = Message(
            destination=client, path=path, interface=PROPERTIES, member="GetAll", signature="s", body=[MONITOR]
        )
        answer = await self._clients.call(call)
        if answer is not None and answer.message_type is MessageType.METHOD_RETURN:
            self._activate(key, answer.body[0])

    def _activate(self, key: MonitorKey, properties: Properties) -> None:
        if key not in self._roots or key in self._monitors:
            return
        if properties["Type"].value != "or_patterns":
            self._clients.send(_monitor_call(key, "Release"))
            return
        patterns = properties["Patterns"].value
        self._monitors[key] = tuple(Pattern(start, kind, bytes(content)) for start, kind, content in patterns)
        self._clients.send(_monitor_call(key, "Activate"))

    async def _unregister(self, message: Message) -> Reply:
        key = (message.sender or "", message.body[0])
        if key not in self._roots:
            raise BluezError("DoesNotExist", "Does Not Exist")
        self._roots.discard(key)
        self._monitors.pop(key, None)
        self._show_scanning()
        return DONE


async def _filter_names(_message: Message) -> Reply:
    return Reply("as", [FILTER_NAMES])


def _matches(patterns: tuple[Pattern, ...], advertisement: Advertisement) -> bool:
    return any(pattern.matches(advertisement) for pattern in patterns)


def _monitor_call(key: MonitorKey, member: str, signature: str = "", body: list[object] | None = None) -> Message:
    return Message(
        destination=key[0],
        path=key[1],
        interface=MONITOR,
        member=member,
        signature=signature,
        body=body or [],
        flags=MessageFlag.NO_REPLY_EXPECTED,
    )
