"""The sample settings are valid, and the units start commands that exist."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway.hub.settings import HubSettings
from gateway.settings import Settings, load_settings
from gateway.vehicle.settings import VehicleSettings

DEPLOY = Path(__file__).parents[1] / "deploy"


@pytest.mark.parametrize(("side", "model"), [("vehicle", VehicleSettings), ("hub", HubSettings)])
def test_sample_settings_are_valid_and_the_unit_names_them(side: str, model: type[Settings]) -> None:
    settings = load_settings(model, DEPLOY / f"{side}.toml")
    assert settings
    unit = (DEPLOY / f"coldchain-{side}.service").read_text(encoding="utf-8")
    assert f"/opt/coldchain/.venv/bin/coldchain {side} --settings /etc/coldchain/{side}.toml" in unit
    state = next(line for line in unit.splitlines() if line.startswith("StateDirectory="))
    assert (DEPLOY / f"{side}.toml").read_text(encoding="utf-8").count(f'"/var/lib/{state.partition("=")[2]}"') == 1
