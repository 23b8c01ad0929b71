"""Domain time: the one clock that all processes of a run share, which may run faster than real time.

``COLDCHAIN_CLOCK_JSON`` holds JSON such as ``{"start": "2026-03-10T08:00:00+01:00", "rate": 240,
"anchor_ns": 123, "stop": "2026-03-10T13:00:00+01:00"}``: domain now = start + rate x (CLOCK_MONOTONIC - anchor),
and it stands still at ``stop``, which may be missing. Without the variable domain time is real time.
"""

import json
import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime

VARIABLE = "COLDCHAIN_CLOCK_JSON"
NS_PER_MS = 1_000_000
MS_PER_S = 1000


class ClockError(ValueError):
    """The variable cannot be understood; the text names the field and the reason."""


@dataclass(frozen=True)
class DomainClock:
    """Maps the machine's monotonic time to domain time. Times are milliseconds since 1970 UTC."""

    start_ms: int
    rate: float
    anchor_ns: int
    stop_ms: int | None = None
    monotonic_ns: Callable[[], int] = time.monotonic_ns

    def running_ms(self) -> float:
        """Return the time as if it never stood still: what radios and waits go by."""
        return self.start_ms + self.rate * (self.monotonic_ns() - self.anchor_ns) / NS_PER_MS

    def now_ms(self) -> float:
        """Return domain time, which stands still from ``stop_ms`` on."""
        running_ms = self.running_ms()
        return running_ms if self.stop_ms is None else min(running_ms, self.stop_ms)

    def real_s(self, domain_ms: float) -> float:
        """Return how many real seconds a stretch of domain time takes, also while time stands still."""
        return domain_ms / MS_PER_S / self.rate


def to_ms(moment: datetime) -> int:
    """Return a time with an offset as milliseconds since 1970 UTC."""
    return round(moment.timestamp() * MS_PER_S)


def clock_from(environment: Mapping[str, str]) -> DomainClock:
    """Return the clock of this run; raises ``ClockError``."""
    text = environment.get(VARIABLE)
    if not text:
        return DomainClock(time.time_ns() // NS_PER_MS, 1.0, time.monotonic_ns())
    try:
        fields = json.loads(text)
    except json.JSONDecodeError as error:
        raise ClockError(f"not JSON: {error}") from error
    if not isinstance(fields, dict):
        raise ClockError("not a JSON object")
    start_ms = _moment(fields, "start")
    stop_ms = _moment(fields, "stop") if fields.get("stop") is not None else None
    rate = _number(fields, "rate")
    if not (math.isfinite(rate) and rate > 0):
        raise ClockError(f"rate: must be a positive number, not {rate}")
    return DomainClock(start_ms, rate, int(_number(fields, "anchor_ns")), stop_ms)


def _moment(fields: Mapping[str, object], name: str) -> int:
    value = fields.get(name)
    if not isinstance(value, str):
        raise ClockError(f"{name}: must be a time with an offset, not {value!r}")
    try:
        moment = datetime.fromisoformat(value)
    except ValueError as error:
        raise ClockError(f"{name}: must be a time with an offset, not {value!r}") from error
    if moment.tzinfo is None:
        raise ClockError(f"{name}: has no offset: {value!r}")
    return to_ms(moment)


def _number(fields: Mapping[str, object], name: str) -> float:
    value = fields.get(name)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ClockError(f"{name}: must be a number, not {value!r}")
    return value
