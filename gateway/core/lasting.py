"""Breaches that go on: what only unmonitored time cuts in two is told once.

A gap ends the proven run, so a lasting excursion with a gap in it (a gateway that restarted, a box out of range) is
two breaches. Nothing shows that it was good in between: the second has no alert of its own. Pure.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from gateway.core.verdicts import Breach, BreachKind, Gap, Judgement

_EVENTS = frozenset({BreachKind.SINGLE, BreachKind.FORBIDDEN})


@dataclass(frozen=True, slots=True)
class _Stretch:
    """Time beyond a limit, broken or not yet broken."""

    started_at_ms: int
    ended_at_ms: int
    is_breach: bool


def goes_on(breach: Breach, judgement: Judgement) -> bool:
    """Say whether a breach goes on from an earlier one of the same rule, with nothing but gaps in between."""
    if breach.kind not in _EVENTS:
        return False
    before = sorted(_before(breach, judgement), key=lambda one: one.ended_at_ms, reverse=True)
    begins_ms = breach.started_at_ms
    for one in before:
        if one.ended_at_ms >= begins_ms:
            continue
        if not _is_silent(one.ended_at_ms, begins_ms, judgement.gaps):
            return False
        if one.is_breach:
            return True
        begins_ms = one.started_at_ms
    return False


def _before(breach: Breach, judgement: Judgement) -> Iterable[_Stretch]:
    """Yield what lies before it beyond the same limit; of two views of one stretch the breach comes first."""
    for other in judgement.breaches:
        same = (other.rule, other.kind) == (breach.rule, breach.kind)
        if same and other.ended_at_ms is not None and other.ended_at_ms < breach.started_at_ms:
            yield _Stretch(other.started_at_ms, other.ended_at_ms, is_breach=True)
    for excursion in judgement.excursions:
        ended_ms = excursion.ended_at_ms
        if excursion.rule == breach.rule and ended_ms is not None and ended_ms < breach.started_at_ms:
            yield _Stretch(excursion.started_at_ms, ended_ms, is_breach=False)


def _is_silent(from_ms: int, to_ms: int, gaps: Sequence[Gap]) -> bool:
    """Say whether one gap takes all the time between two moments."""
    return any(gap.begins_ms <= from_ms and to_ms <= gap.ends_ms for gap in gaps)
