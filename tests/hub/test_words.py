from __future__ import annotations

import re
from pathlib import Path

import pytest

import gateway.core
from gateway.core.verdicts import Reason, Verdict
from gateway.hub.web import figures, words


def test_every_reason_that_the_core_gives_has_words() -> None:
    root = Path(gateway.core.__file__).parent
    text = "\n".join(path.read_text() for path in root.glob("*.py"))
    codes = set(re.findall(r"""(?:Reason|_life_reason)\(\s*"([a-z_]+)\"""", text)) | {
        "limit_single",
        "limit_cumulative",
    }
    assert len(codes) > 15
    assert sorted(codes - set(words.REASONS)) == []


@pytest.mark.parametrize(
    ("code", "parameters", "said"),
    [
        (
            "limit_single",
            {
                "rule": "warm",
                "side": "above",
                "limit_c": 8.0,
                "allowed_min": 30.0,
                "minutes": 60.6,
                "extreme_c": 14.21,
                "certainty": "proven",
            },
            "Above 8 °C for 1 h 1 min in one stretch; 30 min are allowed. Extreme 14.2 °C.",
        ),
        (
            "forbidden",
            {"side": "below", "limit_c": -0.5, "allowed_min": 0.0, "minutes": 3.0, "extreme_c": -1.0},
            "Below −0.5 °C, which must never happen. Extreme −1.0 °C.",
        ),
        (
            "life_spent",
            {"life": "shelf-life", "spent": 1.353, "certainty": "within_uncertainty"},
            "Shelf life is used up (135 %). The difference lies within the measurement uncertainty.",
        ),
        ("unmonitored", {"minutes": 25.0, "gaps": 1}, "Not monitored for 25 min, in 1 gap."),
        (
            "deadline_passed",
            {"life": "to-incubator", "expires_at_ms": 1_782_014_400_000},
            "The deadline “to-incubator” passed at 21 Jun 2026 06:00 +02:00.",
        ),
        ("something_new", {"count": 3}, "something_new (count 3)"),
        ("limit_single", {"side": "above"}, "limit_single (side above)"),
    ],
)
def test_reasons_in_words(code: str, parameters: dict[str, str | int | float], said: str) -> None:
    assert words.say_reason(Reason(code, Verdict.REVIEW, parameters)) == said


def test_every_verdict_has_a_word_and_a_meaning() -> None:
    assert set(words.VERDICTS) == set(words.MEANINGS) == set(Verdict)


@pytest.mark.parametrize(
    ("minutes", "said"),
    [(0, "0 min"), (0.5, "30 s"), (35, "35 min"), (60, "1 h"), (260, "4 h 20 min"), (1560, "26 h"), (4440, "3 d 2 h")],
)
def test_durations(minutes: float, said: str) -> None:
    assert figures.duration(minutes) == said


@pytest.mark.parametrize(
    ("fraction", "said"),
    [(1, "100 %"), (0.9999, "99.9 %"), (0.5, "50 %"), (0.0001, "0.1 %"), (0, "0 %"), (1.2, "120 %")],
)
def test_percentages_never_round_to_all_or_nothing(fraction: float, said: str) -> None:
    assert figures.percent(fraction) == said


def test_moments_carry_their_offset_through_the_autumn_night() -> None:
    first, second = 1_792_888_200_000, 1_792_888_200_000 + 3_600_000
    assert figures.moment(first) == "25 Oct 2026 02:30 +02:00"
    assert figures.moment(second) == "25 Oct 2026 02:30 +01:00"
