from __future__ import annotations

import re
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from gateway.core.configuration import Box, Calibration, Consignment, Logger
from gateway.hub.processes.app import create_app
from gateway.hub.rooms import Rooms, open_rooms
from gateway.hub.settings import HubSettings
from tests.hub.vans import LOGGER, Van, iso, observe

Open = Callable[..., Rooms]
PROMISE = "Accept means the transport requirements were met; it releases nothing."


@pytest.fixture
async def opened(tmp_path: Path) -> AsyncIterator[Open]:
    held: list[Rooms] = []

    def open_(*, demonstration: bool = True, hours: float = 1) -> Rooms:
        clock = {"start": iso(0), "stop": iso(hours * 3600), "rate": 1e5, "anchor_ns": 0}
        held.append(
            open_rooms(
                HubSettings(
                    data_dir=tmp_path,
                    demonstration=demonstration,
                    clock=clock,
                    language="en",
                    access={"anonymous": ["receiver"]},
                )
            )
        )
        return held[-1]

    yield open_
    for rooms in held:
        rooms.store.close()


async def get(rooms: Rooms, path: str, **headers: str) -> httpx.Response:
    transport = httpx.ASGITransport(create_app(rooms))
    async with httpx.AsyncClient(transport=transport, base_url="http://hub") as client:
        return await client.get(path, headers=headers)


def text_of(answer: httpx.Response) -> str:
    """The page's words, tags and runs of blanks removed."""
    return " ".join(re.sub(r"<[^>]*>", " ", answer.text).split())


def carry(rooms: Rooms, van: Van, *temperatures: float, **changes: Any) -> None:  # noqa: ANN401  parts of a document
    calibration = Calibration(certificate="K", calibrated_at=iso(-86400), due_at=iso(86400))
    rooms.registry.put_box(Box(code="BOX-1"), "test")
    rooms.registry.put_logger(Logger(address=LOGGER, box="BOX-1", calibration=calibration), "test")
    document = {
        "code": "SEND-1",
        "items": [
            {
                "code": "TUBE-1",
                "kind": "sample",
                "collected_at": iso(0),
                "examinations": [{"code": "K", "profile": "potassium"}, {"code": "CRP", "profile": "crp"}],
            },
            {
                "code": "TUBE-2",
                "kind": "sample",
                "collected_at": iso(0),
                "examinations": [{"code": "K", "profile": "potassium"}],
            },
        ],
        "carriage": [{"box": "BOX-1", "begins": iso(0)}],
        **changes,
    }
    rooms.registry.put_consignment(Consignment.model_validate(document), "test")
    for i, temperature in enumerate(temperatures):
        van.seal(observe(30 * i, temperature, counter=i))
    if temperatures:
        code = rooms.enrolment.issue_code(van.name, "test")
        rooms.enrolment.enrol(van.name, code, van.key.public_bytes)
        rooms.ingest.take(van.deliveries())
    rooms.watch.judge_marked()


async def test_a_box_shows_each_item_and_examination_with_its_verdict(opened: Open) -> None:
    rooms = opened(hours=0.5)
    carry(rooms, Van(), *[5.0] * 61, received_at=iso(1800))
    answer = await get(rooms, "/bench?code=BOX-1")
    page = text_of(answer)
    assert answer.status_code == 200
    assert "Reject K" in page
    assert "Review CRP" in page
    assert "Below 8 °C for 30 min; at most 15 min in one stretch. Extreme 5.0 °C." in page
    assert answer.text.count('<svg class="trace"') == 3
    assert "Data incomplete" not in page
    assert "Demonstration profiles: not approved for clinical use" in page


async def test_an_items_code_shows_that_item_only(opened: Open) -> None:
    rooms = opened(hours=0.5)
    carry(rooms, Van(), *[20.0] * 61)
    page = text_of(await get(rooms, "/bench?code=TUBE-2"))
    assert "Accept K" in page
    assert "The transport requirements were met. It releases nothing." in page
    assert "Showing item TUBE-2 only. Show all 2 items" in page
    assert "A gap counts" not in page
    assert "TUBE-1" not in page


async def test_a_gap_is_told_with_how_it_was_counted(opened: Open) -> None:
    rooms, van = opened(hours=1), Van()
    for i in range(100, 121):
        van.seal(observe(30 * i, 20.0, counter=i))
    carry(rooms, van, *[20.0] * 20, received_at=iso(3600))
    page = text_of(await get(rooms, "/bench?code=TUBE-2"))
    assert "Accept K" in page
    assert re.search(r"Longest gap 40 min, from \d+ \w+ \d{4} \d\d:\d\d [+]", page)
    assert "up to 3 °C an hour from the readings beside it, between −20 °C and 40 °C" in page
    assert "Even so, every requirement was met." in page


async def test_a_backlog_still_arriving_is_said(opened: Open) -> None:
    rooms = opened(hours=1)
    carry(rooms, Van(), *[20.0] * 61)
    assert "Data incomplete: 30 min behind. Verdicts may change." in text_of(await get(rooms, "/bench?code=SEND-1"))


async def test_nothing_heard_yet_is_behind_from_the_start(opened: Open) -> None:
    rooms = opened(hours=1)
    carry(rooms, Van())
    page = text_of(await get(rooms, "/bench?code=SEND-1"))
    assert "Data incomplete: 1 h behind." in page
    assert "There are no readings." in page


async def test_an_unknown_code_says_so_and_is_escaped(opened: Open) -> None:
    answer = await get(opened(), "/bench?code=<script>alert(1)</script>")
    assert answer.status_code == 200
    assert "Unknown code" in answer.text
    assert "<script>alert" not in answer.text


async def test_the_field_waits_for_the_scanner(opened: Open) -> None:
    page = (await get(opened(), "/bench")).text
    assert re.search(r"<input[^>]*name=\"code\"[^>]*autofocus", page)
    assert (await get(opened(), "/bench?code=" + "x" * 129)).status_code == 422


async def test_a_scan_replaces_only_the_result(opened: Open) -> None:
    answer = await get(opened(), "/bench?code=nope", **{"X-Fragment": "1"})
    assert answer.text.lstrip().startswith("<section")


async def test_outside_a_demonstration_no_page_speaks_of_one(opened: Open) -> None:
    rooms = opened(demonstration=False, hours=0.5)
    carry(rooms, Van(), *[20.0] * 61)
    page = text_of(await get(rooms, "/bench?code=SEND-1"))
    assert "Demonstration" not in page
    assert "The profile crp, version 1, is not approved." in page


async def test_every_page_is_strict_about_where_things_come_from(opened: Open) -> None:
    rooms = opened(hours=0.5)
    carry(rooms, Van(), *[5.0] * 61)
    for path in ("/", "/bench", "/bench?code=SEND-1", "/bench?code=nope", "/api/docs"):
        answer = await get(rooms, path)
        policy = answer.headers["content-security-policy"]
        assert answer.status_code == 200, path
        assert "unsafe" not in policy
        assert "default-src 'none'" in policy
        assert not re.search(r"\sstyle=|\son[a-z]+=\"|<style|<script(?! src=\"/static/)", answer.text), path
        assert not re.search(r"(?:src|href)=\"(?:https?:)?//", answer.text), path
        assert PROMISE in answer.text


async def test_what_pages_load_is_there(opened: Open) -> None:
    rooms = opened()
    for path in re.findall(r"(?:src|href)=\"(/static/[^\"]+)\"", (await get(rooms, "/bench")).text):
        assert (await get(rooms, path)).status_code == 200, path


async def test_ids_are_unique_in_a_page(opened: Open) -> None:
    rooms = opened(hours=0.5)
    carry(rooms, Van(), *[5.0] * 61)
    ids = re.findall(r"\sid=\"([^\"]+)\"", (await get(rooms, "/bench?code=SEND-1")).text)
    assert len(ids) == len(set(ids))


async def test_the_reference_lists_every_operation(opened: Open) -> None:
    rooms = opened()
    description = (await get(rooms, "/api/openapi.json")).json()
    page = (await get(rooms, "/api/docs")).text
    for path in description["paths"]:
        assert f"<code>{path}</code>" in page


async def test_a_page_speaks_the_language_that_its_reader_chose(opened: Open) -> None:
    rooms = opened(hours=0.5)
    carry(rooms, Van(), *[5.0] * 61, received_at=iso(1800))
    answer = await get(rooms, "/bench?code=BOX-1", **{"Accept-Language": "nb-NO,nb;q=0.9,en;q=0.8"})
    page = text_of(answer)
    assert answer.headers["content-language"] == "nb"
    assert '<html lang="nb">' in answer.text
    assert "Avvises K" in page
    assert "Under 8 °C i 30 min; høyst 15 min sammenhengende. Ytterpunkt 5,0 °C." in page
    for word in ("Reject", "Review", "Below", "gap", "reading", "Monitored"):
        assert word not in page
    assert "Reject K" in text_of(await get(rooms, "/bench?code=BOX-1", Cookie="language=en"))


async def test_the_chosen_language_is_kept_and_leads_back(opened: Open) -> None:
    transport = httpx.ASGITransport(create_app(opened()))
    async with httpx.AsyncClient(transport=transport, base_url="http://hub") as client:
        chosen = await client.post("/language", data={"language": "nb", "next": "/bench?code=B"})
        assert (chosen.status_code, chosen.headers["location"]) == (303, "/bench?code=B")
        assert "Skann eller skriv en kode" in (await client.get("/bench")).text
        assert (await client.post("/language", data={"language": "xx"})).status_code == 422
