from __future__ import annotations

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft7Validator

from dashboards.lint import find_faults
from dashboards.writing import FOLDER, build_all, to_text

SCHEMAS = json.loads((FOLDER.parent / "schema" / "grafana.schema.json").read_text())["schemas"]
BUILT = build_all()
KINDS = {"state-timeline": "statetimeline"}


def faults_of(schema: str, value: object) -> list[str]:
    validator = Draft7Validator(SCHEMAS[schema])
    return [f"{'/'.join(map(str, error.path))}: {error.message}" for error in validator.iter_errors(value)]


@pytest.mark.parametrize("name", BUILT)
def test_what_is_committed_is_what_the_code_says(name: str) -> None:
    assert (FOLDER / name).read_text(encoding="utf-8") == to_text(BUILT[name]), "run python -m dashboards"


def test_nothing_else_is_committed() -> None:
    assert {path.name for path in FOLDER.iterdir()} == set(BUILT)


@pytest.mark.parametrize("name", BUILT)
def test_a_dashboard_is_what_grafana_s_own_types_say(name: str) -> None:
    document = BUILT[name]
    assert faults_of("dashboard", document) == []
    for panel in document["panels"]:
        kind = KINDS.get(panel["type"], panel["type"])
        assert faults_of("panel", panel) == []
        assert faults_of(f"{kind}.options", panel["options"]) == []
        custom = panel["fieldConfig"]["defaults"].get("custom")
        assert custom is None or faults_of(f"{kind}.custom", custom) == []


@pytest.mark.parametrize("name", BUILT)
def test_a_dashboard_is_fit(name: str) -> None:
    assert find_faults(BUILT[name]) == []


def test_the_schema_refuses_what_grafana_does_not_know() -> None:
    spoilt = copy.deepcopy(next(iter(BUILT.values())))
    spoilt["panels"][0]["fieldConfig"]["defaults"]["custom"]["lineInterpolation"] = "wavy"
    spoilt["editabel"] = True
    assert faults_of("dashboard", spoilt)
    assert faults_of("timeseries.custom", spoilt["panels"][0]["fieldConfig"]["defaults"]["custom"])


def _set(*path: str | int, value: object) -> Callable[[dict[str, Any]], None]:
    def spoil(document: dict[str, Any]) -> None:
        target: Any = document
        for step in path[:-1]:
            target = target[step]
        target[path[-1]] = value

    return spoil


def _replace(old: str, new: str) -> Callable[[dict[str, Any]], None]:
    def spoil(document: dict[str, Any]) -> None:
        target = document["panels"][0]["targets"][0]
        assert old in target["query"]
        target["query"] = target["query"].replace(old, new)

    return spoil


@pytest.mark.parametrize(
    ("spoil", "fault"),
    [
        (_set("uid", value=""), "no uid"),
        (_set("timezone", value=""), "no timezone"),
        (_set("id", value=7), "an id: it belongs to one installation"),
        (_set("panels", 1, "id", value=1), "panels without an id, or with the same"),
        (_set("templating", "list", 0, "query", value="prometheus"), "the data source is not a variable"),
        (_set("panels", 0, "description", value=""), "no description"),
        (_set("panels", 0, "fieldConfig", "defaults", "unit", value=""), "no unit"),
        (_set("panels", 0, "fieldConfig", "defaults", "custom", "spanNulls", value=True), "spanNulls"),
        (_set("panels", 0, "interval", value=""), "no least interval"),
        (_set("panels", 0, "fieldConfig", "defaults", "min", value=0), "what is lower would not be seen"),
        (_set("panels", 0, "fieldConfig", "defaults", "noValue", value="0"), "nothing would look like 0 °C"),
        (_set("panels", 0, "gridPos", "x", value=20), "wider than the grid"),
        (_set("panels", 0, "targets", 0, "datasource", "uid", value="abc"), "a fixed data source"),
        (_replace("$timeFilter", "time > now() - 1d"), "no $timeFilter"),
        (_replace("fill(null)", "fill(previous)"), "fill() hides gaps"),
        (_replace("fill(null)", "fill(0)"), "fill() hides gaps"),
        (_replace("$__interval", "5m"), "not decimated"),
        (_replace("fill(null)", "fill(null) SLIMIT 5"), "not every InfluxDB answers it"),
        (_replace("${logger:regex}", "${box:regex}"), "an unknown variable $box"),
    ],
)
def test_the_lint_sees(spoil: Callable[[dict[str, Any]], None], fault: str) -> None:
    document = copy.deepcopy(BUILT["coldchain-journey.json"])
    spoil(document)
    assert any(fault in found for found in find_faults(document))


def test_a_mean_alone_is_seen() -> None:
    document = copy.deepcopy(BUILT["coldchain-journey.json"])
    document["panels"][0]["targets"][0]["query"] = (
        'SELECT mean("temperature_c") FROM "reading" WHERE $timeFilter GROUP BY time($__interval) fill(null)'
    )
    assert any("a mean alone" in found for found in find_faults(document))


def test_provisioning_names_what_is_there() -> None:
    folder = Path(FOLDER).parent / "provisioning"
    provider = (folder / "dashboards" / "coldchain.yaml").read_text()
    assert "path: /etc/grafana/coldchain" in provider
    sources = (folder / "datasources" / "coldchain.yaml").read_text()
    assert sources.count("version: InfluxQL") == 2
    assert "httpHeaderValue1: Token $COLDCHAIN_INFLUX_TOKEN" in sources
