"""Retention: what is older than its period goes, portion by portion, and nothing of a case that is open.

Payloads of segments and the words of audit entries leave a signed removal (`gateway.hub.proof.removals`) in the same
transaction; their headers, hashes and signatures stay, so the chains are proven as before.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from enum import StrEnum

import msgspec
from sqlalchemy import (
    ColumnElement,
    Connection,
    Select,
    String,
    Table,
    bindparam,
    cast,
    delete,
    func,
    literal,
    or_,
    select,
    union_all,
    update,
)

from gateway.core.attestations import Entries, Stretch
from gateway.core.segments import parse_segment
from gateway.hub.audit.acts import Act, begin_act, record_act
from gateway.hub.database import schema
from gateway.hub.database.patience import keep_trying
from gateway.hub.database.store import Store
from gateway.hub.proof.removals import ACT, write_removal
from gateway.hub.record.index import BLOCK, Places
from gateway.hub.replication.importing import IMPORTER
from gateway.hub.rooms import Rooms
from gateway.hub.settings import HubSettings
from gateway.hub.times import real_ms, to_datetime
from gateway.hub.upkeep.open_cases import find_kept_places, find_open_codes
from gateway.keys import SigningKey

DAY_MS = 86_400_000
PAYLOADS_AT_ONCE = 2000
"""Segments in one transaction: a second's work, some MiB, and ingest waits for no more."""
ROWS_AT_ONCE = 5000
CASES_AT_ONCE = 50
LOOK_S = 3600.0
"""Real seconds between looks whether a day has begun."""
BEGIN_S = 600.0
"""Real seconds before the first look: whatever waited for the hub goes first."""

Progress = Callable[[int], None]
"""Called with the number of things removed, or found, so far."""


class Kept(StrEnum):
    """What has a period of its own."""

    READINGS = "readings"
    IMPORTED = "imported"
    CASES = "cases"
    CUSTODY = "custody"
    STOPS = "stops"
    INBOX = "inbox"
    MESSAGES = "messages"
    ACCESS = "access"
    QUARANTINE = "quarantine"
    AUDIT = "audit"


@dataclass(frozen=True, slots=True)
class _Found:
    """A segment whose payload is due."""

    id: int
    epoch_id: int
    position: int
    gateway: str
    epoch: bytes


@dataclass(frozen=True, slots=True)
class Due:
    """What a run looks for: older than `before_ms`, and of none of the codes that are open."""

    kind: Kept
    before_ms: int
    open_codes: frozenset[str]


class Retention:
    """Counts and removes. Blocking; one process at a time runs it."""

    def __init__(self, store: Store, key: SigningKey, settings: HubSettings) -> None:
        self._store = store
        self._key = key
        self._settings = settings

    def count(self, now_ms: int, progress: Progress | None = None) -> dict[Kept, int]:
        """Return what a run would remove, and change nothing."""
        found: dict[Kept, int] = {}
        with self._store.read() as connection:
            for due in self._due(connection, now_ms):
                if due.kind in {Kept.READINGS, Kept.IMPORTED}:
                    places = find_kept_places(connection, due.before_ms, due.open_codes)
                    found[due.kind] = sum(len(rows) for rows, _ in self._payloads(connection, due, places))
                elif due.kind is Kept.CASES:
                    found[due.kind] = sum(1 for _ in find_cases(connection, due))
                else:
                    found[due.kind] = sum(
                        connection.execute(select(func.count()).select_from(table).where(old)).scalar_one()
                        for table, old in old_rows(due)
                    )
                if progress is not None:
                    progress(sum(found.values()))
        return found

    def run(self, now_ms: int, who: str = "hub", progress: Progress | None = None) -> dict[Kept, int]:
        """Remove what is due, on record; return how much of what. The next run goes on with what was broken off."""
        done: dict[Kept, int] = {}
        with self._store.read() as connection:
            dues = list(self._due(connection, now_ms))
        for due in dues:
            for count in self._remove(due, who, now_ms):
                done[due.kind] = done.get(due.kind, 0) + count
                if progress is not None:
                    progress(sum(done.values()))
        done = {kind: count for kind, count in done.items() if count}
        if done:
            with self._store.write() as connection:
                told = msgspec.json.encode({kind.value: count for kind, count in done.items()}).decode()
                record_act(connection, Act(who, ACT, "retention", new=told), now_ms)
        return done

    def _due(self, connection: Connection, now_ms: int) -> Iterator[Due]:
        open_codes = frozenset(find_open_codes(connection))
        for kind in Kept:
            days: int = getattr(self._settings.retention, f"{kind}_days")
            if days:
                clock_ms = real_ms() if kind is Kept.ACCESS else now_ms  # logins go by real time
                yield Due(kind, clock_ms - days * DAY_MS, open_codes)

    def _remove(self, due: Due, who: str, now_ms: int) -> Iterator[int]:
        match due.kind:
            case Kept.READINGS | Kept.IMPORTED:
                yield from self._remove_payloads(due, who, now_ms)
            case Kept.CASES:
                yield from self._remove_cases(due)
            case Kept.AUDIT:
                yield from self._remove_words(due, who, now_ms)
            case _:
                for table, old in old_rows(due):
                    yield from self._remove_rows(table, old)

    # --- payloads

    def _payloads(
        self, connection: Connection, due: Due, kept: Places, after: int = 0
    ) -> Iterator[tuple[Sequence[_Found], int]]:
        """Yield portions of segments whose payload is due, each with the id up to which was looked."""
        segments, epochs = schema.segments, schema.epochs
        of_importer = epochs.c.gateway == IMPORTER
        query = (
            select(segments.c.id, segments.c.epoch_id, segments.c.position, epochs.c.gateway, epochs.c.epoch)
            .join(epochs, epochs.c.id == segments.c.epoch_id)
            .where(
                segments.c.chained,
                segments.c.content.in_(("readable", "undecodable")),
                segments.c.received_at_ms < due.before_ms,
                segments.c.sealed_at_ms < due.before_ms,
                of_importer if due.kind is Kept.IMPORTED else ~of_importer,
            )
            .order_by(segments.c.id)
            .limit(PAYLOADS_AT_ONCE)
        )
        if self._settings.influx.url:  # the projection has not read them yet
            query = query.where(segments.c.position < epochs.c.projected_offset)
        while rows := connection.execute(query.where(segments.c.id > after)).all():
            after = rows[-1].id
            found = [
                _Found(row.id, row.epoch_id, row.position, row.gateway, bytes(row.epoch))
                for row in rows
                if not kept.get((row.epoch_id, row.position // BLOCK), 0) >> row.position % BLOCK & 1
            ]
            yield found, after

    def _remove_payloads(self, due: Due, who: str, now_ms: int) -> Iterator[int]:
        after = 0
        while True:
            with self._store.write() as connection:
                begin_act(connection)
                # Asked for again each time: a case may have been opened, or something registered late, meanwhile.
                open_codes = frozenset(find_open_codes(connection))
                kept = find_kept_places(connection, due.before_ms, open_codes)
                rows, after = next(self._payloads(connection, due, kept, after), ((), -1))
                if after < 0:
                    return
                if rows:
                    _settle_consignments(connection, due.before_ms, open_codes, now_ms)
                    _drop_payloads(connection, rows)
                    stretches = _stretches(rows)
                    self._state(connection, due, who, now_ms, payloads=stretches)
            yield len(rows)

    # --- cases

    def _remove_cases(self, due: Due) -> Iterator[int]:
        while True:
            with self._store.write() as connection:
                begin_act(connection)
                now_open = Due(due.kind, due.before_ms, frozenset(find_open_codes(connection)))
                codes = [code for code, _ in zip(find_cases(connection, now_open), range(CASES_AT_ONCE), strict=False)]
                for code in codes:
                    _delete_case(connection, code)
            if not codes:
                return
            yield len(codes)

    # --- the audit trail

    def _remove_words(self, due: Due, who: str, now_ms: int) -> Iterator[int]:
        ((audit, old),) = old_rows(due)
        while True:
            with self._store.write() as connection:
                begin_act(connection)
                wanted = select(audit.c.id).where(old).order_by(audit.c.id).limit(ROWS_AT_ONCE)
                ids = list(connection.execute(wanted).scalars())
                if not ids:
                    return
                nothing = {"who": "", "subject": "", "old": None, "new": None, "reason": ""}
                connection.execute(
                    update(audit).where(audit.c.id == bindparam("of_id")).values(**nothing),
                    [{"of_id": one} for one in ids],
                )
                entries = [Entries(first=first, last=last) for first, last in _runs(ids)]
                self._state(connection, due, who, now_ms, entries=entries)
            yield len(ids)

    def _state(
        self,
        connection: Connection,
        due: Due,
        who: str,
        now_ms: int,
        *,
        payloads: Sequence[Stretch] = (),
        entries: Sequence[Entries] = (),
    ) -> None:
        what, before_ms = due.kind.value, due.before_ms
        write_removal(
            connection, self._key, who, now_ms, what=what, before_ms=before_ms, payloads=payloads, entries=entries
        )

    # --- whatever no chain holds

    def _remove_rows(self, table: Table, old: ColumnElement[bool]) -> Iterator[int]:
        key = next(iter(table.primary_key))
        while True:
            with self._store.write() as connection:
                ids = list(connection.execute(select(key).where(old).limit(ROWS_AT_ONCE)).scalars())
                removed = connection.execute(delete(table).where(key.in_(ids), old)).rowcount if ids else 0
            if not removed:
                return
            yield removed


def old_rows(due: Due) -> list[tuple[Table, ColumnElement[bool]]]:  # noqa: PLR0911  a table of kinds
    """Return the tables of a kind that no chain holds, and the audit trail, each with what is due in it."""
    s, before = schema, due.before_ms
    match due.kind:
        case Kept.CUSTODY:
            return [(s.custody, (s.custody.c.at_ms < before) & ~s.custody.c.waits)]
        case Kept.STOPS:
            return [(s.stops, s.stops.c.at_ms < before), (s.memory_reads, s.memory_reads.c.at_ms < before)]
        case Kept.INBOX:
            return [(s.inbox, (s.inbox.c.resolved_at_ms < before) & s.inbox.c.breach_id.not_in(_open_breaches(due)))]
        case Kept.MESSAGES:
            return _old_messages(due)
        case Kept.ACCESS:
            ended = or_(s.api_tokens.c.expires_at_ms < before, s.api_tokens.c.revoked_at_ms < before)
            return [
                (s.sessions, s.sessions.c.expires_at_ms < before),
                (s.api_tokens, ended),
                (s.enrolment_codes, s.enrolment_codes.c.expires_at_ms < before),
                (s.hand_ins, s.hand_ins.c.expires_at_ms < before),
            ]
        case Kept.QUARANTINE:
            return [(s.quarantine, s.quarantine.c.last_at_ms < before)]
        case Kept.AUDIT:
            items, codes = s.consignment_items.c, sorted(due.open_codes)
            subjects = union_all(
                select(literal("consignment ") + s.consignments.c.code).where(s.consignments.c.code.in_(codes)),
                select(literal("item ") + items.consignment + "/" + items.item).where(items.consignment.in_(codes)),
                select(literal("breach ") + cast(s.breaches.c.id, String)).where(s.breaches.c.consignment.in_(codes)),
            )
            past = (s.audit.c.at_ms < before) & (s.audit.c.act != ACT) & (s.audit.c.who != "")
            return [(s.audit, past & s.audit.c.subject.not_in(subjects))]
        case _:
            return []


def _open_breaches(due: Due) -> Select[tuple[int]]:
    breaches = schema.breaches
    return select(breaches.c.id).where(breaches.c.consignment.in_(sorted(due.open_codes)))


def _old_messages(due: Due) -> list[tuple[Table, ColumnElement[bool]]]:
    """Messages that have left or never will, what was planned for them, and alerts that are no breach's and over."""
    before_ms = due.before_ms
    messages, deliveries, notices, alerts = schema.messages, schema.deliveries, schema.notices, schema.alerts
    past = (messages.c.made_at_ms < before_ms) & (messages.c.state != "waiting")
    unmade = (deliveries.c.state == "cancelled") & (deliveries.c.due_ms < before_ms)
    told = select(alerts.c.id).where(alerts.c.breach_id.in_(_open_breaches(due)))
    sent = deliveries.c.message_id.in_(select(messages.c.id).where(past))
    left = select(deliveries.c.message_id).where(deliveries.c.message_id.is_not(None))
    over = or_(alerts.c.acknowledged_at_ms.is_not(None), alerts.c.resolved_at_ms.is_not(None))
    planned = select(deliveries.c.alert_id)
    old = alerts.c.breach_id.is_(None) & over & (alerts.c.created_at_ms < before_ms) & alerts.c.id.not_in(planned)
    return [
        (deliveries, (unmade | sent) & deliveries.c.alert_id.not_in(told)),
        (messages, past & messages.c.id.not_in(left)),
        (notices, notices.c.alert_id.in_(select(alerts.c.id).where(old))),
        (alerts, old & alerts.c.id.not_in(select(notices.c.alert_id))),
    ]


def find_cases(connection: Connection, due: Due) -> Iterator[str]:
    """Yield consignments, and vigils that had a breach, that are over and due."""
    consignments, vigils, breaches = schema.consignments, schema.vigils, schema.breaches
    received = select(consignments.c.code).where(consignments.c.received_at_ms < due.before_ms)
    watched = select(vigils.c.code).where(vigils.c.ends_ms < due.before_ms)
    told = select(breaches.c.consignment).where(breaches.c.consignment.in_(watched)).distinct()
    for query in (received.order_by(consignments.c.code), told):
        yield from (code for code in connection.execute(query).scalars() if code not in due.open_codes)


def _delete_case(connection: Connection, code: str) -> None:
    s = schema
    of_case = select(s.breaches.c.id).where(s.breaches.c.consignment == code)
    told = select(s.alerts.c.id).where(s.alerts.c.breach_id.in_(of_case))
    for table, condition in (
        (s.deliveries, s.deliveries.c.alert_id.in_(told)),
        (s.notices, s.notices.c.alert_id.in_(told)),
        (s.alerts, s.alerts.c.breach_id.in_(of_case)),
        (s.inbox, s.inbox.c.breach_id.in_(of_case)),
        (s.review_records, s.review_records.c.breach_id.in_(of_case)),
        (s.reviews, s.reviews.c.breach_id.in_(of_case)),
        (s.breach_keys, s.breach_keys.c.breach_id.in_(of_case)),
        (s.breaches, s.breaches.c.consignment == code),
        (s.judgements, s.judgements.c.consignment == code),
        (s.decisions, s.decisions.c.consignment == code),
        (s.carriages, s.carriages.c.consignment == code),
        (s.consignment_items, s.consignment_items.c.consignment == code),
        (s.dirty, s.dirty.c.consignment == code),
        (s.folds, s.folds.c.consignment == code),
        (s.vigils, s.vigils.c.code == code),
        (s.consignments, s.consignments.c.code == code),
    ):
        connection.execute(delete(table).where(condition))


def _settle_consignments(connection: Connection, before_ms: int, open_codes: Iterable[str], now_ms: int) -> None:
    """Say of what was received before that its verdict stands: it is not judged anew from what is left."""
    table = schema.consignments
    connection.execute(
        update(table)
        .where(
            table.c.received_at_ms < before_ms,
            table.c.readings_removed_at_ms.is_(None),
            table.c.code.not_in(sorted(open_codes)),
        )
        .values(readings_removed_at_ms=now_ms)
    )


def _drop_payloads(connection: Connection, rows: Sequence[_Found]) -> None:
    segments, untrusted = schema.segments, schema.untrusted_segments
    gateways = {row.id: row.gateway for row in rows}
    stored = connection.execute(select(segments.c.id, segments.c.verbatim).where(segments.c.id.in_(gateways))).all()
    bare = [
        {"of_id": row.id, "bare": parse_segment(gateways[row.id], bytes(row.verbatim)).without_body().to_bytes()}
        for row in stored
    ]
    values = {"verbatim": bindparam("bare"), "content": "removed"}
    connection.execute(update(segments).where(segments.c.id == bindparam("of_id")).values(**values), bare)
    connection.execute(delete(untrusted).where(untrusted.c.segment_id.in_(gateways)))


def _stretches(rows: Sequence[_Found]) -> list[Stretch]:
    by_epoch: dict[tuple[str, bytes], list[int]] = {}
    for row in rows:
        by_epoch.setdefault((row.gateway, row.epoch), []).append(row.position)
    return [
        Stretch(gateway=gateway, epoch=epoch.hex(), first_offset=first, next_offset=last + 1)
        for (gateway, epoch), positions in sorted(by_epoch.items())
        for first, last in _runs(sorted(positions))
    ]


def _runs(numbers: Sequence[int]) -> Iterator[tuple[int, int]]:
    """Yield the runs of consecutive numbers."""
    first = last = numbers[0]
    for number in numbers[1:]:
        if number != last + 1:
            yield first, last
            first = number
        last = number
    yield first, last


async def run_retention(rooms: Rooms) -> None:
    """Remove what is due once a day, for ever."""
    retention = Retention(rooms.store, rooms.key, rooms.settings)
    done: date | None = None
    await asyncio.sleep(BEGIN_S)
    while True:
        now_ms = rooms.clock.now_ms()
        today = to_datetime(now_ms).date()
        if today != done:
            await keep_trying(lambda: retention.run(rooms.clock.now_ms()), "what is due for removal waits")
            done = today
        await asyncio.sleep(LOOK_S)
