from __future__ import annotations

import csv
import json
import os
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from gateway import cli, profiles
from gateway.cli.evaluation import parse_limits
from gateway.core.errors import InputError

ROOT = Path(__file__).parents[2]
RECORDINGS = Path(os.environ.get("COLDCHAIN_RECORDINGS", ROOT.parent / "shared" / "recordings"))
COLUMNS = ("--time-column", "time", "--temperature-column", "temp")
ISSUE_KEYS = {
    "readings",
    "min_c",
    "max_c",
    "mean_c",
    "mkt_c",
    "excursions",
    "cumulative",
    "gaps",
    "monitored_fraction",
    "verdict",
    "reasons",
}


def call(*arguments: object) -> Result:
    return CliRunner().invoke(cli.main, ["evaluate", *(str(argument) for argument in arguments)])


def document(*arguments: object) -> Any:  # noqa: ANN401  JSON
    return json.loads(call(*arguments, "--json").stdout)


def write(path: Path, *points: tuple[int, object]) -> Path:
    """Write (minute of 1 January, temperature) as a CSV."""
    rows = "".join(f"2026-01-01T{minute // 60:02}:{minute % 60:02}Z,{value}\n" for minute, value in points)
    path.write_text("time,temp\n" + rows)
    return path


def steady(path: Path, value: object = 5.0, minutes: int = 120) -> Path:
    return write(path, *((minute, value) for minute in range(0, minutes, 5)))


@pytest.fixture
def good(tmp_path: Path) -> Path:
    return steady(tmp_path / "good.csv")


@pytest.fixture
def trip() -> Path:
    path = RECORDINGS / "RCPJ00010_02_202211090128.txt"
    if not path.exists():
        pytest.skip(f"no recordings in {RECORDINGS}; COLDCHAIN_RECORDINGS says where they are")
    return path


def test_accepted(good: Path) -> None:
    result = call(good, *COLUMNS, "--limits", "low=2,high=8,single=30,cumulative=60", "--calibrated")
    assert result.exit_code == 0
    assert "verdict     ACCEPT" in result.stdout


def test_without_a_certificate_it_is_review_at_best(good: Path) -> None:
    result = call(good, *COLUMNS, "--limits", "low=2,high=8")
    assert result.exit_code == 1
    assert "calibration was missing or overdue for 24 readings. (--calibrated, if" in result.stdout


def test_a_profile_that_nobody_approved_is_review_at_best(good: Path, tmp_path: Path) -> None:
    judged = document(good, *COLUMNS, "--profile", "carfilzomib", "--calibrated")
    assert judged["verdict"] == "review"
    assert [reason["code"] for reason in judged["reasons"]] == ["profile_not_approved"]
    mine = tmp_path / "mine.toml"
    mine.write_text(
        profiles.text_of("carfilzomib").replace('status = "example"', 'status = "approved"')
        + '\n[approval]\nby = "P. Harmacist"\nrole = "pharmacist"\nat = 2026-01-01T08:00:00+01:00\nversion = 1\n'
    )
    assert document(good, *COLUMNS, "--profile", mine, "--calibrated")["verdict"] == "accept"


def test_25_minutes_11_silent_25_minutes_is_not_accepted(tmp_path: Path) -> None:
    """Under a rule of 30 minutes: the silence may have been as warm."""
    times = [*range(0, 60, 5), *range(60, 85, 1), *range(96, 121, 1), *range(121, 180, 5)]
    path = write(tmp_path / "gap.csv", *((minute, 9.0 if 60 <= minute <= 120 else 5.0) for minute in times))
    judged = document(path, *COLUMNS, "--interval", "1 min", "--limits", "high=8,single=30", "--calibrated")
    assert judged["verdict"] == "insufficient_data"
    assert len(judged["gaps"]) == 1


def test_the_document_has_what_is_promised(trip: Path) -> None:
    judged = document(trip, "--limits", "low=2,high=8,single=30,cumulative=60")
    assert set(judged) >= ISSUE_KEYS
    assert (judged["readings"], judged["min_c"], judged["max_c"]) == (124, 0.9, 24.3)
    assert judged["mean_c"] == pytest.approx(5.46, abs=0.01)
    assert judged["mkt_c"] == pytest.approx(10.5, abs=0.1)
    assert judged["cumulative"] == {"high": 210, "low": 580}
    assert judged["excursions"][-1] == {
        "rule": "high",
        "start": "2022-11-08T21:59:00+00:00",
        "trigger": "2022-11-08T22:29:00+00:00",
        "end": "2022-11-09T01:29:00+00:00",
        "minutes": 210,
        "extreme_c": 24.3,
    }
    assert judged["gaps"] == []
    assert judged["monitored_fraction"] == 1
    assert judged["verdict"] == "reject"
    assert {"code", "text", "verdict"} <= set(judged["reasons"][0])


def test_other_activation_energies_give_other_kinetic_means(trip: Path) -> None:
    means = [document(trip, "--limits", "high=8", "--energy", energy)["mkt_c"] for energy in (40, 83.144, 150)]
    assert means == sorted(means)
    assert len(set(means)) == 3


def test_compare_device_judges_by_the_device_itself(trip: Path) -> None:
    result = call(trip, "--compare-device")
    assert result.exit_code == 1
    assert "219 min" in result.stdout
    assert "(device / ours)" in result.stdout
    compared = document(trip, "--compare-device")["device_comparison"]
    assert compared["alarms"][0]["limit"] == ">8 °C 30 min at a time"
    assert compared["alarms"][0]["device"]["minutes"] == 219
    assert compared["alarms"][0]["ours"]["minutes"] == 210
    assert compared["alarms"][0]["difference_minutes"] == -9
    assert compared["figures"]["device"]["mkt_c"] == 10.5
    assert compared["figures"]["ours"]["mkt_c"] == pytest.approx(10.5, abs=0.1)


def test_all_recordings_at_once(trip: Path) -> None:
    files = sorted(trip.parent.glob("*.txt"))
    judged = document(*files, "--profile", "fridge-tag-2", "--compare-device")
    assert [each["file"] for each in judged] == [str(path) for path in files]
    assert all(set(each) >= ISSUE_KEYS for each in judged)


def test_many_files_one_of_them_wrong(good: Path, tmp_path: Path) -> None:
    bad = write(tmp_path / "bad.csv", (0, "warm"))
    result = call(bad, good, *COLUMNS, "--limits", "high=8", "--calibrated", "--json")
    assert result.exit_code == 2
    first, second = json.loads(result.stdout)
    assert first == {"file": str(bad), "error": f"{bad}:2: temperature: 'warm' is no number"}
    assert second["verdict"] == "accept"
    assert result.stderr == f"coldchain: {bad}:2: temperature: 'warm' is no number\n"


def test_csv_has_a_row_for_each_excursion_and_one_at_least(good: Path, tmp_path: Path) -> None:
    hot = write(tmp_path / "hot.csv", *((minute, 9 if minute in {10, 30} else 5) for minute in range(0, 60, 5)))
    output = tmp_path / "out.csv"
    arguments = (good, hot, *COLUMNS, "--limits", "high=8,single=30", "--calibrated", "--csv", "--output", output)
    assert call(*arguments).stdout == ""
    rows = list(csv.DictReader(output.read_text(encoding="utf-8").splitlines()))
    assert [(Path(row["file"]).name, row["rule"], row["minutes"], row["verdict"]) for row in rows] == [
        ("good.csv", "", "", "accept"),
        ("hot.csv", "high", "5.0", "accept"),
        ("hot.csv", "high", "5.0", "accept"),
    ]


def test_local_times_need_a_zone(tmp_path: Path) -> None:
    path = tmp_path / "oslo.csv"
    path.write_text(
        "time,temp\n" + "".join(f"2026-10-25 {hour:02}:{minute:02},5\n" for hour, minute in ((1, 50), (2, 0), (2, 10)))
    )
    limits = ("--limits", "high=8", "--calibrated")
    assert "say --timezone" in call(path, *COLUMNS, *limits).stderr
    refused = call(path, *COLUMNS, *limits, "--timezone", "Europe/Oslo")
    assert refused.exit_code == 2
    assert "02:00+02:00 (00:00 UTC) and 02:00+01:00 (01:00 UTC)" in refused.stderr
    judged = document(path, *COLUMNS, *limits, "--timezone", "Europe/Oslo", "--ambiguous", "earlier")
    assert judged["begins"] == "2026-10-25T01:50:00+02:00"
    assert judged["ends"] == "2026-10-25T02:20:00+02:00"


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ((), "--profile: say what to judge by: --profile NAME, --limits, or --compare-device"),
        (("--profile", "vaccines", "--limits", "high=8"), "--limits: stands in place of a profile"),
        (("--profile", "nope"), "profile: the library has no profile 'nope'; see `coldchain profiles list`"),
        (("--profile", "none.toml"), "none.toml: file: No such file or directory"),
        (("--limits", "high=8,colour=3"), "--limits: 'colour=3' is none of low=, high= (°C), single=,"),
        (("--limits", "high=hot"), "--limits: high: 'hot' is no number"),
        (("--limits", "high=nan"), "--limits: high=nan is no temperature of a transport"),
        (("--limits", "low=8,high=2"), "--limits: low=8 is not below high=2"),
        (("--limits", "single=30"), "--limits: needs low or high, or both"),
        (("--limits", "high=8,single=-1"), "--limits: single=-1 is no number of minutes"),
        (("--limits", "high=8", "--timezone", "Oslo"), "--timezone: 'Oslo' is no time zone"),
        (("--limits", "high=8", "--interval", "5"), "--interval: '5' is not a duration such as"),
        (("--limits", "high=8", "--interval", "0.5 s"), "--interval: '0.5 s' is no whole number of seconds"),
        (("--limits", "high=8", "--encoding", "klingon"), "--encoding: 'klingon' is no encoding"),
        (("--compare-device",), "--profile: is needed: the file states no alarms of its own"),
    ],
)
def test_wrong_input_is_one_line(good: Path, arguments: tuple[str, ...], expected: str) -> None:
    result = call(good, *COLUMNS, *arguments)
    assert result.exit_code == 2
    assert expected in result.stderr
    assert result.stderr.startswith("coldchain: ")
    assert result.stderr.count("\n") == 1


def test_what_is_no_recording_is_one_line(tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    path.write_text("buy milk\n")
    result = call(path, "--profile", "vaccines")
    assert result.exit_code == 2
    assert result.stderr == (
        f"coldchain: {path}: file: no file of a Q-tag or Fridge-tag;"
        " for a CSV name its --time-column and --temperature-column\n"
    )
    silent = steady(tmp_path / "silent.csv", "")
    assert "holds no readings" in call(silent, *COLUMNS, "--limits", "high=8").stderr


def test_half_a_mapping_is_refused(good: Path) -> None:
    assert "--temperature-column: is needed" in call(good, "--time-column", "time", "--limits", "high=8").stderr
    assert "--time-column: is needed" in call(good, "--temperature-column", "temp", "--limits", "high=8").stderr


def test_limits_become_rules_named_high_and_low() -> None:
    profile = parse_limits("low=2,high=8,single=30,cumulative=60")
    assert [(limit.name, limit.single, limit.cumulative) for limit in profile.limits] == [
        ("high", 1_800_000, 3_600_000),
        ("low", 1_800_000, 3_600_000),
    ]
    assert [(limit.single, limit.cumulative) for limit in parse_limits("high=8").limits] == [(0, None)]
    assert [(limit.single, limit.cumulative) for limit in parse_limits("high=8,cumulative=60").limits] == [
        (None, 3_600_000)
    ]
    with pytest.raises(InputError, match="given twice"):
        parse_limits("high=8,high=9")


def test_a_file_without_alarms_of_a_device_says_so(good: Path) -> None:
    judged = document(good, *COLUMNS, "--limits", "high=8", "--calibrated", "--compare-device")
    assert judged["notes"] == ["the file states no alarms of a device to compare with"]
    assert judged["verdict"] == "accept"
