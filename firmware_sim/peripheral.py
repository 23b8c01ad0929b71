"""A peripheral as its firmware offers it, whatever radio carries it: what it broadcasts, and its GATT services.

A radio (``bluez_radio``, ``bumble_radio``) takes a ``Peripheral`` and returns a ``Port``, by which the firmware speaks.
"""

from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

MIN_ATT_PAYLOAD = 20
"""What a notification carries when no larger MTU was agreed (23 less the header)."""


@dataclass(frozen=True)
class Broadcast:
    """One advertising packet. Keys: company identifiers, and UUIDs of 4 or 36 lower-case characters."""

    manufacturer_data: Mapping[int, bytes] = field(default_factory=dict)
    service_data: Mapping[str, bytes] = field(default_factory=dict)
    service_uuids: Sequence[str] = ()
    is_scan_response: bool = False
    """It is sent only to who asks for it, after the one before."""

    @property
    def payload(self) -> bytes:
        """Return the maker's own bytes, without the company identifier or the UUID."""
        return next(iter((*self.manufacturer_data.values(), *self.service_data.values())), b"")


class AttError(Exception):
    """A read or a write is refused with this ATT error code (Bluetooth Core, Vol 3 Part F 3.4.1.1)."""

    def __init__(self, code: int, text: str) -> None:
        super().__init__(f"{text} (ATT error 0x{code:02x})")
        self.code = code


class RadioError(ValueError):
    """A radio that cannot be used; the text says why."""


class Outlet(Protocol):
    """How a radio carries a characteristic's notifications."""

    @property
    def payload_bytes(self) -> int:
        """Return how many bytes one notification carries on the present link."""

    def notify(self, value: bytes) -> bool:
        """Send at once; False when nobody listens."""

    async def send(self, value: bytes) -> bool:
        """Send as fast as the link takes it; False when nobody listens."""


@dataclass(frozen=True)
class Descriptor:
    """A descriptor with a fixed value."""

    uuid: str
    value: bytes


class Characteristic:
    """A characteristic; ``flags`` as BlueZ names them: read, write, write-without-response, notify.

    ``on_read`` and ``on_write`` may raise ``AttError``.
    """

    def __init__(
        self,
        uuid: str,
        flags: Sequence[str],
        *,
        on_read: Callable[[], bytes] | None = None,
        on_write: Callable[[bytes], None] | None = None,
        descriptors: Sequence[Descriptor] = (),
    ) -> None:
        self.uuid = uuid
        self.flags = tuple(flags)
        self.on_read = on_read
        self.on_write = on_write
        self.descriptors = tuple(descriptors)
        self._outlet: Outlet | None = None

    def bind(self, outlet: Outlet) -> None:
        """Take the outlet that a radio made for it."""
        self._outlet = outlet

    @property
    def payload_bytes(self) -> int:
        """Return how many bytes one notification carries."""
        return MIN_ATT_PAYLOAD if self._outlet is None else self._outlet.payload_bytes

    def notify(self, value: bytes) -> bool:
        """Send a notification at once; False when nobody listens."""
        return self._outlet is not None and self._outlet.notify(value)

    async def send(self, value: bytes) -> bool:
        """Send a notification as fast as the link takes it; False when nobody listens."""
        return self._outlet is not None and await self._outlet.send(value)


def constant(uuid: str, value: bytes, *descriptors: Descriptor) -> Characteristic:
    """Return a characteristic that is always read as the same value."""
    return Characteristic(uuid, ("read",), on_read=lambda: value, descriptors=descriptors)


@dataclass(frozen=True)
class Service:
    """A primary service."""

    uuid: str
    characteristics: Sequence[Characteristic]


@dataclass(frozen=True)
class Peripheral:
    """What a radio is to show. ``on_connected(is_connected)`` hears of each change of the link."""

    address: str
    name: str
    services: Sequence[Service] = ()
    on_connected: Callable[[bool], None] = lambda _is_connected: None


class Port(Protocol):
    """A peripheral's place on a radio."""

    in_range: bool

    def advertise(self, broadcast: Broadcast, rssi: int) -> None:
        """Send one advertisement, heard with this signal strength in dBm."""

    def drop_link(self) -> None:
        """Lose the link, if there is one."""


class Radio(Protocol):
    """Something that carries peripherals."""

    def add(self, peripheral: Peripheral) -> Port:
        """Give a peripheral its place; before ``start``."""

    async def start(self) -> None:
        """Let the peripherals be heard."""

    async def stop(self) -> None:
        """End every link and fall silent."""


Send = Callable[[bytes], Awaitable[bool]]
Job = Callable[[Send], Coroutine[None, None, None]]
"""Something that sends frames by the function it is given, and stops where that returns False."""
