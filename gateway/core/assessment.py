"""From an evaluator's state to reasons: what a profile's rules say of one exposure.

Each rule is read in the views of `tracks`: what is proven rejects (or is reviewed, as the rule says); what only the
uncertainty breaks is reviewed; what only a gap breaks is insufficient data. Informational reasons carry Accept.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from gateway.core.configuration import Item
from gateway.core.evaluator import Evaluator, State
from gateway.core.exposure import HOUR_MS, to_ms
from gateway.core.labels import Alternative, Sequential
from gateway.core.lives import Life
from gateway.core.profiles import ClockLife, Evidence, Kind, Profile, Severity
from gateway.core.spent import Spent
from gateway.core.surroundings import surroundings_reasons
from gateway.core.thresholds import Threshold, ThresholdState
from gateway.core.tracks import Track
from gateway.core.verdicts import Breach, BreachKind, Excursion, LifeLeft, Parameter, Reason, Verdict

MINUTE_MS = 60_000
_BY_SEVERITY = {Severity.REJECT: Verdict.REJECT, Severity.REVIEW: Verdict.REVIEW}


@dataclass(frozen=True, slots=True)
class Moment:
    """The moments that a judgement is made at. `through_ms` ends the custody judged; `arrival_ms` is planned."""

    through_ms: int
    arrival_ms: int | None
    is_received: bool

    def is_overtaken(self, expires_at_ms: int) -> bool:
        """Whether the planned arrival, while it is still ahead, comes after an expiry."""
        return self.arrival_ms is not None and not self.is_received and expires_at_ms < self.arrival_ms


@dataclass(frozen=True, slots=True)
class Assessment:
    """What one profile says of one exposure."""

    reasons: list[Reason]
    breaches: list[Breach]
    excursions: list[Excursion]
    cumulative_minutes: dict[str, float]
    lives: list[LifeLeft]


def assess(evaluator: Evaluator, state: State, item: Item | None, moment: Moment) -> Assessment:
    """Read a closed state. Without an item (a bare recording) no event times and no label are asked for."""
    result = Assessment([], [], [], {}, [])
    for rule, rule_state in zip(evaluator.thresholds, state.thresholds, strict=True):
        result.reasons.extend(_threshold_reasons(rule, rule_state))
        result.breaches.extend(_threshold_breaches(rule, rule_state))
        result.excursions.extend(rule.excursions(rule_state))
        result.cumulative_minutes[rule.name] = rule_state.runs[Track.NOMINAL].total_ms / MINUTE_MS
    result.excursions.sort(key=lambda excursion: (excursion.started_at_ms, excursion.rule))
    result.reasons.extend(_outside_reasons(evaluator.profile, state))
    _assess_lives(result, evaluator, state, moment)
    if item is not None:
        _assess_clocks(result, evaluator.profile, item, moment)
        _assess_label(result, evaluator.profile, item, moment)
    result.reasons.extend(_data_reasons(evaluator.profile, state))
    return result


def grade(severity: Severity, *, proven: bool, worst: bool, possible: bool) -> tuple[Verdict, str] | None:
    """Return the verdict of one rule and how certain it is, None if even the possible view keeps it."""
    if proven:
        return _BY_SEVERITY[severity], "proven"
    if worst:
        return Verdict.REVIEW, "within_uncertainty"
    if possible:
        return Verdict.INSUFFICIENT_DATA, "gap"
    return None


def standing_reasons(profile: Profile, *, demonstration: bool) -> Iterator[Reason]:
    """Yield what the profile itself keeps from Accept."""
    if profile.status != "approved" and not demonstration:
        yield Reason("profile_not_approved", Verdict.REVIEW, {"profile": profile.id, "version": profile.version})
    if profile.evidence is Evidence.GENERAL_KNOWLEDGE:
        yield Reason("profile_general_knowledge", Verdict.REVIEW, {"profile": profile.id})


def _threshold_reasons(rule: Threshold, state: ThresholdState) -> Iterator[Reason]:
    runs = state.runs
    allowances = (
        ("limit_single", rule.single_ms, "single_ms"),
        ("limit_cumulative", rule.cumulative_ms, "cumulative_ms"),
    )
    for code, allowed_ms, name in allowances:
        reached = [getattr(run, name) is not None for run in runs]
        graded = grade(
            rule.severity, proven=reached[Track.PROVEN], worst=reached[Track.WORST], possible=reached[Track.POSSIBLE]
        )
        if allowed_ms is None or graded is None:
            continue
        verdict, certainty = graded
        yield Reason(
            "forbidden" if rule.forbidden else code,
            verdict,
            {
                "rule": rule.name,
                "side": "above" if rule.sign > 0 else "below",
                "limit_c": rule.limit_c,
                "allowed_min": allowed_ms / MINUTE_MS,
                "minutes": _longest_ms(rule, state) / MINUTE_MS
                if code == "limit_single"
                else runs[Track.NOMINAL].total_ms / MINUTE_MS,
                "extreme_c": _extreme_c(rule, state),
                "certainty": certainty,
            },
        )
    if rule.warn_at_once and runs[Track.NOMINAL].total_ms:
        yield Reason(
            "limit_touched",
            Verdict.ACCEPT,
            {"rule": rule.name, "limit_c": rule.limit_c, "extreme_c": _extreme_c(rule, state)},
        )


def _longest_ms(rule: Threshold, state: ThresholdState) -> int:
    return max((round(excursion.minutes * MINUTE_MS) for excursion in rule.excursions(state)), default=0)


def _extreme_c(rule: Threshold, state: ThresholdState) -> float | None:
    extremes = [excursion.extreme_c for excursion in rule.excursions(state)]
    return (max if rule.sign > 0 else min)(extremes) if extremes else None


def _threshold_breaches(rule: Threshold, state: ThresholdState) -> Iterator[Breach]:
    excursions = rule.excursions(state)
    for excursion in excursions:
        if excursion.triggered_at_ms is not None:
            yield Breach(
                rule=rule.name,
                kind=BreachKind.FORBIDDEN if rule.forbidden else BreachKind.SINGLE,
                started_at_ms=excursion.started_at_ms,
                triggered_at_ms=excursion.triggered_at_ms,
                ended_at_ms=excursion.ended_at_ms,
                extreme_c=excursion.extreme_c,
                minutes=excursion.minutes,
                proven=excursion.proven,
            )
    nominal = state.runs[Track.NOMINAL]
    if nominal.cumulative_ms is not None:
        yield Breach(
            rule=rule.name,
            kind=BreachKind.CUMULATIVE,
            started_at_ms=min((excursion.started_at_ms for excursion in excursions), default=nominal.cumulative_ms),
            triggered_at_ms=nominal.cumulative_ms,
            ended_at_ms=None if nominal.started_ms is not None else nominal.ended_ms,
            extreme_c=_extreme_c(rule, state),
            minutes=nominal.total_ms / MINUTE_MS,
            proven=state.runs[Track.PROVEN].cumulative_ms is not None,
        )


def _outside_reasons(profile: Profile, state: State) -> Iterator[Reason]:
    if not profile.bands or profile.stability_data_cited:
        return
    exceeded = [outside_ms > profile.outside_tolerance for outside_ms in state.outside]
    graded = grade(
        profile.outside, proven=exceeded[Track.PROVEN], worst=exceeded[Track.WORST], possible=exceeded[Track.POSSIBLE]
    )
    if graded is not None:
        verdict, certainty = graded
        yield Reason(
            "outside_bands",
            verdict,
            {"minutes": state.outside[_seen_by(certainty)] / MINUTE_MS, "certainty": certainty},
        )


def _seen_by(certainty: str) -> Track:
    return {"proven": Track.PROVEN, "within_uncertainty": Track.WORST, "gap": Track.POSSIBLE}[certainty]


def _assess_lives(result: Assessment, evaluator: Evaluator, state: State, moment: Moment) -> None:
    profile = evaluator.profile
    for life, life_state in zip(evaluator.lives, state.lives, strict=True):
        tracks = life_state.tracks
        fractions = _fractions(life, tracks)
        graded = _grade_tracks(Severity.REJECT, [fraction >= 1 for fraction in fractions])
        if graded is not None:
            result.reasons.append(
                _life_reason("life_spent", graded, life.name, {"spent": fractions[_seen_by(graded[1])]})
            )
        elif fractions[Track.NOMINAL] >= profile.warn_at_fraction:
            result.reasons.append(
                Reason("life_warning", Verdict.ACCEPT, {"life": life.name, "spent": fractions[Track.NOMINAL]})
            )
        result.reasons.extend(_label_reasons(life.name, life, tracks))
        spent_at_ms = tracks[Track.NOMINAL].spent_at_ms
        if spent_at_ms is not None:
            begins_ms = evaluator.exposure[0].begins_ms
            result.breaches.append(_life_breach(life.name, begins_ms, spent_at_ms, tracks))
        left = _life_left(evaluator, life, tracks, fractions, state.measured.last_c, moment)
        result.lives.append(left)
        if graded is None and left.expires_at_ms is not None and moment.is_overtaken(left.expires_at_ms):
            result.reasons.append(_ends_before_arrival(life.name, left.expires_at_ms))


def _fractions(life: Life, tracks: Sequence[Spent]) -> list[float]:
    """Return the share spent in each view. What is measured or proven is possible too, whatever step a view is in."""
    fractions = [life.fraction(spent) for spent in tracks]
    fractions[Track.WORST] = max(fractions[: Track.WORST + 1])
    fractions[Track.POSSIBLE] = max(fractions)
    return fractions


def _life_left(
    evaluator: Evaluator,
    life: Life,
    tracks: Sequence[Spent],
    fractions: Sequence[float],
    last_c: float | None,
    moment: Moment,
) -> LifeLeft:
    """What is left is what surely is: silence, gaps and the uncertainty have taken what they may have taken."""
    planned_c = evaluator.profile.planned_storage_c
    left_now_ms = None if last_c is None else life.left_ms(tracks[Track.POSSIBLE], last_c)
    left_planned_ms = None if planned_c is None else life.left_ms(tracks[Track.POSSIBLE], planned_c)
    return LifeLeft(
        name=life.name,
        spent=fractions[Track.NOMINAL],
        spent_possible=fractions[Track.POSSIBLE],
        left_now_h=_hours(left_now_ms),
        left_planned_h=_hours(left_planned_ms),
        expires_at_ms=None if left_now_ms is None else moment.through_ms + round(left_now_ms),
    )


def _ends_before_arrival(life: str, expires_at_ms: int) -> Reason:
    return Reason("life_ends_before_arrival", Verdict.ACCEPT, {"life": life, "expires_at_ms": expires_at_ms})


def _hours(duration_ms: float | None) -> float | None:
    return None if duration_ms is None else duration_ms / HOUR_MS


def _grade_tracks(severity: Severity, reached: Sequence[bool]) -> tuple[Verdict, str] | None:
    return grade(severity, proven=reached[Track.PROVEN], worst=reached[Track.WORST], possible=reached[Track.POSSIBLE])


def _label_reasons(name: str, life: object, tracks: Sequence[Spent]) -> Iterator[Reason]:
    """Yield what a label calls for besides being spent: unstated temperatures, mixing, a way back."""
    unstated = _grade_tracks(Severity.REVIEW, [spent.unstated_ms > 0 for spent in tracks])
    if unstated is not None:
        minutes = tracks[_seen_by(unstated[1])].unstated_ms / MINUTE_MS
        yield _life_reason("life_unstated", unstated, name, {"minutes": minutes})
    if isinstance(life, Alternative) and not life.mixing_approved:
        mixed = _grade_tracks(Severity.REVIEW, [life.is_mixed(spent) for spent in tracks])
        if mixed is not None:
            yield _life_reason("life_mixed", mixed, name, {})
    if isinstance(life, Sequential):
        returned = _grade_tracks(Severity.REVIEW, [spent.returned_ms > 0 for spent in tracks])
        if returned is not None:
            minutes = tracks[_seen_by(returned[1])].returned_ms / MINUTE_MS
            yield _life_reason("life_returned", returned, name, {"minutes": minutes})


def _life_reason(code: str, graded: tuple[Verdict, str], life: str, parameters: dict[str, Parameter]) -> Reason:
    verdict, certainty = graded
    return Reason(code, verdict, {"life": life, **parameters, "certainty": certainty})


def _life_breach(name: str, begins_ms: int, spent_at_ms: int, tracks: Sequence[Spent]) -> Breach:
    return Breach(
        rule=name,
        kind=BreachKind.LIFE,
        started_at_ms=begins_ms,
        triggered_at_ms=spent_at_ms,
        ended_at_ms=None,
        extreme_c=None,
        minutes=(spent_at_ms - begins_ms) / MINUTE_MS,
        proven=tracks[Track.PROVEN].spent_at_ms is not None,
    )


def _assess_clocks(result: Assessment, profile: Profile, item: Item, moment: Moment) -> None:
    for life in profile.lives:
        if not isinstance(life, ClockLife):
            continue
        since = item.time_of(life.since)
        if since is None:
            result.reasons.append(
                Reason("event_time_missing", Verdict.INSUFFICIENT_DATA, {"life": life.name, "event": life.since})
            )
            continue
        begins_ms = to_ms(since)
        _assess_deadline(result, life.name, begins_ms, begins_ms + life.life, moment, profile.warn_at_fraction)


def _assess_deadline(
    result: Assessment, name: str, begins_ms: int, expires_ms: int, moment: Moment, warn_at: float
) -> None:
    """A deadline is passed when it lies before the moment that is judged, not when it is reached."""
    span_ms = max(1, expires_ms - begins_ms)
    spent = (moment.through_ms - begins_ms) / span_ms
    if expires_ms < moment.through_ms:
        result.reasons.append(Reason("deadline_passed", Verdict.REJECT, {"life": name, "expires_at_ms": expires_ms}))
        result.breaches.append(
            Breach(name, BreachKind.DEADLINE, begins_ms, expires_ms, None, None, span_ms / MINUTE_MS)
        )
    else:
        if spent >= warn_at:
            result.reasons.append(Reason("life_warning", Verdict.ACCEPT, {"life": name, "spent": spent}))
        if moment.is_overtaken(expires_ms):
            result.reasons.append(_ends_before_arrival(name, expires_ms))
    left_h = _hours_until(expires_ms, moment)
    result.lives.append(LifeLeft(name, spent, spent, left_h, left_h, expires_ms))


def _hours_until(expires_ms: int, moment: Moment) -> float:
    return max(0.0, (expires_ms - moment.through_ms) / HOUR_MS)


def _assess_label(result: Assessment, profile: Profile, item: Item, moment: Moment) -> None:
    """A medicine needs its label's use_before, which caps every computed life."""
    if item.use_before is None:
        if Kind.MEDICINE in (item.kind, profile.kind):
            result.reasons.append(Reason("use_before_missing", Verdict.INSUFFICIENT_DATA))
        return
    expires_ms = to_ms(item.use_before)
    result.lives[:] = [_capped(left, expires_ms, _hours_until(expires_ms, moment)) for left in result.lives]
    begins = item.prepared_at or item.collected_at
    begins_ms = moment.through_ms if begins is None else to_ms(begins)
    _assess_deadline(result, "use-before", min(begins_ms, expires_ms - 1), expires_ms, moment, warn_at=1.0)


def _capped(left: LifeLeft, expires_ms: int, left_h: float) -> LifeLeft:
    return replace(
        left,
        left_now_h=None if left.left_now_h is None else min(left.left_now_h, left_h),
        left_planned_h=None if left.left_planned_h is None else min(left.left_planned_h, left_h),
        expires_at_ms=None if left.expires_at_ms is None else min(left.expires_at_ms, expires_ms),
    )


def _data_reasons(profile: Profile, state: State) -> Iterator[Reason]:
    measured = state.measured
    carried = measured.silent_ms or measured.unmonitored_ms
    if not measured.monitored_ms and (carried or not measured.declared_ms):
        yield Reason("no_readings", Verdict.INSUFFICIENT_DATA)
    if measured.unmonitored_ms:
        yield Reason(
            "unmonitored",
            Verdict.ACCEPT,
            {"minutes": measured.unmonitored_ms / MINUTE_MS, "gaps": len(state.gaps) + state.gaps_dropped},
        )
    if measured.untrusted:
        yield Reason("clock_untrusted", Verdict.REVIEW, _untrusted(measured.untrusted, measured.untrusted_error_ms))
    if profile.calibration.required and measured.uncalibrated:
        yield Reason("not_calibrated", Verdict.REVIEW, {"readings": measured.uncalibrated})
    yield from surroundings_reasons(profile, state.surroundings, measured.monitored_ms + measured.unmonitored_ms)


def _untrusted(readings: int, error_ms: int) -> dict[str, Parameter]:
    """How many readings, and how wrong their time may be, where that is bounded."""
    return {"readings": readings} | ({"error_min": error_ms / MINUTE_MS} if error_ms else {})
