"""What somebody without an account states when handing in, and the consignment that it makes. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, AwareDatetime, Field, StringConstraints, model_validator

from gateway.core.configuration import Carriage, Code, CodeRule, Consignment, Declared, Examination, Item
from gateway.core.custody import rule_of
from gateway.core.errors import InputError
from gateway.core.identifiers import refuse_identity_number
from gateway.core.profiles import Kind, Model, Profile

ITEMS_MAX = 40
"""Items of one hand-in: a rack of tubes, as at the bench."""
PLACE_MAX = 80
OLDEST = timedelta(days=7)
"""Nothing that was collected earlier is handed in by a code: it is registered at the bench, by somebody who asks."""
_AHEAD = timedelta(minutes=2)
"""A telephone's clock, and the minute that its field leaves out."""


class Handler(StrEnum):
    """What somebody who hands in is. Never who."""

    MUNICIPAL_NURSE = "municipal_nurse"
    GP_SURGERY = "gp_surgery"
    TAXI = "taxi"
    SELF_SAMPLER = "self_sampler"
    OTHER = "other"


def _checked_place(text: str) -> str:
    try:
        return refuse_identity_number("place", text)
    except InputError as error:
        raise ValueError(error.reason) from error


Place = Annotated[
    str,
    StringConstraints(max_length=PLACE_MAX, strip_whitespace=True, pattern=r"^[^\x00-\x1f]*$"),
    AfterValidator(_checked_place),
]


class Statement(Model):
    """What is handed in: the codes of items, by whom in a role or a code, and where it is left.

    collected_at   when the items were collected, None where nobody collected them now
    since          "collected": they have been in the box since then; "now": they were put into it at the hand-in
    """

    items: Annotated[tuple[Code, ...], Field(max_length=ITEMS_MAX)] = ()
    collected_at: AwareDatetime | None = None
    since: Literal["collected", "now"] = "collected"
    handler: Handler
    handler_code: Code | None = None
    place: Place = ""

    @model_validator(mode="after")
    def _has_distinct_items(self) -> Self:
        if len(set(self.items)) != len(self.items):
            raise ValueError("an item stands there twice")
        return self

    @property
    def holder(self) -> str:
        """Who handed in, as the record says it: a role, and a code where one was given."""
        return self.handler.value if self.handler_code is None else f"{self.handler.value}:{self.handler_code}"[:64]


class UnknownKindError(InputError):
    """Nothing says what an item is: no rule knows how its code begins, and the hand-in names no profile."""

    def __init__(self, item: str) -> None:
        super().__init__("items", f"{item}: nothing says what is examined in it")
        self.item = item


class MomentError(InputError):
    """The items were collected at a moment that cannot be: ahead, or more than a week ago."""


def check_collected(collected_at: datetime | None, now: datetime) -> None:
    """Raise MomentError for a moment that lies ahead, or too far back."""
    if collected_at is not None and collected_at > now + _AHEAD:
        raise MomentError("collected_at", "lies ahead")
    if collected_at is not None and collected_at < now - OLDEST:
        raise MomentError("collected_at", "lies more than a week back")


def begins_of(statement: Statement, now: datetime) -> datetime:
    """Return since when the items are in the box."""
    collected_at = statement.collected_at
    return min(collected_at, now) if collected_at is not None and statement.since == "collected" else now


def make_consignment(
    code: str,
    box: str,
    requester: str | None,
    statement: Statement,
    items: Sequence[Item],
    now: datetime,
) -> Consignment:
    """Return what a hand-in registers; late, where it was in the box before anybody registered it."""
    begins = begins_of(statement, now)
    return Consignment(
        code=code,
        requester=requester,
        items=tuple(items),
        carriage=(Carriage(box=box, begins=begins),),
        registered_late=begins < now,
    )


def make_items(
    statement: Statement,
    wanted: Iterable[str],
    rules: Sequence[CodeRule],
    profile: Profile | None,
    now: datetime,
) -> list[Item]:
    """Return the items that are to be registered, as rules or the hand-in's own profile say what they are.

    Raises UnknownKindError for the first of which nothing is said.
    """
    return [_make_item(statement, code, rule_of(code, rules), profile, now) for code in wanted]


def _make_item(statement: Statement, code: str, rule: CodeRule | None, profile: Profile | None, now: datetime) -> Item:
    if rule is not None:
        kind, examinations, before = rule.kind, rule.examinations, rule.before_packing
    elif profile is not None:
        kind, examinations, before = profile.kind, (Examination(code=profile.id, profile=profile.id),), None
    else:
        raise UnknownKindError(code)
    collected_at = statement.collected_at if kind is Kind.SAMPLE else None
    begins = begins_of(statement, now)
    declared: tuple[Declared, ...] = ()
    if before is not None and collected_at is not None and collected_at < begins:
        by = statement.holder
        declared = (Declared(begins=collected_at, ends=begins, low_c=before.low_c, high_c=before.high_c, by=by),)
    return Item(code=code, kind=kind, examinations=examinations, collected_at=collected_at, declared=declared)


def withdraw(consignment: Consignment, at: datetime) -> Consignment:
    """Return a consignment whose hand-in was undone: it was nowhere, and nobody waits for it."""
    gone = tuple(item.model_copy(update={"carriage": (), "declared": ()}) for item in consignment.items)
    return consignment.model_copy(update={"items": gone, "carriage": (), "received_at": at})
