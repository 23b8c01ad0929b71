"""Policies: who is told of what, step by step, until somebody acknowledges."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import tzinfo
from enum import StrEnum
from itertools import pairwise
from typing import Annotated, Self

from pydantic import Field, StringConstraints, model_validator

from gateway.core.configuration import Code
from gateway.core.profiles import Identifier, Kind, Model
from gateway.hub.notification.hours import Hours

REQUESTER = "@requester"
RECEIVER = "@receiver"
"""Targets that each consignment names for itself. Others are the name of a duty or of a recipient."""
STEPS_MAX = 10
AFTER_MAX_MIN = 2880


class Subject(StrEnum):
    """What an alert is about, as far as it matters who hears of it."""

    TEMPERATURE = "temperature"
    TIME = "time"
    MISSING = "missing"
    WORSENED = "worsened"
    REQUEST = "request"
    RETRACTION = "retraction"
    TECHNICAL = "technical"


Target = Annotated[str, StringConstraints(pattern=r"^(@requester|@receiver|[A-Za-z0-9ÆØÅæøå][^\s@]{0,63})$")]


class Step(Model):
    """Who is told so many minutes after the alert, unless it was acknowledged meanwhile."""

    after_min: Annotated[int, Field(ge=0, le=AFTER_MAX_MIN)] = 0
    to: Annotated[tuple[Target, ...], Field(min_length=1, max_length=20)]


class Policy(Model):
    """Which alerts it is for (what is empty fits everything), and who is told. The lowest `order` that fits decides.

    places    consignments from, to or carried by one of these: requesters, receivers, gateways, boxes
    hours     the alert's time of day, in the hub's zone
    can_wait  obeys the recipients' quiet hours
    """

    name: Identifier
    order: Annotated[int, Field(ge=0, le=10_000)] = 100
    subjects: Annotated[frozenset[Subject], Field(max_length=10)] = frozenset()
    kinds: Annotated[frozenset[Kind], Field(max_length=5)] = frozenset()
    places: Annotated[tuple[Code, ...], Field(max_length=100)] = ()
    hours: Annotated[tuple[Hours, ...], Field(max_length=14)] = ()
    steps: Annotated[tuple[Step, ...], Field(min_length=1, max_length=STEPS_MAX)]
    can_wait: bool = False

    @model_validator(mode="after")
    def _is_in_order(self) -> Self:
        if any(later.after_min <= earlier.after_min for earlier, later in pairwise(self.steps)):
            raise ValueError("steps: each comes later than the one before")
        return self


@dataclass(frozen=True, slots=True)
class Facts:
    """What an alert is about. Codes only.

    places  requester, receiver, gateway and boxes: whatever a policy or a recipient may be for
    """

    alert: int
    subject: Subject
    created_at_ms: int
    kind: Kind | None = None
    requester: str | None = None
    receiver: str | None = None
    places: frozenset[str] = frozenset()


def choose_policy(policies: Sequence[Policy], facts: Facts, zone: tzinfo) -> Policy | None:
    """Return the policy that decides, None if none fits."""
    ordered = sorted(policies, key=lambda policy: (policy.order, policy.name))
    return next((policy for policy in ordered if _fits(policy, facts, zone)), None)


def _fits(policy: Policy, facts: Facts, zone: tzinfo) -> bool:
    return (
        (not policy.subjects or facts.subject in policy.subjects)
        and (not policy.kinds or facts.kind in policy.kinds)
        and (not policy.places or not facts.places.isdisjoint(policy.places))
        and (not policy.hours or any(hours.cover(facts.created_at_ms, zone) for hours in policy.hours))
    )


PHARMACY, LABORATORY, QUALITY = "pharmacy-on-call", "laboratory", "quality-on-call"
DISPATCHER, TECHNICIAN = "dispatcher", "technician"

_BREACHES = frozenset({Subject.TEMPERATURE, Subject.TIME})

DEFAULTS: tuple[Policy, ...] = (
    # The nurse may still be with the patient and can take another sample.
    Policy(
        name="samples",
        order=1010,
        subjects=_BREACHES,
        kinds=frozenset({Kind.SAMPLE}),
        steps=(
            Step(to=(REQUESTER,)),
            Step(after_min=10, to=(RECEIVER, LABORATORY)),
            Step(after_min=30, to=(QUALITY,)),
        ),
    ),
    # Nobody else decides on a medicine.
    Policy(
        name="medicines",
        order=1020,
        subjects=_BREACHES,
        kinds=frozenset({Kind.MEDICINE}),
        steps=(
            Step(to=(PHARMACY,)),
            Step(after_min=10, to=(RECEIVER, LABORATORY)),
            Step(after_min=30, to=(QUALITY,)),
        ),
    ),
    # The result may be reported, the dose given: both ends at once.
    Policy(
        name="worsened",
        order=1030,
        subjects=frozenset({Subject.WORSENED}),
        steps=(Step(to=(RECEIVER, REQUESTER)), Step(after_min=10, to=(PHARMACY, LABORATORY, QUALITY))),
    ),
    # The patient is to be asked again: whoever took the first one, until they say that they know.
    Policy(
        name="requests",
        order=1035,
        subjects=frozenset({Subject.REQUEST}),
        steps=(Step(to=(REQUESTER,)), Step(after_min=20, to=(LABORATORY, QUALITY))),
    ),
    Policy(
        name="missing",
        order=1040,
        subjects=frozenset({Subject.MISSING}),
        steps=(Step(to=(DISPATCHER,)), Step(after_min=20, to=(RECEIVER, LABORATORY))),
    ),
    Policy(
        name="technical",
        order=1050,
        subjects=frozenset({Subject.TECHNICAL}),
        steps=(Step(to=(TECHNICIAN,)), Step(after_min=60, to=(QUALITY,))),
        can_wait=True,
    ),
    Policy(
        name="everything-else",
        order=9999,
        steps=(Step(to=(LABORATORY,)), Step(after_min=20, to=(QUALITY,))),
    ),
)
"""Policies that hold unless one of the same name is in the store. The minutes are examples, to be settled locally."""
