"""The benchmark runs and says what it is asked for; how fast is nobody's test."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_the_benchmark_runs() -> None:
    command = [sys.executable, str(ROOT / "benchmarks" / "engine.py"), "--readings", "300", "--repeats", "1", "--json"]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT)  # noqa: S603  our own script
    said = json.loads(done.stdout)
    assert [one["profile"] for one in said["profiles"]] == ["simplest", "one life", "richest"]
    for one in said["profiles"]:
        assert one["in_order_per_s"] > 0
        assert one["late_per_s"] > 0
        assert max(one["state_bytes"], one["troubled_state_bytes"]) <= said["state_goal_bytes"]
