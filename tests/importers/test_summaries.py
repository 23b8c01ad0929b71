from __future__ import annotations

from datetime import date

import pytest

from gateway.core.profiles import Evidence, Kind, Limit, Profile
from gateway.core.verdicts import Verdict
from gateway.importers.recording import DaySummary
from gateway.importers.summaries import judge_summaries

DAY_MS = 86_400_000
PROFILE = Profile(
    id="tested",
    title="Tested",
    kind=Kind.STORAGE,
    owner="tests",
    source="tests",
    evidence=Evidence.PROPOSAL,
    limits=(
        Limit.model_validate({"name": "high", "above_c": 8, "single": "30 h"}),
        Limit.model_validate({"name": "low", "below_c": 2, "cumulative": "40 h"}),
    ),
)


def day(number: int, min_c: float, max_c: float) -> DaySummary:
    begins_ms = number * DAY_MS
    mean_c = (min_c + max_c) / 2
    return DaySummary(
        date.fromordinal(1 + number), begins_ms, begins_ms + DAY_MS, min_c, None, max_c, None, mean_c, (), (), 0, ()
    )


def verdict(*days: DaySummary, uncertainty_c: float = 0.0) -> Verdict:
    return judge_summaries(days, PROFILE, uncertainty_c=uncertainty_c, calibrated=True, approved=True).verdict


def test_summaries_never_accept() -> None:
    assert verdict(day(0, 4, 6), day(1, 4, 6)) is Verdict.INSUFFICIENT_DATA


def test_days_that_were_beyond_all_day_reject() -> None:
    assert verdict(day(0, 8.1, 9), day(1, 8.1, 9)) is Verdict.REJECT
    assert verdict(day(0, 0, 1.9), day(1, 4, 5), day(2, 0, 1.9)) is Verdict.REJECT


def test_days_that_were_partly_beyond_prove_nothing() -> None:
    assert verdict(day(0, 7.9, 30), day(1, 7.9, 30)) is Verdict.INSUFFICIENT_DATA


def test_the_uncertainty_is_in_the_items_favour() -> None:
    assert verdict(day(0, 8.1, 9), day(1, 8.1, 9), uncertainty_c=0.5) is Verdict.INSUFFICIENT_DATA


def test_a_missing_day_is_no_bridge() -> None:
    assert verdict(day(0, 8.1, 9), day(2, 8.1, 9)) is Verdict.INSUFFICIENT_DATA


def test_figures_are_the_devices_own() -> None:
    judgement = judge_summaries([day(0, 4, 6), day(1, 6, 10)], PROFILE, uncertainty_c=0, calibrated=True, approved=True)
    assert (judgement.figures.min_c, judgement.figures.max_c, judgement.figures.mean_c) == (4, 10, 6.5)
    with pytest.raises(ValueError, match="cannot be judged"):
        judge_summaries([], PROFILE, uncertainty_c=0, calibrated=True)
