"""A logger in its box on the radio: a RuuviTag joined to what BlueZ sees of it."""

import asyncio
import math
import random
from collections.abc import Iterator
from dataclasses import dataclass

from firmware_sim import rawv2
from firmware_sim.bluez import Characteristic, FakeBluez, Service
from firmware_sim.clock import DomainClock, to_ms
from firmware_sim.history import NUS_RX, NUS_SERVICE, NUS_TX
from firmware_sim.ruuvitag import GATT_HEARTBEAT_BYTES, Measurement, RuuviTag, TagSettings
from firmware_sim.scenario import Box, Logger
from firmware_sim.world import CarriedBox

RSSI_NOISE_DB = 2.0
BURST = 6
"""Notifications in one connection event, about what a tag and a Linux host agree on."""
MS_PER_S = 1000


@dataclass(frozen=True)
class Run:
    """What all loggers of a run share. ``shift_ms`` is domain time minus the scenario file's time."""

    bluez: FakeBluez
    clock: DomainClock
    seed: int
    start_ms: int
    shift_ms: int
    notifications_per_s: float


class SimulatedLogger:
    """One tag with its box; all times are domain time in milliseconds."""

    def __init__(self, box: Box, carried: CarriedBox, run: Run) -> None:
        self.box_code = box.code
        self.address = box.logger.address
        self._settings = box.logger
        self._carried = carried
        self._run = run
        # A simulation repeats by its seed: no secrets are made here.
        self._random = random.Random(f"{run.seed} radio {self.address}")  # noqa: S311 - see above
        tag_random = random.Random(f"{run.seed} tag {self.address}")  # noqa: S311 - see above
        self.tag = RuuviTag(_tag_settings(box.logger), run.start_ms, tag_random)
        self._dies_at_ms = math.inf if box.logger.dies_at is None else to_ms(box.logger.dies_at) + run.shift_ms
        self._events = _events(box, run.shift_ms)
        self._transmission_ms = self.tag.first_heartbeat_ms
        self._is_away = False
        self._tx = Characteristic(NUS_TX, ["notify"])
        rx = Characteristic(NUS_RX, ["write", "write-without-response"], on_write=self._take_request)
        self.device = run.bluez.add_device(
            self.address,
            name=box.logger.name or f"Ruuvi {self.address[-5:].replace(':', '')}",
            services=[Service(NUS_SERVICE, [rx, self._tx])],
        )
        self._transfer: asyncio.Task[None] | None = None

    def wakes_at_ms(self, stop_ms: float) -> float:
        """Return when there is something to do; after ``stop_ms`` nothing is measured. Infinity for a dead tag."""
        transmits_at_ms = self.tag.time_at(self._transmission_ms)
        if transmits_at_ms >= self._dies_at_ms:
            return math.inf
        due_at_ms = self.tag.due_at_ms
        return min(transmits_at_ms, due_at_ms if due_at_ms <= stop_ms else math.inf)

    def measure(self, now_ms: float) -> Iterator[Measurement]:
        """Take every measurement that is due by now, also those that a stall of the machine delayed."""
        while self.tag.due_at_ms <= now_ms and self.tag.due_at_ms < self._dies_at_ms:
            environment = self._carried.at((self.tag.due_at_ms - self._run.start_ms) / MS_PER_S)
            yield self.tag.measure(environment)

    def events(self, now_ms: float) -> Iterator[tuple[int, str]]:
        """Give what happened to the box by now and was not told yet, and let it have its effect on the radio."""
        while self._events and self._events[0][0] <= now_ms:
            at_ms, event = self._events.pop(0)
            self._is_away = event == "carried_away" or (self._is_away and event != "brought_back")
            self.device.in_range = not self._is_away and at_ms < self._dies_at_ms
            yield at_ms, event

    def transmit(self, running_ms: float) -> None:
        """Send what is due: one advertisement of the newest measurement, and the same to whoever is connected.

        What fell due before and was missed is gone, as it is for a receiver that did not listen.
        """
        # By the tag's own oscillator, as its measurements: both stay in step however long they run.
        late_ms = running_ms - round(self.tag.time_at(self._transmission_ms))
        if late_ms < 0 or running_ms >= self._dies_at_ms:
            return
        interval_ms = self._settings.tx_interval_s * MS_PER_S
        self._transmission_ms += (late_ms // interval_ms + 1) * interval_ms
        payload = self.tag.payload
        if payload is None or self._random.random() < self._settings.loss:
            return
        rssi = round(self._random.gauss(self._settings.rssi_dbm, RSSI_NOISE_DB))
        self.device.advertise({rawv2.MANUFACTURER_ID: payload}, rssi=rssi, service_uuids=[NUS_SERVICE])
        if self._transfer is None:
            self._tx.notify(payload[:GATT_HEARTBEAT_BYTES])

    async def stop(self) -> None:
        """End a transfer that is under way."""
        if self._transfer is not None:
            self._transfer.cancel()
            await asyncio.gather(self._transfer, return_exceptions=True)

    def _take_request(self, data: bytes) -> None:
        """Begin to send the log; while one is being sent the firmware is busy and takes no other request."""
        if self._transfer is None:
            frames = self.tag.answer(data, self._run.clock.now_ms())
            self._transfer = asyncio.create_task(self._send(frames), name=f"log of {self.address}")
            self._transfer.add_done_callback(self._finish)

    def _finish(self, _transfer: asyncio.Task[None]) -> None:
        self._transfer = None

    async def _send(self, frames: Iterator[bytes]) -> None:
        for number, frame in enumerate(frames, start=1):
            if not self._tx.notify(frame):
                return
            if number % BURST == 0:
                await asyncio.sleep(BURST / self._run.notifications_per_s)


def _tag_settings(logger: Logger) -> TagSettings:
    return TagSettings(
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
    )


def _events(box: Box, shift_ms: int) -> list[tuple[int, str]]:
    events = [(interval.begins_at, "lid_opened") for interval in box.lid_open]
    events += [(interval.ends_at, "lid_closed") for interval in box.lid_open]
    events += [(away.begins_at, "carried_away") for away in box.carried_away]
    events += [(away.ends_at, "brought_back") for away in box.carried_away]
    if box.logger.dies_at is not None:
        events.append((box.logger.dies_at, "logger_died"))
    return sorted((to_ms(at) + shift_ms, event) for at, event in events)
