"""The scenario with one logger of each maker, played through at once."""

from pathlib import Path

import firmware_sim
from firmware_sim import scenario, world
from firmware_sim.bluez import FakeBluez
from firmware_sim.bluez_radio import BluezRadio
from firmware_sim.clock import DomainClock, to_ms
from firmware_sim.logger import Run, SimulatedLogger
from firmware_sim.makers.table import MAKERS

MAKERS_FILE = Path(firmware_sim.__file__).parent / "scenarios" / "makers.toml"


def test_every_maker_is_there() -> None:
    assert {box.logger.maker for box in scenario.load(MAKERS_FILE).boxes} == MAKERS.keys()


async def test_two_hours(bluez: FakeBluez) -> None:
    trip = scenario.load(MAKERS_FILE)
    start_ms, stop_ms = to_ms(trip.clock.start), to_ms(trip.clock.stop)
    run = Run(BluezRadio(bluez, 1e6), DomainClock(start_ms, 1.0, 0, stop_ms), seed=1, start_ms=start_ms, shift_ms=0)
    told: dict[str, set[str]] = {}
    for box, carried in zip(trip.boxes, world.build(trip), strict=True):
        logger = SimulatedLogger(box, carried, run)
        measurements = list(logger.measure(stop_ms))
        logger.transmit(stop_ms)
        assert len(measurements) > 60
        told[box.code] = {fault for _, fault in logger.faults()}
    assert told["REFERENCE"] >= {"reboot", "bad_log_begins", "no_value_ends"}
    assert told["THERMOBEACON"] == {"brown_out"}
    assert told["SENSIRION"] == {"stuck_begins", "stuck_ends", "jump"}
    assert told["RUUVI"] == set()
