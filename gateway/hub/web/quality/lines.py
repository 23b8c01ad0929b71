"""Weeks of several loggers as lines: lowest and highest of each interval, broken where nothing was measured.

The same lines go into the picture that the server draws and, as numbers, to the script that lets people zoom.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from markupsafe import Markup

from gateway.core.configuration import Logger
from gateway.core.profiles import Profile
from gateway.hub.projection.history import Interval
from gateway.hub.times import to_oslo
from gateway.hub.traces.drawing import tag
from gateway.hub.traces.scale import Axis, temperature_ticks, time_ticks
from gateway.hub.web.quality.limits import Bounds, bounds_near, describe_bounds, draw_bands, draw_bounds
from gateway.language import Speech
from gateway.language.speech import N_

GAP_MS = 600_000
"""No reading for so long beyond two intervals is a gap, as profiles have it unless they say otherwise."""
WIDTH, HEIGHT = 960, 360
LEFT, RIGHT, TOP, BOTTOM = 62, 20, 14, 46
PADDING_C = 1.0
TICKS = 8
DASHES = ("", "9 4", "2 4", "12 4 2 4", "6 2", "1 2")
"""Beside the colour, what tells one logger from another."""
_PLOT_RIGHT, _PLOT_BOTTOM = WIDTH - RIGHT, HEIGHT - BOTTOM
_COLOURS = ("#14488c", "#a01b15", "#17633a", "#8a5200", "#5b2a86", "#3b4652")


@dataclass(frozen=True, slots=True)
class Line:
    """One logger's intervals, as runs without a gap between them."""

    logger: str
    box: str
    runs: Sequence[Sequence[Interval]]

    @property
    def intervals(self) -> list[Interval]:
        """All of them."""
        return [interval for run in self.runs for interval in run]


@dataclass(frozen=True, slots=True)
class Lines:
    """What is shown of [from_ms, to_ms), in intervals of `step_ms`; behind it the limits of a chosen profile."""

    lines: Sequence[Line]
    from_ms: int
    to_ms: int
    step_ms: int
    profile: Profile | None = None

    def measured_c(self) -> list[float]:
        """Return the extremes of all intervals."""
        return [value for line in self.lines for one in line.intervals for value in (one.min_c, one.max_c)]

    def bounds(self) -> Bounds:
        """Return what is drawn of the profile."""
        return bounds_near(self.profile, self.measured_c())


def make_line(logger: Logger, intervals: Sequence[Interval], step_ms: int) -> Line:
    """Return a logger's intervals, divided where there is a gap between them."""
    runs: list[list[Interval]] = []
    for interval in intervals:
        if not runs or interval.begins_ms - runs[-1][-1].begins_ms > 2 * step_ms + GAP_MS:
            runs.append([])
        runs[-1].append(interval)
    return Line(logger.address, logger.box or "", runs)


def label_ticks(from_ms: int, to_ms: int, speech: Speech) -> list[tuple[int, str]]:
    """Return moments and what stands there: the local time; below it the day and the offset where they change."""
    ticks, shown = [], ("", "")
    for at_ms in time_ticks(from_ms, to_ms, TICKS):
        news = speech.day(at_ms), speech.offset(at_ms)
        below = " ".join(text for text, before in zip(news, shown, strict=True) if text != before)
        shown = news
        ticks.append((at_ms, f"{speech.clock_time(at_ms)}\n{below}".rstrip()))
    return ticks


def offsets_in(from_ms: int, to_ms: int) -> list[tuple[int, int]]:
    """Return since when which offset from UTC holds, in minutes: one, or two across a daylight-saving change."""
    found = [(from_ms, _offset_min(from_ms))]
    hour_ms = 3_600_000
    for at_ms in range(from_ms - from_ms % hour_ms + hour_ms, to_ms, hour_ms):
        if (offset := _offset_min(at_ms)) != found[-1][1]:
            found.append((at_ms, offset))
    return found


def _offset_min(at_ms: int) -> int:
    offset = to_oslo(at_ms).utcoffset()
    return 0 if offset is None else round(offset.total_seconds() / 60)


def to_document(lines: Lines, speech: Speech) -> dict[str, object]:
    """Return the lines for the script: columns of numbers; null marks a gap, and only a gap."""
    return {
        "from": lines.from_ms,
        "to": lines.to_ms,
        "step": lines.step_ms,
        "ticks": label_ticks(lines.from_ms, lines.to_ms, speech),
        "offsets": offsets_in(lines.from_ms, lines.to_ms),
        "limits": describe_bounds(lines.bounds(), speech),
        "series": [{"logger": line.logger, "box": line.box, **_columns(line, lines.step_ms)} for line in lines.lines],
    }


def _columns(line: Line, step_ms: int) -> dict[str, list[int] | list[float | None]]:
    times: list[int] = []
    lows: list[float | None] = []
    highs: list[float | None] = []
    for place, run in enumerate(line.runs):
        if place:
            times.append(line.runs[place - 1][-1].begins_ms + step_ms)
            lows.append(None)
            highs.append(None)
        times += [interval.begins_ms for interval in run]
        lows += [interval.min_c for interval in run]
        highs += [interval.max_c for interval in run]
    return {"at": times, "low": lows, "high": highs}


def draw_lines(lines: Lines, speech: Speech) -> Markup:
    """Return the picture as SVG."""
    time = Axis(lines.from_ms, lines.to_ms, LEFT, _PLOT_RIGHT)
    bounds = lines.bounds()
    shown = [*lines.measured_c(), *(one.value_c for one in bounds.lines)]
    heat = Axis(min(shown, default=0.0) - PADDING_C, max(shown, default=24.0) + PADDING_C, _PLOT_BOTTOM, TOP)
    parts = [
        tag("title", speech.gettext(N_("Temperatures of the loggers")), id="lines-title"),
        tag("rect", class_="plot", x=LEFT, y=TOP, width=_PLOT_RIGHT - LEFT, height=_PLOT_BOTTOM - TOP, fill="#ffffff"),
        *draw_bands(bounds, heat, LEFT, _PLOT_RIGHT),
        *_axes(lines, time, heat, speech),
        *draw_bounds(bounds, heat, LEFT, _PLOT_RIGHT, speech),
        *(mark for place, line in enumerate(lines.lines) for mark in _line(line, place, time, heat, lines.step_ms)),
    ]
    return tag(
        "svg",
        Markup().join(parts),
        class_="trace lines",
        xmlns="http://www.w3.org/2000/svg",
        viewBox=f"0 0 {WIDTH} {HEIGHT}",
        role="img",
        aria_labelledby="lines-title",
        font_family="system-ui, sans-serif",
        font_size=12,
    )


def _axes(lines: Lines, time: Axis, heat: Axis, speech: Speech) -> Iterator[Markup]:
    for value in temperature_ticks(heat.from_value, heat.to_value, 6):
        y = heat.place(value)
        yield tag("path", class_="grid", d=f"M{LEFT} {y:.1f}H{_PLOT_RIGHT}", stroke="#d7dbe0", fill="none")
        said = speech.threshold(value)
        yield tag("text", said, class_="tick", x=LEFT - 8, y=y + 4, text_anchor="end", fill="#4a4f57")
    for at_ms, label in label_ticks(lines.from_ms, lines.to_ms, speech):
        x = time.place(at_ms)
        yield tag("path", class_="grid", d=f"M{x:.1f} {TOP}V{_PLOT_BOTTOM + 4}", stroke="#d7dbe0", fill="none")
        anchor = "start" if x < LEFT * 2 else "middle" if x < _PLOT_RIGHT - LEFT else "end"
        for row, text in enumerate(label.split("\n")):
            y = _PLOT_BOTTOM + 18 + 16 * row
            yield tag("text", text, class_="tick", x=x, y=y, text_anchor=anchor, fill="#4a4f57")


def _line(line: Line, place: int, time: Axis, heat: Axis, step_ms: int) -> Iterator[Markup]:
    """One stretch for each run: down its highs and back along its lows, which is a line where both are the same."""
    for run in line.runs:
        begins, ends = run[0].begins_ms, run[-1].begins_ms + step_ms
        middles = [time.place(min(max(one.begins_ms + step_ms / 2, begins), ends)) for one in run]
        highs = [f"{x:.1f} {heat.place(one.max_c):.1f}" for x, one in zip(middles, run, strict=True)]
        lows = [f"{x:.1f} {heat.place(one.min_c):.1f}" for x, one in zip(middles, run, strict=True)]
        drawn = "M" + "L".join([*highs, *reversed(lows)])
        yield tag(
            "path",
            class_=f"run run-{place % len(_COLOURS)}",
            d=f"{drawn}Z" if len(run) > 1 else f"{drawn}h0.1",
            stroke=_COLOURS[place % len(_COLOURS)],
            stroke_width=1.6,
            stroke_linejoin="round",
            stroke_linecap="round",
            stroke_dasharray=DASHES[place % len(DASHES)] or "none",
            fill=_COLOURS[place % len(_COLOURS)],
            fill_opacity="0.18",
        )
