from __future__ import annotations

from gateway.core.flags import BreachFlag, flag_breach
from gateway.core.segments import Position
from gateway.core.verdicts import Breach, BreachKind, Figures, Judgement, Verdict
from tests.hub.vans import START_MS

NOW_MS = START_MS + 3_600_000
MINUTE_MS = 60_000


def breach(from_min: float, to_min: float | None, kind: BreachKind = BreachKind.SINGLE) -> Breach:
    started_ms = START_MS + round(from_min * MINUTE_MS)
    ended_ms = None if to_min is None else START_MS + round(to_min * MINUTE_MS)
    return Breach("warm", kind, started_ms, started_ms + 5 * MINUTE_MS, ended_ms, 11.5, 7.0, proven=True)


def judgement(*breaches: Breach) -> Judgement:
    return Judgement(
        consignment="C-1",
        item="T-1",
        examination="K",
        profile="potassium",
        profile_version=1,
        verdict=Verdict.REJECT,
        reasons=(),
        breaches=breaches,
        excursions=(),
        cumulative_minutes={},
        gaps=(),
        lives=(),
        figures=Figures(0, None, None, None, None, 0.0, 0, 0, 0),
        urgent=False,
        through_ms=NOW_MS,
    )


def flagged(one: Breach) -> BreachFlag:
    sealed = Position(b"epoch--1", 0)
    return flag_breach(one, judgement(), gateway="van-1", config_version=1, position=sealed)
