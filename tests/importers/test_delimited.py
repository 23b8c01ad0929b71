from __future__ import annotations

from collections.abc import Iterator
from itertools import count
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.errors import InputError
from gateway.importers.delimited import Mapping, Unit, iter_rows, parse_delimited
from gateway.importers.local_time import Ambiguous, LocalClock, local_text, parse_zone
from gateway.importers.recording import Recording


def mapping(**changes: Any) -> Mapping:  # noqa: ANN401  any field
    return Mapping(**{"time_columns": ["time"], "temperature_column": "temp", "unit": Unit.CELSIUS} | changes)


def read(text: str, **changes: Any) -> Recording:  # noqa: ANN401  any field
    return parse_delimited(text.splitlines(keepends=True), "log.csv", mapping(**changes))


def fault(text: str, **changes: Any) -> str:  # noqa: ANN401  any field
    with pytest.raises(InputError) as caught:
        read(text, **changes)
    return str(caught.value)


def clock(**choices: Any) -> LocalClock:  # noqa: ANN401  any field
    return LocalClock(*parse_zone("Europe/Oslo"), **choices)


def test_times_with_an_offset() -> None:
    recording = read("time,temp\n2026-01-01T10:00:00+01:00,4.5\n2026-01-01T09:05:00Z,5\n2026-01-01T09:10:00Z,5.25\n")
    assert recording.interval_s == 300
    assert [reading.temperature_c for reading in recording.readings] == [4.5, 5.0, 5.25]
    assert recording.ends_ms is not None
    assert local_text(recording.ends_ms, recording.zone) == "2026-01-01T09:15:00+00:00"
    assert recording.zone_name == "offsets in the file"


def test_the_machines_zone_is_never_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "America/New_York")
    assert fault("time,temp\n2026-01-01 10:00,4\n") == (
        "log.csv:2: time: '2026-01-01 10:00' has no offset from UTC: say --timezone"
    )
    recording = read("time,temp\n2026-01-01 10:00,4\n2026-01-01 10:05,4\n", clock=clock())
    assert local_text(recording.readings[0].at_ms, recording.zone) == "2026-01-01T10:00:00+01:00"


def test_norwegian_spreadsheets() -> None:
    recording = read(
        "\ufeffDato;Kl;Temp (°C)\r\n25.01.2026;10:00;-0,5\r\n25.01.2026;10:10;+1,25\r\n",
        time_columns=["Dato", "Kl"],
        temperature_column="Temp (°C)",
        time_form="%d.%m.%Y %H:%M",
        clock=clock(),
    )
    assert [reading.temperature_c for reading in recording.readings] == [-0.5, 1.25]
    assert recording.interval_s == 600


@pytest.mark.parametrize(
    ("unit", "text", "celsius"), [(Unit.FAHRENHEIT, "41", 5.0), (Unit.KELVIN, "278.15", 5.0), (Unit.CELSIUS, "5", 5.0)]
)
def test_units(unit: Unit, text: str, celsius: float) -> None:
    recording = read(f"time,temp\n2026-01-01T00:00Z,{text}\n", unit=unit, interval_s=60)
    assert recording.readings[0].temperature_c == celsius


def test_columns_by_number_and_lines_to_skip() -> None:
    recording = read(
        "Logger X\nserial 7\na,b,c\nx,2026-01-01T00:00Z,4\nx,2026-01-01T00:01Z,4\n",
        time_columns=["2"],
        temperature_column="3",
        skip_lines=2,
    )
    assert len(recording.readings) == 2


def test_no_value_is_time_that_was_not_monitored() -> None:
    text = "time,temp\n" + "".join(
        f"2026-01-01T00:{minute:02}Z,{value}\n"
        for minute, value in zip(count(0, 5), ["", "4", "--.-", "NaN", "5", "null"], strict=False)
    )
    recording = read(text)
    assert len(recording.readings) == 2
    assert [(gap.ends_ms - gap.begins_ms) // 60_000 for gap in recording.missing] == [5, 10, 5]
    assert recording.begins_ms == recording.missing[0].begins_ms


def test_rows_in_any_order_and_repeated() -> None:
    rows = ["2026-01-01T00:10Z,6\n", "2026-01-01T00:00Z,4\n", "2026-01-01T00:05Z,5\n", "2026-01-01T00:05Z,5\n"]
    recording = read("time,temp\n" + "".join(rows))
    assert [reading.temperature_c for reading in recording.readings] == [4, 5, 6]
    assert recording.repeated == 1
    assert recording.notes == ("the rows were not in order of time: they were sorted",)


def test_two_values_for_one_time_are_both_kept_and_said() -> None:
    recording = read("time,temp\n2026-01-01T00:00Z,4\n2026-01-01T00:00Z,9\n2026-01-01T00:05Z,5\n")
    assert len(recording.readings) == 3
    assert "another value" in recording.notes[0]


def test_the_end_of_summer_time() -> None:
    rows = "".join(f"2026-10-25 {text},4\n" for text in ("01:30", "02:00", "02:30", "02:00", "02:30", "03:00"))
    assert fault("time,temp\n" + rows, clock=clock()).startswith(
        "log.csv:3: time: 2026-10-25 02:00 occurs twice in Europe/Oslo: 02:00+02:00 (00:00 UTC) and 02:00+01:00"
    )
    recording = read("time,temp\n" + rows, clock=clock(ambiguous=Ambiguous.IN_ORDER))
    assert recording.interval_s == 1800
    assert len({reading.at_ms for reading in recording.readings}) == 6


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("time,temp\n2026-01-01T00:00Z,4.5 °C\n", "log.csv:2: temperature: '4.5 °C' is no number"),
        ("time,temp\nyesterday,4\n", "log.csv:2: time: 'yesterday' is no time (--format says another form)"),
        ("time,temp\n2026-01-01T00:00Z\n", "log.csv:2: line: has 1 cells, the columns named need 2"),
        ("time,temp\n2026-01-01T00:00Z,999\n", "log.csv:2: temperature: 999 is no temperature of a logger in unit c"),
        ("time,temp\n", "log.csv: file: has no rows below its header"),
        ("", "log.csv:1: --time-column: there is no column 'time'; there are none"),
        ("when,temp\n", "log.csv:1: --time-column: there is no column 'time'; there are 'when', 'temp'"),
        ("time,temp,temp\n", "log.csv:1: --temperature-column: two columns are named 'temp': give its number"),
        ("time,temp\n2026-01-01T00:00Z,4\n", "log.csv: --interval: cannot be found from a single row: state it"),
        ('time,temp\n2026-01-01T00:00Z,"4\n', "log.csv:2: line: unexpected end of data"),
    ],
)
def test_what_is_wrong_is_named(text: str, expected: str) -> None:
    assert fault(text) == expected


def test_rows_are_read_one_at_a_time() -> None:
    """An endless file: the reader asks for no more lines than it yields rows."""
    taken = 0

    def lines() -> Iterator[str]:
        nonlocal taken
        yield "time,temp\n"
        for second in count():
            taken += 1
            yield f"2026-01-01T00:00:{second % 60:02}Z,4\n"

    rows = iter_rows(lines(), "endless.csv", mapping())
    for _ in range(10):
        next(rows)
    assert taken == 10


@given(
    st.lists(
        st.tuples(st.integers(0, 10**6), st.integers(-2000, 2000)), min_size=2, max_size=30, unique_by=lambda p: p[0]
    )
)
def test_whatever_the_order_the_readings_are_the_same(points: list[tuple[int, int]]) -> None:
    def text(ordered: list[tuple[int, int]]) -> str:
        zone, _ = parse_zone("UTC")
        rows = (f"{local_text(second * 1000, zone)},{tenths / 10}\n" for second, tenths in ordered)
        return "time,temp\n" + "".join(rows)

    assert read(text(points)).readings == read(text(sorted(points))).readings
