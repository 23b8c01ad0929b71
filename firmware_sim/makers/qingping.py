"""Qingping thermo-hygrometers.

Source: Qingping's Bluetooth product SDK for the product numbers, the family of open parsers for the rest (no
document of the maker on the broadcast is public). Service data under 0xFDCD: frame control, product number, address
least significant byte first, then values as id, length, number (least significant byte first): 0x01 temperature and
humidity in tenths, 0x02 battery in percent, 0x07 pressure in tenths of a hectopascal, 0x0F packet counter.

No code for a missing value is known; a sensor that fails shows the smallest number of the field.
"""

import struct

from firmware_sim import battery
from firmware_sim.firmware import Firmware, Sample, Take
from firmware_sim.makers.integers import signed_16, unsigned_16
from firmware_sim.peripheral import Broadcast

UUID = "fdcd"
FRAME_CONTROL = 0x08
PRODUCTS = {"CGDK2": 0x10, "CGG1": 0x07, "CGP1W": 0x09}
WITH_PRESSURE = {"CGP1W"}
PACKET_IDS = 256
PA_PER_TENTH_HPA = 10


def encode(
    product: int,
    address: bytes,
    temperature_c: float | None,
    humidity_percent: float,
    percent: int,
    packet_id: int,
    pressure_pa: float | None = None,
) -> bytes:
    """Return the service data; ``address`` most significant byte first."""
    data = bytes((FRAME_CONTROL, product)) + address[::-1]
    data += struct.pack("<BBhH", 0x01, 4, signed_16(temperature_c, 10), unsigned_16(humidity_percent, 10))
    data += bytes((0x02, 1, percent))
    if pressure_pa is not None:
        return data + struct.pack("<BBH", 0x07, 2, unsigned_16(pressure_pa, 1 / PA_PER_TENTH_HPA))
    return data + bytes((0x0F, 1, packet_id % PACKET_IDS))


class QingpingMeter(Firmware):
    """A Temp & RH Monitor Lite, or another ``model``; the one with a barometer has no room for a packet counter."""

    def _take(self, number: int, uptime_ms: float, sample: Sample) -> Take:
        del uptime_ms
        model = self.settings.model or "CGDK2"
        has_pressure = model in WITH_PRESSURE
        data = encode(
            PRODUCTS[model],
            self.address_bytes,
            sample.temperature_c,
            sample.humidity_percent,
            battery.percent(sample.voltage_mv),
            number,
            sample.pressure_pa if has_pressure else None,
        )
        mc = None if sample.temperature_c is None else 100 * signed_16(sample.temperature_c, 10)
        return Take((Broadcast(service_data={UUID: data}),), None if has_pressure else number % PACKET_IDS, mc)
