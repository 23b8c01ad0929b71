"""A label's storage condition spends no life: "unopened at 2–8 °C, 6 h out of the refrigerator"."""

from __future__ import annotations

import pytest

from gateway import profiles
from gateway.core.judgement import judge_recording
from gateway.core.observations import Source
from gateway.core.readings import Reading
from gateway.core.verdicts import Judgement, Verdict

MINUTE_MS = 60_000


def judged(*hours_at: tuple[float, float], uncertainty_c: float = 0.0, name: str = "trastuzumab-sc") -> Judgement:
    """Judge (hours, °C) stretches, one reading in five minutes."""
    readings: list[Reading] = []
    for hours, temperature_c in hours_at:
        for _ in range(round(hours * 12)):
            readings.append(
                Reading(len(readings) * 5 * MINUTE_MS, temperature_c, 300, Source.MEMORY, clock_trusted=True)
            )
    return judge_recording(readings, profiles.load(name), uncertainty_c=uncertainty_c, calibrated=True, approved=True)


def test_days_in_the_refrigerator_spend_nothing() -> None:
    judgement = judged((72, 5.0), (5, 21.0), (24, 4.0))
    assert judgement.verdict is Verdict.ACCEPT
    assert judgement.lives[0].spent == pytest.approx(5 / 6)


def test_six_hours_outside_in_all_are_the_end() -> None:
    judgement = judged((10, 5.0), (4, 21.0), (10, 5.0), (2.5, 15.0))
    assert judgement.verdict is Verdict.REJECT
    assert "life_spent" in [reason.code for reason in judgement.reasons]


def test_at_the_edge_only_the_worst_view_spends() -> None:
    judgement = judged((7, 7.8), uncertainty_c=0.5)
    assert judgement.verdict is Verdict.REVIEW
    assert [reason.parameters["certainty"] for reason in judgement.reasons if reason.code == "life_spent"] == [
        "within_uncertainty"
    ]


def test_neither_band_is_still_unknown() -> None:
    judgement = judged((2, 5.0), (1, 32.0))
    assert {"outside_bands", "life_unstated"} <= {reason.code for reason in judgement.reasons}


def test_paclitaxel_states_no_life_that_covers_everything() -> None:
    """None of its two lives speaks of the other's band, so there is always something unknown."""
    for temperature_c in (5.0, 20.0):
        judgement = judged((1, temperature_c), name="paclitaxel-diluted")
        assert judgement.verdict is Verdict.REVIEW
        assert "life_unstated" in [reason.code for reason in judgement.reasons]


def test_the_miner_vector() -> None:
    """10 h at 5 °C and 1.5 h at 18 °C of 24 h in 2–8 and 6 h above: D = 2/3, 8 h cold or 2 h warm are left."""
    judgement = judged((10, 5.0), (1.5, 18.0), name="oxaliplatin-glucose")
    assert judgement.lives[0].spent == pytest.approx(2 / 3)
    assert judgement.lives[0].left_now_h == pytest.approx(2)
    assert judgement.lives[0].left_planned_h == pytest.approx(8)
    assert judgement.verdict is Verdict.REVIEW  # mixed bands, and mixing is not approved
