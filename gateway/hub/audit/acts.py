"""The audit trail: who did what, when, from what to what, and why. Append-only; each entry names the one before."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256

import msgspec
from sqlalchemy import Connection, func, insert, select

from gateway.core.segments import NO_HASH
from gateway.hub.database.schema import audit, hub_state


@dataclass(frozen=True, slots=True)
class Act:
    """Something that a person or a program did.

    who      account, gateway or program; never a person's name
    act      a verb: "register", "receive", "enrol", …
    subject  what it was done to, "consignment C-1"
    old, new JSON before and after, None where there was nothing
    """

    who: str
    act: str
    subject: str
    old: str | None = None
    new: str | None = None
    reason: str = ""


def begin_act(connection: Connection) -> None:
    """Let acts happen one after another: what one has read nobody changes until its transaction ends."""
    connection.execute(select(hub_state.c.id).with_for_update())


def record_act(connection: Connection, act: Act, now_ms: int) -> None:
    """Append an entry within the transaction of the act itself."""
    record_acts(connection, [act], now_ms)


def record_acts(connection: Connection, acts: Sequence[Act], now_ms: int) -> None:
    """Append entries in their order, within the transaction of the acts themselves."""
    if not acts:
        return
    begin_act(connection)  # also for acts that read nothing before: one writer at a time extends the chain
    previous = connection.execute(select(audit.c.hash).order_by(audit.c.id.desc()).limit(1)).scalar() or NO_HASH
    rows = []
    for act in acts:
        head = hash_entry(act, now_ms, previous)
        told = {"who": act.who, "act": act.act, "subject": act.subject, "old": act.old, "new": act.new}
        rows.append({**told, "at_ms": now_ms, "reason": act.reason, "previous": previous, "hash": head})
        previous = head
    connection.execute(insert(audit), rows)


def hash_entry(act: Act, at_ms: int, previous: bytes) -> bytes:
    """Return the hash that the next entry names as its previous."""
    fields = (at_ms, act.who, act.act, act.subject, act.old, act.new, act.reason)
    return sha256(previous + msgspec.json.encode(fields)).digest()


def count_acts(connection: Connection) -> int:
    """Return a number that grows with each act on record."""
    return int(connection.execute(select(func.coalesce(func.max(audit.c.id), 0))).scalar_one())
