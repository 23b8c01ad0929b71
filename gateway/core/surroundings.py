"""Light and shock: limits on what some loggers measure besides temperature.

A reading's value stands for the time that the reading stands for. What a profile limits and nobody measured is not
accepted: it is reviewed.
"""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from gateway.core.profiles import Exposure, Profile, Severity
from gateway.core.readings import Reading
from gateway.core.verdicts import Reason, Verdict

MINUTE_MS = 60_000


class Felt(msgspec.Struct, array_like=True):
    """What one sensor said: its last value, the time it spoke for, the time beyond the limit, the largest value."""

    value: float | None = None
    seen_ms: int = 0
    beyond_ms: int = 0
    times_beyond: int = 0
    largest: float = 0.0


class Surroundings(msgspec.Struct, array_like=True):
    """Light in lux and shock in g, over an exposure."""

    light: Felt = msgspec.field(default_factory=Felt)
    shock: Felt = msgspec.field(default_factory=Felt)


def note_reading(profile: Profile, surroundings: Surroundings, reading: Reading) -> None:
    """Take the values of a reading within the exposure."""
    _note(surroundings.light, profile.light_lux, reading.light_lux)
    _note(surroundings.shock, profile.shock_g, reading.shock_g)


def pass_time(profile: Profile, surroundings: Surroundings, duration_ms: int) -> None:
    """Let the time pass that the last reading stands for."""
    _pass(surroundings.light, profile.light_lux, duration_ms)
    _pass(surroundings.shock, profile.shock_g, duration_ms)


def surroundings_reasons(profile: Profile, surroundings: Surroundings, exposed_ms: int) -> Iterator[Reason]:
    """Yield what the limits on light and shock say of `exposed_ms` in boxes, measured or not."""
    yield from _reasons("light", "lux", profile.light_lux, surroundings.light, exposed_ms)
    yield from _reasons("shock", "g", profile.shock_g, surroundings.shock, exposed_ms)


def _note(felt: Felt, limit: Exposure | None, value: float | None) -> None:
    felt.value = value
    if limit is None or value is None:
        return
    felt.largest = max(felt.largest, value)
    felt.times_beyond += value > limit.above


def _pass(felt: Felt, limit: Exposure | None, duration_ms: int) -> None:
    if limit is None or felt.value is None:
        return
    felt.seen_ms += duration_ms
    if felt.value > limit.above:
        felt.beyond_ms += duration_ms


def _reasons(name: str, unit: str, limit: Exposure | None, felt: Felt, exposed_ms: int) -> Iterator[Reason]:
    if limit is None:
        return
    if felt.times_beyond and felt.beyond_ms >= limit.cumulative:
        yield Reason(
            f"{name}_exceeded",
            Verdict.REJECT if limit.severity is Severity.REJECT else Verdict.REVIEW,
            {
                f"limit_{unit}": limit.above,
                "allowed_min": limit.cumulative / MINUTE_MS,
                "minutes": felt.beyond_ms / MINUTE_MS,
                "times": felt.times_beyond,
                f"largest_{unit}": felt.largest,
            },
        )
    if felt.seen_ms < exposed_ms or not felt.seen_ms:
        yield Reason(f"{name}_not_measured", Verdict.REVIEW, {"minutes": (exposed_ms - felt.seen_ms) / MINUTE_MS})
