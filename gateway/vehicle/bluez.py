"""What BlueZ says of itself over D-Bus, for whoever looks for a fault. It changes nothing there."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from dbus_fast import BusType, Message, MessageType
from dbus_fast.aio import MessageBus
from dbus_fast.errors import AuthError, DBusError, InvalidAddressError

from gateway.core.errors import ColdchainError

TIMEOUT_S = 5.0
"""A daemon on the same machine answers within milliseconds."""
_BLUEZ, _ADAPTER, _MONITORS = "org.bluez", "org.bluez.Adapter1", "org.bluez.AdvertisementMonitorManager1"
_PERMISSION = {"org.freedesktop.DBus.Error.AccessDenied"}
_ABSENT = {"org.freedesktop.DBus.Error.ServiceUnknown", "org.freedesktop.DBus.Error.NameHasNoOwner"}


class BluezError(ColdchainError):
    """BlueZ gives no answer: `reason` in words, and what to do about it."""

    def __init__(self, reason: str, advice: str) -> None:
        self.reason = reason
        self.advice = advice
        super().__init__(reason)


@dataclass(frozen=True, slots=True)
class AdapterFacts:
    """One adapter. `listens_passively`: there are advertisement monitors, an experimental feature of BlueZ."""

    powered: bool
    listens_passively: bool


async def read_adapters() -> dict[str, AdapterFacts]:
    """Return the adapters by name ("hci0"); raises BluezError."""
    try:
        async with asyncio.timeout(TIMEOUT_S):
            answer = await _ask_for_objects()
    except (OSError, EOFError, InvalidAddressError, AuthError) as error:
        reason = f"no D-Bus: {str(error) or type(error).__name__}"
        raise BluezError(reason, "start dbus, and mount /run/dbus into a container") from error
    except TimeoutError as error:
        raise BluezError("BlueZ does not answer", "systemctl restart bluetooth") from error
    except DBusError as error:
        raise BluezError(f"D-Bus: {error}", "systemctl restart bluetooth") from error
    if answer.message_type is MessageType.ERROR:
        raise refusal_of(answer)
    return {
        path.rpartition("/")[2]: AdapterFacts(
            powered=bool(interfaces[_ADAPTER]["Powered"].value), listens_passively=_MONITORS in interfaces
        )
        for path, interfaces in answer.body[0].items()
        if _ADAPTER in interfaces
    }


async def _ask_for_objects() -> Message:
    bus = await MessageBus(bus_type=BusType.SYSTEM).connect()
    try:
        answer = await bus.call(
            Message(
                destination=_BLUEZ,
                path="/",
                interface="org.freedesktop.DBus.ObjectManager",
                member="GetManagedObjects",
            )
        )
    finally:
        bus.disconnect()
    if answer is None:
        raise DBusError("org.freedesktop.DBus.Error.NoReply", "no answer")
    return answer


def refusal_of(answer: Message | None) -> BluezError:
    """Put an error that BlueZ or the bus answered (None: no answer) into words."""
    if answer is None:
        return BluezError("BlueZ does not answer", "systemctl restart bluetooth")
    text = str(answer.body[0]) if answer.body else str(answer.error_name)
    if answer.error_name in _PERMISSION:
        return BluezError(f"this user may not use Bluetooth: {text}", "add the user to the group bluetooth")
    if answer.error_name in _ABSENT:
        return BluezError("BlueZ does not run", "install bluez; systemctl enable --now bluetooth")
    return BluezError(f"BlueZ: {text}", "systemctl restart bluetooth")


async def read_version() -> str | None:
    """Return BlueZ's version ("5.82"), None where bluetoothctl is missing or does not say."""
    try:
        process = await asyncio.create_subprocess_exec(
            "bluetoothctl", "--version", stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL
        )
    except OSError:
        return None
    try:
        async with asyncio.timeout(TIMEOUT_S):
            output, _ = await process.communicate()
    except TimeoutError:
        process.kill()
        await process.wait()
        return None
    words = output.decode(errors="replace").split()
    return words[-1] if words else None
