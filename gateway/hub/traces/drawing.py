"""The trace as SVG, made on the server.

Each column of pixels shows its extremes (see `decimation`), so that none disappears. A gap is hatched and never
bridged. Colours stand as attributes for engines that read no style sheet; the page's sheet overrides them. Limits,
extremes and gaps carry words too, so that colour is never alone.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain

from markupsafe import Markup, escape

from gateway.hub.traces.scale import Axis, temperature_ticks, time_ticks
from gateway.hub.traces.trace import COLUMNS, Trace, describe_trace
from gateway.language import Speech
from gateway.language.speech import N_

WIDTH, HEIGHT = 960, 300
LEFT, TOP, BOTTOM = 62, 14, 46
RIGHT = WIDTH - LEFT - COLUMNS
FONT = "system-ui, sans-serif"
NEAR_C = 12
"""A limit further than this from every reading is named in the text but does not squeeze the picture."""
PADDING_C = 1.0
HEADROOM = 0.1
"""Part of the height kept free for the labels of extremes."""
LINE_PX = 13
"""Two labels of limits closer than this would cover each other; the second is left to the text."""
LABEL_PX = 46
"""Half of what a label needs; one that finds no room is left to the table."""

_PLOT_RIGHT, _PLOT_BOTTOM = WIDTH - RIGHT, HEIGHT - BOTTOM
_PLOT = {"y": TOP, "height": _PLOT_BOTTOM - TOP}
_INK, _GRID, _GREEN, _RED, _BLUE = "#4a4f57", "#d7dbe0", "#1d6b3f", "#8c1d18", "#14488c"


def draw_trace(trace: Trace, speech: Speech, *, name: str, title: str, font: str = FONT) -> Markup:
    """Return the SVG. `name` makes its ids unique in a page."""
    time = Axis(trace.from_ms, trace.to_ms, LEFT, _PLOT_RIGHT)
    low_c, high_c = _range(trace)
    heat = Axis(low_c, high_c, _PLOT_BOTTOM, TOP)
    hatch = tag("path", class_="hatch", d="M0 0V7", stroke="#8a8f98", stroke_width=2)
    parts = [
        tag("title", escape(title), id=f"{name}-title"),
        tag("desc", escape(describe_trace(trace, speech)), id=f"{name}-desc"),
        tag(
            "defs",
            tag(
                "pattern",
                hatch,
                id=f"{name}-hatch",
                width=7,
                height=7,
                patternUnits="userSpaceOnUse",
                patternTransform="rotate(45)",
            ),
        ),
        tag("rect", class_="plot", x=LEFT, width=_PLOT_RIGHT - LEFT, fill="#ffffff", **_PLOT),
        *_band(trace, heat),
        *_silences(trace, time, name),
        *_excursions(trace, time),
        *_temperature_axis(heat, speech),
        *_time_axis(trace, time, speech),
        *_limits(trace, heat, speech),
        *_lines(trace, time, heat),
        *_extremes(trace, time, speech),
        *_gap_labels(trace, time, heat, speech),
    ]
    return tag(
        "svg",
        Markup().join(parts),
        class_="trace",
        xmlns="http://www.w3.org/2000/svg",
        viewBox=f"0 0 {WIDTH} {HEIGHT}",
        role="img",
        aria_labelledby=f"{name}-title {name}-desc",
        font_family=font,
        font_size=12,
    )


def tag(name: str, content: str = "", /, **attributes: object) -> Markup:
    """Return an element; ``stroke_width`` becomes stroke-width, ``class_`` class; plain text is escaped."""
    written = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{escape(_plain(value))}"' for key, value in attributes.items()
    )
    return Markup(f"<{name}{written}>{escape(content)}</{name}>")  # noqa: S704  every part of it is escaped


def _plain(value: object) -> object:
    return f"{value:.1f}" if isinstance(value, float) else value


def _range(trace: Trace) -> tuple[float, float]:
    """Return the temperatures that the picture spans."""
    measured = (trace.low_c, trace.high_c) if trace.readings else ()
    limits = [*trace.limits.lows, *trace.limits.highs, *_edges(trace)]
    if measured:
        limits = [limit for limit in limits if trace.low_c - NEAR_C <= limit <= trace.high_c + NEAR_C]
    shown = [*measured, *limits] or [0.0, 25.0]
    low_c, high_c = min(shown) - PADDING_C, max(shown) + PADDING_C
    return low_c, high_c + (HEADROOM * (high_c - low_c) if trace.excursions else 0.0)


def _band(trace: Trace, heat: Axis) -> Iterator[Markup]:
    """The temperatures that the profile allows."""
    for low_c, high_c in trace.limits.bands:
        top = float(TOP) if high_c is None else heat.place(high_c)
        bottom = float(_PLOT_BOTTOM) if low_c is None else heat.place(low_c)
        if bottom > top:
            yield tag(
                "rect", class_="band", x=LEFT, y=top, width=_PLOT_RIGHT - LEFT, height=bottom - top, fill="#e3f3e8"
            )


def _edges(trace: Trace) -> list[float]:
    """Return the ends of the bands that are no limits of their own."""
    ends = {end for band in trace.limits.bands for end in band if end is not None}
    return sorted(ends - {*trace.limits.lows, *trace.limits.highs})


def _limits(trace: Trace, heat: Axis, speech: Speech) -> Iterator[Markup]:
    """Lines, with their labels where there is room; limits before ends of bands."""
    labelled: list[float] = []
    kinds = (("upper", trace.limits.highs), ("lower", trace.limits.lows), ("band", _edges(trace)))
    for kind, values in kinds:
        for value in values:
            if not heat.from_value <= value <= heat.to_value:
                continue
            y = heat.place(value)
            dashes = "1.5 4" if kind == "band" else "6 4"
            yield _line(
                "limit", f"M{LEFT} {y:.1f}H{_PLOT_RIGHT}", _GREEN, 1.5, stroke_dasharray=dashes, data_limit=kind
            )
            if all(abs(y - other) >= LINE_PX for other in labelled):
                labelled.append(y)
                text = speech.threshold(value)
                yield _text("limit-label", text, _PLOT_RIGHT - 4, y - 4, "end", _GREEN, font_weight=600)


def _silences(trace: Trace, time: Axis, name: str) -> Iterator[Markup]:
    for silence in trace.silences:
        left, right = time.place(silence.from_ms), time.place(silence.to_ms)
        yield tag(
            "rect",
            class_="gap",
            x=left,
            width=max(1.0, right - left),
            fill=f"url(#{name}-hatch)",
            fill_opacity="0.45",
            **_PLOT,
        )


def _excursions(trace: Trace, time: Axis) -> Iterator[Markup]:
    for excursion in trace.excursions:
        left, right = _ends(trace, time, excursion.started_at_ms, excursion.ended_at_ms)
        width = max(2.0, right - left)
        yield tag("rect", class_="excursion", x=left, width=width, fill="#b3261e", fill_opacity="0.13", **_PLOT)


def _extremes(trace: Trace, time: Axis, speech: Speech) -> Iterator[Markup]:
    """Label excursions with their extremes, as far as there is room."""
    free_from = float(LEFT)
    for excursion in sorted(trace.excursions, key=lambda excursion: excursion.started_at_ms):
        left, right = _ends(trace, time, excursion.started_at_ms, excursion.ended_at_ms)
        middle = min(max((left + right) / 2, LEFT + LABEL_PX), _PLOT_RIGHT - LABEL_PX)
        if middle - LABEL_PX < free_from:
            continue
        free_from = middle + LABEL_PX
        mark = "▲" if excursion.rule in trace.hot_rules else "▼"
        label = f"{mark} {speech.celsius(excursion.extreme_c)}"
        yield _text("extreme", label, middle, TOP + 14, "middle", _RED, font_weight=700)


def _gap_labels(trace: Trace, time: Axis, heat: Axis, speech: Speech) -> Iterator[Markup]:
    y = _free_line(trace, heat)
    for silence in trace.silences:
        left, right = time.place(silence.from_ms), time.place(silence.to_ms)
        if right - left >= LABEL_PX:
            middle = (left + right) / 2
            yield _text("gap-label", speech.gettext(N_("no data")), middle, y, "middle", _INK, font_weight=600)


def _free_line(trace: Trace, heat: Axis) -> float:
    """Return the lowest base line on which no limit goes through the words."""
    limits = [heat.place(value) for value in (*trace.limits.highs, *trace.limits.lows, *_edges(trace))]
    lines = (float(y) for y in range(_PLOT_BOTTOM - 8, TOP + 2 * LINE_PX, -LINE_PX))
    return next((y for y in lines if all(not y - 13 <= limit <= y + 5 for limit in limits)), _PLOT_BOTTOM - 8.0)


def _temperature_axis(heat: Axis, speech: Speech) -> Iterator[Markup]:
    for value in temperature_ticks(heat.from_value, heat.to_value, 6):
        y = heat.place(value)
        yield _line("grid", f"M{LEFT} {y:.1f}H{_PLOT_RIGHT}", _GRID, 1)
        yield _text("tick", speech.threshold(value), LEFT - 8, y + 4, "end", _INK)


def _time_axis(trace: Trace, time: Axis, speech: Speech) -> Iterator[Markup]:
    shown_day = shown_offset = ""
    for at_ms in time_ticks(trace.from_ms, trace.to_ms, 9):
        x = time.place(at_ms)
        yield _line("grid", f"M{x:.1f} {TOP}V{_PLOT_BOTTOM + 4}", _GRID, 1)
        yield _text("tick", speech.clock_time(at_ms), x, _PLOT_BOTTOM + 18, "middle", _INK)
        day, offset = speech.day(at_ms), speech.offset(at_ms)
        news = " ".join(text for text, shown in ((day, shown_day), (offset, shown_offset)) if text != shown)
        shown_day, shown_offset = day, offset
        if news:
            anchor = "start" if x < LEFT + LABEL_PX else "end" if x > _PLOT_RIGHT - LABEL_PX else "middle"
            yield _text("tick", news, x, _PLOT_BOTTOM + 34, anchor, _INK)


def _lines(trace: Trace, time: Axis, heat: Axis) -> Iterator[Markup]:
    for run in trace.runs:
        xs, ys = time.place_all(at_ms for at_ms, _ in run), heat.place_all(value for _, value in run)
        drawn = "L".join(["%.1f %.1f"] * len(run)) % tuple(chain.from_iterable(zip(xs, ys, strict=True)))
        # A single reading is a dot: a path of no length has round ends.
        drawn = drawn if len(run) > 1 else f"{drawn}h0.01"
        yield _line("line", f"M{drawn}", _BLUE, 2, stroke_linejoin="round", stroke_linecap="round")


def _ends(trace: Trace, time: Axis, started_ms: int, ended_ms: int | None) -> tuple[float, float]:
    return time.place(started_ms), time.place(trace.to_ms if ended_ms is None else ended_ms)


def _line(name: str, path: str, colour: str, width: float, **attributes: object) -> Markup:
    return tag("path", class_=name, d=path, stroke=colour, stroke_width=width, fill="none", **attributes)


def _text(name: str, text: str, x: float, y: float, anchor: str, colour: str, **attributes: object) -> Markup:
    return tag("text", text, class_=name, x=float(x), y=float(y), text_anchor=anchor, fill=colour, **attributes)
