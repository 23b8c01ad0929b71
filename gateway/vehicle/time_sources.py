"""Who vouches for the time: the kernel on behalf of an NTP daemon, chrony asked directly, or a GPS receiver.

The machine's clock is only read, never set: that is the work of chrony, systemd-timesyncd or fake-hwclock.
"""

from __future__ import annotations

import asyncio
import logging
import shutil
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from gateway.clock import Clock, SystemClock, read_kernel_clock

log = logging.getLogger(__name__)

CHRONY_EVERY_S = 60.0
"""Real seconds between questions to chrony; it corrects once in 64 s at most."""
CHRONY_TIMEOUT_S = 5.0
CHRONY_FRESH_MS = 180_000
"""An answer of chrony counts for three intervals."""
TIMESYNCD_ERROR_MS = 5_000
"""systemd-timesyncd believes servers up to RootDistanceMaxSec = 5 s away (timesyncd.conf(5)) and tells the kernel 0."""
GPS_FRESH_MS = 10_000
"""Receivers report once a second; after ten lost reports the last one no longer counts as now."""
TIMESYNCD_MARK = Path("/run/systemd/timesync/synchronized")
"""Touched by systemd-timesyncd at each correction (systemd-timesyncd.service(8))."""
_CHRONY_FIELDS = 14


@dataclass(frozen=True, slots=True)
class Vouched:
    """UTC at a monotonic moment, as somebody vouches for it.

    reference           "ntp", "chrony", "gps", "declared"
    synchronised_at_ms  UTC of the last correction, None if it is not told
    """

    reference: str
    at_ms: int
    monotonic_ms: int
    error_ms: int
    synchronised_at_ms: int | None = None


@dataclass(frozen=True, slots=True)
class Tracking:
    """What `chronyc tracking` says: the bound of chrony's own manual on the clock's error, and the last correction."""

    error_ms: int
    synchronised_at_ms: int


def parse_tracking(line: str) -> Tracking | None:
    """Read a line of `chronyc -c tracking`; None if chrony is not synchronised, or says something else.

    clock_error <= |system_time_offset| + root_dispersion + 0.5 * root_delay   (chronyc(1))
    """
    fields = line.strip().split(",")
    if len(fields) != _CHRONY_FIELDS or fields[13] != "Normal":
        return None
    try:
        reference_s, offset_s, delay_s, dispersion_s = (float(fields[place]) for place in (3, 4, 10, 11))
    except ValueError:
        return None
    error_s = abs(offset_s) + dispersion_s + delay_s / 2
    return Tracking(int(error_s * 1000) + 1, round(reference_s * 1000)) if reference_s > 0 else None


class TimeSources:
    """Knows who vouches for the time now. The kernel comes first, then chrony, then GPS."""

    def __init__(self, clock: Clock, mark: Path = TIMESYNCD_MARK) -> None:
        self._clock = clock
        self._mark = mark
        self._tracking: tuple[int, Tracking] | None = None
        self._gps: Vouched | None = None

    def ask(self) -> Vouched | None:
        """Return who vouches, None if nobody does."""
        now_ms, monotonic_ms = self._clock.now_ms(), self._clock.monotonic_ms()
        if not isinstance(self._clock, SystemClock) or self._clock.declared:
            if self._clock.trusted():
                return Vouched("declared", now_ms, monotonic_ms, 0)
        elif (of_system := self._ask_system(now_ms, monotonic_ms)) is not None:
            return of_system
        if self._gps is not None and monotonic_ms - self._gps.monotonic_ms <= GPS_FRESH_MS:
            return self._gps
        return None

    def hear_gps(self, at_ms: int, error_ms: int) -> None:
        """Take the time of a fix that was reported just now."""
        self._gps = Vouched("gps", at_ms, self._clock.monotonic_ms(), error_ms, at_ms)

    async def run(self) -> None:
        """Ask chrony for ever, where there is one."""
        program = shutil.which("chronyc")
        while program is not None and isinstance(self._clock, SystemClock) and not self._clock.declared:
            tracking = await _ask_chrony(program)
            self._tracking = None if tracking is None else (self._clock.monotonic_ms(), tracking)
            await asyncio.sleep(CHRONY_EVERY_S)
        await asyncio.Event().wait()

    def _ask_system(self, now_ms: int, monotonic_ms: int) -> Vouched | None:
        if self._tracking is not None and monotonic_ms - self._tracking[0] <= CHRONY_FRESH_MS:
            tracking = self._tracking[1]
            return Vouched("chrony", now_ms, monotonic_ms, tracking.error_ms, tracking.synchronised_at_ms)
        kernel = read_kernel_clock()
        if not kernel.synchronised:
            return None
        synchronised_at_ms = None
        with suppress(OSError):
            synchronised_at_ms = round(self._mark.stat().st_mtime * 1000)
        error_ms = kernel.max_error_ms + (0 if synchronised_at_ms is None else TIMESYNCD_ERROR_MS)
        return Vouched("ntp", now_ms, monotonic_ms, error_ms, synchronised_at_ms)


async def _ask_chrony(program: str) -> Tracking | None:
    try:
        process = await asyncio.create_subprocess_exec(
            program, "-c", "-n", "tracking", stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL
        )
    except OSError as error:
        log.info("chronyc does not start: %s", error)
        return None
    try:
        async with asyncio.timeout(CHRONY_TIMEOUT_S):
            out, _ = await process.communicate()
    except TimeoutError:
        process.kill()
        await process.wait()
        return None
    return parse_tracking(out.decode(errors="replace"))
