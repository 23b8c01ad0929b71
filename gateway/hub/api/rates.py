"""How often somebody may ask: so many at once, and so many in a time after that. Counted in this process."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from threading import Lock

KNOWN_MAX = 10_000
"""Askers remembered; who asked longest ago is forgotten, and begins anew."""


class Rates:
    """Leaky buckets, one for each asker. Safe among threads.

    burst    requests that may come at once
    each_s   seconds until one more may come
    """

    def __init__(self, burst: int, each_s: float, monotonic_s: Callable[[], float]) -> None:
        self._burst = burst
        self._each_s = each_s
        self._monotonic_s = monotonic_s
        self._full_until_s: OrderedDict[str, float] = OrderedDict()
        self._lock = Lock()

    def take(self, asker: str) -> float:
        """Count a request: 0 if it may pass, else the seconds after which the next one may."""
        now_s = self._monotonic_s()
        with self._lock:
            until_s = max(self._full_until_s.pop(asker, now_s), now_s)
            wait_s = until_s - now_s - (self._burst - 1) * self._each_s
            self._full_until_s[asker] = until_s if wait_s > 0 else until_s + self._each_s
            if len(self._full_until_s) > KNOWN_MAX:
                self._full_until_s.popitem(last=False)
        return max(wait_s, 0.0)
