"""Controllers for the Bumble radio: virtual ones on a link of their own, or a real one behind an HCI transport.

The virtual link of Bumble 0.0.236 carries no scan responses: a name that has no room beside the maker's bytes is not
heard.
"""

from typing import Protocol

from bumble.controller import Controller
from bumble.core import BaseBumbleError, PhysicalTransport
from bumble.hci import Address, LeFeatureMask
from bumble.host import Host
from bumble.link import LocalLink
from bumble.transport import open_transport
from bumble.transport.common import AsyncPipeSink, Transport
from usb1 import USBError  # type: ignore[import-untyped]  # libusb1 has no stubs

from firmware_sim.peripheral import RadioError

BRIDGE_ADDRESS = "00:1A:7D:DA:71:13"
UNSUPPORTED = LeFeatureMask.LL_PRIVACY | LeFeatureMask.LE_EXTENDED_ADVERTISING | LeFeatureMask.LE_PERIODIC_ADVERTISING
"""A virtual controller claims these, and then Linux waits for events that it never sends (Bumble 0.0.236)."""


class Controllers(Protocol):
    """Gives each peripheral the controller that carries it."""

    async def take(self, address: str) -> Host:
        """Return the host side of a controller for the peripheral at this address; raises ``RadioError``."""

    async def all_taken(self) -> None:
        """Hear that every peripheral has its controller, and is ready; raises ``RadioError``."""

    async def close(self) -> None:
        """Give every controller back."""


class Link(LocalLink):
    """A link that labels data with the address of its connection.

    ``LocalLink`` takes the sender's random address, which is wrong for whoever connected with its public one.
    """

    def send_acl_data(
        self, sender_controller: Controller, destination_address: Address, transport: PhysicalTransport, data: bytes
    ) -> None:
        """Hand data to the other side of a connection."""
        connection = sender_controller.le_connections.get(destination_address)
        destination = self.find_le_controller(destination_address)
        if connection is not None and destination is not None:
            destination.on_link_acl_data(connection.self_address, transport, data)


class VirtualControllers:
    """A virtual controller for each peripheral; ``bridge`` offers one more to a host at an HCI transport."""

    def __init__(self, link: LocalLink | None = None, bridge: str | None = None) -> None:
        self.link = link or Link()  # type: ignore[no-untyped-call]  # Bumble leaves it untyped
        self._bridge = bridge
        self._transport: Transport | None = None

    async def take(self, address: str) -> Host:
        """Return the host side of a new controller."""
        controller = Controller(address, link=self.link, public_address=address)
        controller.le_features &= ~UNSUPPORTED
        return Host(controller, AsyncPipeSink(controller))

    async def all_taken(self) -> None:
        """Open the bridge, last of all: to Linux, a controller that is busy for two seconds is dead."""
        if self._bridge is not None:
            await self._offer(self._bridge)

    async def close(self) -> None:
        """Close the bridge."""
        if self._transport is not None:
            await _close(self._transport)

    async def _offer(self, bridge: str) -> None:
        self._transport = await _open(bridge)
        controller = Controller(
            "bridge",
            host_source=self._transport.source,
            host_sink=self._transport.sink,
            link=self.link,
            public_address=BRIDGE_ADDRESS,
        )
        controller.le_features &= ~UNSUPPORTED


class RealController:
    """One controller at an HCI transport, such as ``usb:0``. It carries one peripheral."""

    def __init__(self, transport: str) -> None:
        self._name = transport
        self._transport: Transport | None = None

    async def take(self, address: str) -> Host:
        """Return the host side, once."""
        if self._transport is not None:
            raise RadioError(f"{self._name} carries one logger: choose it with --box")
        if not is_random(address):
            raise RadioError(f"{self._name} cannot take the address {address}: only one from C0:.. to FF:..")
        self._transport = await _open(self._name)
        return Host(self._transport.source, self._transport.sink)

    async def all_taken(self) -> None:
        """Nothing is left to do."""

    async def close(self) -> None:
        """Give the controller back."""
        if self._transport is not None:
            await _close(self._transport)


async def _open(name: str) -> Transport:
    try:
        return await open_transport(name)
    except (BaseBumbleError, USBError, OSError, ValueError) as error:
        raise RadioError(f"{name}: {error or type(error).__name__}") from error


async def _close(transport: Transport) -> None:
    await transport.close()
    server = getattr(transport, "server", None)
    if server is not None:
        server.close()  # a tcp-server of Bumble 0.0.236 goes on listening


def parse_controllers(text: str) -> Controllers:
    """Return what ``bumble:...`` names: ``virtual:TRANSPORT``, or a transport of Bumble; raises ``RadioError``."""
    kind, _, rest = text.partition(":")
    if not rest:
        raise RadioError(f"'{text}' is no HCI transport, such as usb:0, tcp-client:HOST:PORT or virtual:vhci")
    return VirtualControllers(bridge=rest) if kind == "virtual" else RealController(text)


def is_random(address: str) -> bool:
    """Tell whether an address is a static random one by its two highest bits, and so one that software may take."""
    return int(address[:2], 16) >= 0xC0  # noqa: PLR2004 - the two highest bits
