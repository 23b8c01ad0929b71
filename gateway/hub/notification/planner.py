"""The planner: an alert, a policy and the recipients in; deliveries with their times out. Pure.

A step that reaches nobody is no reason to wait: the steps after it move forward by as much. An alert that no step
brings to anybody goes to whoever answers for quality, and to everybody reachable if there is nobody.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from zoneinfo import ZoneInfo

from gateway.hub.notification.hours import after_quiet
from gateway.hub.notification.policies import QUALITY, RECEIVER, REQUESTER, Facts, Policy, Subject
from gateway.hub.notification.recipients import Recipient

MINUTE_MS = 60_000


@dataclass(frozen=True, slots=True)
class Planned:
    """One channel of one recipient to be used at a time (domain, UTC milliseconds). `step` counts from 0."""

    recipient: str
    channel: str
    step: int
    due_ms: int


def plan(
    facts: Facts,
    policy: Policy | None,
    recipients: Mapping[str, Recipient],
    *,
    acknowledged: bool = False,
    told: frozenset[str] = frozenset(),
) -> tuple[Planned, ...]:
    """Return what is to be delivered; each channel at most once, at the first step that names it.

    told  who heard of the breach: a retraction goes to them and to nobody else. What was acknowledged is escalated to
          nobody; its first step stays, since alert and acknowledgement may cross.
    """
    if facts.subject is Subject.RETRACTION:
        # In nobody's quiet hours would it be read as good news in time: it follows the alert at once.
        return tuple(_deliver([recipients[name] for name in sorted(told & set(recipients))], 0, facts, quiet=False))
    steps = _reached(facts, policy, recipients)
    seen: set[tuple[str, str]] = set()
    planned: list[Planned] = []
    for number, (after_min, reached) in enumerate(steps[:1] if acknowledged else steps):
        moved = _delayed(facts, after_min - steps[0][0])
        for one in _deliver(reached, number, moved, quiet=policy is not None and policy.can_wait):
            if (one.recipient, one.channel) not in seen:
                seen.add((one.recipient, one.channel))
                planned.append(one)
    return tuple(planned)


def _reached(
    facts: Facts, policy: Policy | None, recipients: Mapping[str, Recipient]
) -> list[tuple[int, list[Recipient]]]:
    """The steps that reach somebody, with their minutes; a fallback if there is none."""
    steps = () if policy is None else policy.steps
    found = [(step.after_min, resolve(step.to, facts, recipients)) for step in steps]
    found = [(after_min, reached) for after_min, reached in found if reached]
    if not found:
        anybody = resolve((QUALITY,), facts, recipients) or [one for one in recipients.values() if one.is_reachable]
        found = [(0, anybody)] if anybody else []
    return found


def resolve(targets: Sequence[str], facts: Facts, recipients: Mapping[str, Recipient]) -> list[Recipient]:
    """Return who is meant and can be reached, each once, in the order of the targets."""
    found: dict[str, Recipient] = {}
    for target in targets:
        for recipient in _meant(target, facts, recipients):
            if recipient.is_reachable:
                found.setdefault(recipient.name, recipient)
    return list(found.values())


def _meant(target: str, facts: Facts, recipients: Mapping[str, Recipient]) -> Iterator[Recipient]:
    if target in {REQUESTER, RECEIVER}:
        target = (facts.requester if target == REQUESTER else facts.receiver) or ""
        if target in recipients:
            yield recipients[target]  # it asked for this one: whatever else it is for
        return
    for recipient in recipients.values():
        fits = not recipient.places or not facts.places.isdisjoint(recipient.places)
        if recipient.name == target or (target in recipient.duties and fits):
            yield recipient


def _deliver(reached: Sequence[Recipient], step: int, facts: Facts, *, quiet: bool) -> Iterator[Planned]:
    for recipient in reached:
        due_ms = facts.created_at_ms
        if quiet:
            due_ms = after_quiet(due_ms, recipient.quiet, ZoneInfo(recipient.zone))
        for channel in recipient.channels if recipient.is_reachable else ():
            yield Planned(recipient.name, channel.id, step, due_ms)


def _delayed(facts: Facts, minutes: int) -> Facts:
    return Facts(facts.alert, facts.subject, facts.created_at_ms + minutes * MINUTE_MS)
