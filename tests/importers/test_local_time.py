from __future__ import annotations

from datetime import datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.errors import InputError
from gateway.importers.local_time import Ambiguous, LocalClock, Nonexistent, local_text, moment_ms, parse_zone


def oslo(**choices: Any) -> LocalClock:  # noqa: ANN401  any field
    zone, name = parse_zone("Europe/Oslo")
    return LocalClock(zone, name, **choices)


def utc(text: str) -> int:
    return moment_ms(datetime.fromisoformat(text))


TWICE = datetime(2026, 10, 25, 2, 30)  # noqa: DTZ001  local on purpose
NEVER = datetime(2026, 3, 29, 2, 30)  # noqa: DTZ001  the same


def test_an_hour_that_occurs_twice_is_refused_with_both_readings() -> None:
    with pytest.raises(ValueError, match="occurs twice") as caught:
        oslo().to_ms(TWICE)
    assert str(caught.value) == (
        "2026-10-25 02:30 occurs twice in Europe/Oslo: 02:30+02:00 (00:30 UTC) and 02:30+01:00 (01:30 UTC);"
        " choose with --ambiguous earlier, later or in-order"
    )


def test_an_hour_that_occurs_twice_can_be_chosen() -> None:
    assert oslo(ambiguous=Ambiguous.EARLIER).to_ms(TWICE) == utc("2026-10-25T00:30Z")
    assert oslo(ambiguous=Ambiguous.LATER).to_ms(TWICE) == utc("2026-10-25T01:30Z")


def test_rows_in_order_tell_the_two_passes_apart() -> None:
    clock = oslo(ambiguous=Ambiguous.IN_ORDER)
    before, found = None, []
    for minute in (0, 30, 0, 30):
        before = clock.to_ms(TWICE.replace(minute=minute), before)
        found.append(local_text(before, clock.zone)[11:])
    assert found == ["02:00:00+02:00", "02:30:00+02:00", "02:00:00+01:00", "02:30:00+01:00"]


def test_an_hour_that_is_skipped_is_refused_with_both_readings() -> None:
    with pytest.raises(ValueError, match="does not exist") as caught:
        oslo().to_ms(NEVER)
    assert "02:30+01:00 (01:30 UTC)" in str(caught.value)
    assert "02:30+02:00 (00:30 UTC)" in str(caught.value)
    assert oslo(nonexistent=Nonexistent.SHIFT).to_ms(NEVER) == utc("2026-03-29T01:30Z")


def test_other_times_need_no_choice() -> None:
    assert oslo().to_ms(TWICE.replace(hour=1)) == utc("2026-10-24T23:30Z")
    assert oslo().to_ms(TWICE.replace(hour=3)) == utc("2026-10-25T02:30Z")
    assert oslo().to_ms(NEVER.replace(hour=3)) == utc("2026-03-29T01:30Z")


@given(st.datetimes(min_value=datetime(1990, 1, 1), max_value=datetime(2037, 1, 1)))  # noqa: DTZ001  local on purpose
def test_what_is_not_refused_reads_back_as_it_was(local: datetime) -> None:
    local = local.replace(microsecond=0)
    clock = oslo()
    try:
        at_ms = clock.to_ms(local)
    except ValueError:
        return
    assert local_text(at_ms, clock.zone)[:19] == local.isoformat()


@pytest.mark.parametrize("text", ["Oslo", "Europe/Atlantis", "+25:00", "+01:75", "", "../etc/passwd", "01:00"])
def test_what_is_no_zone_is_refused(text: str) -> None:
    with pytest.raises(InputError, match="--timezone"):
        parse_zone(text)


@pytest.mark.parametrize(("text", "offset"), [("UTC", "+00:00"), ("+05:30", "+05:30"), ("-0330", "-03:30")])
def test_offsets(text: str, offset: str) -> None:
    zone, _ = parse_zone(text)
    assert local_text(0, zone)[-6:] == offset
