from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from gateway.core.flags import BreachFlag, breach_key
from gateway.core.verdicts import BreachKind

STARTED_MS = 1_780_000_000_000


def flag_fields(**changes: object) -> dict[str, Any]:
    fields: dict[str, Any] = {
        "gateway": "van-1",
        "consignment": "C-1",
        "item": "T-1",
        "examination": "K",
        "profile": "potassium",
        "profile_version": 1,
        "config_version": 3,
        "rule": "too-warm",
        "kind": "single",
        "started_at_ms": STARTED_MS,
        "triggered_at_ms": STARTED_MS + 60_000,
        "extreme_c": 9.5,
        "minutes": 1.0,
        "epoch": "00112233aabbccdd",
        "offset": 7,
    }
    fields |= changes
    identity = {name: fields[name] for name in ("consignment", "item", "examination", "rule", "started_at_ms")}
    return {"key": breach_key(**identity, kind=BreachKind(fields["kind"])), **fields, **changes}


@pytest.mark.parametrize("kind", ["cumulative", "life", "deadline"])
def test_lasting_breaches_are_one_for_each_rule(kind: str) -> None:
    assert flag_fields(kind=kind)["key"] == flag_fields(kind=kind, started_at_ms=STARTED_MS + 1)["key"]


@pytest.mark.parametrize("kind", ["single", "forbidden"])
def test_events_are_one_for_each_stretch(kind: str) -> None:
    assert flag_fields(kind=kind)["key"] != flag_fields(kind=kind, started_at_ms=STARTED_MS + 1)["key"]


def test_a_flag_keeps_its_key_over_json() -> None:
    flag = BreachFlag.model_validate(flag_fields())
    assert BreachFlag.model_validate_json(flag.model_dump_json()) == flag


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"key": "0" * 32}, "not the one of this breach"),
        ({"triggered_at_ms": STARTED_MS - 1}, "before started_at_ms"),
        ({"consignment": "x 1"}, "letters, digits"),
        ({"item": "15076500565"}, "identity number"),
        ({"examination": "tube of 15076500565"}, "identity number"),
        ({"minutes": float("nan")}, "finite"),
        ({"offset": "7"}, "integer"),
        ({"note": "hello"}, "Extra inputs"),
    ],
)
def test_refuses_what_is_not_a_flag(changes: dict[str, Any], reason: str) -> None:
    with pytest.raises(ValidationError, match=reason):
        BreachFlag.model_validate(flag_fields(**changes))
