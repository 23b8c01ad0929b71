"""The sample settings are valid, and the units start commands that exist."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway.cli.hub import command as hub_command
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


@pytest.mark.parametrize(
    ("name", "command"), [("ingest@", "ingest --name %l-%i"), ("watch@", "watch"), ("serve", "serve")]
)
def test_the_hub_in_processes_is_as_confined_as_in_one(name: str, command: str) -> None:
    unit = (DEPLOY / f"coldchain-hub-{name}.service").read_text(encoding="utf-8").splitlines()
    whole = (DEPLOY / "coldchain-hub.service").read_text(encoding="utf-8").splitlines()
    assert f"ExecStart=/opt/coldchain/.venv/bin/coldchain hub {command} --settings /etc/coldchain/hub.toml" in unit
    assert command.partition(" ")[0] in hub_command.commands
    assert "WantedBy=coldchain-hub.target" in unit
    confined = whole[whole.index("User=coldchain") : whole.index("[Install]")]
    assert [line for line in confined if line not in unit] == []
