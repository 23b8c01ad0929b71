"""Which firmware stands for which maker."""

import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from firmware_sim.firmware import Firmware, LoggerSettings
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


MAKERS: dict[str, Maker[Any]] = {
    "ruuvi": Maker(RuuviTag, ServedRuuviTag, "Ruuvi {}"),
    "reference": Maker(ReferenceLogger, ServedReferenceLogger, "Coldchain {}"),
}
