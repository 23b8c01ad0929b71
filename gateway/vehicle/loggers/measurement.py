"""What a logger says of one measurement, whoever made the logger."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from gateway.core.errors import ColdchainError


class AdvertisementError(ColdchainError):
    """What bears an enrolled logger's address and identifier cannot be understood. `code` is stable, for counting."""

    def __init__(self, code: str, reason: str) -> None:
        self.code = code
        self.reason = reason
        super().__init__(f"{code}: {reason}")


@dataclass(frozen=True, slots=True)
class Packet:
    """One advertisement as the radio hands it on. UUIDs are of 36 lower-case characters; `rssi` in dBm."""

    address: str
    name: str = ""
    rssi: int = 0
    manufacturer_data: Mapping[int, bytes] | None = None
    service_data: Mapping[str, bytes] | None = None
    service_uuids: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Measurement:
    """One measurement as advertised; None where the logger does not say.

    temperature_mc  millidegrees Celsius, None also where the sensor gave none
    humidity_cpct   relative humidity in 0.01 %
    pressure_pa     pascal
    battery_mv      millivolts
    movements       movement counter, 8 bits
    counter         number of the measurement, if it names one for half a day or more; it may wrap
    address         the logger's own address, "C0:FF:EE:00:00:01"
    battery_pct     battery in percent, where the maker tells that instead of a voltage
    light_lux       lux
    code_mc         what stood in place of the temperature: an end of the format's range, no measurement
    battery_low     the logger calls its battery low
    """

    temperature_mc: int | None
    humidity_cpct: int | None = None
    pressure_pa: int | None = None
    battery_mv: int | None = None
    movements: int | None = None
    counter: int | None = None
    address: str | None = None
    battery_pct: int | None = None
    light_lux: int | None = None
    code_mc: int | None = None
    battery_low: bool = False
