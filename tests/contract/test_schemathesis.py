"""What the description promises, held against a hub with data by a program that reads nothing else (schemathesis).

Every check is on: no 5xx, no answer, header or content type that is not described, no wrong method taken, nothing that
the schema forbids accepted, nothing without authentication. The run is derandomised. `CONTRACT_CASES=100` tries so many
cases of each operation, and each bound of each field besides.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from gateway.hub.access import passwords
from gateway.hub.api import notification
from tests.contract.hubs import Hub, running_hub

CASES = int(os.environ.get("CONTRACT_CASES", "0"))
SHORT_CASES = 4
RUN_TIMEOUT_S = 1200 if not CASES else 7200
"""It takes half a minute; a busy machine may take several times as long."""
_ONLY_ACCEPTED_OR_REFUSED_BY_A_RULE = """
# A schema cannot say that a box must be registered, or that an end comes after its begin: such rules answer 422.
[checks.positive_data_acceptance]
expected-statuses = ["2xx", "401", "403", "404", "409", "422"]
"""
_QUIRKS = """
# An unknown header is nobody's business; schemathesis counts it as forbidden where an operation has headers of its own.
[[operations]]
include-path = "/api/v1/events"
[operations.phases.coverage]
enabled = false
# Sets may be sent as lists that say something twice.
[[operations]]
include-path = "/api/v1/notification/policies/{name}"
[operations.phases.coverage]
enabled = false
"""
_ONLY_IN_LONG_RUNS = """
# Each bound of each field in turn: thousands of requests.
[phases.coverage]
enabled = false
"""
_ROLES = {
    "quality": ("review", "alerts"),
    "laboratory_doctor": ("decisions",),
}
"""Who asks, by the tags of operations; anything else is asked by the administrator."""


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Hub:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(passwords, "_hasher", passwords.PasswordHasher(time_cost=1, memory_cost=64))
        patch.setattr(notification, "send_test", lambda *_: {})  # what is generated is not sent to the world
        with running_hub(tmp_path_factory.mktemp("hub"), streams_end=True) as running:
            yield running


def settings_for(hub: Hub) -> str:
    """Return what schemathesis is told: whose token goes with which operation, and what is no fault."""
    parts = [_ONLY_ACCEPTED_OR_REFUSED_BY_A_RULE, _QUIRKS if CASES else _ONLY_IN_LONG_RUNS]
    for role, tags in _ROLES.items():
        parts += [_asked_by(hub, role, f'include-tag = "{tag}"') for tag in tags]
    parts.append(_asked_by(hub, "gateway", 'include-name = "POST /api/v1/breaches"'))
    return f'headers = {{ Authorization = "Bearer {hub.tokens["admin"]}" }}\n' + "\n".join(parts)


def _asked_by(hub: Hub, who: str, which: str) -> str:
    return f'[[operations]]\n{which}\nheaders = {{ Authorization = "Bearer {hub.tokens[who]}" }}\n'


def test_the_hub_keeps_what_its_description_promises(hub: Hub, tmp_path: Path) -> None:
    settings = tmp_path / "schemathesis.toml"
    settings.write_text(settings_for(hub))
    command = (
        *(sys.executable, "-c", "from schemathesis.cli import schemathesis; schemathesis()"),
        *("--config-file", str(settings), "run", f"{hub.url}/api/openapi.json"),
        *("--checks", "all", "--seed", "1", "--generation-deterministic", "--max-examples", str(CASES or SHORT_CASES)),
        *("--no-color", "--no-shrink", "--continue-on-failure", "--suppress-health-check", "all"),
    )
    ran = subprocess.run(  # noqa: S603  our own
        command, cwd=tmp_path, capture_output=True, text=True, timeout=RUN_TIMEOUT_S, check=False
    )
    found = ran.stdout.rpartition("= FAILURES =")[2]
    assert ran.returncode == 0, found + ran.stderr
    assert "Selected: " in ran.stdout
    assert "5xx" not in ran.stdout.rpartition("SUMMARY")[2]
