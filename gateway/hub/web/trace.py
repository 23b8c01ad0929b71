"""What the trace of a trip shows: readings, the profile's own limits, excursions, gaps; in words and as a table too."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from gateway.core.profiles import Forbidden, Limit, Profile
from gateway.core.verdicts import Excursion
from gateway.hub.trips import Trip
from gateway.hub.web.scale import time_step_ms
from gateway.language import Speech
from gateway.language.speech import N_

TABLE_ROWS = 24
"""About so many rows say the same as the picture."""


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
class Trace:
    """What is drawn."""

    trips: Sequence[Trip]
    limits: Limits
    excursions: Sequence[Excursion]
    hot_rules: frozenset[str]
    silences: Sequence[Silence]
    from_ms: int
    to_ms: int


def plan_trace(trips: Sequence[Trip], profile: Profile | None, excursions: Sequence[Excursion]) -> Trace | None:
    """Return what to draw, None if the item was in no box."""
    if not trips:
        return None
    return Trace(
        trips=trips,
        limits=Limits() if profile is None else limits_of(profile),
        excursions=excursions,
        hot_rules=frozenset() if profile is None else frozenset(_hot_rules(profile)),
        silences=tuple(silence for trip in trips for silence in silences_of(trip, profile)),
        from_ms=min(trip.from_ms for trip in trips),
        to_ms=max(trips[0].from_ms + 60_000, *(trip.to_ms for trip in trips)),
    )


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


def silences_of(trip: Trip, profile: Profile | None) -> Iterator[Silence]:
    """Yield the gaps of a trip by the profile's own rule, at its ends too."""
    factor = 2.0 if profile is None else profile.gap.factor
    minimum_ms = 600_000 if profile is None else profile.gap.minimum
    last_ms, interval_ms = trip.from_ms, 0
    for reading in trip.readings:
        if reading.at_ms - last_ms > max(factor * max(interval_ms, reading.interval_s * 1000), minimum_ms):
            yield Silence(last_ms, reading.at_ms)
        last_ms, interval_ms = reading.at_ms, reading.interval_s * 1000
    if trip.to_ms - last_ms > max(factor * interval_ms, minimum_ms):
        yield Silence(last_ms, trip.to_ms)


def describe_trace(trace: Trace, speech: Speech) -> str:
    """Return in words what the picture shows."""
    say = speech.gettext
    readings = [reading for trip in trace.trips for reading in trip.readings]
    begins, ends = speech.moment(trace.from_ms), speech.moment(trace.to_ms)
    said = [say(N_("From {begins} to {ends}.")).format(begins=begins, ends=ends)]
    if not readings:
        return " ".join([*said, say(N_("Nothing was measured."))])
    low, high = min(r.temperature_c for r in readings), max(r.temperature_c for r in readings)
    between = speech.ngettext(
        "{n} reading between {low} and {high}.", "{n} readings between {low} and {high}.", len(readings)
    )
    said.append(between.format(n=len(readings), low=speech.celsius(low), high=speech.celsius(high)))
    limits = [say(N_("not above {limit}")).format(limit=speech.threshold(value)) for value in trace.limits.highs]
    limits += [say(N_("not below {limit}")).format(limit=speech.threshold(value)) for value in trace.limits.lows]
    if limits:
        said.append(say(N_("Profile: {limits}.")).format(limits=", ".join(limits)))
    excursions = speech.ngettext("{n} excursion", "{n} excursions", len(trace.excursions))
    gaps = speech.ngettext("{n} gap", "{n} gaps", len(trace.silences))
    said.append(f"{excursions.format(n=len(trace.excursions))}, {gaps.format(n=len(trace.silences))}.")
    return " ".join(said)


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


def tabulate_trace(trace: Trace) -> list[Row]:
    """Return the trace in round steps of time."""
    step_ms = time_step_ms(trace.from_ms, trace.to_ms, TABLE_ROWS)
    begins = list(range(trace.from_ms // step_ms * step_ms, trace.to_ms, step_ms))
    buckets: dict[int, list[float]] = {begin: [] for begin in begins}
    for trip in trace.trips:
        for reading in trip.readings:
            bucket = buckets.get(reading.at_ms // step_ms * step_ms)
            if bucket is not None:
                bucket.append(reading.temperature_c)
    return [
        Row(
            from_ms=begin,
            to_ms=begin + step_ms,
            readings=len(measured),
            low_c=min(measured, default=None),
            high_c=max(measured, default=None),
            has_gap=any(s.from_ms < begin + step_ms and s.to_ms > begin for s in trace.silences),
            is_beyond=any(
                e.started_at_ms < begin + step_ms and (e.ended_at_ms is None or e.ended_at_ms > begin)
                for e in trace.excursions
            ),
        )
        for begin, measured in buckets.items()
    ]
