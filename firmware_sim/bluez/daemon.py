"""The whole of it: a bus, an adapter, devices, and what can be made to go wrong."""

import asyncio
import logging
import os
from collections import deque
from collections.abc import Callable, Sequence
from typing import Literal, NamedTuple, Self

from dbus_fast import Message, MessageFlag

from firmware_sim.bluez.adapter import Adapter
from firmware_sim.bluez.bus import Bus
from firmware_sim.bluez.device import ABORTED, Device
from firmware_sim.bluez.errors import BluezError
from firmware_sim.bluez.faults import Fault, FaultPlan
from firmware_sim.bluez.gatt import Service
from firmware_sim.bluez.settings import Settings
from firmware_sim.bluez.tree import ObjectTree, Reply

log = logging.getLogger(__name__)

KEPT_CALLS = 1000
"""Enough for a test to look back on; a long run must not grow."""

TURNS_AT_END = 10
"""Turns of the event loop in which clients that share it, as in a test, notice that the bus is gone."""


Systemd = Literal["absent", "refuses", "permits"]
"""Whether there is a systemd on the bus that lets clients restart the Bluetooth service, as polkit decides."""


class Call(NamedTuple):
    """A method call that a client made."""

    sender: str
    member: str
    path: str


class FakeBluez:
    """An org.bluez on a bus of its own at ``address`` (``unix:path=…``); see the package for its use."""

    def __init__(self, address: str, settings: Settings | None = None) -> None:
        self.address = address
        self.settings = settings or Settings()
        self.calls: deque[Call] = deque(maxlen=KEPT_CALLS)
        self._bus = Bus(address, self)
        self._tree = ObjectTree(self._bus.send)
        self._adapter = Adapter(self._tree, self._bus, self.settings)
        self._adapters = {self.settings.adapter: self._adapter}
        self.systemd: Systemd = "absent"
        self._faults = FaultPlan()
        self._hanging: list[Message] = []
        self._tasks: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_exc: object) -> None:
        await self.stop()

    async def start(self) -> None:
        """Accept clients from now on."""
        self._show()
        self._bus.service_is_running = True
        await self._bus.start()

    async def stop(self) -> None:
        """Let the bus die: every client loses its connection."""
        self._die()
        await self._bus.stop()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for _ in range(TURNS_AT_END):
            await asyncio.sleep(0)

    # --- devices

    def add_device(
        self,
        address: str,
        *,
        name: str | None = None,
        services: Sequence[Service] = (),
        address_type: str = "random",
        on_connected: Callable[[bool], None] | None = None,
        adapter_name: str = "",
    ) -> Device:
        """Put a peripheral into the world; clients see it once it was heard.

        To let two adapters hear it, put it there twice, once for each ``adapter_name``.
        """
        adapter = self._adapters[adapter_name or self.settings.adapter]
        device = Device(adapter, address, name, services, address_type=address_type, on_connected=on_connected)
        adapter.devices[device.path] = device
        return device

    def remove_device(self, device: Device) -> None:
        """Take a peripheral out of the world."""
        device.remove()
        for adapter in self._adapters.values():
            adapter.devices.pop(device.path, None)

    @property
    def is_scanning(self) -> bool:
        """Tell whether any client scans."""
        return any(adapter.is_scanning for adapter in self._adapters.values())

    # --- adapters

    def plug(self, name: str, address: str = "00:1A:7D:DA:71:14") -> None:
        """Plug in another adapter, or one that was unplugged."""
        adapter = self._adapters.get(name)
        if adapter is None:
            adapter = self._adapters[name] = Adapter(self._tree, self._bus, self.settings, name, address)
        adapter.show()

    def unplug(self, name: str = "") -> None:
        """Pull an adapter out."""
        self._adapters[name or self.settings.adapter].unplug()

    def _show(self) -> None:
        for adapter in self._adapters.values():
            adapter.show()

    async def drain(self) -> None:
        """Wait until the clients have read most of what was sent to them; for whoever sends a flood."""
        await self._bus.drain()

    # --- what can go wrong

    @property
    def scan_is_silent(self) -> bool:
        """Tell whether advertisements are lost although the scan looks healthy."""
        return self._adapter.is_silent

    @scan_is_silent.setter
    def scan_is_silent(self, value: bool) -> None:
        self._adapter.is_silent = value

    def fall_silent(self, until: Literal["scan", "power", "service"]) -> None:
        """Hear nothing until the scan is started anew, the adapter switched off and on, the service restarted."""
        self._adapter.is_silent, self._adapter.silence_ends_with = True, until

    def fail(self, member: str, error: str, *, text: str = "", times: int | None = 1, path: str | None = None) -> None:
        """Answer the next ``times`` calls of a method with an error (None: all of them)."""
        self._faults.add(Fault(member, BluezError(error, text), path, times))

    def hang(self, member: str, *, times: int | None = 1, path: str | None = None) -> None:
        """Never answer the next ``times`` calls of a method; Disconnect ends a hanging Connect."""
        self._faults.add(Fault(member, None, path, times))

    def heal(self) -> None:
        """Forget every planned fault."""
        self._faults.clear()
        self._adapter.is_silent = False

    def power_off(self) -> None:
        """Switch the adapter off: scans and links end."""
        self._adapter.set_power(is_on=False)

    def power_on(self) -> None:
        """Switch the adapter on again."""
        self._adapter.set_power(is_on=True)

    def drop_clients(self) -> None:
        """Close the bus connection of each client."""
        self._bus.drop_clients()

    def crash_daemon(self) -> None:
        """End the daemon behind a bus that stays: its name vanishes and calls fail, but bleak is not told."""
        self._die()
        self._bus.announce_service(is_running=False)

    def restart_daemon(self) -> None:
        """Bring the daemon back after ``crash_daemon``, with no memory of devices and scans."""
        self._bus.announce_service(is_running=True)
        for adapter in self._adapters.values():
            adapter.end_silence("service")
        self._show()

    # --- for the bus

    def handle_call(self, message: Message) -> None:
        """Take a method call; a task of its own answers it."""
        self.calls.append(Call(message.sender or "", message.member or "", message.path or ""))
        task = asyncio.create_task(self._answer(message), name=f"{message.member} {message.path}")
        self._tasks.add(task)
        task.add_done_callback(lambda done: self._finish(message, done))

    def handle_signal(self, message: Message) -> None:
        """Take a signal of a client."""
        for adapter in self._adapters.values():
            adapter.take_signal(message)

    def handle_systemd(self, message: Message) -> Message | None:
        """Restart the Bluetooth service, or refuse to."""
        self.calls.append(Call(message.sender or "", message.member or "", message.path or ""))
        if self.systemd == "absent":
            return None
        if self.systemd == "refuses":
            name = "org.freedesktop.DBus.Error.InteractiveAuthorizationRequired"
            return Message.new_error(message, name, "Interactive authentication required.")
        self.heal()
        self.crash_daemon()
        self.restart_daemon()
        return Message.new_method_return(message, "o", ["/org/freedesktop/systemd1/job/1"])

    def handle_client_gone(self, name: str) -> None:
        """Forget a client."""
        self._hanging = [call for call in self._hanging if call.sender != name]
        for adapter in self._adapters.values():
            adapter.forget_client(name)

    async def _answer(self, message: Message) -> None:
        try:
            reply = await self._run(message)
        except BluezError as error:
            self._bus.send(Message.new_error(message, error.name, error.text))
            return
        if reply is None or MessageFlag.NO_REPLY_EXPECTED in message.flags:
            _close(reply)
            return
        self._bus.send(Message.new_method_return(message, reply.signature, list(reply.body), list(reply.fds)))

    def _finish(self, message: Message, task: asyncio.Task[None]) -> None:
        """Answer also where a peripheral's own code failed: its mistake must be seen, and not look like a hang."""
        self._tasks.discard(task)
        if task.cancelled():
            return
        error = task.exception()
        if error is not None:
            log.error("%s on %s failed", message.member, message.path, exc_info=error)
            self._bus.send(Message.new_error(message, "org.bluez.Error.Failed", "the simulated device failed"))

    async def _run(self, message: Message) -> Reply | None:
        """Return the reply, or None where none is to be sent."""
        fault = self._faults.take(message)
        if fault is not None:
            if fault.error is not None:
                raise fault.error
            self._hanging.append(message)
            return None
        if message.member == "Disconnect" and self._end_hanging_connects(message.path):
            return Reply()
        return await self._tree.call(message)

    def _end_hanging_connects(self, path: str | None) -> bool:
        ended = [call for call in self._hanging if call.member == "Connect" and call.path == path]
        for call in ended:
            self._hanging.remove(call)
            self._bus.send(Message.new_error(call, "org.bluez.Error.Failed", ABORTED))
        return bool(ended)

    def _die(self) -> None:
        for task in tuple(self._tasks):
            task.cancel()
        self._hanging.clear()
        for adapter in self._adapters.values():
            adapter.reset()
        self._tree.clear()


def _close(reply: Reply | None) -> None:
    for fd in () if reply is None else reply.fds:
        os.close(fd)
