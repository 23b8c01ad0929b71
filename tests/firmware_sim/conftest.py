import asyncio
import os
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from firmware_sim.bluez import FakeBluez, Settings, write_shim

DEADLINE_S = 20.0


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

    async def wait(condition: Callable[[], object]) -> None:
        async with asyncio.timeout(DEADLINE_S):
            while not condition():  # noqa: ASYNC110 - any condition, no event
                await asyncio.sleep(0.002)

    return wait
