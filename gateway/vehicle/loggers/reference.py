"""The reference logger's broadcast; docs/reference-logger.md, section 3, is the law."""

from __future__ import annotations

import struct

from gateway.vehicle.loggers.measurement import AdvertisementError, Measurement

SERVICE = "db973301-567b-4bdb-b9ee-a0959751407e"
NUMBER_BITS = 24

_FIELDS = struct.Struct("<BB3shBH")
_VERSION = 1
_NO_TEMPERATURE = -0x8000
_NO_BATTERY = 0xFF
_MV_PER_STEP = 20
_BATTERY_LOW = 2


def decode_service_data(payload: bytes) -> Measurement:
    """Decode the service data; raises AdvertisementError.

    The counter joins the boot (8 bits) and the number (24 bits): it never repeats within 256 boots.
    """
    if len(payload) != _FIELDS.size:
        raise AdvertisementError("reference_length", f"{len(payload)} bytes, version {_VERSION} has {_FIELDS.size}")
    head, boot, number, temperature, battery, _clock = _FIELDS.unpack(payload)
    if head >> 4 != _VERSION:
        raise AdvertisementError("reference_version", f"version {head >> 4} is not supported, only {_VERSION}")
    return Measurement(
        temperature_mc=None if temperature == _NO_TEMPERATURE else temperature * 10,
        battery_mv=None if battery == _NO_BATTERY else battery * _MV_PER_STEP,
        counter=boot << NUMBER_BITS | int.from_bytes(number, "little"),
        battery_low=bool(head & _BATTERY_LOW),
    )
