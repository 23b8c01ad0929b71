"""Seeds of the simulation that every run of the tests lives through. More: `make simulate SEEDS=n FIRST_SEED=k`."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.simulation.world import run_seed

SEEDS = 200
ROOT = Path(__file__).parents[2]
REPLAYED = (3, 8, 11)


def run_simulation(*options: str, hash_seed: str = "0") -> subprocess.CompletedProcess[str]:
    return subprocess.run(  # noqa: S603  our own module
        [sys.executable, "-m", "tests.simulation", *options],
        cwd=ROOT,
        env={**os.environ, "PYTHONHASHSEED": hash_seed},
        capture_output=True,
        text=True,
        check=False,
    )


def test_whatever_goes_wrong_nothing_is_lost_doubled_or_altered() -> None:
    done = run_simulation("--seeds", str(SEEDS), "--first", "1", "--workers", str(os.cpu_count() or 1))
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("seed", REPLAYED)
def test_a_seed_tells_the_same_story_again(seed: int) -> None:
    outcome = run_seed(seed)
    assert outcome.sealed
    again = run_simulation("--story", "--seeds", "1", "--first", str(seed), hash_seed="77")
    lines = again.stdout.splitlines()
    assert lines[:-1] == outcome.story.lines
    assert lines[-1] == f"story {outcome.story.fingerprint}"
