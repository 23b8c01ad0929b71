"""The bench in a real browser: keystrokes of a scanner and of a keyboard, nothing else."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import uvicorn
from playwright.async_api import Page, async_playwright, expect

from gateway.core.configuration import Box, Calibration, Consignment, Logger
from gateway.hub.processes.app import create_app
from gateway.hub.rooms import Rooms, open_rooms
from gateway.hub.settings import HubSettings
from tests.hub.vans import LOGGER, Van, iso, observe
from tests.waiting import LIMIT_MS

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
CLOCK = {"start": iso(0), "stop": iso(1800), "rate": 1e5, "anchor_ns": 0}

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed")


@pytest.fixture
async def rooms(tmp_path: Path) -> AsyncIterator[Rooms]:
    access = {"anonymous": ["receiver"]}
    settings = HubSettings(data_dir=tmp_path, demonstration=True, clock=CLOCK, language="en", access=access)  # type: ignore[arg-type]  pydantic reads them
    opened = open_rooms(settings)
    calibration = Calibration(certificate="K", calibrated_at=iso(-86400), due_at=iso(86400))
    opened.registry.put_box(Box(code="BOX-1"), "test")
    opened.registry.put_logger(Logger(address=LOGGER, box="BOX-1", calibration=calibration), "test")
    van = Van()
    for i in range(61):
        van.seal(observe(30 * i, 5.0, counter=i))
    opened.enrolment.enrol(van.name, opened.enrolment.issue_code(van.name, "test"), van.key.public_bytes)
    opened.ingest.take(van.deliveries())
    item = {"code": "TUBE-1", "kind": "sample", "examinations": [{"code": "K", "profile": "potassium"}]}
    document = {"code": "SEND-1", "items": [item], "carriage": [{"box": "BOX-1", "begins": iso(0)}]}
    opened.registry.put_consignment(Consignment.model_validate(document), "test")
    opened.watch.judge_marked()
    yield opened
    opened.store.close()


@pytest.fixture
async def page(rooms: Rooms) -> AsyncIterator[Page]:
    server = uvicorn.Server(uvicorn.Config(create_app(rooms), port=0, log_level="error", lifespan="off"))
    serving = asyncio.create_task(server.serve())
    while not server.started:  # noqa: ASYNC110  uvicorn has no event for it
        await asyncio.sleep(0.02)
    port = server.servers[0].sockets[0].getsockname()[1]
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"], timeout=LIMIT_MS)
        opened = await browser.new_page(base_url=f"http://127.0.0.1:{port}", locale="en-GB")
        opened.set_default_timeout(LIMIT_MS)
        expect.set_options(timeout=LIMIT_MS)
        yield opened
        await browser.close()
    rooms.closing.set()
    server.should_exit = True
    await serving


async def scan(page: Page, code: str) -> None:
    await page.keyboard.type(code)
    await page.keyboard.press("Enter")


async def test_scan_verdict_receive_and_decide_by_keystrokes_alone(rooms: Rooms, page: Page) -> None:
    wrong: list[str] = []
    page.on("pageerror", lambda error: wrong.append(str(error)))
    await page.goto("/bench")
    await scan(page, "nothing-1")
    await expect(page.get_by_role("heading", name="Unknown code")).to_be_visible(timeout=LIMIT_MS)
    await scan(page, "BOX-1")
    await expect(page.get_by_role("heading", name="Reject K")).to_be_visible(timeout=LIMIT_MS)
    await expect(page.locator("#code")).to_be_focused()
    await scan(page, "+RECEIVE")
    comment = page.get_by_label("Comment")
    await comment.wait_for()
    known = rooms.registry.consignment("SEND-1")
    assert known is not None
    assert known.consignment.received_at is not None
    for _ in range(30):
        if await comment.evaluate("element => element === document.activeElement"):
            break
        await page.keyboard.press("Tab")
    await page.keyboard.type("Called the ward")
    await page.keyboard.press("Tab")
    await page.keyboard.press("Tab")
    await page.keyboard.press("Enter")
    await expect(page.get_by_text("On hold: call the requester")).to_be_visible(timeout=LIMIT_MS)
    assert [(one.choice.value, one.comment) for one in rooms.decisions.of("SEND-1")] == [("hold", "Called the ward")]
    assert wrong == []


async def test_what_updates_by_itself_leaves_the_keyboard_where_it_was(rooms: Rooms, page: Page) -> None:
    await page.goto("/bench?code=SEND-1")
    table = page.get_by_text("The trace as a table")
    await table.focus()
    await page.keyboard.press("Enter")
    known = rooms.registry.consignment("SEND-1")
    assert known is not None
    update = {"planned_arrival": iso(3600)}
    rooms.registry.put_consignment(
        Consignment.model_validate(known.consignment.model_dump(mode="json") | update), "test"
    )
    await expect(page.get_by_text("Planned arrival")).to_be_visible()
    await expect(table).to_be_focused()
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("columnheader", name="Lowest")).not_to_be_visible()


async def test_on_a_phone_nothing_is_cut_off(page: Page) -> None:
    await page.set_viewport_size({"width": 360, "height": 740})
    for path in ("/bench", "/bench?code=SEND-1", "/register?code=BOX-1", "/arrivals"):
        await page.goto(path)
        width = await page.evaluate("() => document.documentElement.scrollWidth")
        assert width <= 360, path
