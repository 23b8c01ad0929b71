"""What to try, and when, against a scan that fails or falls silent. Pure: time comes in with each call.

Each step is stronger and rarer than the one before it: start the scan anew; switch the adapter off and on; start the
Bluetooth service anew. When the strongest has not helped the radio is called down, and all three go on being tried at
growing distances, since nobody in a van would do it instead.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

RESET_AFTER_S = 10.0
"""So long must the trouble have lasted: a daemon that is merely busy ("InProgress") is done by then."""
SERVICE_AFTER_S = 40.0
"""The service serves others too; resetting the adapter has had half a minute to show that it does not help."""
RESET_APART_S, RESET_APART_MAX_S = 30.0, 900.0
SERVICE_APART_S, SERVICE_APART_MAX_S = 120.0, 3600.0
"""Least distance between two steps of a kind, doubling. Some adapters cannot be mended from here (the Pi's own sits on
a serial line): a loop that resets them all day would only keep them from what they still do."""


class Step(StrEnum):
    """What to try. The value is the code under which it is recorded."""

    SCAN = "radio_scan_restarted"
    RESET = "radio_adapter_reset"
    SERVICE = "radio_service_restarted"


ALL_STEPS = frozenset(Step)


@dataclass(slots=True)
class _Limit:
    """How often a step may be taken."""

    apart_s: float
    longest_s: float
    not_before_s: float = 0.0
    taken: int = 0

    def take(self, now_s: float) -> None:
        self.taken += 1
        self.not_before_s = now_s + self.apart_s
        self.apart_s = min(self.longest_s, self.apart_s * 2)


class Recovery:
    """The recovery of one adapter, or of the service. Times are real, monotonic seconds."""

    def __init__(self, possible: frozenset[Step] = ALL_STEPS) -> None:
        self.failures = 0
        """In a row."""
        self._possible = possible
        self._since_s = 0.0
        self._exhausted_at: int | None = None
        self._strongest = next((step for step in (Step.SERVICE, Step.RESET) if step in possible), Step.SCAN)
        self._reset = _Limit(RESET_APART_S, RESET_APART_MAX_S)
        self._service = _Limit(SERVICE_APART_S, SERVICE_APART_MAX_S)

    @property
    def is_down(self) -> bool:
        """Whether the strongest step that is possible has been taken and did not help."""
        return self._exhausted_at is not None and self.failures > self._exhausted_at

    def lasted_s(self, now_s: float) -> float:
        """How long it has been going on."""
        return now_s - self._since_s if self.failures else 0.0

    def fail(self, now_s: float, began_s: float | None = None) -> Step:
        """Hear that it does not work; return what to try. `began_s` is when it last did, if that is known."""
        if self.failures == 0:
            self._since_s = now_s if began_s is None else began_s
            self._reset = _Limit(RESET_APART_S, RESET_APART_MAX_S)
            self._service = _Limit(SERVICE_APART_S, SERVICE_APART_MAX_S)
            self._exhausted_at = None
        self.failures += 1
        step = self._choose(now_s)
        if step is self._strongest and self._exhausted_at is None:
            self._exhausted_at = self.failures
        return step

    def _choose(self, now_s: float) -> Step:
        if self.failures == 1:
            return Step.SCAN
        lasted_s = self.lasted_s(now_s)
        is_reset_tried = self._reset.taken > 0 or Step.RESET not in self._possible
        if is_reset_tried and lasted_s >= SERVICE_AFTER_S and self._may(Step.SERVICE, self._service, now_s):
            return Step.SERVICE
        if lasted_s >= RESET_AFTER_S and self._may(Step.RESET, self._reset, now_s):
            return Step.RESET
        return Step.SCAN

    def succeed(self) -> None:
        """Hear that it works."""
        self.failures = 0

    def _may(self, step: Step, limit: _Limit, now_s: float) -> bool:
        if step not in self._possible or now_s < limit.not_before_s:
            return False
        limit.take(now_s)
        return True
