"""Domain time of the demonstration: one anchor for all processes, some real seconds after their start."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import time
from dataclasses import dataclass
from datetime import datetime

from gateway.clock import ClockSettings, ScaledClock, open_clock
from gateway.core.exposure import to_ms

_NS = 1_000_000_000
LEAD_LEAST_S = 4.0
LEAD_STARTS = 5
"""The day begins after the time of so many starts of Python with the product's libraries: hub, simulator and vehicle
start partly one after the other, on a machine that does other things as well."""


@dataclass(frozen=True, slots=True)
class Timing:
    """The clock that all processes of one run share. `quality` is declared: the demonstration vouches for it."""

    start: datetime
    stop: datetime
    rate: float
    anchor_ns: int

    @classmethod
    def ahead(cls, start: datetime, stop: datetime, rate: float, lead_s: float) -> Timing:
        """Let domain time begin so many real seconds from now."""
        return cls(start, stop, rate, time.monotonic_ns() + round(lead_s * _NS))

    @property
    def start_ms(self) -> int:
        """Domain UTC at which the trip begins."""
        return to_ms(self.start)

    @property
    def stop_ms(self) -> int:
        """Domain UTC at which time stands still."""
        return to_ms(self.stop)

    def clock(self) -> ScaledClock:
        """The clock itself, for this process."""
        clock = open_clock(self._settings())
        assert isinstance(clock, ScaledClock)  # noqa: S101  it has a start
        return clock

    def lead_s(self) -> float:
        """Real seconds until the trip begins, negative once it has."""
        return (self.anchor_ns - time.monotonic_ns()) / _NS

    def real_s(self, domain_ms: float) -> float:
        """Real seconds that a stretch of domain time takes."""
        return domain_ms / 1000 / self.rate

    async def until(self, domain_ms: int) -> None:
        """Wait for a moment of domain time; one beyond the stop never comes, so the stop is waited for."""
        moment_ns = self.anchor_ns + round(self.real_s(min(domain_ms, self.stop_ms) - self.start_ms) * _NS)
        await asyncio.sleep(max(0.0, (moment_ns - time.monotonic_ns()) / _NS))

    def gateway_environment(self) -> dict[str, str]:
        """What tells the clock to vehicle and hub."""
        settings = self._settings().model_dump(mode="json")
        return {f"COLDCHAIN_CLOCK__{name.upper()}": str(value) for name, value in settings.items()}

    def simulator_environment(self) -> dict[str, str]:
        """What tells the clock to the simulator."""
        fields = self._settings().model_dump(mode="json", exclude={"quality"})
        return {"COLDCHAIN_CLOCK_JSON": json.dumps(fields)}

    def _settings(self) -> ClockSettings:
        return ClockSettings(
            start=self.start, stop=self.stop, rate=self.rate, anchor_ns=self.anchor_ns, quality="declared"
        )


def measure_lead_s() -> float:
    """Return how many real seconds ahead the trip should begin on this machine: it starts Python once to see."""
    begun = time.monotonic()
    subprocess.run([sys.executable, "-c", "import fastapi, sqlalchemy, bleak"], check=True)
    return LEAD_LEAST_S + LEAD_STARTS * (time.monotonic() - begun)
