"""What daily summaries prove on their own, for a file without single readings.

A day whose minimum is above a limit was above it all day; nothing can be said of a day that was partly beyond. So
summaries can reject, and never accept: whatever they do not prove is insufficient data.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from gateway.core.judgement import judge_recording
from gateway.core.observations import Source
from gateway.core.profiles import Forbidden, Limit, Profile
from gateway.core.readings import Reading
from gateway.core.verdicts import Figures, Judgement, Reason, Verdict, worst
from gateway.importers.recording import DaySummary

_MINUTE_MS = 60_000


def judge_summaries(
    days: Sequence[DaySummary], profile: Profile, *, uncertainty_c: float, calibrated: bool, approved: bool = False
) -> Judgement:
    """Judge days (oldest first) by the limits and forbidden thresholds of a profile; at best Insufficient data."""
    low = [_as_reading(day, day.min_c) for day in days if day.min_c is not None]
    high = [_as_reading(day, day.max_c) for day in days if day.max_c is not None]
    if not low or not high:
        raise ValueError("summaries without a minimum and a maximum cannot be judged")
    judged = [
        judge_recording(readings, narrowed, uncertainty_c=uncertainty_c, calibrated=calibrated, approved=approved)
        for readings, narrowed in ((low, _narrowed(profile, hot=True)), (high, _narrowed(profile, hot=False)))
    ]
    reasons = [Reason("summaries_only", Verdict.INSUFFICIENT_DATA, {"days": len(days)})]
    for reason in (reason for judgement in judged for reason in judgement.reasons):
        if reason not in reasons and reason.parameters.get("certainty", "proven") == "proven":
            reasons.append(reason)
    reasons = [reason for reason in reasons if reason.code not in {"unmonitored", "no_readings"}]
    return replace(
        judged[0],
        verdict=worst([reason.verdict for reason in reasons]),
        reasons=tuple(sorted(reasons, key=lambda reason: -reason.verdict.rank)),
        breaches=tuple(breach for judgement in judged for breach in judgement.breaches),
        excursions=tuple(excursion for judgement in judged for excursion in judgement.excursions),
        cumulative_minutes={
            rule.name: judgement.cumulative_minutes[rule.name]
            for judgement, rules in zip(judged, (_hot(profile), _cold(profile)), strict=True)
            for rule in rules
        },
        lives=(),
        figures=_figures(days),
    )


def _as_reading(day: DaySummary, temperature_c: float) -> Reading:
    return Reading(
        day.begins_ms, temperature_c, (day.ends_ms - day.begins_ms) // 1000, Source.MEMORY, clock_trusted=True
    )


def _hot(profile: Profile) -> list[Limit | Forbidden]:
    rules: tuple[Limit | Forbidden, ...] = (*profile.limits, *profile.forbidden)
    return [rule for rule in rules if rule.above_c is not None]


def _cold(profile: Profile) -> list[Limit | Forbidden]:
    rules: tuple[Limit | Forbidden, ...] = (*profile.limits, *profile.forbidden)
    return [rule for rule in rules if rule.below_c is not None]


def _narrowed(profile: Profile, *, hot: bool) -> Profile:
    """Return the profile with the rules of one side only; a missing day is a gap, not a bridge."""
    kept = _hot(profile) if hot else _cold(profile)
    return profile.model_copy(
        update={
            "bands": (),
            "lives": (),
            "limits": tuple(rule for rule in kept if isinstance(rule, Limit)),
            "forbidden": tuple(rule for rule in kept if isinstance(rule, Forbidden)),
            "gap": profile.gap.model_copy(update={"factor": 1.0}),
        }
    )


def _figures(days: Sequence[DaySummary]) -> Figures:
    """Return what the device summed up: its extremes, and its daily means weighted by the length of the day."""
    weighted = [(day.ends_ms - day.begins_ms, day.mean_c) for day in days if day.mean_c is not None]
    weight = sum(duration_ms for duration_ms, _ in weighted)
    total_ms = sum(day.ends_ms - day.begins_ms for day in days)
    silent_ms = sum(_silent_ms(day) for day in days)
    return Figures(
        readings=0,
        min_c=min((day.min_c for day in days if day.min_c is not None), default=None),
        max_c=max((day.max_c for day in days if day.max_c is not None), default=None),
        mean_c=sum(duration_ms * mean_c for duration_ms, mean_c in weighted) / weight if weight else None,
        mkt_c=None,
        monitored_fraction=max(0.0, 1 - silent_ms / total_ms) if total_ms else 0.0,
        unmonitored_ms=silent_ms,
        backfilled=0,
        untrusted=0,
    )


def _silent_ms(day: DaySummary) -> int:
    """Return how long no sensor that counts answered: the external one where there is one."""
    minutes = {timeout.sensor: timeout.minutes for timeout in day.timeouts}
    return minutes.get("external", minutes.get("internal", 0)) * _MINUTE_MS
