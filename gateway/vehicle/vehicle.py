"""The vehicle: radio → recorder → outbox → hub, and the alarm beside it.

Recording depends on the radio and the disk alone. Network, hub and driver's page may be missing for days.
"""

from __future__ import annotations

import asyncio
import logging
import random
import sqlite3
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path
from typing import TypeVar

import httpx

from gateway.clock import Clock
from gateway.core.configuration import Configuration
from gateway.core.custody import boxes_here, handed_over
from gateway.core.observations import Observation, Source
from gateway.core.records import ClockCorrection, DeviceFault, Health, Stop
from gateway.core.verdicts import Judgement
from gateway.keys import PinnedKey, check_any
from gateway.vehicle.adoption import Adoption
from gateway.vehicle.alarm import Alarm
from gateway.vehicle.backfill import Backfill
from gateway.vehicle.backlog import Backlog
from gateway.vehicle.custody import LOOK_BACK_MS as CUSTODY_LOOK_BACK_MS
from gateway.vehicle.custody import CustodyDesk, find_custody
from gateway.vehicle.driver import PORT_FILE, DriverServer, make_app
from gateway.vehicle.enrolled import enrolled_loggers
from gateway.vehicle.enrolment import Enrolment, save_enrolment
from gateway.vehicle.faults import FaultDetector
from gateway.vehicle.gpsd import GpsReceiver
from gateway.vehicle.loggers.measurement import Measurement
from gateway.vehicle.loggers.memories import NAMED
from gateway.vehicle.loggers.numbering import Order
from gateway.vehicle.memory_desk import MemoryDesk
from gateway.vehicle.moments import Moment, read_moment
from gateway.vehicle.outbox import Outbox, Sealed
from gateway.vehicle.radio import Radio
from gateway.vehicle.recorder import Recorder, Stretch
from gateway.vehicle.screen.page import serve_screen
from gateway.vehicle.screen.scene import Scene
from gateway.vehicle.sealer import Sealer
from gateway.vehicle.settings import VehicleSettings
from gateway.vehicle.state import (
    BackfillView,
    BoxView,
    ClockState,
    Latest,
    LinkView,
    OutboxView,
    VehicleState,
    view_boxes,
    view_radio,
)
from gateway.vehicle.stops import Fix, StopDetector
from gateway.vehicle.storage import Storage
from gateway.vehicle.supervision import Supervision
from gateway.vehicle.time_sources import TimeSources
from gateway.vehicle.timekeeping import Timekeeping, VehicleClock
from gateway.vehicle.uplink import Uplink

log = logging.getLogger(__name__)

T = TypeVar("T")
TRIM_INTERVAL_S = 3600
LOOK_INTERVAL_S = 60
"""Domain seconds between looks for loggers that fell silent."""
FLOOR_SEGMENTS = 20_000
"""Segments read back for the last time that was trusted: a week of sealing without a clock, some seconds."""
HUB_KEYS_KEPT = 8
"""Earlier keys of the hub that are remembered: one of them signed the configuration on the card."""
REBOOTED = "rebooted"
LOOK_BACK_MS = 86_400_000
"""How far back the log is read at the start for each logger's last observation: a day is 2,880 segments, well under a
second. A logger that was away for longer is asked since its box was loaded."""


@dataclass(frozen=True, slots=True)
class LastSealed:
    """What an earlier run recorded last of a logger: UTC in ms, the number, and UTC of its last reboot.

    `observed_ms` is the last time that was trusted, None if there is none: what came after it is asked for again.
    """

    observed_ms: int | None
    counter: int | None
    rebooted_ms: int | None


class Vehicle:
    """One gateway, put together from its rooms."""

    def __init__(
        self,
        settings: VehicleSettings,
        enrolment: Enrolment,
        storage: Storage,
        client: httpx.AsyncClient,
        clock: Clock,
        rng: random.Random | None = None,
    ) -> None:
        rng = rng or random.Random()  # noqa: S311  jitter, no secret
        self._enrolment = enrolment
        check = PinnedKey(enrolment.hub_key, self._on_hub_key).check
        self._settings = settings
        self._storage = storage
        self._sources = TimeSources(clock)
        self._clock = clock = VehicleClock(clock, self._sources, floor_ms=last_trusted_ms(storage.outbox))
        self._latest = Latest()
        self._last_sealed: dict[str, LastSealed] = {}
        self._faults = FaultDetector()
        self._device_faults = 0
        self._recorder = Recorder(settings.recording.interval_s)
        self._sealer = Sealer(
            clock, self._recorder, storage.outbox, storage.disk, interval_s=settings.recording.seal_interval_s
        )
        self._radio = Radio(settings.radio, self._on_measurement, self._on_radio_fault, rng=rng)
        self._backfill = Backfill(
            self._radio, Backlog(rng), self._sealer, clock, connections=settings.radio.connections
        )
        self._adoption = Adoption(settings.gateway, check)
        self._uplink = Uplink(settings, storage, self._adoption, check, clock, rng=rng)
        self._alarm = Alarm(settings.gateway, client, storage, clock, rng=rng)
        self._timekeeping = Timekeeping(clock, self._sealer.note, self._on_time_known)
        self._provisional: list[Stretch] = []
        self._held: tuple[Stretch, ...] = ()
        self._stops = StopDetector()
        address = settings.gpsd.host_and_port
        self._gps = address and GpsReceiver(
            address,
            position=settings.gpsd.position,
            on_time=self._sources.hear_gps,
            on_fix=self._on_fix,
            rng=rng,
        )
        self.memories = MemoryDesk(self._backfill, self._radio, clock, self._miss)
        self._supervision = Supervision(rng)
        self._sealer.on_sealed += [self._alarm.take, self._on_sealed]
        self._configuration: Configuration | None = None
        self._adoption.on_adopted.append(self._extend_configuration)
        self.custody = CustodyDesk(self._sealer, lambda: read_moment(clock), rng)
        self.custody.on_change.append(self._on_custody)
        app = make_app(self.state, self.memories)
        serve_screen(app, settings.driver, self.custody, self.scene, clock.monotonic_ms)
        self._driver = DriverServer(settings.driver, app)

    async def run(self, on_ready: Callable[[int], None]) -> None:
        """Work until cancelled. `on_ready(port)` is told the port of the driver's page once all is begun."""
        try:
            await self._recall()
            self._port_file.write_text(f"{self._driver.port}\n", encoding="ascii")
            on_ready(self._driver.port)
            await self._supervision.run(
                {
                    "radio": self._radio.scan,
                    "sealer": self._sealer.run,
                    "backfill": self._backfill.run,
                    "uplink": self._uplink.run,
                    "alarm": self._alarm.run,
                    "timekeeping": self._timekeeping.run,
                    "time sources": self._sources.run,
                    **({"gpsd": self._gps.run} if self._gps else {}),
                    "health": self._report_health,
                    "trim": self._trim,
                    "faults": self._look_for_silence,
                    "driver": self._driver.run,
                }
            )
        finally:
            self._port_file.unlink(missing_ok=True)
            await self._finish()

    async def read_memories(self, work: Callable[[], Awaitable[T]]) -> T:
        """Hear loggers and read memories into the log, but talk to nobody else, while `work` lasts.

        The next run of the vehicle delivers what was recorded.
        """
        rooms: dict[str, Callable[[], Awaitable[None]]] = {
            "radio": self._radio.scan,
            "sealer": self._sealer.run,
            "backfill": self._backfill.run,
            "timekeeping": self._timekeeping.run,
            "time sources": self._sources.run,
        }
        try:
            await self._recall()
            working = asyncio.create_task(self._supervision.run(rooms), name="rooms")
            try:
                return await work()
            finally:
                working.cancel()
                await asyncio.gather(working, return_exceptions=True)
        finally:
            await self._finish()

    async def _finish(self) -> None:
        self._driver.close()
        try:
            await self._sealer.seal_waiting()
        except sqlite3.Error as error:
            log.error("what was heard last could not be sealed: %s", error)  # noqa: TRY400  the reason says it

    @property
    def _port_file(self) -> Path:
        return self._settings.data_dir / PORT_FILE

    # --- from one room to the next

    def _on_measurement(self, address: str, measurement: Measurement) -> None:
        moment = read_moment(self._clock)
        self._backfill.heard(address)
        heard = self._recorder.hear(address, measurement, moment)
        self._note_faults(self._faults_of(address, measurement, heard.order, moment))
        if heard.order is Order.OLD:
            return
        if measurement.temperature_mc is not None:
            self._latest.hear(address, moment.at_ms, measurement.temperature_mc)
        if heard.missing is not None:
            self._miss(heard.missing)
        if heard.urgent:
            self._sealer.hurry()

    def _on_radio_fault(self, code: str, detail: Mapping[str, int]) -> None:
        moment = read_moment(self._clock)
        self._note_faults([DeviceFault(moment.at_ms, moment.trusted, "", code, dict(detail))])

    def _faults_of(self, address: str, measurement: Measurement, order: Order, moment: Moment) -> list[DeviceFault]:
        detail = {} if measurement.counter is None else {"counter": measurement.counter}
        match order:
            case Order.REPEATED:
                return []
            case Order.OLD:
                return self._faults.tell(address, "replayed", moment, detail)
            case Order.REBOOTED:
                told = self._faults.tell(address, REBOOTED, moment, detail)
                return told + self._faults.hear(address, measurement, moment)
            case Order.NEXT:
                return self._faults.hear(address, measurement, moment)

    def _note_faults(self, faults: list[DeviceFault]) -> None:
        for fault in faults:
            log.warning("%s: %s %s", f"logger {fault.logger}" if fault.logger else "gateway", fault.code, fault.detail)
            self._device_faults += 1
            self._sealer.note(fault)

    def _on_fix(self, fix: Fix) -> None:
        """What leaves here is a name or a number, never a position."""
        moment = read_moment(self._clock)
        for change in self._stops.hear(fix, moment.monotonic_ms):
            at_ms = moment.at_ms - moment.monotonic_ms + change.monotonic_ms
            self._sealer.note(
                Stop(at_ms, moment.trusted, change.act, change.place, change.is_site, change.monotonic_ms)
            )

    def _on_sealed(self, sealed: Sealed) -> None:
        self._backfill.observed(sealed.content.observations)
        self._uplink.tell_sealed()

    def _on_custody(self) -> None:
        if self._adoption.configuration is not None:
            self._extend_configuration(self._adoption.configuration)

    def _extend_configuration(self, adopted: Configuration) -> None:
        """Go by the hub's configuration and by what was registered here since."""
        extended = self.custody.extend(adopted)
        if extended != self._configuration:
            self._configuration = extended
            self._on_adopted(extended)
            self._alarm.adopt(extended)

    def _on_adopted(self, configuration: Configuration) -> None:
        self._sealer.config_version = configuration.version
        self._stops.sites = configuration.sites
        loggers = enrolled_loggers(configuration)
        kinds = {logger.address: logger.kind for logger in configuration.loggers if logger.box is not None}
        self._faults.enrol(kinds, read_moment(self._clock))
        late = self._recorder.enrol(loggers)
        for logger, last in self._last_sealed.items():
            self._recorder.resume(logger, last.observed_ms, last.counter, last.rebooted_ms)
        self._backfill.intervals_s = {
            address: enrolled.memory_interval_s
            for address, enrolled in loggers.items()
            if enrolled.memory_interval_s is not None
        }
        self._backfill.named = {logger.address for logger in configuration.loggers if logger.kind in NAMED}
        self._radio.enrol(configuration.loggers)
        for stretch in late:
            self._miss(stretch)

    def _on_hub_key(self, key: bytes) -> None:
        """The hub has handed over to another key; if the card forgets it, the next signature tells it again."""
        known = self._enrolment
        former = (known.hub_public_key, *known.former_hub_keys)[:HUB_KEYS_KEPT]
        self._enrolment = known.model_copy(update={"hub_public_key": key.hex(), "former_hub_keys": former})
        log.warning("the hub has a new key, %s, which the pinned one has signed for", key.hex())
        try:
            save_enrolment(self._settings.data_dir, self._enrolment)
        except OSError as error:
            log.error("the hub's new key could not be kept: %s", error)  # noqa: TRY400  the reason says it

    def _miss(self, stretch: Stretch) -> None:
        log.info("missing of %s: %.1f min", stretch.logger, (stretch.to_ms - stretch.from_ms) / 60_000)
        self._sealer.miss(stretch)
        self._backfill.add(stretch)
        if not self._clock.trusted():
            self._provisional.append(stretch)

    def _on_time_known(self, moved_ms: int) -> None:
        """The clock was put right: what was thought of in its old time is thought of in the new one."""
        self._latest.shift(moved_ms)
        provisional, self._provisional = self._provisional, []
        moved = [Stretch(s.logger, s.from_ms + moved_ms, s.to_ms + moved_ms) for s in provisional]
        for old, new in zip(provisional, moved, strict=True):
            if self._backfill.replace(old, new):
                self._sealer.replace_missing(old, new)
        for stretch in self._recorder.shift(moved_ms):
            self._miss(stretch)
        held, self._held = self._held, ()
        for stretch in held:
            self._backfill.add(stretch)
        self._sealer.hurry()

    async def _recall(self) -> None:
        """Take up where the last run ended: its configuration, what it recorded last, what it still missed."""
        disk, memos = self._storage.disk, self._storage.memos
        envelope = await disk.run(memos.configuration)
        since_ms = self._clock.now_ms() - LOOK_BACK_MS
        self._last_sealed = await disk.run(_find_last_observations, self._storage.outbox, since_ms)
        custody_since_ms = self._clock.now_ms() - CUSTODY_LOOK_BACK_MS
        self.custody.recall(await disk.run(find_custody, self._storage.outbox, custody_since_ms))
        if envelope is not None:
            known = (self._enrolment.hub_public_key, *self._enrolment.former_hub_keys)
            self._adoption.consider(envelope, check_any(PinnedKey(bytes.fromhex(key)) for key in known))
        if self._backfill.named:
            self._backfill.observed(await disk.run(_observations_since, self._storage.outbox, since_ms))
        missing = tuple(await disk.run(memos.missing))
        if not self._clock.trusted():  # asked for by a wrong clock, a memory would tell of other hours
            self._held, missing = missing, ()
        for stretch in missing:
            self._backfill.add(stretch)

    # --- at intervals

    async def _report_health(self) -> None:
        """Seal the counters; not while domain time stands still, or the log would never end."""
        last_ms = 0
        while True:
            await self._clock.sleep(self._settings.recording.health_interval_s)
            moment = read_moment(self._clock)
            if moment.at_ms > last_ms:
                last_ms = moment.at_ms
                self._sealer.note(Health(moment.at_ms, moment.trusted, self.counters()))

    async def _look_for_silence(self) -> None:
        while True:
            await self._clock.sleep(LOOK_INTERVAL_S)
            self._note_faults(self._faults.look(read_moment(self._clock)))

    async def _trim(self) -> None:
        keep_ms = self._settings.outbox.keep_acknowledged_h * 3_600_000
        while True:
            await self._clock.sleep(TRIM_INTERVAL_S)
            await self._storage.disk.run(self._storage.outbox.trim, self._clock.now_ms() - keep_ms)

    # --- what is known

    def counters(self) -> dict[str, int]:
        """Everything that is counted, by name; those that are zero are left out."""
        radio, outbox, uplink, backfill = self._radio.health, self._storage.outbox, self._uplink, self._backfill
        depth = outbox.depth()
        named = {
            "heard": radio.heard,
            "foreign": radio.foreign,
            "decoded": radio.decoded,
            "malformed": radio.malformed.total(),
            "scan_restarts": radio.restarts,
            "adapter_resets": radio.resets,
            "bluetooth_restarts": radio.service_restarts,
            "scanning": int(radio.scanning),
            "without_temperature": self._recorder.without_temperature,
            "recorder_dropped": self._recorder.dropped,
            "sealed": outbox.sealed_segments,
            "seal_failures": self._sealer.failures,
            "waiting_segments": depth.segments,
            "waiting_bytes": depth.bytes,
            "stored_bytes": depth.stored_bytes,
            "corrupt_segments": outbox.corrupt_segments,
            "dropped_payloads": outbox.dropped_payloads,
            "disk_full": outbox.disk_full,
            "mismatched_acks": outbox.mismatched_acks,
            "sent": uplink.sent,
            "stalls": uplink.stalls,
            "rejected_acks": uplink.rejected_acks,
            "rejected_configurations": self._adoption.rejected,
            "refused_publishes": uplink.client.refused,
            "memory_reads": backfill.reads,
            "memory_failures": backfill.failures,
            "memory_records": backfill.records,
            "clock_corrections": self._timekeeping.corrections,
            "clock_error_ms": self._clock.error_ms(),
            "flagged": self._alarm.flagged,
            "device_faults": self._device_faults,
            **{f"failed_{name}": count for name, count in self._supervision.failures.items()},
        }
        return {name: count for name, count in named.items() if count}

    @property
    def _judgements(self) -> dict[str, tuple[Judgement, ...]]:
        return {} if self._alarm.warning is None else self._alarm.warning.judgements

    def _view_boxes(self, now_ms: int) -> list[BoxView]:
        return view_boxes(self._configuration, self._latest, self._judgements, now_ms, self._faults.present)

    def scene(self) -> Scene:
        """What the screen shows, now."""
        now_ms = self._clock.now_ms()
        return Scene(
            gateway=self._settings.gateway,
            now_ms=now_ms,
            clock_trusted=self._clock.trusted(),
            boxes=tuple(self._view_boxes(now_ms)),
            configuration=self._configuration,
            judgements=self._judgements,
            here=boxes_here(self.custody.records),
            left=handed_over(self.custody.records),
        )

    def state(self) -> VehicleState:
        """How everything stands now."""
        now_ms = self._clock.now_ms()
        depth, radio, backfill = self._storage.outbox.depth(), self._radio.health, self._backfill
        return VehicleState(
            gateway=self._settings.gateway,
            at_ms=now_ms,
            clock_trusted=self._clock.trusted(),
            clock=ClockState.model_validate(asdict(self._clock.view)),
            place=self._stops.place,
            configuration=self._adoption.version,
            boxes=self._view_boxes(now_ms),
            link=LinkView(up=self._uplink.client.connected, reason=self._uplink.client.reason),
            outbox=OutboxView(
                segments=depth.segments,
                bytes=depth.bytes,
                stored_bytes=depth.stored_bytes,
                sealed=self._storage.outbox.sealed_segments,
                sent=self._uplink.sent,
                failure=self._sealer.failure,
            ),
            radio=view_radio(radio),
            backfill=BackfillView(
                missing=len(backfill),
                reading=", ".join(sorted(backfill.reading)),
                reads=backfill.reads,
                failures=backfill.failures,
                records=backfill.records,
            ),
            waiting=self._recorder.waiting,
            breaches=self._alarm.flagged,
            counters=self.counters(),
        )


def _find_last_observations(outbox: Outbox, since_ms: int) -> dict[str, LastSealed]:
    """What the log says of each logger: its last live observation, and its last reboot."""
    found: dict[str, Observation] = {}
    rebooted_ms: dict[str, int] = {}
    trusted_ms: dict[str, int] = {}
    for sealed in outbox.newest_contents():
        if sealed.sealed_at_ms < since_ms:
            break
        live = [observation for observation in sealed.content.observations if observation.source is Source.LIVE]
        # Segments come newest first; times that were not trusted cannot be compared between boots.
        found = {observation.logger: observation for observation in live} | found
        for observation in live:
            if observation.clock_trusted:
                trusted_ms[observation.logger] = max(observation.measured_at_ms, trusted_ms.get(observation.logger, 0))
        for record in sealed.content.records:
            if isinstance(record, DeviceFault) and record.code == REBOOTED:
                rebooted_ms[record.logger] = max(record.at_ms, rebooted_ms.get(record.logger, 0))
    return {
        logger: LastSealed(trusted_ms.get(logger), observation.counter, rebooted_ms.get(logger))
        for logger, observation in found.items()
    }


def _observations_since(outbox: Outbox, since_ms: int) -> list[Observation]:
    """What the log says that was observed since then, oldest first."""
    found: list[list[Observation]] = []
    for sealed in outbox.newest_contents():
        if sealed.sealed_at_ms < since_ms:
            break
        found.append(list(sealed.content.observations))
    return [observation for observations in reversed(found) for observation in observations]


def last_trusted_ms(outbox: Outbox) -> int:
    """The newest time on the card that was trusted: no moment from now on is earlier. 0 if there is none."""
    for sealed in islice(outbox.newest_contents(), FLOOR_SEGMENTS):
        times = [o.measured_at_ms for o in sealed.content.observations if o.clock_trusted and o.source is Source.LIVE]
        times += [
            r.at_ms for r in sealed.content.records if r.clock_trusted and isinstance(r, ClockCorrection | Health)
        ]
        if times:
            return max(times)
    return 0


async def run_vehicle(
    settings: VehicleSettings,
    enrolment: Enrolment,
    storage: Storage,
    client: httpx.AsyncClient,
    clock: Clock,
    on_ready: Callable[[int], None],
) -> None:
    """Run one vehicle until cancelled, then close the storage."""
    try:
        await Vehicle(settings, enrolment, storage, client, clock).run(on_ready)
    finally:
        await asyncio.to_thread(storage.close)
