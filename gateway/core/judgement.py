"""Judgement: the verdict on each examination of each item of a consignment, from what loggers observed.

The same judge runs on the vehicle (early warning) and at the hub (authoritative). Given the same observations it says
the same, in whatever order, repetition or portions they come: in order it folds on; a late one makes it fold again.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from gateway.core.assessment import Assessment, Moment, assess, standing_reasons
from gateway.core.assignments import Tenure, tenures_of
from gateway.core.configuration import Configuration, Consignment, Examination, Item
from gateway.core.evaluator import Evaluator, State
from gateway.core.exposure import Stretch, clip_exposure, exposure_of, to_ms
from gateway.core.figures import CalibrationSpan
from gateway.core.folds import Fold, Folds
from gateway.core.lanes import lane_choices
from gateway.core.observations import Observation
from gateway.core.profiles import Profile
from gateway.core.readings import Reading
from gateway.core.verdicts import Figures, Judgement, Reason, Verdict, worst

_NOTHING = Figures(0, None, None, None, None, 0.0, 0, 0, 0)


def judge_consignment(
    consignment: Consignment, configuration: Configuration, observations: Iterable[Observation], now_ms: int
) -> tuple[Judgement, ...]:
    """Judge at once. Observations of other loggers, or outside the exposure, do not matter."""
    judge = ConsignmentJudge(consignment, configuration)
    judge.add(observations)
    return judge.judgements(now_ms)


def judge_recording(
    readings: Sequence[Reading],
    profile: Profile,
    *,
    uncertainty_c: float,
    calibrated: bool,
    approved: bool = False,
    begins_ms: int | None = None,
    ends_ms: int | None = None,
) -> Judgement:
    """Judge a logger's file by itself, from its first reading to the end of its last one's interval.

    `uncertainty_c` is u; `calibrated` and `approved` say whether someone vouches for the logger and the profile.
    `begins_ms` and `ends_ms` widen the time judged where the logger ran without a value: it was not monitored then.
    """
    if not readings:
        raise ValueError("a recording without readings cannot be judged")
    begin_ms = min(readings[0].at_ms, readings[0].at_ms if begins_ms is None else begins_ms)
    end_ms = max(readings[-1].at_ms + readings[-1].interval_s * 1000, ends_ms or 0)
    exposure = (Stretch(begin_ms, end_ms, "recording"),)
    always = CalibrationSpan(begin_ms, end_ms) if calibrated else CalibrationSpan(None, None)
    evaluator = Evaluator(
        profile, exposure, uncertainty_by_box_c={"recording": uncertainty_c}, calibration_by_box={"recording": always}
    )
    state = evaluator.begin()
    evaluator.push(state, "recording", readings)
    closed = evaluator.close(state, end_ms)
    assessment = assess(evaluator, closed, None, Moment(end_ms, None, is_received=True))
    reasons = [*assessment.reasons, *standing_reasons(profile, demonstration=approved)]
    return _judgement(("", "", profile.examination), profile, assessment, reasons, evaluator, closed, end_ms)


class ConsignmentJudge:
    """Judges one consignment as its observations come in."""

    def __init__(self, consignment: Consignment, configuration: Configuration) -> None:
        profiles = {profile.id: profile for profile in configuration.profiles}
        tenures: dict[str, list[Tenure]] = {}
        for logger in configuration.loggers:
            for tenure in tenures_of(logger):
                tenures.setdefault(tenure.box, []).append(tenure)
        self._folds = Folds()
        self._cases = [
            _Case(
                consignment,
                item,
                examination,
                profiles,
                tenures,
                self._folds,
                demonstration=configuration.demonstration,
            )
            for item in consignment.items
            for examination in item.examinations
        ]

    def add(self, observations: Iterable[Observation]) -> None:
        """Take observations: any order, any number of times."""
        self._folds.add(observations)

    def judgements(self, now_ms: int) -> tuple[Judgement, ...]:
        """Say how things stand at `now_ms`."""
        self._folds.update()
        return tuple(case.judgement(now_ms) for case in self._cases)

    def keep(self) -> bytes:
        """Return what is needed to go on from here, in another process, with what comes after."""
        return self._folds.keep()

    def resume(self, kept: bytes) -> None:
        """Go on from what a judge of the same documents kept, before anything is added.

        Raises ForgottenError if that is of anything else; `add` and `judgements` raise it when something late comes,
        for which all observations are needed: then begin with a new judge.
        """
        self._folds.resume(kept)


class _Case:
    """One examination of one item."""

    def __init__(
        self,
        consignment: Consignment,
        item: Item,
        examination: Examination,
        profiles: dict[str, Profile],
        tenures: dict[str, list[Tenure]],
        folds: Folds,
        *,
        demonstration: bool,
    ) -> None:
        self._consignment, self._item, self._examination = consignment, item, examination
        self._demonstration = demonstration
        self.exposure = exposure_of(consignment, item)
        self._unknown = [name for name in _profile_names(examination) if name not in profiles]
        self._all = folds
        self._folds = [
            folds.fold(profiles[name], stage, choice)
            for name, stage in _stages(examination, self.exposure)
            if name in profiles and stage
            for choice in lane_choices(stage, tenures)
        ]

    def judgement(self, now_ms: int) -> Judgement:
        """Close a copy of each fold at `now_ms` and let the worst win."""
        through_ms = self._through_ms(now_ms)
        received = self._consignment.received_at is not None
        arrival = self._consignment.planned_arrival
        moment = Moment(through_ms, None if arrival is None else to_ms(arrival), is_received=received)
        judgements = [self._judge(fold, moment) for fold in self._folds]
        if not judgements:
            return self._without_folds(through_ms)
        return _combine(judgements)

    def _through_ms(self, now_ms: int) -> int:
        ends = [now_ms]
        if self._consignment.received_at is not None:
            ends.append(to_ms(self._consignment.received_at))
        if self.exposure and self.exposure[-1].ends_ms is not None:
            ends.append(self.exposure[-1].ends_ms)
        return min(ends)

    def _judge(self, fold: Fold, moment: Moment) -> Judgement:
        profile = fold.evaluator.profile
        staged = _moment_of(fold.evaluator.exposure, moment)
        closed = fold.close(staged.through_ms)
        assessment = assess(fold.evaluator, closed, self._item, staged)
        reasons = [*assessment.reasons, *standing_reasons(profile, demonstration=self._demonstration)]
        conflicts = sum(
            tenure.covers(at_ms) and _lies_in(fold.evaluator.exposure, tenure.box, at_ms)
            for tenure in fold.lane
            for at_ms in self._all.conflicts(tenure)
        )
        if conflicts:
            reasons.append(Reason("conflicting_readings", Verdict.REVIEW, {"count": conflicts}))
        if self._consignment.registered_late:
            reasons.append(Reason("registered_late", Verdict.ACCEPT))
        names = (self._consignment.code, self._item.code, self._examination.code)
        urgent = self._is_urgent(moment)
        judged = _judgement(
            names, profile, assessment, reasons, fold.evaluator, closed, moment.through_ms, urgent=urgent
        )
        return _spare_irreplaceable(judged) if self._item.irreplaceable or profile.irreplaceable else judged

    def _is_urgent(self, moment: Moment) -> bool:
        latest = self._item.latest_arrival
        if latest is None:
            return False
        due_ms = to_ms(latest)
        predicted_ms = moment.through_ms if moment.is_received else max(moment.through_ms, moment.arrival_ms or 0)
        return predicted_ms > due_ms

    def _without_folds(self, through_ms: int) -> Judgement:
        reason = (
            Reason("profile_unknown", Verdict.INSUFFICIENT_DATA, {"profile": self._unknown[0]})
            if self._unknown
            else Reason("no_exposure", Verdict.INSUFFICIENT_DATA)
        )
        judged = Judgement(
            consignment=self._consignment.code,
            item=self._item.code,
            examination=self._examination.code,
            profile=self._examination.profile,
            profile_version=0,
            verdict=Verdict.INSUFFICIENT_DATA,
            reasons=(reason,),
            breaches=(),
            excursions=(),
            cumulative_minutes={},
            gaps=(),
            lives=(),
            figures=_NOTHING,
            urgent=False,
            through_ms=through_ms,
        )
        return _spare_irreplaceable(judged) if self._item.irreplaceable else judged


def _moment_of(stage: Sequence[Stretch], moment: Moment) -> Moment:
    """The moment at which a stage is judged: one that is over, at its end; what comes after is another profile's."""
    end_ms = stage[-1].ends_ms
    if end_ms is None or end_ms >= moment.through_ms:
        return moment
    return Moment(end_ms, None, is_received=True)


def _lies_in(stage: Iterable[Stretch], box: str, at_ms: int) -> bool:
    return any(
        stretch.box == box and stretch.begins_ms <= at_ms and (stretch.ends_ms is None or at_ms < stretch.ends_ms)
        for stretch in stage
    )


def _profile_names(examination: Examination) -> list[str]:
    return [examination.profile, *(switch.profile for switch in examination.switches)]


def _stages(examination: Examination, exposure: tuple[Stretch, ...]) -> list[tuple[str, tuple[Stretch, ...]]]:
    """Return each profile with the part of the exposure that it judges."""
    switches = sorted(examination.switches, key=lambda switch: switch.at)
    begins: list[int | None] = [None, *(to_ms(switch.at) for switch in switches)]
    names = [examination.profile, *(switch.profile for switch in switches)]
    return [
        (name, clip_exposure(exposure, begin, end))
        for name, begin, end in zip(names, begins, [*begins[1:], None], strict=True)
    ]


def _judgement(
    names: tuple[str, str, str],
    profile: Profile,
    assessment: Assessment,
    reasons: list[Reason],
    evaluator: Evaluator,
    closed: State,
    through_ms: int,
    *,
    urgent: bool = False,
) -> Judgement:
    consignment, item, examination = names
    ordered = sorted(reasons, key=lambda reason: -reason.verdict.rank)
    return Judgement(
        consignment=consignment,
        item=item,
        examination=examination,
        profile=profile.id,
        profile_version=profile.version,
        verdict=worst([reason.verdict for reason in ordered]),
        reasons=tuple(ordered),
        breaches=tuple(sorted(assessment.breaches, key=lambda breach: (breach.triggered_at_ms, breach.rule))),
        excursions=tuple(assessment.excursions),
        cumulative_minutes=assessment.cumulative_minutes,
        gaps=evaluator.gaps(closed),
        lives=tuple(assessment.lives),
        figures=evaluator.figures(closed),
        urgent=urgent,
        through_ms=through_ms,
    )


def _spare_irreplaceable(judgement: Judgement) -> Judgement:
    """What cannot be taken again is Review at worst: do not discard, call the requester."""
    if judgement.verdict.rank <= Verdict.REVIEW.rank:
        return judgement
    reason = Reason("irreplaceable", Verdict.REVIEW, {"otherwise": judgement.verdict})
    return replace(judgement, verdict=Verdict.REVIEW, reasons=(reason, *judgement.reasons))


def _combine(judgements: Sequence[Judgement]) -> Judgement:
    """Join the stages and choices of one examination: everything is kept, the worst verdict wins."""
    if len(judgements) == 1:
        return judgements[0]
    leading = max(judgements, key=lambda judgement: judgement.verdict.rank)
    return replace(
        leading,
        reasons=_joined_reasons([leading, *judgements]),
        breaches=tuple(dict.fromkeys(breach for judged in judgements for breach in judged.breaches)),
        excursions=tuple(dict.fromkeys(excursion for judged in judgements for excursion in judged.excursions)),
        gaps=tuple(dict.fromkeys(gap for judged in judgements for gap in judged.gaps)),
        lives=tuple(life for judged in judgements for life in judged.lives),
    )


def _joined_reasons(judgements: Sequence[Judgement]) -> tuple[Reason, ...]:
    joined: list[Reason] = []
    for judged in judgements:
        joined.extend(reason for reason in judged.reasons if reason not in joined)
    return tuple(sorted(joined, key=lambda reason: -reason.verdict.rank))
