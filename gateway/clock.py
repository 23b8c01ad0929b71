"""Domain time and real time.

Domain time (sampling, sealing, gaps, budgets, deadlines) comes from one clock that a setting can run faster than real
time: start + rate × (monotonic − anchor), the same in all processes that share the setting, standing still at `stop`.
Time-outs, keepalives and back-off stay real: they use asyncio directly.
"""

from __future__ import annotations

import asyncio
import ctypes
import os
import time
from dataclasses import dataclass
from typing import Annotated, Literal, Protocol, Self

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, model_validator


class ClockSettings(BaseModel):
    """How this process tells domain time; without `start` it is the system's clock.

    `quality` is "system" (trusted while the kernel says that the clock is synchronised) or "declared" (whoever set it
    vouches for it). `anchor_ns` is a CLOCK_MONOTONIC reading, so it is shared by the processes of one boot.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    start: AwareDatetime | None = None
    stop: AwareDatetime | None = None
    rate: Annotated[float, Field(gt=0, le=100_000)] = 1.0
    anchor_ns: int | None = None
    quality: Literal["system", "declared"] = "system"

    @model_validator(mode="after")
    def _is_whole(self) -> Self:
        if (self.start is None) != (self.anchor_ns is None):
            raise ValueError("start and anchor_ns belong together")
        if self.start is None and (self.stop is not None or self.rate != 1.0):
            raise ValueError("rate and stop need start and anchor_ns")
        return self


class Clock(Protocol):
    """What the rooms see of time."""

    rate: float

    def now_ms(self) -> int:
        """Domain UTC in milliseconds."""

    def monotonic_ms(self) -> int:
        """Domain time since an arbitrary moment of this boot, in milliseconds; never goes back."""

    def trusted(self) -> bool:
        """Whether now_ms can be relied upon."""

    async def sleep(self, seconds: float) -> None:
        """Let domain seconds pass. Goes on at the same pace when domain time stands still."""


class SystemClock:
    """Real time."""

    rate = 1.0

    def __init__(self, *, declared: bool = False) -> None:
        self.declared = declared
        """Somebody vouches for it."""

    def now_ms(self) -> int:
        """Return the system's UTC."""
        return time.time_ns() // 1_000_000

    def monotonic_ms(self) -> int:
        """Return the kernel's time since boot, with the time that the machine slept, or re-basing would miss it."""
        return time.clock_gettime_ns(time.CLOCK_BOOTTIME) // 1_000_000

    def trusted(self) -> bool:
        """Ask the kernel whether its clock is synchronised."""
        return self.declared or kernel_clock_is_synchronised()

    async def sleep(self, seconds: float) -> None:
        """Sleep."""
        await asyncio.sleep(seconds)


class ScaledClock:
    """Domain time at a rate, from an anchor shared by all processes of one boot."""

    def __init__(self, *, start_ms: int, rate: float, anchor_ns: int, stop_ms: int | None, declared: bool) -> None:
        self.rate = rate
        self._start_ms = start_ms
        self._anchor_ns = anchor_ns
        self._span_ms = None if stop_ms is None else stop_ms - start_ms
        self._declared = declared

    def now_ms(self) -> int:
        """Return domain UTC, at most the stop."""
        return self._start_ms + self.monotonic_ms()

    def monotonic_ms(self) -> int:
        """Return domain milliseconds since the anchor, at most until the stop."""
        passed = int((time.monotonic_ns() - self._anchor_ns) * self.rate) // 1_000_000
        return passed if self._span_ms is None else min(passed, self._span_ms)

    def trusted(self) -> bool:
        """Say whether whoever set this clock vouches for it."""
        return self._declared

    async def sleep(self, seconds: float) -> None:
        """Sleep the real time that so many domain seconds take."""
        await asyncio.sleep(seconds / self.rate)


def open_clock(settings: ClockSettings) -> Clock:
    """Return the clock that the settings describe."""
    declared = settings.quality == "declared"
    if settings.start is None or settings.anchor_ns is None:
        return SystemClock(declared=declared)
    return ScaledClock(
        start_ms=round(settings.start.timestamp() * 1000),
        rate=settings.rate,
        anchor_ns=settings.anchor_ns,
        stop_ms=None if settings.stop is None else round(settings.stop.timestamp() * 1000),
        declared=declared,
    )


_STA_UNSYNC = 0x0040
_TIME_ERROR = 5
_IS_64_BIT = ctypes.sizeof(ctypes.c_long) == 8  # noqa: PLR2004  bytes of a long
_STATUS, _MAX_ERROR = (10, 3) if _IS_64_BIT else (5, 3)
"""Where struct timex has `status`, counted in int, and `maxerror`, counted in long."""
_libc = ctypes.CDLL(None, use_errno=True)


@dataclass(frozen=True, slots=True)
class KernelClock:
    """What the kernel says of its clock. The bound on the error grows by 500 ppm from the last correction on."""

    synchronised: bool
    max_error_ms: int


def read_kernel_clock() -> KernelClock:
    """Ask adjtimex(2), which only reads here. Not synchronised where the kernel does not say.

    NTP daemons clear STA_UNSYNC (chrony only with `rtcsync`); the kernel sets it again when somebody sets the clock,
    and when the bound on the error reaches 16 s: nine hours after the last correction.
    """
    buffer = (ctypes.c_long * 64)()  # struct timex with modes 0: a read; larger than any ABI's struct
    try:
        state = _libc.adjtimex(buffer)
    except AttributeError:
        return KernelClock(synchronised=False, max_error_ms=0)
    status = ctypes.cast(buffer, ctypes.POINTER(ctypes.c_int))[_STATUS]
    synchronised = state >= 0 and state != _TIME_ERROR and not status & _STA_UNSYNC
    return KernelClock(synchronised, max(0, -(-buffer[_MAX_ERROR] // 1000)))


def kernel_clock_is_synchronised() -> bool:
    """Ask the kernel whether its clock is."""
    return read_kernel_clock().synchronised


def boot_id() -> bytes:
    """Return eight bytes that name this boot of the machine (random where the kernel does not say)."""
    try:
        with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as file:  # noqa: PTH123  a kernel interface
            return bytes.fromhex(file.read().strip().replace("-", ""))[:8]
    except (OSError, ValueError):
        return os.urandom(8)
