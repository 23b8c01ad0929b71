"""Moments: milliseconds, and datetimes for people."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

OSLO = ZoneInfo("Europe/Oslo")


def real_ms() -> int:
    """Return the machine's own UTC in milliseconds, for what is a matter of security and not of the domain."""
    return time.time_ns() // 1_000_000


def to_datetime(at_ms: int) -> datetime:
    """Return a moment as UTC."""
    return datetime.fromtimestamp(at_ms / 1000, UTC)


def to_oslo(at_ms: int) -> datetime:
    """Return a moment as Norwegian time."""
    return datetime.fromtimestamp(at_ms / 1000, OSLO)
