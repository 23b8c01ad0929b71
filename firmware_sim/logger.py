"""A logger in its box on the radio: firmware joined to its surroundings and to what the radio carries of it."""

import math
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from firmware_sim.clock import DomainClock, to_ms
from firmware_sim.faults import FaultSchedule
from firmware_sim.firmware import LoggerSettings, Measurement
from firmware_sim.makers.table import MAKERS
from firmware_sim.misbehaviour import Misbehaviour
from firmware_sim.peripheral import Broadcast, Peripheral, Radio
from firmware_sim.propagation import Path, Reception
from firmware_sim.scenario import Box, Logger
from firmware_sim.world import CarriedBox

RSSI_NOISE_DB = 2.0
MAX_FOREIGN_BYTES = 8
"""It fits where the payload of any maker does."""
MS_PER_S = 1000


@dataclass(frozen=True)
class Run:
    """What all loggers of a run share. ``shift_ms`` is domain time minus the scenario file's time."""

    radio: Radio
    clock: DomainClock
    seed: int
    start_ms: int
    shift_ms: int


class SimulatedLogger:
    """One logger with its box; all times are domain time in milliseconds."""

    def __init__(self, box: Box, carried: CarriedBox, run: Run) -> None:
        self.box_code = box.code
        self.address = box.logger.address
        self.misbehaviour = Misbehaviour()
        self._settings = box.logger
        self._carried = carried
        self._run = run
        # A simulation repeats by its seed: no secrets are made here.
        self._random = random.Random(f"{run.seed} radio {self.address}")  # noqa: S311 - see above
        firmware_random = random.Random(f"{run.seed} tag {self.address}")  # noqa: S311 - see above
        maker = MAKERS[box.logger.maker]
        self.firmware, self.served = maker.make(
            _logger_settings(box.logger), run.start_ms, firmware_random, run.clock.now_ms, self.misbehaviour
        )
        self._dies_at_ms = math.inf if box.logger.dies_at is None else to_ms(box.logger.dies_at) + run.shift_ms
        self._events = _events(box, run.shift_ms)
        self._transmission_ms = self.firmware.first_heartbeat_ms
        self._is_away = False
        self._faults = FaultSchedule(box.logger.faults, run.shift_ms)
        self._told: list[tuple[int, str]] = []
        self._sent: Sequence[Broadcast] = ()
        path = box.logger.path
        self._reception = None if path is None else Reception(Path(**path.model_dump()), self._random)
        self.port = run.radio.add(
            Peripheral(
                self.address,
                box.logger.name or maker.name_of(self.address),
                self.served.services,
                lambda is_connected: self.served.connected(is_connected=is_connected),
            )
        )
        self.served.bind(self.port)

    def wakes_at_ms(self, stop_ms: float) -> float:
        """Return when there is something to do; after ``stop_ms`` nothing is measured. Infinity for a dead logger."""
        transmits_at_ms = self.firmware.time_at(self._transmission_ms)
        if transmits_at_ms >= self._dies_at_ms:
            return math.inf
        due_at_ms = self.firmware.due_at_ms
        return min(transmits_at_ms, due_at_ms if due_at_ms <= stop_ms else math.inf)

    def measure(self, now_ms: float) -> Iterator[Measurement]:
        """Take every measurement that is due by now, also those that a stall of the machine delayed."""
        while True:
            self._suffer(now_ms)
            due_at_ms = self.firmware.due_at_ms
            if due_at_ms > now_ms or due_at_ms >= self._dies_at_ms:
                return
            environment = self._carried.at((due_at_ms - self._run.start_ms) / MS_PER_S)
            if self.firmware.browns_out(environment):
                self.reboot(due_at_ms)
                self._told.append((due_at_ms, "brown_out"))
            else:
                yield self.firmware.measure(environment)

    def faults(self) -> Iterator[tuple[int, str]]:
        """Give what went wrong and was not told yet."""
        while self._told:
            yield self._told.pop(0)

    def reboot(self, at_ms: float) -> None:
        """Start the firmware again: a link is lost, and nothing is sent before the first measurement."""
        self.port.drop_link()
        self.firmware.reboot(at_ms)
        self._transmission_ms = self.firmware.first_heartbeat_ms

    def events(self, now_ms: float) -> Iterator[tuple[int, str]]:
        """Give what happened to the box by now and was not told yet, and let it have its effect on the radio."""
        while self._events and self._events[0][0] <= now_ms:
            at_ms, event = self._events.pop(0)
            self._is_away = event == "carried_away" or (self._is_away and event != "brought_back")
            self.port.in_range = not self._is_away and at_ms < self._dies_at_ms
            yield at_ms, event

    def transmit(self, running_ms: float) -> None:
        """Send what is due: one advertisement of the newest measurement, and the same to whoever is connected.

        What fell due before and was missed is gone, as it is for a receiver that did not listen.
        """
        # By the logger's own oscillator, as its measurements: both stay in step however long they run.
        late_ms = running_ms - round(self.firmware.time_at(self._transmission_ms))
        if late_ms < 0 or running_ms >= self._dies_at_ms:
            return
        interval_ms = self._settings.tx_interval_s * MS_PER_S
        self._transmission_ms += (late_ms // interval_ms + 1) * interval_ms
        if not self.firmware.broadcasts:
            return
        if not self.misbehaviour.is_frozen:
            self._sent = self.firmware.broadcasts
        rssi = self._receive()
        if rssi is None:
            return
        for broadcast in self._sent:
            self.port.advertise(broadcast, rssi)
        if self.misbehaviour.is_foreign:
            self.port.advertise(_foreign(self._sent[0], self._random), rssi)
        self.served.transmitted(self.firmware.broadcasts[0].payload)

    async def stop(self) -> None:
        """End a transfer that is under way."""
        await self.served.stop()

    def _suffer(self, now_ms: float) -> None:
        """Let go wrong what goes wrong before the next measurement, which a reboot puts off."""
        while True:
            at_ms = self._faults.next_at_ms
            if at_ms is None or at_ms > min(now_ms, self.firmware.due_at_ms):
                return
            self._told.append(self._faults.take(self))

    def _receive(self) -> int | None:
        """Return the signal strength of one packet at the receiver, None where it does not hear it."""
        if self._random.random() < self._settings.loss:
            return None
        if self._reception is not None:
            return self._reception.receive()
        return round(self._random.gauss(self._settings.rssi_dbm, RSSI_NOISE_DB))


def _logger_settings(logger: Logger) -> LoggerSettings:
    return LoggerSettings(
        address=logger.address,
        heartbeat_s=logger.heartbeat_s,
        has_memory=logger.memory,
        log_interval_s=logger.memory_interval_s,
        log_records=logger.memory_records,
        drift_ppm=logger.drift_ppm,
        offset_c=logger.offset_c,
        battery_age_days=logger.battery_age_days,
        first_number=logger.first_number,
        skips_first_record=logger.skips_first_record,
        bindkey=None if logger.bindkey is None else bytes.fromhex(logger.bindkey),
        model=logger.model,
        brown_out_mv=logger.brown_out_mv,
    )


def _foreign(broadcast: Broadcast, randomness: random.Random) -> Broadcast:
    """Return something else under the same identifier: another first byte, and noise of another length."""
    noise = bytes((broadcast.payload[0] ^ 0xFF,)) + randomness.randbytes(randomness.randrange(1, MAX_FOREIGN_BYTES))
    return Broadcast(
        dict.fromkeys(broadcast.manufacturer_data, noise),
        dict.fromkeys(broadcast.service_data, noise),
        broadcast.service_uuids,
    )


def _events(box: Box, shift_ms: int) -> list[tuple[int, str]]:
    events = [(interval.begins_at, "lid_opened") for interval in box.lid_open]
    events += [(interval.ends_at, "lid_closed") for interval in box.lid_open]
    events += [(away.begins_at, "carried_away") for away in box.carried_away]
    events += [(away.ends_at, "brought_back") for away in box.carried_away]
    if box.logger.dies_at is not None:
        events.append((box.logger.dies_at, "logger_died"))
    return sorted((to_ms(at) + shift_ms, event) for at, event in events)
