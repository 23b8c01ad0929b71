"""What the trace of a trip shows: readings, the profile's own limits, excursions, gaps; in words and as a table too."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice, pairwise
from operator import sub

from gateway.core.columns import Columns
from gateway.core.profiles import Forbidden, Limit, Profile
from gateway.core.verdicts import Excursion
from gateway.hub.traces.decimation import decimate
from gateway.hub.traces.scale import time_step_ms
from gateway.hub.views.curves import Curve
from gateway.language import Speech
from gateway.language.speech import N_

TABLE_ROWS = 24
"""About so many rows say the same as the picture."""
COLUMNS = 870
"""Columns of pixels of the picture."""


@dataclass(frozen=True, slots=True)
class Limits:
    """Where the profile draws lines.

    bands   (from, to) that it allows, None is open; its stated bands, or what lies between its limits
    lows    temperatures that must not be gone below
    highs   temperatures that must not be exceeded
    """

    bands: tuple[tuple[float | None, float | None], ...] = ()
    lows: tuple[float, ...] = ()
    highs: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True)
class Silence:
    """Time in custody without a reading."""

    from_ms: int
    to_ms: int


@dataclass(frozen=True, slots=True)
class Row:
    """One row of the table: what was measured in a stretch. Temperatures are None where nothing was."""

    from_ms: int
    to_ms: int
    readings: int
    low_c: float | None
    high_c: float | None
    has_gap: bool
    is_beyond: bool


@dataclass(frozen=True, slots=True)
class Trace:
    """What is drawn.

    runs           of each stretch without a gap the points that matter: UTC in ms, °C
    rows           the same as a table
    readings       how many there are, between `low_c` and `high_c`
    """

    runs: Sequence[Sequence[tuple[int, float]]]
    rows: Sequence[Row]
    readings: int
    low_c: float
    high_c: float
    limits: Limits
    excursions: Sequence[Excursion]
    hot_rules: frozenset[str]
    silences: Sequence[Silence]
    from_ms: int
    to_ms: int


def plan_trace(curves: Sequence[Curve], profile: Profile | None, excursions: Sequence[Excursion]) -> Trace | None:
    """Return what to draw, None if the item was in no box."""
    if not curves:
        return None
    from_ms = min(curve.from_ms for curve in curves)
    to_ms = max(curves[0].from_ms + 60_000, *(curve.to_ms for curve in curves))
    silences = [list(silences_of(curve, profile)) for curve in curves]
    all_silences = tuple(silence for those in silences for silence in those)
    measured = [curve.columns for curve in curves if len(curve.columns)]
    return Trace(
        runs=[
            [(curve.columns.at_ms[place], curve.columns.temperature_c[place]) for place in places]
            for curve, those in zip(curves, silences, strict=True)
            for places in _runs(curve.columns, those, (from_ms, to_ms))
        ],
        rows=_tabulate(measured, all_silences, excursions, (from_ms, to_ms)),
        readings=sum(map(len, measured)),
        low_c=min((columns.low_c for columns in measured), default=0.0),
        high_c=max((columns.high_c for columns in measured), default=0.0),
        limits=Limits() if profile is None else limits_of(profile),
        excursions=excursions,
        hot_rules=frozenset() if profile is None else frozenset(_hot_rules(profile)),
        silences=all_silences,
        from_ms=from_ms,
        to_ms=to_ms,
    )


def _runs(columns: Columns, silences: Iterable[Silence], span: tuple[int, int]) -> Iterator[list[int]]:
    """Yield for each stretch without a gap the places of the readings that its line goes through."""
    ends = [bisect_left(columns.at_ms, silence.to_ms) for silence in silences]
    for first, end in pairwise([0, *ends, len(columns)]):
        if first < end:
            yield decimate(columns, (first, end), span, COLUMNS)


def limits_of(profile: Profile) -> Limits:
    """Return where a profile draws lines."""
    rules = _rules(profile)
    highs = sorted({rule.above_c for rule in rules if rule.above_c is not None})
    lows = sorted({rule.below_c for rule in rules if rule.below_c is not None})
    bands = tuple((band.from_c, band.to_c) for band in profile.bands)
    if not bands and (lows or highs):
        bands = ((max(lows, default=None), min(highs, default=None)),)
    return Limits(bands, tuple(lows), tuple(highs))


def _rules(profile: Profile) -> list[Limit | Forbidden]:
    return [*profile.limits, *profile.forbidden]


def _hot_rules(profile: Profile) -> Iterator[str]:
    return (rule.name for rule in _rules(profile) if rule.above_c is not None)


def silences_of(curve: Curve, profile: Profile | None) -> Iterator[Silence]:
    """Yield the gaps of a curve by the profile's own rule, at its ends too."""
    factor = 2.0 if profile is None else profile.gap.factor
    minimum_ms = 600_000 if profile is None else profile.gap.minimum
    at_ms, interval_s = curve.columns.at_ms, curve.columns.interval_s
    first_ms, last_ms, last_s = curve.to_ms, curve.from_ms, 0
    if at_ms:
        first_ms, last_ms, last_s = at_ms[0], at_ms[-1], interval_s[-1]
        if first_ms - curve.from_ms > max(factor * interval_s[0] * 1000, minimum_ms):
            yield Silence(curve.from_ms, first_ms)
    if curve.columns.longest_ms > minimum_ms:
        steps = enumerate(map(sub, islice(at_ms, 1, None), at_ms))
        for place, step_ms in [(place, step_ms) for place, step_ms in steps if step_ms > minimum_ms]:
            if step_ms > factor * max(interval_s[place], interval_s[place + 1]) * 1000:
                yield Silence(at_ms[place], at_ms[place + 1])
    if curve.to_ms - last_ms > max(factor * last_s * 1000, minimum_ms):
        yield Silence(last_ms, curve.to_ms)


def describe_trace(trace: Trace, speech: Speech) -> str:
    """Return in words what the picture shows."""
    say = speech.gettext
    begins, ends = speech.moment(trace.from_ms), speech.moment(trace.to_ms)
    said = [say(N_("From {begins} to {ends}.")).format(begins=begins, ends=ends)]
    if not trace.readings:
        return " ".join([*said, say(N_("Nothing was measured."))])
    between = speech.ngettext(
        "{n} reading between {low} and {high}.", "{n} readings between {low} and {high}.", trace.readings
    )
    low, high = speech.celsius(trace.low_c), speech.celsius(trace.high_c)
    said.append(between.format(n=trace.readings, low=low, high=high))
    limits = [say(N_("not above {limit}")).format(limit=speech.threshold(value)) for value in trace.limits.highs]
    limits += [say(N_("not below {limit}")).format(limit=speech.threshold(value)) for value in trace.limits.lows]
    if limits:
        said.append(say(N_("Profile: {limits}.")).format(limits=", ".join(limits)))
    excursions = speech.ngettext("{n} excursion", "{n} excursions", len(trace.excursions))
    gaps = speech.ngettext("{n} gap", "{n} gaps", len(trace.silences))
    said.append(f"{excursions.format(n=len(trace.excursions))}, {gaps.format(n=len(trace.silences))}.")
    return " ".join(said)


def _tabulate(
    measured: Sequence[Columns], silences: Sequence[Silence], excursions: Sequence[Excursion], span: tuple[int, int]
) -> list[Row]:
    """Return the readings in round steps of time."""
    step_ms = time_step_ms(*span, TABLE_ROWS)
    rows = []
    for begin in range(span[0] // step_ms * step_ms, span[1], step_ms):
        end = begin + step_ms
        parts = [part for columns in measured if (part := _between(columns, begin, end))]
        rows.append(
            Row(
                from_ms=begin,
                to_ms=end,
                readings=sum(map(len, parts)),
                low_c=min(map(min, parts), default=None),
                high_c=max(map(max, parts), default=None),
                has_gap=any(s.from_ms < end and s.to_ms > begin for s in silences),
                is_beyond=any(
                    e.started_at_ms < end and (e.ended_at_ms is None or e.ended_at_ms > begin) for e in excursions
                ),
            )
        )
    return rows


def _between(columns: Columns, begins_ms: int, ends_ms: int) -> Sequence[float]:
    first = bisect_left(columns.at_ms, begins_ms)
    return columns.temperature_c[first : bisect_left(columns.at_ms, ends_ms, first)]
