"""Keys of gateways: which may sign, which were handed over to others, which were revoked.

A key that hands over stays valid until the first segment of its successor's epoch is chained, for only then has the hub
everything that came before. From there on only what is stored already is known as its own.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from sqlalchemy import Connection, select, update

from gateway.core.errors import InputError, SegmentError
from gateway.core.segments import Segment
from gateway.hub.audit.acts import Act, record_act
from gateway.hub.database.schema import epochs, gateway_keys, gateways, quarantine, segments
from gateway.hub.database.store import insert_or_skip
from gateway.hub.replication.chain import Arrival
from gateway.hub.signals.alerts import AlertKind, raise_alert
from gateway.hub.signals.events import tell

WARNED_MS = 86_400_000
"""Between two alerts that something signs with a key that may not: one a day for each gateway."""


@dataclass(slots=True)
class Ring:
    """The public keys of one gateway, newest first. What is both retired and revoked is revoked."""

    valid: list[bytes] = field(default_factory=list)
    retired: list[bytes] = field(default_factory=list)
    revoked: list[bytes] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class KeyState:
    """A key of a gateway (hexadecimal). Moments in UTC milliseconds, None for what has not happened."""

    public_key: str
    enrolled_at_ms: int
    retired_at_ms: int | None
    revoked_at_ms: int | None


def read_keys(connection: Connection, gateway: str) -> list[KeyState]:
    """Return the keys of a gateway, newest first."""
    rows = connection.execute(
        select(gateway_keys)
        .where(gateway_keys.c.gateway == gateway)
        .order_by(gateway_keys.c.enrolled_at_ms.desc(), gateway_keys.c.public_key)
    )
    return [
        KeyState(bytes(row.public_key).hex(), row.enrolled_at_ms, row.retired_at_ms, row.revoked_at_ms) for row in rows
    ]


def read_rings(connection: Connection, names: Iterable[str]) -> dict[str, Ring]:
    """Return the keys of each of the gateways; those without any are left out."""
    rows = connection.execute(
        select(gateway_keys)
        .where(gateway_keys.c.gateway.in_(set(names)))
        .order_by(gateway_keys.c.enrolled_at_ms.desc(), gateway_keys.c.public_key)
    )
    rings: dict[str, Ring] = {}
    for row in rows:
        ring = rings.setdefault(row.gateway, Ring())
        if row.revoked_at_ms is not None:
            ring.revoked.append(bytes(row.public_key))
        elif row.retired_at_ms is not None:
            ring.retired.append(bytes(row.public_key))
        else:
            ring.valid.append(bytes(row.public_key))
    return rings


def is_stored(connection: Connection, segment: Segment) -> bool:
    """Whether this very segment is here: what comes again after its key was retired is nothing new."""
    header = segment.header
    found = connection.execute(
        select(segments.c.hash)
        .join(epochs, epochs.c.id == segments.c.epoch_id)
        .where(
            epochs.c.gateway == segment.gateway,
            epochs.c.epoch == header.epoch,
            segments.c.position == header.offset,
        )
    ).scalar()
    return found is not None and bytes(found) == segment.hash


def adopt_successors(connection: Connection, arrivals: Iterable[Arrival], now_ms: int) -> None:
    """Let the keys sign to which valid ones have handed over."""
    for arrival in arrivals:
        gateway = arrival.segment.gateway
        for change in arrival.changes:
            is_new = insert_or_skip(
                connection,
                gateway_keys,
                gateway=gateway,
                public_key=change.new,
                token_hash=change.token_hash,
                enrolled_at_ms=now_ms,
            )
            if is_new:
                connection.execute(
                    update(gateway_keys)
                    .where(gateway_keys.c.gateway == gateway, gateway_keys.c.public_key == change.old)
                    .values(successor_epoch=arrival.segment.header.epoch)
                )
                act = Act(gateway, "rotate_key", f"gateway {gateway}", change.old.hex(), change.new.hex())
                record_act(connection, act, now_ms)


def retire_predecessors(connection: Connection, gateway: str, epoch: bytes, now_ms: int) -> None:
    """An epoch has begun to be chained: the keys before the one that began it sign nothing new any more."""
    connection.execute(
        update(gateway_keys)
        .where(
            gateway_keys.c.gateway == gateway,
            gateway_keys.c.successor_epoch == epoch,
            gateway_keys.c.retired_at_ms.is_(None),
        )
        .values(retired_at_ms=now_ms + 1)  # what arrived in this very transaction came before
    )


def revoke_keys(connection: Connection, gateway: str, now_ms: int, *, who: str, reason: str, key: str = "") -> int:
    """Revoke a gateway's keys, or those that begin with `key` (hexadecimal); return how many.

    Raises InputError where there is nothing to revoke. What they sign is quarantined from now on, their tokens are
    refused; what they signed before stays what it is.
    """
    rows = connection.execute(select(gateway_keys).where(gateway_keys.c.gateway == gateway)).all()
    if not rows:
        raise InputError("gateway", f"no gateway {gateway!r} is enrolled")
    wanted = [row for row in rows if row.revoked_at_ms is None and row.public_key.hex().startswith(key.lower())]
    if not wanted:
        raise InputError(
            "key", f"{gateway} has no key that could be revoked" + (f" and begins with {key}" if key else "")
        )
    for row in wanted:
        connection.execute(
            update(gateway_keys)
            .where(gateway_keys.c.gateway == gateway, gateway_keys.c.public_key == row.public_key)
            .values(revoked_at_ms=now_ms)
        )
        act = Act(who, "revoke_key", f"gateway {gateway}", old=row.public_key.hex(), reason=reason)
        record_act(connection, act, now_ms)
    if all(row in wanted or row.revoked_at_ms is not None for row in rows):
        connection.execute(update(gateways).where(gateways.c.name == gateway).values(revoked_at_ms=now_ms))
    tell(connection, "gateway", {"gateway": gateway, "online": False}, now_ms)
    return len(wanted)


def warn_of_key(connection: Connection, gateway: str, error: SegmentError, now_ms: int) -> None:
    """Alert that somebody signs with a key that may not: it was stolen, or a machine was forgotten."""
    recent = select(quarantine.c.id).where(
        quarantine.c.gateway == gateway, quarantine.c.code == error.code, quarantine.c.last_at_ms > now_ms - WARNED_MS
    )
    if connection.execute(recent.limit(1)).first() is None:
        document = {"gateway": gateway, "code": error.code, "reason": error.reason}
        raise_alert(connection, AlertKind.KEY_REFUSED, document, now_ms)
