"""Heads of all chains, signed: made each day, and on request, to be kept where the hub cannot reach.

Each names the document before it, so that neither a chain's tail nor a day's heads can be taken away unseen.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256

from sqlalchemy import Connection, func, insert, select

from gateway.core.attestations import Head, Heads, sign_statement
from gateway.core.segments import NO_HASH
from gateway.hub.audit.acts import Act, begin_act, record_act
from gateway.hub.database import schema
from gateway.hub.database.schema import audit, departures, epochs
from gateway.hub.database.store import Store, read_generation
from gateway.hub.times import to_datetime
from gateway.keys import SigningKey

DOCUMENT, TIMESTAMP = "document", "timestamp"
"""What leaves: the signed heads, and what a time-stamping authority answered to them."""


@dataclass(frozen=True, slots=True)
class Written:
    """Heads that were made. `document` is the exact text that leaves."""

    number: int
    at_ms: int
    document: str

    @property
    def name(self) -> str:
        """The name of its file, without an ending."""
        return f"heads-{self.number:06}-{to_datetime(self.at_ms):%Y%m%dT%H%M%SZ}"


def write_heads(
    store: Store, key: SigningKey, now_ms: int, destinations: Sequence[str], *, who: str = "hub"
) -> Written:
    """Make and sign the heads as they are now, and note in the same transaction where they must go."""
    with store.write() as connection:
        begin_act(connection)
        last = _read_last(connection)
        number = 1 if last is None else last.number + 1
        previous = NO_HASH if last is None else sha256(last.document.encode()).digest()
        heads = _read_heads(connection, key.public_bytes, now_ms, number, previous)
        written = Written(number, now_ms, sign_statement(heads, key.sign))
        connection.execute(insert(schema.heads).values(number=number, at_ms=now_ms, document=written.document))
        for destination in destinations:
            connection.execute(insert(departures).values(number=number, part=DOCUMENT, destination=destination))
        digest = sha256(written.document.encode()).hexdigest()
        record_act(connection, Act(who, "write_heads", f"heads {number}", new=digest), now_ms)
    return written


def are_heads_due(store: Store, now_ms: int) -> bool:
    """Whether a day (UTC) has begun for which none were made; not before there is anything to state."""
    with store.read() as connection:
        last = _read_last(connection)
        if last is None:
            return connection.execute(select(epochs.c.id).limit(1)).first() is not None
    return to_datetime(now_ms).date() > to_datetime(last.at_ms).date()


def _read_last(connection: Connection) -> Written | None:
    row = connection.execute(select(schema.heads).order_by(schema.heads.c.number.desc()).limit(1)).first()
    return None if row is None else Written(row.number, row.at_ms, row.document)


def _read_heads(connection: Connection, hub_public_key: bytes, now_ms: int, number: int, previous: bytes) -> Heads:
    rows = connection.execute(
        select(epochs).where(epochs.c.next_offset > 0).order_by(epochs.c.gateway, epochs.c.id)
    ).all()
    last = connection.execute(select(audit.c.hash).order_by(audit.c.id.desc()).limit(1)).scalar()
    entries = connection.execute(select(func.count()).select_from(audit)).scalar_one()
    return Heads(
        number=number,
        previous=previous.hex(),
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
