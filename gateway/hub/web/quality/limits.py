"""The limits of a profile behind the lines of loggers: which of them are near enough to be drawn, and in words."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from markupsafe import Markup

from gateway.core.profiles import Profile
from gateway.hub.traces.drawing import LINE_PX, NEAR_C, tag
from gateway.hub.traces.scale import Axis
from gateway.hub.traces.trace import Limits, limits_of
from gateway.language import Speech
from gateway.language.profiles import say_allowed
from gateway.language.speech import N_

_GREEN, _BAND = "#1d6b3f", "#e3f3e8"


@dataclass(frozen=True, slots=True)
class Bound:
    """A line across the picture. A band's end that is no limit of its own is drawn dotted."""

    value_c: float
    kind: Literal["low", "high", "band"]


@dataclass(frozen=True, slots=True)
class Bounds:
    """What is drawn of a profile. `bands` are (from, to) in °C, None is open."""

    lines: Sequence[Bound] = ()
    bands: Sequence[tuple[float | None, float | None]] = ()


NO_BOUNDS = Bounds()


def bounds_near(profile: Profile | None, measured_c: Sequence[float]) -> Bounds:
    """Return the limits that do not squeeze what was measured; where nothing was, all of them."""
    if profile is None:
        return NO_BOUNDS
    limits = limits_of(profile)
    every = [Bound(value, "low") for value in limits.lows] + [Bound(value, "high") for value in limits.highs]
    every += [Bound(value, "band") for value in _ends_of_bands(limits)]
    low_c, high_c = min(measured_c, default=-1e9) - NEAR_C, max(measured_c, default=1e9) + NEAR_C
    return Bounds(sorted((one for one in every if low_c <= one.value_c <= high_c), key=_by_value), limits.bands)


def say_limits(profile: Profile, speech: Speech) -> str:
    """Return a profile's name with what it allows, the limits that are too far away to be drawn as well."""
    limits = limits_of(profile)
    ends = {end for band in limits.bands for end in band}
    said = [say_allowed(low_c, high_c, speech) for low_c, high_c in limits.bands]
    said += [say_allowed(low_c, None, speech) for low_c in limits.lows if low_c not in ends]
    said += [say_allowed(None, high_c, speech) for high_c in limits.highs if high_c not in ends]
    said = said or [speech.gettext(N_("no limit of temperature"))]
    name = speech.gettext(N_("{name}, version {version}")).format(
        name=speech.gettext(profile.title), version=profile.version
    )
    return f"{name}: {', '.join(said)}"


def describe_bounds(bounds: Bounds, speech: Speech) -> dict[str, object]:
    """Return the same for the script: values with their labels, and bands."""
    lines = [{"at": one.value_c, "kind": one.kind, "label": speech.threshold(one.value_c)} for one in bounds.lines]
    return {"lines": lines, "bands": list(bounds.bands)}


def draw_bands(bounds: Bounds, heat: Axis, left: float, right: float) -> Iterator[Markup]:
    """Yield the temperatures that the profile allows, as far as the picture reaches."""
    for low_c, high_c in bounds.bands:
        top = heat.place(heat.to_value if high_c is None else high_c)
        bottom = heat.place(heat.from_value if low_c is None else low_c)
        if bottom > top:
            yield tag("rect", class_="band", x=left, y=top, width=right - left, height=bottom - top, fill=_BAND)


def draw_bounds(bounds: Bounds, heat: Axis, left: float, right: float, speech: Speech) -> Iterator[Markup]:
    """Yield the lines, each with its temperature where there is room for it."""
    labelled: list[float] = []
    for one in bounds.lines:
        y = heat.place(one.value_c)
        dashes = "1.5 4" if one.kind == "band" else "6 4"
        across = f"M{left} {y:.1f}H{right}"
        drawn = {"stroke": _GREEN, "stroke_width": 1.5, "stroke_dasharray": dashes, "fill": "none"}
        yield tag("path", class_="limit", d=across, data_limit=one.kind, **drawn)
        if all(abs(y - other) >= LINE_PX for other in labelled):
            labelled.append(y)
            words = speech.threshold(one.value_c)
            where = {"x": float(right - 4), "y": y - 4, "text_anchor": "end"}
            yield tag("text", words, class_="limit-label", fill=_GREEN, font_weight=600, **where)


def _ends_of_bands(limits: Limits) -> set[float]:
    ends = {end for band in limits.bands for end in band if end is not None}
    return ends - {*limits.lows, *limits.highs}


def _by_value(one: Bound) -> float:
    return one.value_c
