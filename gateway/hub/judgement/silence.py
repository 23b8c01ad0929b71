"""Boxes that are on their way with a vehicle that says nothing any more: somebody has to ask where they are."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, or_, select

from gateway.core.configuration import Box
from gateway.core.standby import alerts_in
from gateway.hub.database.schema import (
    alerts,
    assignments,
    boxes,
    carriages,
    consignments,
    epochs,
    gateways,
    logger_hours,
)
from gateway.hub.record.index import HOUR_MS
from gateway.hub.replication.importing import IMPORTER
from gateway.hub.signals.alerts import AlertKind, Resolution, raise_alert, read_open, resolve_alerts

SILENT_MS = 30 * 60_000
"""A vehicle that sent nothing for so long: longer than any tunnel, shorter than most trips."""


@dataclass(frozen=True, slots=True)
class Left:
    """A loaded box that a gateway heard in its last two hours. Nothing came from the gateway since `since_ms`."""

    gateway: str
    since_ms: int
    consignment: str
    box: str
    logger: str

    @property
    def key(self) -> str:
        """One silence is told once for each consignment."""
        return f"silent:{self.gateway}:{self.consignment}:{self.since_ms}"


def find_left(connection: Connection, now_ms: int) -> list[Left]:
    """Return what was last known to be with vehicles that fell silent, and is not told of yet."""
    rows = connection.execute(
        select(gateways.c.name, gateways.c.received_at_ms).where(
            gateways.c.name != IMPORTER,  # a log that is written by hand
            gateways.c.revoked_at_ms.is_(None),
            gateways.c.received_at_ms <= now_ms - SILENT_MS,
        )
    ).all()
    return [left for row in rows for left in _left_with(connection, row.name, row.received_at_ms, now_ms)]


def tell_silences(
    connection: Connection, found: Sequence[Left], is_heard_since: Callable[[Left], bool], now_ms: int
) -> None:
    """Alert about what nobody has heard since. `is_heard_since`: by another vehicle, that carried it on."""
    silent: defaultdict[str, list[Left]] = defaultdict(list)
    for left in found:
        silent[left.key].append(left)
    for key, several in silent.items():
        if not any(is_heard_since(left) for left in several):
            document = {
                "gateway": several[0].gateway,
                "consignment": several[0].consignment,
                "boxes": sorted({left.box for left in several}),
                "silent_since_ms": several[0].since_ms,
            }
            raise_alert(connection, AlertKind.VEHICLE_SILENT, document, now_ms, key=key, source=several[0].gateway)


def settle_silences(connection: Connection, is_heard_since: Callable[[Left], bool], now_ms: int) -> None:
    """End the alerts of vehicles, or boxes, that are heard again, and of consignments that have arrived."""
    for alert in read_open(connection, AlertKind.VEHICLE_SILENT):
        gateway, since_ms = str(alert.about["gateway"]), int(alert.about["silent_since_ms"])
        code = str(alert.about["consignment"])
        if _is_received(connection, code):
            resolve_alerts(connection, [alert.id], Resolution.RECEIVED, now_ms)
        elif _has_sent(connection, gateway, since_ms) or any(
            is_heard_since(Left(gateway, since_ms, code, box, logger))
            for box in alert.about["boxes"]
            for logger in loggers_in(connection, box)
        ):
            resolve_alerts(connection, [alert.id], Resolution.HEARD, now_ms)


def loggers_in(connection: Connection, box: str) -> list[str]:
    """Return the loggers that are in a box now."""
    wanted = select(assignments.c.logger).where(assignments.c.box == box, assignments.c.until_ms.is_(None))
    return list(connection.execute(wanted.order_by(assignments.c.logger)).scalars())


def _has_sent(connection: Connection, gateway: str, since_ms: int) -> bool:
    received_at_ms = connection.execute(select(gateways.c.received_at_ms).where(gateways.c.name == gateway)).scalar()
    return received_at_ms is not None and received_at_ms > since_ms


def _is_received(connection: Connection, code: str) -> bool:
    wanted = select(consignments.c.received_at_ms).where(consignments.c.code == code)
    return connection.execute(wanted).scalar() is not None


def _left_with(connection: Connection, gateway: str, since_ms: int, now_ms: int) -> Iterable[Left]:
    rows = connection.execute(
        select(carriages.c.consignment, carriages.c.box, assignments.c.logger)
        .distinct()
        .join(consignments, consignments.c.code == carriages.c.consignment)
        .join(assignments, assignments.c.box == carriages.c.box)
        .join(logger_hours, logger_hours.c.logger == assignments.c.logger)
        .join(epochs, epochs.c.id == logger_hours.c.epoch_id)
        .where(
            epochs.c.gateway == gateway,
            consignments.c.received_at_ms.is_(None),
            carriages.c.begins_ms <= since_ms,
            or_(carriages.c.ends_ms.is_(None), carriages.c.ends_ms > now_ms),
            assignments.c.until_ms.is_(None),
            logger_hours.c.hour >= since_ms // HOUR_MS - 1,
            logger_hours.c.places != 0,
        )
        .order_by(carriages.c.consignment, carriages.c.box)
    ).all()
    found = [Left(gateway, since_ms, row.consignment, row.box, row.logger) for row in rows]
    told = set(connection.execute(select(alerts.c.key).where(alerts.c.key.in_({left.key for left in found}))).scalars())
    return [left for left in found if left.key not in told and _alerts(connection, left.box)]


def _alerts(connection: Connection, code: str) -> bool:
    document = connection.execute(select(boxes.c.document).where(boxes.c.code == code)).scalar()
    return alerts_in(None if document is None else Box.model_validate_json(document))
