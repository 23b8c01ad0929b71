"""Sensirion gadgets (SHT4x, SHT3x, SCD4x).

Source: Sensirion's arduino-ble-gadget: AdvertisementHeader and the converters of its Config. Under company 0x06D5:
advertisement type 0, sample type, device id (two bytes of the address), then values as fractions of 65535, least
significant byte first: temperature from -45 to 130 °C, humidity from 0 to 100 % (SHT4x: from -6 to 119 %), CO2 in ppm.

There is no code for a missing value: a sensor that does not answer reads as all ones, which is 130 °C.
"""

import struct

from firmware_sim.firmware import Firmware, Sample, Take
from firmware_sim.makers.integers import steps
from firmware_sim.peripheral import Broadcast

COMPANY = 0x06D5
ADVERTISEMENT_TYPE = 0
SHT3X, SHT4X, SCD4X = 4, 6, 8
MODELS = {"SHT4x": SHT4X, "SHT3x": SHT3X, "SCD4x": SCD4X}
TICKS = 65_535
TEMPERATURE_FROM_C, TEMPERATURE_SPAN_C = -45.0, 175.0
CO2_PPM = 420
"""Air outdoors; the boxes do not breathe."""


def encode(
    sample_type: int, device_id: bytes, temperature_c: float | None, humidity_percent: float, co2_ppm: int | None = None
) -> bytes:
    """Return the bytes after the company identifier."""
    head = bytes((ADVERTISEMENT_TYPE, sample_type)) + device_id
    from_percent, span_percent = (-6.0, 125.0) if sample_type == SHT4X else (0.0, 100.0)
    humidity = steps((humidity_percent - from_percent) / span_percent, TICKS, 0, TICKS)
    co2 = b"" if co2_ppm is None else co2_ppm.to_bytes(2, "little")
    return head + struct.pack("<HH", temperature_ticks(temperature_c), humidity) + co2


def temperature_ticks(temperature_c: float | None) -> int:
    """Return the temperature as the sensor counts it."""
    if temperature_c is None:
        return TICKS
    return steps((temperature_c - TEMPERATURE_FROM_C) / TEMPERATURE_SPAN_C, TICKS, 0, TICKS)


class SensirionGadget(Firmware):
    """A gadget that broadcasts its newest sample, uncounted."""

    def _take(self, number: int, uptime_ms: float, sample: Sample) -> Take:
        del number, uptime_ms
        sample_type = MODELS[self.settings.model or "SHT4x"]
        co2_ppm = CO2_PPM if sample_type == SCD4X else None
        data = encode(sample_type, self.address_bytes[-2:], sample.temperature_c, sample.humidity_percent, co2_ppm)
        ticks = temperature_ticks(sample.temperature_c)
        mc = round(1000 * (TEMPERATURE_FROM_C + TEMPERATURE_SPAN_C * ticks / TICKS))
        return Take((Broadcast({COMPANY: data}),), None, None if sample.temperature_c is None else mc)
