"""How fast the engine folds readings, and how much it remembers: ``.venv/bin/python benchmarks/engine.py [--json]``.

Figures are relative to a loop that only compares each reading with a limit, measured in the same run, so that they say
something on any machine. The goal for memory is 4 KiB for an active item.
"""  # noqa: INP001  a script, not a package

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime

import click

from gateway.core.configuration import Calibration, Carriage, Configuration, Consignment, Examination, Item, Logger
from gateway.core.evaluator import Evaluator, State, encode_state
from gateway.core.exposure import Stretch
from gateway.core.figures import CalibrationSpan
from gateway.core.judgement import ConsignmentJudge
from gateway.core.observations import Observation, Source
from gateway.core.profiles import Kind, Profile
from gateway.core.readings import Reading

BEGIN = datetime(2026, 3, 10, 7, 0, tzinfo=UTC)
BEGIN_MS = round(BEGIN.timestamp() * 1000)
INTERVAL_S = 30
BOX, LOGGER = "BOX-1", "C0:FF:EE:00:00:01"
STATE_GOAL_BYTES = 4096
LATE_EACH = 100

COMMON = {"title": "Measured", "owner": "benchmark", "source": "benchmark", "evidence": "verified", "kind": "sample"}
COLD, MILD = {"name": "cold", "from_c": 2, "to_c": 8}, {"name": "mild", "from_c": 8, "to_c": 25}
LIMITS = [
    {"name": "hot", "above_c": 8, "single": "30 min", "cumulative": "60 min"},
    {"name": "cold-limit", "below_c": 2, "single": "20 min", "cumulative": "40 min"},
]
ALTERNATIVE = {
    "kind": "alternative",
    "name": "alternative",
    "allowances": [{"band": "cold", "life": "900 d"}, {"band": "mild", "life": "300 d"}],
}
SEQUENTIAL = {
    "kind": "sequential",
    "name": "sequential",
    "steps": [{"band": "cold", "life": "900 d"}, {"band": "mild", "life": "300 d", "dwell": "30 min"}],
}
NESTED = {
    "kind": "nested",
    "name": "nested",
    "total": "900 d",
    "bands": ["cold", "mild"],
    "within": [{"band": "mild", "life": "300 d"}],
}
LAW = {
    "kind": "q10",
    "name": "law",
    "reference_c": 5,
    "reference_life": "900 d",
    "q10": 3,
    "valid_from_c": 0,
    "valid_to_c": 30,
}
PROFILES: dict[str, dict[str, object]] = {
    "simplest": {"limits": LIMITS[:1]},
    "one life": {"bands": [COLD, MILD], "lives": [ALTERNATIVE]},
    "richest": {
        "bands": [COLD, MILD],
        "lives": [ALTERNATIVE, SEQUENTIAL, NESTED, LAW],
        "limits": LIMITS,
        "forbidden": [{"name": "freezing", "below_c": 0}, {"name": "heat", "above_c": 30, "dwell": "15 min"}],
    },
}


@dataclass(frozen=True)
class Outcome:
    """What was measured of one profile.

    in_order_per_s, late_per_s   readings per second; late: one in LATE_EACH comes after those that followed it
    times_a_comparison           how many bare comparisons one reading in order costs
    state_bytes                  memory of an active item after a calm day, and after the most troubled one
    """

    profile: str
    in_order_per_s: float
    late_per_s: float
    times_a_comparison: float
    state_bytes: int
    troubled_state_bytes: int


def make_profile(name: str) -> Profile:
    """Return one of PROFILES as a profile."""
    return Profile.model_validate({"id": name.replace(" ", "-"), **COMMON, **PROFILES[name]})


def calm(count: int) -> list[Reading]:
    """Return readings of a cold box: around 5 °C, resolved to 0.005 °C, never near a limit."""
    return [
        _reading(place, round(5 + math.sin(place / 500) + 0.3 * math.sin(place * 1.7), 2)) for place in range(count)
    ]


def troubled(count: int) -> list[Reading]:
    """Return readings that leave an excursion and a gap every hour."""
    per_hour = 3600 // INTERVAL_S
    return [
        _reading(place, 9.0 if place % per_hour < per_hour // 4 else 1.0 if place % per_hour < per_hour // 2 else 5.0)
        for place in range(count)
        if place % per_hour < 3 * per_hour // 4
    ]


def _reading(place: int, temperature_c: float) -> Reading:
    at_ms = BEGIN_MS + place * INTERVAL_S * 1000
    return Reading(at_ms, temperature_c, INTERVAL_S, Source.LIVE, clock_trusted=True, counter=place & 0xFFFF)


def fold(profile: Profile, readings: Sequence[Reading]) -> State:
    """Fold readings in order, from nothing."""
    evaluator = Evaluator(
        profile,
        (Stretch(BEGIN_MS, None, BOX),),
        uncertainty_by_box_c={BOX: 0.2},
        calibration_by_box={BOX: CalibrationSpan(0, BEGIN_MS * 2)},
    )
    state = evaluator.begin()
    evaluator.push(state, BOX, readings)
    return state


def compare(readings: Sequence[Reading]) -> int:
    """Compare each reading with a limit, and nothing else."""
    beyond = 0
    for reading in readings:
        if reading.temperature_c > 8.0:  # noqa: PLR2004  any limit will do
            beyond += 1
    return beyond


def judge_late(profile: Profile, readings: Sequence[Reading]) -> None:
    """Judge as readings come in; of each LATE_EACH the middle one comes last."""
    judge = ConsignmentJudge(*_consignment_of(profile))
    observations = [_observation(reading) for reading in readings]
    for begin in range(0, len(observations), LATE_EACH):
        portion = observations[begin : begin + LATE_EACH]
        late = portion.pop(len(portion) // 2)
        judge.add(portion)
        judge.judgements(portion[-1].measured_at_ms if portion else late.measured_at_ms)
        judge.add([late])
        judge.judgements(observations[min(begin + LATE_EACH, len(observations)) - 1].measured_at_ms)


def _observation(reading: Reading) -> Observation:
    return Observation(
        LOGGER,
        reading.source,
        reading.at_ms,
        reading.clock_trusted,
        reading.at_ms - BEGIN_MS,
        reading.interval_s,
        round(reading.temperature_c * 1000),
        reading.counter,
    )


def _consignment_of(profile: Profile) -> tuple[Consignment, Configuration]:
    item = Item(code="T-1", kind=Kind.SAMPLE, examinations=(Examination(code="K", profile=profile.id),))
    calibration = Calibration(certificate="C-1", calibrated_at=BEGIN, due_at=BEGIN.replace(year=2030))
    configuration = Configuration(
        version=1,
        gateway="VAN-1",
        demonstration=True,
        loggers=(Logger(address=LOGGER, box=BOX, calibration=calibration),),
        profiles=(profile,),
    )
    return Consignment(code="S-1", items=(item,), carriage=(Carriage(box=BOX, begins=BEGIN),)), configuration


def best_of(times: int, work: Callable[[], object]) -> float:
    """Return the shortest of several durations in seconds of processor time: what else runs hardly matters."""
    durations = []
    for _ in range(times):
        began = time.process_time()
        work()
        durations.append(time.process_time() - began)
    return min(durations)


def measure(name: str, count: int, late_count: int, repeats: int) -> Outcome:
    """Measure one profile."""
    profile, readings = make_profile(name), calm(count)
    comparing_s = best_of(repeats, lambda: compare(readings))
    folding_s = best_of(repeats, lambda: fold(profile, readings))
    late_s = best_of(repeats, lambda: judge_late(profile, readings[:late_count]))
    return Outcome(
        profile=name,
        in_order_per_s=count / folding_s,
        late_per_s=late_count / late_s,
        times_a_comparison=folding_s / comparing_s,
        state_bytes=len(encode_state(fold(profile, readings[:2880]))),
        troubled_state_bytes=len(encode_state(fold(profile, troubled(5_000)))),
    )


@click.command(help=__doc__)
@click.option("--readings", default=50_000, show_default=True, help="readings folded in order")
@click.option("--late-readings", default=2_880, show_default=True, help="readings judged with late ones: a day")
@click.option("--repeats", default=3, show_default=True, help="of which the quickest counts")
@click.option("--json", "as_json", is_flag=True, help="write JSON")
def main(readings: int, late_readings: int, repeats: int, *, as_json: bool) -> None:
    """Measure all profiles and print."""
    outcomes = [measure(name, readings, min(readings, late_readings), repeats) for name in PROFILES]
    if as_json:
        click.echo(json.dumps({"state_goal_bytes": STATE_GOAL_BYTES, "profiles": [asdict(one) for one in outcomes]}))
        return
    click.echo("profile     in order/s   one late in 100/s   × a bare comparison   state, calm   state, troubled")
    for one in outcomes:
        click.echo(
            f"{one.profile:<10} {one.in_order_per_s:>11,.0f} {one.late_per_s:>19,.0f} {one.times_a_comparison:>21.1f}"
            f" {one.state_bytes:>11} B {one.troubled_state_bytes:>13} B"
        )
    most = max(max(one.state_bytes, one.troubled_state_bytes) for one in outcomes)
    met = "met" if most <= STATE_GOAL_BYTES else "missed"
    click.echo(f"goal for an active item: at most {STATE_GOAL_BYTES} B; the most is {most} B: {met}")


if __name__ == "__main__":
    main()
