"""Alerts: rows saved in the transaction of what they tell, and marked sent after sending."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import msgspec
from sqlalchemy import Connection, Row, func, select, update

from gateway.hub.database.schema import alerts
from gateway.hub.database.store import insert_or_skip
from gateway.hub.signals.events import tell

OPEN = alerts.c.breach_id.is_(None) & alerts.c.acknowledged_at_ms.is_(None) & alerts.c.resolved_at_ms.is_(None)
"""An alert that waits for somebody, and is no breach's: those wait in their reviews."""
OPEN_MAX = 500
"""Open alerts of one kind looked at together: more than a region has vehicles that are silent at once."""


class AlertKind(StrEnum):
    """What an alert says."""

    BREACH = "breach"
    RETRACTION = "retraction"
    VERDICT_WORSENED = "verdict_worsened"
    VEHICLE_SILENT = "vehicle_silent"
    LOG_FORKED = "log_forked"
    LOG_RESTARTED = "log_restarted"
    KEY_REFUSED = "key_refused"
    LOGGER_LOST = "logger_lost"
    HEADS_UNDELIVERED = "heads_undelivered"
    NEW_SAMPLE = "new_sample"


class Resolution(StrEnum):
    """What has ended an alert that nobody had acknowledged, or that somebody had."""

    HEARD = "heard"  # of the vehicle, its box or the logger again
    DELIVERED = "delivered"  # what had not left
    ENDED = "ended"  # what it was about: the breach, or the doubt
    RECEIVED = "received"  # the consignment has arrived
    RECOVERED = "recovered"  # the verdict is no worse than it was
    DECIDED = "decided"  # somebody has decided about the item, and saw all that the alert tells of


@dataclass(frozen=True, slots=True)
class OpenAlert:
    """An alert that waits. `about` is its document."""

    id: int
    kind: AlertKind
    about: Mapping[str, Any]
    created_at_ms: int


@dataclass(frozen=True, slots=True)
class Alert:
    """An alert as stored. `id` lets a receiver recognise one that is sent again."""

    id: int
    kind: AlertKind
    breach_id: int | None
    document: str
    created_at_ms: int
    sent_at_ms: int | None


def raise_alert(
    connection: Connection,
    kind: AlertKind,
    document: Mapping[str, object],
    now_ms: int,
    *,
    breach_id: int | None = None,
    occasion: int = 0,
    key: str | None = None,
    source: str = "",
) -> None:
    """Save an alert; one breach raises at most one of each kind and occasion, and one `key` at most one at all.

    `source` is whatever may cause many at once, a gateway as a rule: alerts of different sources leave in turn.
    """
    insert_or_skip(
        connection,
        alerts,
        kind=kind.value,
        breach_id=breach_id,
        occasion=occasion,
        document=msgspec.json.encode(document).decode(),
        created_at_ms=now_ms,
        attempts=0,
        key=key,
        source=source,
    )


def read_unsent(connection: Connection, limit: int) -> list[Alert]:
    """Return alerts that wait to be sent: the oldest of each source, then the second of each, and so on.

    However many one source has caused, the first of another waits for no more than one of each.
    """
    turn = func.row_number().over(partition_by=alerts.c.source, order_by=alerts.c.id).label("turn")
    waiting = select(alerts, turn).where(alerts.c.sent_at_ms.is_(None)).subquery()
    rows = connection.execute(select(waiting).order_by(waiting.c.turn, waiting.c.id).limit(limit))
    return [
        Alert(row.id, AlertKind(row.kind), row.breach_id, row.document, row.created_at_ms, row.sent_at_ms)
        for row in rows
    ]


def mark_sent(connection: Connection, alert: Alert, now_ms: int) -> None:
    """Say that an alert has left, and tell listeners."""
    changed = connection.execute(
        update(alerts)
        .where(alerts.c.id == alert.id, alerts.c.sent_at_ms.is_(None))
        .values(sent_at_ms=now_ms, attempts=alerts.c.attempts + 1)
    )
    if changed.rowcount:
        told = {"id": alert.id, "kind": alert.kind, "breach": alert.breach_id, **msgspec.json.decode(alert.document)}
        tell(connection, "alert", told, now_ms)


def read_open(connection: Connection, kind: AlertKind) -> list[OpenAlert]:
    """Return what waits of one kind, oldest first, at most OPEN_MAX."""
    wanted = select(alerts).where(alerts.c.kind == kind.value, OPEN).order_by(alerts.c.id).limit(OPEN_MAX)
    return [to_open(row) for row in connection.execute(wanted)]


def resolve_alerts(connection: Connection, ids: Iterable[int], why: Resolution, now_ms: int) -> int:
    """Say that what alerts told of is over; return of how many. What still waits to leave for them stays here."""
    ended = 0
    for number in sorted(ids):
        changed = connection.execute(
            update(alerts).where(alerts.c.id == number, OPEN).values(resolved_at_ms=now_ms, resolution=why.value)
        )
        if changed.rowcount:
            ended += 1
            tell(connection, "alert_settled", {"id": number, "how": why.value}, now_ms)
    return ended


def to_open(row: Row[tuple[object, ...]]) -> OpenAlert:
    """Return the value of a row."""
    return OpenAlert(row.id, AlertKind(row.kind), msgspec.json.decode(row.document), row.created_at_ms)
