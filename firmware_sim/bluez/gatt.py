"""Services, characteristics and descriptors of a device, as its firmware offers them and as BlueZ shows them."""

import asyncio
import inspect
import socket
from collections.abc import Awaitable, Callable, Iterator, Sequence
from typing import Protocol

from dbus_fast import Message, Variant

from firmware_sim.bluez.advertising import full_uuid
from firmware_sim.bluez.errors import BluezError
from firmware_sim.bluez.tree import DONE, Node, ObjectTree, Properties, Reply

SERVICE = "org.bluez.GattService1"
CHARACTERISTIC = "org.bluez.GattCharacteristic1"
DESCRIPTOR = "org.bluez.GattDescriptor1"
CCCD = full_uuid("2902")
FIRST_HANDLE = 0x0A
"""Below it are the GAP and GATT services that every device has."""
NOTIFICATION_HEADER_BYTES = 3
MAX_WRITE_BYTES = 512
"""The longest value of an attribute (Bluetooth Core, Vol 3 Part F 3.2.9)."""
CLOSED = b""

OnRead = Callable[[], bytes | Awaitable[bytes]]
OnWrite = Callable[[bytes], object]


class Link(Protocol):
    """The connected device to which a characteristic belongs."""

    mtu: int

    @property
    def tree(self) -> ObjectTree:
        """Return the objects that BlueZ shows."""

    def count_notification(self) -> bool:
        """Count a notification that is about to go; False when the link was lost instead."""


class Descriptor:
    """A descriptor with a fixed value; a client may write another one."""

    def __init__(self, uuid: str, value: bytes = b"") -> None:
        self.uuid = full_uuid(uuid)
        self.value = value

    async def read(self, _message: Message) -> Reply:
        """Answer ReadValue."""
        return Reply("ay", [self.value])

    async def write(self, message: Message) -> Reply:
        """Answer WriteValue."""
        self.value = bytes(message.body[0])
        return DONE


class Characteristic:
    """A characteristic; ``flags`` as BlueZ names them: read, write, write-without-response, notify, indicate.

    Without ``on_read`` a read gives ``value``, which a write sets. ``on_subscribed(is_subscribed)`` hears of
    the first listener's coming and the last one's leaving. ``can_acquire=False`` hides AcquireNotify.
    """

    def __init__(
        self,
        uuid: str,
        flags: Sequence[str],
        value: bytes = b"",
        *,
        on_read: OnRead | None = None,
        on_write: OnWrite | None = None,
        on_subscribed: Callable[[bool], None] | None = None,
        descriptors: Sequence[Descriptor] = (),
        can_acquire: bool = True,
    ) -> None:
        self.uuid = full_uuid(uuid)
        self.flags = list(flags)
        self.value = value
        self.on_read = on_read
        self.on_write = on_write
        self.on_subscribed = on_subscribed
        self.can_notify = not {"notify", "indicate"}.isdisjoint(flags)
        self.descriptors = [*descriptors, Descriptor(CCCD, b"\0\0")] if self.can_notify else list(descriptors)
        self.can_acquire = can_acquire
        self.listeners: set[str] = set()
        self._link: Link | None = None
        self._path = ""
        self._notify_socket: socket.socket | None = None
        self._write_socket: socket.socket | None = None
        self._writes: set[asyncio.Task[None]] = set()

    @property
    def is_subscribed(self) -> bool:
        """Tell whether anybody listens to notifications."""
        return bool(self.listeners) or self._notify_socket is not None

    def notify(self, value: bytes) -> bool:
        """Send a notification; False when nobody listens, the link was lost or the client reads too slowly."""
        link = self._link
        if link is None or not self.is_subscribed or not link.count_notification():
            return False
        value = value[: link.mtu - NOTIFICATION_HEADER_BYTES]
        if self._notify_socket is not None:
            try:
                self._notify_socket.send(value)
            except (BlockingIOError, OSError):
                return False
            return True
        self._change({"Value": Variant("ay", value)})
        return True

    def attach(self, path: str, service_path: str, handle: int, link: Link) -> Node:
        """Bind to a device's link and return the object to show."""
        self._link, self._path = link, path
        properties: Properties = {
            "UUID": Variant("s", self.uuid),
            "Service": Variant("o", service_path),
            "Value": Variant("ay", b""),
            "Flags": Variant("as", self.flags),
            "MTU": Variant("q", link.mtu),
            "Handle": Variant("q", handle),
        }
        if self.can_notify:
            properties["Notifying"] = Variant("b", False)
            if self.can_acquire:
                properties["NotifyAcquired"] = Variant("b", False)
        if "write-without-response" in self.flags and self.can_acquire:
            properties["WriteAcquired"] = Variant("b", False)
        members = {
            "ReadValue": self._read,
            "WriteValue": self._write,
            "StartNotify": self._start_notify,
            "StopNotify": self._stop_notify,
        }
        if self.can_acquire:
            members |= {"AcquireNotify": self._acquire_notify, "AcquireWrite": self._acquire_write}
        methods = {(CHARACTERISTIC, name): method for name, method in members.items()}
        return Node({CHARACTERISTIC: properties}, methods)

    def release(self) -> None:
        """End every subscription, as at a disconnect."""
        was_subscribed = self.is_subscribed
        self.listeners.clear()
        self._close_notify()
        self._close_write()
        if was_subscribed:
            self._tell_subscribed()

    def forget_client(self, name: str) -> None:
        """End the subscription of a client that left the bus."""
        if name in self.listeners:
            self.listeners.discard(name)
            if not self.listeners:
                self._change({"Notifying": Variant("b", False)})
                self._tell_subscribed()

    def _change(self, values: Properties) -> None:
        if self._link is not None:
            self._link.tree.change(self._path, CHARACTERISTIC, values)

    def _tell_subscribed(self) -> None:
        if self.on_subscribed is not None:
            self.on_subscribed(self.is_subscribed)

    async def _read(self, _message: Message) -> Reply:
        if "read" not in self.flags:
            raise BluezError("NotPermitted", "Read not permitted")
        value = self.value if self.on_read is None else self.on_read()
        if inspect.isawaitable(value):
            value = await value
        # BlueZ signals what was read, too: a client that listens with StartNotify gets it as a notification.
        self._change({"Value": Variant("ay", value)})
        return Reply("ay", [value])

    async def _write(self, message: Message) -> Reply:
        if {"write", "write-without-response"}.isdisjoint(self.flags):
            raise BluezError("NotPermitted", "Write not permitted")
        await self._take(bytes(message.body[0]))
        return DONE

    async def _take(self, data: bytes) -> None:
        if len(data) > MAX_WRITE_BYTES:
            raise BluezError("InvalidArguments", "Invalid Length")
        self.value = data
        if self.on_write is not None:
            result = self.on_write(data)
            if inspect.isawaitable(result):
                await result

    async def _start_notify(self, message: Message) -> Reply:
        if not self.can_notify:
            raise BluezError("NotSupported", "Operation is not supported")
        if self._notify_socket is not None:
            raise BluezError("NotPermitted", "Notify acquired")
        if message.sender in self.listeners:
            raise BluezError("InProgress", "Operation already in progress")
        is_first = not self.listeners
        self.listeners.add(message.sender or "")
        if is_first:
            self._change({"Notifying": Variant("b", True)})
            self._tell_subscribed()
        return DONE

    async def _stop_notify(self, message: Message) -> Reply:
        if message.sender not in self.listeners:
            raise BluezError("Failed", "No notify session started")
        self.forget_client(message.sender or "")
        return DONE

    async def _acquire_notify(self, _message: Message) -> Reply:
        if not self.can_notify:
            raise BluezError("NotSupported", "Operation is not supported")
        if self.is_subscribed:
            raise BluezError("NotPermitted", "Notify acquired")
        ours, theirs = _socket_pair()
        self._notify_socket = ours
        asyncio.get_running_loop().add_reader(ours.fileno(), self._watch_notify_socket)
        self._change({"NotifyAcquired": Variant("b", True)})
        self._tell_subscribed()
        return self._hand_over(theirs)

    async def _acquire_write(self, _message: Message) -> Reply:
        if "write-without-response" not in self.flags:
            raise BluezError("NotSupported", "Operation is not supported")
        if self._write_socket is not None:
            raise BluezError("NotPermitted", "Write acquired")
        ours, theirs = _socket_pair()
        self._write_socket = ours
        asyncio.get_running_loop().add_reader(ours.fileno(), self._read_write_socket)
        self._change({"WriteAcquired": Variant("b", True)})
        return self._hand_over(theirs)

    def _hand_over(self, theirs: socket.socket) -> Reply:
        mtu = 0 if self._link is None else self._link.mtu
        return Reply("hq", [0, mtu], [theirs.detach()])

    def _watch_notify_socket(self) -> None:
        if self._notify_socket is not None and _receive(self._notify_socket) == CLOSED:
            self._close_notify()
            self._tell_subscribed()

    def _read_write_socket(self) -> None:
        if self._write_socket is None:
            return
        data = _receive(self._write_socket)
        if data == CLOSED:
            self._close_write()
        elif data is not None:
            task = asyncio.create_task(self._take(data))
            self._writes.add(task)
            task.add_done_callback(self._writes.discard)

    def _close_notify(self) -> None:
        if self._notify_socket is not None:
            _close(self._notify_socket)
            self._notify_socket = None
            self._change({"NotifyAcquired": Variant("b", False)})

    def _close_write(self) -> None:
        if self._write_socket is not None:
            _close(self._write_socket)
            self._write_socket = None
            self._change({"WriteAcquired": Variant("b", False)})


class Service:
    """A primary service with its characteristics."""

    def __init__(self, uuid: str, characteristics: Sequence[Characteristic] = ()) -> None:
        self.uuid = full_uuid(uuid)
        self.characteristics = list(characteristics)


def service_changed() -> Service:
    """Return the Generic Attribute service that BlueZ shows for every device (Generic Access it keeps to itself)."""
    return Service("1801", [Characteristic("2a05", ["indicate"], can_acquire=False)])


def nodes(device_path: str, services: Sequence[Service], link: Link) -> Iterator[tuple[str, Node]]:
    """Give the objects of the services below a device, bound to its link, parents first."""
    handle = FIRST_HANDLE
    for service in services:
        service_path = f"{device_path}/service{handle:04x}"
        yield service_path, _service_node(service, device_path, handle)
        handle += 1
        for characteristic in service.characteristics:
            path = f"{service_path}/char{handle:04x}"
            yield path, characteristic.attach(path, service_path, handle, link)
            handle += 2  # its declaration and its value
            for descriptor in characteristic.descriptors:
                yield f"{path}/desc{handle:04x}", _descriptor_node(descriptor, path, handle)
                handle += 1


def _service_node(service: Service, device_path: str, handle: int) -> Node:
    properties: Properties = {
        "UUID": Variant("s", service.uuid),
        "Device": Variant("o", device_path),
        "Primary": Variant("b", True),
        "Includes": Variant("ao", []),
        "Handle": Variant("q", handle),
    }
    return Node({SERVICE: properties})


def _descriptor_node(descriptor: Descriptor, path: str, handle: int) -> Node:
    properties: Properties = {
        "UUID": Variant("s", descriptor.uuid),
        "Characteristic": Variant("o", path),
        "Value": Variant("ay", b""),
        "Handle": Variant("q", handle),
    }
    methods = {(DESCRIPTOR, "ReadValue"): descriptor.read, (DESCRIPTOR, "WriteValue"): descriptor.write}
    return Node({DESCRIPTOR: properties}, methods)


def _socket_pair() -> tuple[socket.socket, socket.socket]:
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    ours.setblocking(False)
    return ours, theirs


def _receive(sock: socket.socket) -> bytes | None:
    """Return a packet, CLOSED when the client closed its end, None when nothing is there after all."""
    try:
        return sock.recv(MAX_WRITE_BYTES)
    except BlockingIOError:
        return None
    except OSError:
        return CLOSED


def _close(sock: socket.socket) -> None:
    asyncio.get_running_loop().remove_reader(sock.fileno())
    sock.close()
