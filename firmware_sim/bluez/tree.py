"""The objects that org.bluez shows: interfaces with properties below paths, and the signals when they change."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from dbus_fast import Message, Variant

from firmware_sim.bluez.errors import invalid_arguments, unknown_method, unknown_object

OBJECT_MANAGER = "org.freedesktop.DBus.ObjectManager"
PROPERTIES = "org.freedesktop.DBus.Properties"
INTROSPECTABLE = "org.freedesktop.DBus.Introspectable"
PEER = "org.freedesktop.DBus.Peer"

Properties = dict[str, Variant]


@dataclass(frozen=True)
class Reply:
    """The result of a method; ``fds`` are closed after they were sent."""

    signature: str = ""
    body: Sequence[Any] = ()
    fds: Sequence[int] = ()


DONE = Reply()
Method = Callable[[Message], Awaitable[Reply]]


@dataclass
class Node:
    """One object: its properties by interface, its methods by (interface, member)."""

    interfaces: dict[str, Properties]
    methods: Mapping[tuple[str, str], Method] = field(default_factory=dict)
    writable: Mapping[str, Callable[[Variant], None]] = field(default_factory=dict)
    """Properties that a client may set."""


class ObjectTree:
    """All objects; each change is signalled through ``emit``."""

    def __init__(self, emit: Callable[[Message], None]) -> None:
        self._emit = emit
        self._nodes: dict[str, Node] = {}

    def __contains__(self, path: str) -> bool:
        return path in self._nodes

    def add(self, path: str, node: Node) -> None:
        """Show an object."""
        self._nodes[path] = node
        self._emit(Message.new_signal("/", OBJECT_MANAGER, "InterfacesAdded", "oa{sa{sv}}", [path, node.interfaces]))

    def remove(self, path: str) -> None:
        """Take away an object and everything below it, the deepest first."""
        below = [other for other in self._nodes if other.startswith(f"{path}/")]
        for gone in (*sorted(below, reverse=True), path):
            node = self._nodes.pop(gone, None)
            if node is not None:
                body = [gone, list(node.interfaces)]
                self._emit(Message.new_signal("/", OBJECT_MANAGER, "InterfacesRemoved", "oas", body))

    def clear(self) -> None:
        """Forget every object without a signal, as a daemon that dies."""
        self._nodes.clear()

    def change(self, path: str, interface: str, values: Properties, invalidated: Sequence[str] = ()) -> None:
        """Set and drop properties of an object and signal it; nothing happens when the object is gone."""
        node = self._nodes.get(path)
        if node is None:
            return
        properties = node.interfaces[interface]
        properties.update(values)
        dropped = [name for name in invalidated if properties.pop(name, None) is not None]
        if values or dropped:
            body = [interface, values, dropped]
            self._emit(Message.new_signal(path, PROPERTIES, "PropertiesChanged", "sa{sv}as", body))

    def value(self, path: str, interface: str, name: str) -> Any:  # noqa: ANN401 - D-Bus values have many types
        """Return a property's plain value, or None when the object or the property is missing."""
        node = self._nodes.get(path)
        variant = None if node is None else node.interfaces[interface].get(name)
        return None if variant is None else variant.value

    async def call(self, message: Message) -> Reply:
        """Run a method of an object; raises ``BluezError``."""
        interface, member, path = message.interface or "", message.member or "", message.path or "/"
        if interface == OBJECT_MANAGER and member == "GetManagedObjects":
            return Reply("a{oa{sa{sv}}}", [{path: node.interfaces for path, node in self._nodes.items()}])
        if interface == INTROSPECTABLE:
            return Reply("s", [self._introspect(path)])
        if interface == PEER:
            return DONE
        node = self._nodes.get(path)
        if node is None:
            raise unknown_object(path)
        if interface == PROPERTIES:
            return self._properties(node, message)
        method = node.methods.get((interface, member))
        if method is None:
            raise unknown_method(interface, member)
        return await method(message)

    def _properties(self, node: Node, message: Message) -> Reply:
        interface = message.body[0]
        properties = node.interfaces.get(interface)
        if properties is None:
            raise invalid_arguments(f"No such interface '{interface}'")
        if message.member == "GetAll":
            return Reply("a{sv}", [properties])
        name = message.body[1]
        if message.member == "Get":
            if name not in properties:
                raise invalid_arguments(f"No such property '{name}'")
            return Reply("v", [properties[name]])
        if message.member == "Set":
            setter = node.writable.get(name)
            if setter is None:
                raise invalid_arguments(f"Property '{name}' is not writable")
            setter(message.body[2])
            return DONE
        raise unknown_method(PROPERTIES, message.member)

    def _introspect(self, path: str) -> str:
        start = path.rstrip("/") + "/"
        children = sorted({other[len(start) :].split("/")[0] for other in self._nodes if other.startswith(start)})
        node = self._nodes.get(path)
        interfaces = "".join(f'<interface name="{name}"/>' for name in (node.interfaces if node else ()))
        inner = "".join(f'<node name="{child}"/>' for child in children)
        return f"<node>{interfaces}{inner}</node>"
