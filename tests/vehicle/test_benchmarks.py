"""The benchmarks run, in little; what they measure is looked at by people."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from pathlib import Path

from firmware_sim import scenario

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


def test_every_kind_of_advertisement_is_measured_and_understood() -> None:
    command = [
        sys.executable,
        str(BENCHMARKS / "radio.py"),
        "--packets",
        "200",
        "--repeats",
        "1",
        "--no-rivals",
        "--json",
    ]
    run = subprocess.run(command, capture_output=True, text=True, check=True)  # noqa: S603  our own script
    rates = {(rate["who"], rate["kind"]): rate for rate in json.loads(run.stdout)}
    understood = {who_and_kind: rate["understood"] for who_and_kind, rate in rates.items()}
    assert understood["coldchain", "own, new (RuuviTag)"] == understood["ruuvitag-ble", "own, new (RuuviTag)"] == 200
    assert understood["coldchain", "own, new (BTHome)"] == understood["bthome-ble", "own, new (BTHome)"] == 200
    assert understood["coldchain", "own, repeated"] == 50
    assert understood["coldchain", "foreign"] == 0


def test_the_vehicles_trip_is_well_formed(tmp_path: Path) -> None:
    spec = importlib.util.spec_from_file_location("vehicle_benchmark", BENCHMARKS / "vehicle.py")
    assert spec is not None
    assert spec.loader is not None
    benchmark = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = benchmark  # its dataclass looks there
    spec.loader.exec_module(benchmark)
    benchmark.write_scenario(tmp_path / "trip.toml", 300)
    trip = scenario.load(tmp_path / "trip.toml")
    assert len({box.logger.address for box in trip.boxes}) == 300
    assert {box.logger.tx_interval_s for box in trip.boxes} == {1.0}
