"""One adapter that listens: scanning passively or actively, noticing when it has become mute, setting it right."""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Literal, TypeAlias

from bleak import BleakScanner
from bleak.args.bluez import BlueZScannerArgs, OrPattern
from bleak.assigned_numbers import AdvertisementDataType

from gateway.mqtt import backoff_s
from gateway.vehicle.bluez import BluezError
from gateway.vehicle.bluez_control import BluezControl
from gateway.vehicle.hearing import AdapterHealth, Hearing
from gateway.vehicle.listening import RADIO_ERRORS, START_TIMEOUT_S
from gateway.vehicle.loggers.families import FAMILIES, Family
from gateway.vehicle.recovery import ALL_STEPS, Recovery, Step
from gateway.vehicle.settings import RadioSettings

if TYPE_CHECKING:
    from bleak.backends.device import BLEDevice
    from bleak.backends.scanner import AdvertisementData

log = logging.getLogger(__name__)

RESTART_MAX_S = 30.0
"""Longest pause before the scan is tried again."""
PROBE_S = 10.0
"""Devices advertise ten times a second to once in two seconds; ten seconds among any of them hear one."""
DEAF_PROBES = 2
"""So often an active scan must hear an enrolled logger that the passive one before it missed."""
STEP_RECORDED_APART_S = 600.0
"""Restarts of the scan are recorded at most so often: among devices that never change their packet every scan falls
silent, and is heard again as soon as it begins anew."""

Mode: TypeAlias = Literal["active", "passive"]
OnFault: TypeAlias = Callable[[str, Mapping[str, int]], None]
"""A fault of the gateway itself, for the record: its code, and numbers."""

PATTERNS_MAX = 16
"""What the kernel takes for one monitor."""
_ANYBODY = [OrPattern(0, AdvertisementDataType.FLAGS, bytes([flags])) for flags in (0x06, 0x04, 0x05, 0x02, 0x1A)]
"""The flags, in their usual combinations, with which nearly every device begins. A monitor needs them: BlueZ 5.82
compares a pattern with service data behind its UUID, and 5.66 with neither service nor manufacturer data."""


class AdapterScan:
    """Keeps one adapter listening. What it hears goes to `hearing`; what is done against its faults is recorded."""

    def __init__(
        self,
        name: str,
        settings: RadioSettings,
        control: BluezControl,
        hearing: Hearing,
        health: AdapterHealth,
        on_fault: OnFault,
        want_restart: Callable[[], None],
        rng: random.Random,
    ) -> None:
        self.name = name
        self.health = health
        self._settings = settings
        self._control = control
        self._hearing = hearing
        self._on_fault = on_fault
        self._want_restart = want_restart
        self._rng = rng
        self._recovery = Recovery(ALL_STEPS)
        self._heard_s = 0.0
        self._own_heard = 0
        self._deaf_probes = 0
        self._said = ""
        self._interruption = ""
        self._scan_recorded_s = float("-inf")
        self._scan_wanted = asyncio.Event()
        self._scan_wanted.set()
        self._scan_down = asyncio.Event()
        self._scan_down.set()
        self.connects_alone = False
        """It cannot scan and connect at once."""

    # --- a connection first

    async def pause(self) -> None:
        """Stop scanning, for a connection; `resume` must follow."""
        self._scan_wanted.clear()
        await self._scan_down.wait()

    def resume(self) -> None:
        """Go on scanning."""
        self._scan_wanted.set()

    def interrupt(self, reason: str) -> None:
        """Hear from outside that a scan cannot be working, whatever it believes."""
        self._interruption = reason

    # --- scanning

    async def run(self) -> None:
        """Listen until cancelled."""
        while True:
            await self._scan_wanted.wait()
            try:
                mode = await self._choose_mode()
                trouble = await self._scan(mode, self._patterns(), self._settings.silence_s)
                if trouble and mode == "passive" and not self._interruption:
                    trouble = await self._probe(trouble)
            except (*RADIO_ERRORS, BluezError) as error:
                trouble = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
            if trouble:
                self.health.restarts += 1
                await self._set_right(trouble)

    async def _choose_mode(self) -> Mode:
        """Choose, at each start anew, since a restarted daemon may run with other flags."""
        wanted = self._settings.scanning
        if wanted != "auto":
            mode: Mode = wanted
            why = "as the settings say"
        elif self._deaf_probes >= DEAF_PROBES:
            mode, why = "active", "a passive scan misses loggers here"
        elif await self._control.listens_passively(self.name):
            mode, why = "passive", "BlueZ has advertisement monitors"
        else:
            mode, why = "active", "BlueZ has no advertisement monitors, it runs without experimental features"
        if mode != self._said:
            self._said = mode
            log.info("radio: %s scans %s: %s", self.name, f"{mode}ly", why)
        return mode

    async def _scan(self, mode: Mode, patterns: list[OrPattern], silence_s: float, *, at_most_s: float = 0) -> str:
        """Scan until silence, or until something else comes first; return what is wrong, empty if nothing."""
        arguments = BlueZScannerArgs(adapter=self.name)
        if mode == "passive":
            arguments["or_patterns"] = [*patterns]
        scanner = BleakScanner(self._hear, scanning_mode=mode, bluez=arguments)
        loop = asyncio.get_running_loop()
        self._scan_down.clear()
        try:
            async with asyncio.timeout(START_TIMEOUT_S):
                await scanner.start()
            self._heard_s = loop.time()
            self.health.scanning, self.health.mode, self.health.reason = True, mode, ""
            return await self._watch(patterns, silence_s, loop.time() + at_most_s if at_most_s else float("inf"))
        finally:
            self.health.scanning = False
            with suppress(*RADIO_ERRORS):
                async with asyncio.timeout(START_TIMEOUT_S):
                    await scanner.stop()
            self._scan_down.set()

    async def _watch(self, patterns: list[OrPattern], silence_s: float, until_s: float) -> str:
        """Wait until the scan must end: silence, a connection comes first, other kinds are enrolled."""
        loop = asyncio.get_running_loop()
        heard_before, self._interruption = self.health.heard, ""
        while self._scan_wanted.is_set() and loop.time() < until_s:
            if self._interruption:
                return self._interruption
            if self.health.mode == "passive" and until_s == float("inf") and patterns != self._patterns():
                return ""
            if self.health.heard > heard_before:
                self._recovered()
                self._deaf_probes = 0
            left_s = self._heard_s + silence_s - loop.time()
            if left_s <= 0:
                return f"heard nothing at all for {silence_s:g} s"
            await asyncio.sleep(min(left_s, until_s - loop.time(), 0.25 if self.connects_alone else 1.0))
        return ""

    async def _probe(self, silence: str) -> str:
        """Find out whether a passive scan that hears nothing is mute, or nobody is there; return what is wrong.

        Its monitors may let nothing through. In "auto" an active scan listens for anybody; where scanning actively is
        not wanted, another passive one.
        """
        self.health.probes += 1
        may_ask = self._settings.scanning == "auto"
        heard_before, own_before, deaf_before = self.health.heard, self._own_heard, self._deaf_probes
        wrong = await self._scan("active" if may_ask else "passive", _ANYBODY, PROBE_S, at_most_s=PROBE_S)
        if self.health.heard == heard_before:
            return wrong or silence if self._scan_wanted.is_set() else ""
        if self._own_heard > own_before and may_ask:
            self._deaf_probes = deaf_before + 1
            return "the passive scan missed an enrolled logger"
        return ""

    def _patterns(self) -> list[OrPattern]:
        """What a passive scan lets through: whatever has flags, and the enrolled kinds, all of them at first."""
        loggers = self._hearing.loggers
        families: list[Family] = [
            family
            for kind, family in FAMILIES.items()
            if not loggers or any(logger.kind is kind for logger in loggers.values())
        ]
        own = [OrPattern(0, kind, content) for family in families for kind, content in family.patterns()]
        return [*_ANYBODY, *own][:PATTERNS_MAX]

    def _hear(self, device: BLEDevice, advertisement: AdvertisementData) -> None:
        self.health.heard += 1
        self._heard_s = asyncio.get_running_loop().time()
        if self._hearing.hear(self.name, device, advertisement, self._heard_s):
            self._own_heard += 1

    # --- setting right

    async def _set_right(self, trouble: str) -> None:
        loop = asyncio.get_running_loop()
        if trouble != self.health.reason:
            log.warning("radio: %s: %s", self.name, trouble)
        self.health.reason = trouble
        step = self._recovery.fail(loop.time(), self._heard_s or None)
        detail = {"adapter": int(self.name[3:]), "lasted_s": round(self._recovery.lasted_s(loop.time()))}
        match step:
            case Step.SCAN:
                if loop.time() - self._scan_recorded_s >= STEP_RECORDED_APART_S:
                    self._scan_recorded_s = loop.time()
                    self._on_fault(step, detail)
            case Step.RESET:
                self.health.resets += 1
                self._on_fault(step, {**detail, "done": int(await self._reset())})
            case Step.SERVICE:
                self._want_restart()  # it serves every adapter, and ends this scan: somebody above does it
        if self._recovery.is_down and not self.health.is_down:
            self.health.is_down = True
            log.error("radio: %s is down: %s; it is tried on", self.name, trouble)
            self._on_fault("radio_down", detail)
        await asyncio.sleep(backoff_s(self._recovery.failures - 1, RESTART_MAX_S, self._rng))

    async def _reset(self) -> bool:
        log.warning("radio: %s is switched off and on", self.name)
        try:
            await self._control.reset(self.name)
        except BluezError as error:
            log.warning("radio: %s cannot be switched off and on: %s", self.name, error)
            return False
        return True

    def _recovered(self) -> None:
        if self.health.is_down:
            self.health.is_down = False
            lasted_s = round(self._recovery.lasted_s(asyncio.get_running_loop().time()))
            log.warning("radio: %s hears again after %d s", self.name, lasted_s)
            self._on_fault("radio_down_over", {"adapter": int(self.name[3:]), "lasted_s": lasted_s})
        self._recovery.succeed()
