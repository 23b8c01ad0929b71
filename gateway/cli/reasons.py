"""Reasons of a verdict as English sentences. Codes are stable; what they say is made here, at the edge."""

from __future__ import annotations

from datetime import tzinfo

from gateway.core.verdicts import Parameter, Reason
from gateway.importers.local_time import local_text

_CERTAINTY = {
    "proven": "",
    "within_uncertainty": " (within the uncertainty of the logger)",
    "gap": " (possible in the time that nothing was measured)",
}

_SENTENCES: dict[str, str] = {
    "limit_single": "{side} {limit_c:g} °C for {minutes:g} min in one stretch, {allowed_min:g} min are allowed",
    "limit_cumulative": "{side} {limit_c:g} °C for {minutes:g} min in all, {allowed_min:g} min are allowed",
    "limit_touched": "{limit_c:g} °C was reached: {extreme_c:g} °C",
    "forbidden": "{side} {limit_c:g} °C is forbidden for more than {allowed_min:g} min",
    "outside_bands": "{minutes:g} min at temperatures that the profile says nothing of",
    "life_spent": "the life {life!r} is spent ({spent:.0%})",
    "life_warning": "{spent:.0%} of the life {life!r} is spent",
    "life_unstated": "for {minutes:g} min the life {life!r} says nothing of the temperature",
    "life_mixed": "the life {life!r} was spent in several bands, and mixing them is not approved",
    "life_returned": "back in an earlier band of the life {life!r} for {minutes:g} min",
    "life_ends_before_arrival": "the life {life!r} ends before the planned arrival",
    "deadline_passed": "the deadline {life!r} has passed",
    "event_time_missing": "the life {life!r} counts from an event whose time is not given: {event}",
    "use_before_missing": "the label's use-before time is missing",
    "no_readings": "there are no readings",
    "no_exposure": "nothing says where the item was",
    "unmonitored": "{minutes:g} min were not monitored, in {gaps} gaps",
    "clock_untrusted": "{readings} readings have a time that cannot be relied upon",
    "not_calibrated": "nothing says that the logger was calibrated (--calibrated, if its certificate was checked)",
    "conflicting_readings": "measurements with conflicting values",
    "profile_not_approved": "profile {profile}, version {version}, is not approved",
    "profile_unknown": "profile {profile} is not known here",
    "registered_late": "registered after it had been carried: judged from stored readings",
    "profile_general_knowledge": "the figures of profile {profile} are general knowledge, not checked",
    "light_exceeded": "more than {limit_lux:g} lux for {minutes:g} min ({largest_lux:g} lux at most)",
    "light_not_measured": "light is limited and was not measured for {minutes:g} min",
    "shock_exceeded": "more than {limit_g:g} g {times} times ({largest_g:g} g at most)",
    "shock_not_measured": "shock is limited and was not measured for {minutes:g} min",
    "irreplaceable": "cannot be taken again: do not discard, call the requester",
    "summaries_only": "the file has {days} daily summaries and no single readings",
}


def sentence(reason: Reason, zone: tzinfo) -> str:
    """Say a reason in a sentence; one that has no sentence yet is shown as code and parameters."""
    form = _SENTENCES.get(reason.code)
    certainty = _CERTAINTY.get(str(reason.parameters.get("certainty", "proven")), "")
    if form is None:
        return _bare(reason, zone)
    try:
        return form.format_map(reason.parameters) + certainty
    except (KeyError, ValueError, TypeError):  # parameters differ from what the sentence expects: show them all
        return _bare(reason, zone)


def _bare(reason: Reason, zone: tzinfo) -> str:
    shown = ", ".join(f"{key} {_value(key, value, zone)}" for key, value in reason.parameters.items())
    return f"{reason.code}: {shown}" if shown else reason.code


def _value(key: str, value: Parameter, zone: tzinfo) -> str:
    if key.endswith("_at_ms") and isinstance(value, int):
        return local_text(value, zone)
    return f"{value:g}" if isinstance(value, float) else str(value)
