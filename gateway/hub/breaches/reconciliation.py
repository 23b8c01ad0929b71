"""Which of the breaches just found are which of the known ones. Pure.

Cumulative, life and deadline breaches are one for each rule. Single events and forbidden stretches are the same
where their times overlap: merged, the oldest survives; split, the piece with the original trigger keeps the
identity; neither alerts again.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from gateway.core.verdicts import Breach, BreachKind

_EVENTS = (BreachKind.SINGLE, BreachKind.FORBIDDEN)


@dataclass(frozen=True, slots=True)
class Known:
    """A breach as the store knows it, of one item and examination. `active` ones have not been withdrawn."""

    id: int
    rule: str
    kind: BreachKind
    started_at_ms: int
    triggered_at_ms: int
    ended_at_ms: int | None
    active: bool


@dataclass(frozen=True, slots=True)
class Match:
    """What became of all.

    kept    known breaches and what they look like now (withdrawn ones among them come back)
    new     breaches that nobody knew; `alerts` is False for a piece of a known one
    merged  (id, survivor's id) of known breaches that turned out to be part of an older one
    gone    ids of active breaches that are no longer found
    """

    kept: list[tuple[Known, Breach]] = field(default_factory=list)
    new: list[tuple[Breach, bool]] = field(default_factory=list)
    merged: list[tuple[int, int]] = field(default_factory=list)
    gone: list[int] = field(default_factory=list)


def match_breaches(known: Sequence[Known], found: Sequence[Breach]) -> Match:
    """Match, oldest identity first, active ones before withdrawn ones."""
    found = join_overlapping(found)
    match = Match()
    taken: dict[int, int] = {}  # index in `found` → id that it keeps
    matched: set[int] = set()
    for one in sorted(known, key=lambda one: (not one.active, one.id)):
        touching = [place for place, breach in enumerate(found) if _is_same(one, breach)]
        free = [place for place in touching if place not in taken]
        if free:
            place = _choose(one, [(place, found[place]) for place in free])
            taken[place] = one.id
            matched.add(one.id)
            match.kept.append((one, found[place]))
        elif touching and one.active:
            matched.add(one.id)
            match.merged.append((one.id, taken[touching[0]]))
    for place, breach in enumerate(found):
        if place not in taken:
            match.new.append((breach, not any(one.active and _is_same(one, breach) for one in known)))
    match.gone.extend(one.id for one in known if one.active and one.id not in matched)
    return match


def join_overlapping(found: Sequence[Breach]) -> list[Breach]:
    """Return one breach for each stretch and rule: two loggers in one box, or two stages, may each have found it."""
    joined: list[Breach] = []
    for breach in sorted(found, key=lambda breach: (breach.rule, breach.kind, breach.started_at_ms)):
        if joined and _is_same(_as_known(joined[-1]), breach):
            joined[-1] = _join(joined[-1], breach)
        else:
            joined.append(breach)
    return joined


def _join(one: Breach, other: Breach) -> Breach:
    worse = max(one, other, key=lambda breach: breach.minutes)
    ended = None if None in (one.ended_at_ms, other.ended_at_ms) else max(one.ended_at_ms or 0, other.ended_at_ms or 0)
    return replace(
        worse,
        started_at_ms=min(one.started_at_ms, other.started_at_ms),
        triggered_at_ms=min(one.triggered_at_ms, other.triggered_at_ms),
        ended_at_ms=ended,
        proven=one.proven or other.proven,
    )


def _as_known(breach: Breach) -> Known:
    return Known(
        0, breach.rule, breach.kind, breach.started_at_ms, breach.triggered_at_ms, breach.ended_at_ms, active=True
    )


def _choose(one: Known, pieces: Sequence[tuple[int, Breach]]) -> int:
    """Return the piece that holds the original trigger, else the first."""
    for place, breach in pieces:
        if breach.started_at_ms <= one.triggered_at_ms and not _ends_before(breach.ended_at_ms, one.triggered_at_ms):
            return place
    return pieces[0][0]


def _is_same(one: Known, breach: Breach) -> bool:
    if (one.rule, one.kind) != (breach.rule, breach.kind):
        return False
    if breach.kind not in _EVENTS:
        return True
    return not (
        _ends_before(one.ended_at_ms, breach.started_at_ms) or _ends_before(breach.ended_at_ms, one.started_at_ms)
    )


def _ends_before(ended_at_ms: int | None, moment_ms: int) -> bool:
    return ended_at_ms is not None and ended_at_ms < moment_ms
