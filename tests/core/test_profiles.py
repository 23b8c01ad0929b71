"""Profiles: what is refused, and how the error names the field."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from gateway.core.profiles import Profile
from tests.core.trips import COLD, MILD, ROOM, START, make_profile


def errors_of(**fields: object) -> list[tuple[str, str]]:
    """(field, reason) of each error."""
    with pytest.raises(ValidationError) as caught:
        make_profile(**fields)
    return [(_path(error), str(error["msg"])) for error in caught.value.errors()]


def _path(error: Any) -> str:  # noqa: ANN401  pydantic's own dictionary
    cause = error.get("ctx", {}).get("error")
    return ".".join(str(part) for part in (*error["loc"], *getattr(cause, "path", ())))


def life(kind: str = "alternative", **fields: object) -> dict[str, object]:
    return {"kind": kind, "name": "life", **fields}


ONE = {"band": "cold", "life": "24 h"}
LAW = {"reference_c": 5, "reference_life": "24 h", "valid_from_c": 2, "valid_to_c": 30}
APPROVAL = {"by": "A. Approver", "role": "laboratory_doctor", "at": START, "version": 1}


@pytest.mark.parametrize(
    ("fields", "field", "reason"),
    [
        ({}, "", "at least one band, life, limit or forbidden"),
        ({"bands": [COLD], "colour": "blue"}, "colour", "Extra inputs"),
        ({"bands": [{**COLD, "colour": "blue"}]}, "bands.0.colour", "Extra inputs"),
        ({"bands": [COLD], "id": "Not an id"}, "id", "match pattern"),
        ({"bands": [COLD], "version": 0}, "version", "greater than or equal to 1"),
        ({"bands": [COLD], "title": " "}, "title", "at least 1 character"),
        ({"bands": [COLD], "kind": "soup"}, "kind", "'sample', 'medicine' or 'storage'"),
        ({"bands": [COLD], "evidence": "hearsay"}, "evidence", "'verified'"),
        ({"bands": [COLD], "uncertainty_c": 6}, "uncertainty_c", "less than or equal to 5"),
        ({"bands": [COLD], "warn_at_fraction": 0}, "warn_at_fraction", "greater than 0"),
        # bands
        ({"bands": [{"name": "any"}]}, "bands.0", "neither from_c nor to_c"),
        ({"bands": [{"name": "any", "from_c": 8, "to_c": 2}]}, "bands.0.from_c", "is not below"),
        ({"bands": [{"name": "any", "from_c": 8, "to_c": 8}]}, "bands.0.from_c", "is not below"),
        ({"bands": [{"name": "any", "from_c": float("nan")}]}, "bands.0.from_c", "finite"),
        ({"bands": [{"name": "any", "from_c": -300}]}, "bands.0.from_c", "greater than or equal to -273.15"),
        ({"bands": [COLD, {"name": "more", "from_c": 7, "to_c": 25}]}, "bands.1.from_c", "'cold' and 'more' overlap"),
        ({"bands": [{"name": "more", "from_c": 7}, COLD]}, "bands.0.from_c", "'cold' and 'more' overlap"),
        ({"bands": [COLD, {"name": "more", "to_c": 3}]}, "bands.0.from_c", "overlap"),
        ({"bands": [COLD, {**ROOM, "name": "cold"}]}, "bands.1.name", "two bands are named 'cold'"),
        # lives
        ({"bands": [COLD], "lives": [life("unknown")]}, "lives.0", "does not match any of the expected tags"),
        ({"bands": [COLD], "lives": [life()]}, "lives.0.alternative.allowances", "Field required"),
        ({"bands": [COLD], "lives": [life(allowances=[])]}, "lives.0.alternative.allowances", "at least 1 item"),
        (
            {"bands": [COLD], "lives": [life(allowances=[{"band": "cold", "life": 24}])]},
            "lives.0.alternative.allowances.0.life",
            "needs a unit: write '24 min'",
        ),
        (
            {"bands": [COLD], "lives": [life(allowances=[{"band": "cold", "life": "0 h"}])]},
            "lives.0.alternative.allowances.0.life",
            "greater than 0",
        ),
        (
            {"bands": [COLD], "lives": [life(allowances=[ONE, {"band": "warm", "life": "4 h"}])]},
            "lives.0.allowances.1.band",
            "names band 'warm', which is not defined",
        ),
        (
            {"bands": [COLD], "lives": [life("sequential", steps=[ONE, {"band": "warm", "life": "4 h"}])]},
            "lives.0.steps.1.band",
            "not defined",
        ),
        ({"bands": [COLD], "lives": [life("sequential", steps=[ONE])]}, "lives.0.sequential.steps", "at least 2 items"),
        (
            {"bands": [COLD], "lives": [life("nested", total="4 h", bands=["cold", "warm"])]},
            "lives.0.bands.1",
            "not defined",
        ),
        (
            {
                "bands": [COLD],
                "lives": [life("nested", total="4 h", bands=["cold"], within=[{"band": "x", "life": "1 h"}])],
            },
            "lives.0.within.0.band",
            "not defined",
        ),
        (
            {
                "bands": [COLD, MILD],
                "lives": [life("nested", total="4 h", bands=["cold"], within=[{"band": "mild", "life": "1 h"}])],
            },
            "lives.0.within.0.band",
            "which is not among its bands",
        ),
        (
            {"bands": [COLD], "lives": [life(allowances=[ONE, ONE])]},
            "lives.0.allowances.1.band",
            "names band 'cold' twice",
        ),
        (
            {"bands": [COLD, ROOM], "lives": [life("sequential", steps=[ONE, {"band": "room", "life": "1 h"}, ONE])]},
            "lives.0.steps.2.band",
            "names band 'cold' twice",
        ),
        ({"lives": [life("q10", **LAW)]}, "lives.0.q10", "needs q10"),
        ({"lives": [life("q10", **LAW, q10=1)]}, "lives.0.q10.q10", "greater than 1"),
        ({"lives": [life("arrhenius", **LAW)]}, "lives.0.arrhenius", "needs activation_energy_kj_mol"),
        (
            {"lives": [life("q10", **LAW, q10=3, activation_energy_kj_mol=83)]},
            "lives.0.q10",
            "arrhenius, and only it",
        ),
        ({"lives": [life("q10", **{**LAW, "valid_to_c": 2}, q10=3)]}, "lives.0.q10", "valid_from_c is not below"),
        ({"lives": [life("clock", since="birth", life="4 h")]}, "lives.0.clock.since", "'collected'"),
        # limits
        ({"limits": [{"name": "hot", "single": "1 h"}]}, "limits.0", "exactly one of above_c and below_c"),
        (
            {"limits": [{"name": "hot", "above_c": 8, "below_c": 2, "single": "1 h"}]},
            "limits.0",
            "exactly one of above_c and below_c",
        ),
        ({"limits": [{"name": "hot", "above_c": 8}]}, "limits.0", "needs single or cumulative"),
        ({"forbidden": [{"name": "cold"}]}, "forbidden.0", "exactly one of above_c and below_c"),
        ({"forbidden": [{"name": "cold", "below_c": 2, "dwell": 15}]}, "forbidden.0.dwell", "needs a unit"),
        (
            {"limits": [{"name": "x", "above_c": 8, "single": "1 h"}], "forbidden": [{"name": "x", "below_c": 2}]},
            "forbidden.0.name",
            "two rules are named 'x'",
        ),
        # approval
        ({"bands": [COLD], "status": "approved"}, "", "needs an approval"),
        (
            {"bands": [COLD], "version": 2, "status": "approved", "approval": APPROVAL},
            "approval.version",
            "is for version 1, this is version 2",
        ),
        (
            {"bands": [COLD], "kind": "medicine", "status": "approved", "approval": APPROVAL},
            "approval.role",
            "approved by the pharmacist",
        ),
        (
            {"bands": [COLD], "status": "approved", "approval": {**APPROVAL, "role": "driver"}},
            "approval.role",
            "'laboratory_doctor' or 'pharmacist'",
        ),
        ({"bands": [COLD], "gap": {"factor": 0.5}}, "gap.factor", "greater than or equal to 1"),
        ({"bands": [COLD], "gap": {"slew_c_per_h": 0}}, "gap.slew_c_per_h", "greater than 0"),
        ({"bands": [COLD], "muted_phases": ["at_lunch"]}, "muted_phases.0", "'at_origin'"),
    ],
)
def test_what_is_wrong_is_named_by_field_and_reason(fields: dict[str, object], field: str, reason: str) -> None:
    errors = errors_of(**fields)
    assert any(at == field and reason in why for at, why in errors), errors


def test_bands_that_touch_do_not_overlap() -> None:
    assert [band.name for band in make_profile(bands=[MILD, COLD]).bands] == ["mild", "cold"]


def test_a_profile_survives_its_json() -> None:
    profile = make_profile(
        bands=[COLD, MILD],
        lives=[life(allowances=[ONE]), {"kind": "clock", "name": "other", "since": "prepared", "life": "36 h"}],
        limits=[{"name": "hot", "above_c": 8, "single": "30 min"}],
        status="approved",
        approval=APPROVAL,
    )
    assert Profile.model_validate_json(profile.model_dump_json()) == profile


def test_a_profile_is_frozen() -> None:
    profile = make_profile(bands=[COLD])
    with pytest.raises(ValidationError, match="frozen"):
        profile.version = 2  # type: ignore[misc]  # that is the point


@pytest.mark.parametrize(("band", "low_c", "high_c"), [(COLD, 2, 8), ({"name": "x", "to_c": 8}, float("-inf"), 8)])
def test_an_open_end_is_infinite(band: dict[str, object], low_c: float, high_c: float) -> None:
    (made,) = make_profile(bands=[band]).bands
    assert (made.low_c, made.high_c) == (low_c, high_c)
