"""Reasons of a verdict as sentences. Codes are stable; what they say is made here."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from string import Formatter

from gateway.core.verdicts import Parameter, Reason
from gateway.language.names import say_name
from gateway.language.speech import N_, Speech

_CERTAINTY = {
    "proven": "",
    "within_uncertainty": N_("The difference lies within the measurement uncertainty."),
    "gap": N_("It cannot be ruled out for the time that nothing was measured."),
}
_SIDES = {"above": N_("Above"), "below": N_("Below")}

REASONS: dict[str, str] = {
    "limit_single": N_("{side} {limit} for {minutes} in one stretch; {allowed} are allowed. Extreme {extreme}."),
    "limit_cumulative": N_("{side} {limit} for {minutes} in all; {allowed} are allowed. Extreme {extreme}."),
    "limit_touched": N_("{limit} was reached: {extreme}."),
    "forbidden": N_("{side} {limit} for {minutes}; at most {allowed} in one stretch. Extreme {extreme}."),
    "forbidden_at_once": N_("{side} {limit}, which must never happen. Extreme {extreme}."),
    "limit_single_unmeasured": N_("{side} {limit} for more than {allowed} in one stretch."),
    "limit_cumulative_unmeasured": N_("{side} {limit} for more than {allowed} in all."),
    "forbidden_unmeasured": N_("{side} {limit} for more than {allowed} in one stretch."),
    "forbidden_at_once_unmeasured": N_("{side} {limit}, which must never happen."),
    "outside_bands": N_("{minutes} at temperatures that the profile says nothing about."),
    "life_spent": N_("Shelf life{life} is used up ({spent})."),
    "life_warning": N_("{spent} of shelf life{life} is used."),
    "life_unstated": N_("For {minutes} shelf life{life} says nothing about the temperature."),
    "life_mixed": N_("Shelf life{life} was used in several temperature bands, and adding them is not approved."),
    "life_returned": N_("Back in an earlier temperature band of shelf life{life} for {minutes}."),
    "life_ends_before_arrival": N_("Shelf life{life} ends at {expires}, before the planned arrival."),
    "deadline_passed": N_("The deadline{life} passed at {expires}."),
    "event_time_missing": N_("Shelf life{life} counts from when it was {event}, and that time is not stated."),
    "use_before_missing": N_("The label’s use-before time is not stated."),
    "no_readings": N_("There are no readings."),
    "no_exposure": N_("Nothing says where the item was."),
    "unmonitored": N_("Not monitored for {minutes}, in {gaps}."),
    "clock_untrusted": N_("The time of {readings} cannot be relied upon."),
    "clock_within": N_("The time of {readings} cannot be relied upon: it may be wrong by up to {error}."),
    "not_calibrated": N_("The logger’s calibration was missing or overdue for {readings}."),
    "conflicting_readings": N_("Measurements contradict each other: {count} times."),
    "profile_not_approved": N_("The profile {profile}, version {version}, is not approved."),
    "profile_general_knowledge": N_("The figures of profile {profile} are general knowledge and were not verified."),
    "profile_unknown": N_("The profile {profile} is not known here."),
    "registered_late": N_("Registered late: judged from what the logger had recorded."),
    "light_exceeded": N_("More than {limit} for {minutes}; {allowed} are allowed. Brightest {extreme}."),
    "light_not_measured": N_("Light is limited, and was not measured for {minutes}."),
    "shock_exceeded": N_("Shaken by more than {limit}, {times} times. Strongest {extreme}."),
    "shock_not_measured": N_("Shock is limited, and was not measured for {minutes}."),
    "irreplaceable": N_("It cannot be taken again: do not discard, call the requester."),
    "summaries_only": N_("The file has {days} daily summaries and no single readings."),
}
"""Code → sentence. What stands in braces is made by `_say`."""

_PLAIN_LIVES = frozenset({"shelf-life", "life", "use-before"})
"""Names that say no more than the sentence does."""
_EVENTS = {"collected": N_("collected"), "prepared": N_("prepared"), "first_use": N_("first used")}


def say_reason(reason: Reason, speech: Speech) -> str:
    """Return a reason as a sentence; a code without words is shown as it is, with its parameters."""
    code = reason.code
    if code == "forbidden" and not reason.parameters.get("allowed_min"):
        code = "forbidden_at_once"
    if reason.parameters.get("extreme_c", "") is None and f"{code}_unmeasured" in REASONS:
        code += "_unmeasured"  # nothing at all was measured, and so nothing is ruled out
    if code == "clock_untrusted" and "error_min" in reason.parameters:
        code = "clock_within"
    form = REASONS.get(code)
    said = {word: text for name, value in reason.parameters.items() for word, text in _say(name, value, speech).items()}
    if form is None or any(name not in said for _, name, _, _ in Formatter().parse(form) if name):
        shown = ", ".join(f"{name} {value}" for name, value in reason.parameters.items())
        return f"{reason.code} ({shown})" if shown else reason.code
    certainty = speech.gettext(_CERTAINTY.get(str(reason.parameters.get("certainty", "proven")), ""))
    return " ".join(filter(None, (speech.gettext(form).format_map(said), certainty)))


def life_title(name: str, speech: Speech) -> str:
    """Return the heading of one life."""
    if name == "use-before":
        return speech.gettext(N_("Use before"))
    title = speech.gettext(N_("Shelf life"))
    return title if name in _PLAIN_LIVES else f"{title} {speech.quoted(say_name(name, speech))}"


def say_behind(behind_ms: int, speech: Speech) -> str:
    """Return what is said while a backlog is still arriving."""
    form = speech.gettext(N_("Data incomplete: {duration} behind. Verdicts may change."))
    return form.format(duration=speech.duration(behind_ms / 60_000))


def _say(name: str, value: Parameter, speech: Speech) -> Mapping[str, str]:
    """Return the words for one parameter, by the name that sentences use."""
    if name in _AMOUNTS and isinstance(value, int | float):
        spoken, say = _AMOUNTS[name]
        return {spoken: say(speech, value)}
    if name == "expires_at_ms" and isinstance(value, int):
        return {"expires": speech.moment(value)}
    if name in {"gaps", "readings"} and isinstance(value, int):
        return {name: _count(name, value, speech)}
    if name == "life":
        return {"life": "" if value in _PLAIN_LIVES else f" {speech.quoted(say_name(str(value), speech))}"}
    if name in _NAMES:
        return {name: speech.gettext(_NAMES[name].get(str(value), str(value)))}
    return {name: str(value)}


def _count(name: str, number: int, speech: Speech) -> str:
    gaps = speech.ngettext("{n} gap", "{n} gaps", number)
    return (gaps if name == "gaps" else speech.ngettext("{n} reading", "{n} readings", number)).format(n=number)


def _lux(speech: Speech, value: float) -> str:
    return speech.quantity(value, "lux")


def _g(speech: Speech, value: float) -> str:
    return speech.quantity(value, "g")


_AMOUNTS: dict[str, tuple[str, Callable[[Speech, float], str]]] = {
    "limit_c": ("limit", Speech.threshold),
    "extreme_c": ("extreme", Speech.celsius),
    "minutes": ("minutes", Speech.duration),
    "allowed_min": ("allowed", Speech.duration),
    "error_min": ("error", Speech.duration),
    "spent": ("spent", Speech.percent),
    "limit_lux": ("limit", _lux),
    "largest_lux": ("extreme", _lux),
    "limit_g": ("limit", _g),
    "largest_g": ("extreme", _g),
}
_NAMES = {"side": _SIDES, "event": _EVENTS}
