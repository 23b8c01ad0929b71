"""Loggers that may be lost: a breach runs, the vehicle is heard, and nothing comes from the box any more.

A person says whether it is; see `gateway.hub.review.losses`. A vehicle that is silent itself is another matter.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, Row, or_, select

from gateway.core.observations import Observation
from gateway.core.verdicts import BreachKind
from gateway.hub.breaches.keeping import BreachState
from gateway.hub.breaches.lifecycle import ReviewState
from gateway.hub.database.schema import (
    breaches,
    carriages,
    consignments,
    epochs,
    gateways,
    logger_hours,
    lost_loggers,
    reviews,
    vigils,
)
from gateway.hub.judgement.silence import SILENT_MS, loggers_in
from gateway.hub.record.index import HOUR_MS
from gateway.hub.signals.alerts import AlertKind, Resolution, raise_alert, read_open, resolve_alerts

LOST_MS = 60 * 60_000
"""A logger that says nothing for so long while its vehicle is heard: it measures each half minute, and a box that is
carried out of reach for a delivery is back earlier."""
_PASSING = (BreachKind.LIFE.value, BreachKind.DEADLINE.value)
"""Breaches that run by the clock, whether or not anything is measured."""

Observed = Callable[[str, int], Sequence[Observation]]
"""(logger, since_ms) → what is known of it since then."""


@dataclass(frozen=True, slots=True)
class Running:
    """A breach that needs its logger to be known to be over: the last that was measured belongs to it."""

    id: int
    consignment: str
    item: str
    profile: str


@dataclass(frozen=True, slots=True)
class Affected:
    """A box with breaches that run, its loggers, and what was heard of them last: when, and through which gateway."""

    box: str
    loggers: tuple[str, ...]
    last_ms: int | None
    gateway: str
    running: tuple[Running, ...]


def find_affected(connection: Connection, observed: Observed, now_ms: int) -> list[Affected]:
    """Return the boxes with breaches of which nothing shows that they are over."""
    rows = connection.execute(
        select(breaches.c.id, breaches.c.consignment, breaches.c.item, breaches.c.profile, breaches.c.ended_at_ms)
        .join(reviews, reviews.c.breach_id == breaches.c.id)
        .outerjoin(consignments, consignments.c.code == breaches.c.consignment)
        .where(
            breaches.c.state.in_((BreachState.PROVISIONAL, BreachState.CONFIRMED)),
            breaches.c.kind.not_in(_PASSING),
            reviews.c.state != ReviewState.CLOSED.value,
            consignments.c.received_at_ms.is_(None),
        )
        .order_by(breaches.c.id)
    ).all()
    by_box: dict[str, list[Row[int, str, str, str, int | None]]] = {}
    for row in rows:
        for box in _boxes_of(connection, row.consignment, now_ms):
            by_box.setdefault(box, []).append(row)
    found = []
    for box, several in by_box.items():
        loggers = tuple(loggers_in(connection, box))
        last = [heard for logger in loggers if (heard := _heard_last(connection, logger, observed)) is not None]
        last_ms, gateway = max(last, default=(None, ""))
        running = tuple(
            Running(row.id, row.consignment, row.item, row.profile)
            for row in several
            # A gap ends an excursion where the readings end; whether it was over then, nobody knows.
            if row.ended_at_ms is None or last_ms is None or row.ended_at_ms >= last_ms
        )
        if running:
            found.append(Affected(box, loggers, last_ms, gateway, running))
    return found


def tell_losses(connection: Connection, observed: Observed, now_ms: int) -> None:
    """Alert where nothing has come from a box for LOST_MS although its vehicle is heard and its breach runs."""
    for one in find_affected(connection, observed, now_ms):
        if one.last_ms is None or one.last_ms > now_ms - LOST_MS or are_lost(connection, one.loggers):
            continue
        if not _is_heard(connection, one.gateway, now_ms):
            continue
        for code in sorted({breach.consignment for breach in one.running}):
            document = {
                "consignment": code,
                "box": one.box,
                "boxes": [one.box],
                "loggers": one.loggers,
                "gateway": one.gateway,
                "silent_since_ms": one.last_ms,
                "breaches": [breach.id for breach in one.running if breach.consignment == code],
            }
            key = f"lost:{one.box}:{code}:{one.last_ms}"
            raise_alert(connection, AlertKind.LOGGER_LOST, document, now_ms, key=key, source=one.gateway)


def settle_losses(connection: Connection, observed: Observed, now_ms: int) -> None:
    """End the alerts of loggers that are heard again, and of breaches that run no longer."""
    waiting = read_open(connection, AlertKind.LOGGER_LOST)
    affected = find_affected(connection, observed, now_ms) if waiting else []
    still = {breach.id for one in affected for breach in one.running}
    for alert in waiting:
        loggers = list(alert.about["loggers"])
        if any(observed(logger, int(alert.about["silent_since_ms"]) + 1) for logger in loggers):
            resolve_alerts(connection, [alert.id], Resolution.HEARD, now_ms)
        elif still.isdisjoint(alert.about["breaches"]) or are_lost(connection, loggers):
            resolve_alerts(connection, [alert.id], Resolution.ENDED, now_ms)


def is_loss_suggested(connection: Connection, breach_id: int, consignment: str, now_ms: int) -> bool:
    """Say whether a breach runs on because its logger may be lost, or is."""
    if any(breach_id in alert.about["breaches"] for alert in read_open(connection, AlertKind.LOGGER_LOST)):
        return True
    boxes = _boxes_of(connection, consignment, now_ms)
    return any(loggers and are_lost(connection, loggers) for loggers in (loggers_in(connection, box) for box in boxes))


def _boxes_of(connection: Connection, consignment: str, now_ms: int) -> Iterator[str]:
    now = (carriages.c.begins_ms <= now_ms) & or_(carriages.c.ends_ms.is_(None), carriages.c.ends_ms > now_ms)
    carried = select(carriages.c.box).where(carriages.c.consignment == consignment, now)
    watched = select(vigils.c.box).where(vigils.c.code == consignment, vigils.c.ends_ms.is_(None))
    yield from sorted({*connection.execute(carried).scalars(), *connection.execute(watched).scalars()})


def are_lost(connection: Connection, loggers: Sequence[str]) -> bool:
    """Say whether somebody has said of all of them that they are lost."""
    known = connection.execute(select(lost_loggers.c.logger).where(lost_loggers.c.logger.in_(loggers))).scalars()
    return set(known) >= set(loggers)


def _heard_last(connection: Connection, logger: str, observed: Observed) -> tuple[int, str] | None:
    """Return when a logger measured last, and through which gateway that came."""
    row = connection.execute(
        select(logger_hours.c.hour, epochs.c.gateway)
        .join(epochs, epochs.c.id == logger_hours.c.epoch_id)
        .where(logger_hours.c.logger == logger, logger_hours.c.places != 0)
        .order_by(logger_hours.c.hour.desc())
        .limit(1)
    ).first()
    if row is None:
        return None
    times = [one.measured_at_ms for one in observed(logger, row.hour * HOUR_MS)]
    return (max(times), row.gateway) if times else None


def _is_heard(connection: Connection, gateway: str, now_ms: int) -> bool:
    wanted = select(gateways.c.received_at_ms).where(gateways.c.name == gateway)
    received_at_ms = connection.execute(wanted).scalar()
    return received_at_ms is not None and received_at_ms > now_ms - SILENT_MS
