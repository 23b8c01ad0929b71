from __future__ import annotations

import contextlib
import logging
from collections.abc import Awaitable, Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sensirion_ble import SensirionBluetoothDeviceData as SensirionParser

from firmware_sim.bluez import FakeBluez, Settings
from firmware_sim.peripheral import Broadcast
from gateway.core.configuration import Logger, LoggerKind
from gateway.vehicle.loggers.families import FAMILIES, OTHERS, Ear, Repeats, other
from gateway.vehicle.loggers.measurement import AdvertisementError, Measurement, Packet
from gateway.vehicle.moments import Moment
from gateway.vehicle.recorder import Enrolled, Recorder
from tests.vehicle.makers import BINDKEY, KINDS, Simulated
from tests.vehicle.samples import T0, TAG
from tests.vehicle.test_radio import scanning

Until = Callable[[Callable[[], object]], Awaitable[None]]
OTHER_KEY = "00" * 16
COARSE_C = {"sensirion SCD4x": 0.051}
"""This parser rounds to tenths."""
each_kind = pytest.mark.parametrize("kind", KINDS)


def enrolled(kind: str, **fields: object) -> Logger:
    return Logger.model_validate({"address": TAG, "box": "BOX-1", "kind": kind.split(maxsplit=1)[0], **fields})


def test_every_kind_is_in_the_table_and_simulated() -> None:
    assert set(FAMILIES) == set(LoggerKind)
    assert set(LoggerKind) - {LoggerKind.OTHER} == {LoggerKind(kind.split()[0]) for kind in KINDS}


@each_kind
@pytest.mark.parametrize("mode", ["active", "passive"])
async def test_from_the_air_into_observations(bluez: FakeBluez, until: Until, kind: str, mode: str) -> None:
    recorder = Recorder(30)
    recorder.enrol({TAG: Enrolled()})
    temperatures_c = [5.0, 4.4, -0.6, -20.35, 21.4]
    told: list[int | None] = []
    async with scanning(enrolled(kind), scanning=mode) as (radio, heard):
        await until(lambda: radio.health.scanning)
        logger = Simulated(bluez, TAG, kind)
        for number, temperature_c in enumerate(temperatures_c):
            take = logger.measure(temperature_c)
            await until(lambda: logger.advertise() or len(heard) > number)  # noqa: B023  at once
            logger.advertise(rssi=-80)
            recorder.hear(*heard[-1], Moment(T0 + number * 30_000, number * 30_000, trusted=True))
            told.append(take.temperature_mc)
    assert len(heard) == len(temperatures_c), "repetitions are none"
    assert not radio.health.malformed
    observations = recorder.take(100)
    assert [o.temperature_mc / 1000 for o in observations] == pytest.approx(
        [mc / 1000 for mc in told if mc is not None], abs=COARSE_C.get(kind, 0.0051)
    )
    numbers = [o.counter for o in observations]
    assert len(set(numbers)) == (5 if FAMILIES[enrolled(kind).kind].repeats is Repeats.NUMBER else 1)


class TestWithEverySignal:
    @pytest.fixture
    def bluez_settings(self) -> Settings:
        return Settings(rssi_delta_db=0)

    @each_kind
    async def test_a_repeated_packet_is_no_measurement(self, bluez: FakeBluez, until: Until, kind: str) -> None:
        async with scanning(enrolled(kind), scanning="active") as (radio, heard):
            await until(lambda: radio.health.scanning)
            logger = Simulated(bluez, TAG, kind)
            logger.measure()
            for _ in range(5):
                logger.advertise()
            logger.measure(9.0)
            await until(lambda: len(heard) == 2)
        assert radio.health.repeated >= 5


@each_kind
async def test_a_sensor_that_fails_gives_no_temperature(bluez: FakeBluez, until: Until, kind: str) -> None:
    async with scanning(enrolled(kind), scanning="active") as (radio, heard):
        await until(lambda: radio.health.scanning)
        logger = Simulated(bluez, TAG, kind)
        logger.measure()
        logger.firmware.sensor.is_broken = True
        logger.measure()
        await until(lambda: len(heard) == 2 or radio.health.malformed)
    assert all(measurement.temperature_mc is None for _, measurement in heard[1:])


@each_kind
async def test_something_else_under_the_same_identifier_is_set_aside(bluez: FakeBluez, until: Until, kind: str) -> None:
    async with scanning(enrolled(kind), scanning="active") as (radio, heard):
        await until(lambda: radio.health.scanning)
        logger = Simulated(bluez, TAG, kind)
        (first, *_) = logger.measure(aloud=False).broadcasts
        noise = bytes((first.payload[0] ^ 0xFF, 1))
        logger.advertise(
            Broadcast(
                dict.fromkeys(first.manufacturer_data, noise),
                dict.fromkeys(first.service_data, noise),
                first.service_uuids,
            )
        )
        await until(lambda: radio.health.malformed)
        assert not heard
        logger.advertise()
        await until(lambda: heard)
    assert radio.health.quarantine[0].payload.endswith(noise)


async def test_others_are_foreign_by_address_or_identifier(bluez: FakeBluez, until: Until) -> None:
    async with scanning(enrolled("qingping"), scanning="active") as (radio, heard):
        await until(lambda: radio.health.scanning)
        Simulated(bluez, "C0:FF:EE:00:00:99", "qingping").measure()
        Simulated(bluez, TAG, "bthome").measure()
        await until(lambda: radio.health.foreign == 2)
    assert not heard
    assert not radio.health.malformed


async def test_another_kind_is_let_through_once_it_is_enrolled(bluez: FakeBluez, until: Until) -> None:
    async with scanning(enrolled("ruuvitag"), scanning="passive") as (radio, heard):
        await until(lambda: radio.health.scanning)
        logger = Simulated(bluez, TAG, "sensirion")
        logger.measure()
        radio.enrol([enrolled("sensirion")])
        await until(lambda: logger.advertise() or heard)


class TestEncrypted:
    async def test_the_enrolled_key_opens_it(self, bluez: FakeBluez, until: Until) -> None:
        async with scanning(enrolled("bthome", bindkey=BINDKEY), scanning="active") as (radio, heard):
            await until(lambda: radio.health.scanning)
            logger = Simulated(bluez, TAG, "bthome", bindkey=bytes.fromhex(BINDKEY))
            for number in range(3):
                logger.measure(5.0 + number)
                await until(lambda: len(heard) == number + 1)  # noqa: B023  at once
        assert [measurement.temperature_mc for _, measurement in heard] == pytest.approx([5000, 6000, 7000], abs=40)

    @pytest.mark.parametrize("key", [None, OTHER_KEY])
    async def test_another_key_or_none_is_told_and_never_logged(
        self, bluez: FakeBluez, until: Until, caplog: pytest.LogCaptureFixture, key: str | None
    ) -> None:
        caplog.set_level(logging.DEBUG)
        async with scanning(enrolled("bthome", bindkey=key), scanning="active") as (radio, heard):
            await until(lambda: radio.health.scanning)
            Simulated(bluez, TAG, "bthome", bindkey=bytes.fromhex(BINDKEY)).measure()
            await until(lambda: radio.health.malformed)
        assert not heard
        assert key is None or key not in caplog.text

    async def test_plain_packets_are_refused_where_a_key_is_enrolled(self, bluez: FakeBluez, until: Until) -> None:
        async with scanning(enrolled("bthome", bindkey=BINDKEY), scanning="active") as (radio, heard):
            await until(lambda: radio.health.scanning)
            Simulated(bluez, TAG, "bthome").measure()
            await until(lambda: radio.health.malformed == {"bthome_refused": 1})
        assert not heard

    def test_a_replayed_packet_is_refused(self) -> None:
        ear = Ear(enrolled("bthome", bindkey=BINDKEY))
        packets = [_encrypted(counter) for counter in (500, 501, 502)]
        for packet in packets:
            assert _hear(ear, packet) is not None
        with pytest.raises(AdvertisementError, match="old packet"):
            _hear(ear, packets[0])


def _encrypted(counter: int) -> Packet:
    from firmware_sim.makers import bthome  # noqa: PLC0415  only here

    objects = bthome.encode_objects(1, 90, 5.0 + counter / 100, 60.0, 3000)
    data = bthome.encrypt(objects, bytes.fromhex(TAG.replace(":", "")), bytes.fromhex(BINDKEY), counter)
    return Packet(TAG, service_data={"0000fcd2-0000-1000-8000-00805f9b34fb": data})


def _hear(ear: Ear, packet: Packet) -> Measurement | None:
    payload = ear.recognise(packet)
    assert payload is not None
    return ear.hear(packet, payload)


def test_battery_light_and_pressure_are_told() -> None:
    ear = Ear(enrolled("bthome"))
    objects = bytes.fromhex("016102f40103131504138a0105138a140c020c")
    measured = _hear(ear, Packet(TAG, service_data={"0000fcd2-0000-1000-8000-00805f9b34fb": b"\x40" + objects}))
    assert measured == Measurement(
        temperature_mc=5000,
        humidity_cpct=5395,
        pressure_pa=100_883,
        battery_mv=3074,
        battery_pct=97,
        light_lux=13_461,
    )


def test_the_reference_loggers_flags() -> None:
    ear = Ear(enrolled("reference"))
    service = "db973301-567b-4bdb-b9ee-a0959751407e"
    vectors = {  # docs/reference-logger.md, section 7
        "11037011010602938ec1": Measurement(5180, battery_mv=2940, counter=3 << 24 | 70_000),
        "1204000000c6f8730c00": Measurement(-18_500, battery_mv=2300, counter=4 << 24, battery_low=True),
        "15040100000080ff8ec1": Measurement(None, counter=4 << 24 | 1),
    }
    for vector, expected in vectors.items():
        assert _hear(ear, Packet(TAG, service_data={service: bytes.fromhex(vector)})) == expected
    for malformed, code in (("11", "reference_length"), ("21037011010602938ec1", "reference_version")):
        with pytest.raises(AdvertisementError, match=code):
            _hear(ear, Packet(TAG, service_data={service: bytes.fromhex(malformed)}))


def test_a_bindkey_is_written_out_for_vehicles_only() -> None:
    from gateway.core.configuration import Configuration, reveal  # noqa: PLC0415  only here

    logger = enrolled("bthome", bindkey=BINDKEY)
    configuration = Configuration(version=1, gateway="VAN-1", loggers=(logger,))
    for document in (logger, configuration):
        assert BINDKEY not in repr(document) + str(document) + document.model_dump_json()
        assert BINDKEY in reveal(document)
    assert Configuration.model_validate_json(reveal(configuration)) == configuration


@pytest.mark.parametrize(("kind", "key"), [("bthome", "231d39"), ("bthome", "x" * 32), ("ruuvitag", BINDKEY)])
def test_a_wrong_bindkey_is_refused_without_being_shown(kind: str, key: str) -> None:
    with pytest.raises(ValueError, match="bindkey") as raised:
        enrolled(kind, bindkey=key)
    assert key not in str(raised.value)
    assert key[-20:] not in str(raised.value)


class TestOthers:
    @pytest.mark.parametrize("mode", ["active", "passive"])
    async def test_one_line_adds_a_maker(
        self, bluez: FakeBluez, until: Until, monkeypatch: pytest.MonkeyPatch, mode: str
    ) -> None:
        monkeypatch.setitem(OTHERS, "thermopro", other("Sensirion", SensirionParser, manufacturer_ids={0x06D5}))
        async with scanning(enrolled("other"), scanning=mode) as (radio, heard):
            await until(lambda: radio.health.scanning)
            logger = Simulated(bluez, TAG, "sensirion")
            for number, temperature_c in enumerate((5.0, -20.0, 4.0)):
                logger.measure(temperature_c)
                await until(lambda: logger.advertise() or len(heard) > number)  # noqa: B023  at once
        assert [round(measurement.temperature_mc, -3) for _, measurement in heard] == [5000, -20_000, 4000]

    @pytest.mark.parametrize(
        ("data", "temperature_mc", "humidity_cpct", "battery_pct"),
        [("000321476400", 20_500, 1270, 100), ("0081b6ac6200", -11_200, 3000, 98)],
    )
    def test_govee_is_there(self, data: str, temperature_mc: int, humidity_cpct: int, battery_pct: int) -> None:
        """Twenty and a half degrees and 12.7 %: 205 * 1000 + 127, as H5072 and H5075 pack them."""
        measured = _hear(
            Ear(enrolled("other")), Packet(TAG, "GVH5075_1234", manufacturer_data={0xEC88: bytes.fromhex(data)})
        )
        assert measured is not None
        assert (measured.temperature_mc, measured.humidity_cpct) == (temperature_mc, humidity_cpct)
        assert measured.battery_pct == battery_pct

    def test_what_no_line_is_for_is_foreign(self) -> None:
        ear = Ear(enrolled("other"))
        assert ear.recognise(Packet(TAG, manufacturer_data={0x004C: b"abc"})) is None


@pytest.mark.parametrize(
    ("vector", "temperature_mc"),
    [
        ("03291A1ECE1EFC18F94202CA0B53", 26_300),  # docs.ruuvi.com, data format 3
        ("03FF7F63FFFF7FFF7FFF7FFFFFFF", 127_990),
        ("0300FF6300008001800180010000", -127_990),
    ],
)
def test_a_ruuvitag_with_older_firmware_is_read(vector: str, temperature_mc: int) -> None:
    measured = _hear(Ear(enrolled("ruuvitag")), Packet(TAG, "Ruuvi", manufacturer_data={0x0499: bytes.fromhex(vector)}))
    assert measured is not None
    assert (measured.temperature_mc, measured.counter) == (temperature_mc, None)
    if temperature_mc == 26_300:
        assert (measured.humidity_cpct, measured.pressure_pa, measured.battery_mv) == (2050, 102_766, 2899)


def test_a_ruuvi_air_is_read() -> None:
    """docs.ruuvi.com, data format 6: the valid vector."""
    vector = bytes.fromhex("06170C5668C79E007000C90501D900CD004C884F")
    measured = _hear(Ear(enrolled("ruuvitag")), Packet(TAG, "Ruuvi Air", manufacturer_data={0x0499: vector}))
    assert measured is not None
    assert (measured.temperature_mc, measured.humidity_cpct) == (29_500, 5530)


@each_kind
@given(data=st.binary(max_size=40), name=st.sampled_from(["", "SHT4x Gadget", "SensorPush HT.w", "ThermoBeacon"]))
def test_nothing_on_the_air_breaks_a_decoder(kind: str, data: bytes, name: str) -> None:
    ear = Ear(enrolled(kind))
    family = ear.family
    packet = Packet(
        TAG,
        name,
        manufacturer_data=dict.fromkeys(family.manufacturer_ids or {0x1234}, data),
        service_data={family.service_data: data} if family.service_data else {},
        service_uuids=[family.service_uuid] if family.service_uuid else [],
    )
    with contextlib.suppress(AdvertisementError):
        _hear(ear, packet)
