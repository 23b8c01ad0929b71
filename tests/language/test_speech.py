from __future__ import annotations

import re
from pathlib import Path

import pytest

import gateway
from gateway.core.profiles import Kind
from gateway.core.verdicts import Parameter, Reason, Verdict
from gateway.language import ENGLISH, NORWEGIAN, Speech
from gateway.language.reasons import REASONS, say_reason
from gateway.language.speech import plain
from gateway.language.verdicts import say_meaning, say_verdict


def test_every_reason_that_is_given_has_words() -> None:
    root = Path(gateway.__file__).parent
    text = "\n".join(path.read_text() for room in ("core", "importers") for path in (root / room).glob("*.py"))
    codes = set(re.findall(r"""(?:Reason|_life_reason)\(\s*"([a-z_]+)\"""", text)) | {
        "limit_single",
        "limit_cumulative",
    }
    assert len(codes) > 15
    assert sorted(codes - set(REASONS)) == []


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
            "forbidden",
            {
                "side": "below",
                "limit_c": 8.0,
                "allowed_min": 15.0,
                "minutes": 0.0,
                "extreme_c": None,
            },
            "Below 8 °C for more than 15 min in one stretch.",
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
            "The deadline “to the incubator” passed at 21 Jun 2026 06:00 +02:00.",
        ),
        ("something_new", {"count": 3}, "something_new (count 3)"),
        ("limit_single", {"side": "above"}, "limit_single (side above)"),
    ],
)
def test_reasons_in_words(code: str, parameters: dict[str, Parameter], said: str) -> None:
    assert plain(say_reason(Reason(code, Verdict.REVIEW, parameters), ENGLISH)) == said


@pytest.mark.parametrize("speech", [ENGLISH, NORWEGIAN])
def test_every_verdict_has_a_word_and_a_meaning(speech: Speech) -> None:
    assert len({say_verdict(verdict, speech) for verdict in (*Verdict, None)}) == len(Verdict) + 1
    assert len({say_meaning(verdict, speech) for verdict in Verdict}) == len(Verdict)


def test_a_rejected_medicine_is_blocked_in_norwegian() -> None:
    assert say_verdict(Verdict.REJECT, NORWEGIAN, Kind.SAMPLE) == "Avvises"
    assert say_verdict(Verdict.REJECT, NORWEGIAN, Kind.MEDICINE) == "Sperret"
    assert say_verdict(Verdict.REJECT, ENGLISH, Kind.MEDICINE) == "Reject"


def test_norwegian_numbers_and_moments() -> None:
    assert plain(NORWEGIAN.celsius(-0.46)) == "−0,5 °C"
    assert plain(NORWEGIAN.celsius(-0.01)) == "0,0 °C"
    assert plain(NORWEGIAN.threshold(-0.5)) == "−0,5 °C"
    assert plain(NORWEGIAN.percent(0.9999)) == "99,9 %"
    assert plain(NORWEGIAN.duration(4440)) == "3 d 2 t"
    assert NORWEGIAN.moment(1_792_888_200_000) == "25. okt. 2026 02:30 +02:00"
    assert NORWEGIAN.listed(["a", "b", "c"]) == "a, b og c"
    assert ENGLISH.listed(["a"]) == "a"


def test_a_line_never_ends_between_a_number_and_its_unit() -> None:
    said = [ENGLISH.celsius(9.64), ENGLISH.threshold(8), ENGLISH.percent(0.5), ENGLISH.duration(260)]
    assert [text.split(" ") for text in said] == [
        ["9.6\u00a0°C"],
        ["8\u00a0°C"],
        ["50\u00a0%"],
        ["4\u00a0h", "20\u00a0min"],
    ]


def test_a_reason_in_norwegian() -> None:
    parameters = {"side": "above", "limit_c": 8.5, "allowed_min": 30.0, "minutes": 61.0, "extreme_c": 14.2}
    reason = Reason("limit_single", Verdict.REVIEW, {**parameters, "certainty": "within_uncertainty"})
    assert plain(say_reason(reason, NORWEGIAN)) == (
        "Over 8,5 °C i 1 t 1 min sammenhengende; 30 min er tillatt. Ytterpunkt 14,2 °C."
        " Forskjellen ligger innenfor måleusikkerheten."
    )


@pytest.mark.parametrize(
    ("minutes", "said"),
    [(0, "0 min"), (0.5, "30 s"), (35, "35 min"), (60, "1 h"), (260, "4 h 20 min"), (1560, "26 h"), (4440, "3 d 2 h")],
)
def test_durations(minutes: float, said: str) -> None:
    assert plain(ENGLISH.duration(minutes)) == said


@pytest.mark.parametrize(
    ("fraction", "said"),
    [(1, "100 %"), (0.9999, "99.9 %"), (0.5, "50 %"), (0.0001, "0.1 %"), (0, "0 %"), (1.2, "120 %")],
)
def test_percentages_never_round_to_all_or_nothing(fraction: float, said: str) -> None:
    assert plain(ENGLISH.percent(fraction)) == said


def test_moments_carry_their_offset_through_the_autumn_night() -> None:
    first, second = 1_792_888_200_000, 1_792_888_200_000 + 3_600_000
    assert ENGLISH.moment(first) == "25 Oct 2026 02:30 +02:00"
    assert ENGLISH.moment(second) == "25 Oct 2026 02:30 +01:00"
