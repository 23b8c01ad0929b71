"""RuuviTag advertisements, data format 5 (RAWv2).

Source: docs.ruuvi.com, Bluetooth advertisements, "Data format 5 (RAWv2)". Big-endian; a field that is not available
is the largest unsigned, or the smallest signed, number.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

from gateway.core.errors import ColdchainError

MANUFACTURER_ID = 0x0499
DATA_FORMAT = 5

_FIELDS = struct.Struct(">BhHHhhhHBH6s")
_NO_SIGNED, _NO_U8, _NO_U16 = -0x8000, 0xFF, 0xFFFF
_NO_VOLTAGE = 0x7FF
_NO_ADDRESS = b"\xff" * 6
_BATTERY_BASE_MV = 1600


class AdvertisementError(ColdchainError):
    """An advertisement with Ruuvi's identifier is not a data format 5 payload. `code` is stable, for counting."""

    def __init__(self, code: str, reason: str) -> None:
        self.code = code
        self.reason = reason
        super().__init__(f"{code}: {reason}")


@dataclass(frozen=True, slots=True)
class Measurement:
    """One measurement as advertised; None where the logger says that a value is not available.

    temperature_mc  millidegrees Celsius (resolution 5)
    humidity_cpct   0.01 % (resolution 0.25, rounded)
    pressure_pa     pascal
    battery_mv      millivolts
    movements       movement counter, 8 bits
    counter         measurement number, 16 bits, wraps after 65,534
    address         the tag's own address, "C0:FF:EE:00:00:01"
    """

    temperature_mc: int | None
    humidity_cpct: int | None
    pressure_pa: int | None
    battery_mv: int | None
    movements: int | None
    counter: int | None
    address: str | None


def decode_advertisement(payload: bytes) -> Measurement:
    """Decode the manufacturer data (without the identifier); raises AdvertisementError."""
    if not payload:
        raise AdvertisementError("ruuvi_empty", "no payload")
    if payload[0] != DATA_FORMAT:
        raise AdvertisementError("ruuvi_format", f"data format {payload[0]} is not supported, only {DATA_FORMAT}")
    if len(payload) != _FIELDS.size:
        raise AdvertisementError("ruuvi_length", f"{len(payload)} bytes, data format 5 has {_FIELDS.size}")
    _, temperature, humidity, pressure, _, _, _, power, movements, counter, address = _FIELDS.unpack(payload)
    voltage = power >> 5
    return Measurement(
        temperature_mc=None if temperature == _NO_SIGNED else temperature * 5,
        humidity_cpct=None if humidity == _NO_U16 else (humidity + 2) // 4,
        pressure_pa=None if pressure == _NO_U16 else pressure + 50_000,
        battery_mv=None if voltage == _NO_VOLTAGE else voltage + _BATTERY_BASE_MV,
        movements=None if movements == _NO_U8 else movements,
        counter=None if counter == _NO_U16 else counter,
        address=None if address == _NO_ADDRESS else address.hex(":").upper(),
    )
