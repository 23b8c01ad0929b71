"""One story for bleak, and the D-Bus signals that BlueZ gives to it: played on real BlueZ and on the fake alike.

BOX-1 of loggers.toml changes what it says every second, BOX-3 says the same for half a minute, BOX-2 is connected to.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Self

from bleak import BleakClient, BleakScanner
from dbus_fast import BusType, Message, MessageType
from dbus_fast.aio import MessageBus

from gateway.demo.timing import Timing

HERE = Path(__file__).parent
LOGGERS = HERE / "loggers.toml"
CHANGING, CONNECTED, STATIC = "C0:FF:EE:00:00:01", "C0:FF:EE:00:00:02", "C0:FF:EE:00:00:03"
RATE = 120.0
START = datetime(2026, 3, 10, 7, tzinfo=UTC)
BATTERY_LEVEL = "2a19"
LOG_DATA = "db973304-567b-4bdb-b9ee-a0959751407e"
HEARD_S = 6.0
FIND_S = 30.0

Event = list[str]
"""What happened (added, removed, changed), to what, on which interface, and the names of the properties in order."""
Trace = dict[str, list[Event]]
"""What happened in each scene, in order; what repeats the event before it is left out."""

_SHOWN = {"Connected", "ServicesResolved", "Notifying", "Discovering"}
"""Properties whose values belong to the story."""


@asynccontextmanager
async def simulated_loggers(*arguments: str, truth: Path) -> AsyncIterator[Timing]:
    """Run the loggers in a process of their own, on the radio that the arguments name."""
    timing = Timing.ahead(START, START + timedelta(days=1), RATE, 0.0)
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "firmware_sim",
        "run",
        str(LOGGERS),
        "--truth",
        str(truth),
        *arguments,
        env={**os.environ, **timing.simulator_environment()},
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdout is not None
    try:
        async with asyncio.timeout(60):
            assert await process.stdout.readline() == b"READY\n"
        yield timing
    finally:
        if process.returncode is None:
            process.terminate()
        await process.wait()


class Witness:
    """Sees every signal of BlueZ, whoever asked for it."""

    def __init__(self) -> None:
        self.trace: Trace = {}
        self._bus: MessageBus | None = None

    async def __aenter__(self) -> Self:
        bus = await MessageBus(bus_type=BusType.SYSTEM).connect()
        bus.add_message_handler(self._see)
        for interface in ("ObjectManager", "Properties"):
            rule = f"type='signal',sender='org.bluez',interface='org.freedesktop.DBus.{interface}'"
            await bus.call(
                Message(
                    destination="org.freedesktop.DBus",
                    path="/org/freedesktop/DBus",
                    interface="org.freedesktop.DBus",
                    member="AddMatch",
                    signature="s",
                    body=[rule],
                )
            )
        self._bus = bus
        return self

    async def __aexit__(self, *_exception: object) -> None:
        assert self._bus is not None
        self._bus.disconnect()

    def scene(self, name: str) -> None:
        """Begin another scene."""
        self.trace[name] = []

    def _see(self, message: Message) -> None:
        if message.message_type is not MessageType.SIGNAL or not self.trace:
            return
        events = self.trace[next(reversed(self.trace))]
        for event in _events(message):
            if event not in events[-3:]:
                events.append(event)


def _events(message: Message) -> Iterator[Event]:
    if message.member == "InterfacesAdded":
        path, interfaces = message.body
        for interface, properties in interfaces.items():
            if interface.startswith("org.bluez"):
                yield ["added", _object(path), interface[10:], *sorted(properties)]
    elif message.member == "InterfacesRemoved":
        path, interfaces = message.body
        for interface in interfaces:
            if interface.startswith("org.bluez"):
                yield ["removed", _object(path), interface[10:]]
    elif message.member == "PropertiesChanged":
        interface, changed, dropped = message.body
        if interface.startswith("org.bluez"):
            told = [f"{name}={changed[name].value}" if name in _SHOWN else name for name in sorted(changed)]
            yield ["changed", _object(message.path or ""), interface[10:], *told, *(f"-{name}" for name in dropped)]


def _object(path: str) -> str:
    """Name an object without what differs from one run to the next: adapter, handles."""
    path = path.removeprefix("/org/bluez").lstrip("/")
    path = re.sub(r"^hci\d+", "adapter", path)
    path = re.sub(r"dev_C0_FF_EE_00_00_0(\d)", r"box\1", path)
    return re.sub(r"(service|char|desc)[0-9a-f]{4}", r"\1", path)


async def play() -> Trace:
    """Play it with unmodified bleak on the system bus that the environment names."""
    heard: set[str] = set()
    async with Witness() as witness:
        witness.scene("scan")
        async with BleakScanner(lambda device, _: heard.add(device.address)) as scan:
            async with asyncio.timeout(FIND_S):
                while not {CHANGING, CONNECTED, STATIC} <= heard:  # noqa: ASYNC110  bleak has no such event
                    await asyncio.sleep(0.1)
            await asyncio.sleep(HEARD_S)
            device = next(one for one in scan.discovered_devices if one.address == CONNECTED)
            witness.scene("end of scan")
        await asyncio.sleep(1)
        witness.scene("connect")
        async with BleakClient(device, timeout=20) as client:
            await asyncio.sleep(1)
            witness.scene("read")
            await client.read_gatt_char(BATTERY_LEVEL)
            await asyncio.sleep(0.5)
            witness.scene("notify")
            await client.start_notify(LOG_DATA, lambda *_: None, bluez={"use_start_notify": True})
            await asyncio.sleep(0.5)
            await client.stop_notify(LOG_DATA)
            await asyncio.sleep(0.5)
            witness.scene("disconnect")
        await asyncio.sleep(3)
        witness.scene("end")
    return {scene: events for scene, events in witness.trace.items() if scene != "end"}


def save(trace: Trace, path: Path) -> None:
    """Write a trace so that a difference is readable: one event a line."""
    scenes = [
        f'"{scene}": [\n' + ",\n".join(f"  {json.dumps(event)}" for event in events) + "\n]"
        for scene, events in trace.items()
    ]
    path.write_text("{\n" + ",\n".join(scenes) + "\n}\n", encoding="utf-8")


def load(path: Path) -> Trace:
    """Read a trace."""
    trace: Trace = json.loads(path.read_text(encoding="utf-8"))
    return trace
