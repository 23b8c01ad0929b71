from __future__ import annotations

import re
from datetime import UTC
from pathlib import Path

import pytest

from gateway.cli.reasons import _SENTENCES, sentence
from gateway.core.verdicts import Reason, Verdict

CORE = Path(__file__).parents[2] / "gateway"
CODE = re.compile(r'(?:Reason|_life_reason)\(\s*"([a-z_]+)"')


def test_every_code_has_a_sentence() -> None:
    sources = [*(CORE / "core").glob("*.py"), *(CORE / "importers").glob("*.py")]
    codes = {code for path in sources for code in CODE.findall(path.read_text(encoding="utf-8"))}
    assert len(codes) > 15
    assert codes <= set(_SENTENCES)


@pytest.mark.parametrize(
    ("reason", "expected"),
    [
        (
            Reason(
                "limit_single",
                Verdict.REVIEW,
                {
                    "side": "above",
                    "limit_c": 8.0,
                    "minutes": 45.0,
                    "allowed_min": 30.0,
                    "certainty": "within_uncertainty",
                },
            ),
            "above 8 °C for 45 min in one stretch, 30 min are allowed (within the uncertainty of the logger)",
        ),
        (
            Reason("life_spent", Verdict.REJECT, {"life": "shelf-life", "spent": 1.25, "certainty": "proven"}),
            "the life 'shelf-life' is spent (125%)",
        ),
        (Reason("life_spent", Verdict.REJECT), "life_spent"),
        (
            Reason("something_new", Verdict.REVIEW, {"minutes": 2.5, "since_at_ms": 0}),
            "something_new: minutes 2.5, since_at_ms 1970-01-01T00:00:00+00:00",
        ),
    ],
)
def test_sentences(reason: Reason, expected: str) -> None:
    assert sentence(reason, UTC) == expected
