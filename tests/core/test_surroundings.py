"""Limits on light and shock: what was measured beyond them, and what nobody measured."""

from __future__ import annotations

import pytest

from gateway.core.contents import Content, decode_content, encode_content
from gateway.core.evaluator import Evaluator
from gateway.core.exposure import Stretch
from gateway.core.judgement import judge_recording
from gateway.core.observations import Observation, Source
from gateway.core.profiles import Profile
from gateway.core.readings import Reading, merge_observations
from gateway.core.verdicts import Judgement, Verdict
from gateway.language import ENGLISH, NORWEGIAN
from gateway.language.reasons import say_reason

MINUTE = 60_000


def profile(**limits: object) -> Profile:
    fields = {"id": "p", "title": "t", "kind": "storage", "owner": "o", "source": "s", "evidence": "verified"}
    limited = {"limits": [{"name": "warm", "above_c": 25, "single": "1 h"}], **limits}
    return Profile.model_validate(fields | limited)


def judge(judged_by: Profile, *values: tuple[int | None, float | None]) -> Judgement:
    readings = [
        Reading(minute * MINUTE, 20.0, 60, Source.LIVE, clock_trusted=True, light_lux=light, shock_g=shock)
        for minute, (light, shock) in enumerate(values)
    ]
    return judge_recording(readings, judged_by, uncertainty_c=0.2, calibrated=True, approved=True)


def codes(judgement: Judgement) -> list[str]:
    return [reason.code for reason in judgement.reasons]


def test_nothing_is_asked_where_nothing_is_limited() -> None:
    assert judge(profile(), (None, None), (900, 5.0)).verdict is Verdict.ACCEPT


def test_light_within_what_is_allowed_is_accepted() -> None:
    limited = profile(light_lux={"above": 100, "cumulative": "2 min"})
    assert judge(limited, (100, None), (101, None), (0, None)).verdict is Verdict.ACCEPT


def test_light_beyond_what_is_allowed_is_reviewed_or_rejected_as_the_profile_says() -> None:
    lit = ((101, None), (500, None), (0, None))
    assert judge(profile(light_lux={"above": 100, "cumulative": "2 min"}), *lit).verdict is Verdict.REVIEW
    strict = judge(profile(light_lux={"above": 100, "cumulative": "2 min", "severity": "reject"}), *lit)
    assert strict.verdict is Verdict.REJECT
    assert strict.reasons[0].parameters["minutes"] == 2
    assert strict.reasons[0].parameters["largest_lux"] == 500


def test_the_last_word_before_loading_holds_until_the_next() -> None:
    """The logger speaks at 0 and at 1 min; the item comes into its box half a minute before."""
    limited = profile(light_lux={"above": 100, "cumulative": "2 min"})
    exposure = (Stretch(MINUTE // 2, 2 * MINUTE, "B"),)
    evaluator = Evaluator(limited, exposure, uncertainty_by_box_c={}, calibration_by_box={})
    state = evaluator.begin()
    readings = [Reading(m * MINUTE, 20.0, 60, Source.LIVE, clock_trusted=True, light_lux=0) for m in range(3)]
    evaluator.push(state, "B", readings)
    assert state.surroundings.light.seen_ms == 90_000


def test_one_shock_counts_at_once() -> None:
    judged = judge(profile(shock_g={"above": 3}), (None, 0.5), (None, 3.1), (None, 0.2))
    assert codes(judged) == ["shock_exceeded"]
    assert judged.reasons[0].parameters["times"] == 1


def test_what_is_limited_and_not_measured_is_never_accepted() -> None:
    limited = profile(light_lux={"above": 100})
    assert codes(judge(limited, (None, None), (None, None))) == ["light_not_measured"]
    partly = judge(limited, (5, None), (None, None), (5, None))
    assert codes(partly) == ["light_not_measured"]
    assert partly.reasons[0].parameters["minutes"] == 1


@pytest.mark.parametrize("values", [((900, 9.0),), ((None, None),)])
def test_every_reason_has_words(values: tuple[tuple[int | None, float | None], ...]) -> None:
    judged = judge(profile(light_lux={"above": 100}, shock_g={"above": 3}), *values)
    for reason in judged.reasons:
        assert reason.code not in say_reason(reason, ENGLISH)
        assert say_reason(reason, ENGLISH) != say_reason(reason, NORWEGIAN)


def test_light_and_shock_travel_in_the_record() -> None:
    observed = Observation("L", Source.LIVE, 0, True, 0, 30, 5000, counter=1, light_lux=120, shock_mg=2500)
    without = Observation("L", Source.LIVE, 30_000, True, 30_000, 30, 5000, counter=2)
    content = Content((observed, without))
    assert decode_content(encode_content(content)) == content
    reading = merge_observations([observed]).readings[0]
    assert (reading.light_lux, reading.shock_g) == (120, 2.5)
