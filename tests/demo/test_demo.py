"""The whole demonstration, headless: what the scenario promises is what the account says."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from pathlib import Path
from typing import Any

from gateway.demo.stage import default_scenario
from gateway.demo.trip import load_trip

DEMO = (sys.executable, "-m", "gateway.cli", "demo")
READY = "all processes are ready"


async def _start(*arguments: str) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        *DEMO, *arguments, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT, start_new_session=True
    )


async def _read_until(process: asyncio.subprocess.Process, text: str) -> None:
    assert process.stdout is not None
    heard = []
    async for line in process.stdout:
        heard.append(line.decode())
        if text in heard[-1]:
            return
    raise AssertionError("".join(heard))


def _children(pid: int) -> dict[str, int]:
    """The demonstration's processes, by what they run."""
    found = {}
    for number in Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii").split():
        command = Path(f"/proc/{number}/cmdline").read_text(encoding="utf-8").split("\0")
        found[command[3] if command[2] == "gateway.cli" else command[2]] = int(number)
    return found


def _is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


async def test_the_day_ends_as_the_scenario_says(tmp_path: Path) -> None:
    account_file = tmp_path / "account.json"
    process = await _start("--exit", "--json", str(account_file), "--keep", str(tmp_path / "day"))
    output, _ = await process.communicate()
    text = output.decode()
    assert process.returncode == 0, text

    account: dict[str, Any] = json.loads(account_file.read_text(encoding="utf-8"))
    trip = await load_trip(default_scenario())
    told = {(v["consignment"], v["item"], v["examination"]): v["verdict"] for v in account["verdicts"]}
    assert told == {(e.consignment, e.item, e.examination): e.verdict.value for e in trip.demo.expected}
    assert {"accept", "review", "reject", "insufficient_data"} == set(told.values())
    assert all(v["reasons"] for v in account["verdicts"] if v["verdict"] != "accept")

    assert account["missing"] == ""
    assert (account["lost"], account["duplicated"], account["altered"]) == (0, 0, 0), account["findings"]
    assert account["recorded"] == account["delivered"] > account["backfilled"] > 0
    assert account["vehicle_starts"] == 2

    assert account["breaches"] == account["alerts"] == len(account["breach_list"])
    assert {breach["alerts"] for breach in account["breach_list"]} == {1}
    lasting = [(breach["item"], breach["rule"]) for breach in account["breach_list"] if breach["state"] == "confirmed"]
    assert len(lasting) == len(set(lasting))
    assert set(lasting) == {
        ("TUBE-2", "cold"),
        ("BOTTLE-4", "refrigerated"),
        ("VACCINE-5", "warm"),
    }
    assert "dead zone" in text
    assert "power cut" in text
    assert all(page in text for page in account["pages"].values())


async def test_an_interrupted_demonstration_leaves_nothing_behind() -> None:
    process = await _start("--exit")
    await _read_until(process, READY)
    children = _children(process.pid)
    assert set(children) == {"hub", "firmware_sim", "vehicle"}
    process.send_signal(signal.SIGINT)
    output, _ = await process.communicate()
    assert process.returncode == 130
    assert "Traceback" not in output.decode()
    assert not any(map(_is_alive, children.values()))


async def test_a_process_that_dies_ends_the_demonstration_and_is_named() -> None:
    process = await _start("--exit")
    await _read_until(process, READY)
    children = _children(process.pid)
    os.kill(children["hub"], signal.SIGKILL)
    output, _ = await process.communicate()
    assert process.returncode == 1
    assert "coldchain: hub was ended by SIGKILL" in output.decode()
    assert "Traceback" not in output.decode()
    assert not any(map(_is_alive, children.values()))
