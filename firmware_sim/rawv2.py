"""Ruuvi's data format 5 (RAWv2): what a RuuviTag puts into its advertisements.

Source: docs.ruuvi.com, Bluetooth advertisements, data format 5. All fields are most significant byte first.
A value that is not available is the largest number of an unsigned field and the smallest of a signed one;
values outside a field's range are clipped to it.
"""

import struct
from dataclasses import dataclass

MANUFACTURER_ID = 0x0499
DATA_FORMAT = 5
COUNTER_VALUES = 65_535
"""The counter takes 0 to 65534 and starts again at 0: 65535 says "not available"."""
MOVEMENT_VALUES = 255
MC_PER_STEP = 5
_LAYOUT = struct.Struct(">BhHHhhhHBH6s")
_MAX_SIGNED = 32_767
_NO_SIGNED = -32_768
_NO_UNSIGNED = 65_535
_NO_VOLTAGE, _NO_TX_POWER = 2047, 31
_NO_BYTE = 255
_NO_ADDRESS = b"\xff" * 6


@dataclass(frozen=True)
class Beacon:
    """One measurement as it is advertised; None is "not available"."""

    address: bytes | None
    temperature_c: float | None = None
    humidity_percent: float | None = None
    pressure_pa: float | None = None
    acceleration_mg: tuple[int | None, int | None, int | None] = (None, None, None)
    voltage_mv: int | None = None
    tx_power_dbm: int | None = None
    movements: int | None = None
    counter: int | None = None


def encode(beacon: Beacon) -> bytes:
    """Return the 24 bytes that follow the manufacturer id."""
    return _LAYOUT.pack(
        DATA_FORMAT,
        temperature_steps(beacon.temperature_c),
        _unsigned(beacon.humidity_percent, 400, 0),
        _unsigned(beacon.pressure_pa, 1, 50_000),
        *(_signed(axis, 1) for axis in beacon.acceleration_mg),
        _power(beacon.voltage_mv, beacon.tx_power_dbm),
        _NO_BYTE if beacon.movements is None else beacon.movements % MOVEMENT_VALUES,
        _NO_UNSIGNED if beacon.counter is None else beacon.counter % COUNTER_VALUES,
        _NO_ADDRESS if beacon.address is None else beacon.address,
    )


def temperature_steps(temperature_c: float | None) -> int:
    """Return the temperature as the format holds it, in steps of 0.005 °C."""
    return _signed(temperature_c, 200)


def _signed(value: float | None, steps_per_unit: int) -> int:
    if value is None:
        return _NO_SIGNED
    return max(-_MAX_SIGNED, min(_MAX_SIGNED, round(value * steps_per_unit)))


def _unsigned(value: float | None, steps_per_unit: int, offset: int) -> int:
    if value is None:
        return _NO_UNSIGNED
    return max(0, min(_NO_UNSIGNED - 1, round((value - offset) * steps_per_unit)))


def _power(voltage_mv: int | None, tx_power_dbm: int | None) -> int:
    """Return 11 bits of millivolts above 1600 and 5 bits of transmit power in 2 dBm steps above -40."""
    voltage = _NO_VOLTAGE if voltage_mv is None else max(0, min(_NO_VOLTAGE - 1, voltage_mv - 1600))
    power = _NO_TX_POWER if tx_power_dbm is None else max(0, min(_NO_TX_POWER - 1, (tx_power_dbm + 40) // 2))
    return voltage << 5 | power
