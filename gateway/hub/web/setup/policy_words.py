"""Policies and quiet hours in words: which alerts, who is told at once and who later."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from babel.dates import get_day_names

from gateway.hub.notification.hours import Hours, Weekday
from gateway.hub.notification.policies import (
    DEFAULTS,
    DISPATCHER,
    LABORATORY,
    PHARMACY,
    QUALITY,
    RECEIVER,
    REQUESTER,
    TECHNICIAN,
    Policy,
    Step,
    Subject,
)
from gateway.language import Speech
from gateway.language.speech import N_
from gateway.language.verdicts import say_kind

SUBJECTS: dict[Subject, str] = {
    Subject.TEMPERATURE: N_("temperature"),
    Subject.TIME: N_("shelf life and deadlines"),
    Subject.MISSING: N_("missing data"),
    Subject.WORSENED: N_("verdicts that worsened"),
    Subject.REQUEST: N_("new samples wanted"),
    Subject.RETRACTION: N_("alerts withdrawn"),
    Subject.TECHNICAL: N_("logs, keys and signed heads"),
}
_TARGETS = {
    REQUESTER: N_("the requester"),
    RECEIVER: N_("the receiver"),
    PHARMACY: N_("the pharmacist on call"),
    LABORATORY: N_("the laboratory"),
    QUALITY: N_("quality on call"),
    DISPATCHER: N_("the dispatcher"),
    TECHNICIAN: N_("the technician"),
}
_TITLES = {
    "samples": N_("Samples too warm, too cold or too late"),
    "medicines": N_("Medicines too warm, too cold or too late"),
    "worsened": N_("Verdicts that worsened"),
    "requests": N_("New samples wanted"),
    "missing": N_("Missing data"),
    "technical": N_("Technical faults"),
    "everything-else": N_("Everything else"),
}
"""Of the policies that come with the hub; those of a hospital are called as it named them."""
_ORIGINS = {
    "hub": N_("comes with the hub"),
    "changed": N_("comes with the hub, changed here"),
    "own": N_("your own"),
}


@dataclass(frozen=True, slots=True)
class PolicyWords:
    """A policy as a reader sees it. `fits` is empty where it is for all alerts."""

    name: str
    title: str
    origin: str
    fits: Sequence[str]
    steps: Sequence[str]
    can_wait: bool


def say_policy(policy: Policy, speech: Speech) -> PolicyWords:
    """Return which alerts it is for, and who is told."""
    subjects = [speech.gettext(SUBJECTS[one]) for one in Subject if one in policy.subjects]
    kinds = sorted(say_kind(one, speech) for one in policy.kinds)
    fits = [speech.listed(words) for words in (subjects, kinds) if words]
    if policy.places:
        fits.append(speech.gettext(N_("from, to or with {places}")).format(places=speech.listed(policy.places)))
    if policy.hours:
        fits.append(say_hours(policy.hours, speech))
    return PolicyWords(
        name=policy.name,
        title=say_policy_title(policy.name, speech),
        origin=speech.gettext(_ORIGINS[_origin(policy)]),
        fits=fits,
        steps=[_say_step(step, speech) for step in policy.steps],
        can_wait=policy.can_wait,
    )


def say_policy_title(name: str, speech: Speech) -> str:
    """Return what a policy is called."""
    return speech.gettext(_TITLES[name]) if name in _TITLES else name


def say_target(name: str, speech: Speech) -> str:
    """Return who is told; a duty that policies of the hub name has words, others are called as they were named."""
    return speech.gettext(_TARGETS[name]) if name in _TARGETS else name


def say_hours(hours: Iterable[Hours], speech: Speech) -> str:
    """Return "22:00–07:00 (Sat and Sun)", several with semicolons, "" for none."""
    return "; ".join(_say_stretch(one, speech) for one in hours)


def day_names(speech: Speech) -> list[tuple[Weekday, str]]:
    """Return the days of the week, Monday first, with their short names."""
    names = get_day_names("abbreviated", locale=speech.language.value)
    return [(day, names[place]) for place, day in enumerate(Weekday)]


def _say_stretch(hours: Hours, speech: Speech) -> str:
    is_whole = hours.begins == hours.ends
    said = speech.gettext(N_("all day")) if is_whole else f"{hours.begins:%H:%M}–{hours.ends:%H:%M}"
    days = [name for day, name in day_names(speech) if day in hours.days]
    return f"{said} ({speech.listed(days)})" if days else said


def _say_step(step: Step, speech: Speech) -> str:
    to = speech.listed(say_target(one, speech) for one in step.to)
    if not step.after_min:
        return speech.gettext(N_("At once: {to}")).format(to=to)
    said = speech.gettext(N_("After {duration}, if nobody has acknowledged it: {to}"))
    return said.format(duration=speech.duration(step.after_min), to=to)


def is_changed(policy: Policy) -> bool:
    """Whether it came with the hub and says something else now."""
    return _origin(policy) == "changed"


def _origin(policy: Policy) -> str:
    known = next((one for one in DEFAULTS if one.name == policy.name), None)
    if known is None:
        return "own"
    return "hub" if known == policy else "changed"
