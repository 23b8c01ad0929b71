"""Simulated loggers of all makers on the fake BlueZ, for tests of what the vehicle makes of them."""

from __future__ import annotations

import random

from firmware_sim.bluez import FakeBluez
from firmware_sim.bluez_radio import BluezRadio
from firmware_sim.firmware import Environment, LoggerSettings, Take
from firmware_sim.makers.table import MAKERS
from firmware_sim.misbehaviour import Misbehaviour
from firmware_sim.peripheral import Broadcast, Peripheral
from tests.vehicle.samples import T0

BINDKEY = "231d39c1d7cc1ab1aee224cd096db932"
KINDS = {
    "ruuvitag": ("ruuvi", ""),
    "reference": ("reference", ""),
    "bthome": ("bthome", ""),
    "bluemaestro": ("bluemaestro", "23"),
    "bluemaestro 13": ("bluemaestro", "13"),
    "bluemaestro 42": ("bluemaestro", "42"),
    "sensorpush": ("sensorpush", "HT.w"),
    "sensorpush HTP.xw": ("sensorpush", "HTP.xw"),
    "sensirion": ("sensirion", "SHT4x"),
    "sensirion SCD4x": ("sensirion", "SCD4x"),
    "thermobeacon": ("thermobeacon", "17"),
    "qingping": ("qingping", "CGDK2"),
}
"""Kind as it is enrolled, with a model behind it where there are several → the simulator's maker and model."""


class Simulated:
    """One logger: it measures when the test says so, and its clock runs with its measurements."""

    def __init__(self, bluez: FakeBluez, address: str, kind: str, **settings: object) -> None:
        maker_name, model = KINDS[kind]
        maker = MAKERS[maker_name]
        self.misbehaviour = Misbehaviour()
        self.now_ms = float(T0)
        options = LoggerSettings(address, **{"heartbeat_s": 10.0, "model": model, **settings})  # type: ignore[arg-type]  # a test's own
        randomness = random.Random(1)  # noqa: S311  repeatable, not secret
        self.firmware, self.served = maker.make(options, T0, randomness, lambda: self.now_ms, self.misbehaviour)
        self.port = BluezRadio(bluez, 1e6).add(
            Peripheral(
                address,
                maker.name_of(address),
                self.served.services,
                lambda is_connected: self.served.connected(is_connected=is_connected),
            )
        )
        self.served.bind(self.port)

    def measure(self, temperature_c: float = 5.0, *, aloud: bool = True) -> Take:
        """Take the next measurement, and broadcast it unless it happens out of earshot."""
        measurement = self.firmware.measure(Environment(temperature_c, 60.0, 100_000.0))
        self.now_ms = measurement.at_ms
        if aloud:
            self.advertise(*measurement.take.broadcasts)
        return measurement.take

    def advertise(self, *broadcasts: Broadcast, rssi: int = -60) -> None:
        """Broadcast packets, by default those of the newest measurement."""
        for broadcast in broadcasts or self.firmware.broadcasts:
            self.port.advertise(broadcast, rssi)
