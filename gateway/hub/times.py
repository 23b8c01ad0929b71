"""Moments: milliseconds, and datetimes for people."""

from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

OSLO = ZoneInfo("Europe/Oslo")


def to_datetime(at_ms: int) -> datetime:
    """Return a moment as UTC."""
    return datetime.fromtimestamp(at_ms / 1000, UTC)


def to_oslo(at_ms: int) -> datetime:
    """Return a moment as Norwegian time."""
    return datetime.fromtimestamp(at_ms / 1000, OSLO)
