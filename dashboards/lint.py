"""What a reviewer of a dashboard looks for, and no schema says. Pure: a document in, findings out."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

NOT_EVERYWHERE = re.compile(
    r"\b(SLIMIT|SOFFSET|INTEGRAL|SAMPLE|HOLT_WINTERS|INTO|SHOW\s+SERIES|SHOW\s+DATABASES|CARDINALITY)\b|\|>",
    re.IGNORECASE,
)
"""Flux, and parts of InfluxQL, that InfluxDB 3 does not answer."""
HIDING_FILL = re.compile(r"fill\((?!null\)|none\))", re.IGNORECASE)
NAMES = re.compile(r"\$\{?(\w+)")
OF_GRAFANA = {"timeFilter", "__interval", "__interval_ms", "col"}
GRAPHS = {"timeseries", "state-timeline"}
LIMITS = re.compile(r"upper limit|lower limit")
COLUMNS = 24


def find_faults(document: dict[str, Any]) -> list[str]:
    """Return what is wrong with a dashboard, one sentence each; nothing if it is fit."""
    faults = list(_dashboard_faults(document))
    known = {variable["name"] for variable in document["templating"]["list"]} | OF_GRAFANA
    for panel in document["panels"]:
        title = panel.get("title") or f"panel {panel.get('id')}"
        faults += [f"{title}: {fault}" for fault in (*_panel_faults(panel), *_query_faults(panel, known))]
    return faults


def _dashboard_faults(document: dict[str, Any]) -> Iterator[str]:
    for name in ("uid", "title", "description", "timezone"):
        if not document.get(name):
            yield f"no {name}"
    if document.get("id"):
        yield "an id: it belongs to one installation"
    variables = document["templating"]["list"]
    if [one["query"] for one in variables if one["type"] == "datasource"] != ["influxdb"]:
        yield "the data source is not a variable"
    ids = [panel.get("id") for panel in document["panels"]]
    if None in ids or len(set(ids)) < len(ids):
        yield "panels without an id, or with the same"
    for variable in variables:
        if variable["type"] == "query" and NOT_EVERYWHERE.search(variable["query"]):
            yield f"variable {variable['name']}: not every InfluxDB answers it"
        if variable["type"] == "query" and variable["datasource"]["uid"] != "${ds}":
            yield f"variable {variable['name']}: a fixed data source"


def _panel_faults(panel: dict[str, Any]) -> Iterator[str]:
    for name in ("title", "description"):
        if not panel.get(name):
            yield f"no {name}"
    defaults = panel["fieldConfig"]["defaults"]
    if not defaults.get("unit"):
        yield "no unit"
    if defaults.get("unit") == "celsius" and defaults.get("noValue") == "0":
        yield "nothing would look like 0 °C"
    lowest = (re.search(r"\bmin\(", target["query"], re.IGNORECASE) for target in panel["targets"])
    if panel["type"] == "timeseries" and defaults.get("min") is not None and any(lowest):
        yield "the axis begins at a fixed value: what is lower would not be seen"
    place = panel["gridPos"]
    if place["x"] + place["w"] > COLUMNS:
        yield "wider than the grid"
    if panel["type"] in GRAPHS:
        # A state timeline does not span them unless it is told to; a time series is told not to.
        if defaults.get("custom", {}).get("spanNulls", panel["type"] == "timeseries") is not False:
            yield "spanNulls would draw over gaps"
        if not panel.get("interval"):
            yield "no least interval: zoomed in, every pause between two readings would look like a gap"


def _query_faults(panel: dict[str, Any], known: set[str]) -> Iterator[str]:
    refs = [target["refId"] for target in panel["targets"]]
    if len(set(refs)) < len(refs):
        yield "two queries of one name"
    for target in panel["targets"]:
        query = target["query"]
        if target["datasource"]["uid"] != "${ds}":
            yield "a fixed data source"
        if target["resultFormat"] == "table" and not re.search(r"LIMIT \d+|GROUP BY", query):
            yield "a table without an end"
        yield from (fault for fault, is_there in CHECKS.items() if is_there(query))
        if panel["type"] in GRAPHS:
            yield from (fault for fault, is_there in GRAPH_CHECKS.items() if is_there(query))
        for name in NAMES.findall(query):
            if name not in known and not name.startswith("tag_"):
                yield f"an unknown variable ${name}"


def _has_a_lonely_mean(query: str) -> bool:
    calls = {name.lower() for name in re.findall(r"\b(mean|max|min)\(", query, re.IGNORECASE)}
    return calls == {"mean"}


def _has_a_fixed_limit(query: str) -> bool:
    return bool(LIMITS.search(query)) and not re.search(r"\$\{(low|high)_c\}", query)


CHECKS: dict[str, Callable[[str], object]] = {
    "no $timeFilter": lambda query: "$timeFilter" not in query,
    "not every InfluxDB answers it": NOT_EVERYWHERE.search,
    "fill() hides gaps": HIDING_FILL.search,
    "a mean alone hides excursions": _has_a_lonely_mean,
    "a limit that is not the consignment's": _has_a_fixed_limit,
}
GRAPH_CHECKS: dict[str, Callable[[str], object]] = {
    "not decimated by $__interval": lambda query: "GROUP BY time($__interval)" not in query,
    "no fill(null): gaps would not be seen": lambda query: "fill(null)" not in query,
}
