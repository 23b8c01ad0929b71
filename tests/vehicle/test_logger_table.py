"""docs/loggers.md says what the code does."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from firmware_sim.bluez import FakeBluez
from firmware_sim.makers.table import MAKERS
from gateway.core.configuration import Logger, LoggerKind
from gateway.vehicle.loggers.families import FAMILIES, OTHERS, Ear
from gateway.vehicle.loggers.measurement import Measurement, Packet
from gateway.vehicle.loggers.memories import MEMORIES
from gateway.vehicle.loggers.parsed import ParsedDecoder
from tests.vehicle.makers import KINDS, Simulated
from tests.vehicle.samples import TAG

ROOT = Path(__file__).parents[2]
NAMES = {
    "humidity": ("humidity_cpct",),
    "pressure": ("pressure_pa",),
    "battery": ("battery_mv", "battery_pct"),
    "light": ("light_lux",),
    "number": ("counter",),
}
BEYOND_THE_SIMULATED = {
    # BTHome sensors differ in what they measure: battery, temperature, humidity, pressure, light.
    LoggerKind.BTHOME: Packet(
        TAG,
        service_data={"0000fcd2-0000-1000-8000-00805f9b34fb": bytes.fromhex("40016102f40103131504138a0105138a14")},
    ),
    LoggerKind.OTHER: Packet(TAG, "GVH5075_1234", manufacturer_data={0xEC88: bytes.fromhex("000321476400")}),
}


def rows() -> dict[str, list[str]]:
    text = (ROOT / "docs" / "loggers.md").read_text(encoding="utf-8")
    lines = [line for line in text.splitlines() if line.startswith("| `") and line.count("|") == 7]
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    return {cell[0].strip("`"): cell[1:] for cell in cells if cell[0] != "`kind`"}


def test_every_kind_has_a_row() -> None:
    assert list(rows()) == [kind.value for kind in LoggerKind]


def test_memories_are_those_that_are_read() -> None:
    assert {kind for kind, row in rows().items() if row[4] != "–"} == {kind.value for kind in MEMORIES}


def test_parsers_are_those_in_use_and_among_the_dependencies() -> None:
    dependencies = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["dependencies"]
    installed = {line.partition(">")[0] for line in dependencies}
    for kind, family in FAMILIES.items():
        said = rows()[kind.value][1]
        decoders = [family.make(None) for family in OTHERS.values()] if family.others else [family.make(None)]
        for decoder in decoders:
            if not isinstance(decoder, ParsedDecoder):
                assert said == "us"
                continue
            parser = decoder._update.__self__  # type: ignore[attr-defined]  # a bound method
            package = type(parser).__module__.partition(".")[0].replace("_", "-")
            assert package in said
            assert package in installed


@pytest.mark.parametrize("kind", LoggerKind)
def test_what_a_kind_tells_is_what_its_loggers_say(kind: LoggerKind, bluez: FakeBluez) -> None:
    told = {name for packet in packets_of(kind, bluez) for name in names_in(decode(kind, packet))}
    assert told == {name.strip() for name in rows()[kind.value][2].split(",")}


def packets_of(kind: LoggerKind, bluez: FakeBluez) -> list[Packet]:
    """A packet of each simulated model, or one that says more."""
    if kind in BEYOND_THE_SIMULATED:
        return [BEYOND_THE_SIMULATED[kind]]
    packets = []
    models = sorted(MAKERS[KINDS[kind.value][0]].models) or [""]
    for number, model in enumerate(models):
        logger = Simulated(bluez, f"C0:FF:EE:00:00:{number:02X}", kind.value, model=model)
        packets += [
            Packet(
                TAG,
                "",
                -60,
                broadcast.manufacturer_data,
                {_full(uuid): data for uuid, data in broadcast.service_data.items()},
                [_full(uuid) for uuid in broadcast.service_uuids],
            )
            for broadcast in logger.measure(aloud=False).broadcasts[:1]
        ]
    return packets


def decode(kind: LoggerKind, packet: Packet) -> Measurement:
    ear = Ear(Logger(address=TAG, box="B", kind=kind))
    payload = ear.recognise(packet)
    assert payload is not None
    measurement = ear.hear(packet, payload)
    assert measurement is not None
    return measurement


def names_in(measurement: Measurement) -> set[str]:
    assert measurement.temperature_mc is not None
    return {name for name, fields in NAMES.items() if any(getattr(measurement, field) is not None for field in fields)}


def _full(uuid: str) -> str:
    return uuid if len(uuid) > 4 else f"0000{uuid}-0000-1000-8000-00805f9b34fb"
