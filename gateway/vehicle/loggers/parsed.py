"""Decoding by the maintained parsers on sensor-state-data: one adapter for all of them.

A parser lives as long as its logger is enrolled, because it remembers: which part of the advertising data is the
newest, and how far the counter of an encrypted logger had come. It also hands out values of earlier packets again;
only what this very packet said is taken here.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass
from math import isfinite
from typing import TypeAlias

from bleak.backends.device import BLEDevice
from bthome_ble import BTHomeBluetoothDeviceData
from habluetooth import BluetoothServiceInfoBleak
from sensor_state_data import SensorUpdate, SensorValue, Units

from gateway.vehicle.loggers.measurement import AdvertisementError, Measurement, Packet

Update: TypeAlias = Callable[[BluetoothServiceInfoBleak], SensorUpdate]

_STEP_S = 10.0
"""Pretended time between packets. Parsers drop what comes within seconds of the last packet as a repetition; repeated
payloads do not come here, and the clock may run faster than the parser's idea of it."""


PARSER_ERRORS = (ArithmeticError, LookupError, TypeError, ValueError, struct.error)
"""What a parser may raise that does not expect such a packet; nothing that is on the air may end the scan."""


@dataclass(frozen=True, slots=True)
class Range:
    """What a format can say, in °C. A value at either end is a code or cut off: no measurement."""

    lowest_c: float
    highest_c: float


class ParsedDecoder:
    """Decodes one logger's packets by the parser of its maker. `kind` names it in errors."""

    def __init__(self, kind: str, update: Update, format_range: Range) -> None:
        self._kind = kind
        self._update = update
        self._range = format_range
        self._told: dict[str, SensorValue] = {}
        self._time_s = 0.0

    def decode(self, packet: Packet) -> Measurement:
        """Decode; raises AdvertisementError where the parser finds no temperature."""
        try:
            values = self._values(packet)
        except PARSER_ERRORS as error:
            reason = f"its maker's parser gives up: {type(error).__name__}"
            raise AdvertisementError(f"{self._kind}_unreadable", reason) from error
        temperature_c = values.get("temperature")
        if temperature_c is None:
            raise AdvertisementError(f"{self._kind}_unreadable", "its maker's parser finds no temperature in it")
        is_code = not self._range.lowest_c < temperature_c < self._range.highest_c
        temperature_mc = round(temperature_c * 1000)
        return Measurement(
            temperature_mc=None if is_code else temperature_mc,
            code_mc=temperature_mc if is_code else None,
            humidity_cpct=_scaled(values.get("humidity"), 100),
            pressure_pa=_scaled(values.get("pressure"), 100),
            battery_mv=_scaled(values.get("voltage"), 1000),
            battery_pct=_scaled(values.get("battery"), 1),
            light_lux=_scaled(values.get("illuminance"), 1),
        )

    def _values(self, packet: Packet) -> dict[str, float]:
        """The numbers that this packet tells, by the parser's keys."""
        self._time_s += _STEP_S
        update = self._update(self._information(packet))
        told = {key.key: value for key, value in update.entity_values.items()}
        fresh = {key: value.native_value for key, value in told.items() if self._told.get(key) is not value}
        self._told = told
        numbers = {key: float(value) for key, value in fresh.items() if isinstance(value, int | float)}
        values = {key: value for key, value in numbers.items() if isfinite(value)}
        if "voltage" in values and _is_in_millivolts(update):
            values["voltage"] /= 1000
        return values

    def _information(self, packet: Packet) -> BluetoothServiceInfoBleak:
        return BluetoothServiceInfoBleak(
            packet.name,
            packet.address,
            packet.rssi,
            dict(packet.manufacturer_data or {}),
            dict(packet.service_data or {}),
            list(packet.service_uuids),
            "local",
            BLEDevice(packet.address, packet.name, {}),
            None,
            True,
            self._time_s,
            None,
        )


class BthomeDecoder(ParsedDecoder):
    """BTHome, plain or encrypted. With a key, what is not encrypted by it is refused."""

    def __init__(self, bindkey: bytes | None, format_range: Range) -> None:
        self._parser = BTHomeBluetoothDeviceData(bindkey=bindkey)
        self._bindkey = bindkey
        super().__init__("bthome", self._parser.update, format_range)

    def decode(self, packet: Packet) -> Measurement:
        """Decode; raises AdvertisementError, also for a packet that the key does not open, or that is a replay."""
        try:
            return super().decode(packet)
        except AdvertisementError as error:
            if self._bindkey is not None:
                reason = "not encrypted by the enrolled bindkey, or an old packet again"
                raise AdvertisementError("bthome_refused", reason) from error
            raise


def _is_in_millivolts(update: SensorUpdate) -> bool:
    """Whether this parser tells the voltage so; most tell volts."""
    described = (one for key, one in update.entity_descriptions.items() if key.key == "voltage")
    return any(one.native_unit_of_measurement == Units.ELECTRIC_POTENTIAL_MILLIVOLT for one in described)


def _scaled(value: float | None, steps: int) -> int | None:
    return None if value is None else round(value * steps)
