"""What a judgement says: verdicts, reasons as codes with parameters, breaches, excursions, figures.

Accept means that the transport requirements were met. It releases nothing; a qualified person decides.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum


class Verdict(StrEnum):
    """From best to worst."""

    ACCEPT = "accept"
    REVIEW = "review"
    INSUFFICIENT_DATA = "insufficient_data"
    REJECT = "reject"

    @property
    def rank(self) -> int:
        """0 for Accept to 3 for Reject."""
        return _ORDER.index(self)


_ORDER = tuple(Verdict)

Parameter = str | int | float | bool | None


def worst(verdicts: list[Verdict]) -> Verdict:
    """The worst wins: Reject, Insufficient data, Review, Accept; Accept if there is none."""
    return max(verdicts, key=lambda verdict: verdict.rank, default=Verdict.ACCEPT)


@dataclass(frozen=True, slots=True)
class Reason:
    """Why: a stable code with parameters, translated at the edge. `verdict` is what this reason alone leads to."""

    code: str
    verdict: Verdict
    parameters: Mapping[str, Parameter] = field(default_factory=dict)


class BreachKind(StrEnum):
    """Which kind of rule was broken."""

    SINGLE = "single"
    CUMULATIVE = "cumulative"
    FORBIDDEN = "forbidden"
    LIFE = "life"
    DEADLINE = "deadline"


@dataclass(frozen=True, slots=True)
class Breach:
    """A violation of one rule of one item's profile by what was measured.

    proven          beyond the logger's uncertainty; else the item may still be good, and a person reviews it

    rule            the rule's name in the profile
    started_at_ms   start of the stretch (or of the exposure, for a life)
    triggered_at_ms when the rule was broken
    ended_at_ms     end of the stretch, None while it lasts
    extreme_c       hottest or coldest reading of it, None for lives and deadlines
    minutes         time beyond the limit
    """

    rule: str
    kind: BreachKind
    started_at_ms: int
    triggered_at_ms: int
    ended_at_ms: int | None
    extreme_c: float | None
    minutes: float
    proven: bool = True


@dataclass(frozen=True, slots=True)
class Excursion:
    """A contiguous time beyond a limit, as measured.

    `triggered_at_ms` is None if it stayed within what is allowed; `proven` says that it did not even with the
    uncertainty in its favour.
    """

    rule: str
    started_at_ms: int
    triggered_at_ms: int | None
    ended_at_ms: int | None
    extreme_c: float
    minutes: float
    degree_minutes: float
    proven: bool = False


@dataclass(frozen=True, slots=True)
class Gap:
    """Time that nothing was measured in custody."""

    begins_ms: int
    ends_ms: int


@dataclass(frozen=True, slots=True)
class LifeLeft:
    """How much of one life is spent: a fraction (1 = all of it), as measured and at worst; hours left at a temperature.

    What is left, at the present temperature and at the planned storage, counts gaps and uncertainty at their worst.
    """

    name: str
    spent: float
    spent_possible: float
    left_now_h: float | None
    left_planned_h: float | None
    expires_at_ms: int | None


@dataclass(frozen=True, slots=True)
class Figures:
    """What was measured. None where nothing was.

    `time_error_ms` is the largest bound on the error of a reading's time.
    """

    readings: int
    min_c: float | None
    max_c: float | None
    mean_c: float | None
    mkt_c: float | None
    monitored_fraction: float
    unmonitored_ms: int
    backfilled: int
    untrusted: int
    min_at_ms: int | None = None
    max_at_ms: int | None = None
    time_error_ms: int = 0


@dataclass(frozen=True, slots=True)
class Judgement:
    """The verdict on one examination of one item, with everything that led to it."""

    consignment: str
    item: str
    examination: str
    profile: str
    profile_version: int
    verdict: Verdict
    reasons: tuple[Reason, ...]
    breaches: tuple[Breach, ...]
    excursions: tuple[Excursion, ...]
    cumulative_minutes: Mapping[str, float]
    gaps: tuple[Gap, ...]
    lives: tuple[LifeLeft, ...]
    figures: Figures
    urgent: bool
    through_ms: int
