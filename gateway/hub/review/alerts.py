"""Alerts that are no breach's: somebody takes care of them, or they end by themselves. Until then they are open.

A breach's own alert is dealt with in its review.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
from sqlalchemy import Connection, Row, func, or_, select, update

from gateway.core.errors import InputError
from gateway.core.identifiers import refuse_identity_number
from gateway.hub.access.callers import Caller
from gateway.hub.access.roles import Role
from gateway.hub.audit.acts import Act, begin_act, record_act
from gateway.hub.breaches.lifecycle import NotNowError, ReviewState
from gateway.hub.database.schema import alerts, reviews
from gateway.hub.database.store import Store
from gateway.hub.review.competence import NotYoursError, check_acknowledger, kind_of
from gateway.hub.signals.alerts import OPEN, AlertKind
from gateway.hub.signals.events import tell

BULK_MAX = 200
"""Alerts acknowledged at once: all that one bad morning brings."""
REASON_MAX = 1000
PAGE = 50
"""Alerts of one page: what somebody goes through without losing the thread."""
PAGES_MAX = 1000
_TECHNICAL = frozenset(
    {AlertKind.LOG_FORKED, AlertKind.LOG_RESTARTED, AlertKind.KEY_REFUSED, AlertKind.HEADS_UNDELIVERED}
)
_TECHNICIANS = frozenset({Role.ADMINISTRATOR, Role.QUALITY})
"""Who can look after a log, a key, or what leaves the hub."""


class UnknownAlertError(InputError):
    """There is no alert of that number."""

    def __init__(self, number: int) -> None:
        super().__init__("id", f"there is no alert {number}")


@dataclass(frozen=True, slots=True)
class StoredAlert:
    """An alert with what became of it. Moments in UTC milliseconds.

    sent_at_ms    when it left, None while it waits to
    acknowledged  by whom and when, and the reason if one was given; None where nobody has, and for a breach's alert
    resolution    what has ended it by itself: heard, received, recovered, decided, …; None while it lasts
    """

    id: int
    kind: AlertKind
    breach: int | None
    created_at_ms: int
    sent_at_ms: int | None
    about: Mapping[str, Any]
    acknowledged_at_ms: int | None
    acknowledged_by: str | None
    reason: str | None
    resolved_at_ms: int | None
    resolution: str | None


def read_alerts(connection: Connection, *, waiting: bool, after: int = 0, limit: int = 500) -> list[StoredAlert]:
    """Return alerts by ascending id; with `waiting` those that nobody has acknowledged and nothing has ended."""
    wanted = select(alerts).where(alerts.c.id > after).order_by(alerts.c.id).limit(limit)
    if waiting:
        unseen = (alerts.c.kind == AlertKind.BREACH.value) & (reviews.c.state == ReviewState.OPEN.value)
        told = alerts.c.kind != AlertKind.RETRACTION.value
        joined = wanted.outerjoin(reviews, reviews.c.breach_id == alerts.c.breach_id)
        wanted = joined.where(told, or_(OPEN, unseen))
    return [to_alert(row) for row in connection.execute(wanted)]


@dataclass(frozen=True, slots=True)
class AlertPage:
    """A page of alerts; `found` counts those of all `pages`."""

    alerts: tuple[StoredAlert, ...]
    found: int
    page: int
    pages: int


def read_page(connection: Connection, *, waiting: bool, page: int = 1) -> AlertPage:
    """Return a page of the alerts that are no breach's, newest first; with `waiting` only those that are open."""
    wanted = OPEN if waiting else alerts.c.breach_id.is_(None)
    found = int(connection.execute(select(func.count()).select_from(alerts).where(wanted)).scalar_one())
    pages = max(1, min(PAGES_MAX, -(-found // PAGE)))
    page = min(page, pages)
    rows = select(alerts).where(wanted).order_by(alerts.c.id.desc()).limit(PAGE).offset((page - 1) * PAGE)
    return AlertPage(tuple(map(to_alert, connection.execute(rows))), found, page, pages)


def count_open(connection: Connection) -> int:
    """Return how many alerts that are no breach's wait for somebody."""
    return int(connection.execute(select(func.count()).select_from(alerts).where(OPEN)).scalar_one())


def read_alert(connection: Connection, number: int) -> StoredAlert:
    """Return one alert; raises UnknownAlertError."""
    row = connection.execute(select(alerts).where(alerts.c.id == number)).first()
    if row is None:
        raise UnknownAlertError(number)
    return to_alert(row)


class AlertDesk:
    """Acts on alerts. Blocking: call it from a thread.

    `who` must have the right to acknowledge alerts; whose matter an alert is, is checked here.
    """

    def __init__(self, store: Store, now_ms: Callable[[], int]) -> None:
        self._store = store
        self._now_ms = now_ms

    def acknowledge(self, ids: Sequence[int], who: Caller, reason: str = "") -> list[StoredAlert]:
        """Say that alerts are seen and taken care of, all or none; several at once need a reason.

        Raises UnknownAlertError, NotYoursError, InputError naming a field, and NotNowError for what is settled.
        """
        wanted = sorted(set(ids))
        if not 0 < len(wanted) <= BULK_MAX:
            raise InputError("ids", f"1 to {BULK_MAX} alerts at once")
        if len(wanted) > 1 and not reason.strip():
            raise InputError("reason", "several at once need one")
        if len(reason) > REASON_MAX:
            raise InputError("reason", f"at most {REASON_MAX} characters")
        refuse_identity_number("reason", reason)
        with self._store.write() as connection:
            begin_act(connection)
            for number in wanted:
                self._acknowledge(connection, read_alert(connection, number), who, reason.strip())
            return [read_alert(connection, number) for number in wanted]

    def _acknowledge(self, connection: Connection, alert: StoredAlert, who: Caller, reason: str) -> None:
        if alert.breach is not None or alert.kind in {AlertKind.BREACH, AlertKind.RETRACTION}:
            raise InputError("id", f"alert {alert.id} is a breach's: acknowledge breach {alert.breach}")
        check_alert_is_theirs(connection, alert, who)
        now_ms = self._now_ms()
        values = {"acknowledged_at_ms": now_ms, "acknowledged_by": who.name, "reason": reason or None}
        changed = connection.execute(update(alerts).where(alerts.c.id == alert.id, OPEN).values(**values))
        if not changed.rowcount:
            how = f"acknowledged by {alert.acknowledged_by}" if alert.acknowledged_by else "over by itself"
            raise NotNowError(f"alert {alert.id} is {how}")
        told = msgspec.json.encode({"kind": alert.kind, "about": alert.about}, order="sorted").decode()
        record_act(connection, Act(who.name, "acknowledge_alert", f"alert {alert.id}", None, told, reason), now_ms)
        tell(connection, "alert_settled", {"id": alert.id, "how": "acknowledged", "who": who.name}, now_ms)


def check_alert_is_theirs(connection: Connection, alert: StoredAlert, who: Caller) -> None:
    """Raise NotYoursError where somebody cannot take care of an alert: it would be hidden from those who can."""
    if alert.kind in _TECHNICAL and not who.roles & _TECHNICIANS:
        raise NotYoursError("an alert about a log, a key or the heads is acknowledged by: administrator, quality")
    if alert.kind in {AlertKind.VERDICT_WORSENED, AlertKind.NEW_SAMPLE}:
        item = (str(alert.about["consignment"]), str(alert.about["item"]))
        check_acknowledger(who, kind_of(connection, *item, ""))


def to_alert(row: Row[tuple[object, ...]]) -> StoredAlert:
    """Return the value of a row."""
    return StoredAlert(
        id=row.id,
        kind=AlertKind(row.kind),
        breach=row.breach_id,
        created_at_ms=row.created_at_ms,
        sent_at_ms=row.sent_at_ms,
        about=msgspec.json.decode(row.document),
        acknowledged_at_ms=row.acknowledged_at_ms,
        acknowledged_by=row.acknowledged_by,
        reason=row.reason,
        resolved_at_ms=row.resolved_at_ms,
        resolution=row.resolution,
    )
