"""The trace as a browser paints it: each pixel is compared with the place that time and temperature give it."""

from __future__ import annotations

import base64
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import pairwise

import pytest
from playwright.sync_api import Page, sync_playwright

from gateway.core.observations import Source
from gateway.core.profiles import Evidence, Kind, Limit, Profile
from gateway.core.readings import Reading
from gateway.core.verdicts import Excursion
from gateway.hub.traces.drawing import BOTTOM, HEIGHT, LEFT, RIGHT, TOP, WIDTH, draw_trace
from gateway.hub.traces.trace import plan_trace
from gateway.hub.views.curves import to_curve
from gateway.hub.views.trips import Trip
from gateway.language import ENGLISH
from tests.waiting import LIMIT_MS

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed (tools/system-packages test)")
MINUTE_MS = 60_000
HOUR_MS = 60 * MINUTE_MS
BEGIN_MS = 1_782_000_000_000
SUMMER_ENDS_MS = round(datetime(2026, 10, 25, 1, 0, tzinfo=UTC).timestamp() * 1000)
"""03:00 +02:00, which is 02:00 +01:00."""
PLOT_RIGHT, PLOT_BOTTOM = WIDTH - RIGHT, HEIGHT - BOTTOM
CLEAR_PX = 3
"""A line of 2 px with round ends, and the antialiasing beside it."""

PAINT = """async svg => {
  const image = new Image();
  image.src = "data:image/svg+xml;base64," + svg;
  await image.decode();
  const canvas = document.createElement("canvas");
  canvas.width = WIDTH; canvas.height = HEIGHT;
  const context = canvas.getContext("2d");
  context.drawImage(image, 0, 0, WIDTH, HEIGHT);
  const bytes = context.getImageData(0, 0, WIDTH, HEIGHT).data;
  let text = "";
  for (let i = 0; i < bytes.length; i += 8192) text += String.fromCharCode(...bytes.subarray(i, i + 8192));
  return btoa(text);
}""".replace("WIDTH", str(WIDTH)).replace("HEIGHT", str(HEIGHT))


@dataclass(frozen=True, slots=True)
class Painting:
    """The pixels of a picture, from its top left."""

    pixels: bytes

    def at(self, x: int, y: int) -> tuple[int, int, int, int]:
        place = 4 * (y * WIDTH + x)
        red, green, blue, alpha = self.pixels[place : place + 4]
        return red, green, blue, alpha

    def measured(self, x: int) -> list[int]:
        """The rows in which a column has the colour of the measured line."""
        return [y for y in range(TOP, PLOT_BOTTOM) if self._is_blue(x, y)]

    def limits(self) -> list[float]:
        """The rows of the lines of limits, from the top: dashes of dark green across the picture."""
        columns = range(LEFT + 5, PLOT_RIGHT - 60)
        rows = [y for y in range(TOP, PLOT_BOTTOM) if sum(self._is_green(x, y) for x in columns) > len(columns) / 4]
        return middles(rows)

    def ticks(self) -> list[float]:
        """Where the marks of the time's axis stand, below the plot."""
        return middles([x for x in range(WIDTH) if self.at(x, PLOT_BOTTOM + 2)[3] > 40])

    def _is_blue(self, x: int, y: int) -> bool:
        red, _, blue, _ = self.at(x, y)
        return blue - red > 60

    def _is_green(self, x: int, y: int) -> bool:
        red, green, blue, _ = self.at(x, y)
        return green - red > 25 and green - blue > 15 and green < 200


def middles(pixels: list[int]) -> list[float]:
    """Where the middles of runs of neighbouring pixels are; a pixel reaches from its number to the next."""
    groups: list[list[int]] = []
    for one in pixels:
        if groups and one - groups[-1][-1] == 1:
            groups[-1].append(one)
        else:
            groups.append([one])
    return [sum(group) / len(group) + 0.5 for group in groups]


@pytest.fixture(scope="module")
def page() -> Iterator[Page]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"], timeout=LIMIT_MS)
        opened = browser.new_page()
        opened.set_default_timeout(LIMIT_MS)
        yield opened
        browser.close()


def fridge() -> Profile:
    return Profile(
        id="fridge",
        title="Fridge",
        kind=Kind.STORAGE,
        owner="test",
        source="test",
        evidence=Evidence.DEMONSTRATION,
        limits=(
            Limit.model_validate({"name": "warm", "above_c": 8, "single": "30 min"}),
            Limit.model_validate({"name": "cold", "below_c": 2, "single": "20 min"}),
        ),
    )


def trip(begin_ms: int, hours: float, *temperatures_c: float | None) -> Trip:
    """Readings each minute through the hours; the temperatures share them evenly; None is silence."""
    minutes = round(hours * 60)
    each = minutes / len(temperatures_c)
    readings = []
    for minute in range(minutes + 1):
        value = temperatures_c[min(int(minute / each), len(temperatures_c) - 1)]
        if value is not None:
            at_ms = begin_ms + minute * MINUTE_MS
            readings.append(Reading(at_ms, value, 60, Source.LIVE, clock_trusted=True))
    return Trip("L", "BOX", begin_ms, begin_ms + minutes * MINUTE_MS, tuple(readings), 0, 0)


def paint(page: Page, carried: Trip, *excursions: Excursion) -> Painting:
    trace = plan_trace([to_curve(carried)], fridge(), excursions)
    assert trace is not None
    svg = str(draw_trace(trace, ENGLISH, name="t", title="T"))
    return Painting(base64.b64decode(page.evaluate(PAINT, base64.b64encode(svg.encode()).decode())))


def column(carried: Trip, at_ms: float) -> float:
    """Where a moment stands: time is even, whatever the clocks on the wall do."""
    return LEFT + (at_ms - carried.from_ms) / (carried.to_ms - carried.from_ms) * (PLOT_RIGHT - LEFT)


def test_a_gap_is_a_gap(page: Page) -> None:
    carried = trip(BEGIN_MS, 3, 5.0, None, 7.0)
    painting = paint(page, carried)
    silent_from, silent_to = (max(r.at_ms for r in carried.readings[:60]), carried.readings[60].at_ms)
    left, right = column(carried, silent_from), column(carried, silent_to)
    inside = range(round(left) + CLEAR_PX, round(right) - CLEAR_PX)
    assert len(inside) > 200
    assert [x for x in inside if painting.measured(x)] == []
    for x in (*range(LEFT + 2, round(left) - 1), *range(round(right) + 1, PLOT_RIGHT - 1)):
        assert painting.measured(x), f"nothing measured in column {x}"
    # Hatched: in each stretch of a gap as wide as the pattern some pixels are darker, and none are beside it.
    row = TOP + 6
    shaded = [x for x in range(LEFT + 1, PLOT_RIGHT) if min(painting.at(x, row)[:3]) < 235]
    in_gap = [x for x in shaded if left - 1 <= x <= right + 1]
    assert in_gap
    assert in_gap[0] - left < 11
    assert right - in_gap[-1] < 11
    assert max(after - before for before, after in pairwise(in_gap)) < 11


def test_a_limit_stands_where_readings_of_its_value_do(page: Page) -> None:
    carried = trip(BEGIN_MS, 4, 8.0, 2.0, 5.0)
    painting = paint(page, carried)
    upper, lower = painting.limits()

    def row_at(part: float) -> float:
        rows = painting.measured(round(column(carried, BEGIN_MS + part * 4 * HOUR_MS)))
        return sum(rows) / len(rows) + 0.5

    assert row_at(1 / 6) == pytest.approx(upper, abs=1)
    assert row_at(3 / 6) == pytest.approx(lower, abs=1)
    assert row_at(5 / 6) == pytest.approx((upper + lower) / 2, abs=1)


def test_an_excursion_is_shaded_from_its_beginning_to_its_end(page: Page) -> None:
    carried = trip(BEGIN_MS, 4, 5.0, 9.5, 5.0, 5.0)
    begins_ms, ends_ms = BEGIN_MS + HOUR_MS, BEGIN_MS + 2 * HOUR_MS
    painting = paint(page, carried, Excursion("warm", begins_ms, None, ends_ms, 9.5, 60.0, 1))
    row = TOP + 2
    shaded = [x for x in range(LEFT + 1, PLOT_RIGHT) if (seen := painting.at(x, row))[0] - seen[1] > 10]
    assert max(after - before for before, after in pairwise(shaded)) <= CLEAR_PX, "but for the grid it is even"
    assert shaded[0] == pytest.approx(column(carried, begins_ms), abs=1)
    assert shaded[-1] == pytest.approx(column(carried, ends_ms) - 1, abs=1)


def test_the_hour_that_comes_twice_takes_its_place(page: Page) -> None:
    begin_ms = SUMMER_ENDS_MS - 3 * HOUR_MS  # midnight, summer time; seven hours later it is six
    silent_ms = (SUMMER_ENDS_MS - HOUR_MS // 2, SUMMER_ENDS_MS + HOUR_MS // 2)  # 02:30 +02:00 to 02:30 +01:00
    whole = trip(begin_ms, 7, 5.0)
    readings = tuple(one for one in whole.readings if not silent_ms[0] < one.at_ms < silent_ms[1])
    carried = Trip("L", "BOX", whole.from_ms, whole.to_ms, readings, 0, 0)
    painting = paint(page, carried)
    ticks = painting.ticks()
    assert len(ticks) == 8
    for hour, tick in enumerate(ticks):
        assert tick == pytest.approx(column(carried, begin_ms + hour * HOUR_MS), abs=1)
    left, right = (column(carried, at_ms) for at_ms in silent_ms)
    silent = [x for x in range(LEFT + 2, PLOT_RIGHT - 1) if not painting.measured(x)]
    assert silent == list(range(silent[0], silent[-1] + 1))
    assert silent[0] == pytest.approx(left + 1, abs=1.5)
    assert silent[-1] == pytest.approx(right - 2, abs=1.5)
