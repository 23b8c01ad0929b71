"""The trip: read through the simulator's own check, and consistent with itself."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path
from typing import Any

import pytest

from gateway.core.errors import InputError
from gateway.demo.mishaps import list_mishaps
from gateway.demo.stage import default_scenario
from gateway.demo.trip import load_trip, parse_trip


@pytest.fixture
async def day() -> dict[str, Any]:
    """The tables of the day, as the simulator prints them."""
    trip = await load_trip(default_scenario())
    tables: dict[str, Any] = trip.model_dump(mode="json", by_alias=True)
    return tables


async def test_the_day_has_six_boxes_whose_loggers_are_calibrated() -> None:
    trip = await load_trip(default_scenario(), rate=480)
    assert trip.clock.rate == 480
    loggers = {logger.box: logger for logger in trip.registered_loggers()}
    assert len(loggers) == len(trip.registered_boxes()) == len(trip.consignments) == 6
    assert loggers["BOX-6"].memory_interval_s is None
    corrected = loggers["BOX-3"].calibration
    assert corrected is not None
    assert corrected.offset_c == 0.1
    assert corrected.certificate == "DEMO-2026/BOX-3"


async def test_what_happens_is_told_in_order() -> None:
    mishaps = list_mishaps(await load_trip(default_scenario()))
    assert [mishap.at_ms for mishap in mishaps] == sorted(mishap.at_ms for mishap in mishaps)
    texts = [mishap.text for mishap in mishaps]
    assert texts.index("dead zone: no network between vehicle and hub") < texts.index("the network is back")
    assert texts[-2:] == ["power cut: the gateway's process is killed", "the gateway starts again"]
    assert "BOX-6: the logger's battery is empty, and it has no memory" in texts


async def test_a_scenario_that_the_simulator_refuses_is_told_with_its_words(tmp_path: Path) -> None:
    path = tmp_path / "trip.toml"
    path.write_text("[clock]\nstart = 1\n", encoding="utf-8")
    with pytest.raises(InputError, match=r"trip\.toml: clock\.start: "):
        await load_trip(path)
    with pytest.raises(InputError, match="No such file"):
        await load_trip(tmp_path / "none.toml")


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ("consignments.0.items.0.examinations.0.profile=other", "there is no profile 'other'"),
        ("consignments.0.carriage.0.box=BOX-9", "no box 'BOX-9'"),
        ("demo.expected.0.item=OTHER", "demo.expected.0: names nothing that is carried"),
        ("profiles.0.id=UPPER", "profiles.0.id: "),
        ("events.0.kind=earthquake", "events.0: "),
    ],
)
async def test_what_contradicts_itself_is_refused(day: dict[str, Any], change: str, says: str) -> None:
    path, value = change.split("=")
    *way, last = [int(step) if step.isdecimal() else step for step in path.split(".")]
    place: Any = day
    for step in way:
        place = place[step]
    place[last] = value
    with pytest.raises(InputError, match=f"day: .*{says}"):
        parse_trip(json.loads(json.dumps(day)), where="day")


def test_the_profiles_count_for_the_demonstration_only() -> None:
    tables = tomllib.loads(default_scenario().read_text(encoding="utf-8"))
    assert {profile["evidence"] for profile in tables["profiles"]} == {"demonstration"}
    assert all(profile["id"].startswith("demo-") for profile in tables["profiles"])
    assert not any("status" in profile for profile in tables["profiles"])
