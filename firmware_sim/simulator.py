"""The simulator's process: all loggers of a scenario on one radio, played in domain time."""

import asyncio
import math
from pathlib import Path

from firmware_sim import peripheral, world
from firmware_sim.bluez import FakeBluez, Settings
from firmware_sim.bluez_radio import BluezRadio
from firmware_sim.clock import DomainClock, to_ms
from firmware_sim.logger import Run, SimulatedLogger
from firmware_sim.scenario import Radio, Scenario
from firmware_sim.truth import TruthFile

MIN_WAIT_S = 0.008
"""Loggers whose times lie closer together share one wake-up, or they would cost the processor one each."""


class Simulator:
    """Plays a scenario: ``async with`` shows the loggers, ``play`` runs until it is cancelled."""

    def __init__(
        self, scenario: Scenario, clock: DomainClock, radio: peripheral.Radio, truth: TruthFile, seed: int = 1
    ) -> None:
        self._clock = clock
        self._truth = truth
        self._radio = radio
        begins_ms = to_ms(scenario.clock.start)
        run = Run(
            radio=self._radio,
            clock=clock,
            seed=seed,
            start_ms=clock.start_ms,
            shift_ms=clock.start_ms - begins_ms,
        )
        stop_ms = to_ms(scenario.clock.stop) + run.shift_ms
        self._stop_ms = stop_ms if clock.stop_ms is None else min(stop_ms, clock.stop_ms)
        self.loggers = [
            SimulatedLogger(box, carried, run)
            for box, carried in zip(scenario.boxes, world.build(scenario), strict=True)
        ]
        truth.begin(seed, run.start_ms, run.shift_ms)

    async def play(self) -> None:
        """Accept clients and play the scenario; at its end measuring ends and advertising goes on."""
        try:
            await self._radio.start()
            print("READY", flush=True)  # noqa: T201 - whoever started this process waits for it
            while True:
                self._measure()
                running_ms = self._clock.running_ms()
                for logger in self.loggers:
                    logger.transmit(running_ms)
                await asyncio.sleep(self._wait_s())
        finally:
            for logger in self.loggers:
                await logger.stop()
            self._truth.flush()
            await self._radio.stop()

    def _measure(self) -> None:
        now_ms = min(self._clock.now_ms(), self._stop_ms)
        for logger in self.loggers:
            for measurement in logger.measure(now_ms):
                self._truth.tell_measurement(logger.address, measurement)
            for at_ms, fault in logger.faults():
                self._truth.tell_fault(logger.address, fault, at_ms)
            for at_ms, event in logger.events(now_ms):
                self._truth.tell_event(logger.box_code, logger.address, event, at_ms)
        self._truth.flush()

    def _wait_s(self) -> float:
        wakes_at_ms = min(logger.wakes_at_ms(self._stop_ms) for logger in self.loggers)
        if math.isinf(wakes_at_ms):
            return 1.0  # every battery is empty
        return max(MIN_WAIT_S, self._clock.real_s(wakes_at_ms - self._clock.running_ms()))


def bluez_radio(address: str, radio: Radio) -> BluezRadio:
    """Return the radio that is a fake BlueZ, with a bus at ``address``."""
    settings = Settings(
        rssi_delta_db=radio.rssi_delta_db,
        forget_after_s=radio.forget_after_s,
        connect_delay_s=radio.connect_delay_s,
        disconnect_delay_s=radio.disconnect_delay_s,
        connect_timeout_s=radio.connect_timeout_s,
    )
    return BluezRadio(FakeBluez(address, settings), radio.notifications_per_s)


async def run(scenario: Scenario, clock: DomainClock, radio: peripheral.Radio, truth_path: Path, seed: int) -> None:
    """Play a scenario until this task is cancelled; raises ``OSError`` where radio or truth cannot be made."""
    with TruthFile(truth_path) as truth:
        await Simulator(scenario, clock, radio, truth, seed).play()
