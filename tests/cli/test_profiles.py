from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from gateway import cli, profiles


@pytest.fixture
def run() -> CliRunner:
    return CliRunner()


def call(run: CliRunner, *arguments: str) -> Result:
    return run.invoke(cli.main, ["profiles", *arguments], prog_name="coldchain")


def test_list_can_be_narrowed(run: CliRunner) -> None:
    everything = call(run, "list").stdout.splitlines()
    assert len(everything) == len(profiles.names())
    storage = call(run, "list", "--kind", "storage").stdout
    assert "freezer-20" in storage
    assert "potassium" not in storage


def test_show_says_what_judges_and_where_it_comes_from(run: CliRunner) -> None:
    shown = call(run, "show", "daratumumab-sc-syringe").stdout
    assert "24 h at 2 to 8 °C, then 12 h at 15 to 25 °C" in shown
    assert "not approved, Review at best" in shown
    assert "Johnson & Johnson" in shown
    assert "≤-0.5 °C for 1 h at a time; warns at once" in call(run, "show", "vaccines").stdout
    assert "≤8 °C for 15 min" in call(run, "show", "potassium").stdout
    assert "of which at most 1 h at 8 to 25 °C" in call(run, "show", "decitabine").stdout
    assert "30 d at 2 to 8 °C plus 24 h at 8 to 30 °C" in call(run, "show", "rituximab-nacl").stdout
    assert "24 h by the clock since prepared" in call(run, "show", "rituximab-nacl").stdout


@pytest.mark.parametrize("name", profiles.names())
def test_every_profile_can_be_shown(run: CliRunner, name: str) -> None:
    assert call(run, "show", name).exit_code == 0


def test_show_as_written_can_be_loaded_again(run: CliRunner, tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(call(run, "show", "carfilzomib", "--toml").stdout)
    assert profiles.load_file(path) == profiles.load("carfilzomib")
    assert call(run, "show", str(path), "--toml").stdout == path.read_text()
    assert json.loads(call(run, "show", str(path), "--json").stdout)["gap"]["minimum"] == "10 min"


def test_an_unknown_name_is_one_line(run: CliRunner) -> None:
    result = call(run, "show", "carfilzomip")
    assert result.exit_code == 2
    assert result.stderr == "coldchain: profile: the library has no profile 'carfilzomip'; did you mean carfilzomib?\n"


def test_check_names_file_line_field_and_goes_on(run: CliRunner, tmp_path: Path) -> None:
    good, bad = tmp_path / "good.toml", tmp_path / "bad.toml"
    good.write_text(profiles.text_of("potassium"))
    bad.write_text(profiles.text_of("potassium").replace('life = "4 h"', 'live = "4 h"'))
    result = call(run, "check", str(bad), str(good))
    assert result.exit_code == 2
    assert f"{good}: potassium, version 1, example: no fault" in result.stdout
    line = next(n for n, text in enumerate(bad.read_text().splitlines(), start=1) if "live = " in text)
    assert f"coldchain: {bad}:{line}: lives[0].allowances[0].live: unknown key; did you mean 'life'?" in result.stderr
    assert call(run, "check", str(good)).exit_code == 0


def test_diff(run: CliRunner, tmp_path: Path) -> None:
    mine = tmp_path / "mine.toml"
    mine.write_text(
        profiles.text_of("carfilzomib").replace('life = "4 h"', 'life = "2 h"').replace("version = 1", "version = 2")
    )
    result = call(run, "diff", "carfilzomib", str(mine))
    assert result.exit_code == 1
    assert result.stdout.splitlines() == ["version: 1 → 2", "lives[shelf-life].allowances[room].life: 4 h → 2 h"]
    assert call(run, "diff", "carfilzomib", "carfilzomib").exit_code == 0


def test_schema_is_the_published_one(run: CliRunner) -> None:
    published = Path(__file__).parents[2] / "docs" / "profile.schema.json"
    assert call(run, "schema").stdout == published.read_text(encoding="utf-8")
