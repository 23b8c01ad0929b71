"""Durations as people write them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel

from gateway.core.quantities import Duration, format_duration, parse_duration
from tests.core.specimens import examples


class Timed(BaseModel):
    lasts: Duration


@pytest.mark.parametrize(
    ("text", "ms"),
    [
        ("0 s", 0),
        ("90 s", 90_000),
        ("30 min", 1_800_000),
        ("4 h", 14_400_000),
        ("7 d", 604_800_000),
        ("1.5 h", 5_400_000),
        ("0.25 s", 250),
        (" 30min ", 1_800_000),
        ("30  min", 1_800_000),
    ],
)
def test_a_number_and_its_unit(text: str, ms: int) -> None:
    assert parse_duration(text) == ms


@pytest.mark.parametrize("number", [30, 1.5, 0])
def test_a_bare_number_is_refused_with_the_way_out(number: float) -> None:
    with pytest.raises(ValueError, match=f"needs a unit: write '{number:g} min'"):
        parse_duration(number)


@pytest.mark.parametrize(
    "value",
    [
        "",
        "30",
        "min",
        "30 m",
        "30 minutes",
        "-4 h",
        "4 h 30 min",
        "1e3 s",
        "inf h",
        "nan h",
        "\uff13\uff10 min",
        None,
        True,
        [],
        {},
    ],
)
def test_anything_else_is_refused_with_examples(value: object) -> None:
    with pytest.raises(ValueError, match="is not a duration such as '30 min'"):
        parse_duration(value)


@pytest.mark.parametrize("text", ["36525.1 d", "9" * 400 + " h"])
def test_a_duration_beyond_a_century_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="a hundred years"):
        parse_duration(text)


@pytest.mark.parametrize(
    ("ms", "text"),
    [
        (0, "0 s"),
        (1_000, "1 s"),
        (90_000, "90 s"),
        (1_000_001, "1000.001 s"),
        (1_800_000, "30 min"),
        (14_400_000, "4 h"),
        (86_400_000, "1 d"),
    ],
)
def test_the_shortest_exact_text(ms: int, text: str) -> None:
    assert format_duration(ms) == text


@examples
@given(st.integers(0, 36525 * 86_400_000))
def test_what_is_written_reads_back(ms: int) -> None:
    assert parse_duration(format_duration(ms)) == ms


def test_in_a_model_and_its_json() -> None:
    timed = Timed.model_validate({"lasts": "36 h"})
    assert timed.lasts == 129_600_000
    assert timed.model_dump_json() == '{"lasts":"36 h"}'
    assert Timed.model_validate_json(timed.model_dump_json()) == timed
