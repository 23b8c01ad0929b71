"""Shelf lives: all that a profile states, and how much of each a view says is spent.

Every life has clocks (milliseconds spent) or a damage sum; a fraction of 1 means that it is spent. Spent life never
comes back, and a sequential label is one-way.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import msgspec

from gateway.core.bands import BandTable
from gateway.core.labels import Alternative, Independent, Nested, Sequential
from gateway.core.laws import Modelled
from gateway.core.profiles import AlternativeLife, IndependentLife, ModelLife, NestedLife, Profile, SequentialLife
from gateway.core.spans import Span
from gateway.core.spent import Spent
from gateway.core.tracks import TRACKS

_SLACK_MAX_MS = float(1 << 52)
"""A time without end, for a life that is spent in every view."""


class LifeState(msgspec.Struct, array_like=True):
    """One life in all views. `slack_ms` is time that may pass before it needs to be asked again whether it is spent."""

    tracks: list[Spent]
    slack_ms: float = 0.0


class Life(Protocol):
    """What the evaluator asks of a life."""

    name: str

    def begin(self) -> Spent:
        """Return a fresh state."""

    def spend(self, tracks: Sequence[Spent], span: Span) -> None:
        """Let a span pass in all views."""

    def fraction(self, spent: Spent) -> float:
        """Return the share spent; 1 or more is all of it."""

    def slack_ms(self, spent: Spent) -> float:
        """Return a time in which it surely is not spent, whatever the temperature."""

    def left_ms(self, spent: Spent, temperature_c: float) -> float | None:
        """Return the time left at a constant temperature, None where the life says nothing of it."""


def lives_of(profile: Profile, table: BandTable) -> list[Life]:
    """Return the temperature-dependent lives of a profile (clock lives are deadlines, not folds)."""
    lives: list[Life] = []
    for life in profile.lives:
        match life:
            case AlternativeLife():
                lives.append(Alternative(life, table))
            case SequentialLife():
                lives.append(Sequential(life, table))
            case NestedLife():
                lives.append(Nested(life, table))
            case IndependentLife():
                lives.append(Independent(life, table))
            case ModelLife():
                lives.append(Modelled(life))
            case _:
                pass
    return lives


def begin_life(life: Life) -> LifeState:
    """Return a fresh state."""
    return LifeState([life.begin() for _ in TRACKS])


def spend_life(life: Life, state: LifeState, span: Span) -> None:
    """Let a span pass in all views, and note the moment at which a life is spent.

    While there is slack no life can be spent, and nobody asks.
    """
    state.slack_ms -= span.ends_ms - span.begins_ms
    if state.slack_ms > 0:
        life.spend(state.tracks, span)
        return
    before = [life.fraction(spent) for spent in state.tracks]
    life.spend(state.tracks, span)
    slack_ms = _SLACK_MAX_MS
    for spent, fraction in zip(state.tracks, before, strict=True):
        if spent.spent_at_ms is not None:
            continue
        after = life.fraction(spent)
        if after >= 1:
            part = (1 - fraction) / (after - fraction) if after > fraction else 0.0
            spent.spent_at_ms = span.begins_ms + round(max(0.0, part) * (span.ends_ms - span.begins_ms))
        else:
            slack_ms = min(slack_ms, life.slack_ms(spent))
    state.slack_ms = slack_ms - 1  # less than rounding could make of it
