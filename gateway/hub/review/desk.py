"""The desk: what people do with breaches. Every act is a record, an entry of the audit trail and a move, or nothing.

Records are never changed. A comment or a conclusion is corrected by another one that names it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import msgspec
from sqlalchemy import Connection, select

from gateway.core.errors import InputError
from gateway.core.identifiers import refuse_identity_number
from gateway.core.profiles import Kind
from gateway.hub.access.callers import Caller
from gateway.hub.audit.acts import Act, begin_act, record_act
from gateway.hub.breaches.keeping import StoredBreach, lock_breaches, read_breach
from gateway.hub.breaches.lifecycle import NotNowError, ReviewEvent, ReviewState, possible_events
from gateway.hub.breaches.records import Author, Record, Standing, apply_event, ending_of, read_records, read_standing
from gateway.hub.database.schema import consignments, review_records, users
from gateway.hub.database.store import Store
from gateway.hub.judgement.losses import is_loss_suggested
from gateway.hub.review.choices import LOGGER_LOST, ChoiceList, check_choice
from gateway.hub.review.competence import NotYoursError, check_acknowledger, kind_of
from gateway.hub.review.signing import Meaning, Signature, hash_content, read_signatures, signed_at
from gateway.hub.signals.events import tell

TEXT_MAX = 4000
"""Characters of a comment: two pages; more belongs into the quality system."""
BULK_MAX = 200
"""Breaches acknowledged at once: all that one box can hold."""


class UnknownBreachError(InputError):
    """There is no breach of that number."""

    def __init__(self, breach_id: int) -> None:
        super().__init__("id", f"there is no breach {breach_id}")


@dataclass(frozen=True, slots=True)
class Review:
    """Everything about one breach and what was done with it.

    running     its excursion lasts, as far as is known
    kind        what kind of item it is about, None if unknown; it decides who acknowledges
    ending      the code of why nothing more will come of it, if that was stated
    suggested   the code of the ending that closing offers: its logger is, or may be, lost
    possible    what the state allows next
    hash        of all that a signature would bind
    """

    breach: StoredBreach
    standing: Standing
    running: bool
    ending: str | None
    suggested: str | None
    kind: Kind | None
    possible: Sequence[ReviewEvent]
    records: Sequence[Record]
    signatures: Sequence[Signature]
    hash: str


class ReviewDesk:
    """Reads and acts. Blocking: call it from a thread.

    `who` must have the right to the act; whose matter the breach is, is checked here. Acts raise UnknownBreachError,
    NotNowError, NotYoursError, and InputError naming a field.
    """

    def __init__(self, store: Store, now_ms: Callable[[], int]) -> None:
        self._store = store
        self._now_ms = now_ms

    def review(self, breach_id: int) -> Review:
        """Return all about one breach."""
        with self._store.read() as connection:
            return _read(connection, breach_id, self._now_ms())

    def acknowledge(self, breach_id: int, who: Caller, comment: str = "") -> Review:
        """Say that the breach is seen and taken care of."""
        return self._acknowledge([breach_id], who, {"comment": _text("comment", comment)} if comment else {})[0]

    def acknowledge_all(self, breach_ids: Sequence[int], who: Caller, reason: str) -> list[Review]:
        """Acknowledge several at once, all or none; that needs a reason, which stands with each."""
        if not 0 < len(breach_ids) <= BULK_MAX:
            raise InputError("ids", f"1 to {BULK_MAX} breaches at once")
        return self._acknowledge(sorted(set(breach_ids)), who, {"reason": _required("reason", reason), "bulk": True})

    def comment(self, breach_id: int, who: Caller, text: str, corrects: int | None = None) -> Review:
        """Add a comment, or a correction of an earlier one of one's own."""
        return self._do(breach_id, ReviewEvent.COMMENT, who, {"text": _required("text", text)}, corrects=corrects)

    def assign(self, breach_id: int, who: Caller, to: str) -> Review:
        """Give the breach to somebody who has an account."""

        def check(connection: Connection, _breach: StoredBreach) -> None:
            account = connection.execute(
                select(users.c.name).where(users.c.name == to, users.c.disabled_at_ms.is_(None))
            )
            if account.scalar() is None:
                raise InputError("to", f"there is no account {to}")

        return self._do(breach_id, ReviewEvent.ASSIGN, who, {"to": to}, check)

    def begin(self, breach_id: int, who: Caller) -> Review:
        """Begin to investigate."""
        return self._do(breach_id, ReviewEvent.BEGIN, who, {})

    def conclude(
        self, breach_id: int, who: Caller, cause: str, action: str, text: str = "", corrects: int | None = None
    ) -> Review:
        """State root cause and corrective action, from their lists; again: corrects what was stated before."""

        def check(connection: Connection, _breach: StoredBreach) -> None:
            check_choice(connection, "cause", ChoiceList.CAUSE, cause)
            check_choice(connection, "action", ChoiceList.ACTION, action)
            newest = _newest(read_records(connection, breach_id), ReviewEvent.CONCLUDE)
            if newest is not None and corrects != newest.id:
                raise NotNowError(f"record {newest.id} states a cause already: correct that one")

        document = {"cause": cause, "action": action} | ({"text": _text("text", text)} if text else {})
        return self._do(breach_id, ReviewEvent.CONCLUDE, who, document, check, corrects=corrects)

    def close(self, breach_id: int, who: Caller, ending: str = "", text: str = "") -> Review:
        """Close what has a stated cause. One that still runs needs a reason why nothing more will come of it."""

        def check(connection: Connection, breach: StoredBreach) -> None:
            if _newest(read_records(connection, breach_id), ReviewEvent.CONCLUDE) is None:
                raise NotNowError("state cause and corrective action first")
            if ending:
                check_choice(connection, "ending", ChoiceList.ENDING, ending)
            elif _is_running(connection, breach, read_records(connection, breach_id)):
                raise InputError("ending", "the breach still runs: say why nothing more will come of it")

        document = ({"ending": ending} if ending else {}) | ({"text": _text("text", text)} if text else {})
        return self._do(breach_id, ReviewEvent.CLOSE, who, document, check)

    def reopen(self, breach_id: int, who: Caller, reason: str) -> Review:
        """Take up a closed breach again. Signatures stay, and show that they no longer fit."""
        return self._do(breach_id, ReviewEvent.REOPEN, who, {"reason": _required("reason", reason)})

    def sign(self, breach_id: int, who: Caller, meaning: Meaning, seen: str) -> Review:
        """Sign a closed breach, as `seen` (the hash that the review showed). Who signs has just proved who they are."""
        with self._store.write() as connection:
            breach = _begin(connection, breach_id)
            now_ms = self._now_ms()
            records, is_received = read_records(connection, breach_id), _is_received(connection, breach)
            hash_now = hash_content(connection, breach, records, is_received=is_received)
            if seen != hash_now:
                raise NotNowError("it has changed since it was read: read it again before signing")
            document = {
                "meaning": meaning.value,
                "hash": hash_now,
                "received": is_received,
                "signed_at": signed_at(now_ms).isoformat(),
            }
            _act(connection, breach, ReviewEvent.SIGN, who, document, now_ms)
            return _read(connection, breach_id, self._now_ms())

    def _acknowledge(self, breach_ids: Sequence[int], who: Caller, document: Mapping[str, object]) -> list[Review]:
        with self._store.write() as connection:
            known = [_require(connection, breach_id) for breach_id in breach_ids]
            lock_breaches(connection, {breach.consignment for breach in known})
            begin_act(connection)
            for breach in known:
                check_acknowledger(who, kind_of(connection, breach.consignment, breach.item, breach.profile))
                _act(connection, breach, ReviewEvent.ACKNOWLEDGE, who, document, self._now_ms())
            return [_read(connection, breach_id, self._now_ms()) for breach_id in breach_ids]

    def _do(
        self,
        breach_id: int,
        event: ReviewEvent,
        who: Caller,
        document: Mapping[str, object],
        check: Callable[[Connection, StoredBreach], None] | None = None,
        *,
        corrects: int | None = None,
    ) -> Review:
        with self._store.write() as connection:
            breach = _begin(connection, breach_id)
            if corrects is not None:
                _check_correction(connection, breach_id, corrects, event, who)
            if check is not None:
                check(connection, breach)
            _act(connection, breach, event, who, document, self._now_ms(), corrects=corrects)
            return _read(connection, breach_id, self._now_ms())


def _begin(connection: Connection, breach_id: int) -> StoredBreach:
    """Lock a breach against the watch and against other acts; the order of locks is the same everywhere."""
    lock_breaches(connection, [_require(connection, breach_id).consignment])
    begin_act(connection)
    return _require(connection, breach_id)


def _act(
    connection: Connection,
    breach: StoredBreach,
    event: ReviewEvent,
    who: Caller,
    document: Mapping[str, object],
    now_ms: int,
    *,
    corrects: int | None = None,
) -> None:
    author = Author(who.name, who.printed_name)
    before = read_standing(connection, breach.id)
    record = apply_event(connection, breach.id, event, author, document, now_ms, corrects=corrects)
    after = read_standing(connection, breach.id)
    told = {"record": record, **document} | ({} if corrects is None else {"corrects": corrects})
    reason = document.get("reason", "")
    act = Act(
        who.name,
        f"{event}_breach",
        f"breach {breach.id}",
        None if before is None else msgspec.json.encode({"state": before.state}).decode(),
        msgspec.json.encode({"state": None if after is None else after.state, **told}).decode(),
        str(reason),
    )
    record_act(connection, act, now_ms)
    state = None if after is None else after.state
    tell(connection, "review", {"breach": breach.id, "event": event, "state": state, "who": who.name}, now_ms)


def _read(connection: Connection, breach_id: int, now_ms: int) -> Review:
    breach, standing = _require(connection, breach_id), read_standing(connection, breach_id)
    if standing is None:
        raise UnknownBreachError(breach_id)
    records = read_records(connection, breach_id)
    running, ending = _is_running(connection, breach, records), ending_of(records)
    is_open = standing.state is not ReviewState.CLOSED
    is_suggested = is_open and is_loss_suggested(connection, breach.id, breach.consignment, now_ms)
    return Review(
        breach=breach,
        standing=standing,
        running=running,
        ending=None if ending is None else ending[1],
        suggested=LOGGER_LOST if is_suggested else None,
        kind=kind_of(connection, breach.consignment, breach.item, breach.profile),
        possible=possible_events(standing.state),
        records=records,
        signatures=read_signatures(connection, breach, records),
        hash=hash_content(connection, breach, records, is_received=_is_received(connection, breach)),
    )


def _check_correction(connection: Connection, breach_id: int, corrects: int, event: ReviewEvent, who: Caller) -> None:
    row = connection.execute(
        select(review_records).where(review_records.c.id == corrects, review_records.c.breach_id == breach_id)
    ).first()
    if row is None or row.event != event.value:
        raise InputError("corrects", f"record {corrects} is no {event} about this breach")
    if event is ReviewEvent.COMMENT and row.who != who.name:
        raise NotYoursError("a comment is corrected by whoever wrote it")
    corrected = select(review_records.c.id).where(review_records.c.corrects == corrects)
    newer = connection.execute(corrected).scalar()
    if newer is not None:
        raise NotNowError(f"record {corrects} is corrected already, by record {newer}")


def _require(connection: Connection, breach_id: int) -> StoredBreach:
    breach = read_breach(connection, breach_id)
    if breach is None:
        raise UnknownBreachError(breach_id)
    return breach


def _newest(records: Sequence[Record], event: ReviewEvent) -> Record | None:
    return next((record for record in reversed(records) if record.event is event), None)


def _is_running(connection: Connection, breach: StoredBreach, records: Sequence[Record]) -> bool:
    return breach.ended_at_ms is None and ending_of(records) is None and not _is_received(connection, breach)


def _is_received(connection: Connection, breach: StoredBreach) -> bool:
    wanted = select(consignments.c.received_at_ms).where(consignments.c.code == breach.consignment)
    return connection.execute(wanted).scalar() is not None


def _required(field: str, text: str) -> str:
    if not text.strip():
        raise InputError(field, "say it in words")
    return _text(field, text)


def _text(field: str, text: str) -> str:
    if len(text) > TEXT_MAX:
        raise InputError(field, f"at most {TEXT_MAX} characters")
    return refuse_identity_number(field, text)
