"""Which firmware stands for which maker."""

import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

from firmware_sim.firmware import Firmware, LoggerSettings
from firmware_sim.misbehaviour import Misbehaviour
from firmware_sim.ruuvitag import RuuviTag
from firmware_sim.served import Now, Served, ServedRuuviTag

_AnyFirmware = TypeVar("_AnyFirmware", bound=Firmware)


@dataclass(frozen=True)
class Maker(Generic[_AnyFirmware]):
    """One maker's firmware, what it serves, and the name that it broadcasts."""

    build: Callable[[LoggerSettings, int, random.Random], _AnyFirmware]
    serve: Callable[[_AnyFirmware, Now, Misbehaviour], Served]
    name: Callable[[str], str]
    """From the address."""


def _tail(address: str) -> str:
    return address[-5:].replace(":", "")


MAKERS = {
    "ruuvi": Maker(RuuviTag, ServedRuuviTag, lambda address: f"Ruuvi {_tail(address)}"),
}
