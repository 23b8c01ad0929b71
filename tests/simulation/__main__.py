"""python -m tests.simulation --seeds N --first K: run seeds, print the story of each that fails."""

from __future__ import annotations

import argparse
import sys
import time
from concurrent.futures import ProcessPoolExecutor

from tests.simulation.world import run_seed

STORY_LINES = 400


def _run(seed: int) -> tuple[int, str, list[str], int, int]:
    outcome = run_seed(seed)
    lines = outcome.story.lines if outcome.failure else []
    return seed, outcome.failure, lines, outcome.sealed, outcome.boots


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.simulation", description=__doc__)
    parser.add_argument("--seeds", type=int, default=200, help="how many")
    parser.add_argument("--first", type=int, default=1, help="the first one")
    parser.add_argument("--workers", type=int, default=2, help="processes")
    parser.add_argument("--story", action="store_true", help="print the whole story of each seed, in this process")
    options = parser.parse_args()
    seeds = range(options.first, options.first + options.seeds)
    if options.story:
        for seed in seeds:
            outcome = run_seed(seed)
            print(*outcome.story.lines, f"story {outcome.story.fingerprint}", sep="\n")  # noqa: T201  a command
        return 0
    began_s, failed, sealed, boots = time.monotonic(), [], 0, 0
    with ProcessPoolExecutor(options.workers) as pool:
        for seed, failure, lines, observations, starts in pool.map(_run, seeds):
            sealed, boots = sealed + observations, boots + starts
            print(f"seed {seed}: {failure or 'complete'}", flush=True)  # noqa: T201  a command
            if failure:
                failed.append(seed)
                print(f"--- seed {seed}", *lines[-STORY_LINES:], sep="\n")  # noqa: T201  a command
                print(f"--- seed {seed} failed: {failure}", flush=True)  # noqa: T201  a command
    spent_s = time.monotonic() - began_s
    print(  # noqa: T201  a command
        f"{len(seeds)} seeds from {options.first}: {len(failed)} failed {failed or ''}; "
        f"{sealed} observations sealed, {boots} boots, {spent_s:.0f} s"
    )
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
