"""One standing connection to the system bus, by which BlueZ is watched and, where needed, set right.

bleak has connections of its own. This one is for what bleak does not do: noticing that the daemon died behind a bus
that lives, adapters that come and go, switching an adapter off and on, restarting the service, ending orphaned links.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Collection, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Literal

from dbus_fast import BusType, Message, MessageType, Variant
from dbus_fast.aio import MessageBus
from dbus_fast.errors import AuthError, DBusError, InvalidAddressError

from gateway.vehicle.bluez import TIMEOUT_S, BluezError, refusal_of

POWER_TIMEOUT_S = 15.0
"""A controller loads its firmware when it is switched on: up to ten seconds on a Pi."""
OFF_S = 0.5
"""How long an adapter stays off: enough for its controller to be closed."""
RESTART_TIMEOUT_S = 60.0
"""systemd kills what does not stop within 90 s at the latest; a command of the operator's has a minute."""
_BLUEZ, _ADAPTER, _DEVICE = "org.bluez", "org.bluez.Adapter1", "org.bluez.Device1"
_MONITORS = "org.bluez.AdvertisementMonitorManager1"
_PROPERTIES = "org.freedesktop.DBus.Properties"
_ROOT = "/org/bluez"
_UNIT = "bluetooth.service"
_ADAPTER_NODE = re.compile(r'<node name="(hci\d+)"')

RestartBy = Literal["systemd", "never"] | tuple[str, ...]
"""How the Bluetooth service is restarted: over D-Bus, not at all, or by a command of the operator's."""


@dataclass(frozen=True, slots=True)
class Presence:
    """Who answers as BlueZ (a name that no other process ever gets) and which adapters it has."""

    owner: str
    adapters: tuple[str, ...]


class BluezControl:
    """Asks and orders; every method raises BluezError, and none takes longer than its limit."""

    def __init__(self, restart_by: RestartBy) -> None:
        self._restart_by = restart_by
        self._bus: MessageBus | None = None

    async def look(self) -> Presence:
        """See who is there; a small question, for every other second."""
        answer = await self._call(_ROOT, "org.freedesktop.DBus.Introspectable", "Introspect")
        adapters = sorted(_ADAPTER_NODE.findall(answer.body[0]), key=lambda name: int(name[3:]))
        return Presence(answer.sender or "", tuple(adapters))

    async def is_powered(self, adapter: str) -> bool:
        """Tell whether an adapter is switched on."""
        answer = await self._call(f"{_ROOT}/{adapter}", _PROPERTIES, "Get", "ss", [_ADAPTER, "Powered"])
        return bool(answer.body[0].value)

    async def listens_passively(self, adapter: str) -> bool:
        """Tell whether BlueZ offers advertisement monitors on an adapter: an experimental feature of it."""
        answer = await self._call(f"{_ROOT}/{adapter}", "org.freedesktop.DBus.Introspectable", "Introspect")
        return _MONITORS in answer.body[0]

    async def reset(self, adapter: str) -> None:
        """Switch an adapter off and on again."""
        await self._power(adapter, is_on=False)
        await asyncio.sleep(OFF_S)
        await self._power(adapter, is_on=True)

    async def restart_service(self) -> None:
        """Start the Bluetooth service anew, where that is permitted."""
        if self._restart_by == "never":
            raise BluezError("restarting the Bluetooth service is not wanted here", "radio.restart_bluetooth")
        if isinstance(self._restart_by, tuple):
            await _run(self._restart_by)
            return
        await self._call(
            "/org/freedesktop/systemd1",
            "org.freedesktop.systemd1.Manager",
            "RestartUnit",
            "ss",
            [_UNIT, "replace"],
            destination="org.freedesktop.systemd1",
            timeout_s=RESTART_TIMEOUT_S,
        )

    async def end_orphans(self, addresses: Collection[str], own: Collection[str]) -> int:
        """End links to these addresses that nobody here holds (paths in `own`); return how many.

        BlueZ keeps a link whose client died, and a logger that is connected is not heard: it would be lost for good.
        """
        answer = await self._call("/", "org.freedesktop.DBus.ObjectManager", "GetManagedObjects")
        ended = 0
        for path, interfaces in answer.body[0].items():
            device = interfaces.get(_DEVICE)
            if device is None or path in own or not device["Connected"].value:
                continue
            if device["Address"].value in addresses:
                await self._call(path, _DEVICE, "Disconnect")
                ended += 1
        return ended

    def close(self) -> None:
        """Leave the bus."""
        bus, self._bus = self._bus, None
        if bus is not None:
            bus.disconnect()

    async def _power(self, adapter: str, *, is_on: bool) -> None:
        body = [_ADAPTER, "Powered", Variant("b", is_on)]
        path = f"{_ROOT}/{adapter}"
        await self._call(path, _PROPERTIES, "Set", "ssv", body, timeout_s=POWER_TIMEOUT_S)

    async def _call(
        self,
        path: str,
        interface: str,
        member: str,
        signature: str = "",
        body: Sequence[object] = (),
        *,
        destination: str = _BLUEZ,
        timeout_s: float | None = None,
    ) -> Message:
        message = Message(
            destination=destination,
            path=path,
            interface=interface,
            member=member,
            signature=signature,
            body=list(body),
        )
        try:
            async with asyncio.timeout(TIMEOUT_S if timeout_s is None else timeout_s):
                answer = await (await self._connected()).call(message)
        except (OSError, EOFError, InvalidAddressError, AuthError) as error:
            self.close()
            reason = f"no D-Bus: {str(error) or type(error).__name__}"
            raise BluezError(reason, "start dbus, and mount /run/dbus into a container") from error
        except TimeoutError as error:
            self.close()  # what it answers later belongs to nobody
            raise BluezError(f"{destination} does not answer", "systemctl restart bluetooth") from error
        except DBusError as error:
            self.close()
            raise BluezError(f"D-Bus: {error}", "systemctl restart bluetooth") from error
        if answer is None or answer.message_type is MessageType.ERROR:
            raise refusal_of(answer)
        return answer

    async def _connected(self) -> MessageBus:
        if self._bus is None or not self._bus.connected:
            self.close()
            bus = MessageBus(bus_type=BusType.SYSTEM)
            try:
                await bus.connect()
            except BaseException:
                bus.disconnect()  # it holds a socket from its construction on
                raise
            self._bus = bus
        return self._bus


async def _run(command: Sequence[str]) -> None:
    try:
        process = await asyncio.create_subprocess_exec(
            *command, stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.DEVNULL
        )
    except OSError as error:
        raise BluezError(f"{command[0]}: {error.strerror}", "correct radio.restart_bluetooth") from error
    try:
        async with asyncio.timeout(RESTART_TIMEOUT_S):
            status = await process.wait()
    except BaseException as error:
        with suppress(ProcessLookupError):
            process.kill()
        await process.wait()
        if isinstance(error, TimeoutError):
            raise BluezError(f"{command[0]} takes too long", "correct radio.restart_bluetooth") from error
        raise
    if status:
        raise BluezError(f"{command[0]} failed with status {status}", "correct radio.restart_bluetooth")
