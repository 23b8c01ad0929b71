"""Moments in forms: local time as browsers' fields write it, without an offset."""

from __future__ import annotations

from datetime import datetime

from gateway.hub.times import OSLO, read_local

__all__ = ["read_local", "write_local"]


def write_local(at_ms: int) -> str:
    """Return a moment as a `datetime-local` field takes it, to the minute."""
    return datetime.fromtimestamp(at_ms // 1000, OSLO).strftime("%Y-%m-%dT%H:%M")
