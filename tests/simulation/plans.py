"""What one seed stands for: how long, how many, how often what goes wrong."""

from __future__ import annotations

import random
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Faults:
    """Mean seconds between occurrences; None: never in this run."""

    network_cut: float | None
    hub_network_cut: float | None
    broker_restart: float | None
    power_cut: float | None
    hub_kill: float | None
    hub_restore: float | None
    disk_refusal: float | None
    hub_disk_refusal: float | None
    bit_rot: float | None
    clock_step: float | None
    card_copy: float | None
    card_swap: float | None
    radio_silence: float | None


@dataclass(frozen=True, slots=True)
class Plan:
    """Times in seconds. `calm_s` is when all faults end."""

    seed: int
    calm_s: float
    loggers: int
    interval_s: int
    window_bytes: int
    max_bytes: int
    loss: float
    repetition: float
    delay_s: float
    broker_forgets: float
    answer_lost: float
    untrusted_boot: float
    slow_disk_s: float
    memory_fails: float
    excursions: int
    faults: Faults


SEGMENTS, SEGMENTS_OF_LONG = 30, 60
"""Sealed in one run, about: they are what costs real time. Each tenth run is a long one."""


def draw_plan(seed: int) -> Plan:
    """Draw everything from the seed. Each kind of fault is there in some runs only, so that each is also seen alone."""
    rng = random.Random(f"plan {seed}")  # noqa: S311  reproducible
    hours = rng.choice([1, 1, 2, 2, 3, 4, 4, 6, 8, 12, 24, 48])
    calm_s = hours * 3600.0
    segments = SEGMENTS if seed % 10 else SEGMENTS_OF_LONG

    def sometimes(chance: float, times: float) -> float | None:
        return calm_s / times if rng.random() < chance else None

    return Plan(
        seed=seed,
        calm_s=calm_s,
        loggers=rng.choice([1, 1, 1, 2, 2, 3, 5]),
        interval_s=min(3600, max(30, round(calm_s / segments / 30) * 30)),
        window_bytes=rng.choice([1024, 4096, 256 * 1024]),
        max_bytes=rng.choice([1 << 30, 1 << 30, 1 << 30, 20_000]),
        loss=rng.choice([0.0, 0.0, 0.05, 0.4]),
        repetition=rng.choice([0.0, 0.05, 0.5]),
        delay_s=rng.choice([0.01, 0.5, 30.0]),
        broker_forgets=rng.choice([0.0, 0.5, 1.0]),
        answer_lost=rng.choice([0.0, 0.3]),
        untrusted_boot=rng.choice([0.0, 0.0, 0.5]),
        slow_disk_s=rng.choice([0.0, 0.0, 2.0]),
        memory_fails=rng.choice([0.0, 0.3, 0.7]),
        excursions=rng.randint(0, 3),
        faults=Faults(
            network_cut=sometimes(0.7, 5),
            hub_network_cut=sometimes(0.3, 2),
            broker_restart=sometimes(0.5, 3),
            power_cut=sometimes(0.6, 5),
            hub_kill=sometimes(0.4, 2),
            hub_restore=sometimes(0.2, 1.5),
            disk_refusal=sometimes(0.4, 4),
            hub_disk_refusal=sometimes(0.3, 3),
            bit_rot=sometimes(0.15, 1.5),
            clock_step=sometimes(0.15, 1.5),
            card_copy=sometimes(0.1, 2),
            card_swap=sometimes(0.1, 1),
            radio_silence=sometimes(0.6, 6),
        ),
    )
