"""What somebody decides about an item on its arrival, whatever its verdict: receive, hold, reject.

A decision is a record beside the verdict, which it never changes. It holds the versions of the verdict that were seen;
one that has changed meanwhile is shown first. A later decision names the one that it replaces.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, Any

import msgspec
from pydantic import Field, StringConstraints
from sqlalchemy import Connection, Row, insert, select

from gateway.core.configuration import Item
from gateway.core.errors import InputError
from gateway.core.profiles import Kind, Model
from gateway.core.verdicts import Verdict, worst
from gateway.hub.access.callers import Caller
from gateway.hub.audit.acts import Act, begin_act, record_act
from gateway.hub.breaches.keeping import lock_breaches
from gateway.hub.breaches.lifecycle import NotNowError
from gateway.hub.database.rows import read_registered, refuse_identities
from gateway.hub.database.schema import decisions
from gateway.hub.database.store import Store, inserted_id
from gateway.hub.judgement.verdict_history import VersionedJudgement, fingerprint_of, read_current, settle_decided
from gateway.hub.review.choices import ChoiceCode, ChoiceList, check_choice, read_choices
from gateway.hub.review.competence import check_decider
from gateway.hub.signals.alerts import AlertKind, raise_alert
from gateway.hub.signals.events import tell
from gateway.language import Language


class Course(StrEnum):
    """What becomes of an item."""

    RECEIVE = "receive"
    HOLD = "hold"
    REJECT = "reject"


class NewDecision(Model):
    """A decision to be made.

    seen      the version of the verdict that was seen, for each examination of the item
    comment   why; needed to receive what is not Accept, and to hold
    reason    from the list `rejection`; needed to reject
    corrects  the number of the decision that this one replaces; needed if there is one
    new_sample  whether to ask the requester for a new one, at once; only for a sample that is rejected
    """

    choice: Course
    seen: Annotated[dict[str, int], Field(max_length=50, examples=[{"K": 2}])]
    comment: Annotated[str, StringConstraints(max_length=4000, strip_whitespace=True)] = ""
    reason: ChoiceCode | None = None
    corrects: int | None = None
    new_sample: bool = False


@dataclass(frozen=True, slots=True)
class Decision:
    """A decision as it was made.

    seen     for each examination: version, verdict and hash of what was seen
    in_force whether no later one has replaced it
    current  whether the verdict is still the one that was seen
    """

    id: int
    consignment: str
    item: str
    choice: Course
    comment: str
    reason: str | None
    new_sample: bool
    seen: Mapping[str, Any]
    at_ms: int
    who: str
    printed_name: str
    corrects: int | None
    in_force: bool
    current: bool


class UnknownItemError(InputError):
    """There is no such item."""


class Decisions:
    """Reads and acts. Blocking: call it from a thread."""

    def __init__(self, store: Store, now_ms: Callable[[], int]) -> None:
        self._store = store
        self._now_ms = now_ms

    def of(self, consignment: str, item: str | None = None) -> list[Decision]:
        """Return all decisions about a consignment, or about one item, oldest first."""
        with self._store.read() as connection:
            return read_decisions(connection, consignment, item)

    def decide(self, consignment: str, code: str, new: NewDecision, who: Caller) -> Decision:
        """Record a decision.

        Raises UnknownItemError, NotYoursError, InputError for a missing comment or reason, and NotNowError where the
        verdict, or an earlier decision, is not what was seen.
        """
        refuse_identities(new)
        with self._store.write() as connection:
            lock_breaches(connection, [consignment])  # the watch saves verdicts under it
            begin_act(connection)
            item = _require(connection, consignment, code)
            check_decider(who, item.kind)
            judged = [one for one in read_current(connection, consignment) if one.judgement.item == code]
            _check_seen(new.seen, judged)
            _check_words(connection, new, worst([one.judgement.verdict for one in judged]))
            _check_request(new, item)
            _check_earlier(new, read_decisions(connection, consignment, code))
            number = self._save(connection, consignment, code, new, judged, who)
            return next(one for one in read_decisions(connection, consignment, code) if one.id == number)

    def _save(
        self,
        connection: Connection,
        consignment: str,
        item: str,
        new: NewDecision,
        judged: Sequence[VersionedJudgement],
        who: Caller,
    ) -> int:
        now_ms = self._now_ms()
        seen = {
            one.judgement.examination: {
                "version": one.version,
                "verdict": one.judgement.verdict,
                "hash": fingerprint_of(one.judgement, whole=True).hex(),
            }
            for one in judged
        }
        document: dict[str, Any] = {"choice": new.choice, "comment": new.comment, "reason": new.reason, "seen": seen}
        if new.new_sample:
            document["new_sample"] = True
        text = msgspec.json.encode(document, order="sorted").decode()
        row = {"consignment": consignment, "item": item, "at_ms": now_ms, "who": who.name}
        saved = insert(decisions).values(**row, printed_name=who.printed_name, document=text, corrects=new.corrects)
        number = inserted_id(connection.execute(saved))
        old = None if new.corrects is None else msgspec.json.encode({"decision": new.corrects}).decode()
        subject = f"item {consignment}/{item}"
        record_act(connection, Act(who.name, "decide", subject, old, text, new.comment), now_ms)
        event = {"consignment": consignment, "item": item, "choice": new.choice, "who": who.name}
        tell(connection, "decision", event, now_ms)
        settle_decided(connection, consignment, item, now_ms)
        if new.new_sample:
            asked = {"consignment": consignment, "item": item, "decision": number, "who": who.name}
            reason = read_choices(connection, ChoiceList.REJECTION)[str(new.reason)]
            told = {**asked, "words": {Language.NB: reason.nb, Language.EN: reason.en}}
            raise_alert(connection, AlertKind.NEW_SAMPLE, told, now_ms, key=f"request:{number}", source=consignment)
        return number


def _check_seen(seen: Mapping[str, int], judged: Sequence[VersionedJudgement]) -> None:
    if not judged:
        raise NotNowError("the item has not been judged yet")
    now = {one.judgement.examination: one.version for one in judged}
    if dict(seen) != now:
        raise NotNowError(f"the verdict has changed since it was read: look again (versions now: {now})")


def _check_words(connection: Connection, new: NewDecision, verdict: Verdict) -> None:
    if new.choice is Course.REJECT:
        if new.reason is None:
            raise InputError("reason", "to reject needs a reason from the list rejection")
        check_choice(connection, "reason", ChoiceList.REJECTION, new.reason)
    elif new.reason is not None:
        raise InputError("reason", "belongs to a rejection")
    elif not new.comment and (new.choice is Course.HOLD or verdict is not Verdict.ACCEPT):
        raise InputError("comment", "say why")


def _check_request(new: NewDecision, item: Item) -> None:
    if new.new_sample and (new.choice is not Course.REJECT or item.kind is not Kind.SAMPLE):
        raise InputError("new_sample", "a new one is asked for when a sample is rejected")


def _check_earlier(new: NewDecision, earlier: Sequence[Decision]) -> None:
    newest = earlier[-1].id if earlier else None
    if new.corrects != newest:
        told = "there is no earlier decision" if newest is None else f"decision {newest} stands: name it in corrects"
        raise NotNowError(told)


def _require(connection: Connection, consignment: str, code: str) -> Item:
    known = read_registered(connection, consignment)
    item = None if known is None else next((one for one in known.consignment.items if one.code == code), None)
    if item is None:
        raise UnknownItemError("item", f"there is no item {code} in {consignment}")
    return item


def read_decisions(connection: Connection, consignment: str, item: str | None = None) -> list[Decision]:
    """Return all decisions about a consignment, or about one item, oldest first."""
    wanted = select(decisions).where(decisions.c.consignment == consignment).order_by(decisions.c.id)
    rows = connection.execute(wanted if item is None else wanted.where(decisions.c.item == item)).all()
    if not rows:
        return []
    replaced = {row.corrects for row in rows}
    versions = {(one.judgement.item, one.judgement.examination): one for one in read_current(connection, consignment)}
    return [_to_decision(row, replaced, versions) for row in rows]


def _to_decision(
    row: Row[tuple[object, ...]], replaced: set[int | None], versions: Mapping[tuple[str, str], VersionedJudgement]
) -> Decision:
    document = msgspec.json.decode(row.document)
    seen = document["seen"]
    now = {examination: one.version for (item, examination), one in versions.items() if item == row.item}
    return Decision(
        id=row.id,
        consignment=row.consignment,
        item=row.item,
        choice=Course(document["choice"]),
        comment=document["comment"],
        reason=document["reason"],
        new_sample=document.get("new_sample", False),
        seen=seen,
        at_ms=row.at_ms,
        who=row.who,
        printed_name=row.printed_name,
        corrects=row.corrects,
        in_force=row.id not in replaced,
        current={examination: one["version"] for examination, one in seen.items()} == now,
    )
