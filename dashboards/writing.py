"""The dashboards as JSON."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from grafana_foundation_sdk.cog.encoder import JSONEncoder

from dashboards import breaches, fleet, journey, quality

FOLDER = Path(__file__).parent / "generated"


def build_all() -> dict[str, dict[str, Any]]:
    """Return each dashboard's JSON by its file name."""
    built = [part.build().build() for part in (journey, fleet, quality, breaches)]
    plain = [json.loads(JSONEncoder().encode(dashboard)) for dashboard in built]
    return {f"{document['uid']}.json": _prune(document) for document in plain}


def write_all(folder: Path) -> Iterator[Path]:
    """Write all files; yield their paths."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, document in build_all().items():
        path = folder / name
        path.write_text(to_text(document), encoding="utf-8")
        yield path


def _prune(document: dict[str, Any]) -> dict[str, Any]:
    """Take out what the SDK adds of newer or older versions and Grafana's own types do not know."""
    for link in document["links"]:
        link.pop("placement", None)
    for variable in document["templating"]["list"]:
        for name in ("auto", "auto_min", "auto_count"):
            variable.pop(name, None)
    for panel in document["panels"]:
        panel["options"].pop("footer", None)
    return document


def to_text(document: dict[str, Any]) -> str:
    """Return the text of a file: sorted, so that a change shows as what it is."""
    return json.dumps(document, indent=1, sort_keys=True, ensure_ascii=False) + "\n"
