"""What is heard over the air, and who asked to hear it."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from uuid import UUID

from dbus_fast import Variant

BASE_UUID_TAIL = "-0000-1000-8000-00805f9b34fb"
_SHORT_UUID_CHARS = 4
_LONG_UUID_CHARS = 8
NO_RSSI = 127


def full_uuid(uuid: str) -> str:
    """Return a UUID of 16, 32 or 128 bits as 36 lower-case characters."""
    if len(uuid) <= _SHORT_UUID_CHARS:
        return f"0000{uuid.lower()}{BASE_UUID_TAIL}"
    if len(uuid) <= _LONG_UUID_CHARS:
        return f"{uuid.lower()}{BASE_UUID_TAIL}"
    return uuid.lower()


class AdType(IntEnum):
    """Types of advertising data (Bluetooth Assigned Numbers, 2.3) that a pattern can name."""

    FLAGS = 0x01
    UUIDS_16 = 0x03
    UUIDS_128 = 0x07
    NAME = 0x09
    TX_POWER = 0x0A
    SERVICE_DATA_16 = 0x16
    SERVICE_DATA_128 = 0x21
    MANUFACTURER = 0xFF


@dataclass(frozen=True)
class Advertisement:
    """One advertisement as the controller hands it up, the scan response merged in."""

    rssi: int
    name: str | None = None
    manufacturer_data: Mapping[int, bytes] = field(default_factory=dict)
    service_data: Mapping[str, bytes] = field(default_factory=dict)
    service_uuids: Sequence[str] = ()
    tx_power: int | None = None

    def structures(self) -> Iterable[tuple[AdType, bytes]]:
        """Give the advertising data as (type, content), as a monitor's patterns see it."""
        yield AdType.FLAGS, b"\x06"
        for company, data in self.manufacturer_data.items():
            yield AdType.MANUFACTURER, company.to_bytes(2, "little") + data
        for uuid, data in self.service_data.items():
            # As BlueZ 5.82 does: what follows the UUID, which a pattern therefore cannot name.
            _, is_short = _uuid_bytes(uuid)
            yield (AdType.SERVICE_DATA_16 if is_short else AdType.SERVICE_DATA_128), data
        for uuid in self.service_uuids:
            content, is_short = _uuid_bytes(uuid)
            yield (AdType.UUIDS_16 if is_short else AdType.UUIDS_128), content
        if self.name is not None:
            yield AdType.NAME, self.name.encode()
        if self.tx_power is not None:
            yield AdType.TX_POWER, self.tx_power.to_bytes(1, "little", signed=True)


def _uuid_bytes(uuid: str) -> tuple[bytes, bool]:
    """Return a full UUID as it travels (least significant byte first) and whether it fits 16 bits."""
    raw = UUID(uuid).bytes
    is_short = uuid.startswith("0000") and uuid.endswith(BASE_UUID_TAIL)
    return (raw[2:4] if is_short else raw)[::-1], is_short


@dataclass(frozen=True)
class Pattern:
    """One of a monitor's ``or_patterns``: content at a position of the data of one type."""

    start: int
    ad_type: int
    content: bytes

    def matches(self, advertisement: Advertisement) -> bool:
        """Tell whether the advertisement has this content there."""
        end = self.start + len(self.content)
        return any(
            ad_type == self.ad_type and data[self.start : end] == self.content
            for ad_type, data in advertisement.structures()
        )


@dataclass(frozen=True)
class DiscoveryFilter:
    """What one client asked of its active scan (SetDiscoveryFilter)."""

    uuids: frozenset[str] = frozenset()
    min_rssi: int | None = None
    pattern: str = ""
    transport: str = "auto"
    wants_duplicates: bool = True

    def accepts(self, advertisement: Advertisement, address: str) -> bool:
        """Tell whether this client's scan lets the advertisement of the device at ``address`` through."""
        if self.transport == "bredr":
            return False
        if self.uuids and self.uuids.isdisjoint(advertisement.service_uuids):
            return False
        if self.min_rssi is not None and not self.min_rssi <= advertisement.rssi < NO_RSSI:
            return False
        return not self.pattern or any(
            text is not None and text.startswith(self.pattern) for text in (address, advertisement.name)
        )


def read_filter(values: Mapping[str, Variant]) -> DiscoveryFilter:
    """Read the dictionary of SetDiscoveryFilter; keys that do not matter for a scan are ignored, as in BlueZ."""
    plain = {name: variant.value for name, variant in values.items()}
    return DiscoveryFilter(
        uuids=frozenset(full_uuid(uuid) for uuid in plain.get("UUIDs", ())),
        min_rssi=plain.get("RSSI"),
        pattern=plain.get("Pattern", ""),
        transport=plain.get("Transport", "auto"),
        wants_duplicates=plain.get("DuplicateData", True),
    )
