from __future__ import annotations

import json
from pathlib import Path

import pytest

from gateway import profiles
from gateway.core.errors import InputError
from gateway.core.profiles import Evidence, Kind, Profile
from gateway.profiles.schema import profile_schema, profile_schema_text

ROOT = Path(__file__).parents[2]

HEAD = """\
id = "mine"
title = "Mine"
kind = "medicine"
owner = "us"
source = "label"
evidence = "verified"
"""


def faults_of(tmp_path: Path, text: str) -> list[str]:
    path = tmp_path / "mine.toml"
    path.write_text(text, encoding="utf-8")
    return [str(fault).replace(str(tmp_path) + "/", "") for fault in profiles.find_faults(path)]


def fault_of(tmp_path: Path, body: str) -> str:
    found = faults_of(tmp_path, HEAD + body)
    assert len(found) == 1, found
    return found[0]


@pytest.mark.parametrize("name", profiles.names())
def test_each_profile_is_a_sourced_example_under_its_own_name(name: str) -> None:
    profile = profiles.load(name)
    assert profile.id == name
    assert profile.status == "example"
    assert profile.owner == "example: to be approved locally"
    assert len(profile.source) > 10
    if "general knowledge" in profile.source:
        assert profile.evidence is Evidence.GENERAL_KNOWLEDGE


def test_the_library_is_complete_and_has_every_kind() -> None:
    kinds = [profile.kind for profile in profiles.load_all()]
    assert (kinds.count(Kind.SAMPLE), kinds.count(Kind.MEDICINE), kinds.count(Kind.STORAGE)) == (27, 18, 11)


def test_every_kind_of_label_is_used() -> None:
    used = {life.kind for profile in profiles.load_all() for life in profile.lives}
    assert used == {"alternative", "sequential", "nested", "independent", "clock"}


def test_no_rate_law_and_no_figure_for_a_contradictory_label_is_shipped() -> None:
    assert not any("fluorouracil" in profile.title.lower() for profile in profiles.load_all())
    assert all(life.kind not in {"q10", "arrhenius"} for profile in profiles.load_all() for life in profile.lives)


def test_irreplaceable_items_are_marked() -> None:
    marked = {profile.id for profile in profiles.load_all() if profile.irreplaceable}
    assert marked == {"blood-culture", "csf-cell-count", "tissue-unfixed", "tissue-in-formalin"}


def test_a_profile_survives_json() -> None:
    for profile in profiles.load_all():
        assert Profile.model_validate_json(profile.model_dump_json()) == profile


def test_an_unknown_name_suggests_a_near_one() -> None:
    with pytest.raises(InputError, match=r"no profile 'potasium'; did you mean potassium"):
        profiles.load("potasium")
    with pytest.raises(InputError, match="coldchain profiles list"):
        profiles.load("zzzzzzzz")


def test_an_unknown_key(tmp_path: Path) -> None:
    assert (
        fault_of(tmp_path, '[[bands]]\nname = "cold"\nfrom_c = 2\nto_cc = 8\n')
        == "mine.toml:10: bands[0].to_cc: unknown key; did you mean 'to_c'?"
    )
    assert fault_of(tmp_path, 'colour = 1\n[[bands]]\nname = "cold"\nto_c = 8\n') == "mine.toml:7: colour: unknown key"


def test_overlapping_bands(tmp_path: Path) -> None:
    body = '[[bands]]\nname = "cold"\nfrom_c = 2\nto_c = 8\n\n[[bands]]\nname = "room"\nfrom_c = 7.5\nto_c = 25\n'
    assert fault_of(tmp_path, body) == "mine.toml:14: bands[1].from_c: bands 'cold' and 'room' overlap"


def test_a_life_without_a_unit(tmp_path: Path) -> None:
    body = (
        '[[bands]]\nname = "cold"\nto_c = 8\n\n[[lives]]\nkind = "alternative"\nname = "l"\n'
        'allowances = [\n  { band = "cold", life = 24 },\n]\n'
    )
    assert fault_of(tmp_path, body) == (
        "mine.toml:15: lives[0].allowances[0].life: a duration needs a unit: write '24 min', '24 h' or '24 d'"
    )


def test_a_life_that_names_no_band(tmp_path: Path) -> None:
    body = (
        '[[bands]]\nname = "cold"\nto_c = 8\n[[lives]]\nkind = "nested"\nname = "l"\ntotal = "4 h"\nbands = ["warm"]\n'
    )
    assert fault_of(tmp_path, body) == (
        "mine.toml:14: lives[0].bands[0]: life 'l' names band 'warm', which is not defined"
    )


def test_a_band_upside_down(tmp_path: Path) -> None:
    body = '[[bands]]\nname = "cold"\nfrom_c = 8\nto_c = 2\n'
    assert fault_of(tmp_path, body) == "mine.toml:9: bands[0].from_c: band 'cold': from_c 8 is not below to_c 2"


def test_faults_of_lives_by_kind(tmp_path: Path) -> None:
    assert fault_of(tmp_path, '[[lives]]\nname = "l"\n').startswith("mine.toml:7: lives[0]: needs a kind: alternative,")
    assert "kind 'q9' is none of" in fault_of(tmp_path, '[[lives]]\nkind = "q9"\nname = "l"\n')
    rate = (
        '[[lives]]\nkind = "q10"\nname = "l"\nreference_c = 5\nreference_life = "30 d"\n'
        "valid_from_c = 2\nvalid_to_c = 25\n"
    )
    assert fault_of(tmp_path, rate) == "mine.toml:7: lives[0]: life 'l': kind q10, and only it, needs q10"
    assert fault_of(tmp_path, rate + "q10 = 0.5\n") == ("mine.toml:14: lives[0].q10: input should be greater than 1")


def test_what_is_missing_is_named(tmp_path: Path) -> None:
    found = faults_of(tmp_path, 'id = "mine"\ntitle = "Mine"\n[[limits]]\nname = "hot"\nsingle = "30 min"\n')
    assert "mine.toml:1: kind: is required but missing" in found
    assert "mine.toml:3: limits[0]: limit 'hot' needs exactly one of above_c and below_c" in found
    assert found == sorted(found, key=lambda fault: int(fault.split(":")[1]))


def test_two_rules_of_one_name(tmp_path: Path) -> None:
    rule = 'name = "hot"\nabove_c = 8\nsingle = "30 min"\n'
    assert fault_of(tmp_path, f"[[limits]]\n{rule}[[limits]]\n{rule}") == (
        "mine.toml:12: limits[1].name: two rules are named 'hot'"
    )


def test_an_approval_of_another_version(tmp_path: Path) -> None:
    body = (
        'version = 3\nstatus = "approved"\n[approval]\nby = "A. Doctor"\nrole = "pharmacist"\n'
        'at = 2026-01-01T00:00:00Z\nversion = 2\n[[bands]]\nname = "cold"\nto_c = 8\n'
    )
    assert fault_of(tmp_path, body) == (
        "mine.toml:13: approval.version: the approval is for version 2, this is version 3"
    )


def test_text_that_is_no_toml(tmp_path: Path) -> None:
    assert faults_of(tmp_path, 'id = "x"\nkind = \n')[0].startswith("mine.toml:2: toml: ")
    assert faults_of(tmp_path, "id = [1,")[0].startswith("mine.toml:1: toml: ")
    (tmp_path / "bytes.toml").write_bytes(b"\xff\xfe")
    assert "not UTF-8" in str(profiles.find_faults(tmp_path / "bytes.toml")[0])
    assert "No such file" in str(profiles.find_faults(tmp_path / "none.toml")[0])
    (tmp_path / "large.toml").write_text("#" * 300_000)
    assert "not a profile" in str(profiles.find_faults(tmp_path / "large.toml")[0])


def test_load_file_raises_the_first_fault(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(HEAD)
    with pytest.raises(InputError, match=r"mine.toml:1: profile: a profile needs at least one band"):
        profiles.load_file(path)
    path.write_text(profiles.text_of("carfilzomib"))
    assert profiles.load_file(path) == profiles.load("carfilzomib")


def test_the_published_schema_is_up_to_date() -> None:
    """If this fails: `coldchain profiles schema > docs/profile.schema.json`."""
    assert (ROOT / "docs" / "profile.schema.json").read_text(encoding="utf-8") == profile_schema_text()


def test_the_schema_writes_durations_with_units() -> None:
    gap = profile_schema()["$defs"]["GapPolicy"]["properties"]
    assert gap["minimum"]["type"] == "string"
    assert gap["minimum"]["default"] == "10 min"
    assert json.loads(profile_schema_text())["additionalProperties"] is False
