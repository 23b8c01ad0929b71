from __future__ import annotations

import random
import re
from xml.etree import ElementTree as ET

import pytest

from gateway.core.columns import columns_of, make_columns
from gateway.core.observations import Source
from gateway.core.profiles import Band, Evidence, Forbidden, Kind, Limit, Profile
from gateway.core.readings import Reading
from gateway.core.verdicts import Excursion
from gateway.hub.traces.decimation import decimate
from gateway.hub.traces.drawing import LEFT, RIGHT, WIDTH, draw_trace
from gateway.hub.traces.scale import temperature_ticks, time_ticks
from gateway.hub.traces.trace import Trace, limits_of, plan_trace
from gateway.hub.views.curves import Curve
from gateway.language import ENGLISH
from gateway.language.speech import plain
from tests.hub.vans import START_MS

MINUTE_MS = 60_000
SVG = "{http://www.w3.org/2000/svg}"


def profile(**changes: object) -> Profile:
    fields = {
        "id": "fridge",
        "title": "Fridge",
        "kind": Kind.STORAGE,
        "owner": "test",
        "source": "test",
        "evidence": Evidence.DEMONSTRATION,
        "limits": (
            Limit(name="warm", above_c=8, single="30 min"),
            Limit(name="cold", below_c=2, single="20 min"),
        ),
    }
    return Profile.model_validate({**fields, **changes})


def trip(*temperatures_c: float | None, step_min: float = 5, minutes: float | None = None) -> Curve:
    """A trip with a reading every `step_min`; None is silence."""
    readings = [
        Reading(START_MS + round(i * step_min * MINUTE_MS), t, 300, Source.LIVE, clock_trusted=True)
        for i, t in enumerate(temperatures_c)
        if t is not None
    ]
    lasts_min = len(temperatures_c) * step_min if minutes is None else minutes
    return Curve("L", "BOX", START_MS, START_MS + round(lasts_min * MINUTE_MS), columns_of(readings))


def plan(one: Curve, *excursions: Excursion, **changes: object) -> Trace:
    planned = plan_trace([one], profile(**changes), excursions)
    assert planned is not None
    return planned


def drawn(trace: Trace) -> ET.Element:
    return ET.fromstring(draw_trace(trace, ENGLISH, name="t", title="Trace <of> T&1"))  # noqa: S314  our own output


def of_class(svg: ET.Element, name: str) -> list[ET.Element]:
    return [element for element in svg.iter() if element.get("class") == name]


def points(line: ET.Element) -> list[tuple[float, float]]:
    return [(float(x), float(y)) for x, y in re.findall(r"[ML]([\d.]+) ([\d.]+)", line.get("d", ""))]


def height(svg: ET.Element, name: str) -> float:
    (line,) = [one for one in of_class(svg, "limit") if one.get("data-limit") == name]
    found = re.match(r"M\d+ ([\d.]+)H", line.get("d", ""))
    assert found is not None
    return float(found[1])


def test_a_gap_is_hatched_and_never_bridged() -> None:
    svg = drawn(plan(trip(5, 5, 5, None, None, None, 5, 5)))
    before, after = (points(line) for line in of_class(svg, "line"))
    (gap,) = of_class(svg, "gap")
    left, width = float(gap.get("x", 0)), float(gap.get("width", 0))
    assert before[-1][0] == pytest.approx(left, abs=0.1)
    assert after[0][0] == pytest.approx(left + width, abs=0.1)


def test_silence_at_the_ends_is_a_gap_too() -> None:
    planned = plan(trip(None, None, None, 5, 5, None, None, None, None))
    assert [(s.from_ms - START_MS, s.to_ms - START_MS) for s in planned.silences] == [
        (0, 15 * MINUTE_MS),
        (20 * MINUTE_MS, 45 * MINUTE_MS),
    ]


def test_the_gap_rule_is_the_profiles_own() -> None:
    one = trip(5, 5, 5, None, None, None, 5)
    assert len(plan(one).silences) == 1
    assert plan(one, gap={"minimum": "30 min"}).silences == ()


def test_limits_stand_where_readings_of_their_value_do() -> None:
    svg = drawn(plan(trip(2, 8, 2, 8)))
    heights = {round(y, 1) for line in of_class(svg, "line") for _, y in points(line)}
    assert heights == {height(svg, "upper"), height(svg, "lower")}
    assert [plain(text.text or "") for text in of_class(svg, "limit-label")] == ["8 °C", "2 °C"]


def test_a_far_limit_does_not_squeeze_the_picture() -> None:
    svg = drawn(plan(trip(5, 6), limits=(Limit(name="hot", above_c=45, single="1 h"),)))
    assert of_class(svg, "limit") == []
    assert "not above 45 °C" in plain(svg.findtext(f"{SVG}desc") or "")


def test_bands_are_shaded_each_and_their_ends_marked() -> None:
    bands = (Band(name="cold", from_c=2, to_c=8), Band(name="room", from_c=15, to_c=25))
    forbidden = (Forbidden(name="freeze", below_c=2),)
    limits = limits_of(profile(limits=(), bands=bands, forbidden=forbidden))
    assert (limits.bands, limits.lows, limits.highs) == (((2, 8), (15, 25)), (2,), ())
    svg = drawn(plan(trip(5, 20), limits=(), bands=bands, forbidden=forbidden))
    assert len(of_class(svg, "band")) == 2
    assert sorted(str(line.get("data-limit")) for line in of_class(svg, "limit")) == ["band", "band", "band", "lower"]


def test_excursions_are_shaded_and_labelled_with_their_extreme() -> None:
    hot = Excursion("warm", START_MS + 5 * MINUTE_MS, None, START_MS + 40 * MINUTE_MS, 11.4, 35, 1)
    cold = Excursion("cold", START_MS + 60 * MINUTE_MS, None, None, -1.25, 30, 1)
    svg = drawn(plan(trip(*[5] * 30), hot, cold))
    assert len(of_class(svg, "excursion")) == 2
    assert [plain(text.text or "") for text in of_class(svg, "extreme")] == ["▲ 11.4 °C", "▼ −1.2 °C"]


def test_it_speaks_to_those_who_do_not_see_it() -> None:
    svg = drawn(plan(trip(5, 9)))
    assert svg.get("role") == "img"
    assert svg.get("aria-labelledby") == "t-title t-desc"
    assert svg.findtext(f"{SVG}title") == "Trace <of> T&1"
    assert "2 readings between 5.0 °C and 9.0 °C" in plain(svg.findtext(f"{SVG}desc") or "")


def test_no_limit_goes_through_the_words_of_a_gap() -> None:
    wide = (Limit(name="warm", above_c=25, single="30 min"), Limit(name="cold", below_c=8, single="30 min"))
    svg = drawn(plan(trip(minutes=120), limits=wide))
    (words,) = of_class(svg, "gap-label")
    base = float(words.get("y") or 0)
    assert all(not base - 12 < height(svg, kind) < base + 4 for kind in ("upper", "lower"))


def test_nothing_measured_is_one_gap_and_no_line() -> None:
    svg = drawn(plan(trip(minutes=120)))
    assert of_class(svg, "line") == []
    assert len(of_class(svg, "gap")) == 1
    assert "Nothing was measured" in plain(svg.findtext(f"{SVG}desc") or "")


def test_a_single_reading_is_a_dot_inside_the_plot() -> None:
    (line,) = of_class(drawn(plan(trip(5))), "line")
    assert LEFT <= points(line)[0][0] <= WIDTH - RIGHT


def test_an_item_in_no_box_has_no_trace() -> None:
    assert plan_trace([], profile(), ()) is None


def test_decimation_keeps_ends_and_extremes_of_each_column() -> None:
    def kept(measured: list[float], count: int) -> list[int]:
        columns = make_columns(range(len(measured)), measured, [30] * len(measured))
        return decimate(columns, (0, len(measured)), (0, len(measured)), count)

    assert kept([5, 9, 5, 1, 5, 6], 1) == [0, 1, 3, 5]
    assert kept([5, 6, 7, 7, 6, 5], 2) == [0, 2, 3, 5]
    assert kept([], 7) == []
    rng = random.Random(7)  # noqa: S311  repeatable, no secret
    for _ in range(200):
        measured = [rng.choice([-1.0, 2.0, 5.5, 8.0]) for _ in range(rng.randrange(1, 300))]
        count = rng.randrange(1, 40)
        by_column: dict[int, list[int]] = {}
        for place in range(len(measured)):
            by_column.setdefault(place * count // len(measured), []).append(place)
        expected: set[int] = set()
        for places in by_column.values():
            low, high = min(places, key=measured.__getitem__), max(places, key=measured.__getitem__)
            expected |= {places[0], low, high, places[-1]}
        assert kept(measured, count) == sorted(expected)


def test_the_table_says_what_the_picture_shows() -> None:
    hot = Excursion("warm", START_MS + 5 * MINUTE_MS, None, START_MS + 9 * MINUTE_MS, 9.0, 5, 1)
    rows = plan(trip(5, 9, 5, None, None, None, 4, 4), hot).rows
    assert sum(row.readings for row in rows) == 5
    assert (min(row.low_c for row in rows if row.low_c), max(row.high_c or 0 for row in rows)) == (4, 9)
    assert any(row.is_beyond for row in rows)
    assert any(row.has_gap and row.low_c is None for row in rows)


def test_time_ticks_are_round_on_the_local_clock_also_when_it_changes() -> None:
    begin = 1_792_879_200_000  # 2026-10-25 00:00 +02:00
    ticks = time_ticks(begin, begin + 6 * 3_600_000, 9)
    assert [f"{ENGLISH.clock_time(t)} {ENGLISH.offset(t)}" for t in ticks] == [
        "00:00 +02:00",
        "01:00 +02:00",
        "02:00 +02:00",
        "02:00 +01:00",
        "03:00 +01:00",
        "04:00 +01:00",
        "05:00 +01:00",
    ]


def test_time_ticks_of_a_month_are_midnights() -> None:
    begin = 1_792_879_200_000
    ticks = time_ticks(begin + 1, begin + 30 * 86_400_000, 9)
    assert 3 <= len(ticks) <= 9
    assert {ENGLISH.clock_time(t) for t in ticks} == {"00:00"}


def test_temperature_ticks_are_round() -> None:
    assert temperature_ticks(1.2, 9.7, 6) == [2, 4, 6, 8]
    assert temperature_ticks(-20.3, 24.9, 6) == [-20, -10, 0, 10, 20]
