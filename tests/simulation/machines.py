"""The two machines that run the product: one in the vehicle, with a power switch, and the hub's."""

from __future__ import annotations

import asyncio
import random
import sqlite3
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import ParamSpec, TypeVar
from unittest import mock

import httpx
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from sqlalchemy.exc import DBAPIError

from gateway.core.contents import Content
from gateway.core.flags import BreachFlag
from gateway.core.observations import Observation
from gateway.hub.breaches.keeping import flag
from gateway.hub.database.store import read_generation
from gateway.hub.judgement.watch import Watch
from gateway.hub.registry.configurations import Configurations
from gateway.hub.registry.enrolment import Enrolment as HubEnrolment
from gateway.hub.registry.registry import Registry
from gateway.hub.replication.exchange import Exchange
from gateway.hub.replication.generations import begin_generation
from gateway.hub.signals.dirty import read_marks
from gateway.hub.signals.dispatch import send_alerts
from gateway.hub.signals.events import Bell
from gateway.keys import SigningKey
from gateway.mqtt import MqttSettings
from gateway.vehicle.database import DiskThread
from gateway.vehicle.enrolment import Enrolment
from gateway.vehicle.memos import Memos
from gateway.vehicle.outbox import Outbox, Sealed
from gateway.vehicle.settings import OutboxSettings, RecordingSettings, UplinkSettings, VehicleSettings
from gateway.vehicle.storage import Storage
from gateway.vehicle.vehicle import Vehicle
from tests.simulation.disks import Card, Fault
from tests.simulation.hubs import HubDisk
from tests.simulation.loggers import Logger, SimulatedRadio
from tests.simulation.network import Broker, Client, Road
from tests.simulation.plans import Plan
from tests.simulation.story import Story

P = ParamSpec("P")
R = TypeVar("R")

GATEWAY = "VAN-1"
VEHICLE_KEY = SigningKey(Ed25519PrivateKey.from_private_bytes(b"v" * 32))
HUB_KEY = SigningKey(Ed25519PrivateKey.from_private_bytes(b"h" * 32))
RESTART_S = 5.0
SLOW = 0.05
"""One call in twenty takes its time."""
_SETTINGS = MqttSettings(url="mqtt://broker:1883")


class SimulatedClock:
    """A machine's clock. `error_ms` is how far UTC is off; monotonic time counts from its boot."""

    rate = 1.0

    def __init__(self, start_ms: int, now_s: Callable[[], float], *, trusted: bool = True, error_ms: int = 0) -> None:
        self.is_trusted = trusted
        self.error_ms = error_ms
        self._start_ms = start_ms
        self._now_s = now_s
        self._boot_s = now_s()

    def now_ms(self) -> int:
        return self._start_ms + round(self._now_s() * 1000) + self.error_ms

    def monotonic_ms(self) -> int:
        return round((self._now_s() - self._boot_s) * 1000)

    def trusted(self) -> bool:
        return self.is_trusted

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


class _Driver:
    """Stands where the driver's page is served."""

    port = 1

    async def run(self) -> None:
        await asyncio.Event().wait()

    def close(self) -> None:
        """Nothing is open."""


class _SlowDisk(DiskThread):
    """A card that takes its time, now and then."""

    def __init__(self, delay_s: float, rng: random.Random) -> None:
        super().__init__()
        self._delay_s = delay_s
        self._rng = rng
        self._turn = asyncio.Lock()

    async def run(self, function: Callable[P, R], /, *args: P.args, **kwargs: P.kwargs) -> R:
        async with self._turn:
            if self._delay_s and self._rng.random() < 0.05:
                await asyncio.sleep(self._rng.uniform(0, self._delay_s))
            return await super().run(function, *args, **kwargs)


@dataclass
class VehicleMachine:
    """`sealed` is the truth about what was promised: each observation that a seal has made durable."""

    plan: Plan
    start_ms: int
    loggers: list[Logger]
    broker: Broker
    road: Road
    hub: HubMachine
    story: Story
    rng: random.Random
    card: Card = field(default_factory=Card)
    sealed: set[Observation] = field(default_factory=set)
    given_up: int = 0
    boots: int = 0
    has_resealed: bool = False
    is_card_another: bool = False
    """Whether some of what was sealed was only at the hub, since the card was exchanged."""

    def __post_init__(self) -> None:
        self._now_s = asyncio.get_running_loop().time
        self._task: asyncio.Task[None] | None = None
        self._is_dying = False
        self.clock = SimulatedClock(self.start_ms, self._now_s)

    @property
    def is_on(self) -> bool:
        return self._task is not None

    def switch_on(self) -> None:
        """Boot. Without a real-time clock it may be wrong about the time until NTP answers."""
        self.boots += 1
        trusted = self.rng.random() >= self.plan.untrusted_boot
        error_ms = 0 if trusted else -self.rng.randint(0, 600_000)
        self.clock = SimulatedClock(self.start_ms, self._now_s, trusted=trusted, error_ms=error_ms)
        self.story.tell("vehicle", f"on, clock {'right' if trusted else f'{error_ms} ms off, untrusted'}")
        self._task = asyncio.create_task(self._run(), name="vehicle")

    async def cut_power(self) -> None:
        """Nothing that happens from now on reaches the card."""
        if self._task is None:
            return
        self.story.tell("vehicle", "power is cut")
        frozen = self.card.freeze()
        self.road_client_is_gone()
        self.connection.fault = Fault(1, "the power is off", repetitions=1 << 60)
        self._is_dying = True
        await self._end()
        self._is_dying = False
        self.card.thaw(frozen)

    async def stop(self) -> None:
        """Switch off in order."""
        if self._task is not None:
            await self._end()

    def road_client_is_gone(self) -> None:
        client = self.broker.clients.pop(self.road.name, None)
        if client is not None:
            client._set(connected=False)

    async def _end(self) -> None:
        assert self._task is not None
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)
        self._task = None

    async def _run(self) -> None:
        settings = VehicleSettings(
            gateway=GATEWAY,
            data_dir=self.card.folder,
            recording=RecordingSettings(
                interval_s=self.plan.interval_s, seal_interval_s=self.plan.interval_s, health_interval_s=86_400
            ),
            outbox=OutboxSettings(max_bytes=1 << 20),
            uplink=UplinkSettings(window_bytes=self.plan.window_bytes, stall_s=max(5.0, self.plan.calm_s / 2000)),
        )
        enrolment = Enrolment(hub_public_key=HUB_KEY.public_bytes.hex(), token="t")
        client = httpx.AsyncClient(base_url="http://hub", transport=httpx.MockTransport(self._post))
        with (
            mock.patch("gateway.vehicle.vehicle.Radio", self._make_radio),
            mock.patch("gateway.vehicle.vehicle.DriverServer", return_value=_Driver()),
            mock.patch("gateway.vehicle.uplink.MqttClient", self._make_client),
        ):
            self.storage = self._open_storage()
            self.vehicle = Vehicle(settings, enrolment, self.storage, client, self.clock, self.rng)
        try:
            await self.vehicle.run(lambda _: None)
        finally:
            await client.aclose()
            try:
                self.storage.close()
            except sqlite3.Error:
                self.connection.fault = None
                self.storage.database.close()

    def _open_storage(self) -> Storage:
        self.connection = self.card.open()
        self.outbox = Outbox(
            self.connection,
            GATEWAY,
            VEHICLE_KEY,
            boot=self.rng.randbytes(8),
            max_bytes=self.plan.max_bytes,
            random_bytes=self.rng.randbytes,
        )
        seal = self.outbox.seal

        def seal_and_tell(content: Content, **keywords: object) -> Sealed:
            dropped = self.outbox.dropped_payloads
            sealed = seal(content, **keywords)  # type: ignore[arg-type]  # the keywords of seal
            self.sealed.update(content.observations)
            if self.outbox.dropped_payloads > dropped:
                self.accept_losses("the card is full")
            elif self.plan.max_bytes < 1 << 30 and self.outbox.generation < self.hub.generation():
                self.accept_losses("the hub went back, and the vehicle did not know yet what it must keep")
            return sealed

        self.outbox.seal = seal_and_tell  # type: ignore[method-assign]  # a witness
        disk = _SlowDisk(self.plan.slow_disk_s, self.rng)
        return Storage(self.outbox, Memos(self.connection), disk, self.connection)

    def _make_radio(self, _settings: object, hear: Callable[..., None], *_: object, **__: object) -> SimulatedRadio:
        return SimulatedRadio(
            self.loggers,
            hear,
            interval_s=self.plan.interval_s,
            memory_fails=self.plan.memory_fails,
            rng=self.rng,
            story=self.story,
        )

    def _make_client(self, _settings: MqttSettings, _name: str, **_: object) -> Client:
        return Client(self.broker, self.road, _SETTINGS)

    async def _post(self, request: httpx.Request) -> httpx.Response:
        await asyncio.sleep(0.05)
        if not (self.road.is_open and self.hub.is_on):
            raise httpx.ConnectError("no way to the hub")
        status = self.hub.take_flag(BreachFlag.model_validate_json(request.content))
        if self.rng.random() < self.plan.answer_lost and not self.broker.is_calm:
            raise httpx.ReadTimeout("the answer was lost")
        return httpx.Response(status, json={})

    # --- what happens to the card

    def refuse(self, fault: Fault | None) -> None:
        """Let the card refuse, or take again; without power it does neither."""
        if self.is_on and not self._is_dying and hasattr(self, "connection"):
            self.connection.fault = fault

    def rot(self, rng: random.Random) -> None:
        """Flip a bit of one stored segment that the hub does not hold."""
        if not self.is_on or not hasattr(self, "outbox"):
            return
        waiting = [s for epoch in self.outbox._epochs for s in epoch.waiting]
        if not waiting:
            return
        sequence = rng.choice(waiting)
        row = sqlite3.Connection.execute(
            self.connection, "SELECT data FROM segments WHERE sequence = ?", (sequence,)
        ).fetchone()
        if row is None:
            return
        data = bytearray(row[0])
        data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
        sqlite3.Connection.execute(
            self.connection, "UPDATE segments SET data = ? WHERE sequence = ?", (bytes(data), sequence)
        )
        self.story.tell("card", f"a bit of segment {sequence} rots")
        self.has_resealed = True
        self.accept_losses("a bit rotted")

    # --- what the card holds

    def on_card(self) -> set[Observation]:
        """What a reader of the card would find, running or not."""
        if self.is_on:
            with self.connection.unharmed():
                return set(_observations(self.outbox.contents(0)))
        connection = self.card.open()
        try:
            return set(_observations(Outbox(connection, GATEWAY, VEHICLE_KEY, boot=bytes(8)).contents(0)))
        finally:
            connection.close()

    def accept_losses(self, why: str) -> None:
        """What is neither on the card nor at the hub now is lost for a reason that was told."""
        kept = self.sealed & (self.on_card() | self.hub.observations())
        if len(kept) < len(self.sealed):
            self.story.tell("truth", f"{len(self.sealed) - len(kept)} observations are lost: {why}")
        self.given_up += len(self.sealed) - len(kept)
        self.sealed = kept


def _observations(contents: Iterable[Sealed]) -> Iterable[Observation]:
    for sealed in contents:
        yield from sealed.content.observations


class HubMachine:
    """The hub's process: exchange, watch and alerts over one database."""

    def __init__(self, start_ms: int, broker: Broker, road: Road, story: Story, *, loggers: list[str]) -> None:
        self.clock = SimulatedClock(start_ms, asyncio.get_running_loop().time)
        self.disk = HubDisk(self.clock.now_ms)
        self.disk.enrol(GATEWAY, VEHICLE_KEY.public_bytes)
        self.failures = 0
        self.backup: Path | None = None
        self._broker = broker
        self._road = road
        self._story = story
        self._loggers = loggers
        self._task: asyncio.Task[None] | None = None
        self.open()

    @property
    def is_on(self) -> bool:
        return self._task is not None

    def open(self) -> None:
        """Make the rooms on the database as it is now."""
        self.store = self.disk.store
        self.registry = Registry(self.store, self.clock.now_ms)
        self.configurations = Configurations(self.store, self.clock.now_ms, demonstration=True)
        self.watch = Watch(self.store, self.disk.archive, self.registry, self.configurations, self.clock)

    def start(self) -> None:
        self._story.tell("hub", "on")
        self._task = asyncio.create_task(self._run_for_ever(), name="hub")

    async def kill(self) -> None:
        """End it between two of its steps."""
        if self._task is None:
            return
        client = self._broker.clients.pop(self._road.name, None)
        if client is not None:
            client._set(connected=False)
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)
        self._task = None
        self._story.tell("hub", "killed")

    def restart(self) -> None:
        self.disk.restart()
        self.open()
        self.start()

    def back_up(self) -> None:
        with self.disk.unharmed():
            self.backup = self.disk.back_up()
        self._story.tell("hub", "backed up")

    def restore(self, backup: Path) -> None:
        """Start on the backup."""
        self._story.tell("hub", "restored from the backup")
        generation = self.generation()
        self.disk.restore(backup)
        self.open()
        if self.generation() == generation:  # the witness may not know of the last minute: an operator says it
            with self.store.write() as connection:
                begin_generation(connection, self.clock.now_ms(), above=generation, who="test", reason="restored")
        self.start()

    def generation(self) -> int:
        """Of its database as it is now."""
        with self.disk.unharmed(), self.store.read() as connection:
            return read_generation(connection)

    def take_flag(self, flagged: BreachFlag) -> int:
        """What the page for flags does."""
        try:
            with self.store.write() as connection:
                _, is_new = flag(connection, flagged, self.clock.now_ms())
        except DBAPIError:
            return 503
        if is_new:
            self._arrived.ring()
            self._told.ring()
        return 201 if is_new else 200

    def observations(self) -> set[Observation]:
        """What the archive gives to whoever judges."""
        with self.disk.unharmed():
            return {observation for logger in self._loggers for observation in self.disk.observations(logger)}

    def has_marks(self) -> bool:
        """Whether something waits to be judged."""
        with self.disk.unharmed(), self.store.read() as connection:
            return bool(read_marks(connection, 1))

    async def _run_for_ever(self) -> None:
        while True:
            try:
                await self._run()
            except* DBAPIError as group:
                self.failures += 1
                self._story.tell("hub", f"ends: {group.exceptions[0]!r}"[:200])
            await asyncio.sleep(RESTART_S)

    async def _run(self) -> None:
        self._arrived, self._registered, self._told = Bell(), Bell(), Bell()
        async with Client(self._broker, self._road, _SETTINGS) as client:
            exchange = Exchange(
                client,  # type: ignore[arg-type]  # stands where MqttClient stands
                client,  # type: ignore[arg-type]  # the same
                self.disk.ingest,
                self.configurations,
                HubEnrolment(self.store, b"s" * 32, self.clock.now_ms),
                HUB_KEY,
            )
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(exchange.run(self._registered, self._arrived))
                tasks.create_task(self.watch.run(self._arrived, self._told))
                tasks.create_task(send_alerts(self.store, self.clock, self._told, self._told))
