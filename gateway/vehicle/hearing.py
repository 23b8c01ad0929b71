"""What the adapters hear: told apart, decoded once, and remembered who hears whom best.

Most of what is heard is foreign. It is told apart by address and identifier before anything is decoded; a payload
equal to the one before costs no decoding either. What two adapters hear of one packet is one measurement.
"""

from __future__ import annotations

import logging
from collections import Counter, deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from gateway.core.configuration import Logger
from gateway.vehicle.listening import packet_of
from gateway.vehicle.loggers.families import Ear
from gateway.vehicle.loggers.measurement import AdvertisementError, Measurement

if TYPE_CHECKING:
    from bleak.backends.device import BLEDevice
    from bleak.backends.scanner import AdvertisementData

log = logging.getLogger(__name__)

QUARANTINE = 20
"""Malformed payloads kept for a look; all are counted."""
FRESH_S = 60.0
"""An adapter that has not heard a logger for a minute is asked to connect only if no other has heard it since."""
SMOOTHING = 0.3
"""Share of the newest packet in the mean signal strength: one packet alone varies by 10 dB."""
FAILURE_DB = 10.0
"""How much weaker an adapter counts for each connection that failed in a row: with two, the other one gets its turn."""


@dataclass(frozen=True, slots=True)
class Malformed:
    """A payload with an enrolled logger's address that could not be decoded."""

    address: str
    reason: str
    payload: bytes


@dataclass(slots=True)
class AdapterHealth:
    """How one adapter's scan does. `reason` is why it is down, or why it was last; `mode` is how it listens.

    probes  looks, by another kind of scan, whether a passive scan that hears nothing is mute or has nobody around
    """

    scanning: bool = False
    mode: str = ""
    reason: str = "not started"
    heard: int = 0
    restarts: int = 0
    probes: int = 0
    resets: int = 0
    is_down: bool = False


@dataclass(slots=True)
class RadioHealth:
    """How all adapters together do."""

    adapters: dict[str, AdapterHealth] = field(default_factory=dict)
    reason: str = "not started"
    """Why BlueZ as a whole is out of reach; empty where it answers."""
    heard: int = 0
    foreign: int = 0
    repeated: int = 0
    decoded: int = 0
    service_restarts: int = 0
    malformed: Counter[str] = field(default_factory=Counter)
    quarantine: deque[Malformed] = field(default_factory=lambda: deque(maxlen=QUARANTINE))

    @property
    def scanning(self) -> bool:
        """Whether any adapter listens."""
        return any(adapter.scanning for adapter in self.adapters.values())

    @property
    def mode(self) -> str:
        """How it listens, "active+passive" where adapters differ."""
        return "+".join(sorted({adapter.mode for adapter in self.adapters.values() if adapter.mode}))

    @property
    def restarts(self) -> int:
        """Scans begun anew."""
        return sum(adapter.restarts for adapter in self.adapters.values())

    @property
    def resets(self) -> int:
        """Adapters switched off and on."""
        return sum(adapter.resets for adapter in self.adapters.values())

    def explain(self) -> str:
        """Say why an adapter does not listen, empty where all do."""
        if self.reason:
            return self.reason
        silent = ((name, adapter.reason) for name, adapter in self.adapters.items() if not adapter.scanning)
        return "; ".join(f"{name}: {reason}" for name, reason in silent)


@dataclass(slots=True)
class _Contact:
    """How one adapter hears one logger."""

    device: BLEDevice
    rssi: float
    heard_s: float
    failures: int = 0


class Hearing:
    """Listens for the enrolled loggers through all adapters."""

    def __init__(self, health: RadioHealth, on_measurement: Callable[[str, Measurement], None]) -> None:
        self._health = health
        self._on_measurement = on_measurement
        self._loggers: dict[str, Logger] = {}
        self._ears: dict[str, Ear] = {}
        self._contacts: dict[str, dict[str, _Contact]] = {}

    @property
    def loggers(self) -> dict[str, Logger]:
        """The enrolled loggers by address."""
        return self._loggers

    def enrol(self, loggers: Iterable[Logger]) -> None:
        """Listen for these loggers only. One whose kind or key is as before goes on where it was."""
        enrolled = {logger.address: logger for logger in loggers}
        self._ears = {
            address: self._ears[address] if self._is_as_before(logger) else Ear(logger)
            for address, logger in enrolled.items()
        }
        self._loggers = enrolled
        for address in self._contacts.keys() - enrolled.keys():
            del self._contacts[address]

    def _is_as_before(self, logger: Logger) -> bool:
        before = self._loggers.get(logger.address)
        return before is not None and (before.kind, before.bindkey) == (logger.kind, logger.bindkey)

    def hear(self, adapter: str, device: BLEDevice, advertisement: AdvertisementData, now_s: float) -> bool:
        """Take one advertisement; say whether it was an enrolled logger's own."""
        health = self._health
        health.heard += 1
        address = device.address
        ear = self._ears.get(address)
        if ear is None:
            health.foreign += 1
            return False
        packet = packet_of(device, advertisement)
        payload = ear.recognise(packet)
        if payload is None:
            health.foreign += 1
            return False
        self._meet(adapter, device, advertisement.rssi, now_s)
        try:
            measurement = ear.hear(packet, payload, via=adapter, now_s=now_s)
        except AdvertisementError as error:
            self._set_aside(address, error, b"".join(payload))
            return True
        if measurement is None:
            health.repeated += 1
            return True
        health.decoded += 1
        self._on_measurement(address, measurement)
        return True

    # --- who hears whom

    def present(self) -> list[str]:
        """The enrolled loggers that an adapter has heard and could call."""
        return list(self._contacts)

    def best(self, address: str) -> tuple[str, BLEDevice] | None:
        """Return the adapter that hears this logger best, and the device as it knows it."""
        contacts = self._contacts.get(address)
        if not contacts:
            return None
        newest_s = max(contact.heard_s for contact in contacts.values())
        fresh = {name: contact for name, contact in contacts.items() if newest_s - contact.heard_s <= FRESH_S}
        adapter, contact = max(fresh.items(), key=lambda item: item[1].rssi - FAILURE_DB * item[1].failures)
        return adapter, contact.device

    def connected(self, address: str, adapter: str, *, is_good: bool) -> None:
        """Hear how a connection went."""
        contact = self._contacts.get(address, {}).get(adapter)
        if contact is not None:
            contact.failures = 0 if is_good else contact.failures + 1

    def lose(self, adapter: str) -> None:
        """An adapter is gone, and what BlueZ knew of devices by it: it must hear them again."""
        for address in list(self._contacts):
            self._contacts[address].pop(adapter, None)
            if not self._contacts[address]:
                del self._contacts[address]

    def _meet(self, adapter: str, device: BLEDevice, rssi: int, now_s: float) -> None:
        contacts = self._contacts.setdefault(device.address, {})
        contact = contacts.get(adapter)
        if contact is None:
            contacts[adapter] = _Contact(device, rssi, now_s)
            return
        contact.device = device
        contact.heard_s = now_s
        contact.rssi += SMOOTHING * (rssi - contact.rssi)

    def _set_aside(self, address: str, error: AdvertisementError, payload: bytes) -> None:
        if not self._health.malformed[error.code]:
            log.warning("radio: %s sent a malformed advertisement: %s", address, error)
        self._health.malformed[error.code] += 1
        self._health.quarantine.append(Malformed(address, str(error), payload))
