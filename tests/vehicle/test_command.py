"""`coldchain vehicle` as a process: what it says when something is wrong, and how it stops."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import pytest

from firmware_sim.bluez import FakeBluez
from gateway.vehicle.enrolment import Enrolment, save_enrolment
from tests.vehicle.fakes import HUB_KEY
from tests.vehicle.samples import VAN
from tests.waiting import LIMIT_S


@asynccontextmanager
async def command(*arguments: str, **variables: str) -> AsyncIterator[asyncio.subprocess.Process]:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "gateway.cli", "vehicle", *arguments),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env=os.environ | variables,
    )
    try:
        async with asyncio.timeout(LIMIT_S):
            yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


async def complaint_of(*arguments: str, **variables: str) -> str:
    async with command(*arguments, **variables) as process:
        output, errors = await process.communicate()
        assert process.returncode == 2
        assert output == b""
        (line,) = errors.decode().splitlines()
        return line


def write_settings(folder: Path, more: str = "") -> Path:
    path = folder / "vehicle.toml"
    path.write_text(f'gateway = "{VAN}"\ndata_dir = "{folder}/van"\n{more}\n', encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ('[radio]\nscanning = "loud"', ["vehicle.toml", "radio.scanning", "passive"]),
        ('[hub]\nurl = "ftp://hub"', ["hub.url", "http://host"]),
        ('[broker]\nurl = "hub:1883"', ["broker.url", "mqtt://host"]),
        ("[driver]\nport = 70000", ["driver.port", "65535"]),
        ("[recorder]\ninterval_s = 30", ["recorder"]),
        ("nonsense", ["not TOML"]),
    ],
)
async def test_a_wrong_setting_is_one_line(tmp_path: Path, more: str, words: list[str]) -> None:
    line = await complaint_of("--settings", str(write_settings(tmp_path, more)))
    for word in words:
        assert word in line


async def test_without_enrolment_it_says_how_to_get_it(tmp_path: Path) -> None:
    line = await complaint_of("--settings", str(write_settings(tmp_path)))
    assert f"coldchain hub enrol {VAN}" in line
    assert "--enrol CODE" in line


async def test_a_name_that_no_topic_can_carry_is_refused(tmp_path: Path) -> None:
    line = await complaint_of(COLDCHAIN_GATEWAY="VAN/1", COLDCHAIN_DATA_DIR=str(tmp_path))
    assert "gateway" in line
    assert "/" in line


@asynccontextmanager
async def running(folder: Path) -> AsyncIterator[tuple[asyncio.subprocess.Process, int]]:
    """An enrolled vehicle without broker and hub, and its port."""
    settings = write_settings(folder, '[broker]\nurl = "mqtt://127.0.0.1:9"')
    (folder / "van").mkdir(exist_ok=True)
    save_enrolment(folder / "van", Enrolment(hub_public_key=HUB_KEY.public_bytes.hex(), token="t"))
    async with command("--settings", str(settings)) as process:
        assert process.stdout is not None
        word, _, facts = (await process.stdout.readline()).decode().partition(" ")
        assert word == "READY"
        yield process, json.loads(facts)["port"]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_it_serves_its_state_and_stops_when_told(
    tmp_path: Path, bluez: FakeBluez, number: signal.Signals
) -> None:
    async with running(tmp_path) as (process, port), httpx.AsyncClient(trust_env=False) as client:
        answer = await client.get(f"http://127.0.0.1:{port}/api/v1/state")
        assert answer.json()["gateway"] == VAN
        process.send_signal(number)
        _, errors = await process.communicate()
        assert process.returncode == 0
        assert b"Traceback" not in errors


async def test_a_second_process_on_the_same_data_is_refused(tmp_path: Path, bluez: FakeBluez) -> None:
    async with running(tmp_path):
        line = await complaint_of("--settings", str(tmp_path / "vehicle.toml"))
        assert "another process has it open" in line


async def test_a_taken_port_is_named(tmp_path: Path, bluez: FakeBluez) -> None:
    async with running(tmp_path) as (_, port):
        other = tmp_path / "other"
        (other / "van").mkdir(parents=True)
        save_enrolment(other / "van", Enrolment(hub_public_key=HUB_KEY.public_bytes.hex(), token="t"))
        line = await complaint_of("--settings", str(write_settings(other, f"[driver]\nport = {port}")))
        assert "driver.port" in line
