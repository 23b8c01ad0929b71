"""The words on the screen, in one place: verdicts, reasons, notices. Codes come in, sentences go out.

English. Another language is another table of the same keys; numbers and moments come formatted from `figures`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from string import Formatter

from gateway.core.profiles import Kind
from gateway.core.verdicts import Parameter, Reason, Verdict
from gateway.hub.web import figures

VERDICTS: dict[Verdict, str] = {
    Verdict.ACCEPT: "Accept",
    Verdict.REVIEW: "Review",
    Verdict.INSUFFICIENT_DATA: "Insufficient data",
    Verdict.REJECT: "Reject",
}

MEANINGS: dict[Verdict, str] = {
    Verdict.ACCEPT: "The transport requirements were met.",
    Verdict.REVIEW: "A qualified person decides.",
    Verdict.INSUFFICIENT_DATA: "What was not measured could change the verdict.",
    Verdict.REJECT: "A transport requirement was broken.",
}

ACCEPT_NOTE = "Accept means the transport requirements were met; it releases nothing."
DEMONSTRATION = "Demonstration profiles: not approved for clinical use"
MEDICINE_NOTE = "Only a pharmacist decides on medicines."
KINDS: dict[Kind, str] = {Kind.SAMPLE: "Sample", Kind.MEDICINE: "Medicine", Kind.STORAGE: "Storage"}

_CERTAINTY = {
    "proven": "",
    "within_uncertainty": " The difference lies within the measurement uncertainty.",
    "gap": " It cannot be ruled out for the time that nothing was measured.",
}
_SIDES = {"above": "Above", "below": "Below"}

REASONS: dict[str, str] = {
    "limit_single": "{side} {limit} for {minutes} in one stretch; {allowed} are allowed. Extreme {extreme}.",
    "limit_cumulative": "{side} {limit} for {minutes} in all; {allowed} are allowed. Extreme {extreme}.",
    "limit_touched": "{limit} was reached: {extreme}.",
    "forbidden": "{side} {limit} for {minutes}; at most {allowed} in one stretch. Extreme {extreme}.",
    "forbidden_at_once": "{side} {limit}, which must never happen. Extreme {extreme}.",
    "outside_bands": "{minutes} at temperatures that the profile says nothing about.",
    "life_spent": "Shelf life{life} is used up ({spent}).",
    "life_warning": "{spent} of shelf life{life} is used.",
    "life_unstated": "For {minutes} shelf life{life} says nothing about the temperature.",
    "life_mixed": "Shelf life{life} was used in several temperature bands, and adding them is not approved.",
    "life_returned": "Back in an earlier temperature band of shelf life{life} for {minutes}.",
    "life_ends_before_arrival": "Shelf life{life} ends at {expires}, before the planned arrival.",
    "deadline_passed": "The deadline{life} passed at {expires}.",
    "event_time_missing": "Shelf life{life} counts from when it was {event}, and that time is not stated.",
    "use_before_missing": "The label’s use-before time is not stated.",
    "no_readings": "There are no readings.",
    "no_exposure": "Nothing says where the item was.",
    "unmonitored": "Not monitored for {minutes}, in {gaps}.",
    "clock_untrusted": "The time of {readings} cannot be relied upon.",
    "not_calibrated": "The logger’s calibration was missing or overdue for {readings}.",
    "conflicting_readings": "Measurements contradict each other: {count} times.",
    "profile_not_approved": "The profile {profile}, version {version}, is not approved.",
    "profile_general_knowledge": "The figures of profile {profile} are general knowledge and were not verified.",
    "profile_unknown": "The profile {profile} is not known here.",
    "registered_late": "Registered late: judged from what the logger had recorded.",
    "light_exceeded": "More than {limit} for {minutes}; {allowed} are allowed. Brightest {extreme}.",
    "light_not_measured": "Light is limited, and was not measured for {minutes}.",
    "shock_exceeded": "Shaken by more than {limit}, {times} times. Strongest {extreme}.",
    "shock_not_measured": "Shock is limited, and was not measured for {minutes}.",
    "irreplaceable": "It cannot be taken again: do not discard, call the requester.",
}
"""Code → sentence. What stands in braces is made by `_say`."""

_PLAIN_LIVES = frozenset({"shelf-life", "life", "use-before"})
"""Names that say no more than the sentence does."""
_EVENTS = {"collected": "collected", "prepared": "prepared", "first_use": "first used"}


def say_reason(reason: Reason) -> str:
    """Return a reason as a sentence; a code without words is shown as it is, with its parameters."""
    code = reason.code
    if code == "forbidden" and not reason.parameters.get("allowed_min"):
        code = "forbidden_at_once"
    form = REASONS.get(code)
    said = {name: text for name, value in reason.parameters.items() for name, text in _say(name, value).items()}
    if form is None or any(name not in said for _, name, _, _ in Formatter().parse(form) if name):
        shown = ", ".join(f"{name} {value}" for name, value in reason.parameters.items())
        return f"{reason.code} ({shown})" if shown else reason.code
    return form.format_map(said) + _CERTAINTY.get(str(reason.parameters.get("certainty", "proven")), "")


def life_title(name: str) -> str:
    """Return the heading of one life."""
    if name == "use-before":
        return "Use before"
    return "Shelf life" if name in _PLAIN_LIVES else f"Shelf life “{name}”"


def behind(behind_ms: int) -> str:
    """Return what is said while a backlog is still arriving."""
    return f"Data incomplete: {figures.duration(behind_ms / 60_000)} behind. Verdicts may change."


def _say(name: str, value: Parameter) -> Mapping[str, str]:
    """Return the words for one parameter, by the name that sentences use."""
    if name in _AMOUNTS and isinstance(value, int | float):
        spoken, say = _AMOUNTS[name]
        return {spoken: say(value)}
    if name == "expires_at_ms" and isinstance(value, int):
        return {"expires": figures.moment(value)}
    if name in {"gaps", "readings"} and isinstance(value, int):
        return {name: figures.count(value, name.removesuffix("s"))}
    if name == "life":
        return {"life": "" if value in _PLAIN_LIVES else f" “{value}”"}
    if name in _NAMES:
        return {name: _NAMES[name].get(str(value), str(value))}
    return {name: str(value)}


_AMOUNTS: dict[str, tuple[str, Callable[[float], str]]] = {
    "limit_c": ("limit", figures.threshold),
    "extreme_c": ("extreme", figures.celsius),
    "minutes": ("minutes", figures.duration),
    "allowed_min": ("allowed", figures.duration),
    "spent": ("spent", figures.percent),
    "limit_lux": ("limit", "{:g} lux".format),
    "largest_lux": ("extreme", "{:g} lux".format),
    "limit_g": ("limit", "{:g} g".format),
    "largest_g": ("extreme", "{:g} g".format),
}
_NAMES = {"side": _SIDES, "event": _EVENTS}
