"""SensorPush HT.w and HTP.xw.

Source: sensorpush.com/bluetooth-api for the services; the family of open parsers for the broadcast, which the maker has
not published. The manufacturer data has no company identifier: its first bytes, taken for one, change with the
values. Byte 0 is the model (from 64) and the page; then one number, least significant byte first, that packs the values
as digits of unequal base: temperature, humidity, pressure, each counted in steps from its lowest.

No code for a missing value is known; a sensor that fails shows the highest step.
"""

from firmware_sim.firmware import Firmware, Sample, Take
from firmware_sim.makers.integers import steps
from firmware_sim.misbehaviour import Misbehaviour
from firmware_sim.peripheral import Broadcast, Characteristic, Service
from firmware_sim.served import Now, Served

SERVICE = "ef090000-11d6-42ba-93b8-9dd7ec090ab0"
TEMPERATURE = "ef090080-11d6-42ba-93b8-9dd7ec090aa9"
HTP_XW, HT_W = 64, 65
MODELS = {"HT.w": HT_W, "HTP.xw": HTP_XW}
FIRST_MODEL = 64
TEMPERATURE_STEPS = {HT_W: 66_000, HTP_XW: 72_000}
HUMIDITY_STEPS = 40_000
PRESSURE_STEPS = 95_000
_BYTES = {HT_W: 4, HTP_XW: 6}
STEPS_PER_UNIT = 400
LOWEST_C = -40.0
LOWEST_PA = 30_000.0


def encode(model: int, temperature_c: float | None, humidity_percent: float, pressure_pa: float) -> bytes:
    """Return the manufacturer data, its first two bytes included."""
    packed = temperature_step(model, temperature_c)
    base = TEMPERATURE_STEPS[model] + 1
    packed += base * steps(humidity_percent, STEPS_PER_UNIT, 0, HUMIDITY_STEPS)
    if model == HTP_XW:
        packed += base * (HUMIDITY_STEPS + 1) * steps(pressure_pa - LOWEST_PA, 1, 0, PRESSURE_STEPS)
    page = 0
    return bytes(((model - FIRST_MODEL) << 2 | page,)) + packed.to_bytes(_BYTES[model], "little")


def temperature_step(model: int, temperature_c: float | None) -> int:
    """Return the temperature in steps of 0.0025 °C above -40 °C."""
    highest = TEMPERATURE_STEPS[model]
    return highest if temperature_c is None else steps(temperature_c - LOWEST_C, STEPS_PER_UNIT, 0, highest)


class SensorPush(Firmware):
    """A sensor that broadcasts its newest sample, uncounted."""

    newest_c: float | None = None

    def _take(self, number: int, uptime_ms: float, sample: Sample) -> Take:
        del number, uptime_ms
        model = MODELS[self.settings.model or "HT.w"]
        data = encode(model, sample.temperature_c, sample.humidity_percent, sample.pressure_pa)
        self.newest_c = sample.temperature_c
        mc = round(1000 * (LOWEST_C + temperature_step(model, sample.temperature_c) / STEPS_PER_UNIT))
        company = int.from_bytes(data[:2], "little")
        broadcast = Broadcast({company: data[2:]}, service_uuids=(SERVICE,))
        return Take((broadcast,), None, None if sample.temperature_c is None else mc)


class ServedSensorPush(Served):
    """The newest temperature in hundredths of a degree, measured anew when 01000000 is written to it."""

    def __init__(self, sensor: SensorPush, now: Now, misbehaviour: Misbehaviour) -> None:
        del now, misbehaviour
        self._sensor = sensor
        self._value = bytes(4)
        temperature = Characteristic(
            TEMPERATURE, ("read", "write"), on_read=lambda: self._value, on_write=self._measure
        )
        self.services = (Service(SERVICE, (temperature,)),)

    def _measure(self, data: bytes) -> None:
        if data == b"\x01\x00\x00\x00":
            self._value = round(100 * (self._sensor.newest_c or 0.0)).to_bytes(4, "little", signed=True)
