"""A small picture of a share over time: a column for each week or month, hatched where there was nothing."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from markupsafe import Markup

from gateway.hub.traces.drawing import tag
from gateway.language import Speech
from gateway.language.speech import N_

WIDTH, HEIGHT = 440, 150
LEFT, RIGHT, TOP, BOTTOM = 44, 6, 8, 24
_PLOT_HEIGHT = HEIGHT - TOP - BOTTOM
_HALF = 0.5
LABEL_PX = 70
"""A label of a bucket takes so much; others are left to the table."""


@dataclass(frozen=True, slots=True)
class Column:
    """One bucket: what it is called, and how many of how many."""

    label: str
    met: int
    of: int


def draw_shares(columns: Sequence[Column], speech: Speech, *, name: str, title: str) -> Markup:
    """Return the SVG. `name` makes its ids unique in a page."""
    width = (WIDTH - LEFT - RIGHT) / max(1, len(columns))
    hatch = tag("path", class_="hatch", d="M0 0V6", stroke="#8a8f98", stroke_width=1.5)
    pattern = tag(
        "pattern",
        hatch,
        id=f"{name}-hatch",
        width=6,
        height=6,
        patternUnits="userSpaceOnUse",
        patternTransform="rotate(45)",
    )
    parts = [
        tag("title", title, id=f"{name}-title"),
        tag("desc", _describe(columns, speech), id=f"{name}-desc"),
        tag("defs", pattern),
        *_grid(speech),
        *_columns(columns, width, name, speech),
        *_labels(columns, width),
    ]
    return tag(
        "svg",
        Markup().join(parts),
        class_="shares",
        xmlns="http://www.w3.org/2000/svg",
        viewBox=f"0 0 {WIDTH} {HEIGHT}",
        role="img",
        aria_labelledby=f"{name}-title {name}-desc",
        font_family="system-ui, sans-serif",
        font_size=12,
    )


def say_share(met: int, of: int, speech: Speech) -> str:
    """Return "97 % (31 of 32)", "–" where there was nothing."""
    if not of:
        return "–"
    form = speech.gettext(N_("{share} ({met} of {all})"))
    return form.format(share=speech.percent(met / of), met=met, all=of)


def _describe(columns: Sequence[Column], speech: Speech) -> str:
    counted = [column for column in columns if column.of]
    if not counted:
        return speech.gettext(N_("Nothing in this period."))
    low, high = (pick(counted, key=lambda column: column.met / column.of) for pick in (min, max))
    form = speech.gettext(N_("Lowest {low} in {when_low}, highest {high} in {when_high}."))
    return form.format(
        low=say_share(low.met, low.of, speech),
        when_low=low.label,
        high=say_share(high.met, high.of, speech),
        when_high=high.label,
    )


def _grid(speech: Speech) -> Iterator[Markup]:
    for part in (0.0, _HALF, 1.0):
        y = TOP + _PLOT_HEIGHT * (1 - part)
        yield tag("path", class_="grid", d=f"M{LEFT} {y:.1f}H{WIDTH - RIGHT}", stroke="#d7dbe0", stroke_width=1)
        yield tag("text", speech.percent(part), class_="tick", x=LEFT - 6, y=y + 4, text_anchor="end", fill="#4a4f57")


def _columns(columns: Sequence[Column], width: float, name: str, speech: Speech) -> Iterator[Markup]:
    for place, column in enumerate(columns):
        share = column.met / column.of if column.of else 1.0
        # Even 0 % is seen: a column of no height would look like none.
        height = max(2.0, _PLOT_HEIGHT * share)
        said = tag("title", f"{column.label}: {say_share(column.met, column.of, speech)}")
        yield tag(
            "rect",
            said,
            class_="column" if column.of else "gap",
            x=LEFT + place * width + width * 0.1,
            y=TOP + _PLOT_HEIGHT - height,
            width=width * 0.8,
            height=height,
            fill="#14488c" if column.of else f"url(#{name}-hatch)",
            fill_opacity=1 if column.of else 0.3,
        )


def _labels(columns: Sequence[Column], width: float) -> Iterator[Markup]:
    free_from = 0.0
    for place, column in enumerate(columns):
        middle = LEFT + (place + _HALF) * width
        if middle - LABEL_PX / 2 < free_from or middle + LABEL_PX / 2 > WIDTH + LABEL_PX / 4:
            continue
        free_from = middle + LABEL_PX / 2
        yield tag("text", column.label, class_="tick", x=middle, y=HEIGHT - 6, text_anchor="middle", fill="#4a4f57")
