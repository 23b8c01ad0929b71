"""The Bluetooth adapter: hearing enrolled loggers, and connecting to them.

Most of what is heard is foreign. It is told apart by address and identifier before anything is decoded; a payload
equal to the one before costs no decoding either.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections import Counter, deque
from collections.abc import Callable, Iterable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from bleak import BleakClient, BleakScanner
from bleak.args.bluez import BlueZScannerArgs, OrPattern
from bleak.exc import BleakError

from gateway.clock import Clock
from gateway.core.configuration import Logger
from gateway.core.errors import ColdchainError
from gateway.mqtt import backoff_s
from gateway.vehicle.listening import RADIO_ERRORS, START_TIMEOUT_S, packet_of
from gateway.vehicle.loggers.families import FAMILIES, Ear, Family
from gateway.vehicle.loggers.measurement import AdvertisementError, Measurement
from gateway.vehicle.loggers.memories import open_session
from gateway.vehicle.loggers.memory import LogProtocolError, MemoryRequest, MemorySession, Progress, Told, Write
from gateway.vehicle.moments import Moment, read_moment
from gateway.vehicle.settings import RadioSettings

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from bleak.backends.characteristic import BleakGATTCharacteristic
    from bleak.backends.device import BLEDevice
    from bleak.backends.scanner import AdvertisementData

log = logging.getLogger(__name__)

RESTART_MAX_S = 30.0
"""Longest pause before the scan is tried again."""
CONNECT_TIMEOUT_S = 20.0
"""A logger advertises every 1.3 s; 20 s of trying is also the kernel's own limit."""
DISCONNECT_TIMEOUT_S = 3.0
"""Real BlueZ takes 2.0 s for it."""
IDLE_TIMEOUT_S = 5.0
"""Log frames follow each other within tens of milliseconds; five seconds without one is a stalled download."""
DOWNLOAD_TIMEOUT_S = 300.0
"""Ten days of records, 8,640 frames, at the slowest connection interval."""
REQUESTS = 3
"""A request whose journey took too long to know the records' times is repeated so often."""
QUARANTINE = 20
"""Malformed payloads kept for a look; all are counted."""


class RadioError(ColdchainError):
    """A logger's memory could not be read; the text says why."""


@dataclass(frozen=True, slots=True)
class Malformed:
    """A payload with an enrolled logger's address that could not be decoded."""

    address: str
    reason: str
    payload: bytes


@dataclass(slots=True)
class RadioHealth:
    """How the scan does. `reason` is why it is down, or why it was last; `mode` is how it listens."""

    scanning: bool = False
    mode: str = ""
    reason: str = "not started"
    heard: int = 0
    foreign: int = 0
    repeated: int = 0
    decoded: int = 0
    restarts: int = 0
    malformed: Counter[str] = field(default_factory=Counter)
    quarantine: deque[Malformed] = field(default_factory=lambda: deque(maxlen=QUARANTINE))


@dataclass(frozen=True, slots=True)
class MemoryAnswer:
    """What a logger's memory said. `complete` only if it is proven whole; `asked` is when the request was written."""

    told: Told
    asked: Moment
    complete: bool


class Radio:
    """One adapter. `on_measurement(address, measurement)` is called for each payload that differs from the last."""

    def __init__(
        self,
        settings: RadioSettings,
        on_measurement: Callable[[str, Measurement], None],
        *,
        rng: random.Random | None = None,
    ) -> None:
        self.health = RadioHealth()
        self._settings = settings
        self._on_measurement = on_measurement
        self._rng = rng or random.Random()  # noqa: S311  jitter, no secret
        self._mode: Literal["active", "passive"] = "active" if settings.scanning == "active" else "passive"
        self._loggers: dict[str, Logger] = {}
        self._ears: dict[str, Ear] = {}
        self._devices: dict[str, BLEDevice] = {}
        self._heard_s = 0.0
        self._scan_wanted = asyncio.Event()
        self._scan_wanted.set()
        self._scan_down = asyncio.Event()
        self._scan_down.set()
        self._connect_alone = False

    def enrol(self, loggers: Iterable[Logger]) -> None:
        """Listen for these loggers only. One whose kind or key is as before goes on where it was."""
        enrolled = {logger.address: logger for logger in loggers}
        self._ears = {
            address: self._ears[address] if self._is_as_before(logger) else Ear(logger)
            for address, logger in enrolled.items()
        }
        self._loggers = enrolled
        for address in self._devices.keys() - enrolled.keys():
            del self._devices[address]

    def _is_as_before(self, logger: Logger) -> bool:
        before = self._loggers.get(logger.address)
        return before is not None and (before.kind, before.bindkey) == (logger.kind, logger.bindkey)

    def present(self) -> list[str]:
        """The enrolled loggers that were heard since the start, whom it makes sense to call."""
        return list(self._devices)

    # --- hearing

    async def scan(self) -> None:
        """Keep scanning; a scan that fails, or hears nothing at all for `silence_s`, is started anew. Never returns."""
        failures = 0
        while True:
            await self._scan_wanted.wait()
            try:
                heard_something = await self._scan_once()
                failures = 0 if heard_something else failures + 1
            except RADIO_ERRORS as error:
                failures += 1
                self._report_down(f"{type(error).__name__}: {error}")
                if self._settings.scanning == "auto" and self._mode == "passive" and isinstance(error, BleakError):
                    self._mode = "active"  # this BlueZ cannot listen passively: experimental features are off
            if self._scan_wanted.is_set():
                self.health.restarts += 1
                await asyncio.sleep(backoff_s(failures, RESTART_MAX_S, self._rng))

    async def _scan_once(self) -> bool:
        """Scan until silence or until a connection needs the adapter for itself; say whether anything was heard."""
        patterns = self._patterns()
        scanner = self._make_scanner(patterns)
        heard_before = self.health.heard
        async with asyncio.timeout(START_TIMEOUT_S):
            await scanner.start()
        self._scan_down.clear()
        self.health.scanning, self.health.mode, self.health.reason = True, self._mode, ""
        self._heard_s = asyncio.get_running_loop().time()
        try:
            await self._watch(patterns)
        finally:
            self.health.scanning = False
            self._scan_down.set()
            with suppress(*RADIO_ERRORS):
                async with asyncio.timeout(START_TIMEOUT_S):
                    await scanner.stop()
        return self.health.heard > heard_before

    async def _watch(self, patterns: list[OrPattern]) -> None:
        """Return when the scan must end: nothing is heard, a connection comes first, other kinds are enrolled."""
        loop = asyncio.get_running_loop()
        while self._scan_wanted.is_set() and (self._mode == "active" or patterns == self._patterns()):
            left_s = self._heard_s + self._settings.silence_s - loop.time()
            if left_s <= 0:
                self._report_down(f"heard nothing at all for {self._settings.silence_s:g} s")
                return
            await asyncio.sleep(min(left_s, 0.25 if self._connect_alone else 1.0))

    def _patterns(self) -> list[OrPattern]:
        """What a passive scan lets through: the enrolled kinds, all kinds while nobody is enrolled."""
        families: list[Family] = [
            family
            for kind, family in FAMILIES.items()
            if not self._loggers or any(logger.kind is kind for logger in self._loggers.values())
        ]
        return [OrPattern(0, kind, content) for family in families for kind, content in family.patterns()]

    def _make_scanner(self, patterns: list[OrPattern]) -> BleakScanner:
        arguments = BlueZScannerArgs(adapter=self._settings.adapter)
        if self._mode == "passive":
            arguments["or_patterns"] = [*patterns]
        return BleakScanner(self._on_advertisement, scanning_mode=self._mode, bluez=arguments)

    def _report_down(self, reason: str) -> None:
        if reason != self.health.reason:
            log.warning("radio: %s", reason)
        self.health.reason = reason

    def _on_advertisement(self, device: BLEDevice, advertisement: AdvertisementData) -> None:
        health = self.health
        health.heard += 1
        self._heard_s = asyncio.get_running_loop().time()
        address = device.address
        ear = self._ears.get(address)
        if ear is None:
            health.foreign += 1
            return
        packet = packet_of(device, advertisement)
        payload = ear.recognise(packet)
        if payload is None:
            health.foreign += 1
            return
        self._devices[address] = device
        try:
            measurement = ear.hear(packet, payload)
        except AdvertisementError as error:
            self._set_aside(address, error, b"".join(payload))
            return
        if measurement is None:
            health.repeated += 1
            return
        health.decoded += 1
        self._on_measurement(address, measurement)

    def _set_aside(self, address: str, error: AdvertisementError, payload: bytes) -> None:
        if not self.health.malformed[error.code]:
            log.warning("radio: %s sent a malformed advertisement: %s", address, error)
        self.health.malformed[error.code] += 1
        self.health.quarantine.append(Malformed(address, str(error), payload))

    # --- reading memories

    async def read_memory(self, request: MemoryRequest, clock: Clock) -> MemoryAnswer:
        """Connect and download what the logger remembers of a stretch; raises RadioError.

        A request whose journey took so long that the records' times would be of little worth is repeated, REQUESTS
        times at most.
        """
        address = request.logger
        device = self._devices.get(address)
        if device is None:
            raise RadioError(f"{address} has not been heard")
        try:
            session = open_session(self._loggers[address].kind, request)
            inbox = _Inbox(session)
            async with self._connected(device, inbox.lose) as client:
                return await self._download(client, session, inbox, clock)
        except LogProtocolError as error:
            raise RadioError(f"{address}: {error}") from error
        except RADIO_ERRORS as error:
            if "InProgress" in str(error):
                self._connect_alone = True  # this adapter cannot scan and connect at once
            raise RadioError(f"{address}: {type(error).__name__}: {error}") from error

    @asynccontextmanager
    async def _connected(self, device: BLEDevice, on_lost: Callable[[BleakClient], None]) -> AsyncIterator[BleakClient]:
        client = BleakClient(device, on_lost, timeout=CONNECT_TIMEOUT_S)
        if self._connect_alone:
            self._scan_wanted.clear()
            await self._scan_down.wait()
        try:
            await client.connect()
        finally:
            self._scan_wanted.set()
        try:
            yield client
        finally:
            with suppress(*RADIO_ERRORS):
                async with asyncio.timeout(DISCONNECT_TIMEOUT_S):
                    await client.disconnect()

    async def _download(self, client: BleakClient, session: MemorySession, inbox: _Inbox, clock: Clock) -> MemoryAnswer:
        await client.start_notify(session.notifies, inbox.receive)
        for attempt in range(1, REQUESTS + 1):
            inbox.begin()
            asked = read_moment(clock)
            values = [bytes(await client.read_gatt_char(characteristic)) for characteristic in session.reads]
            request = session.begin(asked, values)
            if request is not None:
                await _write(client, request)
            write_ms = clock.monotonic_ms() - asked.monotonic_ms
            session.written(write_ms)
            await inbox.wait(client)
            if session.is_precise() or attempt == REQUESTS:
                break
            log.info("radio: the request took %d ms, the records' times would be unknown: asked again", write_ms)
        return MemoryAnswer(session.told(), asked, session.progress is Progress.COMPLETE)


async def _write(client: BleakClient, request: Write) -> None:
    await client.write_gatt_char(request.characteristic, request.data, response=True)


class _Inbox:
    """Receives the notifications of a download."""

    def __init__(self, session: MemorySession) -> None:
        self._session = session
        self._error: LogProtocolError | None = None
        self._replies: deque[Write] = deque()
        self._is_lost = False
        self._arrived = asyncio.Event()

    def begin(self) -> None:
        """Begin anew."""
        self._replies.clear()
        self._arrived.clear()

    def receive(self, _characteristic: BleakGATTCharacteristic, data: bytearray) -> None:
        """Take a notification."""
        try:
            feed = self._session.feed(bytes(data))
        except LogProtocolError as error:
            self._error = error
            self._arrived.set()
            return
        if feed.reply is not None:
            self._replies.append(feed.reply)
        if feed.is_alive:
            self._arrived.set()

    def lose(self, _client: BleakClient) -> None:
        """The link is gone."""
        self._is_lost = True
        self._arrived.set()

    async def wait(self, client: BleakClient) -> None:
        """Wait for the end, a stall, or the loss of the link, and say what the logger waits for meanwhile."""
        with suppress(TimeoutError):
            async with asyncio.timeout(DOWNLOAD_TIMEOUT_S):
                while self._session.progress is Progress.RECEIVING and not self._is_lost:
                    async with asyncio.timeout(IDLE_TIMEOUT_S):
                        await self._arrived.wait()
                    self._arrived.clear()
                    if self._error is not None:
                        raise self._error
                    while self._replies and not self._is_lost:
                        await self._say(client, self._replies.popleft())

    async def _say(self, client: BleakClient, reply: Write) -> None:
        """A link that is lost meanwhile is no error here: what arrived counts."""
        try:
            await _write(client, reply)
        except RADIO_ERRORS as error:
            log.info("radio: the download ends: %s", error)
            self._is_lost = True
