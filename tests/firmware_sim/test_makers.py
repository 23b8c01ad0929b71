"""Every simulated logger is read by the maintained parser of its maker: an independent judge of each encoder."""

import random
import struct
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import pytest
from bleak import BleakClient, BleakScanner
from bleak.backends.device import BLEDevice
from bleak.backends.scanner import AdvertisementData
from bluemaestro_ble import BlueMaestroBluetoothDeviceData
from bthome_ble import BTHomeBluetoothDeviceData
from habluetooth import BluetoothServiceInfoBleak
from qingping_ble import QingpingBluetoothDeviceData
from ruuvitag_ble import RuuvitagBluetoothDeviceData
from sensirion_ble import SensirionBluetoothDeviceData
from sensorpush_ble import SensorPushBluetoothDeviceData
from thermobeacon_ble import ThermoBeaconBluetoothDeviceData

from firmware_sim.firmware import Environment, Firmware, LoggerSettings
from firmware_sim.makers import bluemaestro, bthome, qingping, sensirion, sensorpush, thermobeacon
from firmware_sim.makers.table import MAKERS
from firmware_sim.misbehaviour import Misbehaviour
from firmware_sim.peripheral import Broadcast

Until = Callable[[Callable[[], object]], Awaitable[None]]
FindDevice = Callable[[Any], Awaitable[BLEDevice]]
Make = Callable[..., Any]
ADDRESS = "54:48:E6:8F:80:A5"
BINDKEY = "231d39c1d7cc1ab1aee224cd096db932"
START_MS = 1_773_126_000_000
NUS_RX = "6e400002-b5a3-f393-e0a9-e50e24dcca9e"
NUS_TX = "6e400003-b5a3-f393-e0a9-e50e24dcca9e"


class EncryptedBTHome(BTHomeBluetoothDeviceData):
    def __init__(self) -> None:
        super().__init__(bindkey=bytes.fromhex(BINDKEY))


KINDS = {
    "ruuvi": ("ruuvi", {}, RuuvitagBluetoothDeviceData),
    "bthome": ("bthome", {}, BTHomeBluetoothDeviceData),
    "bthome encrypted": ("bthome", {"bindkey": BINDKEY}, EncryptedBTHome),
    **{
        f"bluemaestro {model}": ("bluemaestro", {"model": model}, BlueMaestroBluetoothDeviceData)
        for model in bluemaestro.MODELS
    },
    **{
        f"sensorpush {model}": ("sensorpush", {"model": model}, SensorPushBluetoothDeviceData)
        for model in sensorpush.MODELS
    },
    **{
        f"sensirion {model}": ("sensirion", {"model": model}, SensirionBluetoothDeviceData)
        for model in sensirion.MODELS
    },
    **{
        f"thermobeacon {model}": ("thermobeacon", {"model": model}, ThermoBeaconBluetoothDeviceData)
        for model in thermobeacon.MODELS
    },
    **{f"qingping {model}": ("qingping", {"model": model}, QingpingBluetoothDeviceData) for model in qingping.PRODUCTS},
}
each_kind = pytest.mark.parametrize("kind", KINDS)
RESOLUTION_C = {"sensirion SHT3x": 0.051, "sensirion SCD4x": 0.051}
"""These parsers round to tenths."""


class Judge:
    """A maker's parser with what it made of the last advertisement."""

    def __init__(self, kind: str) -> None:
        maker, _, parser = KINDS[kind]
        self.parser = parser()
        self.name = MAKERS[maker].name_of(ADDRESS)
        self.heard_s = 0.0
        self.values: dict[str, Any] = {}

    def hear(self, broadcast: Broadcast) -> dict[str, Any]:
        service_data = {_full(uuid): data for uuid, data in broadcast.service_data.items()}
        return self.judge(
            self.name, broadcast.manufacturer_data, service_data, [_full(uuid) for uuid in broadcast.service_uuids]
        )

    def judge(
        self,
        name: str,
        manufacturer_data: Mapping[int, bytes],
        service_data: Mapping[str, bytes],
        service_uuids: list[str],
    ) -> dict[str, Any]:
        self.heard_s += 10
        information = BluetoothServiceInfoBleak(
            name,
            ADDRESS,
            -60,
            dict(manufacturer_data),
            dict(service_data),
            service_uuids,
            "local",
            BLEDevice(ADDRESS, name, {}),
            None,
            True,
            self.heard_s,
            None,
        )
        update = self.parser.update(information)
        self.values = {key.key: value.native_value for key, value in update.entity_values.items()}
        return self.values


def _full(uuid: str) -> str:
    return uuid if len(uuid) > 4 else f"0000{uuid}-0000-1000-8000-00805f9b34fb"


def build(kind: str, **changes: object) -> Firmware:
    maker, options, _ = KINDS[kind]
    key = {"bindkey": bytes.fromhex(BINDKEY)} if "bindkey" in options else options
    settings = LoggerSettings(ADDRESS, heartbeat_s=10.0, **{**key, **changes})
    randomness = random.Random(1)  # noqa: S311 - repeatable, not secret
    firmware, _ = MAKERS[maker].make(settings, START_MS, randomness, lambda: START_MS, Misbehaviour())
    return firmware


@each_kind
@pytest.mark.parametrize("temperature_c", [5.0, 0.0, -0.04, -0.6, -20.35, -38.9, 21.4, 64.0])
def test_temperature_is_read(kind: str, temperature_c: float) -> None:
    firmware, judge = build(kind), Judge(kind)
    take = firmware.measure(Environment(temperature_c, 61.5, 100_400.0)).take
    assert take.temperature_mc is not None
    assert take.temperature_mc / 1000 == pytest.approx(temperature_c, abs=0.15)
    values = judge.hear(take.broadcasts[0])
    assert values["temperature"] == pytest.approx(take.temperature_mc / 1000, abs=RESOLUTION_C.get(kind, 0.0051))
    if "humidity" in values:
        assert values["humidity"] == pytest.approx(61.5, abs=0.6)
    if "pressure" in values:
        assert values["pressure"] == pytest.approx(1004, abs=1)
    if "battery" in values:
        assert 60 <= values["battery"] <= 100


RANGES = {
    "ruuvi": (-163.835, 163.835),
    "bthome": (-327.68, 327.67),
    "bthome encrypted": (-327.68, 327.67),
    "bluemaestro 23": (-3276.7, 3276.7),
    "bluemaestro 42": (-327.67, 327.67),
    "sensorpush HT.w": (-40.0, 125.0),
    "sensorpush HTP.xw": (-40.0, 140.0),
    "sensirion SHT4x": (-45.0, 130.0),
    "sensirion SHT3x": (-45.0, 130.0),
    "thermobeacon 17": (-2047.94, 100.0),
    "qingping CGDK2": (-3276.7, 3276.7),
}


@pytest.mark.parametrize("kind", RANGES)
def test_lowest_and_highest_value_are_read(kind: str) -> None:
    lowest_c, highest_c = RANGES[kind]
    firmware, judge = build(kind), Judge(kind)
    beyond_c = -0.05 if kind.startswith("thermobeacon") else 1.0  # the parser drops what is above 100 degrees
    for temperature_c, wanted_c in ((lowest_c - 1, lowest_c), (highest_c + beyond_c, highest_c)):
        take = firmware.measure(Environment(temperature_c, 50.0, 100_000.0)).take
        assert judge.hear(take.broadcasts[0])["temperature"] == pytest.approx(wanted_c, abs=0.1)


@each_kind
def test_a_broken_sensor_is_never_read_as_a_plausible_value(kind: str) -> None:
    firmware, judge = build(kind), Judge(kind)
    firmware.sensor.is_broken = True
    take = firmware.measure(Environment(5.0, 60.0, 100_000.0)).take
    assert take.temperature_mc is None
    temperature_c = judge.hear(take.broadcasts[0]).get("temperature")
    assert temperature_c is None or temperature_c < -300 or temperature_c >= 125


@each_kind
async def test_heard_over_the_air(kind: str, make_bench: Make, until: Until) -> None:
    maker, options, _ = KINDS[kind]
    bench, judge = (
        make_bench(maker=maker, heartbeat_s=10.0, tx_interval_s=10.0, address=ADDRESS, **options),
        Judge(kind),
    )
    heard: list[AdvertisementData] = []
    async with BleakScanner(lambda _, data: heard.append(data), bluez={"filters": {"DuplicateData": True}}):
        for _ in range(4):
            heard.clear()
            (measurement,) = bench.run(1)
            await until(lambda: heard)
            seen = heard[0]
            name = seen.local_name or ""
            judge.judge(name, seen.manufacturer_data, seen.service_data, seen.service_uuids)
            wanted_c = measurement.take.temperature_mc / 1000
            assert judge.values["temperature"] == pytest.approx(wanted_c, abs=RESOLUTION_C.get(kind, 0.0051))
            for rest in heard[1:]:
                judge.judge(name, rest.manufacturer_data, rest.service_data, rest.service_uuids)
    assert judge.values["temperature"] == pytest.approx(wanted_c, abs=RESOLUTION_C.get(kind, 0.0051))


# --- published vectors


def test_bthome_encryption_as_published() -> None:
    """bthome.io, "Encryption": 25.06 degrees and 50.55 %, counter 00112233."""
    counter = int.from_bytes(bytes.fromhex("00112233"), "little")
    address = bytes.fromhex("5448E68F80A5")
    data = bthome.encrypt(bytes.fromhex("02CA0903BF13"), address, bytes.fromhex(BINDKEY), counter)
    assert data.hex() == "41a47266c95f730011223378237214"


def test_bthome_counts_packets() -> None:
    firmware = build("bthome", first_number=254)
    takes = [firmware.measure(Environment(5.0, 60.0, 1e5)).take for _ in range(3)]
    assert [take.counter for take in takes] == [254, 255, 0]
    assert [take.broadcasts[0].payload[1:3].hex() for take in takes] == ["00fe", "00ff", "0000"]


@pytest.mark.parametrize(
    ("version", "reading", "starts", "ends"),
    [
        (13, (242, 0, 0, 0), "0d57", "00f2"),
        (13, (-123, 0, 0, 0), "0d57", "ff85"),
        (23, (242, 498, 131, 0), "1757", "00f201f2"),
        (27, (-123, 850, 0, 10_132), "1b57", "ff8503522794"),
        (41, (-1230, 0, 0, 0), "2957", "32fb"),
        (42, (2420, 4980, 0, 0), "2a57", "74097413"),
        (43, (2420, 4980, 0, 101_325), "2b57", "74097413cd8b0100"),
    ],
)
def test_bluemaestro_as_its_own_app_reads_it(
    version: int, reading: tuple[int, int, int, int], starts: str, ends: str
) -> None:
    """The readings of bmLogger 13.8.4 that bluemaestro-ble keeps (tests/fixtures)."""
    data = bluemaestro.encode(version, 87, 300, 5, bluemaestro.Reading(*reading)).hex()
    assert data.startswith(starts)
    assert data[12 if version < 41 else 30 :].startswith(ends)


def test_sensorpush_packs_by_unequal_bases() -> None:
    data = sensorpush.encode(sensorpush.HT_W, 21.5, 43.25, 0.0)
    packed = int.from_bytes(data[1:], "little")
    assert data[0] == 0x04
    assert (packed % 66_001) * 0.0025 - 40 == pytest.approx(21.5)
    assert packed // 66_001 * 0.0025 == pytest.approx(43.25)


def test_bluemaestro_dew_point() -> None:
    assert bluemaestro.dew_point_c(24.2, 49.8) == pytest.approx(13.1, abs=0.1)
    assert bluemaestro.dew_point_c(0, 100) == pytest.approx(0)


# --- logs


@pytest.mark.parametrize("model", ["13", "23", "27"])
async def test_bluemaestro_log(make_bench: Make, device_of: FindDevice, until: Until, model: str) -> None:
    bench = make_bench(maker="bluemaestro", model=model, heartbeat_s=60.0, memory_interval_s=300)
    device = await device_of(bench)
    bench.run(120)
    kept = [measurement.take.kept_cc for measurement in bench.measurements if measurement.take.kept_cc is not None]
    frames: list[bytes] = []
    async with BleakClient(device) as client:
        await client.start_notify(NUS_TX, lambda _, data: frames.append(bytes(data)))
        await client.write_gatt_char(NUS_RX, b"*logall")
        await until(lambda: frames and frames[-1] == b"..")
    header, *rest = frames[:-1]
    pointer, needed, logged, size, _mode, _alarm, _first, _second, end = struct.unpack(">HHHHBBhhc", header)
    assert (pointer, needed, logged, size, end) == (25, 25, 25, 2, b":")
    columns = b"".join(rest).split(b",,")
    assert len(columns) == (1 if model == "13" else 3)
    temperatures = struct.unpack(f">{len(kept)}h", columns[0])
    assert [value * 10 for value in temperatures] == kept
    assert max(map(len, frames)) <= 20


async def test_bluemaestro_newer_ones_show_no_log(make_bench: Make, device_of: FindDevice) -> None:
    bench = make_bench(maker="bluemaestro", model="42", heartbeat_s=60.0)
    async with BleakClient(await device_of(bench)) as client:
        assert client.services.get_characteristic(NUS_TX) is None


async def test_thermobeacon_log(make_bench: Make, device_of: FindDevice, until: Until) -> None:
    bench = make_bench(maker="thermobeacon", heartbeat_s=60.0, memory_interval_s=600)
    device = await device_of(bench)
    bench.run(200)
    kept = [measurement.take for measurement in bench.measurements if measurement.take.kept_cc is not None]
    answers: list[bytes] = []
    command, answer = (f"0000{uuid}-0000-1000-8000-00805f9b34fb" for uuid in ("fff5", "fff3"))
    temperatures: list[float] = []
    async with BleakClient(device) as client:
        await client.write_gatt_char(command, b"\x01\x00\x00\x00\x00")
        count = int.from_bytes((await client.read_gatt_char(answer))[1:3], "little")
        assert count == len(kept)
        await client.start_notify(answer, lambda _, data: answers.append(bytes(data)))
        for first in range(0, count, 15):
            answers.clear()
            await client.write_gatt_char(command, struct.pack("<BIB", 7, first, 15))
            await until(lambda: answers)
            got = answers[0][5]
            temperatures += [value / 16 for value in struct.unpack_from(f"<{got}h", answers[0], 6)]
    assert temperatures == [pytest.approx(take.temperature_mc / 1000, abs=0.001) for take in kept]


async def test_sensorpush_measures_when_asked(make_bench: Make, device_of: FindDevice) -> None:
    bench = make_bench(maker="sensorpush", heartbeat_s=60.0)
    async with BleakClient(await device_of(bench)) as client:
        assert await client.read_gatt_char(sensorpush.TEMPERATURE) == bytes(4)
        await client.write_gatt_char(sensorpush.TEMPERATURE, b"\x01\x00\x00\x00")
        value = int.from_bytes(await client.read_gatt_char(sensorpush.TEMPERATURE), "little", signed=True)
    assert value / 100 == pytest.approx(bench.measurements[-1].take.temperature_mc / 1000, abs=0.01)
