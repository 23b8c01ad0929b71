"""Moments in forms: local time as browsers' fields write it, without an offset."""

from __future__ import annotations

from datetime import UTC, datetime

from gateway.hub.times import OSLO


def read_local(text: str) -> datetime:
    """Return the moment of a `datetime-local` field in Norwegian time. Raises ValueError for what is none.

    Of an hour that comes twice, in autumn, the first is meant: what has lasted longer is judged more strictly. An hour
    that is left out, in spring, is refused.
    """
    given = datetime.fromisoformat(text)
    local = given.replace(tzinfo=OSLO) if given.tzinfo is None else given
    if given.tzinfo is None and local.astimezone(UTC).astimezone(OSLO).replace(tzinfo=None) != given:
        raise ValueError("this hour is left out")
    return local


def write_local(at_ms: int) -> str:
    """Return a moment as a `datetime-local` field takes it, to the minute."""
    return datetime.fromtimestamp(at_ms // 1000, OSLO).strftime("%Y-%m-%dT%H:%M")
