"""A stand-in for the Bluetooth daemon of Linux, for unmodified bleak on its BlueZ backend.

It is its own small D-Bus on a unix socket: no dbus-daemon, no root, no adapter. Start it in a process of its
own (``python -m firmware_sim run``) or in the event loop of a test::

    from firmware_sim.bluez import Characteristic, FakeBluez, Service, Settings, write_shim

    async with FakeBluez(f"unix:path={tmp_path}/bus") as bluez:
        monkeypatch.setenv("DBUS_SYSTEM_BUS_ADDRESS", bluez.address)  # bleak reads it at each connection
        rx = Characteristic("6e400002-b5a3-f393-e0a9-e50e24dcca9e", ["write"], on_write=received.append)
        tx = Characteristic("6e400003-b5a3-f393-e0a9-e50e24dcca9e", ["notify"])
        device = bluez.add_device(
            "C0:FF:EE:00:00:01",
            name="Ruuvi 0001",
            services=[Service("6e400001-b5a3-f393-e0a9-e50e24dcca9e", [rx, tx])],
        )
        async with BleakScanner(callback):
            device.advertise(manufacturer_data={0x0499: payload}, rssi=-60)  # heard only while somebody scans
        ...
        tx.notify(payload)  # False when nobody listens

``on_read() -> bytes`` and ``on_write(data)`` may be plain functions or coroutines; raise ``BluezError`` in them to
answer with an error. ``write_shim(folder)`` writes a ``bluetoothctl`` for PATH, which keeps bleak's version check
quiet. ``Settings`` holds the delays (all zero, for quick tests), ``rssi_delta_db`` (8: BlueZ 5.82, which keeps an
unchanged advertisement to itself; 0: BlueZ 5.66, one signal for each) and ``forget_after_s`` (30 s in BlueZ).

Misbehaviour, each as it was seen in the field:

- ``bluez.fail("StartDiscovery", "org.bluez.Error.InProgress", times=2)`` answers the next calls of that method
  with an error; ``path=device.path`` limits it to one device. ``"Connect"``, ``"StopDiscovery"``, ``"ReadValue"``,
  ``"WriteValue"``, ``"StartNotify"``, ``"RegisterMonitor"`` … work alike. ``text="le-connection-abort-by-local"``.
- ``bluez.hang("Connect", times=1)`` never answers (a ``Disconnect`` ends a hanging ``Connect``, as in BlueZ).
- ``bluez.scan_is_silent = True`` loses each advertisement while the scan looks healthy.
- ``bluez.fall_silent(until="power")`` does so until that helps: "scan", "power" or "service".
- ``bluez.systemd = "permits"`` (or "refuses") restarts the daemon when a client asks systemd for it.
- ``bluez.unplug()``, ``bluez.plug("hci0")`` take the adapter away and give it back; ``plug("hci1")`` adds one.
- ``device.in_range = False``: not heard, cannot be connected, and a link is lost at once.
- ``device.drop_link()`` and ``device.drop_link_after(notifications=5)`` lose the link, also amid a transfer.
- ``bluez.power_off()``, ``bluez.power_on()`` switch the adapter.
- ``bluez.drop_clients()`` closes the bus connection of each client; ``await bluez.stop()`` is the death of the bus,
  and ``await bluez.start()`` brings back a fresh one at the same address.
- ``bluez.crash_daemon()`` ends the daemon behind a bus that stays (bleak notices nothing); ``restart_daemon()``.

``bluez.calls`` lists ``Call(sender, member, path)`` of the last 1,000 method calls.
"""

from firmware_sim.bluez.daemon import FakeBluez
from firmware_sim.bluez.device import Device
from firmware_sim.bluez.errors import BluezError
from firmware_sim.bluez.gatt import Characteristic, Descriptor, Service
from firmware_sim.bluez.settings import Settings
from firmware_sim.bluez.shim import write_shim

__all__ = [
    "BluezError",
    "Characteristic",
    "Descriptor",
    "Device",
    "FakeBluez",
    "Service",
    "Settings",
    "write_shim",
]
