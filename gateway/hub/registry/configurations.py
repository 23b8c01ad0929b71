"""Configurations: what each gateway obeys, and what the hub itself judges by."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256

from pydantic import ValidationError
from sqlalchemy import Connection, func, insert, or_, select

from gateway.core.assignments import tenures_of
from gateway.core.configuration import CodeRule, Configuration, Consignment, Logger, reveal
from gateway.core.exposure import to_ms
from gateway.core.standby import is_vigil
from gateway.hub.audit.acts import begin_act, count_acts
from gateway.hub.breaches.vigils import read_open_vigils, read_vigil, to_consignment, watched_spans
from gateway.hub.database import schema
from gateway.hub.database.rows import (
    Registered,
    boxes_of,
    read_boxes,
    read_loggers,
    read_profile,
    read_profiles,
    read_registered,
    read_sites,
)
from gateway.hub.database.store import Store
from gateway.hub.registry.shares import Share, Shares
from gateway.hub.settings import HubSettings
from gateway.hub.times import to_datetime

log = logging.getLogger(__name__)

HISTORY_MS = 14 * 86_400_000
"""A gateway listens to a logger for so long after it left its box: its memory may still hold what was missed."""
AFTER_RECEIPT_MS = 24 * 3_600_000
"""A gateway keeps a consignment for a day after its receipt: what its loggers still hold belongs to it."""

AGEING_MS = 60_000
"""What only time changes, what was received or left its box long ago, is looked at once in so long."""


@dataclass(frozen=True, slots=True)
class Case:
    """All that is needed to judge one consignment. `identity` is a hash of it.

    readings_removed  retention has removed what its verdict rests on: it is not judged anew
    """

    consignment: Consignment
    configuration: Configuration
    identity: str
    readings_removed: bool = False


class Configurations:
    """Makes configurations from the registry. Blocking: call it from a thread."""

    def __init__(
        self,
        store: Store,
        now_ms: Callable[[], int],
        *,
        demonstration: bool = False,
        code_rules: tuple[CodeRule, ...] = (),
        badges: tuple[str, ...] = (),
    ) -> None:
        self._store = store
        self._now_ms = now_ms
        self._demonstration = demonstration
        self._code_rules, self._badges = code_rules, badges

    def case(self, code: str) -> Case | None:
        """Return what is needed to judge a consignment, None if it is unknown."""
        with self._store.read() as connection:
            known = _read_vigil_case(connection, code) if is_vigil(code) else read_registered(connection, code)
            if known is None:
                return None
            configuration = self.around(connection, known.consignment)
            removed = select(schema.consignments.c.readings_removed_at_ms).where(schema.consignments.c.code == code)
            is_removed = connection.execute(removed).scalar() is not None
        documents = f"{configuration.model_dump_json()}{known.consignment.model_dump_json()}#{known.version}"
        return Case(known.consignment, configuration, sha256(documents.encode()).hexdigest(), is_removed)

    def around(self, connection: Connection, consignment: Consignment) -> Configuration:
        """Return the loggers that were with a consignment, and the profiles that it names."""
        candidates = read_loggers(connection, boxes_of(consignment))
        return Configuration(
            version=1,
            gateway="hub",
            demonstration=self._demonstration,
            loggers=tuple(logger for logger in candidates if _was_with(logger, consignment)),
            profiles=read_profiles(connection, [consignment], ()),
        )

    def state(self) -> tuple[int, int]:
        """Return what is something else after whatever changes configurations: acts, and time as it goes by."""
        with self._store.read() as connection:
            return count_acts(connection), self._now_ms() // AGEING_MS

    def refresh(self) -> list[Configuration]:
        """Give each gateway whose configuration would now differ a new version; return the newest of every gateway."""
        with self._store.write() as connection:
            begin_act(connection)
            table = schema.gateways
            wanted = select(table.c.name, table.c.reception).where(table.c.revoked_at_ms.is_(None))
            shares = self._shares(connection)
            refreshed = (
                self._refresh(
                    connection, row.name, shares.of(row.name, all_boxes=row.reception), reception=row.reception
                )
                for row in connection.execute(wanted.order_by(table.c.name)).all()
            )
            return [configuration for configuration in refreshed if configuration is not None]

    def _shares(self, connection: Connection) -> Shares:
        table, now_ms = schema.consignments, self._now_ms()
        rows = connection.execute(
            select(table.c.document)
            .where(or_(table.c.received_at_ms.is_(None), table.c.received_at_ms > now_ms - AFTER_RECEIPT_MS))
            .order_by(table.c.code)
        )
        consignments = [Consignment.model_validate_json(row.document) for row in rows]
        watched = (_read_vigil_case(connection, vigil.code) for vigil in read_open_vigils(connection))
        consignments += [known.consignment for known in watched if known is not None]
        boxes = read_boxes(connection)
        loggers = tuple(_recent(read_loggers(connection), _needed_since(consignments, now_ms)))
        names = {named.profile for rule in self._code_rules for named in rule.examinations}
        profiles = read_profiles(connection, consignments, boxes, names)
        return Shares(boxes, loggers, consignments, profiles, tuple(read_sites(connection)), names)

    def _refresh(self, connection: Connection, gateway: str, share: Share, *, reception: bool) -> Configuration | None:
        table = schema.configurations
        row = connection.execute(
            select(table).where(table.c.gateway == gateway).order_by(table.c.version.desc()).limit(1)
        ).first()
        version = 0 if row is None else row.version
        try:
            current = Configuration(
                version=max(1, version),
                gateway=gateway,
                demonstration=self._demonstration,
                loggers=share.loggers,
                boxes=share.boxes,
                consignments=share.consignments,
                profiles=share.profiles,
                sites=share.sites,
                code_rules=self._code_rules,
                badges=self._badges,
                reception=reception,
            )
        except ValidationError as error:
            log.error(  # noqa: TRY400  a trace says no more
                "%s keeps its old configuration, there is too much for it: %s. Say in boxes which gateways carry them.",
                gateway,
                "; ".join(f"{'.'.join(map(str, fault['loc']))}: {fault['msg']}" for fault in error.errors()),
            )
            return None
        if row is not None and row.document == reveal(current):
            return current
        changed = current.model_copy(update={"version": version + 1})
        connection.execute(
            insert(table).values(
                gateway=gateway,
                version=changed.version,
                document=reveal(changed),
                created_at_ms=self._now_ms(),
            )
        )
        return changed


def make_configurations(store: Store, now_ms: Callable[[], int], settings: HubSettings) -> Configurations:
    """Make them as the hub's settings say."""
    return Configurations(
        store,
        now_ms,
        demonstration=settings.demonstration,
        code_rules=settings.code_rules,
        badges=settings.badges,
    )


def _read_vigil_case(connection: Connection, code: str) -> Registered | None:
    """Return a box with nothing registered in it, as the consignment by which it is watched."""
    vigil = read_vigil(connection, code)
    profile = None if vigil is None else read_profile(connection, vigil.profile)
    if vigil is None or profile is None:
        return None
    return Registered(to_consignment(vigil, profile, watched_spans(connection, vigil)), 0, vigil.begins_ms)


def _was_with(logger: Logger, consignment: Consignment) -> bool:
    """Whether a logger was in a box while that carried any of the items."""
    carried = {carriage for item in consignment.items for carriage in consignment.carriage_of(item)}
    return any(
        tenure.box == carriage.box
        and tenure.overlaps(to_ms(carriage.begins), None if carriage.ends is None else to_ms(carriage.ends))
        for tenure in tenures_of(logger)
        for carriage in carried
    )


def _needed_since(consignments: Iterable[Consignment], now_ms: int) -> datetime:
    """Return how far back a gateway must know which logger was where: for what it carries, and for HISTORY_MS."""
    begins = [
        carriage.begins
        for consignment in consignments
        for item in consignment.items
        for carriage in consignment.carriage_of(item)
    ]
    return min([to_datetime(now_ms - HISTORY_MS), *begins])


def _recent(loggers: Iterable[Logger], since: datetime) -> Iterator[Logger]:
    """Yield the loggers that are, or lately were, in a box; of their history what is recent."""
    for logger in loggers:
        former = tuple(past for past in logger.former if past.ends > since)
        if logger.box is not None or former:
            yield logger.model_copy(update={"former": former})


def raise_versions(connection: Connection, version: int, now_ms: int) -> None:
    """Give each gateway its newest configuration again as at least `version`."""
    table = schema.configurations
    newest = select(table.c.gateway, func.max(table.c.version).label("version")).group_by(table.c.gateway).subquery()
    rows = connection.execute(
        select(table).join(newest, (newest.c.gateway == table.c.gateway) & (newest.c.version == table.c.version))
    ).all()
    for row in rows:
        configuration = Configuration.model_validate_json(row.document)
        raised = configuration.model_copy(update={"version": max(version, row.version + 1)})
        connection.execute(
            insert(table).values(
                gateway=row.gateway, version=raised.version, document=reveal(raised), created_at_ms=now_ms
            )
        )
