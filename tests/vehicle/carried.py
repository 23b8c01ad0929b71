"""A configuration with one consignment in one box, and judgements about it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from gateway.core.configuration import Configuration
from gateway.core.verdicts import Breach, BreachKind, Figures, Judgement, Verdict
from tests.vehicle.samples import T0, TAG, VAN

BEGINS = datetime.fromtimestamp(T0 / 1000, UTC).isoformat()
PROFILE = {
    "id": "cold",
    "title": "Cold",
    "kind": "sample",
    "owner": "laboratory",
    "source": "test",
    "evidence": "demonstration",
    "bands": [{"name": "cold", "from_c": 2, "to_c": 8}],
    "forbidden": [{"name": "hot", "above_c": 30}],
}


def configuration(*, version: int = 1, state: str = "ready", **consignment: str) -> Configuration:
    """One tube in BOX-1 since T0."""
    document: dict[str, Any] = {
        "version": version,
        "gateway": VAN,
        "demonstration": True,
        "loggers": [{"address": TAG, "box": "BOX-1"}],
        "boxes": [{"code": "BOX-1", "label": "Blue", "state": state}],
        "consignments": [
            {
                "code": "C1",
                "carriage": [{"box": "BOX-1", "begins": BEGINS}],
                "items": [{"code": "I1", "kind": "sample", "examinations": [{"code": "K", "profile": "cold"}]}],
            }
            | consignment
        ],
        "profiles": [PROFILE],
    }
    return Configuration.model_validate(document)


def breach(
    kind: BreachKind = BreachKind.SINGLE, started_s: int = 0, ended_s: int | None = None, rule: str = "hot"
) -> Breach:
    started_ms = T0 + started_s * 1000
    ended_ms = None if ended_s is None else T0 + ended_s * 1000
    return Breach(rule, kind, started_ms, started_ms + 60_000, ended_ms, 31.0, 1.0)


def judgement(*breaches: Breach, excursions: tuple[Any, ...] = ()) -> Judgement:
    return Judgement(
        consignment="C1",
        item="I1",
        examination="K",
        profile="cold",
        profile_version=1,
        verdict=Verdict.REJECT if breaches else Verdict.ACCEPT,
        reasons=(),
        breaches=breaches,
        excursions=excursions,
        cumulative_minutes={},
        gaps=(),
        lives=(),
        figures=Figures(0, None, None, None, None, 0.0, 0, 0, 0),
        urgent=False,
        through_ms=T0,
    )
