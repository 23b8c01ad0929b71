"""From the patient's home to the bench with real processes: tubes scanned on the vehicle's own screen, nothing else.

Nobody registers anything at the hub. A nurse scans a box and three tubes on the screen that the vehicle serves; the hub
learns of them from the vehicle's log; a receiver scans one at the bench. Loggers are simulated, all else is real:
vehicle, hub, broker, Chromium.
"""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from playwright.async_api import Page, async_playwright, expect

from gateway.demo.company import Company
from tests.faults.rounds import begun, until
from tests.waiting import LIMIT_MS

SCENARIO = Path(__file__).with_name("home_visit.toml")
CHROMIUM = shutil.which("chromium")

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed (tools/system-packages test)")


@pytest.fixture
async def page() -> AsyncIterator[Page]:
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"], timeout=LIMIT_MS)
        opened = await browser.new_page(locale="en-GB")
        opened.set_default_timeout(LIMIT_MS)
        yield opened
        await browser.close()


async def scan(page: Page, *codes: str) -> None:
    for code in codes:
        await page.keyboard.type(code)
        await page.keyboard.press("Enter")


async def ask(url: str) -> dict[str, Any]:
    async with httpx.AsyncClient(trust_env=False, timeout=30) as client:
        answer = await client.get(url)
    return dict(answer.raise_for_status().json())


async def visit(company: Company, page: Page) -> None:
    """Load the box, then pack three tubes; one that was scanned by mistake is taken back."""

    async def is_heard() -> bool:
        boxes = (await ask(f"{company.vehicle_url}/api/v1/state"))["boxes"]
        return any(box["code"] == "BOX-1" and box["temperature_c"] is not None for box in boxes)

    await until(is_heard)
    await page.goto(f"{company.vehicle_url}/screen")
    await scan(page, "DO-LOAD", "BADGE-7", "BOX-1")
    await expect(page.locator(".tile")).to_have_count(1, timeout=LIMIT_MS)
    await scan(page, "DO-HOME", "BOX-1", "T-1", "T-9", "DO-UNDO")
    await expect(page.locator("#answer .title").first).to_have_text("Undone: T-9", timeout=LIMIT_MS)
    await scan(page, "T-2", "DO-15", "T-3")
    await expect(page.locator("#answer")).to_contain_text("T-3", timeout=LIMIT_MS)


async def arrive(company: Company, page: Page) -> None:
    """Scan a tube at the bench until the hub knows it, receive, and read the verdict."""

    async def is_known() -> bool:
        await page.goto(f"{company.hub_url}/bench?code=T-2")
        return await page.get_by_role("heading", name="Unknown code").count() == 0

    await until(is_known)
    await scan(page, "+RECEIVE")
    await expect(page.get_by_text("Received", exact=True)).to_be_visible(timeout=LIMIT_MS)

    async def is_accepted() -> bool:
        await page.goto(f"{company.hub_url}/bench?code=T-2")
        return await page.get_by_role("heading", name="Accept K").count() == 1

    await until(is_accepted)
    await expect(page.get_by_text("Declared by unidentified").first).to_be_visible(timeout=LIMIT_MS)


async def test_tubes_scanned_in_the_home_are_judged_at_the_bench(page: Page, tmp_path: Path) -> None:
    async with begun(tmp_path, lambda folder, stack: None, SCENARIO) as company:
        await visit(company, page)
        await arrive(company, page)
