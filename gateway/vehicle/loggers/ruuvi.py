"""RuuviTag advertisements, data format 5 (RAWv2).

Source: docs.ruuvi.com, Bluetooth advertisements, "Data format 5 (RAWv2)". Big-endian; a field that is not available
is the largest unsigned, or the smallest signed, number.
"""

from __future__ import annotations

import struct

from gateway.vehicle.loggers.measurement import AdvertisementError, Measurement

MANUFACTURER_ID = 0x0499
DATA_FORMAT = 5
OTHER_FORMATS = {3: 14, 6: 20, 0xE1: 40}
"""Formats with a temperature that the maintained parser reads, and their bytes: older firmware, and Ruuvi Air."""

_FIELDS = struct.Struct(">BhHHhhhHBH6s")
_NO_SIGNED, _NO_U8, _NO_U16 = -0x8000, 0xFF, 0xFFFF
_NO_VOLTAGE = 0x7FF
_NO_ADDRESS = b"\xff" * 6
_BATTERY_BASE_MV = 1600


def decode_advertisement(payload: bytes) -> Measurement:
    """Decode the manufacturer data (without the identifier); raises AdvertisementError.

    Temperature comes in steps of 5 millidegrees, humidity in steps of 0.25 of its unit, rounded.
    """
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
