"""Breaches as the hub keeps them: flagged by gateways, found by the watch, one identity and one alert each."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from enum import StrEnum
from hashlib import sha256
from typing import Any

from sqlalchemy import Connection, Row, insert, select, update

from gateway.core.configuration import Box
from gateway.core.flags import KEY_LENGTH, BreachFlag, breach_key
from gateway.core.lasting import goes_on
from gateway.core.standby import alerts_in
from gateway.core.verdicts import Breach, BreachKind, Judgement
from gateway.hub.breaches.inbox import box_of, enter, is_settled
from gateway.hub.breaches.lifecycle import ReviewEvent
from gateway.hub.breaches.reconciliation import Known, match_breaches
from gateway.hub.breaches.records import WATCH, apply_event, open_review
from gateway.hub.database.locks import wait_for_locks
from gateway.hub.database.rows import read_rule
from gateway.hub.database.schema import boxes, breach_keys, breaches, carriages, consignments, epochs
from gateway.hub.database.store import insert_or_skip, inserted_id
from gateway.hub.signals.alerts import AlertKind, raise_alert
from gateway.hub.signals.dirty import mark_consignments
from gateway.hub.signals.events import tell
from gateway.hub.signals.marks import Subject, mark

HUB = "hub"


class BreachState(StrEnum):
    """How far a breach is established."""

    PROVISIONAL = "provisional"
    CONFIRMED = "confirmed"
    NOT_CONFIRMED = "not_confirmed"
    SUPERSEDED = "superseded"


class Silence(StrEnum):
    """Why a breach has no alert of its own."""

    PIECE = "piece"  # split from one that was told
    CONTINUES = "continues"  # one that was told goes on after a gap
    BOX = "box"  # nothing in its box alerts: it is empty, conditioning or received


_ACTIVE = (BreachState.PROVISIONAL, BreachState.CONFIRMED)


@dataclass(frozen=True, slots=True)
class StoredBreach:
    """A breach with its identity. Moments in UTC milliseconds.

    found_by    "hub", or the gateway that flagged it first
    silent      why it has no alert of its own, None for one that was told
    snapshot    the broken rule, JSON, as that version of the profile states it; None where the rule is no part of it
    settled_at  when it was confirmed or withdrawn
    """

    id: int
    key: str
    consignment: str
    item: str
    examination: str
    rule: str
    kind: BreachKind
    profile: str
    profile_version: int
    state: BreachState
    started_at_ms: int
    triggered_at_ms: int
    ended_at_ms: int | None
    extreme_c: float | None
    minutes: float
    proven: bool
    found_by: str
    found_at_ms: int
    settled_at_ms: int | None
    merged_into: int | None
    silent: Silence | None
    snapshot: str | None


def flag(connection: Connection, flagged: BreachFlag, now_ms: int) -> tuple[int, bool]:
    """Take a gateway's flag; return the breach's id and whether it is new. Alerted in the same transaction."""
    lock_breaches(connection, [flagged.consignment])
    known = connection.execute(select(breach_keys.c.breach_id).where(breach_keys.c.key == flagged.key)).scalar()
    if known is None:
        known = _overlapping(connection, flagged)
        if known is None:
            return _insert_flagged(connection, flagged, now_ms), True
        insert_or_skip(connection, breach_keys, key=flagged.key, breach_id=known)
    return int(known), False


def lock_breaches(connection: Connection, consignments: Iterable[str]) -> None:
    """Let nobody else change the breaches of these consignments until the transaction ends. Begin with it."""
    wait_for_locks(connection, "breaches", consignments)


def read_covered(connection: Connection, *consignments: str) -> frozenset[int]:
    """Return the provisional breaches whose sealed trigger the archive holds. Read it before the observations."""
    rows = connection.execute(
        select(breaches.c.id)
        .join(epochs, (epochs.c.gateway == breaches.c.gateway) & (epochs.c.epoch == breaches.c.epoch))
        .where(
            breaches.c.consignment.in_(consignments),
            breaches.c.state == BreachState.PROVISIONAL,
            epochs.c.next_offset > breaches.c.position,
        )
    )
    return frozenset(int(row.id) for row in rows)


def read_known(connection: Connection, consignments: Iterable[str]) -> set[tuple[str, str, str]]:
    """Return of which examinations any breach is known: (consignment, item, examination)."""
    subject = (breaches.c.consignment, breaches.c.item, breaches.c.examination)
    rows = connection.execute(select(*subject).where(breaches.c.consignment.in_(list(consignments))).distinct())
    return {(row.consignment, row.item, row.examination) for row in rows}


def reconcile(connection: Connection, judgement: Judgement, covered: frozenset[int], now_ms: int) -> bool:
    """Bring the breaches of one examination in line with its judgement; say whether anything changed."""
    rows = connection.execute(
        select(breaches)
        .where(
            breaches.c.consignment == judgement.consignment,
            breaches.c.item == judgement.item,
            breaches.c.examination == judgement.examination,
        )
        .order_by(breaches.c.id)
    ).all()
    by_id = {int(row.id): row for row in rows}
    match = match_breaches([_to_known(row) for row in rows], judgement.breaches)
    changed = False
    for known, breach in match.kept:
        changed |= _keep(connection, by_id[known.id], breach, judgement, now_ms)
    for breach, is_whole in match.new:
        silent = None if is_whole else Silence.PIECE
        _insert_found(connection, breach, judgement, now_ms, silent or _silence_of(connection, breach, judgement))
        changed = True
    for breach_id, survivor in match.merged:
        _withdraw(connection, by_id[breach_id], BreachState.SUPERSEDED, now_ms, merged_into=survivor)
        changed = True
    for breach_id in match.gone:
        row = by_id[breach_id]
        if row.state == BreachState.CONFIRMED:
            # What a registration took over from the watch over a box is a breach of the consignment now.
            _withdraw(connection, row, BreachState.SUPERSEDED, now_ms, is_quiet=is_settled(connection, breach_id))
            changed = True
        elif breach_id in covered:
            _withdraw(connection, row, BreachState.NOT_CONFIRMED, now_ms)
            changed = True
    return changed


def read_breaches(
    connection: Connection, *, consignment: str | None = None, after: int = 0, limit: int = 500
) -> list[StoredBreach]:
    """Return breaches by ascending id."""
    query = select(breaches).where(breaches.c.id > after).order_by(breaches.c.id).limit(limit)
    if consignment is not None:
        query = query.where(breaches.c.consignment == consignment)
    return [to_stored(row) for row in connection.execute(query)]


def read_breach(connection: Connection, breach_id: int) -> StoredBreach | None:
    """Return one breach, None if there is none of that id."""
    row = connection.execute(select(breaches).where(breaches.c.id == breach_id)).first()
    return None if row is None else to_stored(row)


def to_stored(row: Row[tuple[object, ...]]) -> StoredBreach:
    """Return the value of a row."""
    fields = {name: value for name, value in _named(row).items() if name in StoredBreach.__slots__}
    fields |= {"kind": BreachKind(fields["kind"]), "state": BreachState(fields["state"])}
    fields |= {"silent": None if fields["silent"] is None else Silence(fields["silent"])}
    return StoredBreach(**fields)


def _insert_flagged(connection: Connection, flagged: BreachFlag, now_ms: int) -> int:
    values = {
        **flagged.model_dump(mode="json", exclude={"epoch", "offset"}),
        "state": BreachState.PROVISIONAL,
        "proven": False,
        "found_by": flagged.gateway,
        "epoch": flagged.position.epoch,
        "position": flagged.position.offset,
        "silent": None if _may_alert(connection, flagged.consignment) else Silence.BOX,
    }
    breach_id = _insert(connection, values, now_ms)
    if values["silent"] is None:
        _raise(connection, AlertKind.BREACH, breach_id, now_ms)
    # Judged at once if the archive covers it already; otherwise when the log arrives.
    mark_consignments(connection, [flagged.consignment], now_ms)
    return breach_id


def _insert_found(
    connection: Connection, breach: Breach, judgement: Judgement, now_ms: int, silent: Silence | None
) -> None:
    values: dict[str, Any] = {
        "key": _free_key(connection, _key(breach, judgement)),
        "consignment": judgement.consignment,
        "item": judgement.item,
        "examination": judgement.examination,
        "profile": judgement.profile,
        "profile_version": judgement.profile_version,
        **asdict(breach),
        "state": BreachState.CONFIRMED,
        "found_by": HUB,
        "settled_at_ms": now_ms,
        "silent": silent,
    }
    breach_id = _insert(connection, values, now_ms)
    if silent is None:
        _raise(connection, AlertKind.BREACH, breach_id, now_ms)


def _insert(connection: Connection, values: dict[str, Any], now_ms: int) -> int:
    rule = read_rule(connection, values["profile"], values["profile_version"], values["rule"])
    stored = {**values, "found_at_ms": now_ms, "snapshot": rule}
    breach_id = inserted_id(connection.execute(insert(breaches).values(**stored)))
    insert_or_skip(connection, breach_keys, key=values["key"], breach_id=breach_id)
    open_review(connection, breach_id, now_ms)
    enter(connection, breach_id, values["consignment"], now_ms)
    _tell(connection, breach_id, now_ms)
    return breach_id


def _keep(
    connection: Connection, row: Row[tuple[object, ...]], breach: Breach, judgement: Judgement, now_ms: int
) -> bool:
    """Write how a known breach looks now. One that had been withdrawn comes back, and alerts as a new occasion."""
    now_is = {**asdict(breach), "profile": judgement.profile, "profile_version": judgement.profile_version}
    known = _named(row)
    insert_or_skip(connection, breach_keys, key=_key(breach, judgement), breach_id=known["id"])
    settles = known["state"] != BreachState.CONFIRMED
    is_late = known["silent"] is not None and not _stays_silent(connection, row, breach, judgement)
    if not settles and not is_late and all(known[name] == value for name, value in now_is.items()):
        return False
    returns = known["state"] not in _ACTIVE
    if judgement.profile_version != known["profile_version"]:
        now_is["snapshot"] = read_rule(connection, judgement.profile, judgement.profile_version, breach.rule)
    if settles:
        now_is |= {"state": BreachState.CONFIRMED, "settled_at_ms": now_ms, "merged_into": None}
        now_is |= {"returns": known["returns"] + 1} if returns else {}
    if is_late:
        now_is["silent"] = None
    connection.execute(update(breaches).where(breaches.c.id == known["id"]).values(**now_is))
    if returns:
        apply_event(connection, known["id"], ReviewEvent.RESTORE, WATCH, {}, now_ms)
    if is_late or (returns and known["merged_into"] is None and known["silent"] is None):
        _raise(connection, AlertKind.BREACH, known["id"], now_ms)
    _tell(connection, known["id"], now_ms)
    return True


def _withdraw(
    connection: Connection,
    row: Row[tuple[object, ...]],
    state: BreachState,
    now_ms: int,
    *,
    merged_into: int | None = None,
    is_quiet: bool = False,
) -> None:
    breach_id = _named(row)["id"]
    connection.execute(
        update(breaches)
        .where(breaches.c.id == breach_id)
        .values(state=state, settled_at_ms=now_ms, merged_into=merged_into)
    )
    why = {"reason": state.value} if merged_into is None else {"reason": "merged", "into": merged_into}
    apply_event(connection, breach_id, ReviewEvent.WITHDRAW, WATCH, why, now_ms)
    if merged_into is None and row.silent is None and not is_quiet:
        _raise(connection, AlertKind.RETRACTION, breach_id, now_ms)
    _tell(connection, breach_id, now_ms)


def _raise(connection: Connection, kind: AlertKind, breach_id: int, now_ms: int) -> None:
    row = connection.execute(select(breaches).where(breaches.c.id == breach_id)).one()
    source = row.consignment if row.found_by == HUB else row.found_by
    raise_alert(
        connection,
        kind,
        {**_story(row), "box": box_of(connection, breach_id)},
        now_ms,
        breach_id=breach_id,
        occasion=row.returns,
        source=source,
    )


def _silence_of(connection: Connection, breach: Breach, judgement: Judgement) -> Silence | None:
    """Return why a breach that was just found is not told."""
    if goes_on(breach, judgement):
        return Silence.CONTINUES
    return None if _may_alert(connection, judgement.consignment) else Silence.BOX


def _stays_silent(connection: Connection, row: Row[tuple[object, ...]], breach: Breach, judgement: Judgement) -> bool:
    """Say whether the reason to be silent holds: data may have come into the gap, the box may have been loaded."""
    match row.silent:
        case Silence.CONTINUES:
            return goes_on(breach, judgement)
        case Silence.BOX:
            return breach.ended_at_ms is not None or not _may_alert(connection, judgement.consignment)
        case _:
            return True


def _may_alert(connection: Connection, consignment: str) -> bool:
    """Say whether anything that carries it alerts. What was on its way alerts also when its breach is found later."""
    received = select(consignments.c.received_at_ms).where(consignments.c.code == consignment)
    if connection.execute(received).scalar() is not None:
        return True
    carried = select(carriages.c.box).where(carriages.c.consignment == consignment)
    documents = connection.execute(select(boxes.c.document).where(boxes.c.code.in_(carried))).scalars().all()
    return not documents or any(alerts_in(Box.model_validate_json(document)) for document in documents)


def _tell(connection: Connection, breach_id: int, now_ms: int) -> None:
    row = connection.execute(select(breaches).where(breaches.c.id == breach_id)).one()
    tell(connection, "breach", {"id": breach_id, **_story(row)}, now_ms)
    mark(connection, Subject.BREACH, [str(breach_id)])


def _story(row: Row[tuple[object, ...]]) -> dict[str, object]:
    told = ("consignment", "item", "examination", "rule", "kind", "state", "started_at_ms", "triggered_at_ms")
    return {name: _named(row)[name] for name in (*told, "extreme_c", "minutes", "found_by")}


def _named(row: Row[tuple[object, ...]]) -> dict[str, Any]:
    return dict(row._mapping)  # noqa: SLF001  SQLAlchemy's documented access by name


def _free_key(connection: Connection, key: str) -> str:
    """Return `key`, or one derived from it where a piece of a split breach finds its start's key taken."""
    while connection.execute(select(breaches.c.id).where(breaches.c.key == key)).scalar() is not None:
        key = sha256(key.encode()).hexdigest()[:KEY_LENGTH]
    return key


def _overlapping(connection: Connection, flagged: BreachFlag) -> int | None:
    """Return an active breach that the flag is about under another key: its start was seen differently."""
    rows = connection.execute(
        select(breaches)
        .where(
            breaches.c.consignment == flagged.consignment,
            breaches.c.item == flagged.item,
            breaches.c.examination == flagged.examination,
            breaches.c.rule == flagged.rule,
            breaches.c.state.in_(_ACTIVE),
        )
        .order_by(breaches.c.id)
    ).all()
    seen = Breach(
        rule=flagged.rule,
        kind=flagged.kind,
        started_at_ms=flagged.started_at_ms,
        triggered_at_ms=flagged.triggered_at_ms,
        ended_at_ms=flagged.triggered_at_ms,
        extreme_c=flagged.extreme_c,
        minutes=flagged.minutes,
    )
    kept = match_breaches([_to_known(row) for row in rows], [seen]).kept
    return kept[0][0].id if kept else None


def _to_known(row: Row[tuple[object, ...]]) -> Known:
    stored = to_stored(row)
    flagged_only = stored.found_by != HUB and stored.state is not BreachState.CONFIRMED
    return Known(
        id=stored.id,
        rule=stored.rule,
        kind=stored.kind,
        started_at_ms=stored.started_at_ms,
        triggered_at_ms=stored.triggered_at_ms,
        # A flag is not followed up: it proves its stretch up to the trigger and no further.
        ended_at_ms=stored.triggered_at_ms if flagged_only else stored.ended_at_ms,
        active=stored.state in _ACTIVE,
    )


def _key(breach: Breach, judgement: Judgement) -> str:
    return breach_key(
        consignment=judgement.consignment,
        item=judgement.item,
        examination=judgement.examination,
        rule=breach.rule,
        kind=breach.kind,
        started_at_ms=breach.started_at_ms,
    )
