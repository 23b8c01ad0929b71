"""Quarantine: what could not be processed, kept with its reason and counted. Nothing is dropped silently."""

from __future__ import annotations

from hashlib import sha256

from sqlalchemy import Connection, func, select, update

from gateway.hub.database.schema import quarantine
from gateway.hub.database.store import insert_or_skip

ROWS_PER_GATEWAY = 1000
"""Kept verbatim for each gateway: at 256 KiB the worst case is 250 MiB. What comes later is only counted."""
OVERFLOW = "overflow"


def set_aside(
    connection: Connection, *, source: str, gateway: str, code: str, reason: str, data: bytes, now_ms: int
) -> None:
    """Keep `data` with its reason, or count it if the same (or too much) is there already.

    source   "log", "content", "flag", "projection"
    code     stable, for counting
    """
    digest = sha256(data).digest()
    reason = reason.replace("\x00", "\\0")  # which PostgreSQL keeps in no text
    if _count_again(connection, (source, gateway, code, digest), now_ms):
        return
    rows = connection.execute(select(func.count()).where(quarantine.c.gateway == gateway)).scalar_one()
    if rows >= ROWS_PER_GATEWAY:
        code, reason, data, digest = OVERFLOW, f"more than {ROWS_PER_GATEWAY} kept; the rest is counted", b"", b""
    new = insert_or_skip(
        connection,
        quarantine,
        source=source,
        gateway=gateway,
        code=code,
        reason=reason,
        hash=digest,
        verbatim=data,
        times=1,
        first_at_ms=now_ms,
        last_at_ms=now_ms,
    )
    if not new:
        _count_again(connection, (source, gateway, code, digest), now_ms)


def _count_again(connection: Connection, identity: tuple[str, str, str, bytes], now_ms: int) -> bool:
    source, gateway, code, digest = identity
    change = (
        update(quarantine)
        .where(
            quarantine.c.source == source,
            quarantine.c.gateway == gateway,
            quarantine.c.code == code,
            quarantine.c.hash == digest,
        )
        .values(times=quarantine.c.times + 1, last_at_ms=now_ms)
    )
    return connection.execute(change).rowcount > 0
