"""Vehicles that come back: outboxes filled as the product fills them, and their lines to the hub."""  # noqa: INP001  beside scripts

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from gateway.clock import Clock
from gateway.core.contents import Content
from gateway.keys import SigningKey, VerifyKey, load_or_create_key
from gateway.mqtt import MqttSettings
from gateway.vehicle.adoption import Adoption
from gateway.vehicle.identity import KEY_FILE
from gateway.vehicle.settings import VehicleSettings
from gateway.vehicle.storage import Storage
from gateway.vehicle.uplink import Uplink

BOOT = b"measured"
EVERYTHING = 1 << 40


def open_outbox(folder: Path, gateway: str, key: SigningKey) -> Storage:
    """An outbox in a folder."""
    return Storage.open(folder, gateway, key, max_bytes=EVERYTHING, boot=BOOT)


def fill_outbox(folder: Path, gateway: str, contents: Iterable[Content], start_ms: int, every_s: int) -> int:
    """Seal what was heard while nobody listened; return how many segments.

    Without waiting for the disk, which nothing measured here depends on.
    """
    folder.mkdir(parents=True, exist_ok=True)
    storage = open_outbox(folder, gateway, load_or_create_key(folder / KEY_FILE))
    storage.database.execute("PRAGMA synchronous = OFF")
    count = 0
    for count, content in enumerate(contents, 1):
        storage.outbox.seal(content, sealed_at_ms=start_ms + count * every_s * 1000, config_version=1)
    storage.close()
    return count


@dataclass(frozen=True)
class Returning:
    """A vehicle's log and its line to the hub, without radio and alarm, so that many fit one process."""

    name: str
    storage: Storage
    uplink: Uplink

    @classmethod
    def open(cls, name: str, folder: Path, broker: str, hub_key: bytes, clock: Clock) -> Self:
        """Take up a filled outbox."""
        storage = open_outbox(folder, name, load_or_create_key(folder / KEY_FILE))
        settings = VehicleSettings(gateway=name, data_dir=folder, broker=MqttSettings(url=broker))
        check = VerifyKey(hub_key).check
        return cls(name, storage, Uplink(settings, storage, Adoption(name, check), check, clock))

    @property
    def waiting(self) -> int:
        """Segments that the hub has not acknowledged."""
        return self.storage.outbox.depth().segments
