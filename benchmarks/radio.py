"""Advertisements in a second: ``.venv/bin/python benchmarks/radio.py [--json] [--no-rivals]``.

What a gateway hears is mostly foreign, much of it repeated, and a little of it a new measurement. Each kind is measured
alone, from bleak's callback on, in processor time of one core:

- coldchain: the vehicle's radio, recorder and fault detector, up to an observation that waits to be sealed;
- ruuvitag-ble, bthome-ble: the parsers alone, their input ready-made, which favours them;
- theengsgateway: its own callback, up to the message for its broker; a process and an environment of its own.

What the vehicle's whole process needs is measured by vehicle.py.
"""  # noqa: INP001  a script, not a package

from __future__ import annotations

import asyncio
import itertools
import json
import random
import struct
import subprocess
import tempfile
import time
import venv
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import click
from bleak.backends.device import BLEDevice
from bleak.backends.scanner import AdvertisementData
from bthome_ble import BTHomeBluetoothDeviceData
from habluetooth import BluetoothServiceInfoBleak
from ruuvitag_ble import RuuvitagBluetoothDeviceData

from gateway.core.configuration import Logger, LoggerKind
from gateway.vehicle.faults import FaultDetector
from gateway.vehicle.hearing import Hearing, RadioHealth
from gateway.vehicle.loggers.measurement import Measurement, Packet
from gateway.vehicle.loggers.numbering import NUMBERS
from gateway.vehicle.moments import Moment
from gateway.vehicle.recorder import Enrolled, Recorder

LOGGERS = 50
START_MS = 1_750_000_000_000
RUUVI, BTHOME = 0x0499, "0000fcd2-0000-1000-8000-00805f9b34fb"
FAST_PAIR = "0000fe2c-0000-1000-8000-00805f9b34fb"
NUS = "6e400001-b5a3-f393-e0a9-e50e24dcca9e"
APPLE, MICROSOFT, SAMSUNG = 0x004C, 0x0006, 0x0075
RIVALS = Path(__file__).parent / "rivals"
THEENGS = "theengsgateway==1.8.0"
OURS = "coldchain"

Packets = Sequence[Packet]


@dataclass(frozen=True)
class Rate:
    """Who took how many advertisements of a kind in a second, and how many it made something of."""

    who: str
    kind: str
    per_s: float
    understood: int
    of: int


def ruuvi_packets(count: int) -> list[Packet]:
    """Data format 5: each packet a new measurement of one of the loggers in turn."""
    rng = random.Random(1)  # noqa: S311  the same on each run
    return [
        Packet(
            f"C0:FF:EE:00:00:{place % LOGGERS:02X}",
            "Ruuvi",
            -60,
            {RUUVI: _ruuvi(round(1000 + 40 * rng.gauss(0, 1)), place // LOGGERS % 65_535)},
            {},
            [NUS],
        )
        for place in range(count)
    ]


def _ruuvi(temperature: int, counter: int) -> bytes:
    power = (2950 - 1600) << 5 | 22
    return struct.pack(">BhHHhhhHBH6s", 5, temperature, 20_000, 51_000, 0, 0, 1000, power, 1, counter, bytes(6))


def bthome_packets(count: int) -> list[Packet]:
    """BTHome v2, not encrypted: packet id, battery, temperature, humidity."""
    rng = random.Random(2)  # noqa: S311  the same on each run
    return [
        Packet(
            f"C0:FF:EE:00:01:{place % LOGGERS:02X}",
            "ATC",
            -60,
            {},
            {
                BTHOME: b"\x40"
                + struct.pack("<BBBBBhBH", 0, place // LOGGERS % 256, 1, 97, 2, 500 + rng.randrange(60), 3, 5000)
            },
            [],
        )
        for place in range(count)
    ]


def repeated_packets(count: int) -> list[Packet]:
    """The same measurement of each logger over and over, as a receiver hears it that is told of duplicates."""
    return list(itertools.islice(itertools.cycle(ruuvi_packets(LOGGERS)), count))


def foreign_packets(count: int) -> list[Packet]:
    """What a street sends: telephones, earphones, computers, televisions, from addresses that change."""
    rng = random.Random(3)  # noqa: S311  the same on each run
    manufacturers = ((APPLE, b"\x10\x06", 5), (MICROSOFT, b"\x01\x09\x20\x22", 23), (SAMSUNG, b"\x42\x04\x01", 21))
    packets = []
    for place in range(count):
        address = rng.randbytes(6).hex(":").upper()
        if place % 4 == 3:  # noqa: PLR2004  every fourth
            packets.append(Packet(address, "", -80, {}, {FAST_PAIR: b"\x00" + rng.randbytes(8)}, [FAST_PAIR]))
            continue
        company, head, size = manufacturers[place % 4]
        packets.append(Packet(address, "", -80, {company: head + rng.randbytes(size)}, {}, []))
    return packets


KINDS: dict[str, Callable[[int], list[Packet]]] = {
    "own, new (RuuviTag)": ruuvi_packets,
    "own, new (BTHome)": bthome_packets,
    "own, repeated": repeated_packets,
    "foreign": foreign_packets,
}
PARSERS = {"ruuvitag-ble": RuuvitagBluetoothDeviceData, "bthome-ble": BTHomeBluetoothDeviceData}
NOT_ASKED = {
    "ruuvitag-ble": {"own, new (BTHome)"},
    "bthome-ble": {"own, new (RuuviTag)", "own, repeated"},
}
"""The other's format is foreign to a parser, and that is measured already."""


class Vehicle:
    """Radio, recorder and fault detector, joined as in the vehicle; sealing takes what has been observed."""

    def __init__(self) -> None:
        loggers = [
            Logger(address=packet.address, kind=kind, box="BOX-1")
            for kind, packets in (
                (LoggerKind.RUUVITAG, ruuvi_packets(LOGGERS)),
                (LoggerKind.BTHOME, bthome_packets(LOGGERS)),
            )
            for packet in packets
        ]
        self.recorder, self.faults = Recorder(1), FaultDetector()
        self.recorder.enrol({one.address: Enrolled(300, (2000, 8000), None, NUMBERS.get(one.kind)) for one in loggers})
        self.faults.enrol({one.address: one.kind for one in loggers}, Moment(START_MS, 0, trusted=True))
        self.hearing = Hearing(RadioHealth(), self._take)
        self.hearing.enrol(loggers)
        self.passed_ms = 0
        self.measurements = 0

    def _take(self, address: str, measurement: Measurement) -> None:
        self.passed_ms += 1000 // LOGGERS
        self.measurements += 1
        moment = Moment(START_MS + self.passed_ms, self.passed_ms, trusted=True)
        heard = self.recorder.hear(address, measurement, moment)
        if heard.is_new:
            self.faults.hear(address, measurement, moment)
        if self.recorder.waiting >= LOGGERS:
            self.recorder.confirm(self.recorder.waiting)


async def measure_ours(kind: str, packets: Packets, repeats: int) -> Rate:
    """From bleak's callback to an observation."""
    heard = [_as_bleak_says(packet) for packet in packets]
    durations = []
    for _ in range(repeats):
        vehicle = Vehicle()
        hear = vehicle.hearing.hear
        began = time.process_time()
        for device, advertisement in heard:
            hear("hci0", device, advertisement, 0.0)
        durations.append(time.process_time() - began)
    return Rate(OURS, kind, len(packets) / min(durations), vehicle.measurements, len(packets))


def measure_parser(who: str, kind: str, packets: Packets, repeats: int) -> Rate:
    """One parser for each address, as whoever uses these parsers has it."""
    heard = [_as_habluetooth_says(place, packet) for place, packet in enumerate(packets)]
    durations = []
    for _ in range(repeats):
        parsers = {packet.address: PARSERS[who]() for packet in packets[: 2 * LOGGERS]}
        stranger = PARSERS[who]()
        understood = 0
        began = time.process_time()
        for information in heard:
            update = parsers.get(information.address, stranger).update(information)
            understood += any(key.key == "temperature" for key in update.entity_values)
        durations.append(time.process_time() - began)
    return Rate(who, kind, len(packets) / min(durations), understood, len(packets))


def measure_theengs(kinds: dict[str, Packets], repeats: int, folder: Path) -> list[Rate]:
    """Install it where nothing else is, and let it measure itself there."""
    venv.create(folder / "environment", with_pip=True)
    python = str(folder / "environment" / "bin" / "python")
    subprocess.run([python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", THEENGS], check=True)  # noqa: S603  a fixed package
    file = folder / "packets.json"
    file.write_text(json.dumps({kind: [_as_json(packet) for packet in packets] for kind, packets in kinds.items()}))
    script = str(RIVALS / "theengs_gateway.py")
    said = subprocess.run([python, script, str(file), str(repeats)], check=True, capture_output=True)  # noqa: S603  our own script
    outcome = json.loads(said.stdout)
    return [
        Rate("theengsgateway", kind, len(packets) / outcome[kind]["seconds"], outcome[kind]["published"], len(packets))
        for kind, packets in kinds.items()
    ]


def _as_bleak_says(packet: Packet) -> tuple[BLEDevice, AdvertisementData]:
    return BLEDevice(packet.address, packet.name, None), AdvertisementData(
        packet.name or None,
        dict(packet.manufacturer_data or {}),
        dict(packet.service_data or {}),
        list(packet.service_uuids),
        None,
        packet.rssi,
        (),
    )


def _as_habluetooth_says(place: int, packet: Packet) -> BluetoothServiceInfoBleak:
    return BluetoothServiceInfoBleak(
        packet.name,
        packet.address,
        packet.rssi,
        dict(packet.manufacturer_data or {}),
        dict(packet.service_data or {}),
        list(packet.service_uuids),
        "local",
        BLEDevice(packet.address, packet.name, {}),
        None,
        True,
        10.0 * place,
        None,
    )


def _as_json(packet: Packet) -> dict[str, object]:
    return {
        "address": packet.address,
        "name": packet.name,
        "rssi": packet.rssi,
        "manufacturer_data": {company: data.hex() for company, data in (packet.manufacturer_data or {}).items()},
        "service_data": {uuid: data.hex() for uuid, data in (packet.service_data or {}).items()},
        "service_uuids": list(packet.service_uuids),
    }


def measure(count: int, repeats: int, *, rivals: bool) -> list[Rate]:
    """Measure everybody in turn, so that all have the same machine."""
    kinds: dict[str, Packets] = {kind: make(count) for kind, make in KINDS.items()}
    rates = []
    for kind, packets in kinds.items():
        rates.append(asyncio.run(measure_ours(kind, packets, repeats)))
        rates += [measure_parser(who, kind, packets, repeats) for who in PARSERS if kind not in NOT_ASKED[who]]
    if rivals:
        # It is a hundred times slower: fewer packets do.
        few: dict[str, Packets] = {kind: packets[: max(LOGGERS, count // 10)] for kind, packets in kinds.items()}
        with tempfile.TemporaryDirectory(prefix="coldchain-bench-") as folder:
            rates += measure_theengs(few, repeats, Path(folder))
    return rates


def show(rates: Sequence[Rate]) -> None:
    """Print for people."""
    ours = {rate.kind: rate.per_s for rate in rates if rate.who == OURS}
    for kind in KINDS:
        click.echo(kind)
        for rate in rates:
            if rate.kind == kind:
                beside = "" if rate.who == OURS else f"; ours is {ours[kind] / rate.per_s:.1f} times that"
                share = f"understood {rate.understood} of {rate.of}"
                click.echo(f"  {rate.who:<15} {rate.per_s:>12,.0f} a second, {share}{beside}")


@click.command(help=__doc__)
@click.option("--packets", default=20_000, show_default=True, help="of each kind")
@click.option("--repeats", default=3, show_default=True, help="of which the quickest counts")
@click.option("--rivals/--no-rivals", default=True, help="install theengsgateway from PyPI and measure it too")
@click.option("--json", "as_json", is_flag=True, help="write JSON")
def main(packets: int, repeats: int, *, rivals: bool, as_json: bool) -> None:
    """Measure and print."""
    rates = measure(packets, repeats, rivals=rivals)
    if as_json:
        click.echo(json.dumps([asdict(rate) for rate in rates]))
    else:
        show(rates)


if __name__ == "__main__":
    main()
