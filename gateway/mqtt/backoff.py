"""How long to wait before the next attempt."""

from __future__ import annotations

import random

FIRST_DELAY_S = 0.25


def backoff_s(failures: int, maximum_s: float, rng: random.Random) -> float:
    """Return how long to wait before the next attempt: doubling up to `maximum_s`, then jittered to 50–100 %."""
    longest_s = min(maximum_s, FIRST_DELAY_S * 2.0 ** min(failures, 16))
    return longest_s * rng.uniform(0.5, 1.0)
