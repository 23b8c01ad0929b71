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


def read_local(text: str) -> datetime:
    """Return the moment of an ISO text, in Norwegian time where it has no offset. Raises ValueError for what is none.

    Of an hour that comes twice, in autumn, the first is meant: what has lasted longer is judged more strictly. An hour
    that is left out, in spring, is refused.
    """
    given = datetime.fromisoformat(text)
    local = given.replace(tzinfo=OSLO) if given.tzinfo is None else given
    if given.tzinfo is None and local.astimezone(UTC).astimezone(OSLO).replace(tzinfo=None) != given:
        raise ValueError("this hour is left out")
    return local
