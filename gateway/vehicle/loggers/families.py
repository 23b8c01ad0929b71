"""The table of supported loggers: how each kind is recognised, decoded, and its new measurements told from old ones.

Recognition looks at identifiers only. What is recognised and not equal to the logger's last packet is decoded.

A receiver hears the same packet many times, and BlueZ may or may not pass repetitions on. So an unchanged packet is
never a new measurement, whatever the maker: `Repeats` says what a *changed* one means. No maker here documents that
it broadcasts at new measurements only, so no kind may count packets. The price: of a logger whose packet carries no
number, two measurements that agree in every digit are one, and the second reads as silence, never as compliance.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Protocol, TypeAlias
from uuid import UUID

from bleak.assigned_numbers import AdvertisementDataType
from bluemaestro_ble import BlueMaestroBluetoothDeviceData
from bluetooth_sensor_state_data import BluetoothData
from govee_ble import GoveeBluetoothDeviceData
from qingping_ble import QingpingBluetoothDeviceData
from ruuvitag_ble import RuuvitagBluetoothDeviceData
from sensirion_ble import SensirionBluetoothDeviceData
from sensorpush_ble import SensorPushBluetoothDeviceData
from thermobeacon_ble import ThermoBeaconBluetoothDeviceData

from gateway.core.configuration import Logger, LoggerKind
from gateway.vehicle.loggers import reference, ruuvi
from gateway.vehicle.loggers.measurement import AdvertisementError, Measurement, Packet
from gateway.vehicle.loggers.parsed import BthomeDecoder, ParsedDecoder, Range, Update

Payload: TypeAlias = tuple[bytes, ...]

_SHORT_TAIL = "-0000-1000-8000-00805f9b34fb"
_BTHOME = "0000fcd2" + _SHORT_TAIL
_QINGPING = "0000fdcd" + _SHORT_TAIL
_THERMOBEACON = "0000fff0" + _SHORT_TAIL
_SENSORPUSH = "ef090000-11d6-42ba-93b8-9dd7ec090ab0"


class Repeats(Enum):
    """What tells a new measurement from a repetition.

    NUMBER   the packet numbers its measurement: an unchanged number is a repetition, whatever else changed
    PAYLOAD  the packet's own bytes: they change with every measurement (a short number, a time) or with its values
    """

    NUMBER = "number"
    PAYLOAD = "payload"


class Decoder(Protocol):
    """Decodes the packets of one logger."""

    def decode(self, packet: Packet) -> Measurement:
        """Decode; raises AdvertisementError."""


@dataclass(frozen=True, slots=True)
class Family:
    """One kind of logger.

    maker             as a person knows it
    repeats           see Repeats
    make              makes the decoder of one logger, with its bindkey if it has one
    manufacturer_ids  company identifiers of its manufacturer data
    service_data      UUID of its service data
    service_uuid      UUID that it advertises; alone where the manufacturer data has no identifier of its own
    beside            lengths of packets that carry something else than a measurement
    lengths           lengths of measurements, where the parser would take any
    others            families of which it may be any; the first packet says which
    """

    maker: str
    repeats: Repeats
    make: Callable[[bytes | None], Decoder]
    manufacturer_ids: frozenset[int] = frozenset()
    service_data: str = ""
    service_uuid: str = ""
    beside: frozenset[int] = frozenset()
    lengths: frozenset[int] = frozenset()
    others: Mapping[str, Family] = field(default_factory=dict)

    def of(self, packet: Packet) -> Family | None:
        """Return the family that the packet is of: this one, or one of the others; None if it is foreign."""
        if not self.others:
            return None if self.payload_of(packet) is None else self
        return next((other for other in self.others.values() if other.payload_of(packet) is not None), None)

    def payload_of(self, packet: Packet) -> Payload | None:
        """Return the bytes that are this family's own, None if the packet is not of this family."""
        if self.others:
            other = self.of(packet)
            return None if other is None else other.payload_of(packet)
        if self.service_data:
            data = (packet.service_data or {}).get(self.service_data)
            return None if data is None else (data,)
        held = packet.manufacturer_data or {}
        if self.service_uuid and self.service_uuid not in packet.service_uuids:
            return None
        if self.manufacturer_ids:
            own = tuple(data for company, data in held.items() if company in self.manufacturer_ids)
        else:  # the first two bytes are data too
            own = tuple(company.to_bytes(2, "little") + data for company, data in held.items())
        return own or None

    def patterns(self) -> list[tuple[AdvertisementDataType, bytes]]:
        """Return what a passive scan must let through: the beginning of a part of the advertising data, by its type."""
        if self.others:
            return [pattern for other in self.others.values() for pattern in other.patterns()]
        if self.service_data:
            uuid = _on_air(self.service_data)
            kind = (
                AdvertisementDataType.SERVICE_DATA_UUID16
                if len(uuid) == 2  # noqa: PLR2004  bytes of a short UUID
                else AdvertisementDataType.SERVICE_DATA_UUID128
            )
            return [(kind, uuid)]
        if self.manufacturer_ids:
            manufacturer = AdvertisementDataType.MANUFACTURER_SPECIFIC_DATA
            return [(manufacturer, company.to_bytes(2, "little")) for company in sorted(self.manufacturer_ids)]
        uuid = _on_air(self.service_uuid)
        return [
            (AdvertisementDataType.INCOMPLETE_LIST_SERVICE_UUID128, uuid),
            (AdvertisementDataType.COMPLETE_LIST_SERVICE_UUID128, uuid),
        ]


class _RuuviDecoder:
    """Format 5 by ourselves: the parser does not tell the number of the measurement. The others by the parser."""

    def __init__(self) -> None:
        self._parsed = ParsedDecoder("ruuvitag", RuuvitagBluetoothDeviceData().update, _SIGNED_HUNDREDTHS)

    def decode(self, packet: Packet) -> Measurement:
        data = (packet.manufacturer_data or {})[ruuvi.MANUFACTURER_ID]
        if data and ruuvi.OTHER_FORMATS.get(data[0]) == len(data):
            return self._parsed.decode(packet)
        return ruuvi.decode_advertisement(data)


class _ReferenceDecoder:
    def decode(self, packet: Packet) -> Measurement:
        return reference.decode_service_data((packet.service_data or {})[reference.SERVICE])


class _NobodysDecoder:
    def decode(self, packet: Packet) -> Measurement:
        raise AdvertisementError("other_unknown", f"no parser is known for {packet.name or 'it'}")


def _parsed(kind: LoggerKind, make_parser: Callable[[], Update], format_range: Range) -> Callable[..., Decoder]:
    return lambda _bindkey: ParsedDecoder(kind.value, make_parser(), format_range)


def other(
    maker: str,
    parser: Callable[[], BluetoothData],
    *,
    manufacturer_ids: Iterable[int] = (),
    service_data: str = "",
) -> Family:
    """Return one more maker: its parser on sensor-state-data, and by what its advertisements are known."""
    return Family(
        maker,
        Repeats.PAYLOAD,
        lambda _bindkey: ParsedDecoder(maker.lower(), parser().update, _SIGNED_HUNDREDTHS),
        manufacturer_ids=frozenset(manufacturer_ids),
        service_data=service_data,
    )


_SIGNED_HUNDREDTHS = Range(-327.68, 327.67)
"""A 16-bit number of hundredths; of tenths the lower end lies lower still, and no sensor goes as far as either."""

OTHERS: dict[str, Family] = {
    "govee": other("Govee", GoveeBluetoothDeviceData, manufacturer_ids={0xEC88}),
}
"""Makers without a kind of their own, enrolled as `other`: a line each, and the parser among the dependencies."""

FAMILIES: dict[LoggerKind, Family] = {
    # A 16-bit measurement number (docs.ruuvi.com, data format 5).
    LoggerKind.RUUVITAG: Family(
        "Ruuvi", Repeats.NUMBER, lambda _: _RuuviDecoder(), manufacturer_ids=frozenset({ruuvi.MANUFACTURER_ID})
    ),
    # Boot and number (docs/reference-logger.md).
    LoggerKind.REFERENCE: Family(
        "Coldchain", Repeats.NUMBER, lambda _: _ReferenceDecoder(), service_data=reference.SERVICE
    ),
    # A packet id of 8 bits, or the 32-bit counter of the encryption, where the sensor sends one: it changes the bytes
    # with every measurement. The id wraps within hours, too soon to name a measurement in the record.
    LoggerKind.BTHOME: Family(
        "BTHome",
        Repeats.PAYLOAD,
        lambda bindkey: BthomeDecoder(bindkey, _SIGNED_HUNDREDTHS),
        service_data=_BTHOME,
    ),
    # The number of records logged, which rises with the logging interval, not with the measurement. In between only
    # the values change; with a steady box a new reading comes once in a logging interval. A second packet (statistics,
    # 26 bytes) has no version byte.
    LoggerKind.BLUEMAESTRO: Family(
        "Blue Maestro",
        Repeats.PAYLOAD,
        _parsed(LoggerKind.BLUEMAESTRO, lambda: BlueMaestroBluetoothDeviceData().update, _SIGNED_HUNDREDTHS),
        manufacturer_ids=frozenset({0x0133}),
        beside=frozenset({26}),
    ),
    # Nothing but the values, in steps of 0.0025 °C, below the sensor's noise. The identifier is part of the data.
    # HT.w (5 bytes) and HTP.xw (7); the thermocouple TC.x has another range and is not supported, nor is the HT1.
    LoggerKind.SENSORPUSH: Family(
        "SensorPush",
        Repeats.PAYLOAD,
        _parsed(LoggerKind.SENSORPUSH, lambda: SensorPushBluetoothDeviceData().update, Range(-40.0, 125.0)),
        service_uuid=_SENSORPUSH,
        lengths=frozenset({5, 7}),
    ),
    # Nothing but the values, in steps of 0.0027 °C, below the sensor's noise.
    LoggerKind.SENSIRION: Family(
        "Sensirion",
        Repeats.PAYLOAD,
        _parsed(LoggerKind.SENSIRION, lambda: SensirionBluetoothDeviceData().update, Range(-45.0, 130.0)),
        manufacturer_ids=frozenset({0x06D5}),
    ),
    # Seconds since its reset: the bytes change with every measurement. A second packet (extremes) is 20 bytes long.
    LoggerKind.THERMOBEACON: Family(
        "ThermoBeacon",
        Repeats.PAYLOAD,
        _parsed(LoggerKind.THERMOBEACON, lambda: ThermoBeaconBluetoothDeviceData().update, Range(-2048.0, 100.0)),
        manufacturer_ids=frozenset({0x10, 0x11, 0x14, 0x15, 0x18, 0x1B, 0x30}),
        service_uuid=_THERMOBEACON,
        beside=frozenset({20}),
    ),
    # A packet number of 8 bits, which the parser does not tell; it changes the bytes with every measurement.
    LoggerKind.QINGPING: Family(
        "Qingping",
        Repeats.PAYLOAD,
        _parsed(LoggerKind.QINGPING, lambda: QingpingBluetoothDeviceData().update, _SIGNED_HUNDREDTHS),
        service_data=_QINGPING,
    ),
    # Nobody vouches for more than that the parser reads them: the bytes are what tells repetitions.
    LoggerKind.OTHER: Family("other", Repeats.PAYLOAD, lambda _: _NobodysDecoder(), others=OTHERS),
}


LATE_S = 2.0
"""Another adapter's copy of the packet before may come in so late: what the daemon and the bus need, generously."""


class Ear:
    """Listens to one enrolled logger, through any number of adapters. `last` is what it said last."""

    def __init__(self, logger: Logger) -> None:
        self.family = FAMILIES[logger.kind]
        self.last: Measurement | None = None
        self._bindkey = None if logger.bindkey is None else bytes.fromhex(logger.bindkey.get_secret_value())
        self._decoder = self.family.make(self._bindkey)
        self._heard: Payload | None = None
        self._measured: Payload | None = None
        self._before: Payload | None = None
        self._via = ""
        self._changed_s = float("-inf")

    def recognise(self, packet: Packet) -> Payload | None:
        """Return the packet's own bytes, None if it is foreign."""
        if self.family.others:
            found = self.family.of(packet)
            if found is None:
                return None
            self.family, self._decoder = found, found.make(self._bindkey)
        return self.family.payload_of(packet)

    def hear(self, packet: Packet, payload: Payload, *, via: str = "", now_s: float = 0.0) -> Measurement | None:
        """Return the measurement of a recognised packet, None if it tells nothing new.

        `via` is the adapter that heard it: two adapters may tell of one packet, the slower one when the faster one
        has told of the next already. Raises AdvertisementError, once for a packet however often it is repeated.
        """
        if payload in (self._heard, self._measured):
            return None
        if payload == self._before and via != self._via and now_s - self._changed_s <= LATE_S:
            return None
        self._before, self._via, self._changed_s = self._heard, via, now_s
        self._heard = payload
        if self._is_beside(payload):
            return None
        if self.family.lengths and not self.family.lengths.issuperset(map(len, payload)):
            raise AdvertisementError("length", f"{len(payload[-1])} bytes are no measurement of {self.family.maker}")
        measurement = self._decoder.decode(packet)
        self._measured = payload
        self.last = measurement
        return measurement

    def _is_beside(self, payload: Payload) -> bool:
        return len(payload) == 1 and len(payload[0]) in self.family.beside


def _on_air(uuid: str) -> bytes:
    """Return a UUID as it travels: least significant byte first, two bytes if it has a short form."""
    raw = UUID(uuid).bytes
    return (raw[2:4] if uuid.endswith(_SHORT_TAIL) and not any(raw[:2]) else raw)[::-1]
