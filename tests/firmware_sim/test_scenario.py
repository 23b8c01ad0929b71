import json
from copy import deepcopy
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from firmware_sim import scenario
from firmware_sim.scenario import ScenarioError

START = datetime.fromisoformat("2026-03-10T08:00:00+01:00")


def at(minutes: int) -> datetime:
    return START + timedelta(minutes=minutes)


def tables() -> dict[str, Any]:
    def box(number: int) -> dict[str, Any]:
        return {
            "code": f"BOX-{number}",
            "kind": "eps",
            "place": "cabin",
            "payload": {"mass_kg": 1, "temperature_c": 5},
            "logger": {"address": f"C0:FF:EE:00:00:0{number}"},
        }

    return {
        "clock": {"start": at(0), "stop": at(300), "rate": 240},
        "weather": {"curve": [{"at": at(0), "temperature_c": -5.0}, {"at": at(60), "temperature_c": -6.0}]},
        "places": {"cabin": {"heated_to_c": 21.0}},
        "boxes": [box(1), box(2)],
    }


def test_defaults_are_those_of_the_firmware() -> None:
    logger = scenario.parse(tables()).boxes[0].logger
    assert (logger.tx_interval_s, logger.heartbeat_s, logger.memory, logger.memory_interval_s) == (
        1.285,
        2.57,
        True,
        300,
    )


def test_whole_scenario_as_json() -> None:
    given = tables()
    given["consignments"] = [{"code": "K-1", "items": [{"code": "1", "taken_at": at(5)}]}]
    given["profiles"] = [{"name": "x", "anything": {"goes": True}}]
    given["demo"] = {"greeting": "hei"}
    given["events"] = [
        {"kind": "network_down", "from": at(1), "to": at(2)},
        {"kind": "kill_vehicle", "at": at(3)},
    ]
    shown = json.loads(scenario.parse(given).as_json())
    assert shown["clock"] == {"start": "2026-03-10T08:00:00+01:00", "stop": "2026-03-10T13:00:00+01:00", "rate": 240}
    assert shown["consignments"] == [{"code": "K-1", "items": [{"code": "1", "taken_at": "2026-03-10T08:05:00+01:00"}]}]
    assert shown["profiles"] == given["profiles"]
    assert shown["demo"] == given["demo"]
    assert shown["events"][0] == {
        "kind": "network_down",
        "from": "2026-03-10T08:01:00+01:00",
        "to": "2026-03-10T08:02:00+01:00",
    }
    assert shown["events"][1]["restart_after_s"] == 60
    assert shown["boxes"][0]["logger"]["drift_ppm"] == 0


def set_in(table: dict[str, Any], path: tuple[str | int, ...], value: object) -> None:
    *parents, last = path
    for part in parents:
        table = table[part]
    if value is None:
        del table[last]
    else:
        table[last] = value


MISTAKES = [
    (("colour",), 1, "colour: unknown key"),
    (("clock",), None, "clock: Field required"),
    (("clock", "rate"), "fast", "clock.rate: "),
    (("clock", "rate"), 0, "clock.rate: "),
    (("clock", "stop"), at(-1), "clock.stop: .* is not after "),
    (("clock", "start"), datetime(2026, 3, 10, 8), "clock.start: .*timezone"),  # noqa: DTZ001 - the mistake
    (("weather", "curve"), [], "weather.curve: "),
    (("weather", "curve", 1, "at"), at(0), "weather.curve.1.at: "),
    (("boxes",), [], "boxes: "),
    (("boxes", 1, "kind"), "steel", "boxes.1.kind: "),
    (("boxes", 1, "place"), "roof", "boxes.1.place: there is no place 'roof'"),
    (("boxes", 1, "code"), "BOX-1", "boxes.1.code: 'BOX-1' is there twice"),
    (("boxes", 1, "logger", "address"), "C0:FF:EE:00:00:01", "boxes.1.logger.address: .* twice"),
    (("boxes", 1, "logger", "address"), "c0ffee", "boxes.1.logger.address: "),
    (("boxes", 0, "logger", "battery"), 5, "boxes.0.logger.battery: unknown key"),
    (("boxes", 0, "logger", "maker"), "acme", "boxes.0.logger.maker: 'acme' is none of ruuvi, "),
    (("boxes", 0, "logger", "model"), "Pro", "boxes.0.logger.model: has no models"),
    (("boxes", 0, "logger", "bindkey"), "00" * 16, "boxes.0.logger.bindkey: a logger of ruuvi does not encrypt"),
    (("boxes", 0, "logger", "bindkey"), "00", "boxes.0.logger.bindkey: "),
    (("boxes", 0, "payload", "mass_kg"), -1, "boxes.0.payload.mass_kg: "),
    (("boxes", 0, "payload", "mass_kg"), "1", "boxes.0.payload.mass_kg: "),
    (("boxes", 0, "lid_open"), [{"from": at(2), "to": at(1)}], "boxes.0.lid_open.0.to: "),
    (("events",), [{"kind": "rain"}], "events.0: "),
    (("events",), [{"kind": "kill_vehicle", "at": 3}], "events.0.at: "),
    (("events",), [{"kind": "network_down", "from": at(2), "to": at(2)}], "events.0.to: "),
]


@pytest.mark.parametrize(("path", "value", "message"), MISTAKES)
def test_each_mistake_is_named(path: tuple[str | int, ...], value: object, message: str) -> None:
    given = deepcopy(tables())
    set_in(given, path, value)
    with pytest.raises(ScenarioError, match=message):
        scenario.parse(given)


def test_several_mistakes_are_counted() -> None:
    given = tables()
    given["colour"] = given["shape"] = 1
    with pytest.raises(ScenarioError, match=r"unknown key \(and 1 more\)"):
        scenario.parse(given)


def test_broken_toml_names_its_place(tmp_path: Path) -> None:
    file = tmp_path / "bad.toml"
    file.write_text("[clock]\nstart = \n", encoding="utf-8")
    with pytest.raises(ScenarioError, match="line 2"):
        scenario.load(file)
    file.write_bytes(b"\xff")
    with pytest.raises(ScenarioError, match="not UTF-8"):
        scenario.load(file)
