"""What alerts are about: read from the store, for planning and for words."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import msgspec
from sqlalchemy import Connection, Row, select

from gateway.core.configuration import Consignment
from gateway.core.profiles import Kind
from gateway.core.verdicts import BreachKind
from gateway.hub.database.rows import boxes_of, read_profile, read_registered
from gateway.hub.database.schema import alerts, audit, breaches
from gateway.hub.notification.policies import Facts, Subject
from gateway.hub.signals.alerts import AlertKind

_SUBJECTS = {
    AlertKind.RETRACTION: Subject.RETRACTION,
    AlertKind.VERDICT_WORSENED: Subject.WORSENED,
    AlertKind.VEHICLE_SILENT: Subject.MISSING,
    AlertKind.LOGGER_LOST: Subject.MISSING,
    AlertKind.NEW_SAMPLE: Subject.REQUEST,
}
_TIMES = frozenset({BreachKind.LIFE.value, BreachKind.DEADLINE.value})


@dataclass(frozen=True, slots=True)
class Story:
    """An alert with what can be said of it. Codes only.

    about    the alert's document, as it was saved with the alert
    above_c, below_c   the limit that was passed, None where that is not known
    """

    facts: Facts
    kind: str
    breach: int | None
    about: Mapping[str, Any]
    above_c: float | None = None
    below_c: float | None = None

    @property
    def consignment(self) -> str:
        """The consignment's code, "" where it is about none."""
        return str(self.about.get("consignment") or "")

    @property
    def item(self) -> str:
        """The item's code, "" where it is about none."""
        return str(self.about.get("item") or "")


def read_story(connection: Connection, alert_id: int) -> Story:
    """Return an alert with what it is about."""
    row = connection.execute(select(alerts).where(alerts.c.id == alert_id)).one()
    about: dict[str, Any] = msgspec.json.decode(row.document)
    breach = None
    if row.breach_id is not None:
        breach = connection.execute(select(breaches).where(breaches.c.id == row.breach_id)).first()
    code = str(about.get("consignment") or "")
    registered = read_registered(connection, code) if code else None
    consignment = None if registered is None else registered.consignment
    above_c, below_c = (None, None) if breach is None else _limit(connection, breach)
    places = {about.get("gateway"), about.get("found_by"), *(about.get("boxes") or ())}
    requester, receiver = _parties(connection, code, consignment)
    places |= {requester, receiver}
    places |= {about.get("item")} if consignment is None else boxes_of(consignment)
    facts = Facts(
        alert=row.id,
        subject=_subject(row.kind, about),
        created_at_ms=row.created_at_ms,
        kind=_kind(connection, about, consignment, breach),
        requester=requester,
        receiver=receiver,
        places=frozenset(str(place) for place in places if place),
    )
    return Story(facts, row.kind, row.breach_id, about, above_c, below_c)


def _subject(kind: str, about: Mapping[str, Any]) -> Subject:
    if kind == AlertKind.BREACH:
        return Subject.TIME if about.get("kind") in _TIMES else Subject.TEMPERATURE
    return _SUBJECTS.get(AlertKind(kind), Subject.TECHNICAL)


def _kind(
    connection: Connection,
    about: Mapping[str, Any],
    consignment: Consignment | None,
    breach: Row[tuple[object, ...]] | None,
) -> Kind | None:
    """What is carried; where all of it counts, a medicine before a sample: the wrong dose does more harm."""
    if consignment is not None:
        kinds = {item.kind for item in consignment.items if about.get("item") in {None, item.code}}
        return next((kind for kind in (Kind.MEDICINE, Kind.SAMPLE, Kind.STORAGE) if kind in kinds), None)
    profile = None if breach is None else read_profile(connection, breach.profile)
    return None if profile is None else profile.kind


def _limit(connection: Connection, breach: Row[tuple[object, ...]]) -> tuple[float | None, float | None]:
    """The limit as the profile stated it when the breach was found; as it does now for older breaches."""
    if breach.snapshot:
        rule = msgspec.json.decode(breach.snapshot)
        return rule.get("above_c"), rule.get("below_c")
    profile = read_profile(connection, breach.profile)
    if profile is None:
        return None, None
    limits = {one.name: (one.above_c, one.below_c) for one in profile.limits}
    forbidden = {one.name: (one.above_c, one.below_c) for one in profile.forbidden}
    return (limits | forbidden).get(breach.rule, (None, None))


def _parties(connection: Connection, code: str, consignment: Consignment | None) -> tuple[str | None, str | None]:
    """Who asked for it and who awaits it: as the consignment names them, else who registered and who received it."""
    if consignment is None:
        return None, None
    acts = select(audit.c.act, audit.c.who).where(audit.c.subject == f"consignment {code}").order_by(audit.c.id)
    by_act: dict[str, str] = {}
    for act in connection.execute(acts):
        by_act.setdefault(act.act, act.who)
    return consignment.requester or by_act.get("register"), consignment.receiver or by_act.get("receive")
