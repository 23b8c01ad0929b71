import os
from collections.abc import AsyncIterator, Awaitable, Callable
from functools import partial
from pathlib import Path

import pytest
from bleak import BleakScanner
from bleak.backends.device import BLEDevice

import firmware_sim
from firmware_sim import scenario, world
from firmware_sim.bluez import FakeBluez, Settings, write_shim
from firmware_sim.bluez_radio import BluezRadio
from firmware_sim.clock import DomainClock, to_ms
from firmware_sim.firmware import Measurement
from firmware_sim.logger import Run, SimulatedLogger
from tests import waiting

DAY = Path(firmware_sim.__file__).parent / "scenarios" / "day.toml"


@pytest.fixture
def bus_address(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """An address for a private bus, to which bleak will go."""
    address = f"unix:path={tmp_path}/bus"
    shim = write_shim(tmp_path / "bin")
    monkeypatch.setenv("PATH", f"{shim.parent}:{os.environ['PATH']}")
    monkeypatch.setenv("DBUS_SYSTEM_BUS_ADDRESS", address)
    return address


@pytest.fixture
def settings() -> Settings:
    return Settings()


@pytest.fixture
async def bluez(bus_address: str, settings: Settings) -> AsyncIterator[FakeBluez]:
    async with FakeBluez(bus_address, settings) as fake:
        yield fake


@pytest.fixture
def until() -> Callable[[Callable[[], object]], object]:
    """Wait for something to become true; the limit only ends a test that has failed."""

    return partial(waiting.until, each_s=0.005)


class Bench:
    """One logger of the day, alone on the radio, none of its advertisements lost, its clock turned by hand."""

    def __init__(self, bluez: FakeBluez, changes: dict[str, object]) -> None:
        trip = scenario.load(DAY)
        box, carried = trip.boxes[1], world.build(trip)[1]
        self.start_ms = to_ms(trip.clock.start)
        self.now_ms: float = self.start_ms
        clock = DomainClock(self.start_ms, 1.0, 0, None, lambda: round((self.now_ms - self.start_ms) * 1_000_000))
        run = Run(BluezRadio(bluez, 1e6), clock, seed=1, start_ms=self.start_ms, shift_ms=0)
        settings = box.logger.model_copy(update={"loss": 0.0, "drift_ppm": 0.0, **changes})
        self.logger = SimulatedLogger(box.model_copy(update={"logger": settings}), carried, run)
        self.measurements: list[Measurement] = []

    def turn(self, to_ms: float) -> list[Measurement]:
        """Let the clock jump, as after a stall of the machine."""
        self.now_ms = to_ms
        measurements = list(self.logger.measure(to_ms))
        self.measurements += measurements
        self.logger.transmit(to_ms)
        return measurements

    def run(self, count: int) -> list[Measurement]:
        """Let it take so many measurements, one after another, each broadcast."""
        return [measurement for _ in range(count) for measurement in self.turn(self.logger.firmware.due_at_ms)]


@pytest.fixture
async def make_bench(bluez: FakeBluez) -> AsyncIterator[Callable[..., Bench]]:
    benches: list[Bench] = []

    def make(**changes: object) -> Bench:
        benches.append(Bench(bluez, changes))
        return benches[-1]

    yield make
    for bench in benches:
        await bench.logger.stop()


@pytest.fixture
async def device_of(
    until: Callable[[Callable[[], object]], Awaitable[None]],
) -> Callable[[Bench], Awaitable[BLEDevice]]:
    """Find a bench's logger by a scan."""

    async def find(bench: Bench) -> BLEDevice:
        async with BleakScanner() as scanner:
            bench.run(1)
            await until(lambda: scanner.discovered_devices)
        return scanner.discovered_devices[0]

    return find
