"""The hub as a whole: a real broker, a real HTTP client, a gateway that speaks the protocol."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

import httpx
import pytest

from gateway.clock import SystemClock
from gateway.core.configuration import Configuration
from gateway.core.messages import decode_ack, open_envelope
from gateway.core.topics import topic_of
from gateway.hub.database.store import open_store
from gateway.hub.processes.hub import run_hub
from gateway.hub.processes.judge import keep_judging
from gateway.hub.rooms import open_enrolment
from gateway.hub.settings import HubSettings
from gateway.hub.signals.events import Bell
from gateway.keys import VerifyKey
from gateway.mqtt import MqttClient, MqttSettings
from tests.hub.vans import LOGGER, Van, iso, observe
from tests.waiting import LIMIT_S


class Site:
    """A running hub as its neighbours see it."""

    def __init__(self, facts: Mapping[str, Any], folder: Path) -> None:
        self.broker = str(facts["broker"])
        token = (folder / "hub" / "admin.token").read_text().strip()
        self.http = httpx.AsyncClient(
            base_url=f"{facts['http']}/api/v1", headers={"Authorization": f"Bearer {token}"}, timeout=LIMIT_S
        )


@pytest.fixture
async def site(tmp_path: Path, request: pytest.FixtureRequest) -> AsyncIterator[Site]:
    settings = HubSettings(
        data_dir=tmp_path / "hub",
        demonstration=True,
        judges_apart=getattr(request, "param", False),
        clock={"start": iso(0), "stop": iso(3600), "rate": 1e5, "anchor_ns": 0},
    )
    ready: asyncio.Future[Mapping[str, Any]] = asyncio.get_running_loop().create_future()
    stop = asyncio.Event()
    task = asyncio.create_task(run_hub(settings, stop, ready.set_result))
    await asyncio.wait({ready, task}, return_when=asyncio.FIRST_COMPLETED)
    if task.done():
        await task
    site = Site(await ready, tmp_path)
    yield site
    await site.http.aclose()
    stop.set()
    await task


async def enrol(site: Site, tmp_path: Path, van: Van) -> VerifyKey:
    settings = HubSettings(data_dir=tmp_path / "hub")
    store = open_store(settings.database_url)
    code = open_enrolment(settings, store, SystemClock()).issue_code(van.name, "test")
    store.close()
    request = {"gateway": van.name, "code": code, "public_key": van.key.public_bytes.hex()}
    first = await site.http.post("/enrolments", json=request)
    again = await site.http.post("/enrolments", json=request)
    assert (first.status_code, again.json()) == (200, first.json())
    return VerifyKey(bytes.fromhex(first.json()["hub_public_key"]))


def find_judges() -> list[int]:
    """The children of this process that judge."""
    named = [path.parent for path in Path("/proc").glob("[0-9]*/cmdline") if b"judge_process" in read_if_there(path)]
    ours = str(os.getpid()).encode()
    return [int(of.name) for of in named if read_if_there(of / "stat").rpartition(b")")[2].split()[1:2] == [ours]]


def read_if_there(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except (FileNotFoundError, ProcessLookupError):
        return b""


async def test_a_judge_apart_is_started_again_and_ends_with_its_hub(tmp_path: Path) -> None:
    bells = Bell(), Bell()
    settings = HubSettings(data_dir=tmp_path)
    open_store(settings.database_url).close()
    judging = asyncio.create_task(keep_judging(settings, *bells))
    async with asyncio.timeout(LIMIT_S):
        first = await wait_for_another(set())
        os.kill(first, signal.SIGKILL)
        await wait_for_another({first})
    judging.cancel()
    await asyncio.wait({judging})
    assert find_judges() == []


@pytest.mark.parametrize("said", [b"", b'{"data_dir": '], ids=["nothing", "half a line"])
def test_a_judge_whose_hub_is_killed_while_it_starts_ends_quietly(said: bytes) -> None:
    judge = [sys.executable, "-m", "gateway.hub.processes.judge_process"]
    ended = subprocess.run(judge, input=said, capture_output=True, check=False, timeout=LIMIT_S)  # noqa: S603  our own module
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, b"", b"")


async def wait_for_another(before: set[int]) -> int:
    while True:
        if found := set(find_judges()) - before:
            return found.pop()
        await asyncio.sleep(0.05)


@pytest.mark.parametrize("site", [False, True], ids=["judges", "judges apart"], indirect=True)
async def test_from_a_sealed_segment_to_a_verdict(site: Site, tmp_path: Path) -> None:
    van = Van()
    hub_key = await enrol(site, tmp_path, van)
    for path, body in (
        ("/boxes/BOX-1", {"code": "BOX-1"}),
        (
            f"/loggers/{LOGGER}",
            {
                "address": LOGGER,
                "box": "BOX-1",
                "calibration": {"certificate": "K-1", "calibrated_at": iso(-86400), "due_at": iso(86400)},
            },
        ),
        (
            "/consignments/C-1",
            {
                "code": "C-1",
                "items": [
                    {
                        "code": "T-1",
                        "kind": "sample",
                        "collected_at": iso(0),
                        "examinations": [{"code": "CRP", "profile": "crp"}],
                    }
                ],
                "carriage": [{"box": "BOX-1", "begins": iso(0)}],
                "received_at": iso(600),
            },
        ),
    ):
        answer = await site.http.put(path, json=body)
        assert answer.status_code == 200, answer.text
    for i in range(21):
        van.seal(observe(30 * i, 20.0, counter=i))

    settings = MqttSettings(url=site.broker)
    async with asyncio.timeout(LIMIT_S), MqttClient(settings, "van-1", repeat_in_flight=False) as client:
        await client.subscribe(topic_of(van.name, "ack"))
        await client.subscribe(topic_of(van.name, "config"))
        await client.ready()
        for segment in van.sealed:
            assert await client.publish(topic_of(van.name, "log"), segment.to_bytes())
        acknowledged, configured = 0, None
        async for message in client.messages:
            if message.topic.endswith("/ack"):
                ack = decode_ack(open_envelope("ack", van.name, message.payload, hub_key.check))
                acknowledged = max(acknowledged, ack.epochs[0].next_offset)
            else:
                payload = open_envelope("config", van.name, message.payload, hub_key.check)
                configured = Configuration.model_validate_json(payload)
            if acknowledged == 21 and configured and configured.consignments:
                break
        assert configured is not None
        assert [p.id for p in configured.profiles] == ["crp"]
        while True:
            state = (await site.http.get("/consignments/C-1")).json()
            if state["judgements"] and state["judgements"][0]["judgement"]["figures"]["readings"] > 19:
                break
            await asyncio.sleep(0.05)
    judged = state["judgements"][0]["judgement"]
    assert judged["verdict"] == "accept", judged
    assert state["behind_ms"] == 0
    trips = (await site.http.get("/consignments/C-1/readings")).json()
    assert [reading["counter"] for reading in trips[0]["readings"]] == list(range(20))
    assert (await site.http.get("/status")).json()["archive"]["chained"] == 21


async def test_stops_while_a_listener_is_connected(site: Site) -> None:
    async with site.http.stream("GET", "/events", params={"after": 0}) as stream:
        await site.http.put("/boxes/BOX-1", json={"code": "BOX-1"})
        assert stream.status_code == 200
        assert stream.headers["content-type"].startswith("text/event-stream")
