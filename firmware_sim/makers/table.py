"""Which firmware stands for which maker."""

import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from firmware_sim.firmware import Firmware, LoggerSettings
from firmware_sim.makers import bluemaestro, qingping, sensirion, sensorpush, thermobeacon
from firmware_sim.makers.bluemaestro import BlueMaestro, ServedBlueMaestro
from firmware_sim.makers.bthome import BthomeSensor
from firmware_sim.makers.qingping import QingpingMeter
from firmware_sim.makers.sensirion import SensirionGadget
from firmware_sim.makers.sensorpush import SensorPush, ServedSensorPush
from firmware_sim.makers.thermobeacon import ServedThermoBeacon, ThermoBeacon
from firmware_sim.misbehaviour import Misbehaviour
from firmware_sim.reference.firmware import ReferenceLogger
from firmware_sim.reference.served import ServedReferenceLogger
from firmware_sim.ruuvitag import RuuviTag
from firmware_sim.served import Now, Served, ServedRuuviTag

_AnyFirmware = TypeVar("_AnyFirmware", bound=Firmware)


@dataclass(frozen=True)
class Maker(Generic[_AnyFirmware]):
    """One maker's firmware, what it serves, and the name that it broadcasts."""

    build: Callable[[LoggerSettings, int, random.Random], _AnyFirmware]
    serve: Callable[[_AnyFirmware, Now, Misbehaviour], Served]
    name: str
    """``{}`` stands for the last four digits of the address."""
    models: frozenset[str] = frozenset()
    """Those that ``LoggerSettings.model`` may name."""

    def make(
        self,
        settings: LoggerSettings,
        booted_at_ms: int,
        randomness: random.Random,
        now: Now,
        misbehaviour: Misbehaviour,
    ) -> tuple[Firmware, Served]:
        """Return one logger, switched on at that time, and what it serves."""
        firmware = self.build(settings, booted_at_ms, randomness)
        return firmware, self.serve(firmware, now, misbehaviour)

    def name_of(self, address: str) -> str:
        """Return the name that the logger at this address broadcasts."""
        return self.name.format(address[-5:].replace(":", ""))


def _no_services(_firmware: Firmware, _now: Now, _misbehaviour: Misbehaviour) -> Served:
    return Served()


MAKERS: dict[str, Maker[Any]] = {
    "ruuvi": Maker(RuuviTag, ServedRuuviTag, "Ruuvi {}"),
    "reference": Maker(ReferenceLogger, ServedReferenceLogger, "Coldchain {}"),
    "bthome": Maker(BthomeSensor, _no_services, "BTHome {}"),
    "bluemaestro": Maker(BlueMaestro, ServedBlueMaestro, "{}", frozenset(bluemaestro.MODELS)),
    "sensorpush": Maker(SensorPush, ServedSensorPush, "SensorPush HT.w {}", frozenset(sensorpush.MODELS)),
    "sensirion": Maker(SensirionGadget, _no_services, "SHT4x Gadget", frozenset(sensirion.MODELS)),
    "thermobeacon": Maker(ThermoBeacon, ServedThermoBeacon, "ThermoBeacon", frozenset(thermobeacon.MODELS)),
    "qingping": Maker(QingpingMeter, _no_services, "Qingping Temp RH Lite", frozenset(qingping.PRODUCTS)),
}
