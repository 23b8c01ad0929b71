"""The same firmware on Bumble's controllers, read by a central of Bumble."""

import asyncio
import os
import signal
import struct
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from bumble.att import ATT_Error
from bumble.controller import Controller
from bumble.core import UUID
from bumble.device import Advertisement, Connection, Device, Peer
from bumble.gatt_client import CharacteristicProxy
from bumble.hci import Address
from bumble.host import Host
from bumble.link import LocalLink
from bumble.transport import open_transport

import firmware_sim
from firmware_sim import scenario, world
from firmware_sim.bumble_controllers import Link, RealController, VirtualControllers, parse_controllers
from firmware_sim.bumble_radio import BumbleRadio
from firmware_sim.clock import DomainClock, to_ms
from firmware_sim.logger import Run, SimulatedLogger
from firmware_sim.misbehaviour import BadLog
from firmware_sim.peripheral import Peripheral, RadioError
from firmware_sim.reference.formats import LOG_CONTROL, LOG_DATA, LOG_STATE, LOGGER_SERVICE
from tests.servers.ports import free_port
from tests.waiting import LIMIT_S

Until = Callable[[Callable[[], object]], Awaitable[None]]
DAY = Path(firmware_sim.__file__).parent / "scenarios" / "day.toml"
ADDRESS = "C0:FF:EE:00:00:02"
SERVICE_DATA_128 = 0x21
MANUFACTURER = 0xFF


class Bench:
    """One reference logger on a Bumble radio, its clock turned by hand."""

    def __init__(self, radio: BumbleRadio) -> None:
        trip = scenario.load(DAY)
        box, carried = trip.boxes[1], world.build(trip)[1]
        self.start_ms = to_ms(trip.clock.start)
        self.now_ms: float = self.start_ms
        clock = DomainClock(self.start_ms, 1.0, 0, None, lambda: round((self.now_ms - self.start_ms) * 1_000_000))
        changes = {"loss": 0.0, "maker": "reference", "heartbeat_s": 30.0}
        box = box.model_copy(update={"logger": box.logger.model_copy(update=changes)})
        self.logger = SimulatedLogger(box, carried, Run(radio, clock, 1, self.start_ms, 0))
        self.temperatures: list[int | None] = []

    def run(self, count: int) -> None:
        for _ in range(count):
            self.now_ms = self.logger.firmware.due_at_ms
            self.temperatures += [measurement.take.kept_cc for measurement in self.logger.measure(self.now_ms)]
            self.logger.transmit(self.now_ms)


class Central:
    """A receiver on the link: hears, connects, reads the log."""

    def __init__(self, host: Host) -> None:
        self.device = Device(name="central", address=Address("F0:F1:F2:F3:F4:F5"), host=host)
        self.heard: list[tuple[str, bytes]] = []
        self.frames: list[bytes] = []
        self.device.on("advertisement", self._hear)

    def _hear(self, advertisement: Advertisement) -> None:
        for kind, data in advertisement.data.ad_structures:
            if kind in (SERVICE_DATA_128, MANUFACTURER):
                self.heard.append((str(advertisement.address)[:17], bytes(data)))

    async def listen(self) -> None:
        await self.device.power_on()
        await self.device.start_scanning(filter_duplicates=False)

    async def connect(self) -> tuple[Connection, dict[str, CharacteristicProxy[bytes]]]:
        await self.device.stop_scanning()
        connection = await self.device.connect(Address(ADDRESS, Address.RANDOM_DEVICE_ADDRESS))
        peer = Peer(connection)
        await peer.request_mtu(247)
        await peer.discover_services()
        await peer.discover_characteristics()
        found = {
            uuid: peer.get_characteristics_by_uuid(UUID(uuid))[0] for uuid in (LOG_STATE, LOG_CONTROL, LOG_DATA, "2A2B")
        }
        await found[LOG_DATA].subscribe(lambda frame: self.frames.append(bytes(frame)))
        return connection, found

    @property
    def records(self) -> list[tuple[int, ...]]:
        return [
            record for frame in self.frames if frame[0] == 1 for record in struct.iter_unpack("<HIIhB", frame[3:-2])
        ]


def read_from(number: int, tag: int = 7) -> bytes:
    return struct.pack("<BBHIIH", 1, tag, 1, number, 0, 1000)


@pytest.fixture
async def controllers() -> VirtualControllers:
    return VirtualControllers()


@pytest.fixture
async def bench(controllers: VirtualControllers) -> AsyncIterator[Bench]:
    radio = BumbleRadio(controllers)
    made = Bench(radio)
    await radio.start()
    try:
        yield made
    finally:
        await made.logger.stop()
        await radio.stop()


@pytest.fixture
async def central(controllers: VirtualControllers) -> Central:
    made = Central(await controllers.take("00:00:00:00:00:01"))
    await made.listen()
    return made


async def test_heard_connected_and_read(bench: Bench, central: Central, until: Until) -> None:
    bench.run(60)
    payload = bench.logger.firmware.payload
    assert payload is not None
    on_air = bytes.fromhex(LOGGER_SERVICE.replace("-", ""))[::-1] + payload
    await until(lambda: (ADDRESS, on_air) in central.heard)
    _connection, found = await central.connect()
    state = struct.unpack("<BHHIHIIIII", await found[LOG_STATE].read_value())
    assert state[3:7] == (0, 1, 59, 60)
    await found[LOG_CONTROL].write_value(read_from(20), with_response=True)
    await until(lambda: central.frames and central.frames[-1][0] == 2)
    assert [number for _, number, *_ in central.records] == list(range(20, 60))
    assert [temperature for *_, temperature, _ in central.records] == bench.temperatures[20:]
    assert len(central.frames) == 4  # eighteen records fit the MTU that was agreed


async def test_refusals_reach_the_reader(bench: Bench, central: Central) -> None:
    bench.run(1)
    _connection, found = await central.connect()
    with pytest.raises(ATT_Error) as malformed:
        await found[LOG_CONTROL].write_value(b"\x01", with_response=True)
    assert malformed.value.error_code == 0x81
    with pytest.raises(ATT_Error) as no_date:
        await found["2A2B"].write_value(bytes(10), with_response=True)
    assert no_date.value.error_code == 0xFF


async def test_after_a_lost_link_it_advertises_and_is_read_on(bench: Bench, central: Central, until: Until) -> None:
    bench.run(40)
    bench.logger.misbehaviour.bad_log = BadLog(disconnects_after=1)
    bench.logger.misbehaviour.bad_downloads = 1
    _connection, found = await central.connect()
    await found[LOG_CONTROL].write_value(read_from(0), with_response=True)
    await until(lambda: not central.device.connections)
    assert len(central.records) == 18
    _connection, found = await central.connect()
    await found[LOG_CONTROL].write_value(read_from(18), with_response=True)
    await until(lambda: central.frames[-1][0] == 2)
    assert [number for _, number, *_ in central.records] == list(range(40))


async def test_carried_away_and_back(bench: Bench, central: Central, until: Until) -> None:
    bench.run(1)
    await until(lambda: central.heard)
    await central.connect()
    bench.logger.port.in_range = False
    await until(lambda: not central.device.connections)
    await central.device.start_scanning(filter_duplicates=False)
    bench.run(1)
    bench.logger.port.in_range = True
    central.heard.clear()
    bench.run(1)
    payload = bench.logger.firmware.payload
    await until(lambda: central.heard)
    assert payload is not None
    assert {data[16:] for _, data in central.heard} == {payload}


async def test_a_real_controller_carries_one_logger() -> None:
    with pytest.raises(RadioError, match=r"only one from C0:\.\. to FF:\.\."):
        await RealController("usb:0").take("54:48:E6:8F:80:A5")


@pytest.mark.parametrize(
    ("text", "reason"),
    [("", "is no HCI transport"), ("usb", "is no HCI transport"), ("virtual:", "is no HCI transport")],
)
def test_what_is_no_transport(text: str, reason: str) -> None:
    with pytest.raises(RadioError, match=reason):
        parse_controllers(text)


async def test_a_transport_that_cannot_be_opened() -> None:
    radio = BumbleRadio(parse_controllers(f"tcp-client:127.0.0.1:{free_port()}"))
    radio.add(Peripheral(ADDRESS, "nobody"))
    with pytest.raises(RadioError, match="tcp-client"):
        await radio.start()
    await radio.stop()


async def test_a_controller_with_the_newer_commands(until: Until) -> None:
    """A controller behind a transport, as a dongle is: it has extended advertising."""
    port = free_port()
    link: LocalLink = Link()
    server: Any = await open_transport(f"tcp-server:127.0.0.1:{port}")
    Controller("dongle", host_source=server.source, host_sink=server.sink, link=link)
    radio = BumbleRadio(parse_controllers(f"tcp-client:127.0.0.1:{port}"))
    bench = Bench(radio)
    radio.add(Peripheral("C0:FF:EE:00:00:03", "one too many"))
    try:
        with pytest.raises(RadioError, match="carries one logger"):
            await radio.start()
        central = Central(await VirtualControllers(link).take("00:00:00:00:00:01"))
        await central.listen()
        bench.run(3)
        newest = bench.logger.firmware.broadcasts[0].payload
        await until(lambda: central.heard and central.heard[-1][1].endswith(newest))
    finally:
        await radio.stop()
        await server.close()
        server.server.close()


# --- the whole process


@asynccontextmanager
async def simulator(tmp_path: Path, radio: str, *more: str) -> AsyncIterator[asyncio.subprocess.Process]:
    clock = f'{{"start": "2026-03-10T08:00:00+01:00", "rate": 20, "anchor_ns": {time.monotonic_ns()}}}'
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "firmware_sim", "run", str(DAY), "--truth", str(tmp_path / "truth")),
        *("--radio", radio, *more),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env={**os.environ, "COLDCHAIN_CLOCK_JSON": clock, "PYTHONFAULTHANDLER": "1"},
    )
    try:
        async with asyncio.timeout(LIMIT_S):
            yield process
    finally:
        if process.returncode is None:
            process.send_signal(signal.SIGABRT)  # it says where it hangs
            _, errors = await process.communicate()
            print(errors.decode())  # noqa: T201  what a failure is understood with


async def test_a_trip_on_virtual_controllers_beside_one_for_a_host(tmp_path: Path, until: Until) -> None:
    port = free_port()
    async with simulator(tmp_path, f"bumble:virtual:tcp-server:127.0.0.1:{port}") as process:
        assert process.stdout is not None
        assert await process.stdout.readline() == b"READY\n"
        transport: Any = await open_transport(f"tcp-client:127.0.0.1:{port}")
        central = Central(Host(transport.source, transport.sink))
        await central.listen()
        everybody = {f"C0:FF:EE:00:00:0{number}" for number in range(1, 7)}
        await until(lambda: everybody <= {address for address, _ in central.heard})
        assert all(data.startswith(b"\x99\x04\x05") for _, data in central.heard)
        process.send_signal(signal.SIGTERM)
        assert await process.wait() == 0
        await transport.close()


@pytest.mark.parametrize(
    ("radio", "more", "complaint"),
    [
        ("bumble:tcp-client:127.0.0.1:{port}", ["--box", "BOX-1"], "--radio: tcp-client:"),
        ("bumble:usb:9", ["--box", "BOX-1"], "--radio: usb:9: "),
        ("bumble:usb", [], "'usb' is no HCI transport"),
        ("wifi", [], "--radio: 'wifi' is neither bluez nor bumble:TRANSPORT"),
        ("bluez", [], "--bus: needed with --radio bluez"),
        ("bluez", ["--box", "BOX-9"], "there is no box 'BOX-9', only BOX-1, "),
    ],
)
async def test_wrong_radio_is_one_clear_line(tmp_path: Path, radio: str, more: list[str], complaint: str) -> None:
    async with simulator(tmp_path, radio.format(port=free_port()), *more) as process:
        _, errors = await process.communicate()
    assert process.returncode == 2
    assert complaint in errors.decode()
    assert errors.count(b"\n") == 1
