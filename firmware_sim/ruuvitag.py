"""A RuuviTag as its firmware (3.x) behaves.

Each heartbeat replaces the payload of the advertisements, which repeat at their own interval; its 16-bit counter goes
from 65534 to 0. Every few minutes a measurement is also kept in the log memory, which a reader asks for over the
Nordic UART service. While a reader listens there, each measurement is sent to it as well: the first 18 bytes of the
advertisement, the address cut off. A reboot empties the log: its times were counted from the boot.

The firmware's defaults are 1.285 s between advertisements and 2.57 s between measurements, five minutes and about
2,880 records (ten days) for the log.
"""

import random
from collections.abc import Iterator

from firmware_sim import history, rawv2
from firmware_sim.firmware import Firmware, LoggerSettings, Sample, Take
from firmware_sim.history import NUS_SERVICE, Memory, Record
from firmware_sim.peripheral import Broadcast
from firmware_sim.rawv2 import Beacon

ADVERTISEMENT_S = 1.285
HEARTBEAT_S = 2 * ADVERTISEMENT_S
LOG_INTERVAL_S = 300.0
LOG_RECORDS = 2880
TX_POWER_DBM = 4
GATT_HEARTBEAT_BYTES = 18
_NOISE_MG = 8.0
_GRAVITY_MG = 1000
_MOVEMENT_CHANCE = 0.05


class RuuviTag(Firmware):
    """One tag; see ``Firmware``."""

    def __init__(self, settings: LoggerSettings, booted_at_ms: int, randomness: random.Random) -> None:
        super().__init__(settings, booted_at_ms, randomness)
        self.memory: Memory[Record] = Memory(settings.log_interval_s, settings.log_records)
        self._movements = randomness.randrange(rawv2.MOVEMENT_VALUES)

    def reboot(self, at_ms: float) -> None:
        """Start again with an empty log."""
        super().reboot(at_ms)
        self.memory = Memory(self.settings.log_interval_s, self.settings.log_records)

    def answer(self, request: bytes, now_ms: float) -> Iterator[bytes]:
        """Give the notifications that answer what was written to the UART service; none for nonsense.

        A model without log memory answers that its log has ended.
        """
        parsed = history.parse_request(request)
        if parsed is None:
            return iter(())
        records = tuple(self.memory)  # the log goes on while it is being read
        return history.answer(parsed, records, self.uptime_ms(now_ms), skips_first=self.settings.skips_first_record)

    def _take(self, number: int, uptime_ms: float, sample: Sample) -> Take:
        noise = self._random.gauss
        if self._random.random() < _MOVEMENT_CHANCE:
            self._movements += 1
        beacon = Beacon(
            self.address_bytes,
            sample.temperature_c,
            sample.humidity_percent,
            sample.pressure_pa,
            (round(noise(0, _NOISE_MG)), round(noise(0, _NOISE_MG)), round(noise(_GRAVITY_MG, _NOISE_MG))),
            sample.voltage_mv,
            TX_POWER_DBM,
            self._movements,
            number,
        )
        broadcast = Broadcast({rawv2.MANUFACTURER_ID: rawv2.encode(beacon)}, service_uuids=(NUS_SERVICE,))
        counter = number % rawv2.COUNTER_VALUES
        if sample.temperature_c is None:
            return Take((broadcast,), counter, None)
        record = Record(
            number,
            int(uptime_ms // 1000),
            round(sample.temperature_c * 100),
            round(sample.humidity_percent * 100),
            round(sample.pressure_pa),
        )
        is_kept = self.settings.has_memory and self.memory.offer(uptime_ms, record)
        temperature_mc = rawv2.temperature_steps(sample.temperature_c) * rawv2.MC_PER_STEP
        return Take((broadcast,), counter, temperature_mc, record.temperature_cc if is_kept else None)
