"""Spent life: what one view knows of one life."""

from __future__ import annotations

import msgspec


class Spent(msgspec.Struct, array_like=True):
    """What one view knows of one life.

    clocks      ms spent, one for each allowance, step or cap; for a rate law its damage
    step        sequential: the step whose clock runs
    run_step    sequential: a later step visited, not yet for longer than its dwell; run_ms how long
    returned_ms sequential: time back in an earlier band
    unstated_ms time at temperatures of which the life says nothing
    spent_at_ms when the fraction reached 1, None if it has not
    """

    clocks: list[float]
    step: int = 0
    run_step: int | None = None
    run_ms: float = 0.0
    returned_ms: float = 0.0
    unstated_ms: float = 0.0
    spent_at_ms: int | None = None
