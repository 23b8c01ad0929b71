"""The Bluetooth of the vehicle: every adapter listens, and loggers' memories are read through the best of them.

BlueZ itself is watched beside that: a daemon that dies behind its bus, a bus that vanishes, adapters that come and go
are noticed within LOOK_S, whatever the scans believe.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Callable, Collection, Iterable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bleak import BleakClient

from gateway.clock import Clock
from gateway.core.configuration import Logger
from gateway.core.errors import ColdchainError
from gateway.vehicle.adapters import AdapterScan, OnFault
from gateway.vehicle.bluez import BluezError
from gateway.vehicle.bluez_control import BluezControl, Presence
from gateway.vehicle.download import Inbox, MemoryAnswer, download
from gateway.vehicle.hearing import AdapterHealth, Hearing, RadioHealth
from gateway.vehicle.listening import RADIO_ERRORS
from gateway.vehicle.loggers.measurement import Measurement
from gateway.vehicle.loggers.memories import open_session
from gateway.vehicle.loggers.memory import LogProtocolError, MemoryRequest
from gateway.vehicle.recovery import SERVICE_APART_S, Recovery, Step
from gateway.vehicle.settings import RadioSettings

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from bleak.backends.device import BLEDevice

log = logging.getLogger(__name__)

LOOK_S = 2.0
"""Between looks at BlueZ; each costs a millisecond."""
CONNECT_TIMEOUT_S = 20.0
"""A logger advertises every 1.3 s; 20 s of trying is also the kernel's own limit."""
CONNECT_LIMIT_S = CONNECT_TIMEOUT_S + 5.0
"""With what bleak does around it: it waits without limit for a daemon that hangs."""
DISCONNECT_TIMEOUT_S = 3.0
"""Real BlueZ takes 2.0 s for it."""
LOST_S = 1.0
"""What a conversation has to end by itself when its adapter or the daemon is gone."""
MISSING_S = 15.0
"""An adapter that is away for longer is put on record; one that is being reset is back by then."""


FIRST_ADAPTER = "hci0"
"""The one that is missing where none was ever seen."""


class RadioError(ColdchainError):
    """A logger's memory could not be read; the text says why."""


@dataclass(frozen=True, slots=True)
class _Link:
    """A conversation under way."""

    adapter: str
    path: str
    inbox: Inbox
    limit: asyncio.Timeout

    def lose(self) -> None:
        """End it: at once where it listens, soon where it waits for an answer that never comes."""
        self.inbox.lose()
        if not self.limit.expired():
            self.limit.reschedule(asyncio.get_running_loop().time() + LOST_S)


class Radio:
    """All adapters. `on_measurement(address, measurement)` is called for each payload that differs from the last."""

    def __init__(
        self,
        settings: RadioSettings,
        on_measurement: Callable[[str, Measurement], None],
        on_fault: OnFault = lambda _code, _detail: None,
        *,
        rng: random.Random | None = None,
    ) -> None:
        self.health = RadioHealth()
        self._settings = settings
        self._on_fault = on_fault
        self._rng = rng or random.Random()  # noqa: S311  jitter, no secret
        self._hearing = Hearing(self.health, on_measurement)
        self._control = BluezControl(settings.restart_bluetooth)
        self._recovery = Recovery(frozenset({Step.SCAN, Step.SERVICE}))
        self._owner = ""
        self._scans: dict[str, AdapterScan] = {}
        self._running: dict[str, asyncio.Task[None]] = {}
        self._missing_since_s: dict[str, float] = {}
        self._missing_told: set[str] = set()
        self._restart_wanted = False
        self._restarted_s = float("-inf")
        self._links: set[_Link] = set()
        self._connecting: dict[str, asyncio.Lock] = {}
        self._connections = asyncio.Semaphore(settings.connections)

    def enrol(self, loggers: Iterable[Logger]) -> None:
        """Listen for these loggers only. One whose kind or key is as before goes on where it was."""
        self._hearing.enrol(loggers)

    def present(self) -> list[str]:
        """The enrolled loggers that an adapter has heard, whom it makes sense to call."""
        return self._hearing.present()

    # --- hearing

    async def scan(self) -> None:
        """Keep every adapter scanning. Never returns."""
        try:
            while True:
                try:
                    presence = await self._control.look()
                except BluezError as error:
                    await self._be_without(error)
                else:
                    await self._be_with(presence)
                if self._restart_wanted:
                    await self._restart_service()
                await asyncio.sleep(LOOK_S)
        finally:
            await self._end(list(self._running))
            self._control.close()

    async def _be_with(self, presence: Presence) -> None:
        """BlueZ answers: scan with the adapters that it has."""
        if self.health.reason:
            log.info("radio: BlueZ answers, adapters: %s", ", ".join(presence.adapters) or "none")
        self.health.reason = "" if presence.adapters else "BlueZ has no adapter"
        self._recovery.succeed()
        if presence.owner != self._owner:
            if self._owner:
                log.warning("radio: another Bluetooth daemon answers: everything begins anew")
            self._owner = presence.owner
            await self._end(list(self._running))
        wanted = self._settings.adapters or presence.adapters or (FIRST_ADAPTER,)
        there = [name for name in presence.adapters if name in wanted]
        await self._end([name for name in self._running if name not in there])
        for name in there:
            if name not in self._running:
                await self._begin(name)
            elif self._running[name].done():
                await self._end([name])  # raises what ended it
            elif self._scans[name].health.scanning and await self._is_off(name):
                self._scans[name].interrupt("it is switched off")
        self._tell_missing({*wanted, *self._scans} - set(there), there)

    async def _be_without(self, error: BluezError) -> None:
        """BlueZ is out of reach: whatever was under way is over."""
        if error.reason != self.health.reason:
            log.warning("radio: %s", error.reason)
        self.health.reason = error.reason
        self._owner = ""
        await self._end(list(self._running))
        self._tell_missing(set(self._scans) or set(self._settings.adapters) or {FIRST_ADAPTER}, ())
        loop = asyncio.get_running_loop()
        if self._recovery.fail(loop.time()) is Step.SERVICE:
            self._restart_wanted = True

    async def _is_off(self, name: str) -> bool:
        try:
            return not await self._control.is_powered(name)
        except BluezError:
            return False  # it went under our eyes; the next look tells

    async def _begin(self, name: str) -> None:
        scan = self._scans.get(name)
        if scan is None:
            health = self.health.adapters.setdefault(name, AdapterHealth())
            scan = self._scans[name] = AdapterScan(
                name,
                self._settings,
                self._control,
                self._hearing,
                health,
                self._on_fault,
                self._want_restart,
                self._rng,
            )
        await self._end_orphans(self._hearing.loggers)
        self._running[name] = asyncio.create_task(scan.run(), name=f"scan {name}")

    async def _end_orphans(self, addresses: Collection[str]) -> None:
        """End links that nobody holds: of an earlier run that was killed, of a connection given up."""
        try:
            ended = await self._control.end_orphans(addresses, {link.path for link in self._links})
        except BluezError as error:
            log.info("radio: whether links were left behind is not known: %s", error)
        else:
            if ended:
                log.info("radio: %d links that were left behind were ended", ended)

    async def _end(self, names: Iterable[str]) -> None:
        """End scans and what hangs on their adapters; raises what a scan failed with, if that was a mistake of ours."""
        ended = [self._running.pop(name) for name in names]
        for task in ended:
            task.cancel()
        for name in names:
            self._hearing.lose(name)
            for link in [link for link in self._links if link.adapter == name]:
                link.lose()
        results = await asyncio.gather(*ended, return_exceptions=True)
        for result in results:
            if isinstance(result, Exception):
                raise result

    def _tell_missing(self, missing: set[str], there: Iterable[str]) -> None:
        """Put adapters that are away for long on record, and their return."""
        now_s = asyncio.get_running_loop().time()
        for name in there:
            since_s = self._missing_since_s.pop(name, now_s)
            if name in self._missing_told:
                self._missing_told.discard(name)
                self._on_fault("adapter_missing_over", {**_numbered(name), "lasted_s": round(now_s - since_s)})
        for name in missing:
            health = self.health.adapters.setdefault(name, AdapterHealth())
            health.reason = self.health.reason or "it is not there"
            since_s = self._missing_since_s.setdefault(name, now_s)
            if now_s - since_s >= MISSING_S and name not in self._missing_told:
                self._missing_told.add(name)
                log.error("radio: %s is missing: %s", name, health.reason)
                self._on_fault("adapter_missing", {**_numbered(name), "lasted_s": round(now_s - since_s)})

    # --- the strongest step

    def _want_restart(self) -> None:
        self._restart_wanted = True

    async def _restart_service(self) -> None:
        """Restart the Bluetooth service, whoever asked for it, and put it on record."""
        self._restart_wanted = False
        now_s = asyncio.get_running_loop().time()
        if now_s - self._restarted_s < SERVICE_APART_S:
            return
        self._restarted_s = now_s
        self.health.service_restarts += 1
        log.warning("radio: the Bluetooth service is restarted")
        try:
            await self._control.restart_service()
        except BluezError as error:
            log.warning("radio: the Bluetooth service cannot be restarted: %s (%s)", error, error.advice)
            self._on_fault(Step.SERVICE, {"done": 0})
        else:
            self._on_fault(Step.SERVICE, {"done": 1})

    # --- reading memories

    async def read_memory(self, request: MemoryRequest, clock: Clock) -> MemoryAnswer:
        """Connect and download what the logger remembers of a stretch; raises RadioError.

        A request whose journey took so long that the records' times would be of little worth is repeated, REQUESTS
        times at most.
        """
        address = request.logger
        async with self._connections:
            best = self._hearing.best(address)
            if best is None:
                raise RadioError(f"{address} has not been heard")
            adapter, device = best
            try:
                answer = await self._converse(adapter, device, request, clock)
            except LogProtocolError as error:
                raise RadioError(f"{address}: {error}") from error
            except RADIO_ERRORS as error:
                scan = self._scans.get(adapter)
                if scan is not None and "InProgress" in str(error):
                    scan.connects_alone = True
                self._hearing.connected(address, adapter, is_good=False)
                await self._end_orphans([address])  # a link may have come up that nobody waited for any more
                raise RadioError(f"{address} by {adapter}: {type(error).__name__}: {error}") from error
        self._hearing.connected(address, adapter, is_good=True)
        return answer

    async def _converse(self, adapter: str, device: BLEDevice, request: MemoryRequest, clock: Clock) -> MemoryAnswer:
        session = open_session(self._hearing.loggers[request.logger].kind, request)
        inbox = Inbox(session)
        async with asyncio.timeout(None) as limit:
            link = _Link(adapter, device.details["path"], inbox, limit)
            self._links.add(link)
            try:
                async with self._connected(adapter, device, inbox) as client:
                    return await download(client, session, inbox, clock)
            finally:
                self._links.discard(link)

    @asynccontextmanager
    async def _connected(self, adapter: str, device: BLEDevice, inbox: Inbox) -> AsyncIterator[BleakClient]:
        client = BleakClient(device, lambda _client: inbox.lose(), timeout=CONNECT_TIMEOUT_S)
        async with self._connecting.setdefault(adapter, asyncio.Lock()):  # a controller makes one link at a time
            scan = self._scans.get(adapter)
            is_alone = scan is not None and scan.connects_alone
            try:
                async with asyncio.timeout(CONNECT_LIMIT_S):
                    if scan is not None and is_alone:
                        await scan.pause()
                    await client.connect()
            finally:
                if scan is not None:
                    scan.resume()
        try:
            yield client
        finally:
            with suppress(*RADIO_ERRORS):
                async with asyncio.timeout(DISCONNECT_TIMEOUT_S):
                    await client.disconnect()


def _numbered(adapter: str) -> dict[str, int]:
    return {"adapter": int(adapter.removeprefix("hci"))}
