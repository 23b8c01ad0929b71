"""Judgements as the hub keeps them: versions for each examination, the newest of them current, the older readable."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from hashlib import sha256
from typing import Any

import msgspec
from sqlalchemy import Connection, Row, Select, bindparam, insert, select, update

from gateway.core.verdicts import Judgement, Reason, Verdict
from gateway.hub.database.schema import audit, judgements
from gateway.hub.signals.alerts import AlertKind, Resolution, raise_alert, read_open, resolve_alerts
from gateway.hub.signals.events import tell

_TELLING = ("rule", "life", "band", "certainty", "event", "profile", "otherwise")
"""Parameters that make a reason another reason. The others are figures, which move while a consignment is under way."""

_decode = msgspec.json.Decoder(Judgement).decode


@dataclass(frozen=True, slots=True)
class VersionedJudgement:
    """A judgement with its place in the history."""

    id: int
    version: int
    current: bool
    judged_at_ms: int
    judgement: Judgement


Current = dict[tuple[str, str, str], Any]
"""The rows of current judgements, by consignment, item and examination."""


def read_rows(connection: Connection, consignments: Iterable[str]) -> Current:
    """Return the current judgements of several consignments, as `save_judgements` compares them."""
    table = judgements.c
    columns = (table.id, table.consignment, table.item, table.examination, table.version, table.verdict)
    rows = connection.execute(
        select(*columns, table.fingerprint, table.document).where(
            table.consignment.in_(list(consignments)), table.current
        )
    )
    return {(row.consignment, row.item, row.examination): row for row in rows}


def save_judgements(
    connection: Connection, current: Current, found: Iterable[tuple[Judgement, bool]], now_ms: int
) -> None:
    """Keep what is new of (judgement, whether its consignment was received); see `save_judgement`."""
    moved = []
    for judgement, received in found:
        row = current.get((judgement.consignment, judgement.item, judgement.examination))
        document = msgspec.json.encode(judgement).decode()
        if row is None or bytes(row.fingerprint) != fingerprint_of(judgement, whole=received):
            save_judgement(connection, judgement, now_ms, received=received)
        elif row.document != document:
            moved.append({"of_id": row.id, "document": document, "judged_at_ms": now_ms})
    if moved:
        connection.execute(update(judgements).where(judgements.c.id == bindparam("of_id")), moved)


def save_judgement(connection: Connection, judgement: Judgement, now_ms: int, *, received: bool) -> bool:
    """Keep what is new; say whether a new version was made.

    While a consignment is under way, moving figures only update the current version. After its receipt any change
    of the evidence makes a new one, so that what a receiver saw stays readable.
    """
    fingerprint = fingerprint_of(judgement, whole=received)
    document = msgspec.json.encode(judgement).decode()
    current = connection.execute(_of(judgement).where(judgements.c.current)).first()
    if current is not None and bytes(current.fingerprint) == fingerprint:
        if current.document != document:
            connection.execute(
                update(judgements).where(judgements.c.id == current.id).values(document=document, judged_at_ms=now_ms)
            )
        return False
    if current is not None:
        connection.execute(update(judgements).where(judgements.c.id == current.id).values(current=False))
    version = 1 if current is None else current.version + 1
    connection.execute(
        insert(judgements).values(
            consignment=judgement.consignment,
            item=judgement.item,
            examination=judgement.examination,
            version=version,
            current=True,
            verdict=judgement.verdict,
            fingerprint=fingerprint,
            document=document,
            judged_at_ms=now_ms,
        )
    )
    told = {
        "consignment": judgement.consignment,
        "item": judgement.item,
        "examination": judgement.examination,
        "verdict": judgement.verdict,
        "version": version,
        "before": None if current is None else current.verdict,
    }
    tell(connection, "judgement", told, now_ms)
    if received and current is not None and judgement.verdict.rank > Verdict(current.verdict).rank:
        _alert_worse(connection, judgement, told, now_ms)
    elif received and current is not None:
        _settle_better(connection, judgement, now_ms)
    return True


def _alert_worse(connection: Connection, judgement: Judgement, told: Mapping[str, object], now_ms: int) -> None:
    """Tell those who sent and received it: the result may be reported, the dose given."""
    subject = audit.c.subject == f"consignment {judgement.consignment}"
    acts = connection.execute(select(audit.c.act, audit.c.who).where(subject).order_by(audit.c.id)).all()
    who = {
        "requester": next((act.who for act in acts if act.act == "register"), None),
        "receiver": next((act.who for act in acts if act.act == "receive"), None),
    }
    key = f"verdict:{judgement.consignment}:{judgement.item}:{judgement.examination}:{told['version']}"
    raise_alert(connection, AlertKind.VERDICT_WORSENED, {**told, **who}, now_ms, key=key, source=judgement.consignment)


def _settle_better(connection: Connection, judgement: Judgement, now_ms: int) -> None:
    """End the alert of a verdict that is again no worse than it was before."""
    ended = [
        alert.id
        for alert in read_open(connection, AlertKind.VERDICT_WORSENED)
        if (alert.about["consignment"], alert.about["item"], alert.about["examination"])
        == (judgement.consignment, judgement.item, judgement.examination)
        and judgement.verdict.rank <= Verdict(alert.about["before"]).rank
    ]
    resolve_alerts(connection, ended, Resolution.RECOVERED, now_ms)


def settle_decided(connection: Connection, consignment: str, item: str, now_ms: int) -> None:
    """End the alerts of verdicts on an item, and requests for a new one: somebody who saw them has decided about it."""
    ended = [
        alert.id
        for kind in (AlertKind.VERDICT_WORSENED, AlertKind.NEW_SAMPLE)
        for alert in read_open(connection, kind)
        if (alert.about["consignment"], alert.about["item"]) == (consignment, item)
    ]
    resolve_alerts(connection, ended, Resolution.DECIDED, now_ms)


def read_current(connection: Connection, consignment: str) -> list[VersionedJudgement]:
    """Return the current judgements of a consignment, in order of items and examinations."""
    rows = connection.execute(
        select(judgements)
        .where(judgements.c.consignment == consignment, judgements.c.current)
        .order_by(judgements.c.item, judgements.c.examination)
    )
    return [_to_versioned(row) for row in rows]


def read_versions(connection: Connection, consignment: str, item: str, examination: str) -> list[VersionedJudgement]:
    """Return every version of one judgement, newest first."""
    rows = connection.execute(
        select(judgements)
        .where(
            judgements.c.consignment == consignment,
            judgements.c.item == item,
            judgements.c.examination == examination,
        )
        .order_by(judgements.c.version.desc())
    )
    return [_to_versioned(row) for row in rows]


def fingerprint_of(judgement: Judgement, *, whole: bool) -> bytes:
    """Return a hash of what matters of a judgement: all but its moment, or without the figures that move."""
    if whole:
        return sha256(msgspec.json.encode(replace(judgement, through_ms=0))).digest()
    matters = (
        judgement.profile,
        judgement.profile_version,
        judgement.verdict,
        judgement.urgent,
        sorted(_telling(reason) for reason in judgement.reasons),
        [(b.rule, b.kind, b.started_at_ms, b.ended_at_ms is None, b.proven) for b in judgement.breaches],
    )
    return sha256(msgspec.json.encode(matters)).digest()


def _telling(reason: Reason) -> tuple[str, str, list[str]]:
    told = [f"{name}={reason.parameters[name]}" for name in _TELLING if name in reason.parameters]
    return reason.code, reason.verdict, told


def _of(judgement: Judgement) -> Select[tuple[object, ...]]:
    return select(judgements).where(
        judgements.c.consignment == judgement.consignment,
        judgements.c.item == judgement.item,
        judgements.c.examination == judgement.examination,
    )


def _to_versioned(row: Row[tuple[object, ...]]) -> VersionedJudgement:
    return VersionedJudgement(row.id, row.version, row.current, row.judged_at_ms, _decode(row.document))
