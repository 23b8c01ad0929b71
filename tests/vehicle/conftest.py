from __future__ import annotations

import os
import sqlite3
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from functools import partial
from pathlib import Path

import pytest

from firmware_sim.bluez import FakeBluez, Settings, write_shim
from gateway.keys import SigningKey, load_or_create_key
from gateway.vehicle.database import open_database
from tests import waiting


@pytest.fixture
def key(tmp_path: Path) -> SigningKey:
    return load_or_create_key(tmp_path / "gateway.key")


@pytest.fixture
def database(tmp_path: Path) -> Iterator[sqlite3.Connection]:
    connection = open_database(tmp_path / "outbox.db")
    yield connection
    connection.close()


@pytest.fixture
def bluez_settings() -> Settings:
    return Settings()


@pytest.fixture
async def bluez(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, bluez_settings: Settings) -> AsyncIterator[FakeBluez]:
    """A fake BlueZ at which unmodified bleak arrives."""
    address = f"unix:path={tmp_path}/bus"
    shim = write_shim(tmp_path / "bin")
    monkeypatch.setenv("PATH", f"{shim.parent}:{os.environ['PATH']}")
    monkeypatch.setenv("DBUS_SYSTEM_BUS_ADDRESS", address)
    async with FakeBluez(address, bluez_settings) as fake:
        yield fake


Until = Callable[[Callable[[], object]], Awaitable[None]]


@pytest.fixture
def until() -> Until:
    """Wait for something to become true; the limit only ends a test that has failed."""

    return partial(waiting.until, each_s=0.005)
