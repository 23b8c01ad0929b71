"""Heads of all chains, signed: made each day, and on request, to be kept where the hub cannot reach."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from sqlalchemy import func, select

from gateway.core.attestations import Head, Heads, sign_statement
from gateway.core.segments import NO_HASH
from gateway.hub.schema import audit, epochs
from gateway.hub.store import Store, read_generation
from gateway.keys import SigningKey


def read_heads(store: Store, hub_public_key: bytes, now_ms: int) -> Heads:
    """Return the heads as they are now."""
    with store.read() as connection:
        rows = connection.execute(
            select(epochs).where(epochs.c.next_offset > 0).order_by(epochs.c.gateway, epochs.c.id)
        ).all()
        last = connection.execute(select(audit.c.hash).order_by(audit.c.id.desc()).limit(1)).scalar()
        entries = connection.execute(select(func.count()).select_from(audit)).scalar_one()
        return Heads(
            at_ms=now_ms,
            generation=read_generation(connection),
            hub_public_key=hub_public_key.hex(),
            heads=tuple(
                Head(gateway=row.gateway, epoch=row.epoch.hex(), next_offset=row.next_offset, hash=row.head.hex())
                for row in rows
            ),
            audit_entries=entries,
            audit_head=(last or NO_HASH).hex(),
        )


def write_heads(store: Store, key: SigningKey, folder: Path, now_ms: int) -> Path:
    """Write the signed heads into `folder` (a share or a mail spool that leaves the hub); return the file."""
    heads = read_heads(store, key.public_bytes, now_ms)
    moment = datetime.fromtimestamp(now_ms / 1000, tz=UTC).strftime("%Y%m%dT%H%M%SZ")
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"heads-{moment}.json"
    partial = path.with_suffix(".part")
    partial.write_text(sign_statement(heads, key.sign), encoding="utf-8")
    partial.rename(path)
    return path
